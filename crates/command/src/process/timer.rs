//! When the kernel's keepalive timer fires (net/ipv4/tcp_timer.c).

use std::time::Duration;

use super::sock_diag::{Timer, TimerKind};
use crate::values::Values;

/// Whether a timer was started before its connection got the options that it has now, and runs for
/// longer than the `pause` that they allow, in seconds. A running timer does not change when the
/// kernel's defaults or TCP_KEEPINTVL do; setting TCP_KEEPIDLE starts it again
/// (tcp_sock_set_keepidle_locked() in net/ipv4/tcp.c).
pub fn is_older_than_options(timer: &Timer, pause: u32) -> bool {
    // A second more than the kernel's rounding needs.
    let most = Duration::from_secs(u64::from(pause) + 1);
    timer.kind == TimerKind::Keepalive && timer.expires_in > most
}

/// The longest pause between packets on an idle connection whose peer answers, in seconds; None if
/// the idle time is unknown. After a probe the kernel looks again one interval later, also if the
/// peer has answered: an interval that is longer than the idle time takes its place
/// (tcp_keepalive_timer() in net/ipv4/tcp_timer.c).
pub fn longest_pause(values: &Values<Option<u32>>) -> Option<u32> {
    Some(values.idle?.max(values.interval.unwrap_or(0)))
}
