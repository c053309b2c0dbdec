//! Sandboxes that refuse setsockopt(2) and getsockopt(2), by seccomp(2).

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use crate::support::{finish, host, is_emulated, run, stdout, texts};
use crate::{with, without};

/// What tests/hosts/connection.c prints.
const ALL_AS_USUAL: &str = "\
socket: succeeded
socket: succeeded
connect: succeeded
connect again: EISCONN
accept: succeeded
socket: succeeded
connect: succeeded
accept4: succeeded
accept of none: EBADF
";

/// The arguments for a sandbox that refuses in this way, and in it a connection of this kind.
fn connection(command: &mut Command, refuse: &str, kind: &str) -> bool {
    command.arg(refuse).arg(host("connection")).arg(kind);
    !is_emulated()
}

#[test]
fn where_options_are_refused_every_call_succeeds_all_the_same() {
    for kind in ["tcp", "unix"] {
        for mode in ["on", "skip", "force", "off"] {
            let mut command = with(host("sandbox"));
            if connection(command.env("KEEPALIVE", mode), "EPERM", kind) {
                assert_eq!(stdout(&mut command), ALL_AS_USUAL, "{kind} {mode}");
            }
        }
    }
}

#[test]
fn the_refusal_is_reported_where_that_is_asked_for() {
    let mut command = with(host("sandbox"));
    if connection(command.env("KEEPALIVE_DEBUG", "1"), "EPERM", "tcp") {
        let (stdout, stderr) = run(&mut command);
        assert_eq!(stdout, ALL_AS_USUAL);
        let said: Vec<_> = stderr.lines().filter_map(|line| line.split_once("]: ")).collect();
        assert_eq!(
            said[0].1,
            "socket() = 3: SO_KEEPALIVE=1 (refused, errno 1) \
             TCP_KEEPCNT=20 (refused, errno 1) TCP_KEEPIDLE=180 (refused, errno 1) \
             TCP_KEEPINTVL=60 (refused, errno 1)"
        );
        let accepted = said.iter().find(|(_, said)| said.starts_with("accept")).expect("accept()");
        assert!(accepted.1.ends_with(": SO_KEEPALIVE cannot be read, left alone"), "{stderr}");
    }
}

/// Where options kill: loading costs no system call, and sockets that are not TCP none either.
#[test]
fn where_options_kill_a_program_without_tcp_lives() {
    let mut command = with(host("sandbox"));
    command.arg("kill").arg(host("probe")).args(
        "socket AF_UNIX SOCK_STREAM 0 socket AF_UNIX SOCK_DGRAM 0 socket AF_INET SOCK_DGRAM 0 \
         socket AF_INET6 SOCK_DGRAM 0 accept"
            .split_whitespace(),
    );
    if !is_emulated() {
        assert_eq!(
            stdout(&mut command),
            "socket = 3\nsocket = 4\nsocket = 5\nsocket = 6\naccept = -1 EBADF\n"
        );
    }
}

#[test]
fn where_options_kill_the_modes_without_a_second_chance_spare_unix_sockets() {
    for mode in ["skip", "off"] {
        let mut command = with(host("sandbox"));
        if connection(command.env("KEEPALIVE", mode), "kill", "unix") {
            assert_eq!(stdout(&mut command), ALL_AS_USUAL, "{mode}");
        }
    }
}

#[test]
fn where_options_kill_off_spares_tcp() {
    let mut command = with(host("sandbox"));
    if connection(command.env("KEEPALIVE", "off"), "kill", "tcp") {
        assert_eq!(stdout(&mut command), ALL_AS_USUAL);
    }
}

/// What the documentation says cannot be had: such a program needs `KEEPALIVE=off` (or `skip`,
/// if it opens UNIX sockets alone). Without the library it lives, so the filter kills for ours.
#[test]
fn where_options_kill_tcp_and_connected_unix_sockets_are_beyond_help() {
    const SIGSYS: i32 = 31;
    for (kind, opened) in [("tcp", ""), ("unix", "socket: succeeded\nsocket: succeeded\n")] {
        let mut command = without(host("sandbox"));
        if !connection(&mut command, "kill", kind) {
            return;
        }
        assert_eq!(stdout(&mut command), ALL_AS_USUAL, "{kind}");

        let mut command = with(host("sandbox"));
        connection(&mut command, "kill", kind);
        let output = finish(&mut command);
        assert_eq!(output.status.signal(), Some(SIGSYS), "{kind}");
        assert_eq!(texts(&output), (opened.to_string(), String::new()), "{kind}");
    }
}
