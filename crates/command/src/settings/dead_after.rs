//! `--dead-after`: one time in place of all values.

use std::time::Duration;

use crate::time;
use crate::values::Values;

/// The kernel's timer wheel lets a timer expire late by at most 8/63 of its time
/// (kernel/time/timer.c: a level's granularity over the times it is used for). So a dead peer is
/// noticed after at most 71/63 of the sum of the values.
const LATENESS: (u64, u64) = (71, 63);

/// The shortest time for [`values`]: one second of idle time and one probe.
const MIN: Duration = Duration::from_secs(3);
/// The longest time for [`values`]: what the largest idle time allows.
const MAX: Duration = Duration::from_secs(20 * 3600);

/// A time within which a dead peer can be noticed.
pub fn parse(text: &str) -> Result<Duration, String> {
    let time = time::parse(text)?;
    if !(MIN..=MAX).contains(&time) {
        return Err(format!("not from {} to {}", time::show(MIN), time::show(MAX)));
    }
    Ok(time)
}

/// Values with which a dead peer is noticed within `limit`, from [`MIN`] to [`MAX`], whether the
/// connection is idle or has data in flight: half of the time idle, then five probes, fewer
/// where the time is short.
pub fn values(limit: Duration) -> Values<Option<u32>> {
    let (late, on_time) = LATENESS;
    let total = (limit.as_secs() * on_time / late) as u32;
    let interval = (total / 10).max(1);
    let count = (total / interval - 1).min(5);
    let idle = total - count * interval;
    Values {
        count: Some(count),
        idle: Some(idle),
        interval: Some(interval),
        // With a user timeout the kernel no longer counts probes, but ends an idle connection at
        // the first probe that would follow that time (net/ipv4/tcp_timer.c,
        // tcp_keepalive_timer): this one keeps it at `count`.
        user_timeout: Some(total * 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_gives_values_that_the_kernel_takes_and_that_keep_it() {
        for limit in MIN.as_secs()..=MAX.as_secs() {
            let values = values(Duration::from_secs(limit));
            for (option, value) in values.iter() {
                assert!(value.is_some_and(|value| option.contains(value)), "{limit}: {option:?}");
            }
            let Values { count, idle, interval, user_timeout } =
                values.map(|value| value.expect("every option"));
            let sum = idle + count * interval;
            assert!(u64::from(sum) * 71 <= limit * 63, "{limit}: {values:?}");
            assert_eq!(user_timeout, sum * 1000, "{limit}");
            assert!(limit < 15 || count == 5 && idle >= count * interval, "{limit}: {values:?}");
        }
    }

    #[test]
    fn two_minutes() {
        let expected = Values {
            count: Some(5),
            idle: Some(56),
            interval: Some(10),
            user_timeout: Some(106_000),
        };
        assert_eq!(values(Duration::from_secs(120)), expected);
    }

    #[test]
    fn other_times_are_refused() {
        assert!(parse("2s").is_err() && parse("21h").is_err());
        assert_eq!(parse("20h"), Ok(Duration::from_secs(72_000)));
    }
}
