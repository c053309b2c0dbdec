//! Every reason for which the kernel refuses, provoked for real: the command names it and says
//! what to do. (Yama's four levels are not among them: they cannot be varied without changing the
//! machine. src/process/refusal.rs has unit tests of each level's message.)

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::support::namespace::ran_in_user_namespace;
use crate::support::{self, bare, run};
use crate::{NOBODY, PublicDirectory, Target, as_ordinary_user, c_target, failure, keepalive};

/// The command and the program that is looked into, where every user can start them.
struct Public {
    _directory: PublicDirectory,
    command: PathBuf,
    program: PathBuf,
}

impl Public {
    fn new(name: &str) -> Self {
        let directory = PublicDirectory::new(name);
        let command = directory.copy(env!("CARGO_BIN_EXE_keepalive"));
        let program = directory.copy(support::host("target"));
        Self { _directory: directory, command, program }
    }

    /// The program, as an ordinary user.
    fn target(&self, arguments: &[&str]) -> Target {
        let mut command = bare(&self.program);
        Target::start(as_ordinary_user(&mut command).args(arguments))
    }

    /// The command, as an ordinary user.
    fn keepalive(&self, what: &str, target: &Target) -> Command {
        let mut command = bare(&self.command);
        as_ordinary_user(&mut command).args(what.split_whitespace()).arg(target.pid().to_string());
        command
    }
}

/// Asserts that both `show` and `attach` fail with this reason, and change nothing.
#[track_caller]
fn is_refused(command: impl Fn(&str) -> Command, target: &Target, reason: &str) {
    for what in ["show", "attach --idle 60"] {
        let (status, stderr) = failure(&mut command(what));
        assert_eq!(status, 1, "{stderr}");
        assert!(stderr.starts_with(&format!("keepalive: target ({}): ", target.pid())), "{stderr}");
        assert!(stderr.contains(reason), "{what}: {stderr}");
    }
    for socket in crate::sockets(target.pid()) {
        assert_eq!(socket["keepalive"], false);
    }
}

#[test]
fn an_ordinary_user_may_look_into_processes_of_its_own() {
    let public = Public::new("own");
    let target = public.target(&[]);
    let (stdout, _) = run(&mut public.keepalive("attach --idle 60", &target));
    assert!(stdout.contains("3 sockets changed"), "{stdout}");
    let (stdout, _) = run(&mut public.keepalive("show", &target));
    assert!(
        stdout.contains("2 connections: all on, first probe after 60s")
            && stdout.contains("keepalive in 59s"),
        "{stdout}"
    );
}

#[test]
#[ignore = "needs root: becomes another user"]
fn a_process_of_another_user() {
    let public = Public::new("other");
    let target = c_target();
    let command = |what: &str| public.keepalive(what, &target);
    is_refused(command, &target, "it runs as root: do this as root (sudo");
    // The same user, another group.
    let mut other_group = bare(&public.program);
    other_group.uid(NOBODY).gid(1).current_dir("/");
    let target = Target::start(&mut other_group);
    let (status, stderr) = failure(&mut public.keepalive("attach", &target));
    assert_eq!((status, stderr.contains("it runs as nobody")), (1, true), "{stderr}");
}

#[test]
#[ignore = "needs root: becomes another user"]
fn the_summary_counts_what_it_may_not_look_into() {
    let public = Public::new("summary");
    let (others, own) = (c_target(), public.target(&[]));
    let mut command = bare(&public.command);
    let (stdout, _) = run(as_ordinary_user(&mut command).arg("show"));
    let row = |target: &Target| {
        let pid = target.pid().to_string();
        stdout.lines().any(|line| line.trim_start().starts_with(&format!("{pid} ")))
    };
    assert!(row(&own) && !row(&others), "{stdout}");
    assert!(stdout.contains("Not looked into: "), "{stdout}");
}

#[test]
#[ignore = "needs root: becomes another user"]
fn a_process_that_is_not_dumpable() {
    let public = Public::new("undumpable");
    let target = public.target(&["undumpable"]);
    is_refused(|what| public.keepalive(what, &target), &target, "it is not dumpable (prctl(2)");
    // Root may.
    run(&mut keepalive(&format!("attach --idle 60 {}", target.pid())));
}

#[test]
#[ignore = "needs root, and setcap (Debian: libcap2-bin)"]
fn a_process_with_capabilities() {
    let public = Public::new("capabilities");
    run(Command::new("setcap").arg("cap_net_raw+ep").arg(&public.program));
    let target = public.target(&[]);
    is_refused(
        |what| public.keepalive(what, &target),
        &target,
        "it has capabilities that you do not",
    );
}

#[test]
#[ignore = "needs root, and setcap (Debian: libcap2-bin)"]
fn with_capabilities_of_its_own_the_command_may() {
    let public = Public::new("cap-sys-ptrace");
    let target = c_target();
    let setcap = |capabilities: &str| {
        run(Command::new("setcap").arg(capabilities).arg(&public.command));
    };
    setcap("cap_sys_ptrace+ep");
    let (status, stderr) = failure(&mut public.keepalive("attach --idle 60", &target));
    assert_eq!(status, 1);
    assert!(stderr.contains("CAP_DAC_READ_SEARCH"), "{stderr}");
    setcap("cap_sys_ptrace,cap_dac_read_search+ep");
    let (stdout, _) = run(&mut public.keepalive("attach --idle 60", &target));
    assert!(stdout.contains("3 sockets changed"), "{stdout}");
}

