#!/usr/bin/env bash
# Walks the paths of five users, each in a system that has only what its user has, with the commands of
# README.md and docs/deploying.md as they stand there, and says how long each took: from the first command
# until the user has seen that a connection is kept.
#
# Usage: tests/systems/paths.sh [PATH...]
#
#   developer  has git, Rust and a C compiler: clones, builds, runs
#   operator   has a service under systemd: the package, a follower, the drop-in, a restart, a look
#   replace    has libkeepalive 0.3 and an LD_PRELOAD line: the package, and the same line
#   container  has podman and an image that is to stay as it is
#   site       has HTTP calls that hang behind a firewall: the package, `measure`, `show`, `run`
#
# Without arguments: all. As root on Debian 12, after packaging/build.sh. CI does not run this: what is
# tried here is tried there by packages.sh and containers.sh, without the clock.
#
# Debian: debootstrap gcc libc6-dev git iproute2 nftables procps systemd-container podman runc catatonit
set -euo pipefail
if [ -z "${KEEPALIVE_OWN_MOUNTS-}" ]; then
    KEEPALIVE_OWN_MOUNTS=1 exec unshare --mount --propagation private "$0" "$@"
fi
cd "$(dirname "$0")/../.."
. tests/systems/trees.sh
. tests/systems/page.sh
. tests/support/firewall.sh
[ $# -gt 0 ] || set -- developer operator replace container site

packages=$PWD/target/packages
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
. tests/systems/inside.sh

expect() { # TEXT OUTPUT
    [[ $2 == *"$1"* ]] || fail "\"$1\" expected, this came: $2"
}

clock() { started=${EPOCHREALTIME/./}; }
took() { # PATH
    local now=${EPOCHREALTIME/./}
    printf '== %s: %d.%d s\n' "$1" $(((now - started) / 1000000)) $(((now - started) / 100000 % 10))
}

typed() { # COMMAND...: shows it and runs it in the system
    printf '$ %s\n' "${*: -1}"
    nsenter --net="${network:-/proc/self/ns/net}" chroot "$root" /usr/bin/env -i HOME=/root COLUMNS=120 \
        PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin "${@:1:$#-1}" sh -ec "${*: -1}" 2>&1
}

packages_into_system() {
    cp "$packages"/*"_$version-1_amd64.deb" "$root/tmp"
}
install_packages() {
    local command
    command=$(documented README.md 'apt install')
    echo "\$ $command"
    inside DEBIAN_FRONTEND=noninteractive sh -ec "cd /tmp; echo y | $command" >"$work/apt.log" 2>&1 ||
        fail "$command: $(tail "$work/apt.log")"
}

# The commands of README.md's first block that builds.
developer() {
    local commands output
    make_tree paths-developer bookworm gcc libc6-dev git ca-certificates
    open_system developer "$systems/paths-developer"
    # This machine's Rust, and the crates that it has fetched.
    cargo fetch --locked --quiet
    mkdir -p "$root"/{rust,cargo/registry}
    mount --bind "$(rustc --print sysroot)" "$root/rust"
    mount --bind "${CARGO_HOME:-$HOME/.cargo}/registry" "$root/cargo/registry"
    git clone --quiet --bare . "$root/repository.git"
    git config --file "$root/root/.gitconfig" safe.directory '*'
    commands=$(awk '/^```sh$/ { inside = 1; block = ""; next }
        /^```$/ { if (inside && index(block, "cargo build")) { printf "%s", block; exit } inside = 0 }
        inside { block = block $0 "\n" }' README.md)
    # A network without a way out, in which the README's server is.
    ip netns add "${namespaces[0]}"
    ip -n "${namespaces[0]}" link set lo up
    echo '127.0.0.1 example.org' >>"$root/etc/hosts"
    nsenter --net="/run/netns/${namespaces[0]}" perl tests/support/broker.pl web 127.0.0.1:80 &
    clock
    output=$(network=/run/netns/${namespaces[0]} typed PATH=/rust/bin:/usr/bin:/bin CARGO_HOME=/cargo CARGO_NET_OFFLINE=true "cd /root; git clone --quiet /repository.git libkeepalive
cd libkeepalive
$commands") || fail "developer: $output"
    echo "$output"
    expect ' on 56s 10s 5 ' "$(tr -s ' ' <<<"$output")"
    took developer
    ip netns pids "${namespaces[0]}" | xargs -r kill
    wait 2>/dev/null || true
    remove_firewall "${namespaces[0]}"
}

operator() {
    open_system operator "$systems/clean-bookworm"
    packages_into_system
    systemd_into_system
    clock
    install_packages
    walk_service
    expect ' on 3m 60s 20 ' "$(seen drop-in)"
    took 'operator (the system boots within this time)'
}

replace() {
    local line='LD_PRELOAD=/usr/lib/libkeepalive.so KEEPIDLE=180 KEEPCNT=20 KEEPINTVL=60 probe socket AF_INET SOCK_STREAM 0 show'
    local on='SO_KEEPALIVE=1 TCP_KEEPCNT=20 TCP_KEEPIDLE=180 TCP_KEEPINTVL=60'
    open_system replace "$systems/clean-bookworm"
    compile_probe_for_glibc "$root/usr/local/bin/probe"
    packages_into_system
    (cd "$work" && apt-get -qq download libkeepalive0) || fail 'libkeepalive0 cannot be had'
    cp "$work"/libkeepalive0_*.deb "$root/tmp"
    inside sh -c 'dpkg --install /tmp/libkeepalive0_*.deb' >/dev/null
    expect "$on" "$(typed "$line")"
    clock
    install_packages
    typed "$line" | tee "$work/replaced"
    expect "$on" "$(cat "$work/replaced")"
    inside dpkg-query --show libkeepalive
    took replace
}

container() {
    local line
    export CONTAINERS_CONF=$PWD/tests/systems/containers.conf
    podman() {
        command podman --root "$work/images" --runroot "$work/run" \
            --tmpdir "$work/tmp" --storage-driver vfs "$@"
    }
    open_system container "$systems/clean-bookworm"
    compile_probe_for_glibc "$root/usr/local/bin/probe"
    umount "$root/proc" "$root/dev"
    tar --create -C "$root" . |
        podman import --quiet --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - docker.io/library/some-image >/dev/null
    mkdir "$work/package"
    cp examples/container/package.Containerfile "$packages"/*-x86_64-linux.tar.gz "$work/package"
    clock
    line=$(documented docs/deploying.md 'docker build -f package.Containerfile --target file')
    echo "\$ ${line/docker/podman}"
    (cd "$work/package" && eval "podman build --quiet --pull=never --network none ${line#docker build}" >/dev/null)
    {
        echo 'FROM some-image'
        block_of_page 'COPY --from=' | sed 's,--from=,&localhost/,'
    } | tee "$work/package/Containerfile"
    (cd "$work/package" && podman build --quiet --pull=never --network none -t mine . >/dev/null)
    line="podman run --rm --network none mine probe socket AF_INET SOCK_STREAM 0 show"
    echo "\$ $line"
    $line | tee "$work/contained"
    expect 'SO_KEEPALIVE=1 TCP_KEEPCNT=20 TCP_KEEPIDLE=180 TCP_KEEPINTVL=60' "$(cat "$work/contained")"
    took container
    find /sys/fs/cgroup -depth -type d \( -name libpod_parent -o -path '*/libpod_parent/*' \) \
        -exec rmdir {} + 2>/dev/null || true
}

# A server that answers an HTTP request after 16 s, and a firewall that forgets after 12.
site() {
    local client=${namespaces[0]} firewall=${namespaces[1]} server=${namespaces[2]} call measured
    open_system site "$systems/clean-bookworm"
    packages_into_system
    make_firewall "$client" "$firewall" "$server" 12
    cat >"$root/usr/local/bin/model" <<'END'
#!/usr/bin/perl
# Answers each request after 16 s, and not a byte before.
use IO::Socket::INET;
$SIG{CHLD} = 'IGNORE';
my $listener = IO::Socket::INET->new(Listen => 99, LocalPort => 8080, ReuseAddr => 1) or die $!;
while (1) {
    my $from = $listener->accept or next;
    next if fork;
    sysread $from, my $request, 9999 or exit;
    sleep 16;
    syswrite $from, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n42\n";
    exit;
}
END
    cat >"$root/usr/local/bin/call" <<'END'
#!/usr/bin/perl
# Calls, and waits for 30 s.
use IO::Socket::INET;
$0 = 'call';
$SIG{ALRM} = sub { print "no answer within 30 s\n"; exit 1 };
my $to = IO::Socket::INET->new('10.77.2.2:8080') or die $!;
syswrite $to, "GET / HTTP/1.1\r\nHost: model\r\n\r\n";
alarm 30;
sysread $to, my $answer, 9999;
print $answer =~ /^(.*)\r/, "\n";
END
    chmod +x "$root"/usr/local/bin/{model,call}
    nsenter --net="/run/netns/$server" chroot "$root" /usr/local/bin/model &
    until nsenter --net="/run/netns/$server" ss -ltn | grep -q ':8080 '; do sleep 0.1; done
    at_client() {
        printf '$ %s\n' "$*"
        nsenter --net="/run/netns/$client" chroot "$root" /usr/bin/env -i COLUMNS=100 \
            PATH=/usr/local/bin:/usr/bin:/bin "$@"
    }
    clock
    at_client call &
    call=$!
    install_packages
    at_client keepalive show call
    ! wait "$call" || fail 'the call is answered without keepalive'
    at_client keepalive measure --max 30s 10.77.2.2:8080 | tee "$work/measured" || true
    measured=$(cat "$work/measured")
    expect 'forg' "$measured"
    at_client keepalive run --idle 5s call | tee "$work/called"
    expect '200 OK' "$(cat "$work/called")"
    took 'site (a call that hangs for 30 s, and one that is answered after 16 s, are within this time)'
    ip netns pids "$server" | xargs -r kill
    wait 2>/dev/null || true
    remove_firewall "${namespaces[@]}"
}

compgen -G "$packages/*-x86_64-linux.tar.gz" >/dev/null || fail 'needs packages: packaging/build.sh makes them'
make_tree clean-bookworm bookworm
for path; do
    case $path in
    developer | operator | replace | container | site) "$path" ;;
    *) fail "$path: unknown" ;;
    esac
done
