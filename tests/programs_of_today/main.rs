//! What suffers from idle paths today, clients of language models first: which values their sockets
//! end up with, and whether an answer that takes its time reaches them through a firewall that
//! forgets. The tables are kept in docs/programs-of-today.md, and the test fails when that differs.
//!
//! The clients come from PyPI, the registry of npm and crates.io (install.sh beside this file),
//! and a request that hangs is watched for five minutes: CI does not run this, `cargo test` only
//! when it is named. Needs root, and Debian's packages of install.sh, conntrack, iproute2,
//! mariadb-server, nftables, postgresql, procps, rabbitmq-server, redis-server, strace; and a cgroup
//! v2 tree:
//!
//!     cargo test --test programs_of_today -- --ignored --nocapture
//!
//! `KEEPALIVE_TEST_WRITE_DOCUMENTS=1` writes the tables instead of comparing them.
//! `KEEPALIVE_TEST_PROGRAM=openai` prints the rows whose name contains this word, and no more.

#[path = "../support/mod.rs"]
mod support;

#[path = "../firewall/bed.rs"]
#[allow(dead_code, reason = "tests/firewall uses all of it")]
mod bed;
#[path = "../real_programs/case.rs"]
mod case;
mod cases;
mod fixtures;
#[path = "../real_programs/parallel.rs"]
mod parallel;
#[path = "../real_programs/stage.rs"]
mod stage;
mod through;
#[path = "../real_programs/trace.rs"]
mod trace;

use std::fmt::Write;
use std::path::Path;

use case::Case;
use cases::CASES;
use fixtures::fixtures;
use parallel::in_parallel;
use stage::Setting;
use support::document::{self, Part};
use through::{Outcome, SILENCE, WATCHED};

const PART: Part = Part { document: "programs-of-today.md", by: "the test programs_of_today" };

/// How many programs may start at a time.
const WORKERS: usize = 6;

/// How many requests are watched at a time: almost all of that is waiting.
const WATCHERS: usize = 40;

/// What a number of seconds follows.
const FAILS: &str = "fails after ";

/// As much of an error's text as fits into a table.
const ERROR_LENGTH: usize = 48;

/// The first table's cells.
const SETTINGS: [Setting; 6] = [
    Setting::Traced,
    Setting::NoLibrary,
    Setting::Run("--idle 180s --interval 60s --count 20"),
    Setting::Run("--idle 180s --interval 60s --count 20 --force"),
    Setting::Followed("--idle 180s --interval 60s --count 20"),
    Setting::Covered("--idle 180s --interval 60s --count 20"),
];

/// The second table's: the first probe is to come before the firewall forgets.
const THROUGH: [Setting; 5] = [
    Setting::NoLibrary,
    Setting::Run("--idle 2s --interval 2s"),
    Setting::Run("--idle 2s --interval 2s --force"),
    Setting::Followed("--idle 2s --interval 2s --force"),
    Setting::Covered("--idle 2s --interval 2s --force"),
];

#[test]
#[ignore = "needs root: network namespaces; package registries; and the programs of the tables"]
fn the_tables_of_todays_programs_are_up_to_date() {
    let word = std::env::var("KEEPALIVE_TEST_PROGRAM").unwrap_or_default();
    let cases: Vec<_> = CASES.iter().filter(|case| case.program.contains(&word)).collect();
    assert!(!cases.is_empty(), "KEEPALIVE_TEST_PROGRAM={word}: no program of this name");
    let fixtures = fixtures();
    support::built_command();
    let values = values(&cases, &fixtures);
    println!("{values}");
    let through = through_the_firewall(&cases, &fixtures);
    if !word.is_empty() {
        return;
    }
    let found = format!("{values}\n{through}");
    if document::is_to_be_written() {
        PART.write(&found);
    }
    let documented = PART.read();
    let (documented, found) = (timeless(&documented), timeless(&found));
    let changed = document::diff(&documented, &found);
    assert!(
        documented == found,
        "docs/{} differs (- it has, + was seen):\n{changed}",
        PART.document
    );
}

