//! Figures that a document takes from a table of measurements are those of that table.

use std::collections::BTreeSet;

use crate::markdown::{self, read, rows};

/// The table of docs/speed.md whose section begins so: a row by its name, and a column.
#[track_caller]
fn measured(section: &str, row: &str, column: usize) -> f64 {
    let tables = markdown::tables(&read("docs/speed.md").expect("the document"));
    let table = tables.iter().find(|table| table.section.starts_with(section)).expect(section);
    let row = table.lines.iter().find(|line| line[0] == row).expect(row);
    row[column].parse().unwrap_or_else(|_| panic!("{row:?}"))
}

/// A cell of a table whose first cell begins so.
#[track_caller]
fn cell(document: &str, section: &str, first: &str, row: &str, column: usize) -> String {
    let rows = rows(document, section, first);
    rows.iter().find(|cells| cells[0].starts_with(row)).expect(row)[column].clone()
}

/// The numbers in a text.
fn numbers(text: &str) -> Vec<f64> {
    let words = text.split(|it: char| !(it.is_ascii_digit() || it == '.'));
    words.filter_map(|word| word.trim_matches('.').parse().ok()).collect()
}

const START_UP: &str = "### Start-up: ";
/// Its columns: what a start costs more, by the clock and by processor time.
const ADDED: usize = 2;
const CPU_ADDED: usize = 4;
const RATIO: usize = 2;

/// README.md, *Which of them is for whom*.
#[test]
fn the_readme_has_the_costs_that_were_measured() {
    let costs = |column| cell("README.md", "## Which of them is for whom", "", "costs", column);
    let tens = 10.0 * (measured(START_UP, "libkeepalive", ADDED) / 10.0).round();
    assert_eq!(costs(1), format!("some {tens} µs at the start"));
    let follower = "a hundredth of a core";
    assert!(costs(2).ends_with(follower) && costs(3).ends_with(follower));
    let covered = measured("### Cover: socket(), connect(), ", "covered", RATIO);
    let share = format!("{:.0} % of a connection over loopback", 100.0 * (covered - 1.0));
    assert!(costs(4).starts_with(&share), "{share}");
}

/// docs/speed.md, *Targets*: what is said of several runs takes in the run that is shown.
#[test]
fn the_targets_have_what_was_measured() {
    let said = |target| cell("docs/speed.md", "## Targets", "target", target, 1);
    let is_between = |from: f64, to: f64, value: f64| {
        assert!((from..=to).contains(&value), "{value} is not from {from} to {to}");
    };
    let cpu = |name| measured(START_UP, name, CPU_ADDED);

    let empty = numbers(&said("start-up at most 1.5 times"));
    is_between(empty[0], empty[1], cpu("libkeepalive") / cpu("the smallest empty library"));
    let usual = cpu("libkeepalive") / cpu("an empty library, linked as usual");
    let usual = format!("; {usual:.1} times one that is linked as usual");
    assert!(said("start-up at most 1.5 times").contains(&usual), "{usual}");

    let peer = numbers(&said("start-up at most 0.75"));
    is_between(peer[0], peer[1], cpu("libkeepalive") / cpu("libdontdie"));

    let said_of_socket = said("TCP socket() within 1 %");
    let (one, eight) = said_of_socket.split_once("with 8 threads").expect("both");
    for (title, said) in [
        ("### TCP socket() and close(), 160000 times", one),
        ("### TCP socket() and close(), 8 threads", eight),
    ] {
        let said = numbers(said);
        is_between(said[0], said[1], measured(title, "libkeepalive", RATIO));
    }

    let memory = cell("docs/counts.md", "## Every start of a program", "what", "KiB of memory", 1);
    assert_eq!(said("at most 8 KiB"), format!("{memory} KiB"));
    for row in rows("docs/counts.md", "## Every call", "what") {
        let is_free = ["UDP", "UNIX socket", "off"].iter().any(|it| row[0].contains(it));
        assert!(!is_free || !row[0].ends_with("system calls") || row[1] == "0", "{row:?}");
    }
}

