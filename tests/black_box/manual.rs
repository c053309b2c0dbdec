//! man/libkeepalive.8 says what docs/library.md, crates/options and the library say.
//!
//! Compared are words: neither punctuation nor markup, Markdown here and mdoc(7) there.

use options::{Mode, OPTIONS, Unit};

use crate::reported;

const PAGE: &str = include_str!("../../man/libkeepalive.8");
const DOCUMENT: &str = include_str!("../../docs/library.md");
const CHANGELOG: &str = include_str!("../../CHANGELOG.md");

/// The macros of mdoc(7) that the lists use. They stand for no word.
const MACROS: [&str; 8] = ["Cm", "Dv", "Ev", "Fn", "It", "No", "Ns", "Xr"];

/// The text from a heading to the next.
#[track_caller]
fn section<'a>(text: &'a str, heading: &str, next: &str) -> &'a str {
    let (_, rest) = text.split_once(heading).unwrap_or_else(|| panic!("no {heading:?}"));
    rest.split(next).next().unwrap_or_default()
}

fn words(text: &str) -> Vec<&str> {
    let is_between = |character: char| !character.is_alphanumeric() && character != '_';
    text.split(is_between).filter(|word| !word.is_empty()).collect()
}

/// What a line of the page shows.
fn shown(line: &str) -> String {
    let line = line.replace("\\(en", "–");
    let Some(line) = line.strip_prefix('.') else { return line };
    let is_word = |token: &&str| !MACROS.contains(token);
    let tokens = line.split_whitespace();
    assert!(!tokens.clone().next().is_some_and(|first| is_word(&first)), "a new macro: .{line}");
    tokens.filter(is_word).collect::<Vec<_>>().join(" ")
}

/// The first list of a section of the page: the head of each item, and its body.
fn list(heading: &str) -> Vec<(String, String)> {
    let text = section(PAGE, &format!(".Sh {heading}\n"), ".Sh ");
    let list = section(text, ".Bl -tag -width Ds\n", ".El\n");
    let items = list.split(".It ").skip(1).map(|item| {
        let (head, body) = item.split_once('\n').expect("a body");
        let body: Vec<_> = body.lines().map(shown).collect();
        (shown(&format!(".It {head}")), body.join(" "))
    });
    items.collect()
}

/// The table of a section of the document: the first cell of each row, and the others.
fn table(heading: &str) -> Vec<(String, String)> {
    let text = section(DOCUMENT, &format!("\n## {heading}\n"), "\n## ");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")).skip(1);
    let cells = rows.map(|row| {
        let (first, others) = row.split_once(" | ").expect("two cells");
        (first.to_owned(), others.to_owned())
    });
    cells.collect()
}

/// Both, in words, row by row.
#[track_caller]
fn same(list: &[(String, String)], table: &[(String, String)]) {
    assert!(!table.is_empty());
    assert_eq!(list.len(), table.len(), "rows");
    for (item, row) in list.iter().zip(table) {
        assert_eq!(words(&item.0), words(&row.0));
        assert_eq!(words(&item.1), words(&row.1), "{}", row.0);
    }
}

#[test]
fn the_variables_are_those_of_the_document() {
    same(&list("ENVIRONMENT"), &table("Variables"));
}

#[test]
fn the_modes_are_those_of_the_document() {
    same(&list("MODES"), &table("Modes"));
}

#[test]
fn the_names_and_limits_are_those_that_the_library_accepts() {
    let list = list("ENVIRONMENT");
    for option in OPTIONS {
        let name = option.name.to_str().expect("ASCII");
        let names = match option.short_name {
            Some(short) => format!("{} or {name}", short.to_str().expect("ASCII")),
            None => name.into(),
        };
        let (_, body) = list
            .iter()
            .find(|(head, _)| *head == names)
            .unwrap_or_else(|| panic!("{names} is not in the list"));
        let unit = match option.unit {
            Unit::Seconds => " s",
            Unit::Milliseconds => " ms",
            Unit::Probes | Unit::Retransmissions => "",
        };
        let range = format!("{}–{}{unit}: ", option.min, option.max);
        assert!(body.starts_with(&range), "{names}: {body:?} does not begin with {range:?}");
    }

    let modes = words(section(&list[0].1, "", ":")).join(" ");
    assert_eq!(modes, "on or unset off skip force");
    for mode in modes.split(' ').filter(|word| !["or", "unset"].contains(word)) {
        assert!(Mode::parse(mode.as_bytes()).is_some(), "{mode}");
    }
}

/// The page's messages, in its order, are what the library writes.
#[test]
fn the_messages_are_those_of_the_library() {
    let written = [
        (&[("KEEPALIVE", "never"), ("KEEPIDLE", "abc"), ("KEEPALIVE_DEBUG", "yes")][..], ""),
        (
            &[("KEEPALIVE_DEBUG", "1"), ("KEEPIDLE", "180")],
            "socket AF_INET SOCK_STREAM 0 listen socket AF_INET SOCK_DGRAM 0 \
             raw_socket AF_INET SOCK_STREAM 0 connect accept",
        ),
        (&[("KEEPALIVE_DEBUG", "1"), ("KEEPALIVE", "skip")], "socket AF_INET SOCK_STREAM 0"),
        (
            &[("KEEPALIVE_DEBUG", "1"), ("KEEPIDLE", "180"), ("KEEPALIVE", "force")],
            "raw_socket AF_INET SOCK_STREAM 0 set TCP_KEEPIDLE 30",
        ),
    ]
    .map(|(variables, script)| reported(variables, script, "1234"))
    .concat();
    let diagnostics = section(PAGE, ".Sh DIAGNOSTICS\n", ".Sh ");
    let messages: Vec<_> =
        diagnostics.lines().filter_map(|line| line.strip_prefix(".It ")).collect();
    assert_eq!(messages, written.lines().collect::<Vec<_>>());
}

/// The changelog says `## 1.0.0 (unreleased)`, and then `## 1.0.0 (2026-11-24)`.
#[test]
fn the_version_and_the_date_are_those_of_the_release() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(PAGE.contains(&format!("\n.Os libkeepalive {version}\n")), ".Os is not {version}");

    let release = section(CHANGELOG, &format!("## {version} ("), ")");
    if release != "unreleased" {
        let date = section(PAGE, ".Dd ", "\n");
        assert_eq!(iso(date), release, ".Dd is not the date in CHANGELOG.md");
    }
}

/// `November 24, 2026` as `2026-11-24`.
#[track_caller]
fn iso(date: &str) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let [name, day, year] = words(date)[..] else { panic!("{date:?} is not a date") };
    let month = MONTHS.iter().position(|month| *month == name).expect("a month") + 1;
    format!("{year}-{month:02}-{day:0>2}")
}
