#!/bin/bash
# Runs the black-box and the hostile suite on other C libraries and architectures, each with the
# programs that they compile there. Root, on Debian 12.
#
# Usage: tests/systems/everywhere.sh [SYSTEM...]
#
#   native    this machine
#   musl      this machine with musl
#   bullseye  Debian 11, glibc 2.31 (before dlsym moved into the C library)
#   trixie    Debian 13, glibc 2.41
#   i386      the library built for i686, on Debian 12
#   aarch64   the library built for aarch64, on Debian 12 under qemu
#
# Without arguments: native, musl, bullseye and trixie; native then includes a million cases of each
# property of the parsers and of the message writer. The other systems are made by debootstrap below
# KEEPALIVE_SYSTEMS (default: target/systems), once; remove the directory to be rid of them.
#
# Debian: gcc g++ libc6-dev libcap2-bin strace musl-tools debootstrap
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/systems/trees.sh
[ $# -gt 0 ] || set -- native musl bullseye trixie

# Debian 12 with the cross compilers, and a Rust that has the other architectures' core library:
# 1.85, the oldest that the library is built with.
make_cross_tree() {
    [ ! -d "$systems/cross" ] || return 0
    rm -rf "$systems/cross.new"
    make_tree cross.new bookworm "${tools[@]}"
    local tree=$systems/cross.new
    chroot "$tree" dpkg --add-architecture arm64
    chroot "$tree" dpkg --add-architecture i386
    chroot "$tree" apt-get -qq update
    chroot "$tree" apt-get -qq install --no-install-recommends g++-aarch64-linux-gnu \
        g++-i686-linux-gnu qemu-user-static cargo-web rustc-web \
        libstd-rust-web-dev:arm64 libstd-rust-web-dev:i386 >"$systems/cross.log"
    mv "$tree" "$systems/cross"
}

# Builds the library for another architecture; KEEPALIVE_TEST_LIBRARY is then that file.
build_for() { # RUST_TARGET GNU_TARGET
    local source=$systems/cross/libkeepalive linker
    linker=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$1")_LINKER=$2-gcc
    rm -rf "$source/src" "$source/crates"
    mkdir -p "$source/.cargo"
    git ls-files -z Cargo.toml Cargo.lock build.rs layout.ld src crates examples benches README.md docs/library.md |
        xargs -0 cp --parents -t "$source"
    cargo vendor --locked --quiet "$source/vendor" >/dev/null
    printf '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "vendor"\n' \
        >"$source/.cargo/config.toml"
    chroot "$systems/cross" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/root "$linker" \
        sh -c 'cd /libkeepalive && cargo build --release --lib --offline --quiet --target "$0"' "$1"
    export KEEPALIVE_TEST_LIBRARY=$source/target/$1/release/libkeepalive.so
    ls -l "$KEEPALIVE_TEST_LIBRARY"
}

both_suites() {
    cargo test --test black_box --test hostile -- --include-ignored
}

# Of the black-box suite what is about sockets: the rest reads the file or puts the library in
# front of this machine's own programs. qemu takes socket types that the kernel refuses, so the
# comparison of every combination sees sockets there are not.
foreign_suites() {
    cargo test --test hostile -- --include-ignored
    cargo test --test black_box -- --include-ignored \
        sockets:: errors:: second_chance:: last_word:: "$@"
}

for system; do
    echo "== $system"
    start=$SECONDS
    (
        case $system in
        native)
            both_suites
            PROPTEST_CASES=1000000 cargo test --release -p libkeepalive-options --test properties
            ;;
        musl) KEEPALIVE_TEST_SYSTEM=musl both_suites ;;
        bullseye | trixie)
            make_tree "$system" "$system" "${tools[@]}"
            KEEPALIVE_TEST_SYSTEM=$systems/$system both_suites
            ;;
        i386)
            make_cross_tree
            build_for i686-unknown-linux-gnu i686-linux-gnu
            export KEEPALIVE_TEST_SYSTEM=$systems/cross KEEPALIVE_TEST_TARGET=i686-linux-gnu
            foreign_suites
            ;;
        aarch64)
            make_cross_tree
            build_for aarch64-unknown-linux-gnu aarch64-linux-gnu
            export KEEPALIVE_TEST_SYSTEM=$systems/cross KEEPALIVE_TEST_TARGET=aarch64-linux-gnu
            export KEEPALIVE_TEST_EMULATOR=/usr/bin/qemu-aarch64-static
            foreign_suites --skip no_other_socket_differs
            ;;
        *)
            echo "tests/systems/everywhere.sh: $system: unknown" >&2
            exit 2
            ;;
        esac
    )
    echo "== $system took $((SECONDS - start)) s"
done
