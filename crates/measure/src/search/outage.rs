//! The control connection is silent: can the server be reached at all?

use super::flow::{Flow, Role, State};
use super::state::{Action, Outage, Search};
use crate::evidence::Forgotten;
use crate::outcome::{Finding, How};
use crate::timing::{BETWEEN_TRIALS, OUTAGE};

impl Search {
    /// The control connection is silent: is the server to be reached at all?
    pub(super) fn look_for_outage(&mut self, now: f64, actions: &mut Vec<Action>) {
        for id in 0..self.flows.len() {
            let flow = &mut self.flows[id];
            let is_over = self.outage.as_ref().is_none_or(|outage| outage.trial != Some(id));
            if flow.role == Role::Trial && is_over && flow.state != State::Ended {
                flow.state = State::Ended;
                actions.push(Action::Close(id));
            }
        }
        let enough = self.evidence.probes_for_silence();
        if self.control.probes.len() < enough || self.control_ended.is_some() {
            return;
        }
        let outage = self.outage.get_or_insert(Outage {
            since: now,
            probes: self.control.probes.len(),
            trial: None,
            next_trial: now,
            reached: None,
        });
        match outage.reached {
            // It works for others, so it has been forgotten.
            Some(unanswered) if self.control.probes.len() >= unanswered + enough => {
                let was_out = unanswered > outage.probes + 1;
                self.forget_control(now, was_out, if was_out { unanswered } else { 0 });
            }
            None if now >= outage.since + OUTAGE => {
                self.finding.get_or_insert(Finding::Lost);
            }
            None if outage.trial.is_none() && now >= outage.next_trial => {
                outage.trial = Some(self.flows.len());
                actions.push(Action::Open(self.flows.len()));
                let state = State::Opening;
                self.flows.push(Flow { state, since: now, ..Flow::new(Role::Trial) });
            }
            None => {
                // One that takes too long was closed by open().
                let trial = outage.trial.filter(|id| self.flows[*id].state == State::Ended);
                if trial.is_some() {
                    outage.trial = None;
                    outage.next_trial = now + BETWEEN_TRIALS;
                }
            }
            Some(_) => {}
        }
    }

    /// The control connection has been forgotten: though it was probed, if the server could be
    /// reached all the time; after an outage another takes its place. So many probes did not arrive.
    fn forget_control(&mut self, now: f64, was_out: bool, lost: usize) {
        self.flows[self.control.id].state = State::Forgotten;
        let arrived = lost + self.evidence.probes_for_arrival() - 1;
        let surely = self.control.probes[arrived.min(self.control.probes.len() - 1)];
        let idle = surely - self.control.heard;
        let forgotten = Forgotten { connection: None, probed: idle, idle, how: How::Silence };
        let is_early = self.evidence.low().is_some_and(|low| low > idle);
        if is_early {
            // It may go another way than others: do these live?
            let age = surely - self.flows[self.control.id].since;
            self.control_forgotten = Some((forgotten, age));
            self.cancel();
            let idle = self.flows.iter_mut().filter(|flow| flow.is_idle());
            idle.for_each(|flow| flow.target = Some(0.0));
        } else {
            // The limit is shorter than the time between probes that arrived.
            self.evidence.forgotten(forgotten);
        }
        if was_out || is_early {
            self.outage = None;
            self.add_control(now);
        } else {
            self.finding = Some(Finding::Forgotten);
        }
    }
}
