//! Probes the connections whose time has come, and the control connection all the time.

use super::flow::{Flow, Probe, State};
use super::state::{Action, Phase, Search};
use crate::evidence::Forgotten;
use crate::outcome::How;
use crate::timing::{
    BETWEEN_PROBES, BETWEEN_PROBES_IN_SILENCE, CONTROL, CONTROL_MAX, CONTROL_WHILE_PROBING, NEAR,
};

impl Search {
    /// How long after the last probe the control connection is probed again.
    fn control_pause(&self) -> f64 {
        if self.outage.as_ref().is_some_and(|outage| outage.reached.is_none()) {
            BETWEEN_PROBES_IN_SILENCE
        } else if !self.control.probes.is_empty()
            || !self.resets.is_empty()
            || self.flows.iter().any(Flow::is_probed)
        {
            CONTROL_WHILE_PROBING.max(self.between_probes())
        } else {
            (self.evidence.low().unwrap_or(0.0) / 3.0).clamp(CONTROL, CONTROL_MAX)
        }
    }

    /// When the control connection is probed next.
    pub(super) fn next_control(&self) -> f64 {
        self.control.probes.last().unwrap_or(&self.control.heard) + self.control_pause()
    }

    /// Probes the control connection, if it is time.
    pub(super) fn probe_control(&mut self, now: f64, actions: &mut Vec<Action>) {
        let is_open = self.flows[self.control.id].state == State::Open;
        if is_open && now >= self.next_control() {
            self.control.probes.push(now);
            actions.push(Action::Probe(self.control.id));
        }
    }

    /// How long after a probe the next one follows.
    pub(super) fn between_probes(&self) -> f64 {
        if self.control.probes.len() > 3 && self.outage.is_some() {
            BETWEEN_PROBES_IN_SILENCE
        } else {
            BETWEEN_PROBES.max(1.5 * self.evidence.longest_round_trip())
        }
    }

    /// Probes those whose time has come, again where no answer came, until silence is sure.
    pub(super) fn probe(&mut self, now: f64, actions: &mut Vec<Action>) {
        let (pause, enough) = (self.between_probes(), self.evidence.probes_for_silence());
        let (arrival, bound) =
            (self.evidence.probes_for_arrival(), 1.5 * self.evidence.longest_round_trip());
        let answered = self.control.answered;
        for id in 0..self.flows.len() {
            let flow = &mut self.flows[id];
            let is_due =
                flow.is_idle() && flow.target.is_some_and(|target| flow.idle(now) >= target);
            let is_next = flow.is_probed() && now >= flow.probes[flow.probes.len() - 1].at + pause;
            if !is_due && !is_next {
                continue;
            }
            let counted = || flow.probes.iter().filter(|probe| probe.counts);
            if counted().count() < enough {
                let counts = answered.is_some_and(|answered| now - answered <= NEAR);
                flow.probes.push(Probe { at: now, counts });
                flow.was_probed = true;
                actions.push(Action::Probe(id));
                continue;
            }
            if let Some((first, surely)) = counted().next().zip(counted().nth(arrival - 1)) {
                let (connection, how) = (Some(id), How::Silence);
                let probed = first.at - flow.idle_since;
                let idle = surely.at - flow.idle_since + bound;
                flow.state = State::Forgotten;
                flow.probes.clear();
                self.evidence.forgotten(Forgotten { connection, probed, idle, how });
                self.confirmed += usize::from(self.phase == Phase::Confirmation);
            }
        }
    }
}
