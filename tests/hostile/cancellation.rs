//! Threads that are cancelled, and calls that are interrupted.

use crate::support::{host, is_musl, stdout};
use crate::{SERVED, UNSERVED, with, without};

/// What tests/hosts/cancellation.c prints when every thread has been cancelled, and has
/// cleaned up.
fn all_cancelled(destroyed: u32) -> String {
    let mut report = String::new();
    for call in ["connect", "accept", "accept4"] {
        for kind in ["deferred", "asynchronous"] {
            report += &format!("{call}, {kind}: cancelled=200 cleaned=200 destroyed={destroyed}\n");
        }
    }
    report + "leaked=0\n"
}

#[test]
fn cancelled_threads_run_their_cleanup_handlers() {
    let program = host("cancellation");
    assert_eq!(stdout(&mut without(&program)), all_cancelled(0));
    assert_eq!(stdout(&mut with(&program)), all_cancelled(0));
}

/// Before glibc 2.34 also the case of threads without a dlsym: nothing links libdl. (musl cancels
/// without unwinding, and musl-gcc has no C++ library.)
#[test]
fn cancelled_threads_run_destructors() {
    if is_musl() {
        return;
    }
    let program = host("cancellation_in_cpp");
    assert_eq!(stdout(&mut without(&program)), all_cancelled(200));
    assert_eq!(stdout(&mut with(&program)), all_cancelled(200));
}

#[test]
fn interrupted_calls_return_or_go_on_as_the_program_asked() {
    let program = host("interrupted");
    let report = |options: &str| {
        format!(
            "accept: EINTR, signals=1\n\
             accept4: EINTR, signals=1\n\
             accept with SA_RESTART: succeeded, signals=1\n\
             accepted: {options}\n\
             connect: EINTR, signals=1\n\
             interrupted: {options}\n\
             connect with SA_RESTART: succeeded, signals=1\n\
             connected: {options}\n"
        )
    };
    assert_eq!(stdout(&mut without(&program)), report(UNSERVED));
    assert_eq!(stdout(&mut with(&program)), report(SERVED));
}
