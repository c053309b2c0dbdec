//! `cover`: calls that are killed, calls at the same time, and hundreds of covers.
//!
//! For how long calls are killed: `KEEPALIVE_TEST_STORM` seconds, or 3.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cover::{Covered, bpftool, is_gone};
use crate::groups::{Group, root, unique};
use crate::keepalive;
use crate::support::{bare, finish, run, stdout, texts};

/// What is attached to a group: of which kind, and the numbers of the maps.
fn attached(group: &Covered) -> Vec<(String, Value)> {
    let programs = bpftool(&["cgroup", "show", &group.path().to_string_lossy()]);
    let mut attached: Vec<_> = programs
        .iter()
        .map(|program| {
            let shown = bpftool(&["prog", "show", "id", &program["id"].to_string()]);
            let kind = program["attach_type"].as_str().expect("a kind");
            (kind.to_owned(), shown[0]["map_ids"].clone())
        })
        .collect();
    attached.sort_by(|one, other| one.0.cmp(&other.0));
    attached
}

/// The mode by `--list`, if it lists the group; and whether it says that there are parts of a cover.
fn listed(group: &Covered) -> (Option<String>, bool) {
    let output = finish(&mut group.keepalive("cover --list --json"));
    let (said, complained) = texts(&output);
    assert!(output.status.success(), "{complained}");
    let is_told = complained.contains("an interrupted call left parts of a cover");
    assert!(is_told || complained.is_empty(), "{complained}");
    let document: Value = serde_json::from_str(&said).expect("JSON");
    (document["covers"][0]["mode"].as_str().map(str::to_owned), is_told)
}

fn is_in_parts(group: &Covered) -> bool {
    listed(group).1
}

#[test]
#[ignore = "needs root: attaches BPF programs, and bpftool"]
fn calls_that_are_killed_leave_one_cover_at_most() {
    const CALLS: [&str; 4] = [
        "cover --new-only --force --idle 60",
        "cover --new-only --idle 61",
        "cover --remove",
        "cover --new-only --force --idle 62",
    ];
    let group = Covered { group: Group::new(&root(), &unique("killed")) };
    let seconds = std::env::var("KEEPALIVE_TEST_STORM");
    let duration = Duration::from_secs(seconds.map_or(3, |it| it.parse().expect("seconds")));
    let begin = Instant::now();
    stdout(&mut group.keepalive(CALLS[0]));
    let once = begin.elapsed();
    let (mut rounds, mut none, mut parts) = (0_u32, 0, 0);
    while begin.elapsed() < duration {
        rounds += 1;
        let start = |which: u32| {
            let mut command = group.keepalive(CALLS[which as usize % CALLS.len()]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
        };
        let (mut one, mut other) = (start(rounds), start(rounds / 4));
        // At another moment each time, spread evenly.
        std::thread::sleep(once.mul_f64(1.5 * (f64::from(rounds) * 0.618).fract()));
        one.kill().expect("a child");
        let is_last = rounds % 2 == 0;
        if !is_last {
            other.kill().expect("a child");
        }
        one.wait().expect("a child");
        other.wait().expect("a child");

        let attached = attached(&group);
        let is_twice = attached.windows(2).any(|two| two[0].0 == two[1].0);
        assert!(!is_twice, "{rounds}: {attached:?}");
        let (mode, is_told) = listed(&group);
        let programs = match mode.as_deref() {
            None => 0,
            Some("force") => 2,
            Some(_) => 1,
        };
        let is_whole =
            attached.len() == programs && attached.windows(2).all(|two| two[0].1 == two[1].1);
        assert_eq!(is_told, !is_whole, "{rounds}: {mode:?}: {attached:?}");
        assert!(is_whole || !is_last, "{rounds}: a call that ended left {attached:?}");
        none += u32::from(attached.is_empty());
        parts += u32::from(!is_whole);
    }
    println!("{rounds} rounds: {none} times no cover, {parts} times parts of one");
    assert!(none < rounds, "no call did anything");
    stdout(&mut group.keepalive(CALLS[0]));
    let kept = group.kept();
    assert_eq!((kept.len(), is_in_parts(&group)), (3, false), "{kept:?}");
    stdout(&mut group.keepalive("cover --remove"));
    assert_eq!(group.kept(), []);
    is_gone(&kept);
}

/// What the storm meets seldom.
#[test]
#[ignore = "needs root: attaches BPF programs, and bpftool"]
fn parts_of_a_cover_are_told_and_mended() {
    let covered = Covered::new("parts", "--force --idle 60");
    let other = Covered::new("parts-other", "--idle 61");
    let change = |group: &Covered, how: &str, kind: &str, from: &Covered| {
        let programs = bpftool(&["cgroup", "show", &from.path().to_string_lossy()]);
        let is_it = |it: &&Value| it["attach_type"].as_str().is_some_and(|it| it.ends_with(kind));
        let id = programs.iter().find(is_it).expect("a program")["id"].to_string();
        let mut command = bare("bpftool");
        command.args(["cgroup", how]).arg(group.path()).args([kind, "id", &id]);
        run(if how == "attach" { command.arg("multi") } else { &mut command });
    };
    assert!(!is_in_parts(&covered));
    change(&covered, "detach", "setsockopt", &covered);
    assert!(is_in_parts(&covered));
    stdout(&mut covered.keepalive("cover --force --idle 60"));
    assert!(!is_in_parts(&covered));
    assert_eq!(covered.kept().len(), 3);
    // Programs of two covers.
    change(&covered, "attach", "sock_ops", &other);
    assert!(is_in_parts(&covered));
    stdout(&mut covered.keepalive("cover --idle 62"));
    assert!(!is_in_parts(&covered));
    assert_eq!(covered.kept().len(), 2);
    change(&covered, "attach", "sock_ops", &other);
    stdout(&mut covered.keepalive("cover --remove"));
    assert_eq!(covered.kept(), []);
}

#[test]
#[ignore = "needs root: attaches BPF programs"]
fn hundreds_of_covers_are_listed_at_once() {
    let above = Group::new(&root(), &unique("hundreds"));
    let groups: Vec<_> = (0..300).map(|it| Group::new(&above.0, &format!("{it:03}"))).collect();
    let paths: Vec<_> = groups.iter().map(|group| group.0.to_string_lossy()).collect();
    stdout(keepalive("cover --new-only --idle 60").args(groups.iter().map(|group| &group.0)));
    for arguments in ["cover --list", "cover --list --json"] {
        // A busy machine may be slow once.
        let mut best = Duration::MAX;
        for _ in 0..5 {
            let begin = Instant::now();
            let said = stdout(keepalive(arguments).arg(&above.0));
            best = best.min(begin.elapsed());
            if arguments.ends_with("json") {
                let document: Value = serde_json::from_str(&said).expect("JSON");
                let covers = document["covers"].as_array().expect("an array");
                let found: Vec<_> = covers.iter().filter_map(|it| it["cgroup"].as_str()).collect();
                assert_eq!(found, paths);
            } else {
                let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
                let found: Vec<_> = said.lines().skip(1).filter_map(first).collect();
                assert_eq!(found, paths);
            }
        }
        println!("{arguments}: {best:?}");
        assert!(best < Duration::from_secs(1), "{arguments}: {best:?}");
    }
}
