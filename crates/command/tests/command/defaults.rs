//! What is set where nothing is given, or not every value: idle time, interval and count each have a
//! default of their own, whichever way a socket is reached.

use std::process::Command;

use crate::beside::static_target;
use crate::cover::Covered;
use crate::follow::{Follower, eventually};
use crate::groups::{Group, root, unique};
use crate::support::{self, stdout};
use crate::targets::options;
use crate::{Target, c_target, keepalive, keepalive_run, sockets};

/// Idle time, interval and count.
type Times = [u64; 3];

/// Names and values of an environment.
type Variables = &'static [(&'static str, &'static str)];

/// What is given, and what is set.
const GIVEN: [(&str, Times); 9] = [
    ("", [45, 45, 127]),
    ("--idle 60", [60, 45, 127]),
    ("--interval 30", [45, 30, 127]),
    ("--count 3", [45, 45, 3]),
    ("--idle 60 --count 3", [60, 45, 3]),
    ("--rto-max 3s", [45, 45, 127]),
    ("--syn-count 4", [45, 45, 127]),
    ("--user-timeout 23m", [45, 45, 127]),
    ("--force", [45, 45, 127]),
];

/// The same for `run`, with variables in its environment.
const WITH_VARIABLES: [(Variables, &str, Times); 8] = [
    (&[("KEEPINTVL", "5")], "", [45, 5, 127]),
    (&[("TCP_KEEPCNT", "7")], "", [45, 45, 7]),
    (&[("KEEPIDLE", "50")], "--count 3", [50, 45, 3]),
    (&[("KEEPINTVL", "5")], "--interval 30", [45, 30, 127]),
    (&[("TCP_USER_TIMEOUT", "90000")], "", [45, 45, 127]),
    // The report says that the system default stays.
    (&[("KEEPIDLE", "abc")], "", [7200, 45, 127]),
    (&[("KEEPINTVL", "0"), ("KEEPCNT", "1000")], "", [45, 75, 9]),
    (&[("KEEPIDLE", "abc")], "--idle 50", [50, 45, 127]),
];

/// Waits until all sockets of the program have these times, and keepalive on or off.
#[track_caller]
fn all_have(target: &Target, times: Times, keepalive: bool, how: &str) {
    eventually(&format!("{how}: {times:?}"), || {
        let sockets = sockets(target.pid());
        let mut options = sockets.iter().map(options);
        sockets.len() == 3
            && options.all(|(on, idle, interval, count, _)| {
                on == keepalive && [idle, interval, count] == times
            })
    });
}

#[track_caller]
fn matrix_of_run(start: impl Fn(&str) -> Command) {
    for (arguments, times) in GIVEN {
        let target = Target::start(&mut start(arguments));
        all_have(&target, times, true, arguments);
    }
    all_have(&Target::start(&mut start("--skip")), [45, 45, 127], false, "--skip");
    for (variables, arguments, times) in WITH_VARIABLES {
        let target = Target::start(start(arguments).envs(variables.iter().copied()));
        all_have(&target, times, true, &format!("{variables:?} {arguments}"));
    }
}

#[test]
fn of_run() {
    matrix_of_run(|arguments| {
        let mut command = keepalive_run(arguments);
        command.arg(support::host("target"));
        command
    });
}

#[test]
fn of_run_with_a_follower() {
    matrix_of_run(|arguments| {
        let mut command = keepalive(&format!("run {arguments}"));
        command.arg(static_target());
        command
    });
}

#[test]
fn of_attach() {
    for (arguments, times) in GIVEN {
        let target = c_target();
        stdout(&mut keepalive(&format!("attach {arguments} {}", target.pid())));
        all_have(&target, times, true, arguments);
    }
    let target = c_target();
    stdout(&mut keepalive(&format!("attach --skip {}", target.pid())));
    all_have(&target, [45, 45, 127], false, "--skip");
}

#[test]
fn of_a_follower() {
    for (arguments, times) in GIVEN {
        let target = c_target();
        let _follower = Follower::of(&format!("{arguments} {}", target.pid()));
        all_have(&target, times, true, arguments);
    }
}

/// What is open already, and what is opened later.
#[test]
#[ignore = "needs root: attaches BPF programs"]
fn of_cover() {
    for (arguments, times) in GIVEN {
        let covered = Covered { group: Group::new(&root(), &unique("defaults")) };
        let target = Target::start(&mut covered.inside(static_target()));
        stdout(&mut covered.keepalive(&format!("cover {arguments}")));
        all_have(&target, times, true, arguments);
        let [idle, interval, count] = times;
        let said = covered.says("plain");
        let expected = format!("1 {idle} {interval} {count} ");
        for end in ["client", "server"] {
            assert!(said.contains(&format!("{end} {expected}")), "{arguments}: {said}");
        }
    }
}
