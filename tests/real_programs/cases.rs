//! The programs, and how each comes to have the connection that is looked at.

use crate::case::*;

const BACKEND: u16 = 7001;

const fn peer_connects(command: &'static str) -> Party {
    party(Role::Peer, command, None)
}

/// Takes connections, and is silent.
const NC_LISTENS: Party = peer_listens("exec nc -lk 127.0.0.1 7000");
const NC_BEHIND: Party = party(Role::Peer, "exec nc -lk 127.0.0.1 7001", Some(BACKEND));
/// Connects, and is silent.
const NC_CONNECTS: Party = peer_connects("exec nc 127.0.0.1 7000");
const HTTP_REQUEST: Party = Party {
    role: Role::Peer,
    command: "exec nc -C 127.0.0.1 7000",
    listens: None,
    says: "GET / HTTP/1.0\n",
};

// sshd wants a directory that Debian's service makes. (`ip netns exec` gives each program mounts of
// its own.) The level keeps bash from reading ~/.bashrc for a command.
const SSHD: &str = "mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec /usr/sbin/sshd -De -f /dev/null \
    -p 7000 -o ListenAddress=127.0.0.1 -o HostKey=$FIXTURES/host_key -o PidFile=none \
    -o StrictModes=no -o PermitRootLogin=yes -o SetEnv=SHLVL=2 -o AuthorizedKeysFile=$FIXTURES/user_key.pub";
/// ssh(1), with options and a command for the other end.
macro_rules! ssh {
    ($options:literal, $command:literal) => {
        concat!(
            "exec ssh -F /dev/null -p 7000 -i $FIXTURES/user_key -o StrictHostKeyChecking=no \
            -o UserKnownHostsFile=/dev/null ",
            $options,
            " root@127.0.0.1 ",
            $command
        )
    };
}

/// postgres(1), with options.
macro_rules! postgres {
    ($options:literal) => {
        concat!(
            "cp -a $(readlink $FIXTURES/cluster) cluster && exec setpriv --reuid=postgres \
            --regid=postgres --clear-groups $FIXTURES/postgres -D $DIRECTORY/cluster -p 7000 \
            --listen_addresses=127.0.0.1 --unix_socket_directories= --fsync=off ",
            $options
        )
    };
}

const PSQL: &str = "exec psql -h 127.0.0.1 -p 7000 -U postgres";
const REDIS_SERVER: &str = "exec redis-server --port 7000 --bind 127.0.0.1 --save ''";

/// A ZooKeeper server, with options for Java.
macro_rules! zookeeper {
    ($options:literal) => {
        concat!(
            "printf 'dataDir=%s\\nclientPort=7000\\nadmin.enableServer=false\\n' $DIRECTORY \
            >zoo.cfg; exec java -cp /usr/share/java/zookeeper.jar ",
            $options,
            " org.apache.zookeeper.server.quorum.QuorumPeerMain zoo.cfg"
        )
    };
}

const fn accepted(name: &'static str) -> Watched {
    Watched { name, end: End::Accepts, port: PORT }
}

const fn to_backend(name: &'static str) -> Watched {
    Watched { name, end: End::Connects, port: BACKEND }
}

