//! What other users' processes could do to whoever looks at them: be many, be large, change under
//! the look, hold it up, or bear names that a terminal obeys.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use expectrl::Expect;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::namespace::ran_in_user_namespace;
use crate::support::{self, bare, stdout, texts};
use crate::terminal::on_terminal;
use crate::{Target, c_target, failure, keepalive, keepalive_run, sockets};

/// The command under a limit of the shell's.
fn limited(limit: &str, arguments: &str) -> Command {
    let mut command = bare("bash");
    let command_line =
        format!("ulimit {limit}; exec {} {arguments}", env!("CARGO_BIN_EXE_keepalive"));
    command.args(["-c", &command_line]);
    command
}

/// Runs a command to its end; None if that takes longer than this. (It may not even be possible to
/// end it.)
fn within(time: Duration, command: &mut Command) -> Option<Output> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output().expect("its output")));
    receiver.recv_timeout(time).ok()
}

/// How many of `crowd`'s processes the text has a line of.
fn crowd_lines(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with("crowd (")).count()
}

#[test]
fn none_of_many_is_left_out() {
    let _crowd = Target::start(bare(support::host("crowd")).arg("100"));
    // A low limit that can be raised, and one that cannot.
    for limit in ["-Sn 64", "-n 32"] {
        let said = stdout(&mut limited(limit, "attach --dry-run --idle 60 crowd"));
        assert_eq!(crowd_lines(&said), 100, "{limit}: {said}");
        let said = stdout(&mut limited(limit, "show --all crowd"));
        assert_eq!(crowd_lines(&said), 100, "{limit}: {said}");
    }
}

#[test]
fn without_descriptors_it_says_so() {
    let target = c_target();
    let mut refused = 0;
    for limit in 3..16 {
        for what in ["show --all target", "show", "attach --dry-run --idle 60 target"] {
            let output = support::finish(&mut limited(&format!("-n {limit}"), what));
            let (stdout, stderr) = texts(&output);
            let is_there = stdout.contains("target") && stdout.contains(&target.pid().to_string());
            if output.status.success() {
                assert!(is_there, "{limit} {what}: {stdout}{stderr}");
            } else if stderr.starts_with("keepalive: ") {
                assert_eq!(output.status.code(), Some(1), "{limit} {what}: {stderr}");
                assert!(!stderr.contains("panicked"), "{limit} {what}: {stderr}");
                refused += 1;
            }
        }
    }
    assert!(refused > 3, "{refused}");
}

#[test]
#[ignore = "needs user namespaces"]
fn a_number_of_another_pid_namespace_is_refused() {
    if ran_in_user_namespace() {
        return;
    }
    // Two namespaces, in each of which the program is 2; the inner one sees the outer one's /proc.
    let inner = "$0 <&3 & sleep 0.5; $1 attach --idle 60 2; echo status $?; $1 show 2; echo status $?; \
                 $1 show; echo status $?; $1 attach sh; echo status $?";
    let outer =
        format!("exec 3<&0; $0 <&3 & sleep 0.5; unshare --pid --fork sh -c '{inner}' $0 $1");
    let mut command = bare("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", &outer]);
    command.arg(support::host("target")).arg(env!("CARGO_BIN_EXE_keepalive"));
    command.stdin(Stdio::piped());
    let (stdout, stderr) = texts(&support::finish(&mut command));
    assert_eq!(stdout.matches("ready").count(), 2, "{stdout}{stderr}");
    assert_eq!(stdout.matches("status 1\n").count(), 4, "{stdout}{stderr}");
    assert_eq!(stderr.matches("another pid namespace").count(), 4, "{stdout}{stderr}");
    assert!(!stdout.contains("changed"), "{stdout}");
}

