//! `keepalive measure` through real firewalls and against real servers, each in a network of its own,
//! all of them at the same time. docs/measure.md has the table for a longer timeout:
//!
//!     KEEPALIVE_TEST_MEASURE=100 KEEPALIVE_TEST_WRITE_DOCUMENTS=1 \
//!         cargo test -p libkeepalive-command --test command measure::every -- --ignored

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bed::{Bed, SERVER};
use crate::scenarios::{Expected, SCENARIOS, Scenario};
use crate::support::document;
use crate::support::markdown::{quoted, rows};
use crate::support::namespace::ran_in_user_namespace;
use crate::support::running::{Running, wait_until};
use crate::support::{self, texts};
use crate::without_nohup;

/// After how many seconds the firewalls forget, unless KEEPALIVE_TEST_MEASURE says another time. The
/// servers end connections after two thirds of it.
const LIMIT: u32 = 14;

/// What came out.
struct Measured {
    json: Value,
    status: Option<i32>,
    stderr: String,
    /// Connections of the server's, before and after.
    before: usize,
    after: usize,
}

impl Measured {
    fn number(&self, field: &str) -> Option<f64> {
        self.json[field].as_f64()
    }

    /// What is wrong with it.
    fn fault(&self, scenario: &Scenario, limit: f64) -> Option<String> {
        let result = self.json["result"].as_str().unwrap_or_default();
        let (low, high) = (self.number("answered_after_s"), self.number("forgotten_after_s"));
        let is_between = low <= Some(limit) && high >= Some(limit);
        let is_right = match scenario.expected {
            Expected::Forgotten(how) => {
                result == "forgotten" && is_between && self.json["how"] == *how
            }
            // Which connections are remembered for longer is chance, and that all are of one kind:
            // simulations hold how often it is noticed.
            Expected::Mixed => {
                let shorter = (limit * 2.0 / 3.0).floor();
                let first_probe = self.json["recommended"]["idle_s"].as_f64();
                let is_held = first_probe.is_some_and(|idle| idle < shorter);
                ["mixed", "forgotten"].contains(&result) && high >= Some(shorter) && is_held
            }
            Expected::EndsIdle => {
                let after = self.number("ends_after_s").unwrap_or_default();
                result == "ends-idle" && (after - (limit * 2.0 / 3.0).floor()).abs() < 2.0
            }
            Expected::NotIdle => result == "not-idle",
            Expected::Nothing => result == "none" && low >= Some(limit) && high.is_none(),
        };
        let is_answer = ["forgotten", "mixed", "none"].contains(&result);
        let is_clean = self.before == self.after;
        // A server that takes no connection any more does not tell that the old ones are gone.
        let is_known = scenario.is_full() || self.json["left_at_server"] == 0;
        let is_told = self.status == Some(i32::from(!is_answer));
        let faults = [
            (is_right, "wrong"),
            (is_known, "said to be left"),
            (is_clean, "something is left"),
            (is_told, "exit status"),
            (is_documented(&self.json), "other fields than docs/measure.md has"),
            (self.has_documented_result(), "docs/measure.md lacks the result with this status"),
        ];
        let fault = faults.into_iter().find(|(is_fine, _)| !is_fine)?.1;
        let Self { json, status, before, after, stderr, .. } = self;
        Some(format!("{fault}: {status:?}, {before} before, {after} after, {json:#}\n{stderr}"))
    }

    /// docs/measure.md, *What it says*: the first table, whose first row has each `how`.
    fn has_documented_result(&self) -> bool {
        let has = |cell: &str, word: &Value| quoted(cell).iter().any(|(_, it)| word == it);
        let Self { json, status, .. } = self;
        let status = status.map(|status| status.to_string());
        let rows = rows("docs/measure.md", "## What it says", "`result`");
        let how_is_there = json["how"].is_null() || has(&rows[0][2], &json["how"]);
        let is_this = |row: &Vec<String>| has(&row[0], &json["result"]);
        how_is_there && rows.iter().find(|row| is_this(row)).map(|row| &row[1]) == status.as_ref()
    }

