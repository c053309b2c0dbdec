//! `--dead-after`: one time in place of all values.

use std::time::Duration;

use super::late::time_within;
use crate::text::time;
use crate::values::Values;

/// The shortest time for [`values`]: one second of idle time and one probe.
const MIN: Duration = Duration::from_secs(3);
/// The longest time for [`values`]: what the largest idle time allows.
const MAX: Duration = Duration::from_secs(20 * 3600);

/// A time within which a dead peer can be noticed.
pub fn parse(text: &str) -> Result<Duration, String> {
    time::parse_in_range(text, MIN..=MAX)
}

/// Values with which the dead peer of an idle connection is given up within `limit`, from [`MIN`] to
/// [`MAX`], and a living one never: half of the time idle, then five probes, fewer where the time is
/// short. Nothing bounds unacknowledged data: a user timeout would end a peer that lives but does
/// not read, and a bound on retransmissions would lose what a program sent before close(2).
pub fn values(limit: Duration) -> Values<Option<u32>> {
    let total = time_within(limit.as_secs()) as u32;
    let interval = (total / 10).max(1);
    let count = (total / interval - 1).min(5);
    let idle = total - count * interval;
    Values { count: Some(count), idle: Some(idle), interval: Some(interval), ..Values::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_gives_values_that_the_kernel_takes_and_that_keep_it() {
        for limit in (3..1000).chain((1000..=MAX.as_secs()).step_by(61)) {
            let values = values(Duration::from_secs(limit));
            for (option, value) in values.iter() {
                assert!(value.is_none_or(|value| option.contains(value)), "{limit}: {option:?}");
            }
            let Values { count: Some(count), idle: Some(idle), interval: Some(interval), .. } =
                values
            else {
                panic!("{limit}: {values:?}");
            };
            let sum = idle + count * interval;
            assert!(u64::from(sum) * 71 <= limit * 63, "{limit}: {values:?}");
            assert!(limit < 15 || count == 5 && idle >= count * interval, "{limit}: {values:?}");
            assert_eq!((values.user_timeout, values.rto_max, values.syn_count), (None, None, None));
        }
    }

    #[test]
    fn two_minutes() {
        let expected =
            Values { count: Some(5), idle: Some(56), interval: Some(10), ..Values::default() };
        assert_eq!(values(Duration::from_secs(120)), expected);
    }

    #[test]
    fn other_times_are_refused() {
        assert!(parse("2s").is_err() && parse("21h").is_err());
        assert_eq!(parse("20h"), Ok(Duration::from_secs(72_000)));
    }
}
