//! Peers that are gone, in a network namespace that loses every packet: when that is noticed, and
//! what `attach` does about connections that have been silent for long.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::namespace::ran_in_user_namespace;
use crate::support::{self, bare, finish, run, stdout, texts};
use crate::{Target, keepalive, sockets};

/// The program in a network namespace of its own, started by this command.
fn isolated_target(run: &Command) -> Target {
    let mut command = bare("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up; exec \"$0\" \"$@\""]);
    command.arg(run.get_program()).args(run.get_args());
    Target::start(&mut command)
}

/// The program alone, silent for long enough.
fn silent_target() -> Target {
    let target = isolated_target(&Command::new(support::host("target")));
    std::thread::sleep(Duration::from_secs(7));
    target
}

/// nft(8) in the target's network namespace.
fn nft(target: &Target, command: &str) {
    let mut nsenter = Command::new("nsenter");
    nsenter.args(["--target", &target.pid().to_string(), "--net", "nft"]).arg(command);
    run(&mut nsenter);
}

/// Loses every packet from now on.
fn lose_everything(target: &Target) {
    nft(
        target,
        "add table inet losing; add chain inet losing output { type filter hook output priority 0; \
         policy drop; }",
    );
}

const TIMES: &str = "--idle 3 --interval 1 --count 3 --user-timeout 6s";

/// The idle time and the user timeout are over already.
fn attach(target: &Target) -> String {
    stdout(&mut keepalive(&format!("attach {TIMES} {}", target.pid())))
}

fn user_timeouts(target: &Target) -> Vec<Option<u64>> {
    let sockets = sockets(target.pid());
    let connected = sockets.iter().filter(|socket| socket["state"] == "established");
    connected.map(|socket| socket["user_timeout_ms"].as_u64()).collect()
}

#[test]
#[ignore = "needs user namespaces"]
fn a_peer_that_answers_gets_the_user_timeout() {
    if ran_in_user_namespace() {
        return;
    }
    let mut target = silent_target();
    let said = attach(&target);
    assert!(!said.contains("not answering"), "{said}");
    assert_eq!(user_timeouts(&target), [Some(6000), Some(6000)]);
    target.ask("echo");
}

/// The peers answer, but the kernel refuses what was to be set then.
#[test]
#[ignore = "needs user namespaces"]
fn a_refused_user_timeout_is_not_taken_for_silence() {
    if ran_in_user_namespace() {
        return;
    }
    let target = silent_target();
    let refuses = ["-DFORBIDDEN=SYS_setsockopt", "-DOPTION=18"];
    let mut attach = bare(support::compile("user_timeout/without_pidfd_getfd", &refuses));
    attach.args([env!("CARGO_BIN_EXE_keepalive"), "attach"]).args(TIMES.split(' '));
    let output = finish(attach.arg(target.pid().to_string()));
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    // The listening socket too: its options are refused at once.
    assert!(stdout.contains("2 sockets changed (2 connected); refused: 3\n"), "{stdout}");
    assert!(!stdout.contains("not answering"), "{stdout}");
    let refusal = ": setsockopt(2), TCP_USER_TIMEOUT=6000: Operation not permitted";
    assert_eq!(stderr.matches(refusal).count(), 3, "{stderr}");
}

#[test]
#[ignore = "needs user namespaces, and nft (Debian: nftables)"]
fn a_single_lost_probe_does_not_end_a_living_connection() {
    if ran_in_user_namespace() {
        return;
    }
    let mut target = silent_target();
    lose_everything(&target);
    let said = attach(&target);
    assert!(said.contains("without the user timeout: 2\n"), "{said}");
    assert_eq!(user_timeouts(&target), [Some(0), Some(0)]);
    // The first probe was lost, and the second may be.
    std::thread::sleep(Duration::from_millis(500));
    nft(&target, "delete table inet losing");
    std::thread::sleep(Duration::from_secs(4));
    target.ask("echo");
    // Now that it has been heard, the same again completes it.
    attach(&target);
    assert_eq!(user_timeouts(&target), [Some(6000), Some(6000)]);
}

#[test]
#[ignore = "needs user namespaces, and nft (Debian: nftables)"]
fn a_dead_connection_ends_and_the_probes_are_counted_meanwhile() {
    if ran_in_user_namespace() {
        return;
    }
    let target = silent_target();
    lose_everything(&target);
    attach(&target);
    let page = stdout(&mut keepalive(&format!("show {}", target.pid())));
    assert!(page.contains(" of 3 probes unanswered, silent for "), "{page}");
    std::thread::sleep(Duration::from_millis(3500));
    let states: Vec<_> =
        sockets(target.pid()).iter().map(|socket| socket["state"].to_string()).collect();
    assert_eq!(states, [r#""listen""#, r#""closed""#, r#""closed""#]);
}

/// What `--dead-after` promises, and how much later a test may notice.
const DEAD_AFTER: Duration = Duration::from_secs(6);
const SLACK: Duration = Duration::from_millis(500);

fn target_under_run() -> Target {
    let mut run = crate::keepalive_run("--dead-after 6s");
    run.arg(support::host("target"));
    isolated_target(&run)
}

#[test]
#[ignore = "needs user namespaces, and nft (Debian: nftables)"]
fn an_idle_connection_ends_within_the_time_promised() {
    if ran_in_user_namespace() {
        return;
    }
    let target = target_under_run();
    lose_everything(&target);
    let begin = Instant::now();
    while sockets(target.pid()).iter().any(|socket| socket["state"] == "established") {
        assert!(begin.elapsed() < DEAD_AFTER + SLACK, "still there");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(begin.elapsed() > DEAD_AFTER / 2, "for another reason: {:?}", begin.elapsed());
}
