//! The command on a terminal.

use rexpect::session::{PtySession, spawn_command};

use crate::support;

/// An interactive shell with job control, in which `run` is the start of the command line.
fn shell() -> PtySession {
    let mut command = support::bare("bash");
    command.args(["--norc", "--noprofile", "-i"]).env("PS1", "ready> ");
    let run = format!(
        "{} run --library {}",
        env!("CARGO_BIN_EXE_keepalive"),
        support::built_library().display()
    );
    command.env("run", run);
    let mut session = spawn_command(command, Some(10_000)).expect("a terminal");
    session.exp_string("ready> ").expect("a prompt");
    session
}

#[test]
fn the_program_is_stopped_continued_and_interrupted_as_a_job() {
    let mut shell = shell();
    shell.send_line("$run sh -c 'trap \"echo caught; exit 5\" INT; echo started; while :; do sleep 0.1; done'").expect("sent");
    shell.exp_string("started").expect("it runs");
    shell.send_control('z').expect("sent");
    shell.exp_string("Stopped").expect("it stops");
    shell.exp_string("ready> ").expect("a prompt");
    shell.send_line("fg").expect("sent");
    shell.exp_string("run sh -c").expect("it goes on");
    shell.send_control('c').expect("sent");
    shell.exp_string("caught").expect("the program's own handler ran");
    shell.exp_string("ready> ").expect("a prompt");
    shell.send_line("echo status $?.").expect("sent");
    shell.exp_string("status 5.").expect("the program's exit status");
}

#[test]
fn an_interrupt_that_is_not_caught_is_seen_by_the_shell() {
    let mut shell = shell();
    shell.send_line("$run sleep 100").expect("sent");
    std::thread::sleep(std::time::Duration::from_millis(500));
    shell.send_control('c').expect("sent");
    shell.exp_string("ready> ").expect("a prompt");
    shell.send_line("echo status $?.").expect("sent");
    shell.exp_string("status 130.").expect("killed by SIGINT");
}

#[test]
fn exec_keeps_the_process() {
    let mut shell = shell();
    shell
        .send_line("bash -c 'echo shell $$.; exec $run sh -c \"echo program \\$\\$.\"'")
        .expect("sent");
    let (_, before) = shell.exp_regex("shell \\d+\\.").expect("the shell's number");
    let (_, after) = shell.exp_regex("program \\d+\\.").expect("the program's number");
    assert_eq!(before.replace("shell", ""), after.replace("program", ""));
}
