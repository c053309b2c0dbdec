//! What to ask next, and when the answer is there.

use super::asking::GENERATIONS;
use super::flow::Flow;
use super::plan;
use super::search::{Found, Phase, Search, WITNESSES};

/// With so few rungs left the witnesses are opened, so that they are idle for long enough in time.
const RUNGS_BEFORE_WITNESSES: usize = 8;
/// How many connections confirm a result.
const CONFIRMING: usize = 8;
/// A result is narrowed until twice the idle time found and this have passed.
const PATIENCE: f64 = 20.0;
/// How often it is narrowed anew because what should have confirmed it did not.
const ROUNDS: usize = 3;
/// So many connections must have been remembered for about as long as the result says, from this
/// share of it: paths differ.
const REMEMBERED: (usize, f64) = (3, 0.7);
/// Others are asked at this share of it.
const A_LITTLE_LESS: f64 = 0.97;
/// And those that should be forgotten at this.
const A_LITTLE_MORE: f64 = 1.03;
/// The narrowest result, since silence takes some seconds to be sure of.
const NARROW: f64 = 4.0;

impl Search {
    /// Plans what to ask next, once what was planned has been answered, or says what was found.
    pub(super) fn decide(&mut self, now: f64) {
        let is_open =
            !self.ends.is_empty() || !self.resets.is_empty() || self.control_ended.is_some();
        if self.found.is_some() || is_open || self.flows.iter().any(Flow::is_asking) {
            return;
        }
        let is_asked = self.flows.iter().all(|flow| !flow.is_planned());
        if self.control_forgotten.is_some() && is_asked {
            self.found = Some(Found::DespiteKeepalive);
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
            let number = WITNESSES.min(self.options.parallel / 3);
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
    /// left. False if there is nothing to ask.
    fn climb(&mut self, now: f64) -> bool {
        let low = self.evidence.low().unwrap_or(0.0);
        let left =
            plan::ladder(self.options.max, usize::MAX).into_iter().filter(|rung| *rung > low);
        let mut flows: Vec<_> =
            self.flows.iter_mut().filter(|flow| flow.is_idle() && flow.was_asked).collect();
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

    pub(super) fn cancel(&mut self) {
        for flow in &mut self.flows {
            flow.target = None;
        }
    }

    fn is_narrow(&self) -> bool {
        let Some(high) = self.evidence.high() else { return false };
        let low = self.evidence.low().unwrap_or(0.0);
        high - low <= (low * self.options.resolution).max(NARROW)
    }

    /// Plans more questions. False if there is nothing to ask.
    fn refine(&mut self, now: f64, is_opening: bool) -> bool {
        let (Some(low), Some(high)) = (self.evidence.low(), self.evidence.high()) else {
            return false;
        };
        if now > 2.0 * high + PATIENCE {
            return false;
        }
        let idle = |was_asked| {
            let flows = self.flows.iter().enumerate().filter(|(_, flow)| flow.is_idle());
            let flows = flows.filter(|(_, flow)| flow.was_asked == was_asked);
            flows.map(|(id, flow)| (id, flow.idle(now))).collect::<Vec<_>>()
        };
        let plan = |idle: &[_]| plan::refinement(low.max(0.5), high, self.options.resolution, idle);
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
            (0..3).for_each(|_| self.add(None, GENERATIONS));
            return self.flows.len() > before;
        }
        !targets.is_empty() || is_opening
    }

    /// Asks connections that did not lead to the result: those idle for longer should be
    /// forgotten, and those idle for a little less known.
    fn confirm(&mut self, now: f64) {
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
            let is_above = high.map_or(!flow.was_asked, |high| idle >= high);
            if is_above && above < CONFIRMING {
                above += 1;
                flow.target = Some(idle.max(high.unwrap_or(0.0) * A_LITTLE_MORE));
            } else if !is_above && idle > 0.8 * low && idle <= low && below < CONFIRMING / 2 {
                below += 1;
                flow.target = Some(idle);
            } else if let (false, false, Some(high)) = (is_above, flow.was_asked, high)
                && above + below < CONFIRMING
            {
                // Half of those that wait are to be remembered, half not.
                let is_low = below < above && idle <= low;
                flow.target = Some(if is_low { low } else { high * A_LITTLE_MORE });
                (above, below) = (above + usize::from(!is_low), below + usize::from(is_low));
            }
        }
        // Those that were asked before lived: it takes others.
        let enough = self.evidence.remembered_since(REMEMBERED.1 * low) >= REMEMBERED.0;
        if high.is_some() && !enough && !self.has_opened_others {
            self.has_opened_others = true;
            let less = (low - self.evidence.longest_round_trip()) * A_LITTLE_LESS;
            let number = CONFIRMING.min(self.options.parallel / 3);
            (0..number).for_each(|_| self.add(Some(less), GENERATIONS));
        } else if above + below == 0 {
            self.conclude(now);
        }
    }

    /// Asks all that were ever asked, once those of them that are forgotten first should be: for how
    /// long they were remembered before is what holds them.
    fn ask_all(&mut self, now: f64) {
        let high = self.evidence.high().unwrap_or(0.0) * A_LITTLE_MORE;
        for flow in self.flows.iter_mut().filter(|flow| flow.is_idle() && flow.was_asked) {
            flow.target = Some(flow.idle(now).max(high));
        }
    }

    /// Says what was found, if what should have confirmed it did.
    fn conclude(&mut self, now: f64) {
        let is_mixed = self.evidence.is_mixed();
        if is_mixed && !self.has_asked_all {
            self.has_asked_all = true;
            return self.ask_all(now);
        }
        let is_wide = self.evidence.high().is_some() && !self.is_narrow();
        if is_wide && !is_mixed && self.rounds < ROUNDS {
            self.rounds += 1;
            self.phase = Phase::Refinement;
            return;
        }
        let longest = self.evidence.low().unwrap_or(0.0);
        self.found = Some(match self.evidence.how() {
            Some(_) if is_mixed => Found::Mixed,
            Some(how) => Found::Forgotten(how),
            None if longest >= self.options.max => Found::Nothing,
            None => Found::Incomplete,
        });
    }
}
