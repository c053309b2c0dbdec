#!/usr/bin/env bash
# `keepalive cover` on older kernels: boots Debian's 5.10 and 6.1 in qemu, without KVM, with an initramfs of
# busybox, the command linked statically and the tests' program. tests/systems/kernels/init makes the
# checks there and prints a line for each. Any user; some minutes.
#
#     tests/systems/kernels.sh [--command COMMAND] [RELEASE...]
#
# COMMAND: a statically linked `keepalive`; without it one is built. RELEASE: of Debian, whose kernel is
# taken; bullseye (5.10) and bookworm (6.1) without it. Everything else is in a temporary directory that is
# removed at the end.
#
# Debian: apt dpkg busybox-static cpio gcc libc6-dev gzip qemu-system-x86
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
    printf 'tests/systems/kernels.sh: %s\n' "$*" >&2
    exit 1
}

command=
if [ "${1-}" = --command ]; then
    command=$(realpath -e "${2-}")
    shift 2
fi
[ $# -gt 0 ] || set -- bullseye bookworm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

if [ -z "$command" ]; then
    # With a target of its own, since build scripts and macros cannot be linked statically.
    target=$(rustc -vV | sed -n 's/^host: //p')
    RUSTFLAGS='-C target-feature=+crt-static' \
        cargo build --quiet --locked --release --package libkeepalive-command --bins --target "$target"
    command=target/$target/release/keepalive
fi
! readelf --program-headers "$command" | grep -q INTERP || fail "$command is not linked statically"

root=$work/root
mkdir -p "$root"/{bin,cgroup,dev,proc,sys,tmp}
cp /bin/busybox "$root/bin/"
cp "$command" "$root/bin/keepalive"
cp tests/systems/kernels/init "$root/init"
gcc -O1 -static -o "$root/bin/covered" crates/command/tests/hosts/covered.c
(cd "$root" && find . -print0 | cpio --quiet --null --create --format=newc --owner=0:0) | gzip -1 >"$work/initramfs"

# apt, with lists of its own.
release_apt() { # RELEASE COMMAND...
    local state=$work/apt-$1
    mkdir -p "$state"/{lists/partial,cache/archives/partial}
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian %s main\n' \
        "$1" >"$state/sources"
    "$2" -qq -o "Dir::Etc::SourceList=$state/sources" -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state/cache" -o APT::Sandbox::User=root \
        "${@:3}" 2>"$work/apt.log" || fail "apt: $(cat "$work/apt.log")"
}

for release; do
    release_apt "$release" apt-get update
    kernel=$(release_apt "$release" apt-cache depends linux-image-amd64 |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p')
    [ -n "$kernel" ] || fail "$release: no linux-image-amd64"
    rm -f "$work"/*.deb
    (cd "$work" && release_apt "$release" apt-get download "$kernel")
    dpkg-deb --fsys-tarfile "$work/$kernel"_*.deb | tar -xO --wildcards './boot/vmlinuz-*' >"$work/vmlinuz"
    timeout 900 qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m 768 -nographic -nodefaults -no-reboot \
        -serial stdio -kernel "$work/vmlinuz" -initrd "$work/initramfs" \
        -append 'console=ttyS0 quiet panic=-1' </dev/null | sed --unbuffered 's/\r//g' | tee "$work/log" |
        grep --line-buffered -E '^(ok|FAILED|  |done)' || true
    grep -q '^done: [1-9][0-9]* checks, 0 failed$' "$work/log" || fail "$release: $(tail -n 40 "$work/log")"
done
