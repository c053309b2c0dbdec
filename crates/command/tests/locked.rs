//! Processes that keep their memory from being read, and with it the name by which they were started,
//! or a socket from being looked at: an mmap(2) or a send(2) of theirs waits for a FUSE server that
//! never answers. They hold up whoever looks for a name or at all processes, so these tests are apart
//! from the others.

#[path = "../../../tests/support/mod.rs"]
mod support;

use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use support::group::{Group, root, unique};
use support::namespace::ran_in_user_namespace;
use support::outside::tcp_sockets;
use support::running::{Running, wait_until};
use support::{bare, copy_program, host, scratch, texts};

/// Longer than it takes the command to give up such a process, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Such processes; each test has them alone.
struct Locked {
    pids: Vec<u32>,
    _server: Running,
    _alone: MutexGuard<'static, ()>,
}

impl Locked {
    /// As tests/hosts/fuse.c has it: what they hold locked, how many they are, and whose.
    fn start(mode: &str, arguments: &[&str]) -> Self {
        static ALONE: Mutex<()> = Mutex::new(());

        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = scratch("mount");
        std::fs::create_dir(&directory).expect("a directory");
        let server = Running::start(bare(host("fuse")).arg(&directory).arg(mode).args(arguments));
        server.hear_text("ready", PATIENCE);
        let next = || server.hear(PATIENCE).and_then(|line| line.parse().ok()).expect("a number");
        let number = arguments.first().map_or(1, |number| number.parse().expect("a number"));
        let pids: Vec<u32> = (0..number).map(|_| next()).collect();
        // The send(2) begins before that.
        std::thread::sleep(Duration::from_secs(1));
        for pid in pids.iter().filter(|_| mode != "locked") {
            let is_locked = || {
                let mut cat = bare("timeout");
                let output = cat.args(["1", "cat", &format!("/proc/{pid}/cmdline")]).output();
                !output.expect("it runs").status.success()
            };
            assert!(wait_until(PATIENCE, is_locked), "its memory can be read");
        }
        Self { pids, _server: server, _alone: alone }
    }
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
    let processes = Locked::start("mapped", &[]);
    let locked = processes.pids[0];
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

#[test]
#[ignore = "needs root, and /dev/fuse: processes of another user"]
fn however_many_there_are_a_follower_is_held_up_for_ten_seconds() {
    let locked = Locked::start("mapped", &["8", "65534"]);
    let followed = output(&mut keepalive("attach --follow --idle 60 held-up"), |follower| {
        for most in [25, 10] {
            let begin = Instant::now();
            let (_target, pid) = target("held-up");
            assert!(wait_until(PATIENCE, || all_are_set(pid)), "never");
            println!("set after {:?}", begin.elapsed());
            assert!(begin.elapsed() < Duration::from_secs(most), "{:?}", begin.elapsed());
        }
        end(follower);
    });
    let (stdout, stderr) = texts(&followed);
    assert!(stdout.starts_with("6 sockets of 2 processes changed in "), "{stdout}");
    let told = locked.pids.iter().filter(|pid| is_told(&stderr, **pid)).count();
    assert_eq!(told, 5, "{stderr}");
    let rest = "keepalive: user nobody: processes left out, since others of this user hold up";
    assert_eq!(stderr.matches(rest).count(), 1, "{stderr}");
}

const LEFT_OUT: &str = "): left out: the program holds the socket of its descriptor ";

#[test]
#[ignore = "needs root, and /dev/fuse: processes of another user, in a cgroup"]
fn however_many_hold_a_socket_locked_the_others_are_served() {
    let group = Group::new(&root(), &unique("locked"));
    let locked = Locked::start("locked", &["7", "65534"]);
    let (_target, other) = target("beside-sockets");
    locked.pids.iter().chain([&other]).for_each(|pid| group.take(*pid));
    let path = group.0.to_str().expect("text");
    // At the same time, since each takes a while.
    std::thread::scope(|scope| {
        for (what, line) in [
            ("show", format!("beside-sockets ({other}): ")),
            (
                "attach --dry-run --idle 60",
                format!("beside-sockets ({other}): 3 sockets would be changed ("),
            ),
            ("cover --dry-run --idle 60", " sockets would be changed (".into()),
        ] {
            let pids = &locked.pids;
            scope.spawn(move || {
                let begin = Instant::now();
                let output = output(&mut keepalive(&format!("{what} {path}")), |_| {});
                println!("{what}: {:?}", begin.elapsed());
                let (stdout, stderr) = texts(&output);
                assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
                let is_named = |pid: &&u32| stderr.contains(&format!("fuse ({pid}{LEFT_OUT}"));
                assert_eq!(pids.iter().filter(is_named).count(), 5, "{what}: {stderr}");
                let rest =
                    "keepalive: user nobody: 2 processes left out, since others of this user";
                assert!(stderr.contains(rest), "{what}: {stderr}");
                assert!(stdout.contains(&line), "{what}: {stdout}{stderr}");
                assert!(begin.elapsed() < Duration::from_secs(25), "{what}: {:?}", begin.elapsed());
            });
        }
    });
}

#[test]
#[ignore = "needs root, and /dev/fuse: processes of another user"]
fn a_process_that_holds_its_memory_and_a_socket_locked_counts_once() {
    let locked = Locked::start("both", &["3", "65534"]);
    let (_target, other) = target("beside-both");
    let pids: Vec<_> = locked.pids.iter().chain([&other]).map(ToString::to_string).collect();
    let output = output(&mut keepalive(&format!("show {}", pids.join(" "))), |_| {});
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    assert_eq!(stderr.matches(LEFT_OUT).count(), 3, "{stderr}");
    assert!(!stderr.contains("user nobody"), "{stderr}");
    assert!(stdout.contains(&format!("beside-both ({other}): ")), "{stdout}");
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

#[test]
#[ignore = "needs root, and /dev/fuse: processes of another user"]
fn a_watch_is_held_up_once_and_leaves_one_child_for_each_of_them() {
    let locked = Locked::start("locked", &["2", "65534"]);
    let mut command = keepalive("show --watch=100ms");
    command.args(locked.pids.iter().map(ToString::to_string));
    let watch = Running::start(&mut command);
    let begin = Instant::now();
    watch.hear_text("0 connections", PATIENCE);
    println!("the first look: {:?}", begin.elapsed());
    let begin = Instant::now();
    for _ in 0..10 {
        watch.hear_text("0 connections", PATIENCE);
    }
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    let children = format!("/proc/{0}/task/{0}/children", watch.pid());
    let children = std::fs::read_to_string(children).expect("it runs");
    let number = children.split_whitespace().count();
    // Each of the two was asked twice, and a look may go on.
    assert!(number <= 5, "{children}");
}
