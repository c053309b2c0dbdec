//! Confirms a result with connections that did not lead to it, and concludes.

use super::state::{Phase, Search};
use crate::outcome::Finding;
use crate::timing::{
    A_LITTLE_LESS, A_LITTLE_MORE, CONFIRMING, MAX_REPLACEMENTS, MAX_ROUNDS, REMEMBERED,
};

impl Search {
    /// Probes connections that did not lead to the result: those idle for longer should be
    /// forgotten, and those idle for a little less known.
    pub(super) fn confirm(&mut self, now: f64) {
        self.phase = Phase::Confirmation;
        let high = self.evidence.high();
        let low = self.evidence.low().unwrap_or(0.0);
        let mut longest_first: Vec<_> =
            (0..self.flows.len()).filter(|id| self.flows[*id].is_idle()).collect();
        longest_first.sort_by(|one, other| {
            self.flows[*one].idle_since.total_cmp(&self.flows[*other].idle_since)
        });
        let (mut above, mut below) = (0, 0);
        for id in longest_first {
            let flow = &mut self.flows[id];
            let idle = flow.idle(now);
            let is_above = high.map_or(!flow.was_probed, |high| idle >= high);
            if is_above && above < CONFIRMING {
                above += 1;
                flow.target = Some(idle.max(high.unwrap_or(0.0) * A_LITTLE_MORE));
            } else if !is_above && idle > 0.8 * low && idle <= low && below < CONFIRMING / 2 {
                below += 1;
                flow.target = Some(idle);
            } else if let (false, false, Some(high)) = (is_above, flow.was_probed, high)
                && above + below < CONFIRMING
            {
                // Half of those that wait are to be remembered, half not.
                let is_low = below < above && idle <= low;
                flow.target = Some(if is_low { low } else { high * A_LITTLE_MORE });
                (above, below) = (above + usize::from(!is_low), below + usize::from(is_low));
            }
        }
        // Those that were probed before lived: it needs others.
        let enough = self.evidence.remembered_since(REMEMBERED.1 * low) >= REMEMBERED.0;
        if high.is_some() && !enough && !self.has_opened_others {
            self.has_opened_others = true;
            let less = (low - self.evidence.longest_round_trip()) * A_LITTLE_LESS;
            let number = CONFIRMING.min(self.parallel / 3);
            (0..number).for_each(|_| self.add(Some(less), MAX_REPLACEMENTS));
        } else if above + below == 0 {
            self.conclude(now);
        }
    }

    /// Probes all that were ever probed, once those of them that are forgotten first should be: for
    /// how long they were remembered before is what holds them.
    fn probe_all(&mut self, now: f64) {
        let high = self.evidence.high().unwrap_or(0.0) * A_LITTLE_MORE;
        for flow in self.flows.iter_mut().filter(|flow| flow.is_idle() && flow.was_probed) {
            flow.target = Some(flow.idle(now).max(high));
        }
    }

    /// Says what was found, if it was confirmed.
    pub(super) fn conclude(&mut self, now: f64) {
        let is_mixed = self.evidence.is_mixed();
        if is_mixed && !self.has_probed_all {
            self.has_probed_all = true;
            return self.probe_all(now);
        }
        let is_wide = self.evidence.high().is_some() && !self.is_narrow();
        if is_wide && !is_mixed && self.rounds < MAX_ROUNDS {
            self.rounds += 1;
            self.phase = Phase::Refinement;
            return;
        }
        let longest = self.evidence.low().unwrap_or(0.0);
        self.finding = Some(match self.evidence.how() {
            Some(_) if is_mixed => Finding::Mixed,
            Some(_) => Finding::Forgotten,
            None if longest >= self.max => Finding::NotForgotten,
            None => Finding::Incomplete,
        });
    }
}
