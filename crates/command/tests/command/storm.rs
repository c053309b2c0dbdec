//! Processes that fork, execute, end, and open and close sockets while the command looks at them
//! and changes them, again and again.
//!
//! For how long: `KEEPALIVE_TEST_STORM` seconds, or 10.

use std::collections::HashSet;
use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::follow::{Follower, eventually};
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

/// Two storms, under a name of their own each; of the second nobody may change anything.
struct Storms {
    storm: Target,
    calm: Target,
    /// Four at a time would leave nothing of a small machine for the command.
    _alone: MutexGuard<'static, ()>,
}

impl Storms {
    /// Both are alone with their names.
    fn start(name: &str) -> Self {
        static ALONE: Mutex<()> = Mutex::new(());

        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = support::scratch("storms");
        std::fs::create_dir(&directory).expect("a directory");
        let start = |name: &str, arguments: &[&str]| {
            let program = directory.join(name);
            support::copy_program(support::host("storm"), &program);
            Target::start(bare(program).arg(PROCESSES).args(arguments))
        };
        Self { storm: start(name, &[]), calm: start("calm", &["calm"]), _alone: alone }
    }

    /// Nothing of the second was changed.
    fn end(mut self) {
        self.calm.child.kill().expect("it lives");
        let mut changed = String::new();
        self.calm.answers.read_to_string(&mut changed).expect("text");
        assert_eq!(changed, "", "a socket that was not to be changed");
    }
}

#[test]
#[ignore = "needs the machine for itself: starts thousands of processes"]
fn in_a_storm_no_socket_is_lost_and_none_is_another_s() {
    let storms = Storms::start("storm");
    let storm = &storms.storm;

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

    storms.end();
    println!("{rounds} rounds: {processes} processes and {sockets} sockets were shown");
    assert!(processes > 8 * rounds as usize && sockets > 30 * rounds as usize, "a storm");
}

#[test]
#[ignore = "needs the machine for itself: starts thousands of processes"]
fn followers_in_a_storm_set_all_that_stays_and_nothing_of_another_s() {
    let storms = Storms::start("gale");
    let pid = storms.storm.pid();
    let number = pid.to_string();
    // A look every 500 ms, of each.
    let targets = ["gale", &number, "gale", &number];
    let followers = targets.map(|target| Follower::of(&format!("--force --idle 1 {target}")));
    let are_set = || stable(&said("show --all --json gale"), pid).0 == [(true, 1); 3];
    eventually("the sockets that stay are set", are_set);
    std::thread::sleep(duration() / 2);
    assert!(are_set());
    for (follower, target) in followers.into_iter().zip(targets) {
        let (status, said, complained) = follower.end_by(Signal::SIGTERM);
        assert_eq!((status, &*complained), (Some(0), ""), "{target}: {said}");
        println!("{target}: {said}");
    }
    storms.end();
}
