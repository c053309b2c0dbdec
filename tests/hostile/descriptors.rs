//! Programs that close, lack or replace descriptors, and daemons.

use std::process::Command;

use crate::support::{host, inside, run, scratch, stdout};
use crate::{SERVED, figure, unserved, with, without};

/// What tests/hosts/descriptors.c reports.
fn descriptors(mut command: Command, how: &str) -> String {
    let file = scratch("report");
    let (stdout, stderr) = run(command.arg(how).arg(inside(&file)));
    // Nothing is checked about stderr while it was still open: the debugging lines.
    assert_eq!(stdout, "");
    drop(stderr);
    std::fs::read_to_string(file).expect("a report")
}

#[test]
fn whoever_closes_descriptors_is_served_and_gets_no_message_on_a_socket() {
    for (how, listener) in [("closed", 0), ("daemon", 3), ("closed-daemon", 0)] {
        let before = descriptors(without(host("descriptors")), how);
        assert_eq!(figure(&before, "listener"), listener, "{how}");
        assert_eq!(figure(&before, "unserved"), 10, "{how}");
        let at_start = before.lines().next().expect("descriptors at start");

        for debug in [false, true] {
            let mut command = with(host("descriptors"));
            if debug {
                command.env("KEEPALIVE_DEBUG", "1");
            }
            let report = descriptors(command, how);
            assert_eq!(
                report,
                format!(
                    "{at_start}\n\
                     listener={listener} served=10 unserved=0 changed_errno=0 stray_bytes=0\n"
                ),
                "{how}, debug {debug}"
            );
        }
    }
}

#[test]
fn where_no_descriptor_is_left_calls_fail_as_usual() {
    let report = |options: &str| {
        format!(
            "socket: EMFILE\n\
             connect: succeeded\n\
             accept: EMFILE\n\
             accept4: EMFILE\n\
             accepted: {options}\n\
             created: {options}\n\
             opened=15\n"
        )
    };
    assert_eq!(stdout(&mut without(host("exhausted"))), report(&unserved()));
    assert_eq!(stdout(&mut with(host("exhausted"))), report(SERVED));
}

#[test]
#[ignore = "needs root: chroot(2), becomes another user"]
fn a_program_in_an_empty_root_directory_is_served() {
    let root = scratch("empty");
    std::fs::create_dir(&root).expect("a directory");
    let report = |options: &str| format!("created: {options}\naccepted: {options}\n");
    let root = inside(&root);
    assert_eq!(stdout(without(host("chroot")).arg(&root)), report(&unserved()));
    assert_eq!(stdout(with(host("chroot")).arg(&root)), report(SERVED));
}
