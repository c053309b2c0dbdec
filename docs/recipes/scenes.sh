# shellcheck shell=bash
# The recipes of docs/recipes.md. Each is a function, with a firewall between `client` and `server`
# (10.77.2.2). Five seconds stand for minutes: `bed 5` forgets what is idle for longer. stage.sh has
#
#     say TEXT                 a comment in the transcript
#     type END COMMAND         a command at one end, and what it says
#     together END COMMAND [END COMMAND]...    several, at the same time
#     begin END COMMAND        now, and shown only by `finish`
#     look END COMMAND         the same, and wait until it has ended
#     start END COMMAND        beside, and not shown

scene_nat() {
    bed 5
    start server './server.py'
    wait_for_port server 8000
    say 'The same program without and with keepalive. Between its two requests it is idle for 7 s.'
    together \
        client './ask.py 10.77.2.2:8000 / 7' \
        client 'keepalive run --idle 2s --interval 2s ./ask.py 10.77.2.2:8000 / 7'
}

scene_pool() {
    bed 5
    start_postgres server
    local session="(echo 'SELECT 1;'; sleep 7; echo 'SELECT 2;') |
    timeout 9 psql --no-psqlrc -At -h 10.77.2.2 -U postgres"
    begin client "$session"
    wait_for_connections client 5432 1
    look client 'keepalive show psql'
    sleep 6 # The path has forgotten it.
    look server 'keepalive attach --idle 2s --interval 2s --port 5432 postgres'
    begin client "$session"
    say 'A session, and a quiet night of 7 s before its second query, which is never answered.'
    finish
    say 'Meanwhile, in another terminal:'
    finish
    say 'At the server, without a restart of anything. What it accepts from now on inherits the settings.'
    finish
    finish
}

scene_broker() {
    bed 5
    start server 'perl ../../tests/support/broker.pl broker 10.77.2.2:5672'
    wait_for_port server 5672
    start client "sleep 60 | perl ../../tests/support/clients.pl 10.77.2.2:5672{,,,,}"
    wait_for_connections server 5672 5
    vanish client
    say 'All five clients have lost their power.'
    type server 'keepalive show --check broker; echo "exit status: $?"'
    type server 'keepalive attach --dead-after 6s broker'
    wait_for_connections server 5672 0
    say 'Six seconds later:'
    type server 'keepalive show --check broker; echo "exit status: $?"'
}

scene_model() {
    bed 5
    start server './server.py'
    wait_for_port server 8000
    say 'The answer takes 7 s. Without, and with keepalive:'
    together \
        client './ask.py 10.77.2.2:8000 /after/7' \
        client 'keepalive run --idle 2s --interval 2s ./ask.py 10.77.2.2:8000 /after/7'
}

scene_nitro() {
    bed 1000
    start_postgres server
    # A security group: the host itself keeps the table.
    at client 'nft -f - && sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0 \
        net.netfilter.nf_conntrack_tcp_timeout_established=5' <<'RULES'
table inet security_group {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
    }
    chain output {
        type filter hook output priority filter;
        ct state new accept
    }
}
RULES
    local session="(echo 'SELECT 1;'; sleep 7; echo 'SELECT 2;') |
    timeout 9 psql --no-psqlrc -At -h 10.77.2.2 -U postgres"
    begin client "$session"
    wait_for_connections client 5432 1
    begin client 'keepalive show --check --path-timeout 5s psql; echo "exit status: $?"'
    finish
    say 'Meanwhile:'
    finish
    say "The system's own times are what programs get that turn keepalive on and choose no times."
    type client 'sysctl -w net.ipv4.tcp_keepalive_time=2 net.ipv4.tcp_keepalive_intvl=2'
    begin client "$session"
    wait_for client 'keepalive show psql | grep -q ESTAB'
    begin client 'keepalive show --check --path-timeout 5s psql; echo "exit status: $?"'
    finish
    say 'Meanwhile:'
    finish
}

