//! `probe --json`: the schema is in docs/probe.md, and only ever grows.

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
        how: evidence.how().map(|how| match how {
            How::Silence => "silence",
            How::Reset => "reset",
            How::ResetUnasked => "reset-unasked",
            How::ClosedUnasked => "closed-unasked",
        }),
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
        Found::Interrupted => "interrupted",
    }
}

fn rounded(value: f64, round: fn(f64) -> f64, parts: f64) -> f64 {
    round(value * parts) / parts
}