#[test]
#[ignore = "needs user namespaces"]
fn a_process_outside_of_the_user_namespace() {
    let public = Public::new("userns");
    // As root inside, and as an ordinary user.
    for arguments in ["-Ur", "-U"] {
        let target = public.target(&[]);
        let command = |what: &str| {
            let mut unshare = bare("unshare");
            as_ordinary_user(&mut unshare).arg(arguments).arg(&public.command);
            unshare.args(what.split_whitespace()).arg(target.pid().to_string());
            unshare
        };
        is_refused(command, &target, "it is outside of this user namespace");
    }
}

#[test]
#[ignore = "needs user namespaces"]
fn one_s_own_container_may_be_looked_into_but_for_its_timers() {
    let public = Public::new("container");
    let mut command = bare("unshare");
    as_ordinary_user(&mut command).args(["-U", "-r", "--net", "sh", "-c"]);
    command.arg("ip link set lo up; exec \"$0\"").arg(&public.program);
    let target = Target::start(&mut command);
    let (stdout, _) = run(&mut public.keepalive("attach --idle 60", &target));
    assert!(stdout.contains("3 sockets changed"), "{stdout}");
    let output = support::finish(&mut public.keepalive("show", &target));
    let (stdout, stderr) = support::texts(&output);
    assert!(stderr.contains("its network namespace cannot be entered"), "{stderr}");
    let row = stdout.lines().find(|line| line.contains("ESTAB")).expect("a connection");
    assert!(row.contains("on") && row.contains("60s"), "{stdout}");
}

#[test]
fn a_seccomp_filter() {
    let filtered = support::host("without_pidfd_getfd");
    let target = c_target();
    let command = |what: &str| {
        let mut command = bare(&filtered);
        command.arg(env!("CARGO_BIN_EXE_keepalive"));
        command.args(what.split_whitespace()).arg(target.pid().to_string());
        command
    };
    is_refused(command, &target, "a seccomp filter forbids pidfd_getfd(2)");
    // State and timer come from sock_diag(7), and are shown.
    let output = support::finish(&mut command("show"));
    let (stdout, _) = support::texts(&output);
    assert!(stdout.contains("ESTAB") && stdout.contains('?'), "{stdout}");
}

#[test]
fn a_process_that_ends_meanwhile_is_no_error() {
    let mut zombie = c_target();
    zombie.child.kill().expect("it lives");
    std::thread::sleep(std::time::Duration::from_millis(200));
    // It has ended, and nobody has waited for it yet.
    let (stdout, stderr) = run(&mut keepalive(&format!("attach --idle 60 {}", zombie.pid())));
    assert!(stdout.contains(": has ended meanwhile\n"), "{stdout}");
    assert_eq!(stderr, "");
}

/// A command line in a mount namespace whose /proc is mounted anew, with this option.
fn with_proc(option: &str, command_line: &str) -> Command {
    let mut command = bare("unshare");
    let script = format!("mount -t proc -o {option} proc /proc; exec {command_line}");
    command.args(["--mount", "sh", "-c", &script]);
    command
}

#[test]
#[ignore = "needs root: makes a mount namespace, becomes another user"]
fn a_proc_that_hides_other_users_processes_is_told() {
    let public = Public::new("hidepid");
    let target = c_target();
    let as_nobody = format!(
        "setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups {} ",
        public.command.display()
    );
    let hidden = "/proc does not show other users' processes (hidepid= ";
    let keepalive = |what: &str| with_proc("hidepid=invisible", &(as_nobody.clone() + what));
    let (_, stderr) = run(&mut keepalive("show"));
    assert!(stderr.starts_with(&format!("keepalive: {hidden}")), "{stderr}");
    for what in ["show", "attach --idle 60"] {
        let (status, stderr) = failure(&mut keepalive(&format!("{what} target")));
        assert_eq!(status, 1, "{stderr}");
        let said = format!("keepalive: target: no process has this name; {hidden}");
        assert!(stderr.starts_with(&said), "{stderr}");
        let (status, stderr) = failure(&mut keepalive(&format!("{what} {}", target.pid())));
        assert_eq!(status, 1, "{stderr}");
        let said = format!("keepalive: {}: /proc does not show this process", target.pid());
        assert!(stderr.starts_with(&said), "{stderr}");
    }
    // Root sees everybody.
    let command_line = format!("{} show", env!("CARGO_BIN_EXE_keepalive"));
    let (stdout, stderr) = run(&mut with_proc("hidepid=invisible", &command_line));
    assert!(stdout.contains(" target ") && stderr.is_empty(), "{stdout}{stderr}");
}

#[test]
#[ignore = "needs user namespaces"]
fn a_proc_without_sysctls_is_enough() {
    if ran_in_user_namespace() {
        return;
    }
    let target = c_target();
    let pid = target.pid();
    let keepalive = |what: &str| {
        with_proc("subset=pid", &format!("{} {what} {pid}", env!("CARGO_BIN_EXE_keepalive")))
    };
    let (stdout, _) = run(&mut keepalive("attach --idle 60"));
    assert!(stdout.contains(&format!("target ({pid}): 3 sockets changed")), "{stdout}");
    let (stdout, _) = run(&mut keepalive("show"));
    assert!(stdout.contains("keepalive in 59s"), "{stdout}");
}

#[test]
#[ignore = "needs user namespaces"]
fn root_without_capabilities_is_not_told_to_become_root() {
    if ran_in_user_namespace() {
        return;
    }
    let target = c_target();
    let command = |what: &str| {
        let mut setpriv = bare("setpriv");
        setpriv
            .args(["--bounding-set=-all", "--inh-caps=-all"])
            .arg(env!("CARGO_BIN_EXE_keepalive"));
        setpriv.args(what.split_whitespace()).arg(target.pid().to_string());
        setpriv
    };
    is_refused(command, &target, "it has capabilities that you do not have");
    let (_, stderr) = failure(&mut command("show"));
    assert!(stderr.contains("do this with CAP_SYS_PTRACE"), "{stderr}");
}
