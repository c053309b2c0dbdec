//! What the search learns from what comes.

use super::evidence::{Forgotten, How};
use super::flow::{Flow, Role, State};
use super::outage::BETWEEN_TRIALS;
use super::search::{Action, Event, Found, Id, Phase, Search};

/// An ask counts if the control connection was answered this much before or after.
pub const NEAR: f64 = 1.3;
/// What closes connections of the same age closes them together, within this time and this share of
/// the age. They are looked at a little later.
const TOGETHER: (f64, f64) = (4.0, 0.1);
const LATER: f64 = 3.0;
/// So many are more than those that a server may end for reasons of its own.
const SEVERAL: usize = 4;

/// A connection that ended unasked.
#[derive(Clone, Copy, Debug)]
pub struct End {
    pub id: Id,
    pub at: f64,
    /// Since the last packet, and since the last data or the begin.
    pub idle: f64,
    pub silent: f64,
    pub is_reset: bool,
}

/// A connection that was reset when it was asked.
#[derive(Clone, Copy, Debug)]
pub struct Reset {
    pub at: f64,
    pub forgotten: Forgotten,
}

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
            outage.reached.get_or_insert(self.control.asks.len());
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
        let Some(first) = flow.asks.first() else { return };
        let asks = flow.asks.len() as u32;
        // An earlier ask may have come as far as where the path remembers, and only its answer was
        // lost.
        self.evidence.remembered(Some(id), first.at - flow.idle_since);
        if asks == 1 {
            self.evidence.took(now - first.at);
        }
        if self.outage.is_none() {
            self.evidence.asked(asks, asks - 1);
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
        let asks = std::mem::take(&mut self.control.asks);
        let (Some(first), Some(last)) = (asks.first(), asks.last()) else { return };
        self.evidence.remembered(None, first - self.control.heard);
        if asks.len() == 1 {
            self.evidence.took(now - first);
        }
        if self.outage.take().is_none() {
            self.evidence.asked(asks.len() as u32, asks.len() as u32 - 1);
        }
        (self.control.heard, self.control.answered) = (now, Some(*last));
        for ask in self.flows.iter_mut().flat_map(|flow| &mut flow.asks) {
            ask.counts |= (ask.at - last).abs() <= NEAR;
        }
        // The server still knows this one: it was the path that reset others.
        for reset in self.resets.extract_if(.., |reset| reset.at <= *first) {
            self.evidence.forgotten(reset.forgotten);
            self.confirmed += usize::from(self.phase == Phase::Confirmation);
        }
    }

    fn heard(&mut self, now: f64, id: Id, has_data: bool) {
        let flow = &mut self.flows[id];
        if id == self.control.id && self.control.asks.is_empty() {
            self.control.heard = now;
        }
        if flow.role != Role::Idle || flow.state != State::Open {
            return;
        }
        if flow.is_asking() {
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
            let found = self.evidence.how().map_or(Found::NotIdle(every), Found::Forgotten);
            self.found.get_or_insert(found);
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
                match flow.asks.last() {
                    Some(last) if is_reset => {
                        let asked = last.at - flow.idle_since;
                        let forgotten = Forgotten {
                            connection: Some(id),
                            asked,
                            idle: asked + bound,
                            how: How::Reset,
                        };
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
                flow.asks.clear();
            }
        }
    }

    /// Connections ended unasked. If the control connection did too, though it was probed, whoever
    /// ends them does not count probes, unless all ended at once: then it begins anew. If it did
    /// not, the path forgets and says so.
    pub(super) fn look_at_ends(&mut self, now: f64, actions: &mut Vec<Action>) {
        let ends = self.ends.iter().map(|end| end.at).chain(self.control_ended);
        let Some(first) = ends.min_by(f64::total_cmp) else { return };
        let silent = self.ends.iter().map(|end| end.silent).min_by(f64::total_cmp);
        let together = TOGETHER.0 + TOGETHER.1 * silent.unwrap_or(0.0);
        if now < first + together + LATER {
            return;
        }
        let is_any_left = self.flows.iter().any(Flow::is_idle);
        if self.control_ended.is_none() {
            let ends = std::mem::take(&mut self.ends);
            for end in &ends {
                // If another has been idle for longer and lives, it was not the idle time, unless it
                // ended several: then they go another way.
                let mut others = self.flows.iter().filter(|flow| flow.is_idle());
                let is_alike = |other: &&End| (other.idle - end.idle).abs() < together;
                if others.any(|flow| flow.idle(now) > end.idle + together)
                    && ends.iter().filter(is_alike).count() < SEVERAL
                {
                    continue;
                }
                let how = if end.is_reset { How::ResetUnasked } else { How::ClosedUnasked };
                let (connection, idle) = (Some(end.id), end.idle);
                self.evidence.forgotten(Forgotten { connection, asked: idle, idle, how });
            }
        } else if let Some(how) = self.evidence.how() {
            self.found.get_or_insert(Found::Forgotten(how));
        } else if let (true, Some(age)) = (self.ended_at_once(), silent)
            && !self.ages_at_once.iter().any(|before| (before - age).abs() < together)
        {
            self.ages_at_once.push(age);
            self.begin_anew(now, actions);
        } else if silent.is_some() || !is_any_left && self.resets.is_empty() {
            let silent = silent.unwrap_or(first - self.flows[self.control.id].since);
            self.found.get_or_insert(Found::EndsIdle(silent));
        } else {
            // It ended by itself, or the server knows none of them any more.
            self.begin_anew(now, actions);
        }
    }
}
