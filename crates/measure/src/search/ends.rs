//! Looks at connections that ended unasked.

use super::flow::Flow;
use super::state::{Action, End, Search, duration};
use crate::evidence::Forgotten;
use crate::outcome::{Finding, How};
use crate::timing::{AFTER_TOGETHER, CLOSER, MIN_ENDS, SEVERAL_ENDS, TOGETHER};

impl Search {
    /// Connections ended unasked. If the control connection did too, though it was probed, whoever
    /// ends them does not count probes, unless all ended at once: then it starts again. If it did
    /// not, the path forgets and says so.
    pub(super) fn look_at_ends(&mut self, now: f64, actions: &mut Vec<Action>) {
        let ends = self.ends.iter().map(|end| end.at).chain(self.control_ended);
        let Some(first) = ends.min_by(f64::total_cmp) else { return };
        let silent = self.ends.iter().map(|end| end.silent).min_by(f64::total_cmp);
        let together = TOGETHER.0 + TOGETHER.1 * silent.unwrap_or(0.0);
        if now < first + together + AFTER_TOGETHER {
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
                    && ends.iter().filter(is_alike).count() < SEVERAL_ENDS
                {
                    continue;
                }
                let how = if end.is_reset { How::ResetUnasked } else { How::ClosedUnasked };
                let (connection, idle) = (Some(end.id), end.idle);
                self.evidence.forgotten(Forgotten { connection, probed: idle, idle, how });
            }
        } else if self.evidence.how().is_some() {
            self.finding.get_or_insert(Finding::Forgotten);
        } else if let (true, Some(age)) = (self.ended_at_once(), silent)
            && !self.ages_at_once.iter().any(|before| (before - age).abs() < together)
        {
            self.ages_at_once.push(age);
            self.restart(now, actions);
        } else if silent.is_some() || !is_any_left && self.resets.is_empty() {
            let silent = silent.unwrap_or(first - self.flows[self.control.id].since);
            self.finding.get_or_insert(Finding::EndsIdle(duration(silent)));
        } else {
            // It ended by itself, or the server knows none of them any more.
            self.restart(now, actions);
        }
    }

    /// Whether most of the connections that ended did so at one moment, and not one after the other.
    fn ended_at_once(&self) -> bool {
        let mut ends: Vec<_> = self.ends.iter().map(|end| (end.at, end.at - end.silent)).collect();
        ends.sort_by(|one, other| one.0.total_cmp(&other.0));
        let most = (ends.len() / 2 + 1).max(MIN_ENDS);
        ends.windows(most).any(|window| {
            let starts = || window.iter().map(|(_, start)| *start);
            let between = starts().fold(f64::MIN, f64::max) - starts().fold(f64::MAX, f64::min);
            (window[most - 1].0 - window[0].0) * CLOSER < between
        })
    }
}
