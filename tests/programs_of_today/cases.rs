//! The clients, and the server that each asks. The servers are silent for `$SILENCE` seconds
//! between a request and its answer.

use crate::case::*;

const HTTP: Party =
    peer_listens("exec $FIXTURES/python/bin/python3 $FIXTURES/silent_server.py http");
const GRPC: Party =
    peer_listens("exec $FIXTURES/python/bin/python3 $FIXTURES/silent_server.py grpc");
const MONGO: Party =
    peer_listens("exec $FIXTURES/python/bin/python3 $FIXTURES/silent_server.py mongo");
const KAFKA: Party =
    peer_listens("exec $FIXTURES/python/bin/python3 $FIXTURES/silent_server.py kafka");
const POSTGRES: Party = peer_listens(
    "cp -a $(readlink $FIXTURES/cluster) cluster && exec setpriv --reuid=postgres \
    --regid=postgres --clear-groups $FIXTURES/postgres -D $DIRECTORY/cluster -p 7000 \
    --listen_addresses='*' --unix_socket_directories= --fsync=off",
);
const MARIADB: Party = peer_listens(
    "cp -a $(readlink $FIXTURES/mariadb) mariadb && exec mariadbd --no-defaults --user=root \
    --skip-grant-tables --skip-name-resolve --datadir=$DIRECTORY/mariadb --port=7000 \
    --bind-address=0.0.0.0 --socket=$DIRECTORY/mariadb/socket",
);
const REDIS: Party = peer_listens("exec redis-server --port 7000 --protected-mode no --save ''");
// Erlang's port mapper ends with it: nothing of it leaves the namespace.
const RABBITMQ: Party = peer_listens(
    "printf 'listeners.tcp.1 = 0.0.0.0:7000\\nloopback_users = none\\n' >rabbitmq.conf; \
    export HOME=$DIRECTORY RABBITMQ_CONFIG_FILE=$DIRECTORY/rabbitmq.conf \
    RABBITMQ_MNESIA_BASE=$DIRECTORY RABBITMQ_LOG_BASE=$DIRECTORY RABBITMQ_NODENAME=test@localhost \
    RABBITMQ_ENABLED_PLUGINS_FILE=$DIRECTORY/plugins RABBITMQ_PID_FILE=$DIRECTORY/pid; \
    exec /usr/lib/rabbitmq/bin/rabbitmq-server",
);

/// One of client.py's.
macro_rules! python {
    ($server:expr, $name:literal) => {
        python!($server, $name, $name)
    };
    ($server:expr, $name:literal, $shown:literal) => {
        case(
            concat!("python: ", $shown),
            "client",
            &[
                $server,
                connects(concat!(
                    "exec $RUN $FIXTURES/python/bin/python3 $FIXTURES/client.py ",
                    $name
                )),
            ],
            connected("python3"),
        )
    };
}

/// One of client.js's, in node, bun or deno.
macro_rules! javascript {
    ($engine:literal, $command:literal, $server:expr, $name:literal, $shown:literal) => {
        case(
            concat!($engine, ": ", $shown),
            "client",
            &[$server, connects(concat!("exec $RUN ", $command, " $FIXTURES/client.js ", $name))],
            connected($engine),
        )
    };
}

macro_rules! node {
    ($server:expr, $name:literal) => {
        node!($server, $name, $name)
    };
    ($server:expr, $name:literal, $shown:literal) => {
        javascript!("node", "node", $server, $name, $shown)
    };
}

macro_rules! bun {
    ($name:literal, $shown:literal) => {
        javascript!(
            "bun",
            "$FIXTURES/node_modules/@oven/bun-linux-x64/bin/bun",
            HTTP,
            $name,
            $shown
        )
    };
}

macro_rules! deno {
    ($name:literal, $shown:literal) => {
        javascript!(
            "deno",
            "$FIXTURES/node_modules/@deno/linux-x64-glibc/deno run --quiet --allow-all \
            --node-modules-dir=manual --no-remote",
            HTTP,
            $name,
            $shown
        )
    };
}

/// One of Client.java's.
macro_rules! java {
    ($server:expr, $name:literal) => {
        case(
            concat!("java: ", $name),
            "client",
            &[
                $server,
                connects(concat!(
                    "exec $RUN java -cp $FIXTURES/java:/usr/share/java/postgresql.jar:\
                    /usr/share/java/mariadb-java-client.jar Client ",
                    $name
                )),
            ],
            connected("java"),
        )
    };
}

macro_rules! rust {
    ($name:literal) => {
        case(
            concat!("rust: ", $name),
            "client",
            &[HTTP, connects(concat!("exec $RUN $FIXTURES/rust_client ", $name))],
            connected("rust_client"),
        )
    };
}

pub const CASES: &[Case] = &[
    python!(HTTP, "openai", "openai (SDK)"),
    python!(HTTP, "anthropic", "anthropic (SDK)"),
    python!(HTTP, "google-genai", "google-genai (SDK)"),
    python!(HTTP, "httpx"),
    python!(HTTP, "aiohttp"),
    python!(HTTP, "requests"),
    python!(GRPC, "grpcio"),
    python!(POSTGRES, "psycopg"),
    python!(MARIADB, "mysqlclient"),
    python!(MONGO, "pymongo"),
    python!(REDIS, "redis-py"),
    python!(RABBITMQ, "pika"),
    python!(KAFKA, "confluent-kafka"),
    node!(HTTP, "openai", "openai (SDK)"),
    node!(HTTP, "anthropic", "@anthropic-ai/sdk"),
    node!(HTTP, "fetch"),
    node!(HTTP, "undici"),
    node!(GRPC, "grpc-js", "@grpc/grpc-js"),
    node!(POSTGRES, "pg"),
    node!(REDIS, "ioredis"),
    bun!("fetch", "fetch"),
    bun!("openai", "openai (SDK)"),
    deno!("fetch", "fetch"),
    deno!("openai", "openai (SDK)"),
    java!(HTTP, "HttpClient"),
    java!(POSTGRES, "pgjdbc"),
    java!(MARIADB, "mariadb"),
    case(
        "dotnet 3.1: HttpClient",
        "client",
        &[HTTP, connects("exec $RUN $FIXTURES/python/bin/python3 $FIXTURES/client.py dotnet")],
        connected("python3"),
    ),
    rust!("reqwest"),
    rust!("hyper"),
];
