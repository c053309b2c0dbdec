//! What ends every connection, however long it has been idle: a server that restarts, a firewall that
//! does and says so. Then all begins anew, with other connections. What is known stays known.

use super::flow::{Flow, Role, State};
use super::outage::{BETWEEN_TRIALS, Control, OUTAGE};
use super::plan;
use super::search::{Action, Found, Options, Phase, Search, WITNESSES};

/// How often it begins anew.
const TIMES: usize = 2;
/// Fewer connections than these do not tell how they ended.
const FEW: usize = 3;
/// Idle time ends connections one after the other, as they were opened. Those that end closer
/// together, by this factor, were ended by something else.
const CLOSER: f64 = 3.0;

impl Search {
    /// The connections to begin with: the control connection, and one for each rung of the ladder.
    pub(super) fn first_flows(options: &Options) -> impl Iterator<Item = Flow> {
        let rungs = options.parallel.saturating_sub(1 + WITNESSES.min(options.parallel / 3));
        let targets = plan::ladder(options.max, rungs.max(1));
        let idle = targets.into_iter().map(|target| Flow::new(Role::Idle, Some(target), 0));
        std::iter::once(Flow::new(Role::Control, None, 0)).chain(idle)
    }

    /// Whether most of the connections that ended did so at one moment, and not one after the other.
    pub(super) fn ended_at_once(&self) -> bool {
        let mut ends: Vec<_> = self.ends.iter().map(|end| (end.at, end.at - end.silent)).collect();
        ends.sort_by(|one, other| one.0.total_cmp(&other.0));
        let most = (ends.len() / 2 + 1).max(FEW);
        ends.windows(most).any(|window| {
            let begins = || window.iter().map(|(_, begin)| *begin);
            let between = begins().fold(f64::MIN, f64::max) - begins().fold(f64::MAX, f64::min);
            (window[most - 1].0 - window[0].0) * CLOSER < between
        })
    }

    /// Closes what is open, and plans other connections, unless it did so too often.
    pub(super) fn begin_anew(&mut self, now: f64, actions: &mut Vec<Action>) {
        if self.begun_anew == TIMES {
            self.found.get_or_insert(Found::Incomplete);
            return;
        }
        self.begun_anew += 1;
        for (id, flow) in self.flows.iter_mut().enumerate() {
            if matches!(flow.state, State::Opening | State::Open) {
                flow.state = State::Ended;
                actions.push(Action::Close(id));
            }
            flow.asks.clear();
        }
        self.control = Control::new(self.flows.len(), now);
        self.flows.extend(Self::first_flows(&self.options));
        self.ends.clear();
        self.resets.clear();
        (self.control_ended, self.outage) = (None, None);
        (self.phase, self.rounds) = (Phase::Ladder, 0);
        (self.has_witnesses, self.has_opened_others) = (false, false);
    }

    /// The control connection could not be opened: tried again, unless it is the first, until the
    /// server is lost.
    pub(super) fn control_failed(&mut self, now: f64) {
        if self.control.id == 0 {
            self.found.get_or_insert(Found::Unreachable);
        } else if now >= *self.unreachable_since.get_or_insert(now) + OUTAGE {
            self.found.get_or_insert(Found::Lost);
        } else {
            self.control = Control::new(self.flows.len(), now);
            self.flows.push(Flow::new(Role::Control, None, 0));
            self.next_opening = now + BETWEEN_TRIALS;
        }
    }
}
