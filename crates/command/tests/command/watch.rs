//! `show --watch` on a terminal and in a pipe, and `show --check`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use expectrl::session::OsSession;
use expectrl::{ControlCode, Expect, Regex};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::namespace::ran_in_user_namespace;
use crate::support::{self, bare, run, stdout};
use crate::terminal::on_terminal;
use crate::{Target, keepalive};

/// What the terminal is told at the begin, and at the end.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// tests/hosts/target.c by another name: other tests attach to all that are called `target`.
fn watched() -> Target {
    let directory = support::scratch("watched");
    std::fs::create_dir(&directory).expect("a directory");
    let program = directory.join("watched");
    support::copy_program(support::host("target"), &program);
    Target::start(&mut bare(program))
}

/// A shell on a terminal of this size.
fn shell(columns: u16, lines: u16) -> OsSession {
    let mut command = bare("env");
    command.args(["--default-signal", "bash", "--norc", "--noprofile", "-i"]);
    command.env("PS1", "ready> ").env("TERM", "xterm").env("NO_COLOR", "1");
    command.env("keepalive", env!("CARGO_BIN_EXE_keepalive"));
    let mut session = on_terminal(command);
    session.expect("ready> ").expect("a prompt");
    // What is expected is not to be found in the echo.
    session
        .send_line(format!("stty cols {columns} rows {lines}; stty -g >/dev/null; echo do''ne"))
        .expect("sent");
    session.expect("done").expect("it is set");
    session.expect("ready> ").expect("a prompt");
    session
}

/// Starts to watch, and leaves the modes of the terminal in a variable of the shell.
fn watch(session: &mut OsSession, arguments: &str) {
    session
        .send_line(format!(
            "modes=$(stty -g); $keepalive show --watch=200ms {arguments}; status=$?"
        ))
        .expect("sent");
    session.expect(ENTER).expect("the screen");
}

/// The terminal is as it was, and the command has ended with 0.
fn is_as_before(session: &mut OsSession) {
    session.expect(LEAVE).expect("the usual screen");
    session.expect("ready> ").expect("a prompt");
    session
        .send_line("[ \"$modes\" = \"$(stty -g)\" ] && echo as be''fore $status.")
        .expect("sent");
    session.expect("as before 0.").expect("the modes, and the status");
}

#[test]
fn the_screen_is_drawn_again_and_left_as_it_was() {
    let target = watched();
    for end in ["q", "interrupt", "SIGTERM", "SIGHUP"] {
        let mut session = shell(100, 30);
        watch(&mut session, &target.pid().to_string());
        session.expect("2 connections: all off").expect("the verdict");
        session.expect("! watched (").expect("what is wrong, first");
        session.expect("FD  STATE").expect("the sockets");
        // Again.
        session.expect("2 connections: all off").expect("the verdict");
        match end {
            "q" => session.send("q").expect("sent"),
            "interrupt" => session.send(ControlCode::EndOfText).expect("sent"),
            signal => {
                let pid = watcher(&target);
                kill(pid, signal.parse::<Signal>().expect("a signal")).expect("it lives");
            }
        }
        is_as_before(&mut session);
    }
}

/// A terminal whose keys cannot be read: stdin is open for writing only.
#[test]
fn keys_that_cannot_be_read_leave_the_terminal_as_it_was() {
    let target = watched();
    let mut session = shell(100, 30);
    watch(&mut session, &format!("{} 0>\"$(tty)\"", target.pid()));
    session.expect("every 200ms").expect("a look");
    session.send("\n").expect("sent");
    session.expect("every 200ms").expect("a look after the key");
    session.expect("every 200ms").expect("one more");
    session.send(ControlCode::EndOfText).expect("sent");
    is_as_before(&mut session);
}

/// The process that watches this target: the parent of the two, if there are two.
fn watcher(target: &Target) -> Pid {
    let argument = target.pid().to_string();
    let begin = Instant::now();
    loop {
        let mut found: Vec<i32> = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words: Vec<_> = line.split(|byte| *byte == 0).collect();
            if words.contains(&&b"--watch=200ms"[..]) && words.contains(&argument.as_bytes()) {
                found.push(pid);
            }
        }
        found.sort_unstable();
        if let Some(pid) = found.first() {
            return Pid::from_raw(*pid);
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "nobody watches");
    }
}

