//! What ends every connection, however long it has been idle: a server that restarts, a firewall that
//! does and says so. Then all starts again, with other connections. What is known stays known.

use super::flow::State;
use super::state::{Action, Phase, Search};
use crate::outcome::Finding;
use crate::timing::{BETWEEN_TRIALS, MAX_RESTARTS, OUTAGE};

impl Search {
    /// Closes what is open, and plans other connections, unless it did so too often.
    pub(super) fn restart(&mut self, now: f64, actions: &mut Vec<Action>) {
        if self.restarts == MAX_RESTARTS {
            self.finding.get_or_insert(Finding::Incomplete);
            return;
        }
        self.restarts += 1;
        for (id, flow) in self.flows.iter_mut().enumerate() {
            if matches!(flow.state, State::Opening | State::Open) {
                flow.state = State::Ended;
                actions.push(Action::Close(id));
            }
            flow.probes.clear();
        }
        self.add_first(now);
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
            self.finding.get_or_insert(Finding::Unreachable);
        } else if now >= *self.unreachable_since.get_or_insert(now) + OUTAGE {
            self.finding.get_or_insert(Finding::Lost);
        } else {
            self.add_control(now);
            self.next_opening = now + BETWEEN_TRIALS;
        }
    }
}
