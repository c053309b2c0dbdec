//! The kernel's own values: each network namespace has its own, and they can be anything.

use std::process::Command;

use crate::cover::Covered;
use crate::follow::eventually;
use crate::groups::{Group, root, unique};
use crate::support::namespace::ran_in_user_namespace;
use crate::support::{self, bare, stdout};
use crate::{Target, keepalive, sockets};

/// In a network namespace of its own, whose sysctls (net.ipv4.tcp_...) are set to these.
fn with_sysctls(sysctls: &[(&str, &str)]) -> Command {
    let mut script = "ip link set lo up; ".to_owned();
    for (name, value) in sysctls {
        script += &format!("echo {value} >/proc/sys/net/ipv4/tcp_{name} && ");
    }
    let mut command = bare("unshare");
    command.args(["--net", "sh", "-c", &format!("{script} exec \"$0\" \"$@\"")]);
    command
}

/// A program with sockets in such a namespace.
fn target_with(sysctls: &[(&str, &str)]) -> Target {
    Target::start(with_sysctls(sysctls).arg(support::host("target")))
}

/// What `run --verbose` says there of the values that apply, where variables that are unusable leave
/// the kernel's.
fn run_says(sysctls: &[(&str, &str)], arguments: &str) -> String {
    let mut command = with_sysctls(sysctls);
    command.arg(env!("CARGO_BIN_EXE_keepalive")).args(["run", "--library"]);
    command.arg(support::built_library()).arg("--verbose").args(arguments.split_whitespace());
    command.envs([("KEEPIDLE", "x"), ("KEEPINTVL", "x"), ("KEEPCNT", "x")]);
    let output = support::finish(command.arg("true"));
    let (_, said) = support::texts(&output);
    assert!(output.status.success(), "{sysctls:?}: {:?}: {said}", output.status);
    let line = said.lines().find_map(|line| line.split_once("; library"));
    let (line, _) = line.unwrap_or_else(|| panic!("{said}"));
    line.strip_prefix("keepalive: ").unwrap_or(line).to_owned()
}

#[test]
#[ignore = "needs user namespaces, and ip (Debian: iproute2)"]
fn a_value_that_is_odd_is_taken_as_it_is() {
    if ran_in_user_namespace() {
        return;
    }
    let timeout = "--user-timeout 90s";
    let data = "unacknowledged data ends the connection after 90s, also if the peer lives";
    for (sysctls, arguments, expected) in [
        // The kernel sends probes without a pause until the user timeout has passed.
        (
            ("keepalive_intvl", "0"),
            timeout,
            format!(
                "first probe after 2h idle (kernel), then every 0s (kernel), dead after 90s (the user \
                 timeout decides, not the count of 9), {data}"
            ),
        ),
        (
            ("keepalive_intvl", "1"),
            timeout,
            format!(
                "first probe after 2h idle (kernel), then every 1s (kernel), dead after 1 unanswered \
                 (the user timeout decides, not the count of 9), {data}"
            ),
        ),
        (
            ("keepalive_time", "0"),
            timeout,
            format!(
                "first probe after 0s idle (kernel), then every 75s (kernel), dead after 2 unanswered \
                 (the user timeout decides, not the count of 9), {data}"
            ),
        ),
        // A time that cannot be one.
        (
            ("keepalive_time", "-1"),
            timeout,
            format!(
                "then every 75s (kernel), dead after 9 unanswered (kernel), {data}, of the kernel's \
                 own values some are unknown"
            ),
        ),
        (
            ("retries2", "0"),
            "--idle 60",
            "first probe after 60s idle, then every 75s (kernel), dead after 9 unanswered (kernel), \
             unacknowledged data: kernel retransmits for about 200ms"
                .into(),
        ),
        (
            ("retries2", "255"),
            "--idle 60",
            "first probe after 60s idle, then every 75s (kernel), dead after 9 unanswered (kernel), \
             unacknowledged data: kernel retransmits for about 8h 15m 24s"
                .into(),
        ),
    ] {
        assert_eq!(run_says(&[sysctls], arguments), expected, "{sysctls:?}");
    }
}

/// The largest and the smallest value of each, and one that is none.
#[test]
#[ignore = "needs user namespaces, and ip (Debian: iproute2)"]
fn no_value_of_a_sysctl_stops_the_command() {
    if ran_in_user_namespace() {
        return;
    }
    for (name, values) in [
        ("keepalive_time", &["-1", "0", "1", "2147483"][..]),
        ("keepalive_intvl", &["-1", "0", "1", "2147483"]),
        ("keepalive_probes", &["0", "1", "255"]),
        ("retries2", &["0", "1", "255"]),
        ("syn_retries", &["1", "127"]),
        ("syn_linear_timeouts", &["0", "1", "127"]),
        ("rto_max_ms", &["1000", "120000"]),
    ] {
        for value in values {
            let sysctl = [(name, *value)];
            let exists = std::path::Path::new("/proc/sys/net/ipv4").join(format!("tcp_{name}"));
            if !exists.exists() {
                continue;
            }
            for arguments in ["", "--user-timeout 90s", "--dead-after 2m --rto-max 1s"] {
                let said = run_says(&sysctl, arguments);
                // 2^32 s and ms.
                assert!(!said.contains("49710d") && !said.contains("49d"), "{sysctl:?}: {said}");
            }
            let target = target_with(&sysctl);
            let shown = stdout(&mut keepalive(&format!("show --json {}", target.pid())));
            assert!(!shown.contains("42949"), "{sysctl:?}: {shown}");
            stdout(&mut keepalive(&format!("attach {}", target.pid())));
            for socket in sockets(target.pid()) {
                let idle = socket["idle_s"].as_u64().expect("a number");
                assert!((1..=45).contains(&idle), "{sysctl:?}: {socket}");
            }
        }
    }
}

