//! `run` where no preload works: a follower beside the program sets its sockets.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::Pid;

use crate::follow::{all_are_set, eventually};
use crate::support::{self, bare, compile, run};
use crate::targets::{go_program, options};
use crate::{
    PublicDirectory, Target, as_ordinary_user, failure, keepalive, keepalive_run, sockets,
};

/// tests/hosts/target.c, statically linked.
pub fn static_target() -> PathBuf {
    compile("target_static", &["-static"])
}

/// The number of the follower that `--verbose` names.
pub fn follower(said: &str) -> Option<Pid> {
    let (_, rest) = said.split_once("; process ")?;
    rest.split_once(" follows it")?.0.parse().ok().map(Pid::from_raw)
}

/// A program under `run`, and the number of its follower.
#[track_caller]
pub fn with_follower(arguments: &str, program: &Path) -> (Target, Pid) {
    let said = support::scratch("said");
    let mut command = keepalive(&format!("run --verbose {arguments}"));
    command.arg(program).stderr(File::create(&said).expect("a file"));
    let target = Target::start(&mut command);
    let said = std::fs::read_to_string(&said).expect("text");
    let follower = follower(&said).unwrap_or_else(|| panic!("{said}"));
    (target, follower)
}

/// What it opens at its start is set, and what it opens later.
#[track_caller]
fn is_served(mut target: Target) {
    all_are_set(target.pid(), 3);
    for number in [5, 7] {
        target.ask("connect");
        all_are_set(target.pid(), number);
    }
    let sockets = sockets(target.pid());
    assert!(sockets.iter().all(|it| it["rto_max_ms"] == 120_000), "{sockets:#?}");
    target.ask("echo");
}

#[test]
fn a_statically_linked_program() {
    is_served(Target::start(keepalive("run --dead-after 2m").arg(static_target())));
}

/// The bound would shorten the handshakes of a listener.
#[test]
fn a_bound_on_retransmissions_is_for_connections() {
    let arguments = "run --dead-after 2m --rto-max 9600ms";
    let target = Target::start(keepalive(arguments).arg(static_target()));
    all_are_set(target.pid(), 3);
    for socket in sockets(target.pid()) {
        let bound = if socket["state"] == "listen" { 120_000 } else { 9600 };
        assert_eq!(socket["rto_max_ms"], bound, "{socket}");
    }
}

#[test]
#[ignore = "needs musl-gcc (Debian: musl-tools)"]
fn a_program_linked_statically_with_musl() {
    is_served(Target::start(keepalive("run --dead-after 2m").arg(crate::musl_program("target"))));
}

#[test]
#[ignore = "needs go (Debian: golang-go)"]
fn a_go_program_that_switches_keepalive_off() {
    is_served(Target::start(keepalive("run --dead-after 2m").arg(go_program())));
}

#[test]
fn an_ordinary_user_s_programs() {
    let directory = PublicDirectory::new("beside");
    let command = directory.copy(env!("CARGO_BIN_EXE_keepalive"));
    let program = directory.copy(static_target());
    let mut run = bare(command);
    as_ordinary_user(&mut run).args(["run", "--dead-after", "2m"]).arg(program);
    let mut target = Target::start(&mut run);
    target.ask("fork");
    all_are_set(target.pid(), 3);
    all_are_set(child_of(target.pid()), 5);
    is_served(target);
}

fn child_of(pid: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    children.expect("text").trim().parse().expect("one child")
}

fn script(name: &str, text: &str) -> PathBuf {
    let path = support::scratch(name);
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("its mode");
    path
}

#[test]
fn a_script_of_such_an_interpreter() {
    let text = format!("#!{}\n", static_target().display());
    let target = Target::start(keepalive("run --dead-after 2m").arg(script("of-static", &text)));
    all_are_set(target.pid(), 3);
}

