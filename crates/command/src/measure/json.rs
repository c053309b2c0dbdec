//! `measure --json`: the schema is in docs/measure.md, and only ever grows.

use std::time::Duration;

use libkeepalive_measure::{Finding, How};
use serde::Serialize;

use super::report::Report;

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
    let outcome = &report.outcome;
    let tenths = |time: Duration, round| rounded(time.as_secs_f64(), round, 10.0);
    let document = Document {
        version: 1,
        address: report.address.to_string(),
        result: outcome.finding.name(),
        how: outcome.how.map(How::name),
        answered_after_s: outcome.answered_after.map(|time| tenths(time, f64::floor)),
        forgotten_after_s: outcome.forgotten_after.map(|time| tenths(time, f64::ceil)),
        ends_after_s: match outcome.finding {
            Finding::EndsIdle(after) => Some(tenths(after, f64::round)),
            _ => None,
        },
        hears_every_s: match outcome.finding {
            Finding::NotIdle(every) => Some(tenths(every, f64::round)),
            _ => None,
        },
        took_s: tenths(outcome.took, f64::round),
        loss: outcome.loss.map(|loss| rounded(loss, f64::round, 10_000.0)),
        round_trip_ms: outcome.round_trip.map(|time| tenths(time * 1000, f64::round)),
        connections: outcome.connections,
        confirmed_by: outcome.confirmed_by,
        left_at_server: outcome.left_at_server,
        recommended: outcome.recommended.map(|settings| Settings {
            idle_s: settings.idle,
            interval_s: settings.interval,
            count: settings.count,
        }),
    };
    serde_json::to_string_pretty(&document).expect("no map with keys other than text") + "\n"
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
            Finding::Forgotten,
            Finding::NotForgotten,
            Finding::Mixed,
            Finding::EndsIdle(Duration::from_secs(1)),
            Finding::DespiteKeepalive,
            Finding::NotIdle(Duration::from_secs(1)),
            Finding::Incomplete,
            Finding::Unreachable,
            Finding::Lost,
            Finding::Interrupted,
        ];
        let expected: Vec<_> = all
            .map(|it| (it.name().to_owned(), if it.is_answer() { "0" } else { "1" }.to_owned()))
            .into();
        let rows = rows("docs/measure.md", "## What it says", "`result`");
        let listed = rows.iter().flat_map(|row| names(&row[0]).map(|name| (name, row[1].clone())));
        assert_eq!(listed.collect::<Vec<_>>(), expected);
        let said: Vec<_> = names(&rows[0][2]).skip(1).collect();
        assert_eq!(said, hows.map(How::name));
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
