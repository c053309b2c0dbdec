#!/usr/bin/env bash
# The tests that make no system call, under Miri, which sees undefined behaviour: all of
# crates/options, and those of the command that work on values and bytes alone. The rest opens
# files, starts processes or asks the kernel, which Miri does not simulate; it is tested under
# valgrind (crates/command/tests/command/memory.rs).
#
# How many cases of each property: PROPTEST_CASES, or 4. Any user; rustup's nightly toolchain:
# rustup toolchain install nightly --component miri
set -euo pipefail
cd "$(dirname "$0")/.."
export PROPTEST_CASES=${PROPTEST_CASES:-4}
# The property tests ask for the time and the environment.
export MIRIFLAGS=-Zmiri-disable-isolation

cargo +nightly miri test --package libkeepalive-options
# Left out: what walks through all of Unicode or hundreds of kilobytes, which takes minutes here.
cargo +nightly miri test --package libkeepalive-command --lib -- \
    apply:: settings:: text::time:: judge:: process::denied:: \
    process::sock_diag::tests::every process::sock_diag::tests::no_answer \
    find::selection:: process::proc::tests::no_maps process::proc::tests::the_library_is \
    run::program::tests::no_script run::program::tests::env_s run::program::tests::the_interpreter_is_the_first \
    text::escape::tests::what_a_terminal