#[test]
fn changes_are_marked_and_the_size_is_followed() {
    let mut target = watched();
    let mut session = shell(100, 30);
    watch(&mut session, &target.pid().to_string());
    session.expect("FD  STATE").expect("the sockets, without marks");
    let _peer = target.connect();
    session.expect("1 opened").expect("it is noticed");
    session.expect(Regex(r"\+  \d+ +ESTAB")).expect("a mark");
    stdout(&mut keepalive(&format!("attach --idle 60 --port {} {}", target.port, target.pid())));
    session.expect("3 changed").expect("it is noticed");
    session.expect(Regex(r"~  \d+ +ESTAB")).expect("a mark");
    // Narrower: columns are lost.
    session.get_process_mut().set_window_size(60, 12).expect("a size");
    let drawn = session.expect("FD  REMOTE").expect("without STATE and LOCAL");
    drop(drawn);
    session.get_process_mut().set_window_size(60, 6).expect("a size");
    session.expect("more lines (--problems)").expect("the rest does not fit");
    // Stopped as a job: the shell has its terminal. Continued: it is drawn on again.
    session.send(ControlCode::Substitute).expect("sent");
    session.expect(LEAVE).expect("the usual screen");
    session.expect("Stopped").expect("the shell says so");
    session.expect("ready> ").expect("a prompt");
    session.send_line("[ \"$modes\" = \"$(stty -g)\" ] && echo as be''fore.").expect("sent");
    session.expect("as before.").expect("the modes");
    session.send_line("fg").expect("sent");
    session.expect(ENTER).expect("the screen");
    session.expect("3 connections").expect("the verdict");
    session.send("q").expect("sent");
    session.expect(LEAVE).expect("the usual screen");
    // Its target ends.
    let mut session = shell(80, 24);
    watch(&mut session, &target.pid().to_string());
    session.expect("3 connections").expect("the verdict");
    let pid = target.pid();
    drop(target);
    session.expect(LEAVE).expect("the usual screen");
    session.expect(format!("{pid}: there is no such process")).expect("why");
    session.expect("ready> ").expect("a prompt");
    // As in a pipe.
    session.send_line("echo it ended with $status.").expect("sent");
    session.expect("it ended with 0.").expect("the status");
}

/// The children of a process that have ended and that it has not waited for.
fn zombies(parent: u32) -> usize {
    let children = format!("/proc/{parent}/task/{parent}/children");
    let children = std::fs::read_to_string(children).expect("it runs");
    let is_zombie = |pid: &&str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| stat.contains(") Z "))
    };
    children.split_whitespace().filter(is_zombie).count()
}

#[test]
fn a_look_leaves_no_child_behind() {
    let target = watched();
    let mut command = keepalive(&format!("show --watch=100ms {}", target.pid()));
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for _ in 0..10 {
        lines.next().expect("a line").expect("text");
    }
    let zombies = zombies(child.id());
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).expect("it lives");
    child.wait().expect("an end");
    assert!(zombies <= 1, "{zombies}");
}

#[test]
fn in_a_pipe_lines_are_appended() {
    let target = watched();
    let mut command = keepalive(&format!("show --watch=200ms {}", target.pid()));
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut next = || {
        let line = lines.next().expect("a line").expect("text");
        let (time, rest) = line.split_once(' ').expect("a time");
        assert!(time.ends_with('Z') && time.len() == 20, "{line}");
        rest.to_owned()
    };
    assert_eq!(next(), "2 connections: all off");
    let came = next();
    assert!(came.starts_with("! watched (") && came.contains(": keepalive off: "), "{came}");
    assert_eq!(next(), "2 connections: all off");
    stdout(&mut keepalive(&format!("attach --idle 60 {}", target.pid())));
    let gone = loop {
        let line = next();
        if line.starts_with("- ") {
            break line;
        }
        assert!(line.starts_with("2 connections: "), "{line}");
    };
    assert!(gone.starts_with("- no longer: watched ("), "{gone}");
    // Nobody reads any more.
    drop(lines);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
    // A signal; and the end of the target.
    for end in ["signal", "target"] {
        let target = watched();
        let mut command = keepalive(&format!("show --watch=200ms {}", target.pid()));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        lines.next().expect("a line").expect("text");
        match end {
            "signal" => kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).expect("it lives"),
            _ => drop(target),
        }
        assert!(lines.all(|line| line.is_ok()));
        assert_eq!(child.wait().expect("an end").code(), Some(0), "{end}");
    }
}

/// Its output and its exit status.
fn check(arguments: &str) -> (String, Option<i32>) {
    let output = support::finish(&mut keepalive(&format!("show --check {arguments}")));
    let (stdout, stderr) = support::texts(&output);
    (stdout + &stderr, output.status.code())
}