scene_swarm() {
    bed 5
    # The service's virtual address: connection tracking rewrites it, and once it has forgotten, the
    # address is that of the host itself, which resets what it does not know.
    at firewall 'ip address add 10.77.1.100/32 dev lo
        nft add rule inet firewall output ip saddr 10.77.1.100 accept
        nft -f -' <<'RULES'
table ip services {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        ip daddr 10.77.1.100 dnat to 10.77.2.2
    }
}
RULES
    start server './server.py'
    wait_for_port server 8000
    together \
        client './ask.py 10.77.1.100:8000 / 7' \
        client 'keepalive run --idle 2s --interval 2s ./ask.py 10.77.1.100:8000 / 7'
}

scene_go() {
    bed 5
    start server 'prometheus-node-exporter --web.listen-address=10.77.2.2:9100'
    wait_for_port server 9100
    start client './ask.py 10.77.2.2:9100 / 30'
    wait_for_connections server 9100 1
    type server 'keepalive show prometheus-node-exporter'
    say 'Other times than its own, on this connection and on each that it accepts later:'
    begin server 'timeout 10 keepalive attach --follow --force --idle 3m --interval 1m --count 20 prometheus-node-exporter'
    wait_for server 'keepalive show prometheus-node-exporter | grep -q "on *3m"'
    start client './ask.py 10.77.2.2:9100 / 30'
    wait_for server '[ "$(keepalive show prometheus-node-exporter | grep -c "on *3m")" = 2 ]'
    begin server 'keepalive show prometheus-node-exporter'
    finish
    say 'Meanwhile:'
    finish
}

scene_running() {
    bed 5
    start server './server.py'
    wait_for_port server 8000
    begin client './ask.py 10.77.2.2:8000 / 7'
    wait_for_connections server 8000 1
    look server 'keepalive attach --dry-run --idle 2s --interval 2s server.py'
    begin server 'timeout 10 keepalive attach --follow --idle 2s --interval 2s server.py'
    wait_for server 'keepalive show server.py | grep -q "1 on"'
    begin client './ask.py 10.77.2.2:8000 / 7'
    say 'A connection that is there before ...'
    finish
    finish
    finish
    say '... and one that comes later'
    finish
}

scene_host() {
    bed 5
    start server './server.py'
    wait_for_port server 8000
    begin client './ask.py 10.77.2.2:8000 / 7'
    wait_for_connections client 8000 1
    look client 'keepalive show'
    look client 'keepalive cover --all --idle 2s --interval 2s'
    begin client './ask.py 10.77.2.2:8000 / 7'
    wait_for_connections client 8000 2
    begin client 'keepalive show'
    say 'A connection that is there before:'
    finish
    say 'Meanwhile:'
    finish
    finish
    say 'One that comes later:'
    finish
    finish
    type client 'keepalive cover --list'
}

scene_seeing() {
    bed 5
    start server './server.py'
    wait_for_port server 8000
    start client 'keepalive run --idle 2s --interval 2s ./ask.py 10.77.2.2:8000 / 40'
    wait_for_connections client 8000 1
    sleep 5
    type client 'keepalive show ask.py'
    type client "ss -tnoe 'dport = :8000'"
    type client 'nstat -az TcpExtTCPKeepAlive'
    type client 'tcpdump -ni eth0 -c 2 port 8000 2>/dev/null'
}

scene_measure() {
    bed 10
    start server 'keepalive measure --listen 7000'
    wait_for_port server 7000
    type client 'keepalive measure --max 30s 10.77.2.2:7000'
}

start_postgres() { # END
    local data=${directory:?}/data
    mkdir "$data"
    chown postgres "$data"
    chmod 755 "$directory/.."
    set -- "$1" setpriv --reuid=postgres --regid=postgres --clear-groups
    PATH=$PATH:$(echo /usr/lib/postgresql/*/bin)
    "${@:2}" initdb -D "$data" --no-sync --auth=trust --username=postgres >/dev/null
    echo 'host all all all trust' >"$data/pg_hba.conf"
    start "$1" "${*:2} postgres -D $data --listen_addresses='*' --unix_socket_directories= --fsync=off"
    wait_for_port "$1" 5432
}
