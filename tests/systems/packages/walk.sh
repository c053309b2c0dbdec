#!/bin/sh
# Walks the path of a service in docs/deploying.md, where the packages are installed and systemd runs.
# The commands are those of the page that is installed with them, as they stand there.
set -eu
cd /usr/share/doc/libkeepalive
# shellcheck source=tests/support/documented.sh
. /usr/local/bin/documented.sh

run() { # COMMANDS
    echo "$1" | sed 's/^[^ ]/$ &/'
    sh -ec "$1"
}

look() { # WHAT
    echo "# $1"
    until keepalive show --all kafka.service | grep -q '^3 *LISTEN'; do sleep 0.1; done
    run "$(documented docs/deploying.md 'keepalive show --all kafka')"
}

look bare
run "$(documented docs/deploying.md 'systemctl enable --now keepalive-follow@kafka')"
look follower
run "$(documented docs/deploying.md 'install -D')"
run "$(documented docs/deploying.md 'systemctl daemon-reload')"
run "$(documented docs/deploying.md 'systemctl disable --now')"
run "$(documented docs/deploying.md 'systemctl restart kafka')"
look drop-in
echo '# run'
until keepalive show --all run.service | grep -q '^3 *LISTEN'; do sleep 0.1; done
keepalive show --all run.service
