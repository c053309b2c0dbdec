//! The search against simulated paths and servers, with a virtual clock: every timeout, every loss,
//! every habit of a server.

mod figures;
mod habits;
mod network;
mod world;

use super::report::{Recommended, recommended};
use super::search::{Found, Options, Search};
use network::Simulation;
use world::World;

/// What came of it.
#[derive(Debug)]
struct Result {
    found: Found,
    low: Option<f64>,
    high: Option<f64>,
    took: f64,
    connections: usize,
    confirmed: usize,
    advice: Option<Recommended>,
}

/// Lets the search run.
fn run(world: &World, max: f64, parallel: usize, seed: u64) -> Result {
    let mut simulation = Simulation::new(world, seed);
    let mut search = Search::new(Options { max, resolution: 0.05, parallel });
    let mut now = 0.0;
    loop {
        let (actions, wake) = search.act(now);
        for action in actions {
            simulation.act(now, action);
        }
        if let Some(found) = search.found() {
            return Result {
                found,
                low: search.evidence.low(),
                high: search.evidence.high(),
                took: now,
                connections: search.connections(),
                confirmed: search.confirmed(),
                advice: recommended(&search.evidence).filter(|_| found != Found::DespiteKeepalive),
            };
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

const MAX: f64 = 7500.0;
const PARALLEL: usize = 26;

/// Whether the limit is between what was found.
fn is_right(result: &Result, limit: f64) -> bool {
    let low = result.low.unwrap_or(0.0);
    result.high.is_some_and(|high| low <= limit && limit <= high)
}
