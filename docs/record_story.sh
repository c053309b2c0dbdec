#!/usr/bin/env bash
# Prints the transcript for docs/command.md and draws the picture of its first half, docs/show.svg: a
# broker, its clients, and between them a firewall that forgets idle connections after ten seconds
# (real ones take minutes).
#
#     cargo build --release --workspace
#     sudo docs/record_story.sh target/release/keepalive docs/show.svg
#
# Needs root, iproute2, nftables, perl and util-linux (Debian: bsdutils), for the picture also
# python3-rich. Makes three network namespaces and removes them at the end.
set -euo pipefail
support=$(dirname "$0")/../tests/support
# shellcheck source=tests/support/firewall.sh
. "$support/firewall.sh"

keepalive=$(realpath "$1")
picture=${2-}
columns=112
tag=story-$$
client=$tag-client firewall=$tag-firewall server=$tag-server
forgets=10

clean_up() {
    # Only those that this script started.
    kill "${started[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    remove_firewall "$client" "$firewall" "$server"
    rm -rf "$directory"
}
started=()
directory=$(mktemp -d)
trap clean_up EXIT

make_firewall "$client" "$firewall" "$server" $forgets

ip netns exec "$server" perl "$support/broker.pl" broker 10.77.2.2:5672 &
started+=($!)
sleep 1

# Five clients. Two ask something every other second; three never say a word.
coproc CLIENTS { exec ip netns exec "$client" perl "$support/clients.pl" 10.77.2.2:5672{,,,,}; }
started+=("$CLIENTS_PID")
from_clients=${CLIENTS[0]} to_clients=${CLIENTS[1]}
read -rt 9 connected <&"$from_clients"
[ "$connected" = connected ]
ask() {
    local answer
    echo 2 >&"$to_clients"
    for _ in 1 2; do
        read -rt 9 answer <&"$from_clients"
        echo "a client that lives asks again: ${answer#*: }"
    done
}

# What the screen shows: in colour for the picture, plain for the transcript.
screen() {
    tr -d '\r' | tee -a "$directory/screen" | sed 's/\x1b\[[0-9;]*m//g'
}
say() {
    printf '\e[90m# %s\e[0m\n' "$@" | screen
}
type() { # a command line, and what it prints on a terminal
    {
        printf '\e[32m$\e[0m \e[1m%s\e[0m\n' "$*"
        ip netns exec "$server" env PATH="$(dirname "$keepalive"):$PATH" TERM=xterm-256color \
            script --quiet --return --command "stty cols $columns; $*" /dev/null
        echo
    } | screen
}

for _ in 1 2 3 4 5 6 7; do
    ask >/dev/null
    sleep 2
done
say "Five clients of a broker, and a firewall that forgets idle connections after $forgets s. Three" \
    'clients have been idle for longer: the firewall drops whatever either side sends from now on.' \
    'Nobody has noticed.'
type keepalive show broker
say 'First look, then do: to the broker that runs, without a restart.'
type keepalive attach --dry-run --idle 4s --interval 1s --count 3 broker
type keepalive attach --idle 4s --interval 1s --count 3 broker
say 'idle + interval x count = 7 s later: the dead are gone, the living are not.'
sleep 7.5
type keepalive show --all broker
if [ -n "$picture" ]; then
    "$(dirname "$0")/draw_terminal.py" "$columns" \
        'keepalive show, attach and show again, on a terminal' <"$directory/screen" >"$picture"
fi
say 'The living now stay alive, however long they are idle: half a minute, three times what the' \
    'firewall remembers.'
sleep 30
type keepalive show broker
ask >"$directory/answers" # (In a pipe it would not have the clients' descriptors.)
cat "$directory/answers"
[ "$(grep -c 'asks again: answered' "$directory/answers")" = 2 ]
