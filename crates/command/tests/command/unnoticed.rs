//! The program does not notice the follower that `run` starts beside it, whatever it looks at and
//! whatever it inherits; nor does it matter to the program how the follower ends.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use expectrl::{ControlCode, Expect};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::beside::{follower, static_target, with_follower};
use crate::follow::{Supervisor, all_are_set, eventually};
use crate::support::namespace::ran_in_user_namespace;
use crate::support::{self, bare, compile};
use crate::terminal::{assert_status, is_a_job, shell};
use crate::{Target, keepalive, without_nohup};

/// tests/hosts/itself.c, statically linked.
fn itself() -> PathBuf {
    compile("static/itself", &["-static"])
}

/// What the program sees after `inherit` has prepared it, started through these arguments.
#[track_caller]
fn seen(inherited: &str, before: &[&str], through: &[&str]) -> String {
    const CLOEXEC: libc::c_int = libc::CLOSE_RANGE_CLOEXEC as libc::c_int;

    let file = support::scratch("seen");
    let inherit = support::host("inherit").display().to_string();
    let mut arguments = before.to_vec();
    arguments.extend([&*inherit, inherited]);
    arguments.extend(through);
    let mut command = Command::new(arguments[0]);
    command.args(&arguments[1..]).arg(itself()).arg(&file);
    command.env_clear().envs([
        ("PATH", "/usr/bin:/bin"),
        ("KEEPALIVE", "off"),
        ("KEEPIDLE", "abc"),
    ]);
    // Other tests have terminals open at the moment, which would be inherited.
    // SAFETY: what is open stays so until execve(2).
    let close = || match unsafe { libc::close_range(3, libc::c_uint::MAX, CLOEXEC) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    };
    // SAFETY: a system call, and nothing else.
    unsafe { command.pre_exec(close) };
    // No pipe, whose number would differ from one run to the next.
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "{inherited}");
    let text = std::fs::read_to_string(&file).expect("text");
    assert!(text.contains("\nprocess: SELF\n") && text.contains("\nwait: "), "{text}");
    text
}

const RUN: [&str; 2] = [env!("CARGO_BIN_EXE_keepalive"), "run"];

#[test]
fn the_program_sees_what_it_sees_without_a_follower() {
    let mut all = Vec::new();
    for inherited in
        ["nothing", "signals", "0", "1", "2", "closed", "session", "orphans", "child", "files"]
    {
        let (with, without) = (seen(inherited, &[], &RUN), seen(inherited, &[], &["/usr/bin/env"]));
        assert_eq!(with, without, "{inherited}");
        assert!(with.ends_with("\nwait: No child processes\n"), "{with}");
        all.push(with);
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 10, "what is compared does not show the differences: {all:#?}");
}

/// As in a container that starts with `keepalive run`. The kernel's list of children has the
/// follower there.
#[test]
#[ignore = "needs user namespaces"]
fn the_first_process_of_a_pid_namespace_sees_only_its_list_of_children() {
    if ran_in_user_namespace() {
        return;
    }
    const UNSHARE: [&str; 4] = ["unshare", "--pid", "--fork", "--mount-proc"];
    let others = |text: &str| text.replace("children: 1\n", "children: 0\n");
    for inherited in ["nothing", "signals", "closed"] {
        let with = seen(inherited, &UNSHARE, &RUN);
        let without = seen(inherited, &UNSHARE, &["/usr/bin/env"]);
        assert!(with.contains("\nNSpid: SELF\n") && with.contains("children: 1\n"), "{with}");
        assert_eq!(others(&with), without, "{inherited}");
    }
}

#[test]
#[ignore = "needs user namespaces"]
fn a_first_process_is_followed_too() {
    if ran_in_user_namespace() {
        return;
    }
    let mut command = bare("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child", RUN[0], RUN[1]]);
    command.args(["--dead-after", "2m"]).arg(static_target());
    let mut unshare = Target::start(&mut command);
    let children = format!("/proc/{0}/task/{0}/children", unshare.pid());
    let program = std::fs::read_to_string(children).expect("text");
    let program = program.trim().parse().expect("one child");
    unshare.ask("connect");
    all_are_set(program, 5);
}