    fn row(&self, scenario: &Scenario, limit: f64) -> String {
        let result = self.json["result"].as_str().unwrap_or_default();
        let time = |field| self.number(field).map(|time| format!("{time:.0}"));
        let found =
            match (time("answered_after_s"), time("forgotten_after_s"), time("ends_after_s")) {
                (_, _, Some(after)) => format!("{result}, after {after} s"),
                (Some(low), Some(high), _) => format!("{result}, {low}–{high} s"),
                _ => result.into(),
            };
        let width = self.number("forgotten_after_s").zip(self.number("answered_after_s"));
        let width = width
            .map_or("-".into(), |(high, low)| format!("{:.0} %", (high - low) / limit * 100.0));
        let truth = scenario.truth(limit as u32);
        let took = self.number("took_s").unwrap_or_default();
        let connections = &self.json["connections"];
        format!(
            "| {} | {truth} | {found} | {width} | {took:.0} s | {connections} |\n",
            scenario.name
        )
    }
}

/// The fields of the table in docs/measure.md, and their types.
fn documented_fields() -> BTreeMap<&'static str, &'static str> {
    let document = include_str!("../../../../docs/measure.md");
    let table = document.split("| field | type | meaning |").nth(1).expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let fields = cells.flat_map(|row| row[1].split(", ").map(move |name| (name, row[2])));
    fields.map(|(name, kind)| (name.trim_matches('`'), kind)).collect()
}

/// Whether a document has these fields and no others.
fn is_documented(json: &Value) -> bool {
    let documented = documented_fields();
    let is_of_type = |(name, value): (&String, &Value)| match value {
        Value::Null => documented.contains_key(name.as_str()),
        Value::String(_) => documented.get(name.as_str()) == Some(&"string"),
        Value::Number(_) => documented.get(name.as_str()) == Some(&"number"),
        Value::Object(_) => documented.get(name.as_str()) == Some(&"object"),
        Value::Bool(_) | Value::Array(_) => false,
    };
    json.as_object().is_some_and(|it| it.len() == documented.len() && it.iter().all(is_of_type))
}

fn measure(scenario: &Scenario, limit: u32) -> Measured {
    let bed = Bed::that_forgets_after(Duration::from_secs(limit.into()));
    let (_running, port) = scenario.set_up(&bed, limit);
    let before = connections(&bed);
    let begin = Instant::now();
    // What takes too long is interrupted, and then a wrong result.
    let mut measure = bed.client.namespace.command("timeout", None);
    let max = format!("{}s", limit * 5 / 2);
    measure
        .args([
            "-s",
            "INT",
            &(limit * 8).to_string(),
            env!("CARGO_BIN_EXE_keepalive"),
            "measure",
            "--json",
            "--max",
            &max,
        ])
        .args(scenario.arguments);
    if limit == LIMIT {
        // Quicker.
        measure.args(["--resolution", "40"]);
    }
    measure.arg(format!("{}:{port}", scenario.host()));
    let output = std::thread::scope(|scope| {
        scope.spawn(|| scenario.meanwhile(&bed, limit));
        support::finish(&mut measure)
    });
    // The server may still be closing some.
    wait_until(Duration::from_secs(10), || connections(&bed) == before);
    let (stdout, stderr) = texts(&output);
    let measured = Measured {
        json: serde_json::from_str(&stdout).unwrap_or_default(),
        status: output.status.code(),
        stderr,
        before,
        after: connections(&bed),
    };
    println!("{:.0?} {}", begin.elapsed(), measured.row(scenario, limit.into()));
    measured
}

/// How many connections the server has, those that nobody has accepted yet included.
fn connections(bed: &Bed) -> usize {
    let mut list: Command = bed.server.namespace.command("ss", None);
    list.args(["-H", "-t", "-n", "state", "connected"]);
    let (stdout, _) = support::run(&mut list);
    let others = |line: &&str| line.contains("10.77.") || line.contains("[fd77:");
    stdout.lines().filter(others).filter(|line| !line.contains("TIME-WAIT")).count()
}

#[test]
#[ignore = "needs root: network namespaces; nft, python3, nginx, haproxy, sshd"]
fn every_path_and_server_is_told_and_nothing_is_left() {
    let chosen = std::env::var("KEEPALIVE_TEST_MEASURE").ok().and_then(|time| time.parse().ok());
    let (limit, is_long) = (chosen.unwrap_or(LIMIT), chosen.is_some());
    let only = std::env::var("KEEPALIVE_TEST_MEASURE_ONLY").unwrap_or_default();
    let chosen: Vec<_> =
        SCENARIOS.iter().filter(|it| it.name.contains(&only) && (is_long || !it.is_long)).collect();
    let measured: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> =
            chosen.iter().map(|scenario| scope.spawn(move || measure(scenario, limit))).collect();
        running.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    let mut table = String::from(
        "| path or server | true | found | width | time | connections |\n|---|---|---|---|---|---|\n",
    );
    let mut faults = String::new();
    for (scenario, measured) in chosen.iter().zip(&measured) {
        let Ok(measured) = measured else {
            let _ = writeln!(faults, "{}: it could not be tried", scenario.name);
            continue;
        };
        table += &measured.row(scenario, limit.into());
        if let Some(fault) = measured.fault(scenario, limit.into()) {
            let _ = writeln!(faults, "{}: {fault}", scenario.name);
        }
    }
    println!("{table}");
    assert_eq!(faults, "");
    if document::is_to_be_written() && is_long {
        document::Part { document: "measure.md", by: "the test measure" }.write(&table);
    }
}

