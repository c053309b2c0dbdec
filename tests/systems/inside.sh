# shellcheck shell=bash
# Work in copies of the systems of trees.sh: scripts source this file, after that and
# tests/support/firewall.sh, in mounts of their own. What is done stays in memory and is gone at the end.
script=$(basename "$0")
tag=${script%.sh}-$$
namespaces=("$tag-client" "$tag-firewall" "$tag-server")
groups=()
work=$(mktemp -d)
mount -t tmpfs tmpfs "$work"

clean_up() {
    local namespace
    for namespace in "${namespaces[@]}"; do
        ip netns pids "$namespace" 2>/dev/null | xargs -r kill -KILL || true
    done
    remove_firewall "${namespaces[@]}"
    [ ${#groups[@]} -eq 0 ] || find "${groups[@]}" -depth -type d -exec rmdir {} + 2>/dev/null || true
    umount --recursive --lazy "$work"
    rmdir "$work"
}
trap clean_up EXIT

fail() {
    echo "tests/systems/$script: $1" >&2
    exit 1
}

# A copy of a system, as it was made; what is written goes to memory.
open_system() { # NAME TREE
    root=$work/$1/root
    mkdir -p "$work/$1"/{upper,work,root}
    mount -t overlay overlay -o "lowerdir=$2,upperdir=$work/$1/upper,workdir=$work/$1/work" "$root"
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
}

inside() { chroot "$root" /usr/bin/env -i PATH=/opt/keepalive/bin:/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin HOME=/root "$@"; }

# A systemd, and the services of tests/systems/packages.
systemd_into_system() {
    inside DEBIAN_FRONTEND=noninteractive sh -c 'apt-get -qq update && apt-get -qq install --no-install-recommends systemd systemd-sysv' >"$work/systemd.log" 2>&1 ||
        fail "systemd: $(tail "$work/systemd.log")"
    cp tests/support/broker.pl "$root/usr/local/bin/broker"
    cp tests/systems/packages/walk.sh "$root/usr/local/bin/walk"
    cp tests/support/documented.sh "$root/usr/local/bin/"
    cp tests/systems/packages/{kafka,run,walk}.service "$root/etc/systemd/system"
}

# Boots the system, walks there the path of a service in docs/deploying.md, and shows what was seen.
walk_service() {
    # systemd-nspawn leaves control groups behind: they are made inside of these.
    local group
    for group in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
        [ ! -e "$group/cgroup.procs" ] || groups+=("$group/$tag")
    done
    umount "$root/proc" "$root/dev"
    mkdir "${groups[@]}"
    (
        for group in "${groups[@]}"; do echo "$BASHPID" >"$group/cgroup.procs"; done
        timeout 60 systemd-nspawn --quiet --directory="$root" --boot --private-network --register=no --keep-unit \
            --system-call-filter=pidfd_getfd \
            --console=pipe systemd.unit=walk.service </dev/null >"$work/boot.log" 2>&1
    ) || fail "systemd: $(tail -n 20 "$work/boot.log")"
    cat "$root/seen"
}

seen() { # WHEN: what was seen at that station of the walk, each run of blanks as one
    sed -n "/^# $1\$/,/^# /p" "$root/seen" | tr -s ' '
}
