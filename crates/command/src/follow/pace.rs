//! When to look next.
//!
//! Keepalive is a matter of minutes: a socket that is seen within half of its idle time is seen
//! soon enough. A look must not cost anything that is noticed, however much there is to look at.

use std::time::Duration;

/// After the first look: what was just started opens its sockets now.
const FIRST: Duration = Duration::from_millis(200);
/// While something new comes, and for as many looks after that.
const BUSY: Duration = Duration::from_secs(1);
const BUSY_LOOKS: u32 = 5;
/// The longest pause that a follower makes if its looks are cheap.
const LONGEST: Duration = Duration::from_secs(10);
/// A look of which this is the time is followed by a pause at least this much longer.
const REST: u32 = 100;

/// Remembers how long nothing new has come.
#[derive(Debug, Default)]
pub struct Pace {
    looks: u32,
    /// Looks since the last that found something new.
    quiet: u32,
}

impl Pace {
    /// The pause after a look that took this much processor time. `idle` is the time after which
    /// the first probe is sent.
    pub fn pause(&mut self, is_news: bool, took: Duration, idle: Duration) -> Duration {
        let first = self.looks == 0;
        self.looks = self.looks.saturating_add(1);
        self.quiet = if is_news || first { 0 } else { self.quiet.saturating_add(1) };
        let pause = if first { FIRST } else { pause(self.quiet) };
        pause.min(idle / 2).max(took.saturating_mul(REST))
    }
}

/// The pause after a look that took this much processor time, if it is to be done again soon.
pub fn soon(took: Duration) -> Duration {
    FIRST.max(took.saturating_mul(REST))
}

/// The pause after so many looks without anything new, if looks cost nothing.
fn pause(quiet: u32) -> Duration {
    let doublings = quiet.saturating_sub(BUSY_LOOKS).min(4);
    (BUSY * (1 << doublings)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Duration = Duration::from_micros(300);
    const IDLE: Duration = Duration::from_secs(60);

    fn pauses(news: impl Fn(usize) -> bool, number: usize) -> Vec<u128> {
        let mut pace = Pace::default();
        (0..number).map(|look| pace.pause(news(look), CHEAP, IDLE).as_millis()).collect()
    }

    #[test]
    fn it_begins_quickly_and_slows_down_while_nothing_new_comes() {
        let expected = [200, 1000, 1000, 1000, 1000, 1000, 2000, 4000, 8000, 10_000, 10_000];
        assert_eq!(pauses(|look| look == 0, 11), expected);
        // Without end.
        let mut pace = Pace { looks: u32::MAX, quiet: u32::MAX };
        assert_eq!(pace.pause(false, CHEAP, IDLE), LONGEST);
    }

    #[test]
    fn what_is_new_makes_it_look_every_second_again() {
        let pauses = pauses(|look| look == 12, 20);
        assert_eq!(pauses[11..18], [10_000, 1000, 1000, 1000, 1000, 1000, 1000]);
        assert_eq!(pauses[18], 2000);
    }

    #[test]
    fn a_pause_is_never_longer_than_half_of_the_idle_time() {
        for idle in [1, 2, 3, 10, 20, 21, 60, 7200, 32767].map(Duration::from_secs) {
            for quiet in [0, 1, 5, 6, 9, 50, u32::MAX] {
                let mut pace = Pace { looks: 3, quiet };
                let pause = pace.pause(false, CHEAP, idle);
                assert!(pause <= idle / 2 && pause <= LONGEST, "{idle:?} {quiet}: {pause:?}");
                assert!(pause >= BUSY.min(idle / 2), "{idle:?} {quiet}: {pause:?}");
            }
        }
    }

    #[test]
    fn it_never_takes_more_than_a_hundredth_of_a_core() {
        for took in [0, 1, 300, 2_001, 26_000, 99_999, 100_001, 5_000_000, u64::MAX] {
            let took = Duration::from_micros(took);
            for idle in [1, 60, 32767].map(Duration::from_secs) {
                for is_news in [true, false] {
                    let mut pace = Pace::default();
                    for _ in 0..20 {
                        let pause = pace.pause(is_news, took, idle);
                        assert!(pause >= took.saturating_mul(100), "{took:?}: {pause:?}");
                    }
                }
            }
        }
    }
}
