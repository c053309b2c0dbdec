//! `measure --json`: the schema is in docs/measure.md, and only ever grows.

use serde::Serialize;

use super::evidence::How;
use super::report::Report;
use super::search::Found;

#[derive(Serialize)]
struct Document {
    version: u32,
    address: String,
    result: &'static str,
    how: Option<&'static str>,
    answered_after_s: Option<f64>,
    forgotten_after_s: Option<f64>,
    ends_after_s: Option<f64>,
    hears_every_s: Option<f64>,
    took_s: f64,
    loss: Option<f64>,
    round_trip_ms: Option<f64>,
    connections: usize,
    confirmed_by: usize,
    left_at_server: Option<usize>,
    recommended: Option<Settings>,
}

#[derive(Serialize)]
struct Settings {
    idle_s: u32,
    interval_s: u32,
    count: u32,
}

/// The document.
pub fn document(report: &Report) -> String {
    let evidence = &report.search.evidence;
    let found = report.found();
    let document = Document {
        version: 1,
        address: report.address.to_string(),
        result: result(found),
        how: evidence.how().map(manner),
        answered_after_s: evidence.low().map(|low| rounded(low, f64::floor, 10.0)),
        forgotten_after_s: evidence.high().map(|high| rounded(high, f64::ceil, 10.0)),
        ends_after_s: match found {
            Found::EndsIdle(after) => Some(rounded(after, f64::round, 10.0)),
            _ => None,
        },
        hears_every_s: match found {
            Found::NotIdle(every) => Some(rounded(every, f64::round, 10.0)),
            _ => None,
        },
        took_s: rounded(report.took, f64::round, 10.0),
        loss: evidence.loss().map(|loss| rounded(loss, f64::round, 10_000.0)),
        round_trip_ms: evidence.round_trip().map(|time| rounded(time * 1000.0, f64::round, 10.0)),
        connections: report.search.connections(),
        confirmed_by: report.search.confirmed(),
        left_at_server: report.left,
        recommended: report.recommended().map(|settings| Settings {
            idle_s: settings.idle,
            interval_s: settings.interval,
            count: settings.count,
        }),
    };
    serde_json::to_string_pretty(&document).expect("no map with keys other than text") + "\n"
}

fn manner(how: How) -> &'static str {
    match how {
        How::Silence => "silence",
        How::Reset => "reset",
        How::ResetUnasked => "reset-unasked",
        How::ClosedUnasked => "closed-unasked",
    }
}

fn result(found: Found) -> &'static str {
    match found {
        Found::Forgotten(_) => "forgotten",
        Found::Nothing => "none",
        Found::Mixed => "mixed",
        Found::EndsIdle(_) => "ends-idle",
        Found::DespiteKeepalive => "despite-keepalive",
        Found::NotIdle(_) => "not-idle",
        Found::Incomplete => "incomplete",
        Found::Unreachable => "unreachable",
        Found::Lost => "lost",
        Found::Interrupted | Found::Slept(_) => "interrupted",
    }
}

fn rounded(value: f64, round: fn(f64) -> f64, parts: f64) -> f64 {
    round(value * parts) / parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markdown::{quoted, rows};

    fn names(cell: &str) -> impl Iterator<Item = String> {
        quoted(cell).into_iter().map(|(_, name)| name)
    }

    /// docs/measure.md, *What it says*: the first table.
    #[test]
    fn the_document_has_every_result_and_its_status() {
        let hows = [How::Silence, How::Reset, How::ResetUnasked, How::ClosedUnasked];
        let all = [
            Found::Forgotten(How::Silence),
            Found::Nothing,
            Found::Mixed,
            Found::EndsIdle(1.0),
            Found::DespiteKeepalive,
            Found::NotIdle(1.0),
            Found::Incomplete,
            Found::Unreachable,
            Found::Lost,
            Found::Interrupted,
        ];
        let expected: Vec<_> = all
            .map(|it| (result(it).to_owned(), if it.is_answer() { "0" } else { "1" }.to_owned()))
            .into();
        let rows = rows("docs/measure.md", "## What it says", "`result`");
        let listed = rows.iter().flat_map(|row| names(&row[0]).map(|name| (name, row[1].clone())));
        assert_eq!(listed.collect::<Vec<_>>(), expected);
        let said: Vec<_> = names(&rows[0][2]).skip(1).collect();
        assert_eq!(said, hows.map(manner));
    }

    /// The second.
    #[test]
    fn the_document_has_every_field() {
        let rows = rows("docs/measure.md", "## What it says", "field");
        let settings = Settings { idle_s: 1, interval_s: 1, count: 1 };
        let document = Document {
            version: 1,
            address: String::new(),
            result: "none",
            how: None,
            answered_after_s: None,
            forgotten_after_s: None,
            ends_after_s: None,
            hears_every_s: None,
            took_s: 0.0,
            loss: None,
            round_trip_ms: None,
            connections: 0,
            confirmed_by: 0,
            left_at_server: None,
            recommended: Some(settings),
        };
        // A map of serde_json's is sorted.
        let fields = |value: &serde_json::Value| -> Vec<String> {
            value.as_object().expect("an object").keys().cloned().collect()
        };
        let document = serde_json::to_value(document).expect("JSON");
        let mut listed: Vec<_> = rows.iter().flat_map(|row| names(&row[0])).collect();
        listed.sort();
        assert_eq!(listed, fields(&document));
        let mut within: Vec<_> = names(&rows[rows.len() - 1][2]).collect();
        within.sort();
        assert_eq!(within, fields(&document["recommended"]));
    }
}
