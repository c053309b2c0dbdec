//! Processes that fork, execute, end, and open and close sockets while the command looks at them
//! and changes them, again and again.
//!
//! For how long: `KEEPALIVE_TEST_STORM` seconds, or 10.

use std::collections::HashSet;
use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{self, bare, finish, texts};
use crate::{Target, keepalive};

/// How many processes at a time.
const PROCESSES: &str = "12";

fn duration() -> Duration {
    let seconds = std::env::var("KEEPALIVE_TEST_STORM");
    Duration::from_secs(seconds.map_or(10, |seconds| seconds.parse().expect("seconds")))
}

/// Runs the command, which may find that a process has ended, and nothing else: what it printed.
#[track_caller]
fn said(arguments: &str) -> String {
    let output = finish(&mut keepalive(arguments));
    let (stdout, stderr) = texts(&output);
    let has_ended = |line: &str| line.starts_with("keepalive: ") && line.ends_with("): has ended");
    assert!(stderr.lines().all(has_ended), "{arguments}: {stderr}");
    assert_eq!(output.status.code(), Some(i32::from(!stderr.is_empty())), "{arguments}: {stderr}");
    stdout
}

/// The three sockets of a process that stay, each with its keepalive and idle time; and how many
/// processes and other sockets were shown.
fn stable(document: &str, pid: u32) -> (Vec<(bool, u64)>, usize, usize) {
    let document: Value = serde_json::from_str(document).expect("JSON");
    let processes = document["processes"].as_array().expect("an array");
    let pids: HashSet<_> = processes.iter().map(|process| process["pid"].as_u64()).collect();
    assert_eq!(pids.len(), processes.len(), "each once");
    let sockets = |process: &Value| process["sockets"].as_array().cloned().unwrap_or_default();
    let target = processes.iter().find(|process| process["pid"] == pid).expect("it runs");
    let stays = |socket: &&Value| {
        let fds = socket["descriptors"].as_array().expect("an array");
        fds.iter().any(|fd| (100..103).contains(&fd.as_u64().expect("a number")))
    };
    let option = |socket: &Value| {
        (socket["keepalive"] == true, socket["idle_s"].as_u64().expect("a number"))
    };
    let all: usize = processes.iter().map(|process| sockets(process).len()).sum();
    let stable: Vec<_> = sockets(target).iter().filter(stays).map(option).collect();
    (stable, processes.len(), all)
}

#[test]
#[ignore = "needs root: looks into other processes"]
fn in_a_storm_no_socket_is_lost_and_none_is_another_s() {
    let storm = Target::start(bare(support::host("storm")).arg(PROCESSES));
    let directory = support::scratch("calm");
    std::fs::create_dir(&directory).expect("a directory");
    let calm = directory.join("calm");
    support::copy_program(support::host("storm"), &calm);
    let mut calm = Target::start(bare(calm).args([PROCESSES, "calm"]));

    let (pid, end) = (storm.pid(), Instant::now() + duration());
    let (mut rounds, mut processes, mut sockets) = (0, 0, 0);
    while Instant::now() < end {
        rounds += 1;
        // By number, and by name.
        for (target, idle) in [(&*pid.to_string(), 2 * rounds), ("storm", 2 * rounds + 1)] {
            said(&format!("attach --force --idle {idle} {target}"));
            let (stable, shown, all) = stable(&said("show --all --json storm"), pid);
            assert_eq!(stable, [(true, idle); 3], "{rounds}: {target}");
            (processes, sockets) = (processes + shown, sockets + all);
        }
        let summary = said("show");
        let row = |line: &str| line.trim_start().starts_with(&format!("{pid}  storm "));
        assert!(summary.lines().any(row), "{summary}");
        said("show --all storm calm");
    }

    calm.child.kill().expect("it lives");
    let mut changed = String::new();
    calm.answers.read_to_string(&mut changed).expect("text");
    assert_eq!(changed, "", "a socket that was not to be changed");
    println!("{rounds} rounds: {processes} processes and {sockets} sockets were shown");
    assert!(processes > 8 * rounds as usize && sockets > 30 * rounds as usize, "a storm");
}
