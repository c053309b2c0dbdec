//! The search: from what came so far to what to do next. It knows no clock and no socket, so that
//! the tests can try it with every path, loss and server (simulation).
//!
//! Connections are opened together. Each is left idle until its rung of the ladder, then asked. The
//! first that is not answered ends the ladder; those that were answered have been idle since, and
//! narrow the result. A control connection is asked all the time: silence counts only while that is
//! answered. Others confirm what was found. Times are in seconds since the begin.
//!
//! `events` is what is learned, `asking` and `outage` what is done, `deciding` what is asked next.

use super::asking::{BETWEEN_OPENINGS, OPENING, SETTLED};
use super::events::{End, Reset};
use super::evidence::{Evidence, Forgotten, How};
use super::flow::{Flow, Role, State};
use super::outage::{Control, Outage};

/// How many connections are kept for confirming the result.
pub const WITNESSES: usize = 4;
/// When to look again where nothing is due.
const LATER: f64 = 60.0;

/// The number of a connection, from 0 in the order in which they were thought of.
pub type Id = usize;

/// What came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A connection is established.
    Connected(Id),
    /// It could not be established.
    Failed(Id),
    /// Something came after it was asked.
    Answered(Id),
    /// Something came unasked, with data or without.
    Heard(Id, bool),
    /// The connection has ended: by a reset, or else in an orderly way.
    Ended(Id, bool),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Open a connection.
    Open(Id),
    /// Send a keepalive probe.
    Ask(Id),
    /// Close it: it is not needed any more.
    Close(Id),
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The longest idle time to try.
    pub max: f64,
    /// How narrow the result is to be, as a share of it.
    pub resolution: f64,
    /// How many connections at most at the same time.
    pub parallel: usize,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found {
    /// The path forgets, in this way.
    Forgotten(How),
    /// It does not, for as long as was tried.
    Nothing,
    /// It forgets some connections sooner than others.
    Mixed,
    /// The other end closes connections that carry no data, after this time.
    EndsIdle(f64),
    /// It forgets connections that are probed, too.
    DespiteKeepalive,
    /// Packets come unasked, this far apart.
    NotIdle(f64),
    /// No connection was left to go on with.
    Incomplete,
    /// The server could not be reached at the begin.
    Unreachable,
    /// It could be, but not any more.
    Lost,
    /// Somebody ended the measurement.
    Interrupted,
    /// The machine slept for so long.
    Slept(f64),
}

impl Found {
    /// Whether it says how long the path remembers.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Forgotten(_) | Self::Nothing | Self::Mixed)
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Ladder,
    Refinement,
    Confirmation,
}

/// The search.
pub struct Search {
    pub(super) options: Options,
    pub(super) evidence: Evidence,
    pub(super) flows: Vec<Flow>,
    pub(super) control: Control,
    pub(super) begun_anew: usize,
    pub(super) control_ended: Option<f64>,
    /// The control connection was, at this age, after less time than others were remembered for.
    pub(super) control_forgotten: Option<(Forgotten, f64)>,
    pub(super) ends: Vec<End>,
    pub(super) resets: Vec<Reset>,
    /// How old the connections were when all of them ended at once.
    pub(super) ages_at_once: Vec<f64>,
    /// Since when the control connection cannot be opened.
    pub(super) unreachable_since: Option<f64>,
    pub(super) outage: Option<Outage>,
    pub(super) next_opening: f64,
    pub(super) phase: Phase,
    pub(super) has_witnesses: bool,
    pub(super) has_opened_others: bool,
    pub(super) has_asked_all: bool,
    pub(super) rounds: usize,
    /// How many connections confirmed the result.
    pub(super) confirmed: usize,
    pub(super) found: Option<Found>,
}

