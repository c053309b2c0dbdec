//! What the operator wants, from the command line: a value, or none, for each option that the
//! command knows, in the order of [`options::OPTIONS`].

use std::time::Duration;

use options::Mode;

use crate::cli::SettingsArgs;
use crate::time;

/// Where each option stands in [`options::OPTIONS`], and so in [`Values`].
pub const KEEPCNT: usize = 0;
/// See [`KEEPCNT`].
pub const KEEPIDLE: usize = 1;
/// See [`KEEPCNT`].
pub const KEEPINTVL: usize = 2;
/// See [`KEEPCNT`].
pub const USER_TIMEOUT: usize = 3;
/// So many of [`options::OPTIONS`], from the first, have an argument and a column; any other is
/// the library's alone.
pub const KNOWN: usize = 4;

/// A value, or none, for each option that the command knows.
pub type Values = [Option<u32>; KNOWN];

/// What the operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The values given.
    pub values: Values,
    /// Who has the last word: on, skip or force.
    pub mode: Mode,
}

impl Settings {
    /// The settings that the arguments ask for.
    pub fn new(arguments: &SettingsArgs) -> Self {
        let mut values = [None; KNOWN];
        values[KEEPCNT] = arguments.count;
        values[KEEPIDLE] = arguments.idle;
        values[KEEPINTVL] = arguments.interval;
        values[USER_TIMEOUT] = arguments.user_timeout;
        if let Some(limit) = arguments.dead_after {
            values = within(limit);
        }
        let mode = match (arguments.force, arguments.skip) {
            (true, _) => Mode::Force,
            (_, true) => Mode::Skip,
            _ => Mode::On,
        };
        Self { values, mode }
    }

    /// The settings in words, for `--verbose`.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        if let Some(idle) = self.values[KEEPIDLE] {
            parts.push(format!("first probe after {} idle", time::show_seconds(idle)));
        }
        if let Some(interval) = self.values[KEEPINTVL] {
            parts.push(format!("then every {}", time::show_seconds(interval)));
        }
        if let Some(count) = self.values[KEEPCNT] {
            parts.push(format!("dead after {count} unanswered"));
        }
        match self.values[USER_TIMEOUT] {
            Some(0) => parts.push("no user timeout".into()),
            Some(limit) => parts.push(format!(
                "sent data may stay unacknowledged for {}",
                time::show_milliseconds(limit)
            )),
            None => {}
        }
        if parts.is_empty() {
            parts.push("the kernel's own times".into());
        }
        parts.join(", ")
    }
}

/// The kernel's timer wheel lets a timer expire late by at most 8/63 of its time
/// (kernel/time/timer.c: a level's granularity over the times it is used for): so a dead peer is
/// noticed after at most 71/63 of what the values add up to.
const LATENESS: (u64, u64) = (71, 63);

/// The shortest time for [`within`]: one second of idle time and one probe.
pub const DEAD_AFTER_MIN: Duration = Duration::from_secs(3);
/// The longest time for [`within`]: what the largest idle time allows.
pub const DEAD_AFTER_MAX: Duration = Duration::from_secs(20 * 3600);

/// Values with which a dead peer is noticed within `limit`, from [`DEAD_AFTER_MIN`] to
/// [`DEAD_AFTER_MAX`], be the connection idle or data on its way: half of the time idle, then
/// five probes, fewer where the time is short.
fn within(limit: Duration) -> Values {
    let (late, on_time) = LATENESS;
    let total = (limit.as_secs() * on_time / late) as u32;
    let interval = (total / 10).max(1);
    let count = (total / interval - 1).min(5);
    let idle = total - count * interval;
    let mut values = [None; KNOWN];
    values[KEEPCNT] = Some(count);
    values[KEEPIDLE] = Some(idle);
    values[KEEPINTVL] = Some(interval);
    // With a user timeout the kernel no longer counts probes, but ends an idle connection at the
    // first probe that would follow that time (net/ipv4/tcp_timer.c, tcp_keepalive_timer): this
    // one keeps it at `count`.
    values[USER_TIMEOUT] = Some(total * 1000);
    values
}

#[cfg(test)]
mod tests {
    use options::OPTIONS;

    use super::*;

    #[test]
    fn every_limit_gives_values_that_the_kernel_takes_and_that_keep_it() {
        for limit in DEAD_AFTER_MIN.as_secs()..=DEAD_AFTER_MAX.as_secs() {
            let values = within(Duration::from_secs(limit));
            for (option, value) in OPTIONS.iter().zip(values) {
                let value = value.expect("every option") as i32;
                assert!((option.min..=option.max).contains(&value), "{limit}: {option:?}");
            }
            let [Some(count), Some(idle), Some(interval), Some(timeout)] = values else {
                panic!("every option");
            };
            let sum = u64::from(idle + count * interval);
            assert!(sum * 71 <= limit * 63, "{limit}: {values:?}");
            assert_eq!(u64::from(timeout), sum * 1000, "{limit}");
            assert!(limit < 15 || count == 5 && idle >= count * interval, "{limit}: {values:?}");
        }
    }

    #[test]
    fn two_minutes() {
        let values = within(Duration::from_secs(120));
        assert_eq!(values, [Some(5), Some(56), Some(10), Some(106_000)]);
    }

    #[test]
    fn the_positions_are_those_of_the_table() {
        for (position, name) in [
            (KEEPCNT, c"TCP_KEEPCNT"),
            (KEEPIDLE, c"TCP_KEEPIDLE"),
            (KEEPINTVL, c"TCP_KEEPINTVL"),
            (USER_TIMEOUT, c"TCP_USER_TIMEOUT"),
        ] {
            assert_eq!(OPTIONS[position].name, name);
        }
    }
}
