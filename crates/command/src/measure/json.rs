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
    let (ends_after_s, hears_every_s) = match outcome.finding {
        Finding::EndsIdle(after) => (Some(tenths(after, f64::round)), None),
        Finding::NotIdle(every) => (None, Some(tenths(every, f64::round))),
        _ => (None, None),
    };
    let document = Document {
        version: 1,
        address: report.address.to_string(),
        result: outcome.finding.name(),
        how: outcome.how.map(How::name),
        answered_after_s: outcome.answered_after.map(|time| tenths(time, f64::floor)),
        forgotten_after_s: outcome.forgotten_after.map(|time| tenths(time, f64::ceil)),
        ends_after_s,
        hears_every_s,
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

    /// docs/measure.md has the same words; tests/command/measure.rs compares with it what is printed.
    #[test]
    fn each_result_has_its_own_word() {
        let results = [
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
        let (answers, others): (Vec<_>, Vec<_>) =
            results.into_iter().partition(|finding| finding.is_answer());
        let names = |findings: &[Finding]| findings.iter().map(|it| it.name()).collect::<Vec<_>>();
        assert_eq!(names(&answers), ["forgotten", "none", "mixed"]);
        let failures = [
            "ends-idle",
            "despite-keepalive",
            "not-idle",
            "incomplete",
            "unreachable",
            "lost",
            "interrupted",
        ];
        assert_eq!(names(&others), failures);
        let hows = [How::Silence, How::Reset, How::ResetUnasked, How::ClosedUnasked].map(How::name);
        assert_eq!(hows, ["silence", "reset", "reset-unasked", "closed-unasked"]);
    }
}