#[test]
#[ignore = "needs user namespaces, and ip (Debian: iproute2)"]
fn values_that_cannot_be_read_are_unknown() {
    if ran_in_user_namespace() {
        return;
    }
    for hide in [
        "mount -t tmpfs none /proc/sys/net/ipv4",
        "mount --bind /dev/null /proc/sys/net/ipv4/tcp_keepalive_intvl && \
         mount --bind /dev/null /proc/sys/net/ipv4/tcp_retries2",
    ] {
        let mut command = bare("unshare");
        command.args(["--mount", "sh", "-c", &format!("{hide} && exec \"$0\" \"$@\"")]);
        command.arg(env!("CARGO_BIN_EXE_keepalive")).args(["run", "--library"]);
        command.arg(support::built_library()).args(["--verbose", "--idle", "60", "true"]);
        command.env("KEEPINTVL", "x").env("KEEPCNT", "");
        let (_, said) = support::run(&mut command);
        let (_, said) = said.split_once("keepalive: first probe after 60s idle, ").expect(&said);
        assert!(!said.contains("every"), "{said}");
        assert!(said.contains("unacknowledged data: how long the kernel retransmits is unknown"));
        assert!(said.contains(", of the kernel's own values some are unknown; library"), "{said}");
    }
}

/// The caller's namespace has 7200 s and 15 retries.
const OWN: [(&str, &str); 2] = [("keepalive_time", "20"), ("retries2", "5")];
const SETTINGS: &str = "Settings: first probe after 20s idle, then every 45s, dead after 127 unanswered, \
     unacknowledged data: kernel retransmits for about 12s\n";

#[test]
#[ignore = "needs user namespaces, and ip (Debian: iproute2)"]
fn attach_takes_them_from_the_namespace_of_the_process() {
    if ran_in_user_namespace() {
        return;
    }
    let target = target_with(&OWN);
    let said = stdout(&mut keepalive(&format!("attach {}", target.pid())));
    assert!(said.starts_with(SETTINGS), "{said}");
    assert!(sockets(target.pid()).iter().all(|socket| socket["idle_s"] == 20));

    let other = target_with(&[("keepalive_time", "30")]);
    let said = stdout(&mut keepalive(&format!("attach {} {}", target.pid(), other.pid())));
    for (pid, idle) in [(target.pid(), "20s"), (other.pid(), "30s")] {
        let line = format!("network namespace of target ({pid}): first probe after {idle} idle, ");
        assert!(said.contains(&line), "{said}");
    }
    assert_eq!(said.matches("Settings").count(), 2, "{said}");
    assert!(sockets(other.pid()).iter().all(|socket| socket["idle_s"] == 30));
}

#[test]
#[ignore = "needs user namespaces, and ip (Debian: iproute2)"]
fn follow_takes_them_from_the_namespace_of_the_process() {
    if ran_in_user_namespace() {
        return;
    }
    let target = target_with(&OWN);
    let mut command = keepalive(&format!("attach --follow --verbose {}", target.pid()));
    let follower = command.stderr(std::process::Stdio::piped()).spawn().expect("it starts");
    eventually("all sockets are set", || {
        sockets(target.pid()).iter().all(|socket| socket["idle_s"] == 20)
    });
    drop(target);
    let output = follower.wait_with_output().expect("a child");
    let (_, said) = support::texts(&output);
    assert!(said.starts_with(&format!("keepalive: {SETTINGS}")), "{said}");
}

#[test]
#[ignore = "needs root: network namespaces, attaches BPF programs"]
fn cover_takes_them_from_the_namespaces_of_the_cgroup() {
    let group = Covered { group: Group::new(&root(), &unique("sysctls")) };
    let inside = |target: &Target| {
        std::fs::write(group.path().join("cgroup.procs"), target.pid().to_string()).expect("moved");
    };
    let first = target_with(&OWN);
    inside(&first);
    let said = stdout(&mut group.keepalive("cover"));
    assert!(said.starts_with(SETTINGS), "{said}");
    assert_eq!(group.entry()["idle_s"], 20);

    // A cover has one idle time.
    let second = target_with(&[("keepalive_time", "10")]);
    inside(&second);
    let said = stdout(&mut group.keepalive("cover"));
    for target in [&first, &second] {
        let line =
            format!("network namespace of target ({}): first probe after 10s idle, ", target.pid());
        assert!(said.contains(&line), "{said}");
    }
    assert!(said.contains("the shortest of these namespaces is set"), "{said}");
    assert_eq!(group.entry()["idle_s"], 10);
    for socket in [&first, &second].iter().flat_map(|target| sockets(target.pid())) {
        assert_eq!(socket["idle_s"], 10, "{socket}");
    }
}
