# shellcheck shell=bash
# What docs/deploying.md shows, for the scripts of this directory that run it as it stands there: they
# source this file. Commands: `documented docs/deploying.md BEGINNING`.
. tests/support/documented.sh
page=$PWD/docs/deploying.md

block_of_page() { # WHAT IT BEGINS WITH: the block of the page
    sed -n "/^$1/,/^\`\`\`/p" "$page" | sed '$d' | grep . || fail "$page has no block \"$1\""
}