/// The shell has the preload, what it starts has the follower.
#[test]
fn a_shell_script_that_starts_such_programs() {
    let text = format!("#!/bin/sh\n\"{}\"\nexit $?\n", static_target().display());
    let script = script("starts-static", &text);
    let mut target = Target::start(keepalive_run("--follow --dead-after 2m").arg(&script));
    let child = child_of(target.pid());
    all_are_set(child, 3);
    target.ask("connect");
    all_are_set(child, 5);
    let environment = std::fs::read(format!("/proc/{child}/environ")).expect("bytes");
    let preload = format!("LD_PRELOAD={}", support::built_library().display());
    assert!(environment.split(|byte| *byte == 0).any(|entry| entry == preload.as_bytes()));
    // The preload alone leaves them as they are.
    let target = Target::start(keepalive_run("--dead-after 2m").arg(&script));
    let sockets = sockets(child_of(target.pid()));
    assert!(sockets.iter().all(|socket| !options(socket).0), "{sockets:#?}");
}

#[test]
#[ignore = "needs io_uring (Linux 5.19)"]
fn a_program_whose_sockets_io_uring_makes() {
    let program = support::host("io_uring");
    let mut target = Target::start(keepalive_run("--follow --dead-after 2m").arg(&program));
    all_are_set(target.pid(), 3);
    target.ask("connect");
    all_are_set(target.pid(), 5);
    let target = Target::start(keepalive_run("--dead-after 2m").arg(&program));
    let sockets = sockets(target.pid());
    assert!(sockets.iter().all(|socket| !options(socket).0), "the preload saw them: {sockets:#?}");
}

#[test]
fn a_program_that_forks_a_thousand_times() {
    let mut target = Target::start(keepalive("run --dead-after 2m").arg(static_target()));
    target.ask("connect");
    target.ask("forks");
    target.ask("fork");
    all_are_set(target.pid(), 5);
    all_are_set(child_of(target.pid()), 7);
    target.ask("echo");
}

#[test]
fn what_the_program_changes_is_put_back_when_forced() {
    let mut target = Target::start(keepalive("run --force --dead-after 2m").arg(static_target()));
    all_are_set(target.pid(), 3);
    target.ask("own");
    all_are_set(target.pid(), 3);
}

/// The idle times that a program's sockets get, with these variables.
fn idle_times(variables: &[(&str, &str)], arguments: &str) -> (Vec<u64>, String) {
    let said = support::scratch("said");
    let mut command = keepalive(&format!("run {arguments}"));
    command.arg(static_target()).envs(variables.iter().copied());
    let target = Target::start(command.stderr(File::create(&said).expect("a file")));
    eventually("keepalive", || sockets(target.pid()).iter().all(|socket| options(socket).0));
    let times = sockets(target.pid()).iter().map(|socket| options(socket).1).collect();
    let environment = std::fs::read(format!("/proc/{}/environ", target.pid())).expect("bytes");
    let environment = String::from_utf8_lossy(&environment).into_owned();
    for (name, value) in variables {
        assert!(environment.contains(&format!("{name}={value}\0")), "{environment:?}");
    }
    assert!(!environment.contains("LD_PRELOAD"), "{environment:?}");
    (times, std::fs::read_to_string(&said).expect("text"))
}

#[test]
fn the_variables_count_and_the_environment_stays() {
    assert_eq!(idle_times(&[], ""), (vec![45; 3], String::new()));
    assert_eq!(idle_times(&[("TCP_KEEPIDLE", "77")], "").0, [77; 3]);
    assert_eq!(idle_times(&[("KEEPIDLE", "77")], "--idle 33").0, [33; 3]);
    assert_eq!(idle_times(&[("KEEPALIVE", "off"), ("KEEPCNT", "3")], "").0, [45; 3]);
    let (times, said) = idle_times(&[("KEEPIDLE", "abc")], "");
    assert_eq!(times, [7200; 3]);
    assert!(said.starts_with("keepalive: KEEPIDLE=abc: not a whole number from 1 to"), "{said}");
}