/// Where children are to come into another pid namespace, the first of them may not end.
#[test]
#[ignore = "needs user namespaces"]
fn a_program_with_a_pid_namespace_for_its_children_is_refused() {
    if ran_in_user_namespace() {
        return;
    }
    let mut command = bare("unshare");
    command.arg("--pid").args(RUN).arg(static_target());
    let (status, stderr) = crate::failure(&mut command);
    assert_eq!(status, 125, "{stderr}");
    assert!(stderr.contains("in another pid namespace (unshare(1) needs --fork)"), "{stderr}");
}

/// Whether a process is there, and has not ended.
fn runs(pid: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

#[test]
fn it_ends_with_the_program() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let (target, follower) = with_follower("--dead-after 2m", &static_target());
        assert!(runs(follower));
        kill(Pid::from_raw(target.pid() as i32), signal).expect("it runs");
        eventually("the follower's end", || !runs(follower));
    }
    // Also where the program cannot be started after all.
    let program = support::scratch("truncated");
    let bytes = std::fs::read(static_target()).expect("a file");
    std::fs::write(&program, &bytes[..bytes.len().min(2000)]).expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("its mode");
    let output = support::finish(keepalive("run --verbose").arg(&program));
    let (_, stderr) = support::texts(&output);
    let follower = follower(&stderr).unwrap_or_else(|| panic!("{stderr}"));
    eventually("the follower's end", || !runs(follower));
}

#[test]
fn the_program_goes_on_without_it() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let (mut target, follower) = with_follower("--dead-after 2m", &static_target());
        all_are_set(target.pid(), 3);
        kill(follower, signal).expect("it runs");
        eventually("the follower's end", || !runs(follower));
        // It also finds no children but its own.
        target.ask("forks");
        target.ask("echo");
        target.child.stdin.take();
        assert!(target.child.wait().expect("a child").success());
    }
}

/// What an administrator sees of it.
#[test]
fn it_has_nothing_of_the_program_s() {
    let (target, follower) = with_follower("--dead-after 2m", &static_target());
    let link = |name: &str| std::fs::read_link(format!("/proc/{follower}/{name}")).expect("a link");
    assert_eq!(link("cwd"), Path::new("/"));
    // While it looks it has some more, for a moment.
    eventually("nothing but descriptors of its own", || {
        let fds = std::fs::read_dir(format!("/proc/{follower}/fd")).expect("a directory");
        let mut sockets = 0;
        let are_own = fds.flatten().all(|fd| {
            let file = std::fs::read_link(fd.path()).unwrap_or_default().display().to_string();
            let own = ["/dev/null", "anon_inode:[signalfd]", "anon_inode:[pidfd]", "pidfd:"];
            sockets += usize::from(file.starts_with("socket:"));
            file.starts_with("socket:") || own.iter().any(|own| file.starts_with(own))
        });
        // For the system's log.
        are_own && sockets == 1
    });
    let stat = procfs::process::Process::new(follower.as_raw()).and_then(|it| it.stat());
    let stat = stat.expect("it runs");
    assert_eq!((stat.session, stat.pgrp, stat.tty_nr), (follower.as_raw(), follower.as_raw(), 0));
    assert_ne!(stat.ppid, target.pid() as i32);
    // Nor is it found by the program's name: pkill(1) -f.
    let command_line = std::fs::read_to_string(format!("/proc/{follower}/cmdline")).expect("text");
    let title = format!("keepalive follows {}", target.pid());
    assert_eq!(command_line.trim_end_matches('\0'), title);
}

