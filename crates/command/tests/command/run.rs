//! `keepalive run`: what the program gets, and which programs are refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{self, run, stdout};
use crate::{PublicDirectory, as_ordinary_user, failure, keepalive, keepalive_run, targets};

#[test]
fn the_program_gets_the_variables_and_its_arguments_as_they_are() {
    let script = r#"echo "$KEEPALIVE,$KEEPCNT,$KEEPIDLE,$KEEPINTVL,$TCP_USER_TIMEOUT,$KEEPALIVE_DEBUG,$#,$1""#;
    let with = |arguments: &str| {
        let mut command = keepalive_run(arguments);
        stdout(command.args(["sh", "-c", script, "sh", "--idle 5  x"])).trim_end().to_owned()
    };
    assert_eq!(with(""), ",127,45,45,,,1,--idle 5  x");
    assert_eq!(
        with("--idle 5m --interval 30s --count 4 --user-timeout 90 --force --debug --"),
        "force,4,300,30,90000,1,1,--idle 5  x"
    );
    assert_eq!(with("--dead-after 2m --skip"), "skip,5,56,10,,,1,--idle 5  x");
}

/// What they do to a connection, the operator asks for by name.
#[test]
fn dead_after_bounds_neither_retransmissions_nor_connect() {
    let with = |arguments: &str| {
        let mut command = keepalive_run(arguments);
        stdout(command.args(["sh", "-c", r#"echo "$KEEPIDLE,$TCP_RTO_MAX_MS,$TCP_SYNCNT""#]))
    };
    assert_eq!(with("--dead-after 2m"), "56,,\n");
    assert_eq!(with("--dead-after 2m --rto-max 5s"), "56,5000,27\n");
}

#[test]
fn what_the_environment_has_stays_unless_it_is_given_or_is_off() {
    let shown = |variables: &[(&str, &str)], arguments: &str| {
        let mut command = keepalive_run(arguments);
        command.envs(variables.iter().copied());
        stdout(command.args(["sh", "-c", r#"echo "$KEEPALIVE,$KEEPIDLE,$KEEPCNT""#]))
    };
    let variables = [("KEEPALIVE", "force"), ("KEEPIDLE", "7"), ("KEEPCNT", "8")];
    assert_eq!(shown(&variables, "--idle 60"), "force,60,8\n");
    assert_eq!(shown(&[("KEEPALIVE", "Off")], ""), "on,45,127\n");
}

#[test]
fn the_library_stands_in_front_of_other_preloads() {
    let tracer = support::tracer();
    let mut command = keepalive_run("--idle 77");
    command.arg(support::host("target")).env("LD_PRELOAD", &tracer).stdin(Stdio::null());
    let (_, stderr) = run(&mut command);
    assert!(stderr.contains("TCP_KEEPIDLE, 77"), "the tracer, behind it, saw nothing: {stderr}");
    let library = support::built_library();
    let mut command = keepalive_run("");
    command.env("LD_PRELOAD", &tracer);
    let shown = stdout(command.args(["printenv", "LD_PRELOAD"]));
    assert_eq!(shown.trim_end(), format!("{}:{}", library.display(), tracer.display()));
}

#[test]
fn the_library_is_found_beside_the_command_or_in_lib() {
    let directory = support::scratch("installed");
    for (command_in, library_in) in [("a", "a"), ("b/bin", "b/lib")] {
        let [command_in, library_in] = [command_in, library_in].map(|name| directory.join(name));
        fs::create_dir_all(&command_in).expect("a directory");
        fs::create_dir_all(&library_in).expect("a directory");
        let command = command_in.join("keepalive");
        let library = library_in.join("libkeepalive.so");
        support::copy_program(env!("CARGO_BIN_EXE_keepalive"), &command);
        fs::copy(support::built_library(), &library).expect("a copy");
        let shown = stdout(support::bare(command).args(["run", "printenv", "LD_PRELOAD"]));
        assert_eq!(shown.trim_end(), library.to_str().expect("UTF-8"));
    }
}

#[test]
fn a_library_that_cannot_be_used_is_an_error() {
    for (path, reason) in [
        ("/nonexistent/libkeepalive.so", "no such file"),
        ("/etc/passwd", "not a shared library"),
        (env!("CARGO_BIN_EXE_keepalive"), "another library"),
    ] {
        let (status, stderr) = failure(&mut keepalive(&format!("run --library {path} true")));
        assert_eq!(status, 125);
        assert!(stderr.contains(path) && stderr.contains(reason), "{stderr}");
    }
    let spaced = support::scratch("with space.so");
    fs::copy(support::built_library(), &spaced).expect("a copy");
    let (status, stderr) = failure(keepalive("run --library").arg(&spaced).arg("true"));
    assert_eq!(status, 125);
    assert!(stderr.contains("with ' ' in it"), "{stderr}");
}

#[test]
fn the_exit_status_is_the_program_s_or_env_s() {
    let status = |program: &[&str]| failure(keepalive_run("").args(program));
    assert_eq!(status(&["sh", "-c", "exit 7"]), (7, String::new()));
    let killed = support::finish(keepalive_run("").args(["sh", "-c", "kill -TERM $$"]));
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&killed.status), Some(libc::SIGTERM));
    assert_eq!(status(&["/no/such/program"]).0, 127);
    assert_eq!(
        status(&["no-such-program"]),
        (127, "keepalive: no-such-program: no such program\n".into())
    );
    assert_eq!(status(&["/etc/passwd"]).0, 126);
    assert_eq!(status(&["/"]).0, 126);
    for arguments in ["run", "run --idle x true", "run --nonsense true"] {
        assert_eq!(failure(&mut keepalive(arguments)).0, 125, "{arguments}");
    }
}

fn script(name: &str, text: &str) -> PathBuf {
    let path = support::scratch(name);
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    path
}

#[test]
fn scripts_run_and_their_interpreter_is_looked_at() {
    let plain = script("plain", "echo no interpreter named, $1");
    assert_eq!(stdout(keepalive_run("").arg(plain).arg("1")), "no interpreter named, 1\n");
    let shell = script("shell", "#!/bin/sh\necho $KEEPIDLE\n");
    assert_eq!(stdout(keepalive_run("--idle 5").arg(shell)), "5\n");
    let gone = script("gone", "#!/nonexistent/sh\n");
    let (status, stderr) = failure(keepalive_run("").arg(gone));
    assert_eq!(status, 127);
    assert!(stderr.contains("interpreter"), "{stderr}");

    let interpreter = support::compile("target_static", &["-static"]);
    let through = script("through", &format!("#!{}\n", interpreter.display()));
    let (status, stderr) = failure(unfollowed("").arg(&through));
    assert_eq!(status, 125);
    let named =
        format!("{}: its interpreter {} is statically", through.display(), interpreter.display());
    assert!(stderr.contains(&named), "{stderr}");
    let env = script("env", "#!/usr/bin/env -S target_static -x\n");
    let path = interpreter.parent().expect("a directory");
    let (status, stderr) = failure(unfollowed("").arg(env).env("PATH", path));
    assert_eq!(status, 125, "{stderr}");
    assert!(stderr.contains("target_static is statically"), "{stderr}");
}

/// `keepalive run`, where the kernel lets nobody follow.
pub fn unfollowed(arguments: &str) -> Command {
    let mut command = support::bare(support::host("without_pidfd_getfd"));
    command.arg(env!("CARGO_BIN_EXE_keepalive")).args(["run", "--library"]);
    command.arg(support::built_library()).args(arguments.split_whitespace());
    command
}

/// Asserts that a program which cannot be followed is refused for this reason, and that `--anyway`
/// starts it.
#[track_caller]
fn is_refused(program: &Path, reason: &str) {
    let (status, stderr) = failure(unfollowed("").arg(program));
    assert_eq!(status, 125, "{stderr}");
    let whole = format!("keepalive: {} is {reason}", program.display());
    assert!(stderr.starts_with(&whole), "{stderr}");
    assert!(stderr.contains("keepalive attach") && stderr.contains("--anyway"), "{stderr}");
    let mut anyway = keepalive_run("--anyway");
    let output = support::finish(anyway.arg(program).stdin(Stdio::null()));
    let (stdout, stderr) = support::texts(&output);
    assert!(output.status.success() && stdout.starts_with("ready"), "{stdout}{stderr}");
    assert!(stderr.contains("starting it anyway"), "{stderr}");
}

#[test]
fn a_statically_linked_program_that_cannot_be_followed_is_refused() {
    is_refused(&support::compile("target_static", &["-static"]), "statically linked");
}

#[test]
#[ignore = "needs go (Debian: golang-go)"]
fn a_go_program_that_cannot_be_followed_is_refused() {
    is_refused(&targets::go_program(), "written in Go");
    // The build identifier is enough.
    let stripped = targets::go_program();
    run(Command::new("objcopy")
        .args(["--remove-section", ".go.buildinfo", "--strip-all"])
        .arg(&stripped));
    is_refused(&stripped, "written in Go");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_program_for_another_architecture_that_cannot_be_followed_is_refused() {
    let object = support::scratch("other.o");
    let program = support::scratch("other");
    let source =
        script("other.s", ".globl _start\n_start: mov $1, %eax\n xor %ebx, %ebx\n int $0x80\n");
    run(Command::new("as").args(["--32", "-o"]).arg(&object).arg(source));
    run(Command::new("ld").args(["-m", "elf_i386", "-o"]).arg(&program).arg(&object));
    let (status, stderr) = failure(unfollowed("").arg(&program));
    assert_eq!(status, 125);
    assert!(stderr.contains("is a program for i386, the library is for x86-64"), "{stderr}");
    assert!(support::finish(keepalive_run("--anyway").arg(&program)).status.success());
}

#[test]
#[ignore = "needs root: setuid and setcap"]
fn programs_that_start_in_secure_mode_are_refused() {
    let directory = PublicDirectory::new("secure");
    let command = directory.copy(env!("CARGO_BIN_EXE_keepalive"));
    let library = directory.copy(support::built_library());
    let program = directory.copy(support::host("target"));
    let start = || {
        let mut start = support::bare(&command);
        as_ordinary_user(&mut start);
        start.args(["run", "--library"]).arg(&library).arg(&program);
        start.stdin(Stdio::null());
        start
    };
    assert!(support::finish(&mut start()).status.success(), "as an ordinary program");
    let mode =
        |mode| fs::set_permissions(&program, fs::Permissions::from_mode(mode)).expect("its mode");
    for (bits, word) in [(0o4755, "setuid"), (0o2755, "setgid")] {
        mode(bits);
        let (status, stderr) = failure(&mut start());
        assert_eq!(status, 125);
        assert!(stderr.contains(&format!("is {word}: the loader ignores preloads")), "{stderr}");
    }
    // For its owner it changes nothing.
    let mut as_owner = start();
    assert!(support::finish(as_owner.uid(0).gid(0)).status.success());
    mode(0o755);
    run(Command::new("setcap").arg("cap_net_raw+ep").arg(&program));
    let (status, stderr) = failure(&mut start());
    assert_eq!(status, 125);
    assert!(stderr.contains("is given file capabilities: the loader"), "{stderr}");
}

#[test]
#[ignore = "needs root: becomes another user"]
fn a_library_that_the_program_could_not_load_is_an_error() {
    let directory = PublicDirectory::new("library");
    let command = directory.copy(env!("CARGO_BIN_EXE_keepalive"));
    let library = directory.copy(support::built_library());
    fs::set_permissions(&library, fs::Permissions::from_mode(0o600)).expect("its mode");
    let mut start = support::bare(command);
    as_ordinary_user(&mut start);
    let (status, stderr) = failure(start.args(["run", "--library"]).arg(&library).arg("true"));
    assert_eq!(status, 125);
    assert!(stderr.contains("no permission to read it"), "{stderr}");
    // In a mount namespace that ends with the process.
    let script = r#"mount -t tmpfs -o noexec tmpfs "$1" && cp "$2" "$1/l.so" && exec "$3" run --library "$1/l.so" true"#;
    let mut start = support::bare("unshare");
    start.args(["--mount", "sh", "-c", script, "sh"]).arg(&directory.0);
    start.arg(support::built_library()).arg(env!("CARGO_BIN_EXE_keepalive"));
    let (status, stderr) = failure(&mut start);
    assert_eq!(status, 125);
    assert!(stderr.contains("mounted noexec"), "{stderr}");
}

/// Blocks a signal, and lets the arguments decide about SIGPIPE and a standard descriptor, then
/// starts a program.
const INHERITING: &str = "
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
signal.signal(signal.SIGPIPE, signal.SIG_IGN if sys.argv[1] == 'ignored' else signal.SIG_DFL)
if sys.argv[2] != '-':
    os.close(int(sys.argv[2]))
os.execvp(sys.argv[3], sys.argv[3:])
";

#[test]
#[ignore = "needs /usr/bin/python3"]
fn nothing_else_changes_the_process() {
    let library = support::built_library().display().to_string();
    let run = [env!("CARGO_BIN_EXE_keepalive"), "run", "--library", &library];
    let signals = ["grep", "-E", "^(Pid|SigBlk|SigIgn):", "/proc/self/status"];
    let [stdin, stderr] = ["/proc/self/fd/0", "/proc/self/fd/2"].map(|path| ["readlink", path]);

    let mut seen = Vec::new();
    for (sigpipe, closed) in
        [("ignored", "-"), ("default", "-"), ("default", "0"), ("default", "2")]
    {
        let shown = |through: &[&str], program: &[&str]| {
            let mut command = support::bare("/usr/bin/python3");
            command.args(["-c", INHERITING, sigpipe, closed]).args(through).args(program);
            let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
            let child = child.spawn().expect("python3");
            let pid = format!("Pid:\t{}\n", child.id());
            let (stdout, _) = support::texts(&child.wait_with_output().expect("an end"));
            stdout.replace(&pid, "the same process\n")
        };
        let all = |through: &[&str]| {
            [&signals[..], &stdin, &stderr].map(|program| shown(through, program)).join(";")
        };
        let (with, without) = (all(&run), all(&["env"]));
        assert_eq!(with, without, "{sigpipe} {closed}");
        assert!(with.starts_with("the same process\n"), "{with}");
        assert!(with.contains("SigBlk:\t0000000000000200"), "{with}");
        seen.push(with);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4, "what is compared does not show the differences: {seen:#?}");
}

#[test]
fn verbose_says_what_was_chosen() {
    for (arguments, unacknowledged) in [
        ("--dead-after 2m", "kernel retransmits for about 15m 24s"),
        (
            "--dead-after 2m --rto-max 9600ms",
            "resent at least every 9.6s, connection dropped within 1m 59s, connect(2) sends its SYN again \
             16 times",
        ),
    ] {
        let (_, stderr) = run(keepalive_run(&format!("{arguments} --verbose")).arg("true"));
        let chosen = format!(
            "keepalive: first probe after 56s idle, then every 10s, dead after 5 unanswered, \
             unacknowledged data: {unacknowledged}; library "
        );
        assert!(stderr.starts_with(&chosen), "{stderr}");
    }
}
