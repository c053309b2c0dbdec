//! Opens connections, and replaces those whose handshake was disturbed.

use super::flow::{Flow, Role, State};
use super::state::{Action, Search};
use crate::timing::{BETWEEN_OPENINGS, MAX_REPLACEMENTS, OPENING, SETTLED};

impl Search {
    /// Opens one more that is planned, and gives up those that take too long.
    pub(super) fn open(&mut self, now: f64, actions: &mut Vec<Action>) {
        for id in 0..self.flows.len() {
            let flow = &mut self.flows[id];
            if flow.state == State::Opening && now >= flow.since + OPENING {
                flow.state = State::Ended;
                actions.push(Action::Close(id));
                if id == self.control.id {
                    self.control_failed(now);
                }
            }
        }
        // The control connection first: it tells whether the server is there.
        let planned = match self.flows[self.control.id].state {
            State::Planned => Some(self.control.id),
            State::Open => self.flows.iter().position(|flow| flow.state == State::Planned),
            State::Opening | State::Forgotten | State::Ended => None,
        };
        if let Some(id) = planned.filter(|_| now >= self.next_opening) {
            let flow = &mut self.flows[id];
            (flow.state, flow.since) = (State::Opening, now);
            self.next_opening = now + BETWEEN_OPENINGS;
            actions.push(Action::Open(id));
        }
    }

    /// A connection on which something came unasked right after connecting has lost a part of its
    /// handshake: another takes its place. Where it is so with most of them, the server is so.
    pub(super) fn settle(&mut self, now: f64, actions: &mut Vec<Action>) {
        let first = || {
            let idle = self.flows.iter().filter(|flow| flow.role == Role::Idle);
            idle.filter(|flow| flow.generation == 0)
        };
        let is_over = |flow: &Flow| flow.state == State::Open && now >= flow.since + SETTLED;
        if first().any(|flow| flow.is_young() && !is_over(flow)) && !self.has_witnesses {
            return;
        }
        let disturbed = first().filter(|flow| flow.disturbed > 0).count();
        let is_usual = disturbed * 2 >= first().count();
        for id in 0..self.flows.len() {
            let flow = &mut self.flows[id];
            let is_due = flow.role == Role::Idle && flow.state == State::Open && !flow.is_settled;
            if !is_due || now < flow.since + SETTLED {
                continue;
            }
            if flow.disturbed == 0 || is_usual {
                flow.is_settled = true;
                continue;
            }
            flow.state = State::Ended;
            actions.push(Action::Close(id));
            let (target, generation) = (flow.target, flow.generation + 1);
            if generation <= MAX_REPLACEMENTS {
                self.add(target, generation);
            }
        }
    }
}