pub const CASES: &[Case] = &[
    case(
        "curl",
        "client",
        &[NC_LISTENS, connects("exec curl -s http://127.0.0.1:7000/")],
        connected("curl"),
    ),
    case(
        "curl --no-keepalive",
        "client",
        &[NC_LISTENS, connects("exec curl -s --no-keepalive http://127.0.0.1:7000/")],
        connected("curl"),
    ),
    case(
        "wget",
        "client",
        &[NC_LISTENS, connects("exec wget -qO- http://127.0.0.1:7000/")],
        connected("wget"),
    ),
    case("ssh", "client", &[peer_listens(SSHD), connects(ssh!("-N", ""))], connected("ssh")),
    case(
        "ssh -o TCPKeepAlive=no",
        "client",
        &[peer_listens(SSHD), connects(ssh!("-N -o TCPKeepAlive=no", ""))],
        connected("ssh"),
    ),
    case("sshd", "accepted", &[listens(SSHD), peer_connects(ssh!("-N", ""))], accepted("sshd")),
    case(
        "nc, started by sshd",
        "client",
        &[NC_BEHIND, listens(SSHD), peer_connects(ssh!("", "nc 127.0.0.1 7001"))],
        to_backend("nc"),
    ),
    case(
        "git, over ssh",
        "client, of ssh",
        &[
            NC_LISTENS,
            connects("GIT_SSH_COMMAND='ssh -F /dev/null' exec git ls-remote ssh://127.0.0.1:7000/"),
        ],
        connected("ssh"),
    ),
    case(
        "git, over http",
        "client",
        &[NC_LISTENS, connects("exec git ls-remote http://127.0.0.1:7000/")],
        connected("git-remote-http"),
    ),
    case("psql", "client", &[peer_listens(postgres!("")), connects(PSQL)], connected("psql")),
    case(
        "postgres",
        "accepted",
        &[listens(postgres!("")), peer_connects(PSQL)],
        accepted("postgres"),
    ),
    case(
        "postgres, tcp_keepalives_idle=300",
        "accepted",
        &[listens(postgres!("--tcp_keepalives_idle=300")), peer_connects(PSQL)],
        accepted("postgres"),
    ),
    case(
        "redis-cli",
        "client",
        &[peer_listens(REDIS_SERVER), connects("exec redis-cli -p 7000 subscribe x")],
        connected("redis-cli"),
    ),
    case(
        "redis-server",
        "accepted",
        &[listens(REDIS_SERVER), NC_CONNECTS],
        accepted("redis-server"),
    ),
    case(
        "redis-server --tcp-keepalive 0",
        "accepted",
        &[
            listens("exec redis-server --port 7000 --bind 127.0.0.1 --save '' --tcp-keepalive 0"),
            NC_CONNECTS,
        ],
        accepted("redis-server"),
    ),
    case(
        "memcached",
        "accepted",
        &[listens("exec memcached -u root -l 127.0.0.1 -p 7000"), NC_CONNECTS],
        accepted("memcached"),
    ),
    case("zookeeper", "accepted", &[listens(zookeeper!("")), NC_CONNECTS], accepted("java")),
    case(
        "zookeeper, clientTcpKeepAlive",
        "accepted",
        &[listens(zookeeper!("-Dzookeeper.clientTcpKeepAlive=true")), NC_CONNECTS],
        accepted("java"),
    ),
    case(
        "nginx",
        "accepted",
        &[listens("exec nginx -p . -c $FIXTURES/nginx.conf"), NC_CONNECTS],
        accepted("nginx"),
    ),
    case(
        "nginx",
        "to its upstream",
        &[NC_BEHIND, listens("exec nginx -p . -c $FIXTURES/nginx.conf"), HTTP_REQUEST],
        to_backend("nginx"),
    ),
    case(
        "nginx, so_keepalive=300:30:5",
        "accepted",
        &[listens("exec nginx -p . -c $FIXTURES/nginx-keepalive.conf"), NC_CONNECTS],
        accepted("nginx"),
    ),
    case(
        "nginx, proxy_socket_keepalive on",
        "to its upstream",
        &[NC_BEHIND, listens("exec nginx -p . -c $FIXTURES/nginx-keepalive.conf"), HTTP_REQUEST],
        to_backend("nginx"),
    ),
    case(
        "haproxy",
        "accepted",
        &[NC_BEHIND, listens("exec haproxy -db -f $FIXTURES/haproxy.cfg"), NC_CONNECTS],
        accepted("haproxy"),
    ),
    case(
        "haproxy",
        "to its server",
        &[NC_BEHIND, listens("exec haproxy -db -f $FIXTURES/haproxy.cfg"), NC_CONNECTS],
        to_backend("haproxy"),
    ),
    case(
        "rsync",
        "client",
        &[NC_LISTENS, connects("exec rsync rsync://127.0.0.1:7000/")],
        connected("rsync"),
    ),
    case(
        "rsync --daemon",
        "accepted",
        &[
            listens(
                "exec rsync --daemon --no-detach --config=$FIXTURES/rsyncd.conf --port=7000 \
                --address=127.0.0.1",
            ),
            NC_CONNECTS,
        ],
        accepted("rsync"),
    ),
    case(
        "git daemon",
        "accepted",
        &[listens("exec git daemon --listen=127.0.0.1 --port=7000"), NC_CONNECTS],
        accepted("git-daemon"),
    ),
    case(
        "socat",
        "client",
        &[NC_LISTENS, connects("exec socat TCP4:127.0.0.1:7000 PIPE")],
        connected("socat"),
    ),
    case(
        "socat",
        "accepted",
        &[listens("exec socat TCP4-LISTEN:7000,fork PIPE"), NC_CONNECTS],
        accepted("socat"),
    ),
    case("nc", "client", &[NC_LISTENS, connects("exec nc 127.0.0.1 7000")], connected("nc")),
    case(
        "python: socket",
        "client",
        &[
            NC_LISTENS,
            connects(
                "exec /usr/bin/python3 -c \
                'import socket; socket.create_connection((\"127.0.0.1\", 7000)).recv(1)'",
            ),
        ],
        connected("python3"),
    ),
    case(
        "python: asyncio",
        "client",
        &[NC_LISTENS, connects("exec /usr/bin/python3 $FIXTURES/asyncio_client.py")],
        connected("python3"),
    ),
    case(
        "python: http.client",
        "client",
        &[
            NC_LISTENS,
            connects(
                "exec /usr/bin/python3 -c 'import http.client as http; \
                connection = http.HTTPConnection(\"127.0.0.1\", 7000); \
                connection.request(\"GET\", \"/\"); connection.getresponse()'",
            ),
        ],
        connected("python3"),
    ),
    case(
        "python: requests",
        "client",
        &[
            NC_LISTENS,
            connects(
                "exec /usr/bin/python3 -c \
                'import requests; requests.get(\"http://127.0.0.1:7000/\")'",
            ),
        ],
        connected("python3"),
    ),
    case(
        "python, socket-activated",
        "accepted",
        &[
            // The library is in front of the service alone, not of what opens its listener.
            listens(
                "exec env -u LD_PRELOAD systemd-socket-activate -l 127.0.0.1:7000 \
                -E LD_PRELOAD=$LD_PRELOAD -E KEEPALIVE=$KEEPALIVE -E KEEPIDLE=$KEEPIDLE \
                -E KEEPINTVL=$KEEPINTVL -E KEEPCNT=$KEEPCNT -E TCP_USER_TIMEOUT=$TCP_USER_TIMEOUT \
                /usr/bin/python3 $FIXTURES/inherited.py",
            ),
            NC_CONNECTS,
        ],
        accepted("python3"),
    ),
    case(
        "node: net",
        "client",
        &[NC_LISTENS, connects("exec node -e 'require(\"net\").connect(7000, \"127.0.0.1\")'")],
        connected("node"),
    ),
    case(
        "node: net",
        "accepted",
        &[
            listens("exec node -e 'require(\"net\").createServer().listen(7000, \"127.0.0.1\")'"),
            NC_CONNECTS,
        ],
        accepted("node"),
    ),
    case(
        "node: http.Agent, keepAlive",
        "client",
        &[
            NC_LISTENS,
            connects(
                "exec node -e 'const http = require(\"http\"); \
                http.get({port: 7000, host: \"127.0.0.1\", \
                agent: new http.Agent({keepAlive: true})})'",
            ),
        ],
        connected("node"),
    ),
    case(
        "java: Socket",
        "client",
        &[NC_LISTENS, connects("exec java -cp $FIXTURES Client Socket")],
        connected("java"),
    ),
    case(
        "java: SocketChannel",
        "client",
        &[NC_LISTENS, connects("exec java -cp $FIXTURES Client SocketChannel")],
        connected("java"),
    ),
    case(
        "java: HttpClient",
        "client",
        &[NC_LISTENS, connects("exec java -cp $FIXTURES Client HttpClient")],
        connected("java"),
    ),
    case(
        "java: ServerSocket",
        "accepted",
        &[listens("exec java -cp $FIXTURES EchoServer blocking 7000"), NC_CONNECTS],
        accepted("java"),
    ),
    case(
        "java: ServerSocketChannel",
        "accepted",
        &[listens("exec java -cp $FIXTURES EchoServer nio 7000"), NC_CONNECTS],
        accepted("java"),
    ),
    case(
        "perl: IO::Socket",
        "client",
        &[
            NC_LISTENS,
            connects(
                "exec perl -MIO::Socket::INET -e \
                'readline(IO::Socket::INET->new(\"127.0.0.1:7000\"))'",
            ),
        ],
        connected("perl"),
    ),
    case(
        "ruby: TCPSocket",
        "client",
        &[NC_LISTENS, connects("exec ruby -rsocket -e 'TCPSocket.new(\"127.0.0.1\", 7000).read'")],
        connected("ruby"),
    ),
    case(
        "php: stream_socket_client",
        "client",
        &[
            NC_LISTENS,
            connects("exec php -r 'fread(stream_socket_client(\"tcp://127.0.0.1:7000\"), 1);'"),
        ],
        connected("php"),
    ),
    case(
        "go, with cgo",
        "client",
        &[NC_LISTENS, connects("exec $FIXTURES/go-cgo")],
        connected("go-cgo"),
    ),
    case(
        "go, static",
        "client",
        &[NC_LISTENS, connects("exec $FIXTURES/go-static")],
        connected("go-static"),
    ),
];
