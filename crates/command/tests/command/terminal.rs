//! The command on a terminal.

use std::process::Command;
use std::time::Duration;

use expectrl::session::OsSession;
use expectrl::{ControlCode, Expect, Regex, Session};

use crate::support;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program on a terminal of its own, from which answers come in time.
pub fn on_terminal(command: Command) -> OsSession {
    let mut session = Session::spawn(command).expect("a terminal");
    session.set_expect_timeout(Some(PATIENCE));
    session
}

/// An interactive shell with job control, in which `run` is the start of the command line.
pub fn shell() -> OsSession {
    // Whoever started the tests in the background had SIGINT ignored, and a shell leaves it so.
    let mut command = support::bare("env");
    command.args(["--default-signal", "bash", "--norc", "--noprofile", "-i"]);
    command.env("PS1", "ready> ");
    // These variables would decide about colours.
    for name in ["CI", "CLICOLOR", "CLICOLOR_FORCE", "NO_COLOR"] {
        command.env_remove(name);
    }
    let run = format!(
        "{} run --library {}",
        env!("CARGO_BIN_EXE_keepalive"),
        support::built_library().display()
    );
    command.env("run", run);
    let mut session = on_terminal(command);
    session.expect("ready> ").expect("a prompt");
    session
}

/// The shell's prompt comes, and the exit status of what it ran is this.
pub fn assert_status(shell: &mut OsSession, status: u8) {
    shell.expect("ready> ").expect("a prompt");
    shell.send_line("echo status $?.").expect("sent");
    shell.expect(format!("status {status}.")).expect("the exit status");
}

/// A job of this shell's (`sh`, or another program that is called so) is stopped and continued, and
/// handles SIGINT itself.
pub fn is_a_job(shell: &mut OsSession, sh: &str) {
    // Quoted so that the echo of the line itself is not taken for the answer; and without a loop
    // that forks: a child of vfork(2) that is stopped keeps its parent from stopping.
    let line =
        format!("$run {sh} -c 'trap \"echo cau''ght; exit 5\" INT; echo sta''rted; read line'");
    shell.send_line(line).expect("sent");
    shell.expect("started").expect("it runs");
    shell.send(ControlCode::Substitute).expect("sent");
    shell.expect("Stopped").expect("it stops");
    shell.expect("ready> ").expect("a prompt");
    shell.send_line("fg").expect("sent");
    shell.expect(format!("run {sh} -c")).expect("it goes on");
    // The shell says so before it gives the terminal to the program.
    shell.set_expect_timeout(Some(Duration::from_secs(2)));
    let caught = (0..15).any(|_| {
        shell.send(ControlCode::EndOfText).expect("sent");
        shell.expect("caught").is_ok()
    });
    assert!(caught, "the program's own handler ran");
    shell.set_expect_timeout(Some(PATIENCE));
    assert_status(shell, 5);
}

#[test]
fn the_program_is_stopped_continued_and_interrupted_as_a_job() {
    is_a_job(&mut shell(), "sh");
}

#[test]
fn an_interrupt_that_is_not_caught_is_seen_by_the_shell() {
    let mut shell = shell();
    shell.send_line("$run sh -c 'echo sta''rted; exec sleep 100'").expect("sent");
    shell.expect("started").expect("it runs");
    shell.send(ControlCode::EndOfText).expect("sent");
    // Killed by SIGINT.
    assert_status(&mut shell, 130);
}

#[test]
fn exec_keeps_the_process() {
    let mut shell = shell();
    shell
        .send_line("bash -c 'echo shell $$.; exec $run sh -c \"echo program \\$\\$.\"'")
        .expect("sent");
    let before = shell.expect(Regex("shell \\d+\\.")).expect("the shell's number");
    let after = shell.expect(Regex("program \\d+\\.")).expect("the program's number");
    assert_eq!(before[0].strip_prefix(b"shell"), after[0].strip_prefix(b"program"));
}

/// What `show --all` prints on a terminal with this many columns.
fn shown(columns: u16, before: &str) -> String {
    let target = crate::c_target();
    let mut shell = shell();
    let command = env!("CARGO_BIN_EXE_keepalive");
    let pid = target.pid();
    let line =
        format!("stty cols {columns}; {before} {command} show --all {pid}; echo sta''tus $?.");
    shell.send_line(&line).expect("sent");
    let printed = shell.expect("status 0.").expect("success");
    let printed = String::from_utf8_lossy(printed.before()).into_owned();
    let begin = printed.find(&format!("target ({pid})")).expect("the page");
    let begin = printed[..begin].rfind('\n').map_or(0, |newline| newline + 1);
    printed[begin..].to_owned()
}

#[test]
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

#[test]
fn measure_shows_how_far_it_is_in_one_line_and_ends_at_ctrl_c() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut command = support::bare("env");
    command.args(["--default-signal", env!("CARGO_BIN_EXE_keepalive"), "measure"]);
    command.arg(server.local_addr().expect("its address").to_string());
    let mut measure = on_terminal(command);
    measure.expect("remembered for 2 s; next probe in ").expect("how far it is");
    // In place of the last one.
    measure.expect("\r\u{1b}[K").expect("the line is erased");
    measure.send(ControlCode::EndOfText).expect("sent");
    measure.expect("interrupted: closing the connections").expect("what it does");
    measure.expect("interrupted; connections were remembered for 2 s").expect("what is known");
}
