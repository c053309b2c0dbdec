//! Chooses what to probe next: up the ladder, then between what is known.

use super::flow::Flow;
use super::state::{Phase, Search};
use crate::outcome::Finding;
use crate::plan;
use crate::timing::{MAX_REPLACEMENTS, PATIENCE, RUNGS_BEFORE_WITNESSES, WITNESSES};

impl Search {
    /// Plans what to probe next, once what was planned has been answered, or says what was found.
    pub(super) fn decide(&mut self, now: f64) {
        let is_open =
            !self.ends.is_empty() || !self.resets.is_empty() || self.control_ended.is_some();
        if self.finding.is_some() || is_open || self.flows.iter().any(Flow::is_probed) {
            return;
        }
        let is_done = self.flows.iter().all(|flow| !flow.is_planned());
        if self.control_forgotten.is_some() && is_done {
            self.finding = Some(Finding::DespiteKeepalive);
            return;
        }
        if self.phase == Phase::Ladder && self.evidence.high().is_some() {
            self.phase = Phase::Refinement;
            self.cancel();
        }
        let is_refinement = self.phase == Phase::Refinement;
        if is_refinement && (self.is_narrow() || self.is_refuted()) {
            self.cancel();
        }
        let is_opening = self.flows.iter().any(Flow::is_young);
        let planned = self.flows.iter().filter(|flow| flow.is_planned()).count();
        let is_late = self.phase == Phase::Ladder && planned <= RUNGS_BEFORE_WITNESSES;
        if is_late && !self.has_witnesses && !is_opening {
            self.has_witnesses = true;
            let number = WITNESSES.min(self.parallel / 3);
            (0..number).for_each(|_| self.add(None, 0));
        } else if planned == 0 {
            let goes_on = is_refinement && !self.is_narrow() && self.refine(now, is_opening);
            let goes_on = goes_on || self.phase == Phase::Ladder && self.climb(now);
            if self.phase == Phase::Confirmation {
                self.conclude(now);
            } else if !goes_on {
                self.confirm(now);
            }
        }
    }

    /// Where some connections could not be opened, those that were answered take the rungs that are
    /// left. False if there is nothing to probe.
    fn climb(&mut self, now: f64) -> bool {
        let low = self.evidence.low().unwrap_or(0.0);
        let left = plan::ladder(self.max, usize::MAX).into_iter().filter(|rung| *rung > low);
        let mut flows: Vec<_> =
            self.flows.iter_mut().filter(|flow| flow.is_idle() && flow.was_probed).collect();
        flows.sort_by(|one, other| one.idle_since.total_cmp(&other.idle_since));
        let mut goes_on = false;
        for (flow, rung) in flows.into_iter().zip(left) {
            flow.target = Some(rung.max(flow.idle(now)));
            goes_on = true;
        }
        goes_on
    }

    /// Whether what is waited for is above what is known to be forgotten.
    fn is_refuted(&self) -> bool {
        let high = self.evidence.high().unwrap_or(f64::INFINITY);
        let targets = self.flows.iter().filter_map(|flow| flow.target);
        targets.into_iter().any(|target| target >= high)
    }

    /// Plans more probes. False if there is nothing to probe.
    fn refine(&mut self, now: f64, is_opening: bool) -> bool {
        let (Some(low), Some(high)) = (self.evidence.low(), self.evidence.high()) else {
            return false;
        };
        if now > 2.0 * high + PATIENCE {
            return false;
        }
        let idle = |was_probed| {
            let flows = self.flows.iter().enumerate().filter(|(_, flow)| flow.is_idle());
            let flows = flows.filter(|(_, flow)| flow.was_probed == was_probed);
            flows.map(|(id, flow)| (id, flow.idle(now))).collect::<Vec<_>>()
        };
        let plan = |idle: &[_]| plan::refinement(low.max(0.5), high, self.resolution, idle);
        // The others are kept for confirming, if they can be.
        let mut targets = plan(&idle(true));
        if targets.is_empty() {
            targets = plan(&idle(false));
        }
        for (id, target) in &targets {
            self.flows[*id].target = Some(*target);
        }
        if targets.is_empty() && !is_opening {
            let before = self.flows.len();
            (0..3).for_each(|_| self.add(None, MAX_REPLACEMENTS));
            return self.flows.len() > before;
        }
        !targets.is_empty() || is_opening
    }
}