#[test]
#[ignore = "needs user namespaces"]
fn a_proc_without_this_process_is_refused() {
    if ran_in_user_namespace() {
        return;
    }
    let mut command = bare("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
    let target = Target::start(command.arg(support::host("target")));
    let pid = target.pid();
    let child = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("one");
    for what in ["show 1", "show", "attach --idle 60 1"] {
        let mut enter = bare("nsenter");
        enter.args(["--mount", "--target", child.trim(), env!("CARGO_BIN_EXE_keepalive")]);
        let (status, stderr) = failure(enter.args(what.split_whitespace()));
        assert_eq!(status, 1, "{stderr}");
        assert!(stderr.contains("another pid namespace"), "{what}: {stderr}");
    }
}

#[test]
#[ignore = "needs root: unmounts /proc in a namespace of its own"]
fn without_proc_it_says_so() {
    for what in ["show", "show 1", "show init", "attach 1"] {
        let mut command = bare("unshare");
        let script =
            format!("umount --lazy /proc; exec {} {what}", env!("CARGO_BIN_EXE_keepalive"));
        let (status, stderr) = failure(command.args(["--mount", "sh", "-c", &script]));
        assert_eq!(status, 1, "{stderr}");
        assert!(stderr.contains("/proc is not mounted"), "{what}: {stderr}");
    }
}

#[test]
fn a_process_whose_first_thread_has_ended() {
    let leaderless = || Target::start(&mut bare(support::host("leaderless")));
    crate::targets::is_attached_to_while_it_runs(leaderless());
    let target = leaderless();
    let said = stdout(&mut keepalive("attach --dry-run --idle 60 leaderless"));
    let line = format!("leaderless ({}): 3 sockets would be changed", target.pid());
    assert!(said.contains(&line), "{said}");
    let said = stdout(&mut keepalive("show"));
    assert!(said.contains(" leaderless "), "{said}");
}

#[test]
fn a_zombie_has_nothing_to_show() {
    let mut zombie = c_target();
    zombie.child.kill().expect("it lives");
    std::thread::sleep(Duration::from_millis(200));
    let (status, stderr) = failure(&mut keepalive(&format!("show {}", zombie.pid())));
    assert_eq!(status, 1);
    assert!(stderr.contains(": has ended\n"), "{stderr}");
}

/// The longest that anything of another process's may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// tests/hosts/fuse.c: the server, and the process to look into. Without the server everything
/// that waits for it ends.
pub fn fuse(mode: &str) -> (Target, String) {
    let directory = support::scratch(mode);
    std::fs::create_dir(&directory).expect("a directory");
    let mut server = Target::start(bare(support::host("fuse")).arg(&directory).arg(mode));
    let pid = server.answer();
    std::thread::sleep(Duration::from_millis(300));
    (server, pid)
}

#[test]
#[ignore = "needs user namespaces, and /dev/fuse"]
fn a_descriptor_that_is_a_socket_s_and_a_fuse_file_s_by_turns() {
    if ran_in_user_namespace() {
        return;
    }
    let (server, pid) = fuse("flip");
    let mut shown = 0;
    for _ in 0..20 {
        for what in ["show --all", "attach --dry-run --idle 60"] {
            let output = within(PATIENCE, &mut keepalive(&format!("{what} {pid}")));
            let Some(output) = output else {
                drop(server);
                panic!("{what} hangs");
            };
            let (stdout, stderr) = texts(&output);
            assert!(output.status.success(), "{stdout}{stderr}");
            shown +=
                usize::from(stdout.contains("TCP socket") || stdout.contains("would be changed"));
        }
    }
    assert!(shown > 20, "{shown}");
}

#[test]
#[ignore = "needs user namespaces, and /dev/fuse"]
fn a_socket_that_its_program_holds_locked() {
    if ran_in_user_namespace() {
        return;
    }
    // One is looked into before it, and one after it.
    let before = c_target();
    let (server, pid) = fuse("locked");
    let after = c_target();
    let others = [before.pid(), after.pid()];
    for what in ["show", "attach --idle 60"] {
        // To pipes: the child that cannot be ended does not keep them open.
        let mut command = keepalive(&format!("{what} {} {pid} {}", others[0], others[1]));
        let Some(output) = within(PATIENCE, &mut command) else {
            drop(server);
            panic!("{what} hangs");
        };
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
        let left_out = "left out: the program holds the socket of its descriptor ";
        assert!(stderr.contains(&format!("fuse ({pid}): {left_out}")), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        for other in others {
            // The others are served, and nothing is done twice.
            let line = stdout.lines().find(|line| line.starts_with(&format!("target ({other}): ")));
            let line = line.unwrap_or_else(|| panic!("{stdout}"));
            assert!(what == "show" || line.contains("): 3 sockets changed ("), "{line}");
        }
        assert_eq!(stdout.matches("Settings:").count(), usize::from(what != "show"), "{stdout}");
    }
}

#[test]
#[ignore = "needs strace"]
fn the_work_goes_on_where_it_was_when_the_first_thread_ends() {
    let mut command = bare(support::host("leaderless"));
    let target = Target::start(command.arg("until SIGUSR1"));
    let mut command = bare("strace");
    command.args(["-f", "-o", "/dev/null", "-e", "inject=pidfd_getfd:delay_enter=1000000"]);
    command.arg(env!("CARGO_BIN_EXE_keepalive")).args(["attach", "--debug", "--idle", "60"]);
    command.arg(target.pid().to_string());
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let mut lines = vec![stderr.next().expect("a line").expect("text")];
    kill(Pid::from_raw(target.pid() as i32), Signal::SIGUSR1).expect("it runs");
    lines.extend(stderr.map(|line| line.expect("text")));
    let output = child.wait_with_output().expect("its end");
    let (stdout, _) = texts(&output);
    assert!(
        stdout.contains("): 3 sockets changed (2 connected, 1 listening)\n"),
        "{stdout}{lines:?}"
    );
    assert_eq!(lines.len(), 3, "each once: {lines:?}");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", target.pid())).expect("it runs");
    assert!(stat.contains(") Z "), "its first thread has ended: {stat}");
}

#[test]
fn a_process_of_which_proc_tells_more_than_fits_into_memory() {
    let directory = support::scratch("huge");
    std::fs::create_dir(&directory).expect("a directory");
    let mut command = keepalive_run("");
    let huge = Target::start(command.arg(support::host("huge")).arg(&directory));
    let said = stdout(&mut limited("-v 60000", &format!("show {}", huge.pid())));
    assert!(said.contains("libkeepalive.so is loaded"), "{said}");
    let output = within(PATIENCE, &mut keepalive("show no-such-name"));
    let (_, stderr) = texts(&output.expect("in time"));
    assert!(stderr.starts_with("keepalive: no-such-name: no process has this name"), "{stderr}");
}

/// CSI, RIGHT-TO-LEFT OVERRIDE, DEL.
const OBEYED: &str = "a\u{9b}\u{202e}\u{7f}b";

#[test]
fn no_name_is_obeyed_by_a_terminal_and_json_on_a_pipe_is_unaltered() {
    let directory = support::scratch("obeyed");
    std::fs::create_dir(&directory).expect("a directory");
    let program = directory.join(OBEYED);
    std::fs::copy(support::host("target"), &program).expect("a copy");
    let target = Target::start(&mut bare(&program));
    let pid = target.pid();

    let document = stdout(&mut keepalive(&format!("show --json {pid}")));
    assert!(document.contains(OBEYED), "{document:?}");

    for what in ["show", "show --all --json", "attach --dry-run --idle 60"] {
        let mut session = on_terminal(keepalive(&format!("{what} {pid}")));
        let said = session.expect(expectrl::Eof).expect("its end");
        let said = String::from_utf8(said.as_bytes().to_vec()).expect("text");
        for obeyed in ['\u{9b}', '\u{202e}', '\u{7f}'] {
            assert!(!said.contains(obeyed), "{what}: {said:?}");
        }
        if what.contains("json") {
            let document: Value = serde_json::from_str(&said).expect("JSON");
            assert_eq!(document["processes"][0]["name"], OBEYED);
        } else {
            assert!(said.contains("a\\u{9b}\\u{202e}\\u{7f}b"), "{what}: {said:?}");
        }
    }
}

#[test]
fn no_argument_that_is_quoted_is_obeyed_by_a_terminal() {
    for before in ["show", "show --nonsense", "attach --remote", "attach --idle", "nonsense"] {
        let (_, stderr) = failure(keepalive(before).arg(OBEYED).arg(format!("--{OBEYED}")));
        assert!(stderr.contains("\\u{9b}") || stderr.contains("nonsense"), "{stderr:?}");
        for obeyed in ['\u{9b}', '\u{202e}', '\u{7f}'] {
            assert!(!stderr.contains(obeyed), "{before}: {stderr:?}");
        }
    }
    let (_, stderr) = failure(keepalive("show").arg(OBEYED));
    assert!(
        stderr.starts_with("keepalive: a\\u{9b}\\u{202e}\\u{7f}b: no process has this name"),
        "{stderr}"
    );
}

#[test]
fn no_thread_and_no_process_are_left_for_it() {
    let mut command = limited("-u 1", "show 1");
    let (status, stderr) = failure(crate::as_ordinary_user(&mut command));
    assert_eq!(status, 1, "{stderr}");
    assert!(stderr.starts_with("keepalive: fork(2): "), "{stderr}");
}

#[test]
#[ignore = "needs /usr/bin/python3"]
fn a_socket_with_thousands_of_descriptors() {
    let mut command = bare("/usr/bin/python3");
    let program = "import os, socket, time; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen();\
                   [os.dup(s.fileno()) for _ in range(18999)]; print('ready 0', flush=True); time.sleep(99)";
    let target = Target::start(command.args(["-c", program]));
    let shown = &sockets(target.pid())[0];
    assert_eq!(shown["descriptors"].as_array().map(Vec::len), Some(19000));
    let page = stdout(&mut keepalive(&format!("show --all {}", target.pid())));
    assert!(page.contains("3,4,5,6,7,8 and 18994 more"), "{page:.500}");
    assert!(page.len() < 2000, "{}", page.len());
}
