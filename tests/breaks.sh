#!/bin/bash
# Shows that the tests can fail: each patch in tests/breaks/ puts one fault into a copy of the
# library, and names the suite and the test that must then fail. Root, on Debian 12.
#
# Usage: tests/breaks.sh [NAME...]
#
# KEEPALIVE_TEST_SYSTEM is passed on; the patches for other systems are left out without it.
set -euo pipefail
cd "$(dirname "$0")/.."
copy=$PWD/target/breaks/copy
export CARGO_TARGET_DIR=$PWD/target/breaks/target RUST_BACKTRACE=0
if [ $# -eq 0 ]; then
    patches=(tests/breaks/*.patch)
    patches=("${patches[@]##*/}")
    set -- "${patches[@]%.patch}"
fi

caught=0 missed=0 left_out=0
for name; do
    patch=$PWD/tests/breaks/$name.patch
    read -r suite test < <(sed -n 's/^Caught by: //p' "$patch")
    system=$(sed -n 's/^System: //p' "$patch")
    if [ -n "$system" ] && [ -z "${KEEPALIVE_TEST_SYSTEM:-}" ]; then
        echo "$name: left out, needs $system"
        left_out=$((left_out + 1))
        continue
    fi
    # A new copy each time, with new times: cargo then builds what has been restored, too.
    rm -rf "$copy"
    mkdir -p "$copy"
    git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy"
    patch --quiet --fuzz=0 --no-backup-if-mismatch -d "$copy" -p1 <"$patch"
    output=$(cd "$copy" && cargo test --quiet --workspace --test "$suite" -- --include-ignored --exact "$test" 2>&1) || true
    if grep -q '^test result: FAILED. 0 passed; 1 failed' <<<"$output" \
        && ! grep -q 'the release build failed' <<<"$output"; then
        echo "$name: caught by $test"
        caught=$((caught + 1))
    else
        echo "$name: NOT caught by $test"
        missed=$((missed + 1))
        tail -n 20 <<<"$output"
    fi
done
rm -rf "$copy"
echo "$caught caught, $missed missed, $left_out left out"
[ "$missed" -eq 0 ]
