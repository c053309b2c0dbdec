#!/usr/bin/env bash
# Plays the recipes of docs/recipes.md in network namespaces, all at the same time, and
#
#     docs/record_recipes.sh KEEPALIVE LIBRARY            compares: fails where the page says another thing
#     docs/record_recipes.sh KEEPALIVE LIBRARY --write    writes what was seen into the page
#     docs/record_recipes.sh KEEPALIVE LIBRARY nat        plays one recipe and prints it
#
# KEEPALIVE is the command, LIBRARY the libkeepalive.so for it. Needs root, and Debian's iproute2,
# nftables, perl, postgresql, procps, prometheus-node-exporter, python3, tcpdump and util-linux. Leaves
# nothing behind. Takes half a minute, to write twice that: `measure` is only written.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
page=$here/recipes.md
# shellcheck source=tests/support/firewall.sh
. "$here/../tests/support/firewall.sh"

keepalive=$1 library=$2 what=${3-}
directory=$(mktemp -d)
groups=$(findmnt --noheadings --first-only --types cgroup2 --output TARGET)/recipes-$$
clean_up() {
    local it
    for it in "$groups"-*/; do
        echo 1 >"$it/cgroup.kill"
    done
    wait
    for it in /run/netns/"recipes-$$"-*; do
        remove_firewall "$(basename "$it")"
    done
    rmdir "$groups"-*
    rm -rf "$directory"
}
trap clean_up EXIT
mkdir "$directory/bin"
cp "$keepalive" "$directory/bin/keepalive"
cp "$library" "$directory/bin/libkeepalive.so"

play() { # SCENE
    mkdir "$directory/$1"
    local group=$groups-$1
    mkdir "$group"
    sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" \
        unshare --pid --cgroup --fork --kill-child --mount-proc \
        "$here/recipes/stage.sh" "recipes-$$-$1" "$directory/$1" "$1" \
        >"$directory/$1.seen" 2>"$directory/$1.errors" </dev/null ||
        { echo "$1: failed" >&2; cat "$directory/$1.errors" >&2; return 1; }
}

# What passes with time, and numbers that the kernel hands out, are another every time.
lasting() {
    sed -E 's/ \(([0-9]+)\):/ (PID):/
        s/(in|silent|for) ([0-9.]+(ms|s|m|h) ?)+/\1 T /g
        s/^([0-9]+ +(ESTAB|LISTEN)( +[^ ]+){5,6}) +[0-9.]+m?s/\1 T/
        s/([:.])[3-6][0-9]{4}\b/\1PORT/g
        s/(ino|sk|cgroup):[^ ]+/\1:X/g
        s/keepalive,[0-9.]+m?s(ec)?/keepalive,T/
        s/^[0-9:.]{15} /TIME /
        s/\b(seq|ack|win|val|ecr) [0-9:]+/\1 N/g
        s/^ *[0-9]+ +python3/PID python3/
        s/in [0-9]+ processes/in N processes/
        s/[0-9.]+m?s( +cgroup ends)/T\1/
        s/TCPKeepAlive +[1-9][0-9]*/TCPKeepAlive N/
        s/ +/ /g'
}

if [ -n "$what" ] && [ "$what" != --write ]; then
    play "$what"
    cat "$directory/$what.seen"
    exit
fi
# The path's limit takes a while, and docs/measure.md has tests of its own for it.
leave_out='^measure$'
if [ "$what" = --write ]; then leave_out='^$'; fi
scenes=$(sed -nE 's/^scene_(.*)\(\).*/\1/p' "$here/recipes/scenes.sh" |
    grep -v "$leave_out")
players=()
for scene in $scenes; do
    play "$scene" &
    players+=($!)
done
status=0
for player in "${players[@]}"; do wait "$player" || status=1; done
[ "$status" = 0 ] || [ -z "$what" ]

seen() { # SCENE
    cat -s "$directory/$1.seen" | sed '$ { /^$/ d }'
}
part() { # SCENE: what the page has
    awk -v begin="<!-- Written by record_recipes.sh, $1, from here -->" \
        '$0 == begin { on = 1; next } $0 == "<!-- to here -->" { on = 0 } on' "$page" |
        grep -v -e '^```' -e '^<!--'
}
diff <(sed -nE 's/^<!-- Written by record_recipes.sh, (.*), from here -->/\1/p' "$page" | sort) \
    <(sed -nE 's/^scene_(.*)\(\).*/\1/p' "$here/recipes/scenes.sh" | sort)
for scene in $scenes; do
    if [ "$what" = --write ]; then
        {
            echo '<!-- run: docs/recipes/scenes.sh -->'
            echo '```text'
            seen "$scene"
            echo '```'
        } >"$directory/$scene.part"
        sed -i -e "/^<!-- Written by record_recipes.sh, $scene, from/,/^<!-- to here/ {
            /^<!-- Written/ r $directory/$scene.part
            /^<!-- \(Written\|to here\)/ ! d
        }" "$page"
    elif ! diff <(part "$scene" | lasting) <(seen "$scene" | lasting); then
        echo "$scene: docs/recipes.md says another thing (<) than was seen (>)" >&2
        status=1
    fi
done
[ "$status" = 0 ]