#[test]
fn verbose_says_which_way_was_taken() {
    let said = |command: &mut Command| {
        // At Yama's level 1 an ordinary user reads one line more.
        let (_, stderr) = run(command);
        let lines = stderr.split_inclusive('\n');
        lines.filter(|line| !line.contains("ptrace_scope is 1")).collect::<String>()
    };
    let static_program = compile("static/itself", &["-static"]);
    let stderr = said(keepalive("run --verbose").arg(&static_program).arg("/dev/null"));
    let way = format!(
        "; {} is statically linked: no loader runs in it that could load the library; process ",
        static_program.display()
    );
    assert!(stderr.contains(&way) && stderr.ends_with(" follows it\n"), "{stderr}");
    let stderr = said(keepalive_run("--verbose --follow").arg("true"));
    let way = format!("; library {}; process ", support::built_library().display());
    assert!(stderr.contains(&way) && stderr.ends_with(" follows it\n"), "{stderr}");
    let (_, stderr) = run(keepalive("run --debug").arg(&static_program).arg("/dev/null"));
    assert!(stderr.starts_with("keepalive: --debug: the follower reports no"), "{stderr}");
}

/// A follower needs no library.
#[test]
fn where_there_is_no_library() {
    let directory = support::scratch("alone");
    std::fs::create_dir(&directory).expect("a directory");
    let command = directory.join("keepalive");
    support::copy_program(env!("CARGO_BIN_EXE_keepalive"), &command);
    let mut run = bare(&command);
    let target = Target::start(run.args(["run", "--dead-after", "2m"]).arg(static_target()));
    all_are_set(target.pid(), 3);
    // One that is named has to be there.
    let mut run = bare(&command);
    let (status, _) = failure(run.args(["run", "--library", "/nonexistent"]).arg(static_target()));
    assert_eq!(status, 125);
}

#[test]
fn where_the_kernel_does_not_let_it_look() {
    let start = |arguments: &str, program: &Path| {
        let mut command = bare(support::host("without_pidfd_getfd"));
        let library = support::built_library();
        command.args([env!("CARGO_BIN_EXE_keepalive"), "run", "--library"]).arg(library);
        command.args(arguments.split_whitespace()).arg(program).stdin(Stdio::null());
        command
    };
    let program = static_target();
    let (status, stderr) = failure(&mut start("", &program));
    assert_eq!(status, 125, "{stderr}");
    let said = format!(
        "keepalive: {} is statically linked: no loader runs in it that could load the library; nor \
         can it be followed: a seccomp filter forbids pidfd_getfd(2) to this command (containers \
         have one, and services with SystemCallFilter=)\nInstead: give the container \
         CAP_SYS_PTRACE, or start it without this command and follow it from outside: sudo \
         keepalive attach --follow NAME, or sudo keepalive cover ID\n--anyway starts it",
        program.display()
    );
    assert!(stderr.starts_with(&said), "{stderr}");
    let (stdout, stderr) = run(&mut start("--anyway", &program));
    assert!(stdout.starts_with("ready ") && stderr.contains("starting it anyway"), "{stderr}");
    let (status, stderr) = failure(&mut start("--follow", Path::new("true")));
    assert_eq!(status, 125, "{stderr}");
    assert!(stderr.contains("true cannot be followed: a seccomp filter"), "{stderr}");
    assert!(stderr.ends_with("Without --follow the preload alone serves it\n"), "{stderr}");
}

#[test]
#[ignore = "needs root: setuid"]
fn a_setuid_program_is_refused() {
    let directory = PublicDirectory::new("setuid");
    let command = directory.copy(env!("CARGO_BIN_EXE_keepalive"));
    let program = directory.copy(static_target());
    std::fs::set_permissions(&program, Permissions::from_mode(0o4755)).expect("its mode");
    let mut start = bare(&command);
    as_ordinary_user(&mut start).args(["run", "--dead-after", "2m"]).arg(&program);
    let (status, stderr) = failure(start.stdin(Stdio::null()));
    assert_eq!(status, 125);
    let said = format!("keepalive: {} is setuid: ", program.display());
    assert!(stderr.starts_with(&said), "{stderr}");
    assert!(stderr.contains("sudo keepalive attach --follow NAME"), "{stderr}");
}
