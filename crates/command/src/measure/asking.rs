//! Opens connections and asks them, when their time has come.

use super::events::NEAR;
use super::evidence::{Forgotten, How};
use super::flow::{Ask, Flow, Role, State};
use super::search::{Action, Phase, Search};

/// Connections are opened this far apart.
pub const BETWEEN_OPENINGS: f64 = 0.1;
/// How long connect(2) may take.
pub const OPENING: f64 = 10.0;
/// By then the server has sent its part of the handshake again, if our last part was lost: after 1
/// and after 3 s.
pub const SETTLED: f64 = 3.4;
/// How often a connection is opened anew because its handshake was disturbed.
pub const GENERATIONS: u8 = 5;
/// A kernel answers asks at most every 0.5 s (net.ipv4.tcp_invalid_ratelimit).
const BETWEEN_ASKS: f64 = 0.6;
/// While the control connection is silent.
const BETWEEN_ASKS_IN_SILENCE: f64 = 5.0;
/// How often the control connection is asked at first, while a question is under way, and at least.
const CONTROL: f64 = 2.0;
const CONTROL_IN_QUESTION: f64 = 1.2;
const CONTROL_LATER: f64 = 60.0;
/// However it goes, not more connections than these for one measurement, those in place of
/// others included.
const MOST: usize = 100;

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

    /// A connection on which something came unasked in its beginning has lost a part of its
    /// handshake: another takes its place. Where it is so with most of them, the server is so.
    pub(super) fn settle(&mut self, now: f64, actions: &mut Vec<Action>) {
        let first = || {
            let idle = self.flows.iter().filter(|flow| flow.role == Role::Idle);
            idle.filter(|flow| flow.generation == 0)
        };
        let is_young = |flow: &Flow| match flow.state {
            State::Planned | State::Opening => true,
            State::Open => now < flow.since + SETTLED && !flow.is_settled,
            State::Forgotten | State::Ended => false,
        };
        if first().any(is_young) && !self.has_witnesses {
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
            if generation <= GENERATIONS {
                self.add(target, generation);
            }
        }
    }

    /// Plans one more connection.
    pub(super) fn add(&mut self, target: Option<f64>, generation: u8) {
        if self.flows.len() < MOST {
            self.flows.push(Flow::new(Role::Idle, target, generation));
        }
    }

    /// How long after the last ask the control connection is asked again.
    fn control_pause(&self) -> f64 {
        if self.outage.as_ref().is_some_and(|outage| outage.reached.is_none()) {
            BETWEEN_ASKS_IN_SILENCE
        } else if !self.control.asks.is_empty()
            || !self.resets.is_empty()
            || self.flows.iter().any(Flow::is_asking)
        {
            CONTROL_IN_QUESTION.max(self.between_asks())
        } else {
            (self.evidence.low().unwrap_or(0.0) / 3.0).clamp(CONTROL, CONTROL_LATER)
        }
    }

    /// When the control connection is asked next.
    pub(super) fn next_control(&self) -> f64 {
        self.control.asks.last().unwrap_or(&self.control.heard) + self.control_pause()
    }

    /// Asks the control connection, if it is time.
    pub(super) fn ask_control(&mut self, now: f64, actions: &mut Vec<Action>) {
        let is_open = self.flows[self.control.id].state == State::Open;
        if is_open && now >= self.next_control() {
            self.control.asks.push(now);
            actions.push(Action::Ask(self.control.id));
        }
    }

    /// How long after an ask the next one follows.
    pub(super) fn between_asks(&self) -> f64 {
        if self.control.asks.len() > 3 && self.outage.is_some() {
            BETWEEN_ASKS_IN_SILENCE
        } else {
            BETWEEN_ASKS.max(1.5 * self.evidence.longest_round_trip())
        }
    }

    /// Asks those whose time has come, again where no answer came, until silence is sure.
    pub(super) fn ask(&mut self, now: f64, actions: &mut Vec<Action>) {
        let (pause, enough) = (self.between_asks(), self.evidence.asks_for_silence());
        let (arrival, bound) =
            (self.evidence.asks_for_arrival(), 1.5 * self.evidence.longest_round_trip());
        let answered = self.control.answered;
        for id in 0..self.flows.len() {
            let flow = &mut self.flows[id];
            let is_due =
                flow.is_idle() && flow.target.is_some_and(|target| flow.idle(now) >= target);
            let is_next = flow.is_asking() && now >= flow.asks[flow.asks.len() - 1].at + pause;
            if !is_due && !is_next {
                continue;
            }
            let counted = || flow.asks.iter().filter(|ask| ask.counts);
            if counted().count() < enough {
                let counts = answered.is_some_and(|answered| now - answered <= NEAR);
                flow.asks.push(Ask { at: now, counts });
                flow.was_asked = true;
                actions.push(Action::Ask(id));
                continue;
            }
            if let Some((first, surely)) = counted().next().zip(counted().nth(arrival - 1)) {
                let forgotten = Forgotten {
                    connection: Some(id),
                    asked: first.at - flow.idle_since,
                    idle: surely.at - flow.idle_since + bound,
                    how: How::Silence,
                };
                flow.state = State::Forgotten;
                flow.asks.clear();
                self.evidence.forgotten(forgotten);
                self.confirmed += usize::from(self.phase == Phase::Confirmation);
            }
        }
    }
}
