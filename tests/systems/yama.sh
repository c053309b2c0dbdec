#!/usr/bin/env bash
# The command under Yama, at each of its levels, and on an older kernel: boots Debian 12's (6.1) in qemu,
# without KVM, with an initramfs of busybox, the command linked statically and programs to look into.
# tests/systems/yama/init makes the checks there and prints a line for each. Any user, with Debian 12's
# package lists (apt-get update); about two minutes, half of them to build the command.
#
#     tests/systems/yama.sh [COMMAND]
#
# COMMAND: a statically linked `keepalive`; without it one is built. Everything else is in a temporary
# directory that is removed at the end.
#
# Debian: apt dpkg busybox-static cpio gcc libc6-dev gzip qemu-system-x86
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
    printf 'tests/systems/yama.sh: %s\n' "$*" >&2
    exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# With a target of its own, since build scripts and macros cannot be linked statically.
target=$(rustc -vV | sed -n 's/^host: //p')
command=${1-target/$target/release/keepalive}
if [ $# -eq 0 ]; then
    RUSTFLAGS='-C target-feature=+crt-static' \
        cargo build --quiet --locked --release --package libkeepalive-command --bins --target "$target"
fi
! readelf --program-headers "$command" | grep -q INTERP || fail "$command is not linked statically"

# --- the kernel

kernel=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-6\.1\..*\)/\1/p')
[ -n "$kernel" ] || fail 'no linux-image-6.1 (Debian 12; apt-get update)'
(cd "$work" && apt-get -qq download "$kernel" 2>"$work/apt.log") || fail "$kernel: $(cat "$work/apt.log")"
dpkg-deb --fsys-tarfile "$work/$kernel"_*.deb | tar -xO --wildcards './boot/vmlinuz-*' >"$work/vmlinuz"

# --- the initramfs

root=$work/root
mkdir -p "$root"/{bin,dev,etc,lib,proc,tmp}
chmod 1777 "$root/tmp"
cp /bin/busybox "$root/bin/"
cp "$command" "$root/bin/keepalive"
cp tests/systems/yama/init "$root/init"
for program in target leaderless; do
    gcc -static -pthread -DNO_PTRACER -o "$root/bin/$program" "crates/command/tests/hosts/$program.c"
done
for user in root:x:0 user::1000; do
    printf '%s:%s::/:/bin/sh\n' "$user" "${user##*:}" >>"$root/etc/passwd"
done
(cd "$root" && find . -print0 | cpio --quiet --null --create --format=newc --owner=0:0) | gzip -1 >"$work/initramfs"

# --- a boot

timeout 900 qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m 512 -nographic -nodefaults -no-reboot \
    -serial stdio -kernel "$work/vmlinuz" -initrd "$work/initramfs" \
    -append 'console=ttyS0 quiet panic=-1' </dev/null | sed --unbuffered 's/\r//g' | tee "$work/log" |
    grep --line-buffered -E '^(ok|FAILED|  |done)' || true
grep -q '^done: [1-9][0-9]* checks, 0 failed$' "$work/log" || fail "$(tail -n 40 "$work/log")"
