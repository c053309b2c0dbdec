//! A process that keeps its memory from being read, and with it the name by which it was started: its
//! mmap(2) waits for a FUSE server that never answers. It holds up whoever looks for a name, so this
//! test is apart from the others.

#[path = "../../../tests/support/mod.rs"]
mod support;

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::namespace::ran_in_user_namespace;
use support::outside::tcp_sockets;
use support::running::{Running, wait_until};
use support::{bare, copy_program, host, scratch, texts};

/// Longer than it takes the command to give up such a process, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Starts such a process: its server, and its number.
fn locked() -> (Running, u32) {
    let directory = scratch("mount");
    std::fs::create_dir(&directory).expect("a directory");
    let server = Running::start(bare(host("fuse")).arg(&directory).arg("mapped"));
    server.hear_text("ready", PATIENCE);
    let pid: u32 = server.hear(PATIENCE).and_then(|line| line.parse().ok()).expect("a number");
    let is_locked = || {
        let mut cat = bare("timeout");
        let output = cat.args(["1", "cat", &format!("/proc/{pid}/cmdline")]).output();
        !output.expect("it runs").status.success()
    };
    assert!(wait_until(PATIENCE, is_locked), "its memory can be read");
    (server, pid)
}

fn is_told(said: &str, locked: u32) -> bool {
    said.contains(&locked.to_string()) && said.contains("holds its memory locked (mmap(2))")
}

/// A program of this name with three sockets, and its number.
fn target(name: &str) -> (Running, u32) {
    let directory = scratch("named");
    std::fs::create_dir(&directory).expect("a directory");
    let program = directory.join(name);
    copy_program(host("target"), &program);
    let target = Running::start(&mut bare(program));
    target.hear_text("ready", PATIENCE);
    let pid = target.pid();
    (target, pid)
}

fn keepalive(arguments: &str) -> Command {
    let mut command = bare(env!("CARGO_BIN_EXE_keepalive"));
    command.args(arguments.split(' '));
    command
}

/// Starts a command, and lets it run to its end, which must come in time.
#[track_caller]
fn output(command: &mut Command, meanwhile: impl FnOnce(u32)) -> Output {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    meanwhile(child.id());
    let has_ended = wait_until(PATIENCE, || child.try_wait().expect("a child").is_some());
    let _ = child.kill();
    let output = child.wait_with_output().expect("its output");
    assert!(has_ended, "{command:?} hangs");
    output
}

fn all_are_set(pid: u32) -> bool {
    let sockets = tcp_sockets(pid);
    sockets.len() == 3 && sockets.iter().all(|it| it.values.keepalive && it.values.idle == 60)
}

#[test]
#[ignore = "needs user namespaces, and /dev/fuse"]
fn it_holds_up_nobody() {
    if ran_in_user_namespace() {
        return;
    }
    let (_server, locked) = locked();
    // At the same time, since each takes a while.
    std::thread::scope(|scope| {
        for what in ["show", "attach --idle 60"] {
            scope.spawn(move || the_others_are_served(what, locked));
        }
        scope.spawn(move || the_others_are_followed(locked));
        scope.spawn(a_signal_ends_a_follower_that_hangs);
    });
    // It is served itself where its name is not needed.
    let output = output(&mut keepalive(&format!("attach --idle 60 {}", locked)), |_| {});
    let (stdout, stderr) = texts(&output);
    let line = format!("fuse ({}): 2 sockets changed", locked);
    assert!(stdout.contains(&line), "{stdout}{stderr}");
}

fn the_others_are_served(what: &str, locked: u32) {
    let name = format!("beside-{}", &what[..4]);
    let (_target, pid) = target(&name);
    let output = output(&mut keepalive(&format!("{what} {name}")), |_| {});
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains(&format!("{name} ({pid}): ")), "{stdout}{stderr}");
    assert!(is_told(&stderr, locked), "{stderr}");
}

fn the_others_are_followed(locked: u32) {
    let begin = Instant::now();
    let followed = output(&mut keepalive("attach --follow --idle 60 followed"), |follower| {
        // The second is found at once.
        for _ in 0..2 {
            let (_target, pid) = target("followed");
            let is_set = wait_until(PATIENCE, || all_are_set(pid));
            println!("set: {is_set}, {:?}", begin.elapsed());
        }
        end(follower);
    });
    let (stdout, stderr) = texts(&followed);
    assert!(is_told(&stderr, locked), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stdout.starts_with("6 sockets of 2 processes changed in "), "{stdout}");
}

fn a_signal_ends_a_follower_that_hangs() {
    let begin = Instant::now();
    let ended = output(&mut keepalive("attach --follow --idle 60 nobody-is-called-so"), |pid| {
        std::thread::sleep(Duration::from_secs(2));
        end(pid);
    });
    assert_eq!(ended.status.code(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
}

fn end(pid: u32) {
    // SAFETY: takes two numbers. The process is this one's child.
    unsafe { libc::kill(pid as libc::pid_t, libc::SIGTERM) };
}
