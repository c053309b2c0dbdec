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
    // Quoted so that the echo of the line itself is not taken for the answer.
    let line = "$run sh -c 'trap \"echo cau''ght; exit 5\" INT; echo sta''rted; \
                while :; do sleep 0.1; done'";
    shell.send_line(line).expect("sent");
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
    shell.send_line("$run sh -c 'echo sta''rted; exec sleep 100'").expect("sent");
    shell.exp_string("started").expect("it runs");
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

/// What `show --all` prints on a terminal of so many columns.
fn shown(columns: u16, before: &str) -> String {
    let target = crate::c_target();
    let mut shell = shell();
    let command = env!("CARGO_BIN_EXE_keepalive");
    let pid = target.pid();
    let line =
        format!("stty cols {columns}; {before} {command} show --all {pid}; echo sta''tus $?.");
    shell.send_line(&line).expect("sent");
    let printed = shell.exp_string("status 0.").expect("success");
    let begin = printed.find(&format!("target ({pid})")).expect("the page");
    let begin = printed[..begin].rfind('\n').map_or(0, |newline| newline + 1);
    printed[begin..].to_owned()
}

#[test]
#[ignore = "needs root: looks into another process"]
fn a_table_fits_the_terminal_and_is_coloured_there() {
    let narrow = shown(80, "NO_COLOR=1");
    assert!(!narrow.contains('\x1b'), "{narrow:?}");
    let table = narrow.lines().skip(1).take_while(|line| !line.starts_with('!'));
    let widths: Vec<_> = table.map(|line| line.trim_end().chars().count()).collect();
    assert!(widths.len() > 4 && widths.iter().all(|width| *width <= 80), "{widths:?} {narrow}");
    assert!(narrow.contains("127.0.0.1:"), "an address is torn apart: {narrow}");
    let wide = shown(200, "");
    let row = wide.lines().find(|line| line.contains("ESTAB")).expect("a connection");
    assert!(row.contains("127.0.0.1:") && row.contains("\x1b[") && row.contains("off"), "{row:?}");
    assert!(shown(200, "TERM=dumb").contains("off"));
    assert!(!shown(200, "TERM=dumb").contains('\x1b'));
}
