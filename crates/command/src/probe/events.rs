//! What the search learns from what comes.

use super::evidence::How;
use super::flow::{Flow, Role, State};
use super::outage::{BETWEEN_TRIALS, Control};
use super::search::{Event, Found, Id, Phase, Search};

/// An ask counts if the control connection was answered this much before or after.
pub const NEAR: f64 = 1.3;
/// What closes connections of the same age closes them together, within this time and this share of
/// the age. They are looked at a little later.
const TOGETHER: (f64, f64) = (4.0, 0.1);
const LATER: f64 = 3.0;

/// A connection that ended unasked.
#[derive(Clone, Copy, Debug)]
pub struct End {
    pub at: f64,
    /// Since the last packet, and since the last data or the begin.
    pub idle: f64,
    pub silent: f64,
    pub is_reset: bool,
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
        }
        if let Some(outage) = self.outage.as_mut().filter(|outage| outage.trial == Some(id)) {
            outage.reached.get_or_insert(self.control.asks.len());
        }
    }

    fn failed(&mut self, now: f64, id: Id) {
        self.flows[id].state = State::Ended;
        if id == 0 {
            self.found.get_or_insert(Found::Unreachable);
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
        self.evidence.remembered(first.at - flow.idle_since);
        if asks == 1 {
            self.evidence.took(now - first.at);
        }
        if self.outage.is_none() {
            self.evidence.asked(asks, asks - 1);
        }
        flow.answered(now);
        self.confirmed += usize::from(self.phase == Phase::Confirmation);
    }

    fn control_answered(&mut self, now: f64) {
        let asks = std::mem::take(&mut self.control.asks);
        let (Some(first), Some(last)) = (asks.first(), asks.last()) else { return };
        self.evidence.remembered(first - self.control.heard);
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
                        let idle = last.at - flow.idle_since + bound;
                        flow.state = State::Forgotten;
                        self.evidence.forgotten(idle, How::Reset);
                        self.confirmed += usize::from(self.phase == Phase::Confirmation);
                    }
                    // A server that has enough of them closes one at once, and that says nothing.
                    _ if !flow.is_settled => {}
                    _ => {
                        let silent = now - flow.data_since;
                        self.ends.push(End { at: now, idle, silent, is_reset });
                    }
                }
                flow.asks.clear();
            }
        }
    }

    /// Connections ended unasked. If the control connection did too, though it was probed, whoever
    /// ends them does not count probes. If it did not, the path forgets and says so.
    pub(super) fn look_at_ends(&mut self, now: f64) {
        let ends = self.ends.iter().map(|end| end.at).chain(self.control_ended);
        let Some(first) = ends.min_by(f64::total_cmp) else { return };
        let silent = self.ends.iter().map(|end| end.silent).min_by(f64::total_cmp);
        let together = TOGETHER.0 + TOGETHER.1 * silent.unwrap_or(0.0);
        if now < first + together + LATER {
            return;
        }
        let is_any_left = self.flows.iter().any(Flow::is_idle);
        if self.control_ended.is_none() {
            for end in std::mem::take(&mut self.ends) {
                // If another has been idle for longer and lives, it was not the idle time.
                let mut others = self.flows.iter().filter(|flow| flow.is_idle());
                if others.any(|flow| flow.idle(now) > end.idle + together) {
                    continue;
                }
                let how = if end.is_reset { How::ResetUnasked } else { How::ClosedUnasked };
                self.evidence.forgotten(end.idle, how);
            }
        } else if let Some(how) = self.evidence.how() {
            self.found.get_or_insert(Found::Forgotten(how));
        } else if silent.is_some() || !is_any_left || self.controls_lost >= 3 {
            let silent = silent.unwrap_or(first - self.flows[self.control.id].since);
            self.found.get_or_insert(Found::EndsIdle(silent));
        } else {
            // It ended by itself: another takes its place.
            self.controls_lost += 1;
            self.control_ended = None;
            self.control = Control::new(self.flows.len(), now);
            self.flows.push(Flow::new(Role::Control, None, 0));
        }
    }
}