#[test]
#[ignore = "needs user namespaces, and ip and nft (Debian: iproute2, nftables)"]
fn a_signal_ends_it_and_nothing_is_left() {
    if ran_in_user_namespace() {
        return;
    }
    without_nohup();
    std::thread::scope(|scope| {
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            scope.spawn(move || is_ended_by(signal));
        }
    });
}

fn is_ended_by(signal: i32) {
    let bed = Bed::that_forgets_after(Duration::from_secs(3));
    let (_running, port) = SCENARIOS[0].set_up(&bed, 3);
    let mut measure = bed.client.namespace.command(env!("CARGO_BIN_EXE_keepalive"), None);
    let mut measure = Running::start(measure.args(["measure", &format!("{SERVER}:{port}")]));
    let patience = Duration::from_secs(30);
    assert!(wait_until(patience, || connections(&bed) == 22), "they are opened");
    // By now the firewall has forgotten all but one.
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(connections(&bed), 22);
    // SAFETY: takes two numbers; the process is our own child.
    unsafe { libc::kill(measure.pid() as libc::pid_t, signal) };
    measure.hear_text("interrupted: closing the connections", patience);
    let said = measure.hear_text("interrupted; ", patience);
    assert!(said.contains(&format!("{SERVER}:{port}")), "{said}");
    assert!(wait_until(patience, || measure.ended().is_some()), "it ends");
    assert_eq!(measure.ended().and_then(|status| status.code()), Some(1));
    assert!(wait_until(patience, || connections(&bed) == 0), "{} left", connections(&bed));
}

/// Nothing is forgotten yet, and the kernel closes what is open.
#[test]
#[ignore = "needs user namespaces, and ip and nft (Debian: iproute2, nftables)"]
fn a_signal_that_kills_leaves_nothing_that_the_path_remembers() {
    if ran_in_user_namespace() {
        return;
    }
    let bed = Bed::that_forgets_after(Duration::from_secs(60));
    let (_running, port) = SCENARIOS[0].set_up(&bed, 60);
    let mut measure = bed.client.namespace.command(env!("CARGO_BIN_EXE_keepalive"), None);
    let measure = Running::start(measure.args(["measure", &format!("{SERVER}:{port}")]));
    let patience = Duration::from_secs(30);
    assert!(wait_until(patience, || connections(&bed) == 22), "they are opened");
    // Ends it by SIGKILL.
    drop(measure);
    assert!(wait_until(patience, || connections(&bed) == 0), "{} left", connections(&bed));
}

/// One that hangs, or does not read: it never closes its side.
#[test]
#[ignore = "needs user namespaces, ip, nft (Debian: iproute2, nftables), and python3"]
fn a_server_that_never_closes_keeps_nothing() {
    if ran_in_user_namespace() {
        return;
    }
    let bed = Bed::that_forgets_after(Duration::from_secs(60));
    let server = "import socket\n\
                  listener = socket.create_server(('', 7000))\n\
                  print('listens', flush=True)\n\
                  connections = []\n\
                  while True: connections.append(listener.accept())";
    let mut python = bed.server.namespace.command("/usr/bin/python3", None);
    let python = Running::start(python.args(["-c", server]));
    python.hear_text("listens", Duration::from_secs(10));
    let mut measure = bed.client.namespace.command(env!("CARGO_BIN_EXE_keepalive"), None);
    let (said, _) =
        support::run(measure.args(["measure", "--max", "6s", &format!("{SERVER}:7000")]));
    assert!(said.contains("nothing is left at the server"), "{said}");
    let is_clean = wait_until(Duration::from_secs(5), || connections(&bed) == 0);
    assert!(is_clean, "{} left: {said}", connections(&bed));
}
