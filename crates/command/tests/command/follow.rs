//! `attach --follow`: what processes open later is set too, whoever they are and whenever they come.

use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::load::{connected, crowd};
use crate::support::namespace::ran_in_user_namespace;
use crate::support::{self, bare};
use crate::targets::{SET, go_program, options};
use crate::{PublicDirectory, Target, as_ordinary_user, c_target, failure, keepalive, sockets};

/// Longer than it takes a look to come, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// `keepalive attach --follow`, running; killed when dropped.
pub struct Follower(Child);

impl Follower {
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().expect("it starts"))
    }

    pub fn of(arguments: &str) -> Self {
        Self::start(&mut keepalive(&format!("attach --follow {arguments}")))
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().try_into().expect("a number"))
    }

    /// Waits for its end: its status, and what it said on stdout and stderr.
    #[track_caller]
    pub fn end(mut self) -> (Option<i32>, String, String) {
        let until = Instant::now() + PATIENCE;
        while self.0.try_wait().expect("a child").is_none() {
            assert!(Instant::now() < until, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        let status = self.0.wait().expect("a child");
        assert_eq!(status.signal(), None);
        let (mut said, mut complained) = (String::new(), String::new());
        let (stdout, stderr) = (self.0.stdout.as_mut(), self.0.stderr.as_mut());
        stdout.expect("a pipe").read_to_string(&mut said).expect("text");
        stderr.expect("a pipe").read_to_string(&mut complained).expect("text");
        (status.code(), said, complained)
    }

    #[track_caller]
    pub fn end_by(self, signal: Signal) -> (Option<i32>, String, String) {
        kill(self.pid(), signal).expect("it runs");
        self.end()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where a program reports that it is ready, as to systemd: sd_notify(3). A socket's path is at most 107
/// bytes, so it is not in a test's scratch directory.
pub struct Supervisor {
    pub socket: UnixDatagram,
    path: PathBuf,
    _directory: PublicDirectory,
}

impl Supervisor {
    pub fn new(name: &str) -> Self {
        let directory = PublicDirectory::new(name);
        let path = directory.0.join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("an option");
        Self { socket, path, _directory: directory }
    }

    /// The command, with this as its supervisor.
    pub fn of<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("NOTIFY_SOCKET", &self.path)
    }
}

/// Waits until something is so.
#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until a process has this many sockets, and all are set.
#[track_caller]
pub fn all_are_set(pid: u32, number: usize) {
    eventually(&format!("{number} sockets of {pid}"), || {
        let sockets = sockets(pid);
        sockets.len() == number && sockets.iter().all(|socket| options(socket) == SET)
    });
}

/// What it has is set, and what it opens later, twice; it ends, and the follower with it.
fn is_followed(mut target: Target, follower: Follower) {
    all_are_set(target.pid(), 3);
    for number in [5, 7] {
        target.ask("connect");
        all_are_set(target.pid(), number);
    }
    target.ask("echo");
    drop(target);
    let (status, said, complained) = follower.end();
    assert_eq!((status, &*complained), (Some(0), ""), "{said}");
    // What the listening socket accepts inherits it.
    assert!(said.starts_with("5 sockets of 1 process changed in "), "{said}");
}

#[test]
fn a_statically_linked_c_program() {
    let target = Target::start(&mut bare(support::compile("target_static", &["-static"])));
    let follower = Follower::of(&format!("--dead-after 2m {}", target.pid()));
    is_followed(target, follower);
}

#[test]
#[ignore = "needs go (Debian: golang-go)"]
fn a_static_go_program_that_switches_keepalive_off() {
    let target = Target::start(&mut bare(go_program()));
    let follower = Follower::of(&format!("--dead-after 2m {}", target.pid()));
    is_followed(target, follower);
}

#[test]
fn an_ordinary_user_s_own_program() {
    let directory = PublicDirectory::new("follow");
    let command = directory.copy(env!("CARGO_BIN_EXE_keepalive"));
    let program = directory.copy(support::host("target"));
    let target = Target::start(as_ordinary_user(&mut bare(program)));
    let mut follow = bare(command);
    let pid = target.pid().to_string();
    follow.args(["attach", "--follow", "--dead-after", "2m", &pid]);
    is_followed(target, Follower::start(as_ordinary_user(&mut follow)));
}

#[test]
#[ignore = "needs root: becomes another user"]
fn another_user_s_program_is_refused_at_once() {
    let directory = PublicDirectory::new("refused");
    let command = directory.copy(env!("CARGO_BIN_EXE_keepalive"));
    let target = c_target();
    let mut follow = bare(command);
    follow.args(["attach", "--follow", "--idle", "60", &target.pid().to_string()]);
    let (status, _, complained) = Follower::start(as_ordinary_user(&mut follow)).end();
    assert_eq!(status, Some(1), "{complained}");
    assert_eq!(complained.matches("it runs as root: do this as root").count(), 1, "{complained}");
}

/// As is one between setresuid(2) and execve(2).
#[test]
fn a_program_that_may_be_looked_into_a_moment_later() {
    let directory = PublicDirectory::new("later");
    let command = directory.copy(env!("CARGO_BIN_EXE_keepalive"));
    let program = directory.copy(support::host("target"));
    let mut target = Target::start(as_ordinary_user(bare(program).arg("undumpable")));
    let mut follow = bare(command);
    follow.args(["attach", "--follow", "--dead-after", "2m", &target.pid().to_string()]);
    let follower = Follower::start(as_ordinary_user(&mut follow));
    let owner = std::fs::metadata(format!("/proc/{}/fd", target.pid())).expect("a directory").uid();
    assert_eq!(owner, 0, "it is not dumpable");
    eventually("some looks", || Cost::of(&follower).looks > 1);
    target.ask("dumpable");
    is_followed(target, follower);
}

#[test]
fn a_process_that_is_not_there_is_refused_at_once() {
    let (status, complained) = failure(&mut keepalive("attach --follow --idle 60 4194304"));
    assert_eq!(status, 1);
    assert!(complained.contains("4194304: there is no such process"), "{complained}");
}

#[test]
fn the_descendants_of_a_process_too() {
    let mut target = c_target();
    let follower = Follower::of(&format!("--dead-after 2m {}", target.pid()));
    all_are_set(target.pid(), 3);
    target.ask("fork");
    let children = format!("/proc/{0}/task/{0}/children", target.pid());
    let child = std::fs::read_to_string(children).expect("text");
    let child = child.trim().parse().expect("one child");
    all_are_set(child, 5);
    // It is followed after its parent has ended as well.
    let (mut stranger, name) = (c_target(), format!("/proc/{child}"));
    stranger.ask("connect");
    drop(target);
    eventually("the child's end", || !std::path::Path::new(&name).exists());
    let (status, said, complained) = follower.end();
    assert_eq!((status, &*complained), (Some(0), ""), "{said}");
    assert!(said.contains(" of 2 processes changed in "), "{said}");
    assert!(sockets(stranger.pid()).iter().all(|socket| !options(socket).0), "a stranger");
}

#[test]
#[ignore = "needs /usr/bin/python3"]
fn the_child_of_a_thread() {
    const THREAD: &str = "import subprocess, sys, threading\n\
                          threading.Thread(target=subprocess.run, args=(sys.argv[1:],)).start()";
    let mut command = bare("/usr/bin/python3");
    let mut target = Target::start(command.args(["-c", THREAD]).arg(support::host("target")));
    let follower = Follower::of(&format!("--dead-after 2m {}", target.pid()));
    let threads = std::fs::read_dir(format!("/proc/{}/task", target.pid())).expect("a directory");
    let children = threads.flatten().map(|it| it.path().join("children"));
    let children: String = children.map(|it| std::fs::read_to_string(it).expect("text")).collect();
    let child = children.trim().parse().expect("one child");
    all_are_set(child, 3);
    target.ask("connect");
    all_are_set(child, 5);
    drop(target.child.stdin.take());
    assert_eq!(follower.end().0, Some(0));
}

#[test]
fn a_name_that_starts_later_and_again() {
    let directory = PublicDirectory::new("named");
    let program = directory.0.join(format!("named-{}", std::process::id() % 1000));
    support::copy_program(support::host("target"), &program);
    let name = program.file_name().expect("a file").to_str().expect("text");
    let follower = Follower::of(&format!("--dead-after 2m {name}"));
    std::thread::sleep(Duration::from_millis(500));
    for _ in 0..2 {
        let mut target = Target::start(&mut bare(&program));
        all_are_set(target.pid(), 3);
        target.ask("connect");
        all_are_set(target.pid(), 5);
    }
    let (status, said, complained) = follower.end_by(Signal::SIGTERM);
    // It may be mistyped, which is told once.
    let waits = format!("keepalive: {name}: no process yet; waiting for one\n");
    assert_eq!((status, complained), (Some(0), waits), "{said}");
    assert!(said.starts_with("8 sockets of 2 processes changed in "), "{said}");
}

#[test]
fn it_ends_at_once_with_its_process_and_by_a_signal() {
    let mut took = Vec::new();
    for signal in [None, Some(Signal::SIGINT), Some(Signal::SIGTERM)] {
        let target = c_target();
        let follower = Follower::of(&format!("--dead-after 2m {}", target.pid()));
        all_are_set(target.pid(), 3);
        // In the middle of a pause.
        std::thread::sleep(Duration::from_millis(2500));
        let begin = Instant::now();
        match signal {
            None => drop(target),
            Some(signal) => kill(follower.pid(), signal).expect("it runs"),
        }
        let (status, said, complained) = follower.end();
        took.push(begin.elapsed());
        assert_eq!((status, &*complained), (Some(0), ""), "{signal:?}");
        assert!(said.starts_with("3 sockets of 1 process changed in "), "{said}");
    }
    println!("it ended after {took:?}");
    assert!(took.iter().all(|took| *took < Duration::from_millis(300)), "{took:?}");
}

#[test]
fn what_the_program_changes_stands_unless_forced() {
    let mut target = c_target();
    let has_own =
        |target: &Target| sockets(target.pid()).iter().any(|socket| options(socket).1 == 33);
    let follower = Follower::of(&format!("--dead-after 2m {}", target.pid()));
    all_are_set(target.pid(), 3);
    target.ask("own");
    target.ask("connect");
    eventually("new ones are set", || {
        sockets(target.pid()).iter().filter(|socket| options(socket) == SET).count() == 4
    });
    assert!(has_own(&target), "put back without --force");
    assert_eq!(follower.end_by(Signal::SIGTERM).0, Some(0));

    let follower = Follower::of(&format!("--force --dead-after 2m {}", target.pid()));
    all_are_set(target.pid(), 5);
    target.ask("own");
    eventually("it is put back", || !has_own(&target));
    assert_eq!(follower.end_by(Signal::SIGTERM).0, Some(0));
}

#[test]
fn a_descriptor_that_is_reused_is_never_the_wrong_socket() {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let ports = listeners.each_ref().map(|it| it.local_addr().expect("one").port().to_string());
    for listener in listeners {
        std::thread::spawn(move || listener.incoming().for_each(drop));
    }
    let mut program = Target::start(bare(support::host("reuse")).args(&ports));
    // A look every 500 ms, with sockets that are new each time.
    let follow = format!("--idle 1 --debug --port {} {}", ports[0], program.pid());
    let follower = Follower::of(&follow);
    std::thread::sleep(Duration::from_secs(15));
    let (status, said, complained) = follower.end_by(Signal::SIGTERM);
    assert_eq!(status, Some(0), "{complained}");
    assert_eq!(program.child.try_wait().expect("a child"), None, "a wrong socket: {complained}");
    assert!(complained.contains("SO_KEEPALIVE=1"), "some were met: {complained}");
    println!("{said}");
}

#[test]
fn another_socket_at_a_descriptor_that_was_seen_is_set_too() {
    let mut target = c_target();
    let links = |target: &Target| {
        let link = |fd| std::fs::read_link(format!("/proc/{}/fd/{fd}", target.pid())).expect("one");
        [3, 4, 5].map(link)
    };
    let follower = Follower::of(&format!("--dead-after 2m {}", target.pid()));
    all_are_set(target.pid(), 3);
    for _ in 0..3 {
        let before = links(&target);
        target.ask("reopen");
        let after = links(&target);
        assert!(before[0] == after[0] && before[1] != after[1] && before[2] != after[2]);
        all_are_set(target.pid(), 3);
    }
    let (status, said, complained) = follower.end_by(Signal::SIGTERM);
    assert_eq!((status, &*complained), (Some(0), ""), "{said}");
    assert!(said.starts_with("6 sockets of 1 process changed in "), "{said}");
}

/// Two processes have the same number, one after the other, and the follower is stopped meanwhile:
/// it follows the first, by its number or by its name, which the second does not have.
#[test]
#[ignore = "needs user namespaces"]
fn a_number_that_is_reused_is_never_the_wrong_process() {
    if ran_in_user_namespace() {
        return;
    }
    std::thread::scope(|scope| {
        for by_name in [false, true] {
            scope.spawn(move || is_never_the_wrong_process(by_name));
        }
    });
}

fn is_never_the_wrong_process(by_name: bool) {
    let script = "
        set -e
        mkfifo $2/in
        exec 9<>$2/in
        $0 <$2/in >$2/first & first=$!
        while ! grep -q ready $2/first; do sleep 0.01; done
        $1 attach --follow --idle 60 ${3:-$first} & follower=$!
        sleep 1
        $1 show --all --json $first >$2/before
        kill -STOP $follower
        kill -KILL $first
        wait $first || true
        echo $((first - 1)) >/proc/sys/kernel/ns_last_pid
        $2/second-program <$2/in >$2/second & second=$!
        [ $first = $second ]
        while ! grep -q ready $2/second; do sleep 0.01; done
        kill -CONT $follower
        sleep 2
        kill -TERM $follower || true
        # bash may have forgotten one that has ended.
        wait $follower || [ $? = 127 ]
        $1 show --all --json $second >$2/after";
    let directory = support::scratch("reused");
    std::fs::create_dir(&directory).expect("a directory");
    support::copy_program(support::host("target"), directory.join("second-program"));
    let mut command = bare("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "bash", "-c", script]);
    command.args([support::host("target").as_os_str(), env!("CARGO_BIN_EXE_keepalive").as_ref()]);
    command.arg(&directory).args(by_name.then_some("target"));
    // The shell says that the first was killed.
    let (said, _) = support::run(&mut command);
    assert!(said.starts_with("3 sockets of 1 process changed in "), "{by_name}: {said}");
    let on = |name: &str| {
        let text = std::fs::read_to_string(directory.join(name)).expect("text");
        text.matches("\"keepalive\": true").count()
    };
    assert_eq!((on("before"), on("after")), (3, 0), "{by_name}");
}

#[test]
#[ignore = "needs user namespaces, and /dev/fuse"]
fn a_socket_that_its_program_holds_locked_is_left_out() {
    if ran_in_user_namespace() {
        return;
    }
    let (_server, pid) = crate::hostile::fuse("locked");
    let said = support::scratch("said");
    let mut command = keepalive(&format!("attach --follow --idle 60 {pid}"));
    command.stderr(std::fs::File::create(&said).expect("a file")).stdout(Stdio::null());
    let mut follower = Follower(command.spawn().expect("it starts"));
    let complaints = || std::fs::read_to_string(&said).expect("text");
    eventually("it gives up", || !complaints().is_empty());
    // It goes on, and does not try again.
    std::thread::sleep(Duration::from_secs(12));
    let complained = complaints();
    assert_eq!(complained.lines().count(), 1, "{complained}");
    let line = format!("keepalive: fuse ({pid}): left out: the program holds the socket of its ");
    assert!(complained.starts_with(&line), "{complained}");
    kill(follower.pid(), Signal::SIGTERM).expect("it runs");
    assert_eq!(follower.0.wait().expect("a child").code(), Some(0));
}

#[test]
#[ignore = "needs user namespaces, and /dev/fuse"]
fn a_signal_ends_it_at_once_while_a_socket_is_held_locked() {
    if ran_in_user_namespace() {
        return;
    }
    let (_server, pid) = crate::hostile::fuse("locked");
    // Not a pipe: the child that cannot be ended keeps it open.
    let mut command = keepalive(&format!("attach --follow --idle 60 {pid}"));
    command.stderr(Stdio::null()).stdout(Stdio::null());
    let mut follower = Follower(command.spawn().expect("it starts"));
    let children = format!("/proc/{0}/task/{0}/children", follower.pid());
    let mut since = None;
    eventually("its child hangs", || {
        let child = std::fs::read_to_string(&children).expect("text");
        let since = since.get_or_insert_with(Instant::now);
        if child.is_empty() {
            *since = Instant::now();
        }
        since.elapsed() > Duration::from_secs(2)
    });
    let begin = Instant::now();
    kill(follower.pid(), Signal::SIGTERM).expect("it runs");
    assert_eq!(follower.0.wait().expect("a child").code(), Some(0));
    println!("it ended after {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

#[test]
fn systemd_hears_that_it_is_ready() {
    let supervisor = Supervisor::new("ready");
    let target = c_target();
    let mut command = keepalive(&format!("attach --follow --dead-after 2m {}", target.pid()));
    let follower = Follower::start(supervisor.of(&mut command));
    let mut text = [0; 64];
    let length = supervisor.socket.recv(&mut text).expect("a message");
    assert_eq!(&text[..length], b"READY=1");
    assert!(sockets(target.pid()).iter().all(|socket| options(socket) == SET), "after a look");
    assert_eq!(follower.end_by(Signal::SIGTERM).0, Some(0));
}

#[test]
fn a_terminal_has_a_status_line() {
    let target = c_target();
    let command = keepalive(&format!("attach --follow --dead-after 2m {}", target.pid()));
    let mut session = crate::terminal::on_terminal(command);
    expectrl::Expect::expect(&mut session, "following 1 process: 3 sockets changed").expect("it");
    drop(target);
    expectrl::Expect::expect(&mut session, "3 sockets of 1 process changed in ").expect("a report");
}

/// What a follower has cost.
struct Cost {
    /// Its processor time.
    time: Duration,
    /// How often it has slept: once after each look.
    looks: u32,
    /// The most memory that it had, in kB.
    memory: u32,
}

impl Cost {
    /// Of a follower, so far.
    fn of(follower: &Follower) -> Self {
        let read = |name: &str| {
            std::fs::read_to_string(format!("/proc/{}/{name}", follower.pid())).expect("text")
        };
        let status = read("status");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            number.expect("a number")
        };
        let time = read("schedstat").split(' ').next().and_then(|time| time.parse().ok());
        Self {
            time: Duration::from_nanos(time.expect("a number")),
            looks: number("voluntary_ctxt_switches:"),
            memory: number("VmHWM:"),
        }
    }
}

/// Prints the table of docs/speed.md.
#[test]
#[ignore = "needs /usr/bin/python3, and 10,300 descriptors (ulimit -n)"]
fn ten_thousand_idle_sockets_cost_at_most_a_hundredth_of_a_core() {
    let crowd = crowd(10_000);
    let (few, _connections) = connected(100);
    let followers = [&few, &crowd.target].map(|target| {
        let supervisor = Supervisor::new(&format!("of-{}", target.pid()));
        let mut command = keepalive(&format!("attach --follow --dead-after 2m {}", target.pid()));
        let follower = Follower::start(supervisor.of(&mut command));
        supervisor.socket.recv(&mut [0; 64]).expect("the first look");
        follower
    });
    let (before, begin) = (followers.each_ref().map(Cost::of), Instant::now());
    // Unoptimised, the first look is followed by too long a pause to wait for others.
    let enough = if cfg!(debug_assertions) { 0 } else { 3 };
    let (after, elapsed) = loop {
        let (after, elapsed) = (followers.each_ref().map(Cost::of), begin.elapsed());
        let looks = before.iter().zip(&after).map(|(before, after)| after.looks - before.looks);
        if elapsed > Duration::from_secs(30) && looks.min() >= Some(enough) {
            break (after, elapsed);
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let processes = processes.filter(|it| it.path().join("stat").exists()).count();
    let seconds = elapsed.as_secs();
    println!("{processes} processes on this machine; first: {seconds} s; later: a look every 10 s");
    println!("| sockets | a look, ms | of a core, first | of a core, later | MB |");
    let mut shares = Vec::new();
    for ((number, before), after) in [100, 10_000].iter().zip(before).zip(after) {
        let (time, looks) = (after.time - before.time, after.looks - before.looks);
        let share = time.as_secs_f64() / elapsed.as_secs_f64();
        let (a_look, memory) = (time / looks.max(1), f64::from(after.memory) / 1024.0);
        let at_rest = a_look.as_secs_f64() / 10.0;
        println!(
            "| {number} | {:.1} | {:.2} % | {:.2} % | {memory:.1} |",
            1000.0 * a_look.as_secs_f64(),
            100.0 * share,
            100.0 * at_rest
        );
        assert!(memory < 40.0, "{memory} MB");
        shares.push((share, at_rest));
    }
    let [(few, few_at_rest), (many, _)] = shares[..] else { unreachable!("two") };
    // A look that began before the time and one that ends after it.
    assert!(many < 0.015, "{many}");
    // Unoptimised it takes several times as long.
    let limit = if cfg!(debug_assertions) { 0.01 } else { 0.001 };
    assert!(few < limit && few_at_rest < limit, "{few} {few_at_rest}");
    for (follower, number) in followers.into_iter().zip(["101", "10001"]) {
        let (status, said, complained) = follower.end_by(Signal::SIGTERM);
        assert_eq!((status, &*complained), (Some(0), ""));
        assert!(said.starts_with(&format!("{number} sockets of 1 process changed in ")), "{said}");
    }
}
