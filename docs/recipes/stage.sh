#!/usr/bin/env bash
# stage.sh TAG DIRECTORY SCENE: plays one scene of scenes.sh and prints its transcript. The network
# namespaces are TAG-client, TAG-firewall and TAG-server; DIRECTORY is for files, and ../bin of it has
# the command. Called by record_recipes.sh, in namespaces of its own for processes, mounts and control
# groups: `keepalive show` finds the scene's processes alone, and `cover --all` takes in nothing else.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
# shellcheck source=tests/support/firewall.sh
. "$here/../../tests/support/firewall.sh"
# shellcheck source=docs/recipes/scenes.sh
. "$here/scenes.sh"

bed() { # SECONDS: after which the firewall forgets
    make_firewall "$tag-client" "$tag-firewall" "$tag-server" "$1"
}
at() { # END COMMAND: the programs of docs/recipes and the command are at hand
    # (ip netns exec would mount another /sys.)
    nsenter --net="/run/netns/$tag-$1" env --chdir="$here" PATH="$PATH" bash -c "$2" 2>&1
}
say() { # LINE...
    printf '# %s\n' "$@"
}
begin() { # END COMMAND: now, to be shown by `finish`
    begun+=("$1" "$2")
    at "$1" "$2" >"$directory/${#begun[@]}" &
    pids[${#begun[@]}]=$!
}
look() { # END COMMAND: as begin, and wait until it has ended
    begin "$1" "$2"
    wait "${pids[-1]}" || true
}
finish() { # the first that is not yet shown
    shown=$((shown + 2))
    wait "${pids[shown]}" || true
    printf '%s$ %s\n' "${begun[shown - 2]}" "${begun[shown - 1]}"
    cat "$directory/$shown"
    echo
}
together() { # END COMMAND [END COMMAND]...
    local last
    while [ $# -gt 0 ]; do
        begin "$1" "$2"
        shift 2
    done
    last=${#begun[@]}
    while [ "$shown" -lt "$last" ]; do finish; done
}
type() { # END COMMAND
    together "$1" "$2"
}
vanish() { # END: as if it had lost its power
    ip -n "$tag-$1" link set eth0 down
}
start() { # END COMMAND: beside, not shown
    at "$1" "$2" >/dev/null &
}
wait_for() { # END COMMAND: until it succeeds
    local try
    for try in {1..200}; do
        if at "$1" "$2" >/dev/null; then return; fi
        sleep 0.1
    done
    echo "not within $((try / 10)) s: $2" >&2
    exit 1
}
wait_for_port() { # END PORT: until somebody listens there
    wait_for "$1" "ss -tlnH 'sport = :$2' | grep -q ."
}
wait_for_connections() { # END PORT NUMBER: until there are as many, there or from there
    wait_for "$1" "[ \$(ss -tnH 'sport = :$2 or dport = :$2' | wc -l) = $3 ]"
}

tag=$1 directory=$2
begun=() pids=() shown=0
mount --bind "$directory/../bin" /opt
PATH=/opt:$PATH
umount --recursive /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
"scene_$3"
