# shellcheck shell=bash
# Small systems to test in, for the scripts of this directory: they source this file.
#
# They are made by debootstrap below KEEPALIVE_SYSTEMS (default: target/systems), once; remove the
# directory to be rid of them. Root; Debian: debootstrap.
systems=${KEEPALIVE_SYSTEMS:-$PWD/target/systems}
mkdir -p "$systems"

# What the suites compile and trace their programs with.
tools=(g++ libc6-dev strace)

# A Debian release, under a name that appears only when it is complete: debootstrap's smallest, or
# with packages a copy of that, in which they are installed.
make_tree() { # NAME RELEASE [PACKAGE...]
    local tree=$systems/$1.part
    [ ! -d "$systems/$1" ] || return 0
    rm -rf "$tree"
    if [ $# -eq 2 ]; then
        debootstrap --variant=minbase "$2" "$tree" >"$systems/$1.log"
    else
        make_tree "clean-$2" "$2"
        cp -a "$systems/clean-$2" "$tree"
        chroot "$tree" apt-get -qq update
        chroot "$tree" env DEBIAN_FRONTEND=noninteractive \
            apt-get -qq install --no-install-recommends "${@:3}" >"$systems/$1.log" 2>&1
    fi
    mv "$tree" "$systems/$1"
}

# The program that shows what a new socket has: `probe socket AF_INET SOCK_STREAM 0 show`.
compile_probe() { # FILE TREE COMPILER
    chroot "$systems/$2" "$3" -o /tmp/probe -x c - <tests/hosts/probe.c
    mv "$systems/$2/tmp/probe" "$1"
}

# Compiled on the oldest glibc, it runs on every other.
compile_probe_for_glibc() { # FILE
    make_tree bullseye bullseye "${tools[@]}"
    compile_probe "$1" bullseye gcc
}
