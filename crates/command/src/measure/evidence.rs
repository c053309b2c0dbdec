//! What the answers so far say: between which idle times the path forgets, and how often to ask
//! before silence counts. Times are in seconds.

/// How a path lets a connection go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It drops what comes later, without a word.
    Silence,
    /// It answers what comes later with a reset.
    Reset,
    /// It sends a reset when the time is over.
    ResetUnasked,
    /// It ends the connection in an orderly way when the time is over, but not one that is probed.
    ClosedUnasked,
}

/// How sure silence has to be: one living connection in this many is taken for a forgotten one.
const DOUBT: f64 = 1e-5;
/// How sure it has to be that an ask has reached the path at all: this bounds the idle time.
const DOUBT_OF_ARRIVAL: f64 = 1e-3;
/// A connection that was not known any more.
#[derive(Clone, Copy, Debug)]
pub struct Forgotten {
    /// Which one, if it stands for all of the path.
    pub connection: Option<usize>,
    /// How long it had been idle when it was asked first.
    pub asked: f64,
    /// After how long it surely was forgotten.
    pub idle: f64,
    pub how: How,
}

/// The answers so far.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Idle times after which a connection was still known, and which one, if that counts.
    pub(super) remembered: Vec<(Option<usize>, f64)>,
    pub(super) forgotten: Vec<Forgotten>,
    asks: u32,
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

    /// Of so many asks on a connection that lives, so many were not answered.
    pub fn asked(&mut self, asks: u32, lost: u32) {
        self.asks += asks;
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
    pub(super) fn idle_times(&self) -> impl Iterator<Item = f64> {
        self.remembered.iter().map(|(_, idle)| *idle)
    }

    /// How much is lost on the way there and back, from 0 to 1; None before anything was asked.
    pub fn loss(&self) -> Option<f64> {
        (self.asks > 0).then(|| f64::from(self.lost) / f64::from(self.asks))
    }

    /// The usual time until an answer, once there was one.
    pub fn round_trip(&self) -> Option<f64> {
        let mut sorted = self.round_trips.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }

    /// The longest time until an answer, of those that came last.
    pub fn longest_round_trip(&self) -> f64 {
        let last = &self.round_trips[self.round_trips.len().saturating_sub(20)..];
        last.iter().copied().max_by(f64::total_cmp).unwrap_or(0.0)
    }

    /// How many asks without an answer make silence, from 5 to 24.
    pub fn asks_for_silence(&self) -> usize {
        self.asks_until(DOUBT).clamp(5, 24)
    }

    /// Of how many asks one has surely come as far as where the path forgets.
    pub fn asks_for_arrival(&self) -> usize {
        self.asks_until(DOUBT_OF_ARRIVAL).clamp(1, self.asks_for_silence())
    }

    /// How many asks are all lost with this probability. Of few asks little is known: as if one
    /// more had been lost (the rule of succession), and a standard deviation more than that.
    fn asks_until(&self, doubt: f64) -> usize {
        let lost = f64::from(self.lost + 1);
        let loss = ((lost + lost.sqrt()) / f64::from(self.asks + 2)).min(0.9);
        (doubt.ln() / loss.ln()).ceil() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(asks: u32, lost: u32) -> Evidence {
        Evidence { asks, lost, ..Evidence::default() }
    }

    #[test]
    fn silence_takes_more_asks_where_more_is_lost() {
        for (asks, lost, silence, arrival) in [
            (0, 0, 24, 24),
            (10, 0, 7, 4),
            (200, 0, 5, 2),
            (100, 1, 5, 3),
            (100, 10, 6, 4),
            (100, 51, 22, 13),
            (100, 90, 24, 24),
        ] {
            let evidence = of(asks, lost);
            let seen = (evidence.asks_for_silence(), evidence.asks_for_arrival());
            assert_eq!(seen, (silence, arrival), "{lost} of {asks}");
        }
    }

    #[test]
    fn the_bracket_is_what_is_sure() {
        let mut evidence = Evidence::default();
        assert_eq!((evidence.low(), evidence.high(), evidence.is_mixed()), (None, None, false));
        for idle in [10.0, 31.0, 20.0] {
            evidence.remembered(None, idle);
        }
        let forgotten = |idle, how| Forgotten { connection: None, asked: idle, idle, how };
        evidence.forgotten(forgotten(45.0, How::Silence));
        assert_eq!((evidence.low(), evidence.high()), (Some(31.0), Some(45.0)));
        evidence.forgotten(forgotten(25.0, How::Reset));
        assert_eq!((evidence.low(), evidence.high()), (Some(20.0), Some(25.0)));
        assert_eq!((evidence.how(), evidence.is_mixed()), (Some(How::Reset), true));
    }
}
