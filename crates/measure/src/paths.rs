//! Paths differ: a connection may go through another firewall than the next, which forgets sooner.
//! What is known of one is no promise for all, and advice must hold the worst of them.

use std::collections::BTreeMap;

use crate::evidence::Evidence;
use crate::outcome::Recommended;
use crate::timing::{MAX_RECOMMENDED_INTERVAL, RECOMMENDED_COUNT, SAFE_IDLE, SURE, TOLERANCE};

impl Evidence {
    /// Whether some connections are remembered for longer than others: one was remembered for longer
    /// than another was, or several were silent from an idle time on after which others answered,
    /// more of them than loss explains.
    pub fn is_mixed(&self) -> bool {
        let high = self.high().unwrap_or(f64::INFINITY) * TOLERANCE;
        let low = self.low().unwrap_or(0.0);
        let silent = self.forgotten.iter().filter(|it| it.probed * TOLERANCE < low).count();
        self.idle_times().any(|idle| idle > high) || silent >= self.probes_for_arrival()
    }

    /// The idle time, up to [`Self::low`], that all connections surely are remembered for.
    ///
    /// Where none differs: what not one but several were remembered for; all of them, where there
    /// are fewer. Where some do: for how long one of these was remembered before it was forgotten;
    /// where that is not known, the shortest of all.
    pub fn sure(&self) -> Option<f64> {
        let low = self.low()?;
        let longest = self.longest_of_each();
        let sure = if self.is_mixed() {
            let longest_of_all = self.idle_times().fold(0.0, f64::max);
            let sooner = self.forgotten.iter().filter(|it| it.probed * TOLERANCE < longest_of_all);
            let of_these = sooner.filter_map(|it| longest.get(&it.connection?).copied());
            of_these.max_by(f64::total_cmp).or_else(|| self.shortest())
        } else {
            let mut sorted: Vec<_> = longest.into_values().collect();
            sorted.sort_by(|one, other| other.total_cmp(one));
            sorted.get(SURE - 1).or(sorted.last()).copied()
        };
        Some(sure.map_or(low, |sure| sure.min(low)))
    }

    /// The idle time that every connection surely survives.
    pub fn held_for(&self) -> Option<f64> {
        if self.is_mixed() { self.sure() } else { self.low() }
    }

    /// For what is known of a path: the first probe at half of the longest time that was remembered,
    /// and if it is lost, five more before that is over. No later than what several connections
    /// remembered, with a fifth to spare, or than what holds the other paths that are known. Where
    /// connections differ, only those count that are forgotten first. Below two seconds there is
    /// none.
    pub fn recommended(&self) -> Option<Recommended> {
        self.high()?;
        recommended(self.held_for()?, self.sure()?)
    }

    /// The longest idle time after which each connection was still known.
    fn longest_of_each(&self) -> BTreeMap<usize, f64> {
        let mut longest: BTreeMap<usize, f64> = BTreeMap::new();
        for (connection, idle) in &self.remembered {
            if let Some(connection) = connection {
                let longest = longest.entry(*connection).or_default();
                *longest = longest.max(*idle);
            }
        }
        longest
    }

    fn shortest(&self) -> Option<f64> {
        let of_all = self.remembered.iter().filter(|(connection, _)| connection.is_some());
        of_all.map(|(_, idle)| *idle).min_by(f64::total_cmp)
    }
}

fn recommended(held_for: f64, sure: f64) -> Option<Recommended> {
    let idle = ((held_for / 2.0).min(sure * 0.8) as u32).min(SAFE_IDLE);
    let interval = ((held_for - f64::from(idle)) / 6.0) as u32;
    let interval = interval.clamp(1, MAX_RECOMMENDED_INTERVAL);
    (idle > 0).then_some(Recommended { idle, interval, count: RECOMMENDED_COUNT })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Forgotten;
    use crate::outcome::How;

    #[test]
    fn six_probes_fit_into_the_time_that_is_remembered() {
        for low in 2..10_000 {
            let low = f64::from(low);
            let Recommended { idle, interval, count } = recommended(low, low).expect("settings");
            assert!(f64::from(idle) <= low / 2.0 && count == 9, "{low}");
            assert!(
                low < 14.0 || f64::from(idle + 5 * interval) <= low,
                "{low}: {idle} {interval}"
            );
        }
        assert_eq!(recommended(1.9, 1.9), None);
        let all = |idle, interval| Some(Recommended { idle, interval, count: 9 });
        assert_eq!(recommended(348.0, 348.0), all(174, 29));
        assert_eq!(recommended(348.0, 60.0), all(48, 50));
        assert_eq!(recommended(7000.0, 7000.0), all(200, 75));
    }

    fn silent(connection: usize, probed: f64) -> Forgotten {
        Forgotten { connection: Some(connection), probed, idle: probed + 1.0, how: How::Silence }
    }

    #[test]
    fn advice_is_built_on_what_several_connections_remembered() {
        let mut evidence = Evidence::default();
        assert_eq!(evidence.sure(), None);
        evidence.remembered(None, 2.0);
        assert_eq!(evidence.sure(), Some(2.0));
        // Fewer than are needed: what all of them remembered.
        evidence.remembered(Some(0), 30.0);
        evidence.remembered(Some(1), 20.0);
        assert_eq!(evidence.sure(), Some(20.0));
        // One that is probed again is still one.
        evidence.remembered(Some(1), 25.0);
        assert_eq!(evidence.sure(), Some(25.0));
        (2..10).for_each(|id| evidence.remembered(Some(id), 40.0 + id as f64));
        assert_eq!(evidence.sure(), Some(45.0));
    }

    #[test]
    fn where_connections_differ_those_that_are_forgotten_first_decide() {
        let mut evidence = Evidence::default();
        evidence.probed(200, 0);
        for (id, idle) in [(0, 10.4), (1, 20.6), (2, 31.0), (3, 61.5)] {
            evidence.remembered(Some(id), idle);
        }
        evidence.forgotten(silent(4, 45.0));
        // The one that was forgotten had never been probed before.
        assert_eq!((evidence.low(), evidence.high()), (Some(31.0), Some(46.0)));
        assert_eq!((evidence.is_mixed(), evidence.sure()), (true, Some(10.4)));
        // This one had been: its way remembers for so long, and is the shorter one.
        evidence.forgotten(silent(1, 50.0));
        assert_eq!(evidence.sure(), Some(20.6));
        // One of the longer way tells nothing of the other.
        evidence.forgotten(silent(3, 99.0));
        assert_eq!(evidence.sure(), Some(20.6));
    }

    #[test]
    fn answers_and_silence_at_the_same_idle_time_are_more_than_loss() {
        let mut evidence = Evidence::default();
        evidence.probed(200, 0);
        (0..8).for_each(|id| evidence.remembered(Some(id), 30.5));
        evidence.forgotten(silent(8, 29.6));
        assert!(evidence.low() == Some(30.5) && !evidence.is_mixed(), "one probe may be lost");
        evidence.forgotten(silent(9, 29.6));
        assert!(evidence.is_mixed());
        evidence.probed(200, 60);
        assert!(!evidence.is_mixed(), "so many may be");
    }
}