/// A table without the times of failures, which differ from run to run.
fn timeless(table: &str) -> String {
    let parts: Vec<_> = table.split(FAILS).collect();
    let rests =
        parts[1..].iter().map(|part| part.trim_start_matches(|it: char| it.is_ascii_digit()));
    [parts[0]].into_iter().chain(rests).collect::<Vec<_>>().join(FAILS)
}

/// The table of what the sockets have.
fn values(cases: &[&Case], fixtures: &Path) -> String {
    let runs = runs(cases, SETTINGS);
    let cells = in_parallel(WORKERS, &runs, |(case, setting)| {
        let cell = stage::play(case, *setting, fixtures);
        // It takes minutes: somebody may be looking on.
        println!("{}, {setting:?}: {cell}", case.program);
        cell
    });
    let head = [
        "program",
        "what it sets itself",
        "alone",
        "`run`",
        "`run --force`",
        "`attach --follow`",
        "`cover`",
    ];
    table(cases, &head, &cells)
}

/// The table of what becomes of a request.
fn through_the_firewall(cases: &[&Case], fixtures: &Path) -> String {
    let runs = runs(cases, THROUGH);
    let requests = in_parallel(WATCHERS, &runs, |(case, setting)| {
        let request = through::ask(case, *setting, fixtures);
        println!("{}, {setting:?}: {:?}", case.program, request.outcome);
        request
    });
    let mut cells = Vec::new();
    for requests in requests.chunks(THROUGH.len()) {
        cells.push(requests[0].limits.clone().unwrap_or_else(|| "–".into()));
        cells.extend(requests.iter().map(|request| show(&request.outcome)));
    }
    let head = [
        "program",
        "its own limits, as it tells them",
        "alone",
        "`run`",
        "`run --force`",
        "`attach --follow --force`",
        "`cover --force`",
    ];
    let table = table(cases, &head, &cells);
    println!("{table}");
    for ((case, setting), request) in runs.iter().zip(&requests) {
        check(case, *setting, &request.outcome);
    }
    table
}

fn runs<'a, const N: usize>(
    cases: &[&'a Case],
    settings: [Setting; N],
) -> Vec<(&'a Case, Setting)> {
    cases.iter().flat_map(|case| settings.map(|setting| (*case, setting))).collect()
}

/// Nobody gets an answer without help, and everybody does where the operator has the last word.
#[track_caller]
fn check(case: &Case, setting: Setting, outcome: &Outcome) {
    let program = case.program;
    match setting {
        Setting::NoLibrary => assert_ne!(*outcome, Outcome::Answered, "{program}"),
        Setting::Run(options) | Setting::Followed(options) | Setting::Covered(options)
            if options.contains("--force") =>
        {
            assert_eq!(*outcome, Outcome::Answered, "{program} under {options}");
        }
        _ => (),
    }
}

fn show(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered => format!("answered after {SILENCE} s"),
        Outcome::Hangs => format!("no answer within {WATCHED} s"),
        Outcome::Failed { after, error } => {
            let mut error: String = error.replace('|', "/");
            if let Some((longest, _)) = error.char_indices().nth(ERROR_LENGTH) {
                error.truncate(longest);
                error.push('…');
            }
            format!("{FAILS}{} s: {error}", after.as_secs())
        }
    }
}

fn table(cases: &[&Case], head: &[&str; 7], cells: &[String]) -> String {
    let mut text = String::new();
    let mut line = |cells: &[&str]| writeln!(text, "| {} |", cells.join(" | ")).expect("memory");
    line(head);
    line(&["---"; 7]);
    for (case, cells) in cases.iter().zip(cells.chunks(head.len() - 1)) {
        let cells: Vec<_> = cells.iter().map(String::as_str).collect();
        line(&[&[case.program], cells.as_slice()].concat());
    }
    text
}
