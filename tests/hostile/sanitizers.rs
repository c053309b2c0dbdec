//! Programs that are built with GCC's sanitizers, which replace many functions of the C library
//! and insist on coming first. On this machine alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::constructors::second_first;
use crate::support::{compile, finish, is_native, library, run, stdout, texts};
use crate::threads::threads;
use crate::{figure, with};

/// Fewer calls than without: a sanitizer costs time.
const CALLS: &str = "200000";

/// The shared library that a sanitizer needs.
fn runtime(name: &str) -> PathBuf {
    let (path, _) = run(Command::new("cc").arg(format!("-print-file-name=lib{name}.so")));
    std::fs::canonicalize(path.trim())
        .unwrap_or_else(|_| panic!("lib{name} (Debian: lib{name}-dev)"))
}

#[track_caller]
fn assert_clean(report: &str) {
    assert!(figure(report, "calls") >= 200_000, "{report}");
    assert_eq!(figure(report, "wrong"), 0, "{report}");
    assert_eq!(figure(report, "leaked"), 0, "{report}");
    assert!(!report.contains("Sanitizer"), "{report}");
}

/// AddressSanitizer looks at its place among the libraries when it starts.
#[test]
#[ignore = "needs GCC's libasan"]
fn address_sanitizer_refuses_any_preload_before_its_own_library() {
    if !is_native() {
        return;
    }
    let output = finish(&mut with(compile("asan/connection", &["-fsanitize=address"])));
    let (stdout, stderr) = texts(&output);
    assert!(!output.status.success());
    assert_eq!(stdout, "");
    assert!(
        stderr.contains("ASan runtime does not come first in initial library list"),
        "{stderr}"
    );
}

#[test]
#[ignore = "needs GCC's libasan"]
fn address_sanitizer_takes_the_library_in_second_place() {
    if !is_native() {
        return;
    }
    let mut command = with(compile("asan/threads", &["-fsanitize=address"]));
    let preloads = format!("{}:{}", runtime("asan").display(), library().display());
    command.env("LD_PRELOAD", preloads);
    assert_clean(&threads(command, CALLS));
}

#[test]
#[ignore = "needs GCC's libasan"]
fn address_sanitizer_takes_the_library_when_it_is_told_not_to_look() {
    if !is_native() {
        return;
    }
    let mut command = with(compile("asan/connection", &["-fsanitize=address"]));
    let report = stdout(command.env("ASAN_OPTIONS", "verify_asan_link_order=0"));
    assert_eq!(report.matches(": succeeded\n").count(), 7, "{report}");
}

#[test]
#[ignore = "needs GCC's libasan"]
fn address_sanitizer_linked_statically_takes_the_library() {
    if !is_native() {
        return;
    }
    let arguments = ["-fsanitize=address", "-static-libasan"];
    assert_clean(&threads(with(compile("static-asan/threads", &arguments)), CALLS));
}

#[test]
#[ignore = "needs GCC's libtsan"]
fn thread_sanitizer_finds_nothing_in_a_threaded_program() {
    if !is_native() {
        return;
    }
    assert_clean(&threads(with(compile("tsan/threads", &["-fsanitize=thread"])), CALLS));
}

/// The library itself, built so that ThreadSanitizer sees what it does with its atomics.
fn instrumented_library() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("thread-sanitizer");
    let triple = "x86_64-unknown-linux-gnu";
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--release", "--lib", "--quiet", "--target", triple, "--target-dir"])
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "RUSTFLAGS",
            "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer \
             -Cllvm-args=-tsan-instrument-memintrinsics=0 -Clink-arg=-ltsan",
        );
    run(&mut cargo);
    target.join(triple).join("release/libkeepalive.so")
}

#[test]
#[ignore = "needs GCC's libtsan, and Rust 1.90 or later on x86-64"]
fn thread_sanitizer_finds_nothing_in_the_library() {
    if !is_native() {
        return;
    }
    let library = instrumented_library();
    let mut command = with(compile("tsan/threads", &["-fsanitize=thread"]));
    command.env("LD_PRELOAD", &library);
    assert_clean(&threads(command, CALLS));

    let first_calls = compile("tsan/first_calls", &["-fsanitize=thread", "-shared", "-fPIC"]);
    let program = compile("tsan/trivial", &["-fsanitize=thread"]);
    for _ in 0..20 {
        let mut command = with(&program);
        command.env("LD_PRELOAD", second_first(&library, &first_calls));
        assert_eq!(stdout(&mut command), "served=8\n");
    }
}
