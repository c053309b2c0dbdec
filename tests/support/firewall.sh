# shellcheck shell=bash
# Three network namespaces, client - firewall - server: scripts source this file, and
# tests/firewall/bed.rs runs it. The firewall forwards what it knows and the first packet of a
# connection, and drops the rest; it forgets idle connections; and it does not believe that a
# connection exists which it has not seen begin.
#
# Root, if only that of a user namespace; Debian: iproute2 nftables procps. Remove them with remove_firewall.

connect_to_firewall() { # NAMESPACE FIREWALL NETWORK: .1 is the firewall's end
    ip -n "$1" link add eth0 type veth peer name "to-$3" netns "$2"
    ip -n "$1" address add "10.77.$3.2/24" dev eth0
    ip -n "$2" address add "10.77.$3.1/24" dev "to-$3"
    ip -n "$1" link set eth0 up
    ip -n "$2" link set "to-$3" up
    ip -n "$1" route add default via "10.77.$3.1"
}

make_firewall() { # CLIENT FIREWALL SERVER SECONDS: the client is 10.77.1.2, the server 10.77.2.2
    local namespace
    for namespace in "$1" "$2" "$3"; do
        ip netns add "$namespace"
        ip -n "$namespace" link set lo up
    done
    connect_to_firewall "$1" "$2" 1
    connect_to_firewall "$3" "$2" 2
    # It sends nothing itself: an ICMP message would tell an end that something is wrong.
    ip netns exec "$2" nft -f - <<'RULES'
table inet firewall {
    counter dropped { }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ct state new tcp flags & (fin | syn | rst | ack) == syn accept
        counter name dropped
    }
    chain output {
        type filter hook output priority filter; policy drop;
    }
}
RULES
    ip netns exec "$2" sysctl -qw net.ipv4.ip_forward=1 \
        net.netfilter.nf_conntrack_tcp_loose=0 \
        net.netfilter.nf_conntrack_tcp_timeout_established="$4"
}

remove_firewall() { # CLIENT FIREWALL SERVER
    local namespace
    for namespace; do
        ip netns delete "$namespace" 2>/dev/null || true
    done
}
