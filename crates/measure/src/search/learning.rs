//! Learns from what comes.

use super::flow::{Role, State};
use super::state::{End, Event, Id, Phase, Reset, Search, duration};
use crate::evidence::Forgotten;
use crate::outcome::{Finding, How};
use crate::timing::{BETWEEN_TRIALS, NEAR};

impl Search {
    /// Something came.
    pub fn event(&mut self, now: f64, event: Event) {
        match event {
            Event::Connected(id) => self.connected(now, id),
            Event::Failed(id) => self.failed(now, id),
            Event::Answered(id) => self.answered(now, id),
            Event::Heard(id, has_data) => self.heard(now, id, has_data),
            Event::Ended(id, is_reset) => self.ended(now, id, is_reset),
        }
    }

    fn connected(&mut self, now: f64, id: Id) {
        let flow = &mut self.flows[id];
        if flow.state != State::Opening {
            return;
        }
        (flow.state, flow.since) = (State::Open, now);
        (flow.idle_since, flow.data_since) = (now, now);
        if flow.role == Role::Control {
            self.control.heard = now;
            self.unreachable_since = None;
        }
        if let Some(outage) = self.outage.as_mut().filter(|outage| outage.trial == Some(id)) {
            outage.reached.get_or_insert(self.control.probes.len());
        }
    }

    fn failed(&mut self, now: f64, id: Id) {
        self.flows[id].state = State::Ended;
        if id == self.control.id {
            self.control_failed(now);
        }
        if let Some(outage) = self.outage.as_mut().filter(|outage| outage.trial == Some(id)) {
            outage.trial = None;
            outage.next_trial = now + BETWEEN_TRIALS;
        }
    }

    fn answered(&mut self, now: f64, id: Id) {
        if id == self.control.id {
            return self.control_answered(now);
        }
        let flow = &mut self.flows[id];
        let Some(first) = flow.probes.first() else { return };
        let probes = flow.probes.len() as u32;
        // An earlier probe may have come as far as where the path remembers, and only its answer was
        // lost.
        self.evidence.remembered(Some(id), first.at - flow.idle_since);
        if probes == 1 {
            self.evidence.took(now - first.at);
        }
        if self.outage.is_none() {
            self.evidence.probed(probes, probes - 1);
        }
        // It lives, though it is as old as the control connection was, and was idle for longer.
        let lives = |(it, age): &mut (Forgotten, f64)| {
            first.at - flow.idle_since > it.idle && first.at - flow.since > *age
        };
        if let Some((forgotten, _)) = self.control_forgotten.take_if(lives) {
            self.evidence.forgotten(forgotten);
        }
        flow.answered(now);
        self.confirmed += usize::from(self.phase == Phase::Confirmation);
    }

    fn control_answered(&mut self, now: f64) {
        let probes = std::mem::take(&mut self.control.probes);
        let (Some(first), Some(last)) = (probes.first(), probes.last()) else { return };
        self.evidence.remembered(None, first - self.control.heard);
        if probes.len() == 1 {
            self.evidence.took(now - first);
        }
        if self.outage.take().is_none() {
            self.evidence.probed(probes.len() as u32, probes.len() as u32 - 1);
        }
        (self.control.heard, self.control.answered) = (now, Some(*last));
        for probe in self.flows.iter_mut().flat_map(|flow| &mut flow.probes) {
            probe.counts |= (probe.at - last).abs() <= NEAR;
        }
        // The server still knows this one: it was the path that reset others.
        for reset in self.resets.extract_if(.., |reset| reset.at <= *first) {
            self.evidence.forgotten(reset.forgotten);
            self.confirmed += usize::from(self.phase == Phase::Confirmation);
        }
    }

    fn heard(&mut self, now: f64, id: Id, has_data: bool) {
        let flow = &mut self.flows[id];
        if id == self.control.id && self.control.probes.is_empty() {
            self.control.heard = now;
        }
        if flow.role != Role::Idle || flow.state != State::Open {
            return;
        }
        if flow.is_probed() {
            return self.answered(now, id);
        }
        if has_data {
            flow.data_since = now;
        }
        let every = flow.heard(now);
        if !flow.is_settled {
            flow.disturbed += usize::from(!has_data);
        } else if let (Some(every), Some(target)) = (every, flow.target)
            && target > every
        {
            // Where the limit is known already, that is all that can be known.
            let is_known = self.evidence.how().is_some();
            let not_idle = Finding::NotIdle(duration(every));
            self.finding.get_or_insert(if is_known { Finding::Forgotten } else { not_idle });
        }
    }

    fn ended(&mut self, now: f64, id: Id, is_reset: bool) {
        let bound = 1.5 * self.evidence.longest_round_trip();
        let flow = &mut self.flows[id];
        match flow.state {
            State::Opening => return self.failed(now, id),
            State::Open => flow.state = State::Ended,
            State::Planned | State::Forgotten | State::Ended => return,
        }
        match flow.role {
            Role::Control => self.control_ended = Some(now),
            Role::Trial => self.failed(now, id),
            Role::Idle => {
                let idle = flow.idle(now);
                match flow.probes.last() {
                    Some(last) if is_reset => {
                        let probed = last.at - flow.idle_since;
                        let (connection, idle, how) = (Some(id), probed + bound, How::Reset);
                        let forgotten = Forgotten { connection, probed, idle, how };
                        flow.state = State::Forgotten;
                        // By the path, or by a server that knows none of them any more?
                        self.resets.push(Reset { at: now, forgotten });
                    }
                    // A server that has enough of them closes one at once, and that says nothing.
                    _ if !flow.is_settled => {}
                    _ => {
                        let silent = now - flow.data_since;
                        self.ends.push(End { id, at: now, idle, silent, is_reset });
                    }
                }
                flow.probes.clear();
            }
        }
    }
}
