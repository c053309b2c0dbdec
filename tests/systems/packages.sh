#!/usr/bin/env bash
# Builds the packages, installs them in systems that have nothing else, lives the founding story
# there, and removes them again.
#
# Usage: tests/systems/packages.sh [SYSTEM...]
#
#   bookworm  the .deb by apt on Debian 12, in the place of libkeepalive0; the drop-in and the
#             follower under systemd
#   bullseye  the .deb by apt on Debian 11 (glibc 2.31), in the place of libkeepalive0
#   rpm       the .rpm by rpm(8) on a Debian 12 whose loader looks in /usr/lib64: no system that is
#             rpm's own can be had from Debian's packages
#   tarball   the tarball's install.sh on Debian 12, to /usr/local and to a prefix
#   musl      the tarball's files in a system of musl, busybox and nothing else
#   mixed     64-bit and 32-bit .deb beside each other; needs what everywhere.sh i386 makes
#   lint      lintian and rpmlint, and the same packages from a second build
#
# Without arguments: all but mixed. As root on Debian 12. The systems are those of
# tests/systems/trees.sh; what is done in them stays in memory and is gone at the end.
#
# Debian: gcc libc6-dev git debootstrap musl-tools busybox-static rpm lintian rpmlint man-db
# iproute2 nftables procps systemd-container
set -euo pipefail
# Mounts, and network namespaces with names, are this script's alone and end with it.
if [ -z "${KEEPALIVE_OWN_MOUNTS-}" ]; then
    KEEPALIVE_OWN_MOUNTS=1 exec unshare --mount --propagation private "$0" "$@"
