//! What the answers so far say: between which idle times the path forgets, and how often to probe
//! before silence counts. Times are in seconds.

use crate::outcome::How;
use crate::timing::{DOUBT, DOUBT_OF_ARRIVAL, PROBES_FOR_SILENCE, RECENT_ROUND_TRIPS};

/// A connection that was not known any more.
#[derive(Clone, Copy, Debug)]
pub struct Forgotten {
    /// Which one, if it stands for all of the path.
    pub connection: Option<usize>,
    /// How long it had been idle when it was probed first.
    pub probed: f64,
    /// After how long it surely was forgotten.
    pub idle: f64,
    pub how: How,
}

/// The answers so far.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Idle times after which a connection was still known, and which one, if that counts.
    pub(crate) remembered: Vec<(Option<usize>, f64)>,
    pub(crate) forgotten: Vec<Forgotten>,
    probes: u32,
    lost: u32,
    round_trips: Vec<f64>,
}

impl Evidence {
    /// A connection that had been idle this long was answered: with its number, one of those that
    /// stand for all of the path.
    pub fn remembered(&mut self, connection: Option<usize>, idle: f64) {
        self.remembered.push((connection, idle));
    }

    /// Another was not.
    pub fn forgotten(&mut self, forgotten: Forgotten) {
        self.forgotten.push(forgotten);
    }

    /// Of so many probes on a connection that lives, so many were not answered.
    pub fn probed(&mut self, probes: u32, lost: u32) {
        self.probes += probes;
        self.lost += lost;
    }

    /// An answer came after this time.
    pub fn took(&mut self, round_trip: f64) {
        self.round_trips.push(round_trip.max(0.0));
    }

    /// The shortest idle time after which a connection was forgotten.
    pub fn high(&self) -> Option<f64> {
        self.forgotten.iter().map(|it| it.idle).min_by(f64::total_cmp)
    }

    /// How it was forgotten then.
    pub fn how(&self) -> Option<How> {
        self.forgotten.iter().min_by(|one, other| one.idle.total_cmp(&other.idle)).map(|it| it.how)
    }

    /// The longest idle time below [`Self::high`] after which a connection was still known.
    pub fn low(&self) -> Option<f64> {
        let high = self.high().unwrap_or(f64::INFINITY);
        self.idle_times().filter(|idle| *idle < high).max_by(f64::total_cmp)
    }

    /// How many connections were known after this idle time, up to [`Self::low`].
    pub fn remembered_since(&self, idle: f64) -> usize {
        let low = self.low().unwrap_or(0.0);
        self.idle_times().filter(|it| (idle..=low).contains(it)).count()
    }

    /// Idle times after which a connection was still known.
    pub(crate) fn idle_times(&self) -> impl Iterator<Item = f64> {
        self.remembered.iter().map(|(_, idle)| *idle)
    }

    /// How much is lost on the way there and back, from 0 to 1; None before anything was probed.
    pub fn loss(&self) -> Option<f64> {
        (self.probes > 0).then(|| f64::from(self.lost) / f64::from(self.probes))
    }

    /// The usual time until an answer, once there was one.
    pub fn round_trip(&self) -> Option<f64> {
        let mut sorted = self.round_trips.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }

    /// The longest time until an answer, of those that came last.
    pub fn longest_round_trip(&self) -> f64 {
        let last = &self.round_trips[self.round_trips.len().saturating_sub(RECENT_ROUND_TRIPS)..];
        last.iter().copied().max_by(f64::total_cmp).unwrap_or(0.0)
    }

    /// How many probes without an answer make silence.
    pub fn probes_for_silence(&self) -> usize {
        let (least, most) = PROBES_FOR_SILENCE;
        self.probes_until(DOUBT).clamp(least, most)
    }

    /// Of how many probes one has surely come as far as where the path forgets.
    pub fn probes_for_arrival(&self) -> usize {
        self.probes_until(DOUBT_OF_ARRIVAL).clamp(1, self.probes_for_silence())
    }

    /// How many probes are all lost with this probability. Of few probes little is known: as if one
    /// more had been lost (the rule of succession), and a standard deviation more than that.
    fn probes_until(&self, doubt: f64) -> usize {
        let lost = f64::from(self.lost + 1);
        let loss = ((lost + lost.sqrt()) / f64::from(self.probes + 2)).min(0.9);
        (doubt.ln() / loss.ln()).ceil() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_needs_more_probes_where_more_is_lost() {
        for (probes, lost, silence, arrival) in [
            (0, 0, 24, 24),
            (10, 0, 7, 4),
            (200, 0, 5, 2),
            (100, 1, 5, 3),
            (100, 10, 6, 4),
            (100, 51, 22, 13),
            (100, 90, 24, 24),
        ] {
            let evidence = Evidence { probes, lost, ..Evidence::default() };
            let seen = (evidence.probes_for_silence(), evidence.probes_for_arrival());
            assert_eq!(seen, (silence, arrival), "{lost} of {probes}");
        }
    }

    #[test]
    fn the_bracket_is_what_is_sure() {
        let mut evidence = Evidence::default();
        assert_eq!((evidence.low(), evidence.high(), evidence.is_mixed()), (None, None, false));
        for idle in [10.0, 31.0, 20.0] {
            evidence.remembered(None, idle);
        }
        let forgotten = |idle, how| Forgotten { connection: None, probed: idle, idle, how };
        evidence.forgotten(forgotten(45.0, How::Silence));
        assert_eq!((evidence.low(), evidence.high()), (Some(31.0), Some(45.0)));
        evidence.forgotten(forgotten(25.0, How::Reset));
        assert_eq!((evidence.low(), evidence.high()), (Some(20.0), Some(25.0)));
        assert_eq!((evidence.how(), evidence.is_mixed()), (Some(How::Reset), true));
    }
}
