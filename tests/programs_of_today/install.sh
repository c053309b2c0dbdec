#!/bin/bash
# The clients of docs/programs-of-today.md, into a directory: Python's, Node's, Rust's, Java's.
#
#     tests/programs_of_today/install.sh DIRECTORY
#
# They come from PyPI, the registry of npm and crates.io, in the versions that stand beside this
# script, and from Debian: cargo, default-jdk-headless, gcc, libmariadb-dev, libmariadb-java,
# libpostgresql-jdbc-java, nodejs, npm, pkg-config, python3-dev, python3-venv.
set -euo pipefail
sources=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"

if ! cmp -s "$sources/requirements.txt" python/requirements.txt; then
    rm -rf python
    /usr/bin/python3 -m venv python
    python/bin/pip install --quiet --requirement "$sources/requirements.txt"
    cp "$sources/requirements.txt" python/
fi

# No scripts of the packages are run: bun and deno are started by their own names below.
if ! cmp -s "$sources/package.json" package.json; then
    rm -rf node_modules package.json
    cp "$sources/package.json" new.json
    mv new.json package.json
    npm install --loglevel=error --ignore-scripts --no-audit --no-fund --no-package-lock ||
        { rm package.json; exit 1; }
fi
cp "$sources/client.js" .

cargo build --quiet --release --locked --manifest-path "$sources/rust/Cargo.toml" --target-dir rust
javac -d java "$sources/Client.java"