impl Search {
    /// Nothing is known yet.
    pub fn new(options: Options) -> Self {
        let flows = Self::first_flows(&options).collect();
        Self {
            options,
            evidence: Evidence::default(),
            flows,
            control: Control::new(0, 0.0),
            begun_anew: 0,
            control_ended: None,
            control_forgotten: None,
            ends: Vec::new(),
            resets: Vec::new(),
            ages_at_once: Vec::new(),
            unreachable_since: None,
            outage: None,
            next_opening: 0.0,
            phase: Phase::Ladder,
            has_witnesses: false,
            has_opened_others: false,
            has_asked_all: false,
            rounds: 0,
            confirmed: 0,
            found: None,
        }
    }

    /// What was found, once it was.
    pub fn found(&self) -> Option<Found> {
        self.found
    }

    /// How many connections were opened, or tried to be.
    pub fn connections(&self) -> usize {
        self.flows.iter().filter(|flow| flow.state != State::Planned).count()
    }

    /// How many connections confirmed the result, beside those that led to it.
    pub fn confirmed(&self) -> usize {
        self.confirmed
    }

    /// Where a connection is.
    pub fn state(&self, id: Id) -> State {
        self.flows[id].state
    }

    /// Whether the path may have forgotten a connection, without it having been asked.
    pub fn is_doubtful(&self, id: Id, now: f64) -> bool {
        let flow = &self.flows[id];
        let is_long =
            flow.role == Role::Idle && flow.idle(now) > self.evidence.low().unwrap_or(0.0);
        let is_known =
            self.evidence.high().is_some() || matches!(self.found, Some(Found::Slept(_)));
        flow.is_asking() || self.outage.is_some() || is_long && is_known
    }

    /// What comes next: the idle time of a connection that is to be asked, and how long until then.
    pub fn next_question(&self, now: f64) -> Option<(f64, f64)> {
        let waiting = self.flows.iter().filter(|flow| flow.is_idle());
        let next = waiting.filter_map(|flow| Some((flow.target?, flow.target? - flow.idle(now))));
        next.min_by(|one, other| one.1.total_cmp(&other.1))
    }

    /// Whether a question is under way that has not been answered at once, and after which idle
    /// time.
    pub fn question(&self) -> Option<f64> {
        let asking = self.flows.iter().filter(|flow| flow.asks.len() > 1 && flow.is_asking());
        asking.map(|flow| flow.asks[0].at - flow.idle_since).min_by(f64::total_cmp)
    }

    /// Whether the control connection is silent.
    pub fn is_silent(&self) -> bool {
        self.outage.is_some()
    }

    /// Ends it.
    pub fn interrupt(&mut self) {
        self.found.get_or_insert(Found::Interrupted);
    }

    /// Ends it, since the machine slept for so many seconds. Meanwhile nobody looked, and its
    /// addresses may be others now: what comes after it proves nothing.
    pub fn sleep(&mut self, seconds: f64) {
        self.found = Some(Found::Slept(seconds));
    }

    /// What is to be done now, and when to ask for that again at the latest.
    pub fn act(&mut self, now: f64) -> (Vec<Action>, f64) {
        let mut actions = Vec::new();
        if self.found.is_none() {
            self.open(now, &mut actions);
            self.settle(now, &mut actions);
            self.ask_control(now, &mut actions);
            self.look_for_outage(now, &mut actions);
            self.ask(now, &mut actions);
            self.look_at_ends(now, &mut actions);
            self.decide(now);
        }
        (actions, self.wake(now))
    }

    /// When something is due next.
    fn wake(&self, now: f64) -> f64 {
        let mut next = now + LATER;
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
                (State::Open, _) if flow.is_asking() => {
                    due(flow.asks[flow.asks.len() - 1].at + self.between_asks());
                }
                (State::Open, Some(target)) => due(flow.idle_since + target),
                _ => {}
            }
        }
        if self.outage.is_some() || !self.ends.is_empty() || self.control_ended.is_some() {
            due(now + 1.0);
        }
        if !self.flows.iter().any(|flow| flow.is_planned() || flow.is_asking()) {
            due(now + BETWEEN_OPENINGS);
        }
        next.max(now + 0.001)
    }
}