#[test]
fn a_check_tells_by_its_exit_status() {
    let target = watched();
    let pid = target.pid();
    let attach = |idle: &str| {
        run(&mut keepalive(&format!("attach --force --idle {idle} {pid}")));
    };
    // Their numbers depend on what was inherited.
    let connected = crate::sockets(pid);
    let connected = connected.iter().filter(|socket| socket["state"] == "established");
    let fds: Vec<_> = connected.map(|socket| socket["descriptors"][0].to_string()).collect();
    let fds = fds.join(", ");
    let off = format!(
        "2 connections: all off\n\
         watched ({pid}): fd {fds}: keepalive off: a dead peer goes unnoticed while the connection is \
         idle\n"
    );
    assert_eq!(check(&pid.to_string()), (off, Some(3)));
    assert_eq!(check(&format!("--json {pid}")).1, Some(3));
    attach("200");
    let on = "2 connections: all on, first probe after 3m 20s\n";
    assert_eq!(check(&pid.to_string()), (on.into(), Some(0)));
    assert_eq!(check(&format!("--listen {pid}")).1, Some(0));
    attach("201");
    let (said, status) = check(&pid.to_string());
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains(", too late\n") && said.contains("4 min (Azure)"), "{said}");
    assert_eq!(check(&format!("--path-timeout 201 {pid}")).1, Some(0));
    let (said, status) = check(&format!("--path-timeout 2m {pid}"));
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("the path forgets after 2m (--path-timeout)"), "{said}");
    // What could not be looked at is no finding; but a finding is one whatever else there is.
    assert_eq!(check("no-such-process-at-all").1, Some(1));
    assert_eq!(check(&format!("no-such-process-at-all {pid}")).1, Some(3));
    // Connections alone count, unless listening sockets are asked for.
    attach("60");
    let listening = watched();
    stdout(&mut keepalive(&format!("attach --idle 60 --remote 127.0.0.1 {}", listening.pid())));
    assert_eq!(check(&listening.pid().to_string()).1, Some(0));
    assert_eq!(check(&format!("--listen {}", listening.pid())).1, Some(3));
    assert_eq!(check(&format!("--all {}", listening.pid())).1, Some(3));
    // What is shown is what counts.
    let page = stdout(&mut keepalive(&format!("show --problems --all {}", listening.pid())));
    assert!(page.contains("LISTEN") && !page.contains("ESTAB"), "{page}");
}

/// Whose values they are.
#[test]
fn it_is_said_whose_values_they_are() {
    let set_by = |pid: u32| {
        let sockets = crate::sockets(pid);
        sockets.iter().map(|it| it["set_by"].to_string()).collect::<Vec<_>>()
    };
    let target = watched();
    assert_eq!(set_by(target.pid()), ["\"kernel\""; 3]);
    stdout(&mut keepalive(&format!("attach --idle 60 {}", target.pid())));
    assert_eq!(set_by(target.pid()), ["\"program\""; 3]);
    let mut command = crate::keepalive_run("--dead-after 2m");
    let target = Target::start(command.arg(support::host("target")));
    assert_eq!(set_by(target.pid()), ["\"library\""; 3]);
    stdout(&mut keepalive(&format!("attach --force --idle 61 {}", target.pid())));
    assert_eq!(set_by(target.pid()), ["\"program\""; 3]);
}

/// Runs a command until it has printed this many lines, and prints how much processor time it and
/// its children took for each, in seconds; also those children for which it does not wait.
const SHARE: &str = "
import ctypes, os, resource, signal, subprocess, sys
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
command = subprocess.Popen(sys.argv[2:], stdout=subprocess.PIPE)
for _ in range(int(sys.argv[1])):
    assert command.stdout.readline()
command.send_signal(signal.SIGTERM)
try:
    while True:
        os.wait()
except ChildProcessError:
    pass
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print((usage.ru_utime + usage.ru_stime) / int(sys.argv[1]))
";

/// Connects to itself a thousand times.
const THOUSAND: &str = "
import os, socket, time
listener = socket.create_server(('127.0.0.1', 0), backlog=2048)
if os.fork() == 0:
    clients = [socket.create_connection(listener.getsockname()) for _ in range(1000)]
    while os.getppid() != 1:
        time.sleep(1)
    os._exit(0)
servers = [listener.accept()[0] for _ in range(1000)]
print('ready 0', flush=True)
time.sleep(999)
";

/// In a network namespace of its own, where no other test's sockets count.
#[test]
#[ignore = "needs user namespaces, and /usr/bin/python3"]
fn watching_a_thousand_connections_takes_at_most_a_fiftieth_of_a_core() {
    if ran_in_user_namespace() {
        return;
    }
    let script = "ip link set lo up; ulimit -n 4096; exec /usr/bin/python3 -c \"$0\"";
    let target = Target::start(bare("unshare").args(["--net", "sh", "-c", script, THOUSAND]));
    let pid = target.pid().to_string();
    let mut command = bare("/usr/bin/python3");
    command.args(["-c", SHARE, "4", env!("CARGO_BIN_EXE_keepalive"), "show", "--watch", &pid]);
    let look: f64 = stdout(&mut command).trim().parse().expect("a number");
    // A look every 2 s.
    let share = look / 2.0;
    println!("show --watch of 1,000 connections, every 2 s: {share:.4} of a core");
    // Unoptimised it takes more.
    let most = if cfg!(debug_assertions) { 0.1 } else { 0.02 };
    assert!(share < most, "{share}");
}
