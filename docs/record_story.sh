#!/usr/bin/env bash
# Prints the transcript for docs/command.md and draws the picture of its first half, docs/show.svg: a
# broker, its clients, and between them a firewall that forgets idle connections after ten seconds
# (real ones take minutes).
#
#     cargo build --release --workspace
#     sudo docs/record_story.sh target/release/keepalive docs/show.svg
#
# Needs root, iproute2, nftables, python3 and util-linux (Debian: bsdutils), for the picture also
# python3-rich. Makes three network namespaces and removes them at the end.
set -euo pipefail
. "$(dirname "$0")/../tests/support/firewall.sh"

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

# The broker answers each message, and never checks whether its clients are still there.
ip netns exec "$server" /usr/bin/python3 -c '
import selectors, socket
open("/proc/self/comm", "w").write("broker")
selector = selectors.DefaultSelector()
listener = socket.create_server(("10.77.2.2", 5672))
selector.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in selector.select():
        if key.fileobj is listener:
            selector.register(listener.accept()[0], selectors.EVENT_READ)
            continue
        try:
            message = key.fileobj.recv(100)
        except OSError:
            message = b""
        if message:
            key.fileobj.sendall(message)
        else:
            selector.unregister(key.fileobj)
            key.fileobj.close()
' &
started+=($!)
broker=$!
sleep 1

# Five clients. Two ask something at each line of the orders; three never say a word.
mkfifo "$directory/orders"
ip netns exec "$client" /usr/bin/python3 -u -c '
import socket, sys, time
clients = [socket.create_connection(("10.77.2.2", 5672)) for _ in range(5)]
def ask(client):
    client.settimeout(3)
    try:
        client.sendall(b"hello")
        return "answered" if client.recv(100) == b"hello" else "closed"
    except OSError as error:
        return f"no answer ({error})"
for order in sys.stdin:
    for client in clients[:2]:
        answer = ask(client)
        if order == "report\n":
            print("a client that lives asks again:", answer)
' <"$directory/orders" >"$directory/answers" &
started+=($!)
exec 7>"$directory/orders"
sleep 1

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
    echo ask >&7
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
echo report >&7
sleep 1
cat "$directory/answers"
[ "$(grep -c 'asks again: answered' "$directory/answers")" = 2 ]
