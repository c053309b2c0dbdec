#!/usr/bin/env bash
# Builds the project as the README says, and runs commands of the documents as they stand there, as
# somebody would who has the source and nothing else: those of the blocks that are marked with this
# script's name. The names in them are real here: a program some-program, a unit some.service, and
# servers example.org and db.example.org.
#
# Usage: tests/systems/documents.sh [PREFIX]
#
# With a PREFIX, such as target/packages/tree of packaging/build.sh, the command and the library are
# those in it, and only what is quickly built is built.
#
# Root; Debian: iproute2 perl procps util-linux. Mounts and network are this script's own, and end
# with it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/support/documented.sh

say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }
fail() {
    printf 'tests/systems/documents.sh: %s\n' "$*" >&2
    exit 1
}

# What is typed, and what it says then.
try() { # COMMANDS TEXT: they succeed, and the text is in their output
    local said
    say "$1"
    said=$(timeout 60 bash -c "$1" 2>&1) || fail "$1: status $?: $said"
    [[ $said == *"$2"* ]] || fail "$1: \"$2\" expected, this came: $said"
}

if [ -z "${KEEPALIVE_OWN_MOUNTS-}" ]; then
    if [ $# -eq 0 ]; then
        build=$(documented README.md 'cargo build')
        say "$build"
        bash -c "$build"
    fi
    KEEPALIVE_OWN_MOUNTS=1 exec unshare --mount --net --propagation private "$0" "$@"
fi
binaries=$PWD/target/release libraries=$PWD/target/release
if [ $# -gt 0 ]; then
    binaries=$(realpath "$1/bin") libraries=$(realpath "$1/lib")
fi

work=$(mktemp -d)
started=()
clean_up() {
    [ ${#started[@]} -eq 0 ] || kill "${started[@]}" 2>/dev/null || true
    wait
    [ ! -e "${group-}" ] || rmdir "$group"
    rm -r "$work"
}
trap clean_up EXIT

start() { # COMMAND...
    "$@" >>"$work/said" 2>&1 &
    started+=($!)
}
wait_for() { # WHAT COMMAND...: until it succeeds
    local _
    for _ in {1..300}; do
        ! "${@:2}" >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    fail "$1 does not come: $(cat "$work/said")"
}
said() { grep -qF -e "$1" "$work/said"; }

ip link set lo up
printf '127.0.0.1 localhost example.org db.example.org\n' >"$work/hosts"
mount --bind "$work/hosts" /etc/hosts
for port in 80 5432; do
    start perl tests/support/broker.pl broker "127.0.0.1:$port"
    wait_for "port $port" bash -c ": </dev/tcp/127.0.0.1/$port"
done
# It opens a connection, a second one where it finds the file `second`, and ends with the file `end`.
cat >"$work/some-program" <<PROGRAM
#!/bin/bash
exec 3<>/dev/tcp/example.org/80
until [ -e "$work/end" ]; do
    [ ! -e "$work/second" ] || { exec 4<>/dev/tcp/example.org/80 && rm "$work/second"; }
    sleep 0.1
done
PROGRAM
chmod +x "$work/some-program"
# As if it were installed.
export PATH=$work:$binaries:$PATH LD_LIBRARY_PATH=$libraries
shows() { keepalive show some-program | grep -F "$1"; }
end_program() {
    touch "$work/end"
    wait "${started[-1]}" || fail "some-program: status $?"
    rm "$work/end"
}

# It has asked nothing before ten seconds: until then there is something else to do.
start bash -c "exec $(documented README.md 'keepalive measure')"
measurer=${started[-1]}

typed=$(documented README.md 'target/release/keepalive show')
try "${typed//target\/release/$binaries}" 'broker'
typed=$(documented README.md 'target/release/keepalive run')
try "${typed//target\/release/$binaries}" '1 connection: 1 on'

start bash -c "exec $(documented README.md 'keepalive run')"
wait_for 'keepalive' shows '1 connection: 1 on'
end_program

start some-program
wait_for 'a connection' shows '1 connection: 1 off'
try "$(documented README.md 'keepalive show some-program')" '1 connection: 1 off'
start bash -c "exec $(documented README.md 'keepalive attach')"
follower=${started[-1]}
wait_for 'keepalive' shows '1 connection: 1 on'
touch "$work/second"
wait_for 'the second connection' shows '2 connections: all on'
kill "$follower"
unset 'started[-1]'
end_program

start bash -c "exec env $(documented README.md 'LD_PRELOAD=')"
wait_for 'the values' shows '1 connection: 1 on, first probe after 3m'
end_program

group=$(findmnt --noheadings --output TARGET --types cgroup2 | head -n 1)/some.service
mkdir "$group"
start some-program
echo "${started[-1]}" >"$group/cgroup.procs"
wait_for 'a connection' shows '1 connection: 1 off'
try "$(documented README.md 'keepalive cover')" 'some.service'
touch "$work/second"
wait_for 'the second connection' shows '2 connections: all on'
end_program

# The library's own page.
build=$(documented docs/library.md 'cargo build')
try "$build" "$(sed -n '/^SO_KEEPALIVE is OFF/,/^```/{/^```/!p}' docs/library.md)"
start bash -c "exec env $(documented docs/library.md 'LD_PRELOAD=')"
wait_for 'the values' shows '1 connection: 1 on, first probe after 3m'
end_program
start bash -c "exec env $(documented docs/library.md 'KEEPALIVE_DEBUG=1')"
wait_for 'a message' said ']: socket() = 3: SO_KEEPALIVE=1 TCP_KEEPIDLE=180'
end_program

wait_for 'an answer' said 'answered after 10 s without traffic'
kill "$measurer"
say 'done'
