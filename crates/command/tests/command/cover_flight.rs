//! `cover --dead-after` and data in flight: a silent peer is given up within the time, one that lives
//! is not, and nothing is left of what was set meanwhile. Each case has network namespaces and a
//! cgroup of its own, so that all run at once.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::Value;

use crate::cover::Covered;
use crate::support::namespace::{Namespace, ip};
use crate::support::{finish, run, stdout, texts};
use crate::{keepalive, source};

/// The cover of all cases; the outages are shorter by a third, or longer.
const DEAD_AFTER: &str = "--dead-after 12s";

/// TCP_USER_TIMEOUT and TCP_RTO_MAX_MS of a socket that is not bounded, as the program prints them.
fn unbounded() -> String {
    let default = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_rto_max_ms");
    format!("0 {}", default.as_ref().map_or("None", |it| it.trim()))
}

/// tests/hosts/in_flight.py, in one of its ways.
struct Case {
    program: Child,
    said: BufReader<ChildStdout>,
    covered: Covered,
    _namespaces: [Namespace; 2],
}

impl Case {
    fn start(name: &str, cover: &str, has_timestamps: bool) -> Self {
        let namespaces = ["here", "there"].map(Namespace::new);
        let [here, there] = namespaces.each_ref().map(Namespace::name);
        ip(&["-n", here, "link", "add", "e", "type", "veth", "peer", "name", "e", "netns", there]);
        for (namespace, address) in namespaces.iter().zip(["10.9.0.1/24", "10.9.0.2/24"]) {
            ip(&["-n", namespace.name(), "address", "add", address, "dev", "e"]);
            ip(&["-n", namespace.name(), "link", "set", "e", "up"]);
            let sysctl = |setting: &str| {
                run(namespace.command("sysctl", None).args(["--quiet", "--write", setting]));
            };
            if !has_timestamps {
                sysctl("net.ipv4.tcp_timestamps=0");
            }
            // Linux 6.6.
            if std::fs::exists("/proc/sys/net/ipv4/tcp_shrink_window").is_ok_and(|it| it) {
                sysctl("net.ipv4.tcp_shrink_window=1");
            }
        }
        let covered = Covered::new(here, cover);
        let mut program = crate::support::bare("python3")
            .arg(source("in_flight.py"))
            .args([name, here, there])
            .arg(covered.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python");
        let said = BufReader::new(program.stdout.take().expect("a pipe"));
        Self { program, said, covered, _namespaces: namespaces }
    }

    /// The next line of the program: "what: value".
    fn line(&mut self) -> Option<(String, String)> {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("a line");
        let (what, value) = line.trim_end().split_once(": ")?;
        Some((what.into(), value.into()))
    }

    /// Everything that the program says, and what the cover counts: bounded, answered, ended.
    fn finish(mut self) -> (HashMap<String, String>, [Option<u64>; 3]) {
        let lines = std::iter::from_fn(|| self.line()).collect();
        assert!(self.program.wait().expect("it ends").success(), "{lines:?}");
        let entry = self.covered.entry();
        assert_eq!(entry["refused"], 0, "{entry}");
        (lines, ["bounded", "answered", "ended"].map(|it| entry[it].as_u64()))
    }
}

/// What a program says, and the value of it.
type Expected<'a> = &'a [(&'a str, &'a str)];

/// Runs a case. `expected` has its lines; "bounded" is a pair of options that only a cover sets,
/// "unbounded" what they are without it, and "in time" an end from 10 to 12 s after the data.
fn is_as_expected(
    name: &str,
    cover: &str,
    has_timestamps: bool,
    expected: Expected,
    counts: [u64; 3],
) {
    let (lines, counted) = Case::start(name, cover, has_timestamps).finish();
    let context = format!("{name}, {cover}, timestamps {has_timestamps}: {lines:?}");
    for (what, value) in expected {
        let said = lines.get(*what).unwrap_or_else(|| panic!("{context}: no {what}"));
        let is_it = match *value {
            "bounded" => is_bounded(said),
            "unbounded" => *said == unbounded(),
            "in time" => is_in_time(said),
            value => said == value,
        };
        assert!(is_it, "{context}: {what} is not {value}");
    }
    assert_eq!(counted, counts.map(Some), "{context}");
}

fn is_bounded(options: &str) -> bool {
    let (user_timeout, pace) = options.split_once(' ').expect("two options");
    let timeout: u32 = user_timeout.parse().expect("a number");
    // None before Linux 6.15.
    (10_000..12_000).contains(&timeout) && ["None", "1004", "1010"].contains(&pace)
}

fn is_in_time(said: &str) -> bool {
    let after = said.strip_prefix("ETIMEDOUT ").and_then(|after| after.parse::<f64>().ok());
    after.is_some_and(|after| (9.5..12.0).contains(&after))
}

#[test]
#[ignore = "needs root: network namespaces, cgroups and BPF programs"]
fn a_silent_peer_is_given_up_in_time_and_a_living_one_never() {
    let vanished = [("ended", "in time")];
    let left_to_the_kernel = [("ended", "none")];
    let outage = [
        ("before", "unbounded"),
        ("during", "bounded"),
        ("answered", "True"),
        ("after", "unbounded"),
        ("later", "unbounded"),
        ("received", "200"),
    ];
    // Without timestamps an answer to what was sent again does not show the round trip: the options
    // go with the next segment.
    let outage_without_timestamps =
        outage.iter().filter(|(what, _)| *what != "after").copied().collect::<Vec<_>>();
    let all = ("received", "4194304");
    let after_outage = [("during", "bounded"), ("ended", "none"), ("after", "unbounded"), all];
    let shrunk = [
        ("during", "bounded"),
        ("unacknowledged", "True"),
        ("after", "unbounded"),
        ("ended", "none"),
        ("ended later", "none"),
        ("received", "50000"),
    ];
    let force = &format!("{DEAD_AFTER} --force")[..];
    let skip = &format!("{DEAD_AFTER} --skip")[..];
    let cases: &[(&str, &str, bool, Expected, [u64; 3])] = &[
        ("vanished", DEAD_AFTER, true, &vanished, [1, 0, 1]),
        ("vanished", DEAD_AFTER, false, &vanished, [1, 0, 1]),
        ("vanished", force, true, &vanished, [1, 0, 1]),
        ("accepted", DEAD_AFTER, true, &vanished, [1, 0, 1]),
        ("last words", DEAD_AFTER, true, &vanished, [1, 0, 1]),
        // The program has chosen.
        ("own", DEAD_AFTER, true, &[("ended", "none"), ("user timeout", "60000")], [0; 3]),
        ("own", force, true, &left_to_the_kernel, [0; 3]),
        ("off", DEAD_AFTER, true, &left_to_the_kernel, [0; 3]),
        ("vanished", skip, true, &left_to_the_kernel, [0; 3]),
        // No time is given.
        ("vanished", "--idle 4", true, &left_to_the_kernel, [0; 3]),
        ("outage", DEAD_AFTER, true, &outage, [1, 1, 0]),
        ("outage", force, true, &outage, [1, 1, 0]),
        ("outage", DEAD_AFTER, false, &outage_without_timestamps, [1, 1, 0]),
        ("closes", DEAD_AFTER, true, &[("during", "bounded"), ("received", "100")], [1, 0, 0]),
        ("slow reader", DEAD_AFTER, true, &[("ended", "none"), all], [0; 3]),
        ("slow reader after close", DEAD_AFTER, true, &[all], [0; 3]),
        ("slow reader after outage", DEAD_AFTER, true, &after_outage, [1, 1, 0]),
        ("slow reader after outage", DEAD_AFTER, false, &after_outage, [1, 1, 0]),
        ("shrunk window", DEAD_AFTER, true, &shrunk, [1, 1, 0]),
    ];
    std::thread::scope(|scope| {
        for &(name, cover, has_timestamps, expected, counts) in cases {
            scope.spawn(move || is_as_expected(name, cover, has_timestamps, expected, counts));
        }
    });
}

#[test]
#[ignore = "needs root: network namespaces, cgroups and BPF programs"]
fn what_was_set_for_a_silent_peer_goes_with_the_cover() {
    // Removed, and replaced by one without a bound.
    std::thread::scope(|scope| {
        for after in ["cover --remove", "cover --idle 50 --new-only"] {
            scope.spawn(move || {
                let mut case = Case::start("removed", DEAD_AFTER, true);
                let during = case.line().expect("a line");
                assert!(during.0 == "during" && is_bounded(&during.1), "{during:?}");
                stdout(&mut case.covered.keepalive(after));
                writeln!(case.program.stdin.take().expect("a pipe")).expect("it reads");
                assert_eq!(case.line(), Some(("after".into(), unbounded())), "{after}");
                assert!(case.program.wait().expect("it ends").success());
            });
        }
    });
}

/// From Linux 6.12; before, it is said that they are not.
#[test]
#[ignore = "needs root: network namespaces, cgroups and BPF programs"]
fn open_connections_are_taken_over() {
    std::thread::scope(|scope| {
        for (arguments, is_reached) in [("", true), ("--new-only", false)] {
            scope.spawn(move || {
                let mut case = Case::start("open already", "--idle 50", true);
                assert_eq!(case.line().expect("a line").0, "connected");
                let cover = format!("cover {DEAD_AFTER} {arguments}");
                let said = stdout(&mut case.covered.keepalive(&cover));
                writeln!(case.program.stdin.take().expect("a pipe")).expect("it reads");
                let (lines, counted) = case.finish();
                if is_reached && !said.contains("is left to the kernel") {
                    assert!(is_in_time(&lines["ended"]), "{lines:?}");
                    assert_eq!(counted, [1, 0, 1].map(Some));
                } else {
                    assert_eq!(lines["ended"], "none", "{said}");
                }
            });
        }
    });
}

#[test]
#[ignore = "needs root: cgroups and BPF programs"]
fn the_cover_says_what_becomes_of_data_in_flight() {
    let covered = Covered::new("flight-words", "--idle 50");
    let said = stdout(&mut covered.keepalive("cover --dead-after 2m"));
    assert!(
        said.contains(
            "unacknowledged data: connection dropped within 2m while the peer is silent\n"
        ),
        "{said}"
    );
    let entry = covered.entry();
    let numbers = ["in_flight_ms", "bounded", "answered", "ended"].map(|it| &entry[it]);
    assert_eq!(numbers.map(Value::as_u64), [120_000, 0, 0, 0].map(Some));
    let list = stdout(&mut keepalive("cover --list"));
    for header in ["IN FLIGHT", "BOUNDED", "ANSWERED", "ENDED"] {
        assert!(list.contains(header), "{list}");
    }
    // The kernel is earlier.
    for arguments in ["cover --dead-after 20m", "cover --idle 50"] {
        let (said, _) = texts(&finish(&mut covered.keepalive(arguments)));
        assert!(
            said.contains("unacknowledged data: kernel retransmits for about 15m 24s"),
            "{said}"
        );
        assert_eq!(covered.entry()["in_flight_ms"], Value::Null);
    }
}
