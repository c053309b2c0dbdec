//! `attach` on connections that have been silent for longer than the user timeout that is set.

use std::process::Command;
use std::time::Duration;

use crate::support::{self, bare, run, stdout};
use crate::{Target, keepalive, sockets};

/// The program in a network namespace of its own, silent for long enough.
fn silent_target() -> Target {
    let mut command = bare("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up; exec \"$0\""]);
    let target = Target::start(command.arg(support::host("target")));
    std::thread::sleep(Duration::from_secs(5));
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

/// Idle 1 s, then 3 probes, one a second; user timeout 4 s.
fn attach(target: &Target) -> String {
    stdout(&mut keepalive(&format!("attach --dead-after 5s {}", target.pid())))
}

fn user_timeouts(target: &Target) -> Vec<Option<u64>> {
    let sockets = sockets(target.pid());
    let connected = sockets.iter().filter(|socket| socket["state"] == "established");
    connected.map(|socket| socket["user_timeout_ms"].as_u64()).collect()
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn a_peer_that_answers_gets_the_user_timeout() {
    let mut target = silent_target();
    let said = attach(&target);
    assert!(!said.contains("not answering"), "{said}");
    assert_eq!(user_timeouts(&target), [Some(4000), Some(4000)]);
    target.ask("echo");
}

#[test]
#[ignore = "needs root, and nft (Debian: nftables)"]
fn a_single_lost_probe_does_not_end_a_living_connection() {
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
    assert_eq!(user_timeouts(&target), [Some(4000), Some(4000)]);
}

#[test]
#[ignore = "needs root, and nft (Debian: nftables)"]
fn a_dead_connection_ends_and_the_probes_are_counted_meanwhile() {
    let target = silent_target();
    lose_everything(&target);
    attach(&target);
    let page = stdout(&mut keepalive(&format!("show {}", target.pid())));
    assert!(page.contains(" of 3 probes unanswered, not heard for "), "{page}");
    std::thread::sleep(Duration::from_millis(3500));
    let states: Vec<_> =
        sockets(target.pid()).iter().map(|socket| socket["state"].to_string()).collect();
    assert_eq!(states, [r#""listen""#, r#""closed""#, r#""closed""#]);
}
