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

    /// docs/measure.md has the same words; tests/command/measure.rs compares with it what is printed.
    #[test]
    fn each_result_has_its_own_word() {
        let results = [
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
        let (answers, others): (Vec<_>, Vec<_>) =
            results.into_iter().partition(|found| found.is_answer());
        assert_eq!(
            answers.into_iter().map(result).collect::<Vec<_>>(),
            ["forgotten", "none", "mixed"]
        );
        assert_eq!(
            others.into_iter().map(result).collect::<Vec<_>>(),
            [
                "ends-idle",
                "despite-keepalive",
                "not-idle",
                "incomplete",
                "unreachable",
                "lost",
                "interrupted"
            ]
        );
        let hows = [How::Silence, How::Reset, How::ResetUnasked, How::ClosedUnasked].map(manner);
        assert_eq!(hows, ["silence", "reset", "reset-unasked", "closed-unasked"]);
    }
}
