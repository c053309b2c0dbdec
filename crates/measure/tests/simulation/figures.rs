//! How well limits are found: a table of docs/measure.md comes from here.

#[path = "../../../../tests/support/document.rs"]
#[allow(dead_code, reason = "other tests use all of it")]
mod document;

use libkeepalive_measure::{Finding, How, Recommended};

use crate::world::World;
use crate::{PARALLEL, is_forgotten, run, seconds};

/// Timeouts from 1 s to 2 h, so many.
fn limits(number: i32) -> impl Iterator<Item = f64> {
    (0..number).map(move |step| 7200_f64.powf(f64::from(step) / f64::from(number - 1)))
}

/// The shortest limit of some connections that is tried where others have a longer one.
const SHORTEST: f64 = 5.0;

/// Those that products come with, up to 2 h (docs/timeouts.md).
const USUAL: [f64; 11] =
    [60.0, 240.0, 300.0, 350.0, 360.0, 600.0, 900.0, 1200.0, 1800.0, 3600.0, 7200.0];

/// The middle one and the largest.
fn median_and_worst(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[values.len() - 1])
}

/// Of these limits each is found, whatever is lost: a row of the table.
fn row(what: &str, loss: f64, limits: impl Iterator<Item = f64>) -> String {
    let (mut widths, mut times, mut connections) = (Vec::new(), Vec::new(), Vec::new());
    let mut runs = 0;
    for (limit, seed) in limits.flat_map(|limit| [(limit, 1), (limit, 2)]) {
        let outcome = run(&World::new(limit, loss), PARALLEL, seed ^ limit.to_bits());
        assert!(is_forgotten(&outcome, limit, How::Silence), "{limit} s, {loss}: {outcome:?}");
        runs += 1;
        // Below, a few seconds are a large share.
        if limit > 20.0 {
            let low = seconds(outcome.answered_after).unwrap_or(0.0);
            let high = seconds(outcome.forgotten_after).unwrap_or(0.0);
            widths.push((high - low) / limit * 100.0);
            times.push(outcome.took.as_secs_f64() / limit);
            connections.push(outcome.connections as f64);
        }
    }
    let [width, time, number] = [widths, times, connections].map(median_and_worst);
    format!(
        "| {what} | {:.0} % | {runs} of {runs} | {:.0} % ({:.0} %) | {:.1} T ({:.1} T) | {:.0} \
         ({:.0}) |\n",
        loss * 100.0,
        width.0,
        width.1,
        time.0,
        time.1,
        number.0,
        number.1
    )
}

/// Where half of the connections are forgotten after this share of the limit: a row of the table.
fn row_of_mixed(what: &str, share: f64, loss: f64) -> String {
    let (mut runs, mut noticed, mut held, mut times) = (0, 0, 0, Vec::new());
    let limits = limits(40).filter(|limit| limit * share >= SHORTEST);
    for (limit, seed) in limits.flat_map(|limit| (0..10).map(move |seed| (limit, seed))) {
        let mut world = World::new(limit, loss);
        world.other_limit = limit * share;
        let outcome = run(&world, PARALLEL, seed ^ limit.to_bits());
        runs += 1;
        noticed += u32::from(outcome.finding == Finding::Mixed);
        let is_held = |settings: Recommended| f64::from(settings.idle) < world.other_limit;
        held += u32::from(outcome.recommended.is_none_or(is_held));
        times.push(outcome.took.as_secs_f64() / limit);
    }
    let time = median_and_worst(times);
    let percent = |number| f64::from(number) / f64::from(runs) * 100.0;
    format!(
        "| {what} | {:.0} % | {:.0} % | {held} of {runs} | {:.1} T ({:.1} T) |\n",
        loss * 100.0,
        percent(noticed),
        time.0,
        time.1
    )
}

#[test]
fn every_limit_is_found_whatever_is_lost() {
    let mut table = String::from(
        "| limits | loss each way | right | width, median (worst) | time, median (worst) | \
         connections, median (worst) |\n|---|---|---|---|---|---|\n",
    );
    for loss in [0.0, 0.01, 0.05, 0.1, 0.2, 0.3] {
        table += &row("any", loss, limits(40));
    }
    for loss in [0.0, 0.01] {
        table += &row("usual", loss, USUAL.into_iter());
    }
    table += "\n| half of the connections forgotten | loss each way | noticed | advice holds them | \
              time, median (worst) |\n|---|---|---|---|---|\n";
    for (what, share) in
        [("after 2/3 T", 2.0 / 3.0), ("after T/2", 0.5), ("after T/4", 0.25), ("after T/10", 0.1)]
    {
        for loss in [0.0, 0.05] {
            table += &row_of_mixed(what, share, loss);
        }
    }
    println!("{table}");
    let part = document::Part { document: "measure.md", by: "the test simulation" };
    if document::is_to_be_written() {
        part.write(&table);
    }
    assert_eq!(part.read(), table);
}
