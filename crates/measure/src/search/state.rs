//! What a search knows. Times are in seconds since the start.

use std::time::Duration;

use super::flow::{Flow, Role, State};
use crate::evidence::{Evidence, Forgotten};
use crate::options::Options;
use crate::outcome::{Activity, Finding, Outcome, Progress};
use crate::plan;
use crate::timing::{MAX_CONNECTIONS, NARROW, WITNESSES};

/// The number of a connection, from 0 in the order in which they were planned.
pub type Id = usize;

/// What came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A connection is established.
    Connected(Id),
    /// It could not be established.
    Failed(Id),
    /// Something came after it was probed.
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
    Probe(Id),
    /// Close it: it is not needed any more.
    Close(Id),
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Ladder,
    Refinement,
    Confirmation,
}

/// The control connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Control {
    pub id: Id,
    /// When it was probed since the last answer.
    pub probes: Vec<f64>,
    /// When the last probe that was answered was sent, and when the answer came.
    pub answered: Option<f64>,
    pub heard: f64,
}

/// Whether the server can be reached while the control connection is silent.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    pub since: f64,
    /// How often the control connection had been probed then.
    pub probes: usize,
    pub trial: Option<Id>,
    pub next_trial: f64,
    /// How often the control connection had been probed when a trial succeeded.
    pub reached: Option<usize>,
}

/// A connection that ended unasked.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub id: Id,
    pub at: f64,
    /// Since the last packet, and since the last data or the start.
    pub idle: f64,
    pub silent: f64,
    pub is_reset: bool,
}

/// A connection that was reset when it was probed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reset {
    pub at: f64,
    pub forgotten: Forgotten,
}

/// The search.
#[derive(Default)]
pub struct Search {
    /// The longest idle time to try.
    pub(super) max: f64,
    /// How narrow the result is to be, as a share of it.
    pub(super) resolution: f64,
    /// How many connections at most at the same time.
    pub(super) parallel: usize,
    pub(super) evidence: Evidence,
    pub(super) flows: Vec<Flow>,
    pub(super) control: Control,
    pub(super) restarts: usize,
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
    pub(super) has_probed_all: bool,
    pub(super) rounds: usize,
    /// How many connections confirmed the result, beside those that led to it.
    pub(super) confirmed: usize,
    pub(super) finding: Option<Finding>,
}

impl Search {
    /// Nothing is known yet.
    pub fn new(options: &Options) -> Self {
        let mut search = Self {
            max: options.max.as_secs_f64(),
            resolution: options.resolution,
            parallel: options.parallel,
            ..Self::default()
        };
        search.add_first(0.0);
        search
    }

    /// Plans the connections to start with: the control connection, and one for each rung of the
    /// ladder.
    pub(super) fn add_first(&mut self, now: f64) {
        self.add_control(now);
        let rungs = self.parallel.saturating_sub(1 + WITNESSES.min(self.parallel / 3));
        for rung in plan::ladder(self.max, rungs.max(1)) {
            self.flows.push(Flow { target: Some(rung), ..Flow::default() });
        }
    }

    /// Plans a control connection, which takes the place of the last one.
    pub(super) fn add_control(&mut self, now: f64) {
        self.control = Control { id: self.flows.len(), heard: now, ..Control::default() };
        self.flows.push(Flow::new(Role::Control));
    }

    /// Plans one more connection.
    pub(super) fn add(&mut self, target: Option<f64>, generation: u8) {
        if self.flows.len() < MAX_CONNECTIONS {
            self.flows.push(Flow { target, generation, ..Flow::default() });
        }
    }

    /// Plans no probe any more.
    pub(super) fn cancel(&mut self) {
        for flow in &mut self.flows {
            flow.target = None;
        }
    }

    /// Whether the result is as narrow as it is to be.
    pub(super) fn is_narrow(&self) -> bool {
        let Some(high) = self.evidence.high() else { return false };
        let low = self.evidence.low().unwrap_or(0.0);
        high - low <= (low * self.resolution).max(NARROW)
    }

    /// What was found, once it was.
    pub fn finding(&self) -> Option<Finding> {
        self.finding
    }

    /// The answers so far.
    pub(crate) fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Whether the path has forgotten a connection, or may have without it having been probed.
    pub(crate) fn may_be_forgotten(&self, id: Id, now: f64) -> bool {
        let flow = &self.flows[id];
        let is_long =
            flow.role == Role::Idle && flow.idle(now) > self.evidence.low().unwrap_or(0.0);
        let is_known =
            self.evidence.high().is_some() || matches!(self.finding, Some(Finding::Slept(_)));
        let is_doubtful = flow.is_probed() || self.outage.is_some() || is_long && is_known;
        flow.state == State::Forgotten || is_doubtful
    }

    /// Ends it.
    pub fn interrupt(&mut self) {
        self.finding.get_or_insert(Finding::Interrupted);
    }

    /// Ends it, since the machine slept for so many seconds. Meanwhile nobody looked, and its
    /// addresses may be others now: what comes after it proves nothing.
    pub fn sleep(&mut self, seconds: f64) {
        self.finding = Some(Finding::Slept(duration(seconds)));
    }

    /// How far it is.
    pub fn progress(&self, now: f64) -> Progress {
        let probed = self.flows.iter().filter(|flow| flow.probes.len() > 1 && flow.is_probed());
        let probed = probed.map(|flow| flow.probes[0].at - flow.idle_since);
        let waiting = self.flows.iter().filter(|flow| flow.is_idle());
        let waiting =
            waiting.filter_map(|flow| Some((flow.target?, flow.target? - flow.idle(now))));
        let activity = if let Some(finding) = self.finding {
            Activity::Closing(finding)
        } else if self.outage.is_some() {
            Activity::NoAnswer
        } else if let Some(idle) = probed.min_by(f64::total_cmp) {
            Activity::Probing(duration(idle))
        } else if let Some((idle, remaining)) =
            waiting.min_by(|one, other| one.1.total_cmp(&other.1))
        {
            Activity::Waiting { idle: duration(idle), remaining: duration(remaining) }
        } else {
            Activity::Preparing
        };
        Progress {
            elapsed: duration(now),
            answered_after: self.evidence.low().map(duration),
            forgotten_after: self.evidence.high().map(duration),
            activity,
        }
    }

    /// What it found within this time.
    pub fn outcome(&self, took: f64) -> Outcome {
        let finding = self.finding.unwrap_or(Finding::Interrupted);
        // There it would not help.
        let is_of_use = finding != Finding::DespiteKeepalive;
        Outcome {
            finding,
            how: self.evidence.how(),
            answered_after: self.evidence.low().map(duration),
            forgotten_after: self.evidence.high().map(duration),
            held_for: self.evidence.held_for().map(duration),
            took: duration(took),
            loss: self.evidence.loss(),
            round_trip: self.evidence.round_trip().map(duration),
            connections: self.flows.iter().filter(|flow| flow.state != State::Planned).count(),
            confirmed_by: self.confirmed,
            left_at_server: None,
            error: None,
            recommended: self.evidence.recommended().filter(|_| is_of_use),
        }
    }
}

/// Seconds; a time that is over is 0.
pub(super) fn duration(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0))
}
