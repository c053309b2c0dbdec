//! Which values do the sockets of real programs end up with? Seen from outside, without the
//! library, under `on` and under `force`; and beside it what the programs set themselves.
//! The table is kept in docs/programs.md, and the test fails when that differs.
//!
//! Needs root, and Debian's packages curl, default-jdk-headless, git, golang-go, haproxy, iproute2,
//! memcached, netcat-openbsd, nginx-light, nodejs, openssh-client, openssh-server, perl, php-cli,
//! postgresql, python3-requests, redis-server, rsync, ruby, socat, strace, systemd, wget, zookeeper:
//!
//!     cargo test --test real_programs -- --ignored --nocapture
//!
//! `KEEPALIVE_TEST_WRITE_DOCUMENTS=1` writes the table instead of comparing it.

#[path = "../support/mod.rs"]
mod support;

mod case;
mod cases;
mod fixtures;
mod parallel;
mod stage;
mod trace;

use std::fmt::Write;
use std::path::Path;

use case::Case;
use cases::CASES;
use fixtures::fixtures;
use parallel::in_parallel;
use stage::Setting;
use support::document::{self, Part};

/// How many runs at a time. Most of a run is waiting.
const WORKERS: usize = 8;

const PART: Part = Part { document: "programs.md", by: "the test real_programs" };

/// Each row's last four cells.
const SETTINGS: [Setting; 4] = [Setting::Traced, Setting::NoLibrary, Setting::On, Setting::Force];

/// Those that no preload reaches, once more under `keepalive cover`; a row each, with the cells of the
/// mode in the columns of the library's.
const COVERED: [&str; 3] = ["nc, started by sshd", "go, with cgo", "go, static"];
const COVERS: [Setting; 2] = [
    Setting::Covered("--idle 180 --interval 60 --count 20 --user-timeout 1380"),
    Setting::Covered("--idle 180 --interval 60 --count 20 --user-timeout 1380 --force"),
];

#[test]
#[ignore = "needs root: network namespaces; and the programs of the table"]
fn the_table_of_programs_is_up_to_date() {
    let fixtures = fixtures();
    let found = table(&fixtures);
    println!("{found}");
    if document::is_to_be_written() {
        PART.write(&found);
    }
    let documented = PART.read();
    let changed = document::diff(&documented, &found);
    assert!(documented == found, "docs/programs.md differs (- it has, + was seen):\n{changed}");
}

fn table(fixtures: &Path) -> String {
    let mut runs: Vec<(&Case, Setting)> =
        CASES.iter().flat_map(|case| SETTINGS.map(|setting| (case, setting))).collect();
    let covered: Vec<_> = CASES.iter().filter(|case| COVERED.contains(&case.program)).collect();
    runs.extend(covered.iter().flat_map(|case| COVERS.map(|setting| (*case, setting))));
    let cells =
        in_parallel(WORKERS, &runs, |(case, setting)| stage::play(case, *setting, fixtures));

    let mut text = String::new();
    let mut line = |cells: &[&str]| writeln!(text, "| {} |", cells.join(" | ")).expect("memory");
    line(&["program", "socket", "what it sets itself", "no library", "`on`", "`force`"]);
    line(&["---"; 6]);
    let (of_library, of_covers) = cells.split_at(CASES.len() * SETTINGS.len());
    for (case, cells) in CASES.iter().zip(of_library.chunks(SETTINGS.len())) {
        let [itself, without, on, force] = cells else { unreachable!("one cell for each setting") };
        line(&[case.program, case.socket, itself, without, on, force]);
    }
    for (case, cells) in covered.iter().zip(of_covers.chunks(COVERS.len())) {
        let [on, force] = cells else { unreachable!("one cell for each setting") };
        line(&[
            &format!("{}: `cover`", case.program),
            case.socket,
            "as above",
            "as above",
            on,
            force,
        ]);
    }
    text
}