/// docs/speed.md, *The command* and *Following*: the run that is shown meets the targets.
#[test]
fn the_command_costs_what_is_said() {
    for row in rows("docs/speed.md", "## The command", "") {
        // Of 10,000 sockets.
        let each: Vec<_> = numbers(&row[1]).iter().map(|ms| (ms / 10.0).round()).collect();
        assert_eq!(each, numbers(&row[2]), "{row:?}");
    }
    for row in rows("docs/speed.md", "### Following", "sockets") {
        let [look, first, later, memory] = [1, 2, 3, 4].map(|column| numbers(&row[column])[0]);
        let target = if row[0] == "100" { 0.1 } else { 1.0 };
        assert!(first < target && later < target && memory < 40.0, "{row:?}");
        // A look every ten seconds.
        assert!((look / 100.0 - later).abs() < 0.01, "{row:?}");
    }
}

/// docs/programs-of-today.md, *What to do*: it follows from the values that were measured.
#[test]
fn what_to_type_follows_from_what_was_measured() {
    let document = "docs/programs-of-today.md";
    // `Python: openai, pika; .NET: HttpClient` as the measurements call them.
    let advised: Vec<_> = rows(document, "## What to do", "program")
        .into_iter()
        .flat_map(|row| {
            let advice = row[1].clone();
            let programs: Vec<_> = row[0]
                .split("; ")
                .flat_map(|group| {
                    let (language, names) = group.split_once(": ").expect("a language");
                    names
                        .split(", ")
                        .map(move |name| format!("{}: {name}", language.to_lowercase()))
                })
                .collect();
            programs.into_iter().map(move |program| (program, advice.clone()))
        })
        .collect();
    let measured = rows(document, "## What is measured", "program");
    let (values, _) = measured.split_at(measured.len() / 2);
    // When the first probe of those comes that need nothing.
    let mut own = Vec::new();
    for row in values {
        let program = row[0].replace(" (SDK)", "").replace("dotnet 3.1", ".net");
        let (alone, under_run) = (&row[2], &row[3]);
        let expected = match under_run.as_str() {
            "off" => "`run --force`",
            same if same == alone => {
                own.push(numbers(alone)[0]);
                "nothing, if the path remembers for more than two minutes"
            }
            _ => "`keepalive run`",
        };
        let advice: Vec<_> = advised.iter().filter(|(name, _)| *name == program).collect();
        assert!(advice.len() == 1 && advice[0].1.starts_with(expected), "{program}: {advice:?}");
    }
    own.sort_by(f64::total_cmp);
    let times = format!("the first probe comes after {} s to {} s.", own[0], own[own.len() - 1]);
    assert!(advised.iter().any(|(_, advice)| advice.contains(&times)), "{times}");
    assert_eq!(advised.len(), values.len());
    assert_eq!(advised.iter().collect::<BTreeSet<_>>().len(), values.len());
}

/// *What keepalive cannot cure*: what a client tells of its own limits. The others were waited for, by
/// the command below the table.
#[test]
fn the_clients_patience_is_what_they_tell() {
    let document = "docs/programs-of-today.md";
    let table = rows(document, "## What keepalive cannot cure", "client");
    let mut count = 0;
    for told in rows(document, "## What is measured", "program") {
        let (program, limits) = (&told[0], &told[1]);
        // In the second table alone. A heartbeat is no limit for an answer.
        let Some((limit, _)) = limits.split_once(" s").filter(|_| !limits.contains("heartbeat"))
        else {
            continue;
        };
        let limit = format!("{} s", limit.rsplit(' ').next().unwrap_or_default());
        let is_its = |row: &Vec<String>| {
            let mut names = row[0].split([' ', ',', ':']).filter(|name| name.len() > 4);
            names.any(|name| program.contains(name)) && row.concat().contains(&limit)
        };
        assert!(table.iter().any(is_its), "{document}: {program} tells of {limit}");
        count += 1;
    }
    assert!(count > 8, "{count}");
}
