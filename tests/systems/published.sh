#!/usr/bin/env bash
# Tests each crate as its users get it: from the file that would be published, which has nothing of
# the repository beside it.
#
# Usage: tests/systems/published.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
# The properties are tried on many cases elsewhere.
export CARGO_TARGET_DIR=$PWD/target PROPTEST_CASES=100
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT

rm -rf target/published
cargo package --workspace --no-verify --allow-dirty --quiet --target-dir target/published
for crate in target/published/package/*.crate; do
    tar -C "$unpacked" -xf "$crate"
done

# They depend on one another, and need not be published yet.
beside=()
for package in "$unpacked"/*; do
    name=${package##*/}
    beside+=(--config "patch.crates-io.${name%-*}.path='$package'")
done
for package in "$unpacked"/*; do
    echo "${package##*/}"
    (cd "$package" && cargo test --quiet "${beside[@]}")
done
