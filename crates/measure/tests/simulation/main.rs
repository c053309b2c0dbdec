//! The search against simulated paths and servers, with a virtual clock: every timeout, every loss,
//! every habit of a server.

mod figures;
mod habits;
mod network;
mod world;

use std::time::Duration;

use libkeepalive_measure::search::Search;
use libkeepalive_measure::{Finding, How, Options, Outcome};
use network::Simulation;
use world::World;

/// Lets the search run.
fn run(world: &World, parallel: usize, seed: u64) -> Outcome {
    let mut simulation = Simulation::new(world, seed);
    let max = Duration::from_secs(MAX);
    let mut search = Search::new(&Options { max, parallel, ..Options::default() });
    let mut now = 0.0;
    loop {
        let (actions, wake) = search.act(now);
        for action in actions {
            simulation.act(now, action);
        }
        if search.finding().is_some() {
            return search.outcome(now);
        }
        assert!(now < 60_000.0, "{world:?}: no end");
        let next = simulation.next();
        if next > wake {
            now = wake;
            continue;
        }
        now = next.max(now);
        if let Some(event) = simulation.happen(now) {
            search.event(now, event);
        }
    }
}

/// The longest idle time that is tried, in seconds.
const MAX: u64 = 7500;
const PARALLEL: usize = 26;

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

/// Whether the limit is between what was found.
fn is_right(outcome: &Outcome, limit: f64) -> bool {
    let low = seconds(outcome.answered_after).unwrap_or(0.0);
    seconds(outcome.forgotten_after).is_some_and(|high| low <= limit && limit <= high)
}

/// Whether the limit was found, of a path that forgets in this way.
fn is_forgotten(outcome: &Outcome, limit: f64, how: How) -> bool {
    let is_found = outcome.finding == Finding::Forgotten && outcome.how == Some(how);
    is_found && is_right(outcome, limit)
}