/// On a terminal: SIGTSTP, SIGCONT and SIGINT come to the program, and the shell sees its status. The
/// follower does not end by a SIGINT that the program handles.
#[test]
#[ignore = "needs busybox-static"]
fn the_program_is_a_job_of_the_shell() {
    let mut shell = shell();
    is_a_job(&mut shell, "/bin/busybox sh");
    let line = "$run --verbose /bin/busybox sh -c \
                'trap \"echo cau''ght; trap - INT\" INT; echo sta''rted; while :; do read line; done'";
    shell.send_line(line).expect("sent");
    let said = shell.expect("started").expect("it runs");
    let follower = follower(&String::from_utf8_lossy(said.before())).expect("its number");
    shell.send(ControlCode::EndOfText).expect("sent");
    shell.expect("caught").expect("the program's own handler ran");
    // Longer than it takes to end.
    std::thread::sleep(Duration::from_millis(500));
    assert!(runs(follower));
    shell.send(ControlCode::EndOfText).expect("sent");
    // Killed by SIGINT.
    assert_status(&mut shell, 130);
    eventually("the follower's end", || !runs(follower));
}

/// The terminal goes away: the program gets SIGHUP, and goes on, with its follower.
#[test]
#[ignore = "needs busybox-static"]
fn the_program_hears_that_its_terminal_is_gone() {
    without_nohup();
    let (said, heard) = (support::scratch("said"), support::scratch("heard"));
    let shell = "trap 'echo hung up >$HEARD' HUP; echo $$; for i in $(seq 60); do sleep 1; done";
    let mut command = bare("script");
    command.args([
        "-qc",
        // The shell leads the session; its end is what the others in its group hear of.
        "$KEEPALIVE_RUN /bin/busybox sh -c \"$SCRIPT\" 2>$SAID; :",
        "/dev/null",
    ]);
    command.env("KEEPALIVE_RUN", format!("{} run --verbose", RUN[0])).env("SCRIPT", shell);
    command.env("SAID", &said).env("HEARD", &heard).env("SHELL", "/bin/sh");
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut terminal = command.spawn().expect("script (Debian: bsdutils)");
    let mut program = String::new();
    let stdout = terminal.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut program).expect("text");
    let program = Pid::from_raw(program.trim_end().parse().expect("its number"));
    let follower = follower(&std::fs::read_to_string(&said).expect("text")).expect("its number");
    assert!(runs(follower));
    terminal.kill().expect("it runs");
    terminal.wait().expect("a child");
    eventually("SIGHUP", || std::fs::read_to_string(&heard).is_ok_and(|text| text == "hung up\n"));
    // Longer than it takes to end.
    std::thread::sleep(Duration::from_millis(500));
    assert!(runs(follower) && runs(program));
    kill(program, Signal::SIGKILL).expect("it runs");
    eventually("the follower's end", || !runs(follower));
}

/// The program ends and leaves a child behind. Who reads what the program writes sees its end,
/// though the follower goes on.
#[test]
#[ignore = "needs busybox-static"]
fn it_goes_on_with_a_descendant_and_nobody_waits_for_it() {
    let script = "/bin/busybox sleep 60 <&- >&- 2>&- & /bin/busybox sleep 1; echo $!";
    let said = support::scratch("said");
    let mut command = keepalive("run --verbose /bin/busybox sh -c");
    let child = command.arg(script).stdout(Stdio::piped());
    let child = child.stderr(std::fs::File::create(&said).expect("a file"));
    let begin = std::time::Instant::now();
    let output = child.spawn().and_then(Child::wait_with_output).expect("an end");
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    let left = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
    let follower = follower(&std::fs::read_to_string(&said).expect("text")).expect("its number");
    assert!(runs(Pid::from_raw(left)) && runs(follower));
    kill(Pid::from_raw(left), Signal::SIGKILL).expect("it runs");
    eventually("the follower's end", || !runs(follower));
}

/// systemd's socket is for the program, which alone knows when it is ready.
#[test]
fn it_does_not_speak_for_the_program() {
    let supervisor = Supervisor::new("silent");
    let mut command = keepalive("run --dead-after 2m");
    let mut target = Target::start(supervisor.of(command.arg(static_target())));
    target.ask("connect");
    all_are_set(target.pid(), 5);
    supervisor.socket.set_nonblocking(true).expect("an option");
    assert!(supervisor.socket.recv(&mut [0; 64]).is_err(), "a message");
}
