#!/bin/bash
# The container commands of docs/deploying.md by Docker itself, as tests/systems/containers.sh does them by
# podman in CI. The daemon is this script's own: its files are below target/docker, it has no bridge and
# reaches no registry, and it ends with the script. Needs what packaging/build.sh makes. Root, on Debian 12.
#
# Debian: docker.io debootstrap musl musl-tools busybox-static
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/systems/trees.sh
. tests/systems/page.sh
root=$PWD/target/docker
export DOCKER_HOST=unix://$root/socket DOCKER_BUILDKIT=0
packages=$PWD/target/packages
show=(/probe socket AF_INET SOCK_STREAM 0 show)
on='SO_KEEPALIVE=1 TCP_KEEPCNT=20 TCP_KEEPIDLE=180 TCP_KEEPINTVL=60 TCP_USER_TIMEOUT=0'
follower=
groups=()
for group in /sys/fs/cgroup /sys/fs/cgroup/*/; do
    [ ! -e "$group/cgroup.procs" ] || [ -e "$group/docker" ] || groups+=("$group/docker")
done

fail() {
    printf 'tests/systems/docker.sh: %s\n' "$*" >&2
    exit 1
}
expect() { # WHAT FOUND: it has the values in it
    [[ $2 == *"$3"* ]] || fail "$1: '$2', not '$3'"
    printf '%4d s  %s: %s\n' "$SECONDS" "$1" "$3"
}
cleanup() {
    trap - EXIT
    [ -z "$follower" ] || kill "$follower" 2>/dev/null || true
    docker ps --all --quiet 2>/dev/null | xargs -r docker rm --force >/dev/null 2>&1 || true
    if [ -e "$root/pid" ]; then
        kill "$(cat "$root/pid")" 2>/dev/null || true
        for _ in $(seq 100); do
            [ -e "$root/pid" ] || break
            sleep 0.1
        done
    fi
    findmnt -rno TARGET | { grep -F "$root/" || true; } | sort -r | xargs -r umount -l
    rm -rf --one-file-system "$root"
    # The parent groups of its containers, but for those that were there before.
    rmdir "${groups[@]}" 2>/dev/null || true
}

[ "$(id -u)" = 0 ] || fail 'needs root'
compgen -G "$packages/*-x86_64-linux.tar.gz" >/dev/null || fail 'needs packages: packaging/build.sh makes them'
! [ -e "$root" ] || cleanup
trap cleanup EXIT
trap 'exit 1' INT TERM
mkdir -p "$root/package" "$root/alpine"/{bin,lib,usr/local/lib}

# (It keeps runc's control groups in /docker, whatever this machine's systemd has.)
dockerd --data-root "$root/data" --exec-root "$root/exec" --pidfile "$root/pid" --host "$DOCKER_HOST" \
    --iptables=false --ip-forward=false --bridge=none --storage-driver vfs >"$root/log" 2>&1 &
for _ in $(seq 300); do
    ! docker version >/dev/null 2>&1 || break
    sleep 0.1
done
docker version --format 'docker {{.Client.Version}}, its daemon {{.Server.Version}}' || fail "dockerd: $(tail "$root/log")"

# In place of the images that would be pulled.
make_tree clean-bookworm bookworm
compile_probe_for_glibc "$root/probe-glibc"
musl-gcc -o "$root/probe-musl" tests/hosts/probe.c
musl-gcc -static -o "$root/package/broker" crates/command/tests/hosts/target_static.c
cp -L /lib/ld-musl-x86_64.so.1 "$root/alpine/lib/"
cp /bin/busybox "$root/alpine/bin/"
for name in sh sleep; do ln -s busybox "$root/alpine/bin/$name"; done
import() { # TREE NAME
    tar --create --one-file-system --exclude=./var/cache --exclude=./var/lib/apt -C "$1" . |
        docker import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' - "$2" >/dev/null
}
import "$root/alpine" alpine:3
import "$systems/clean-bookworm" debian:12

cp examples/container/package.Containerfile "$packages"/*-x86_64-linux.tar.gz "$packages"/libkeepalive_*-1_amd64.deb \
    "$root/package"
look() { # IMAGE C-LIBRARY
    docker run --rm --network none -v "$root/probe-$2:/probe:ro" "$1" "${show[@]}" 2>&1
}
build() { # COMMAND of the page
    (cd "$root/package" && eval "$1 --network none") >"$root/build.log" 2>&1 || fail "$1: $(tail -n 20 "$root/build.log")"
}

build "$(documented docs/deploying.md 'docker build -f package.Containerfile --target file')"
{
    echo 'FROM alpine:3'
    block_of_page 'COPY --from='
} >"$root/package/from-tarball"
build 'docker build -f from-tarball -t from-tarball .'
expect 'the file from the tarball, on musl' "$(look from-tarball musl)" "$on"
{
    echo 'FROM debian:12'
    block_of_page 'COPY libkeepalive_'
} >"$root/package/from-deb"
build 'docker build -f from-deb -t from-deb .'
expect 'the .deb, on Debian 12' "$(look from-deb glibc)" "$on"
build 'docker build -f package.Containerfile -t on-top .'
expect 'on top of Debian 12' "$(look on-top glibc)" "$on"

line=$(documented docs/deploying.md 'docker run -v')
line=${line/docker run/docker run --rm --network none -v "$root/probe-musl":/probe:ro}
line=${line/\/usr\/lib\/libkeepalive.so/$packages/tree/lib/libkeepalive.so.0}
expect 'docker run -v -e' "$(eval "${line/some-image/alpine:3 ${show[*]}}" 2>&1)" "$on"

# A static program, followed from the host, and looked at from the host and from a container beside it.
container=$(docker run --detach --network none -v "$root/package/broker:/bin/broker:ro" --user 1000:1000 alpine:3 \
    sh -c 'while sleep 0.3; do echo connect; done | exec broker')
with_id() { # COMMAND of the page
    local command=${1//4f1c2d3e5a6b/${container:0:12}}
    echo "${command/#keepalive/$packages/tree/bin/keepalive}"
}
line=$(with_id "$(documented docs/deploying.md 'keepalive attach --follow')")
$line >"$root/follower.log" 2>&1 &
follower=$!
line=$(with_id "$(documented docs/deploying.md 'keepalive show --all 4f')")
for _ in $(seq 100); do
    found=$(eval "$line" 2>&1 | tr -s ' ' || true)
    [[ $found != *' on 56s 10s 5 '* ]] || break
    sleep 0.1
done
expect 'keepalive attach --follow, show' "$found" ' on 56s 10s 5 '
build "$(documented docs/deploying.md 'docker build -f package.Containerfile --target command')"
line=$(with_id "$(documented docs/deploying.md 'docker run --rm --pid=container')")
expect 'keepalive show from a container beside it' "$(eval "$line" 2>&1 | tr -s ' ')" ' on 56s 10s 5 '
echo "done in $SECONDS s"
