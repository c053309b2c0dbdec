//! Many threads, and everything that goes badly with threads.

use std::process::Command;

use crate::support::{compile, host, library, run, stdout};
use crate::{figure, with, without};

/// Calls of hooked functions.
const CALLS: &str = "1000000";

/// The program's arguments, but for how many calls there are to be.
pub fn threads(mut command: Command, calls: &str) -> String {
    let plugin = compile("plugin", &["-shared", "-fPIC"]);
    let (stdout, stderr) = run(command.arg(calls).arg(plugin));
    format!("{stdout}{stderr}")
}

#[test]
fn a_million_calls_among_forks_and_changes_of_environment_are_all_right() {
    let program = host("threads");
    // Enough that every thread has begun before the last of them.
    let before = threads(without(&program), "50000");
    assert!(figure(&before, "wrong") > 100, "{before}");

    let report = threads(with(&program), CALLS);
    assert!(figure(&report, "calls") >= 1_000_000, "{report}");
    assert_eq!(figure(&report, "wrong"), 0, "{report}");
    assert_eq!(figure(&report, "leaked"), 0, "{report}");
    for disturbance in ["forked", "executed", "environments", "loaded"] {
        assert!(figure(&report, disturbance) > 20, "{disturbance}: {report}");
    }
    print!("{report}");
}

/// Every thread finds the settings, whichever of them reads the environment.
#[test]
fn the_first_calls_of_many_threads_before_the_librarys_constructor_are_all_right() {
    let program = host("trivial");
    let first_calls = compile("first_calls", &["-shared", "-fPIC"]);
    let preloads = crate::constructors::second_first(&library(), &first_calls);
    assert_eq!(stdout(without(&program).env("LD_PRELOAD", &first_calls)), "served=0\n");
    for _ in 0..200 {
        assert_eq!(stdout(with(&program).env("LD_PRELOAD", &preloads)), "served=8\n");
    }
}
