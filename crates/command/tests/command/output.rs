//! Outputs that take nothing: the work is done all the same, and the exit status tells.

use std::fs::File;
use std::io::{Read, Write, pipe};
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::support::{self, texts};
use crate::{c_target, keepalive, keepalive_run, sockets};

/// A descriptor that takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sink {
    /// A full file system.
    Full,
    /// A pipe that nobody reads.
    Broken,
    /// A full pipe that does not block.
    Stuck,
    /// Not open.
    Closed,
}

const SINKS: [Sink; 4] = [Sink::Full, Sink::Broken, Sink::Stuck, Sink::Closed];

/// A full pipe that does not block: its reading end, and the one for writing.
fn stuck_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = pipe().expect("a pipe");
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a flag");
    while writer.write(&[b'x'; 4096]).is_ok() {}
    (reader, writer)
}

/// Runs a command with a sink in place of this descriptor; at most 20 s.
fn finish(command: &Command, sink: Sink, descriptor: u8) -> (Option<i32>, String, String) {
    let redirection = if sink == Sink::Closed { format!("{descriptor}>&-") } else { String::new() };
    let mut shell = support::bare("timeout");
    shell.args(["-s", "KILL", "20", "sh", "-c", &format!("exec \"$@\" {redirection}"), "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    let stuck = stuck_pipe();
    let stdio: Stdio = match sink {
        Sink::Full => File::options().write(true).open("/dev/full").expect("/dev/full").into(),
        Sink::Broken => pipe().expect("a pipe").1.into(),
        Sink::Stuck => stuck.1.into(),
        Sink::Closed => Stdio::null(),
    };
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if descriptor == 1 {
        shell.stdout(stdio)
    } else {
        shell.stderr(stdio)
    };
    let child = shell.spawn().expect("timeout(1)");
    // The command object keeps the sink open.
    drop(shell);
    let output = child.wait_with_output().expect("an end");
    let (stdout, stderr) = texts(&output);
    (output.status.code(), stdout, stderr)
}

#[test]
fn run_starts_the_program_though_nothing_can_be_said() {
    for sink in SINKS {
        let mut command = keepalive_run("--verbose");
        command.args(["sh", "-c", "echo started; exit 7"]);
        assert_eq!(finish(&command, sink, 2), (Some(7), "started\n".into(), "".into()), "{sink:?}");
    }
}

#[test]
fn the_exit_status_of_a_failure_holds_though_nothing_can_be_said() {
    for sink in SINKS {
        for (arguments, status) in [
            ("run --nonsense", 125),
            ("run --library /etc/passwd true", 125),
            ("show 999999999", 1),
            ("attach --idle 60 no-such-program", 1),
            ("show --nonsense", 2),
            ("measure example.com", 2),
            ("nonsense", 2),
        ] {
            let seen = finish(&keepalive(arguments), sink, 2);
            assert_eq!(seen, (Some(status), "".into(), "".into()), "{sink:?} {arguments}");
        }
        for (program, status) in [("/etc/passwd", 126), ("no-such-program", 127)] {
            let mut command = keepalive_run("");
            command.arg(program);
            assert_eq!(finish(&command, sink, 2).0, Some(status), "{sink:?} {program}");
        }
    }
}

#[test]
fn what_cannot_be_printed_is_a_failure() {
    for (arguments, status) in [("--help", 1), ("show --help", 1), ("run --version", 125)] {
        for sink in [Sink::Full, Sink::Closed] {
            let arguments = arguments.replace("run --version", "run --help");
            let (seen, _, stderr) = finish(&keepalive(&arguments), sink, 1);
            assert_eq!(seen, Some(status), "{arguments} {sink:?}: {stderr}");
            assert!(stderr.starts_with("keepalive: stdout: "), "{sink:?}: {stderr}");
        }
        assert_eq!(finish(&keepalive("--help"), Sink::Broken, 1), (Some(0), "".into(), "".into()));
    }
}

#[test]
fn show_fails_where_nothing_can_be_printed() {
    let target = c_target();
    let show = keepalive(&format!("show --all {}", target.pid()));
    for (sink, status) in [(Sink::Full, 1), (Sink::Closed, 1), (Sink::Broken, 0)] {
        let (seen, _, stderr) = finish(&show, sink, 1);
        assert_eq!(seen, Some(status), "{sink:?}: {stderr}");
        assert_eq!(stderr.starts_with("keepalive: stdout: "), status == 1, "{sink:?}: {stderr}");
    }
}

#[test]
fn a_pipe_that_is_full_for_now_gets_all_of_it() {
    let (mut reader, writer) = stuck_pipe();
    let mut command = keepalive("run --help");
    let mut child = command.stdout(writer).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(command);
    std::thread::sleep(std::time::Duration::from_millis(300));
    let mut all = String::new();
    reader.read_to_string(&mut all).expect("text");
    assert!(child.wait().expect("an end").success());
    let help = all.trim_start_matches('x');
    assert!(help.ends_with("See which sockets get what\n"), "{help}");
}

#[test]
fn attach_does_all_its_work_and_then_says_that_it_could_not_print() {
    for sink in SINKS {
        for descriptor in [1, 2] {
            if (sink, descriptor) == (Sink::Stuck, 1) {
                continue; // It waits for a reader, as with every pipe.
            }
            let targets = [c_target(), c_target()];
            let [one, other] = targets.each_ref().map(|target| target.pid());
            let attach = keepalive(&format!("attach --debug --idle 77 {one} {other}"));
            let (status, _, stderr) = finish(&attach, sink, descriptor);
            let fails = descriptor == 1 && sink != Sink::Broken;
            assert_eq!(status, Some(fails.into()), "{sink:?} {descriptor}: {stderr}");
            assert_eq!(stderr.matches("keepalive: stdout: ").count(), usize::from(fails));
            for socket in [one, other].into_iter().flat_map(sockets) {
                assert_eq!(socket["keepalive"], true, "{sink:?} {descriptor}");
            }
        }
    }
}