fi
cd "$(dirname "$0")/../.."
. tests/systems/trees.sh
. tests/support/documented.sh
. tests/support/firewall.sh
[ $# -gt 0 ] || set -- bookworm bullseye rpm tarball musl lint

packages=$PWD/target/packages
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
. tests/systems/inside.sh

expect() { # WHAT TEXT COMMAND...: the command's output has that text in it
    local output
    output=$("${@:3}" 2>&1) || fail "$1: failed: $output"
    [[ $output == *"$2"* ]] || fail "$1: \"$2\" expected, this came: $output"
}

expect_nothing() { # WHAT COMMAND...: the command succeeds and says nothing
    local output
    output=$("${@:2}" 2>&1) || fail "$1: failed: $output"
    [ -z "$output" ] || fail "$1: $output"
}

# Every file of the system, but for what package managers and the loader keep in their own places.
files() {
    (cd "$root" && find . -xdev \( -path ./var/lib/dpkg -o -path ./var/lib/apt -o -path ./var/lib/rpm \
        -o -path ./var/cache -o -path ./var/log -o -path ./etc/ld.so.cache -o -path ./tmp \) -prune -o -printf '%p %y %m %l\n' | sort)
}

# What a new socket has: without the library, with KEEPIDLE=180, and under `run --idle 180`.
probe=probe
look() { inside "$@" "$probe" socket AF_INET SOCK_STREAM 0 show; }
off='SO_KEEPALIVE=0 TCP_KEEPCNT=9 TCP_KEEPIDLE=7200 '
on='SO_KEEPALIVE=1 TCP_KEEPCNT=9 TCP_KEEPIDLE=180 '
run_on='SO_KEEPALIVE=1 TCP_KEEPCNT=127 TCP_KEEPIDLE=180 TCP_KEEPINTVL=45 '

names_that_load() { # LD_PRELOAD...
    local name
    expect "without the library" "$off" look
    for name; do
        expect "LD_PRELOAD=$name" "$on" look LD_PRELOAD="$name" KEEPIDLE=180
    done
    expect "keepalive run" "$run_on" look keepalive run --idle 180
}

# The founding story, with what is installed in the system: two brokers behind a firewall that
# forgets after three seconds, one as it is and one with the library.
story() { # LD_PRELOAD
    local client=${namespaces[0]} firewall=${namespaces[1]} server=${namespaces[2]} answers
    # The command finds a name on the whole machine, where this may run twice.
    local plain=plain-$$ kept=kept-$$
    make_firewall "$client" "$firewall" "$server" 3
    # (Not `ip netns exec`, which would give each program mounts of its own, and show other paths.)
    local serve=(nsenter --net="/run/netns/$server" chroot "$root" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin)
    type() {
        printf '$ %s\n' "$*"
        "${serve[@]}" COLUMNS=100 "$@"
    }
    cp tests/support/{broker,clients}.pl "$root/tmp"
    "${serve[@]}" perl /tmp/broker.pl "$plain" 10.77.2.2:5672 &
    "${serve[@]}" LD_PRELOAD="$1" KEEPIDLE=1 KEEPINTVL=1 KEEPCNT=3 perl /tmp/broker.pl "$kept" 10.77.2.2:5673 &
    sleep 0.7
    coproc CLIENTS { exec nsenter --net="/run/netns/$client" chroot "$root" perl /tmp/clients.pl 10.77.2.2:567{2,2,2,3,3,3} 2>&1; }
    local from=${CLIENTS[0]} to=${CLIENTS[1]}
    read -rt 9 answers <&"$from" || fail "the clients say nothing"
    [ "$answers" = connected ] || fail "the clients: $answers"
    sleep 8
    echo 6 >&"$to"
    answers=$(for _ in 1 2 3 4 5 6; do read -rt 9 answers <&"$from" && echo "$answers"; done) ||
        fail "the clients say no more"
    echo "# Idle for eight seconds, behind a firewall that forgets after three; then the clients ask again:"
    sort <<<"$answers" | uniq -c
    [ "$(grep -c '5672: no answer' <<<"$answers")" = 3 ] || fail "the plain broker should not be reached"
    [ "$(grep -c '5673: answered' <<<"$answers")" = 3 ] || fail "the kept broker should answer"
    type keepalive show "$plain" "$kept"
    echo "# The clients lose their network:"
    ip -n "$client" link set eth0 down
    sleep 6
    expect "the plain broker keeps dead connections" "3 connections: all off" "${serve[@]}" keepalive show "$plain"
    expect "the kept broker has closed them" "0 connections" "${serve[@]}" keepalive show "$kept"
    type keepalive attach --idle 1s --interval 1s --count 3 "$plain"
    sleep 6
    type keepalive show "$plain"
    expect "attach ended them" "0 connections" "${serve[@]}" keepalive show "$plain"
    {
        ip netns pids "$server" | xargs kill
        ip netns pids "$client" | xargs kill
        wait
    } 2>/dev/null
    remove_firewall "${namespaces[@]}"
}

# The path of a service, as docs/deploying.md has it, under a real systemd: the follower of the package, the
# drop-in where the package has it, and `run`.
drop_in() {
    systemd_into_system
    walk_service
    expect "the drop-in" " on 3m 60s 20 " seen drop-in
    expect "the follower" " on 45s 45s 127 " seen follower
    expect "keepalive run in ExecStart=" " on 90s 45s 127 " seen run
}

# The library's packages of a version before this one, into the directory `older`.
older_packages() {
    local target
    target=$(rustc -vV | sed -n 's/^host: //p')
    older=$work/older
    [ ! -d "$older" ] || return 0
    mkdir "$older"
    PATH=$PWD/target/tools/bin:$PATH
    cargo deb --quiet --package libkeepalive --no-build --no-strip --target "$target" --multiarch same \
        --deb-version 0.9.0-1 --output "$older/" >/dev/null
    cargo generate-rpm --target "$target" --set-metadata 'version = "0.9.0"' --output "$older/"
}

deb() { # RELEASE
    open_system "$1" "$systems/clean-$1"
    compile_probe_for_glibc "$root/bin/probe"
    local before removed
    before=$(files)
    # Debian 12's, on both: it needs no later C library.
    (cd "$work" && apt-get -qq download libkeepalive0) || fail "libkeepalive0 cannot be had"
    cp "$work"/libkeepalive0_*.deb "$packages"/*"_$version-1_"*.deb "$root/tmp"
    inside sh -c 'dpkg --install /tmp/libkeepalive0_*.deb' >/dev/null
    expect "libkeepalive 0.3" "$on" look LD_PRELOAD=/usr/lib/libkeepalive.so KEEPIDLE=180
    local install
    install=$(documented README.md 'apt install')
    echo "$ $install"
    removed=$(inside sh -c "cd /tmp && echo y | $install" 2>&1) || fail "$install: $removed"
    grep -E '^(Removing|Setting up)' <<<"$removed"
    grep -q '^Removing libkeepalive0' <<<"$removed" || fail "libkeepalive0 stays: $removed"
    expect_nothing "what was installed is there" inside dpkg --verify libkeepalive keepalive
    # Its own names, and those with which libkeepalive0 was called.
    names_that_load libkeepalive.so '/usr/$LIB/libkeepalive.so' libkeepalive.so.0 /usr/lib/libkeepalive.so \
        /usr/lib/libkeepalive.so.0
    inside sh -c 'echo "/usr/\$LIB/libkeepalive.so" >/etc/ld.so.preload'
    expect "/etc/ld.so.preload" "$on" look KEEPIDLE=180
    rm "$root/etc/ld.so.preload"
    story libkeepalive.so
    inside sh -c 'apt-get -qq purge -y keepalive' >/dev/null 2>&1
    older_packages
    cp "$older"/*.deb "$root/tmp"
    # (apt's own copy of dpkg's state may be of this second too, and is then taken for the newest.)
    inside sh -c 'dpkg --install /tmp/libkeepalive_0.9.0-1_*.deb; rm -f /var/cache/apt/*.bin' >/dev/null 2>&1
    expect "an upgrade" "Unpacking libkeepalive:amd64 ($version-1) over (0.9.0-1)" \
        inside sh -c "cd /tmp && echo y | $install"
    inside sh -c 'apt-get -qq purge -y libkeepalive keepalive' >/dev/null 2>&1
    diff <(echo "$before") <(files) || fail "$1: the packages leave something behind"
    [ "$1" != bookworm ] || {
        inside sh -c "cd /tmp && echo y | $install" >/dev/null 2>&1
        drop_in
    }
}

rpm_packages() {
    open_system rpm "$systems/clean-bookworm"
    compile_probe_for_glibc "$root/bin/probe"
    echo /usr/lib64 >"$root/etc/ld.so.conf.d/lib64.conf"
    # Directories that the system itself has there.
    mkdir -p "$root"/var/lib/rpm "$root"/usr/lib64 "$root"/usr/share/{fish/vendor_completions.d,zsh/site-functions}
    local before
    before=$(files)
    # Its database knows nothing, so of what the packages require only the C library is left out.
    local install
    install=$(documented README.md 'rpm --upgrade')
    echo "$ $install"
    # Over an older one.
    older_packages
    rpm --root "$root" --dbpath /var/lib/rpm --nodeps --install "$older"/*.rpm
    (cd "$packages" && ${install/rpm/rpm --root "$root" --dbpath /var/lib/rpm --nodeps})
    expect "what is required" "libc.so.6()(64bit)" rpm -qp --requires "$packages"/libkeepalive-"$version"-1.x86_64.rpm
    expect_nothing "what was installed is there" rpm --root "$root" --dbpath /var/lib/rpm --verify --nodeps libkeepalive keepalive
    names_that_load /usr/lib64/libkeepalive.so libkeepalive.so.0
    # A loader of rpm's world looks there by itself.
    expect "a name without a path" "$on" look LD_LIBRARY_PATH=/usr/lib64 LD_PRELOAD=libkeepalive.so KEEPIDLE=180
    story /usr/lib64/libkeepalive.so
    rpm --root "$root" --dbpath /var/lib/rpm --erase keepalive libkeepalive
    diff <(echo "$before") <(files) || fail "the rpm packages leave something behind"
}

# A prefix to which others may write, and in which something else has the library's name.
unfriendly_prefix() { # NAME of the unpacked directory
    local local=$root/usr/local
    echo precious >"$root/tmp/precious"
    ln -s /tmp/precious "$local/bin/keepalive.new"
    mkdir "$local/lib/libkeepalive.so.0.new"
    inside sh -exc "mkdir -p /tmp/elsewhere/$1; cd /tmp; export CDPATH=/tmp/elsewhere; $1/install.sh"
    expect "a link of somebody's is not followed" precious cat "$root/tmp/precious"
    names_that_load /usr/local/lib/libkeepalive.so
    rm "$local/lib/libkeepalive.so"
    echo "somebody's" >"$local/lib/libkeepalive.so"
    expect "what is somebody's stays" "libkeepalive.so stays" \
        sh -c "chroot '$root' '/tmp/$1/install.sh' --uninstall 2>&1"
    expect "what is somebody's stays" "somebody's" cat "$local/lib/libkeepalive.so"
    expect "a directory of the library's name" "is a directory" sh -c "
        rm '$local/lib/libkeepalive.so'; mkdir '$local/lib/libkeepalive.so'
        ! chroot '$root' '/tmp/$1/install.sh' 2>&1"
    expect_nothing "and nothing was installed" find "$local/bin" -name keepalive
    rm -r "$local/bin/keepalive.new" "$local"/lib/libkeepalive.so{,.0.new} "$root"/tmp/{precious,elsewhere}
    expect "a prefix that LD_PRELOAD cannot name" "LD_PRELOAD cannot name" \
        sh -c "! PREFIX='/opt/a b' chroot '$root' '/tmp/$1/install.sh' 2>&1"
}

tarball() {
    open_system tarball "$systems/clean-bookworm"
    compile_probe_for_glibc "$root/bin/probe"
    local before prefix name=libkeepalive-$version-x86_64-linux
    cp "$packages/$name.tar.gz" "$root/tmp"
    before=$(files)
    # Unpacked by somebody whose files are nobody else's.
    inside sh -exc "cd /tmp; $(documented README.md 'tar xzf'); chmod -R go= $name; $(documented README.md 'libkeepalive-')"
    expect_nothing "everybody may read it" \
        find "$root"/usr/local/{bin,lib,share/doc,share/man}/ ! -type l ! -perm -444 -o -type d ! -perm -555
    names_that_load libkeepalive.so libkeepalive.so.0
    for prefix in /usr/local /opt/keepalive; do
        inside PREFIX="$prefix" "/tmp/$name/install.sh"
        names_that_load "$prefix/lib/libkeepalive.so"
        inside PREFIX="$prefix" "/tmp/$name/install.sh" --uninstall
        diff <(echo "$before") <(files) || fail "the tarball leaves something behind in $prefix"
    done
    unfriendly_prefix "$name"
    diff <(echo "$before") <(files) || fail "the tarball leaves something behind in an unfriendly prefix"
    inside DESTDIR=/tmp/stage PREFIX=/usr LIBDIR=/usr/lib64 "/tmp/$name/install.sh"
    [ -f "$root/tmp/stage/usr/lib64/libkeepalive.so" ] || fail "DESTDIR and LIBDIR"
    inside DESTDIR=/tmp/stage PREFIX=/usr LIBDIR=/usr/lib64 "/tmp/$name/install.sh" --uninstall
    expect_nothing "--uninstall with DESTDIR" find "$root/tmp/stage" ! -type d
}

musl() {
    local tree=$work/musl-tree name=libkeepalive-$version-x86_64-linux
    mkdir -p "$tree"/{bin,lib,proc,dev,tmp,usr/bin,usr/local/bin,usr/local/lib,usr/local/share/man}
    cp /lib/ld-musl-x86_64.so.1 "$tree/lib/"
    cp /bin/busybox "$tree/bin/"
    ln -s busybox "$tree/bin/sh"
    ln -s ../../bin/busybox "$tree/usr/bin/env"
    open_system musl "$tree"
    for applet in cat chmod cksum cp dirname find grep id install mkdir mktemp mv readlink rm rmdir sed; do ln -s busybox "$root/bin/$applet"; done
    musl-gcc -o "$root/bin/probe" tests/hosts/probe.c
    tar --extract --file "$packages/$name.tar.gz" --directory "$root/tmp"
    local before
    before=$(files)
    inside "/tmp/$name/install.sh"
    expect "without the library" "$off" look
    # musl looks in /usr/local/lib.
    expect "LD_PRELOAD on musl" "$on" look LD_PRELOAD=libkeepalive.so KEEPIDLE=180
    expect "keepalive run on musl" "$run_on" look keepalive run --idle 180
    expect "keepalive show on musl" "tcp_keepalive_time" inside keepalive show
    inside "/tmp/$name/install.sh" --uninstall
    diff <(echo "$before") <(files) || fail "the tarball leaves something behind on musl"
}

mixed() {
    local cross=$systems/cross/libkeepalive/target/i686-unknown-linux-gnu/release/libkeepalive.so
    [ -e "$cross" ] || fail "mixed needs the library for i686: tests/systems/everywhere.sh i386 makes it"
    packaging/build.sh --library "$cross" i686 >/dev/null
    open_system mixed "$systems/clean-bookworm"
    inside dpkg --add-architecture i386
    inside sh -c 'apt-get -qq update && apt-get -qq install --no-install-recommends libc6:i386' >"$work/libc6.log" 2>&1 ||
        fail "libc6:i386: $(tail "$work/libc6.log")"
    compile_probe_for_glibc "$root/bin/probe64"
    compile_probe "$root/bin/probe32" cross i686-linux-gnu-gcc
    cp "$packages"/*"_$version-1_"*.deb "$root/tmp"
    inside sh -c 'apt-get -qq install -y /tmp/libkeepalive_*_amd64.deb /tmp/libkeepalive_*_i386.deb /tmp/keepalive_*.deb' >/dev/null 2>&1 ||
        fail "the 64-bit and the 32-bit package do not go together"
    local probe
    for probe in probe64 probe32; do
        expect "$probe without the library" "$off" look
        expect "$probe, by name" "$on" look LD_PRELOAD=libkeepalive.so KEEPIDLE=180
        expect "$probe, by \$LIB" "$on" look 'LD_PRELOAD=/usr/$LIB/libkeepalive.so' KEEPIDLE=180
    done
    inside sh -c 'echo "/usr/\$LIB/libkeepalive.so" >/etc/ld.so.preload'
    for probe in probe64 probe32; do
        expect "$probe, /etc/ld.so.preload" "$on" look KEEPIDLE=180
    done
}

lint() {
    # (mixed may have been here.)
    packaging/build.sh >/dev/null
    lintian --allow-root --fail-on error,warning "$packages"/*_amd64.deb
    rpmlint --config packaging/rpmlint.toml "$packages"/*.rpm
    cp "$packages/SHA256SUMS" "$work"
    packaging/build.sh >/dev/null
    diff "$work/SHA256SUMS" "$packages/SHA256SUMS" || fail "a second build makes other packages"
    ! strings --all "$packages/tree/bin/keepalive" | grep -F -e "$PWD" -e "${CARGO_HOME:-$HOME/.cargo}" ||
        fail "the command has paths of this machine in it"
}

packaging/build.sh
for system; do
    echo "== $system"
    start=$SECONDS
    case $system in
    bookworm | bullseye)
        make_tree "clean-$system" "$system"
        deb "$system"
        ;;
    rpm)
        make_tree clean-bookworm bookworm
        rpm_packages
        ;;
    tarball)
        make_tree clean-bookworm bookworm
        tarball
        ;;
    mixed)
        make_tree clean-bookworm bookworm
        mixed
        ;;
    musl | lint) "$system" ;;
    *) fail "$system: unknown" ;;
    esac
    echo "== $system took $((SECONDS - start)) s"
done
