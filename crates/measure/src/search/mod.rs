//! The search: decides, from what came so far, what to do next. It knows no clock and no socket, so
//! that the tests can try it with every path, loss and server (tests/simulation).
//!
//! Connections are opened together. Each is left idle until its rung of the ladder, then probed. The
//! first that is not answered ends the ladder; those that were answered have been idle since, and
//! narrow the result. A control connection is probed all the time: silence counts only while that is
//! answered. Others confirm what was found. Times are in seconds since the start.
//!
//! `state` is what is known. Each other file is a step, which changes it. Of these only `restart` and
//! `confirming` are used by others.

mod confirming;
mod deciding;
mod ends;
mod flow;
mod learning;
mod opening;
mod outage;
mod probing;
mod restart;
mod state;

pub use state::{Action, Event, Id, Search};

use crate::timing::{BETWEEN_OPENINGS, NOTHING_DUE, OPENING, SETTLED};
use flow::{Role, State};

impl Search {
    /// What is to be done now, and when to ask for that again at the latest.
    pub fn act(&mut self, now: f64) -> (Vec<Action>, f64) {
        let mut actions = Vec::new();
        if self.finding.is_none() {
            self.open(now, &mut actions);
            self.settle(now, &mut actions);
            self.probe_control(now, &mut actions);
            self.look_for_outage(now, &mut actions);
            self.probe(now, &mut actions);
            self.look_at_ends(now, &mut actions);
            self.decide(now);
        }
        (actions, self.wake(now))
    }

    /// When something is due next.
    fn wake(&self, now: f64) -> f64 {
        let mut next = now + NOTHING_DUE;
        let mut due = |at: f64| next = next.min(at);
        if self.flows[self.control.id].state == State::Open {
            due(self.next_control());
        }
        for flow in &self.flows {
            match (flow.state, flow.target) {
                (State::Planned, _) => due(self.next_opening),
                (State::Opening, _) => due(flow.since + OPENING),
                (State::Open, _) if !flow.is_settled && flow.role == Role::Idle => {
                    due((flow.since + SETTLED).max(now + BETWEEN_OPENINGS));
                }
                (State::Open, _) if flow.is_probed() => {
                    due(flow.probes[flow.probes.len() - 1].at + self.between_probes());
                }
                (State::Open, Some(target)) => due(flow.idle_since + target),
                _ => {}
            }
        }
        if self.outage.is_some() || !self.ends.is_empty() || self.control_ended.is_some() {
            due(now + 1.0);
        }
        if !self.flows.iter().any(|flow| flow.is_planned() || flow.is_probed()) {
            due(now + BETWEEN_OPENINGS);
        }
        next.max(now + 0.001)
    }
}
