//! How late the kernel's timers are.

/// The timer wheel lets a timer expire late by at most 8/63 of its time (kernel/time/timer.c: a level's
/// granularity over the times it is used for): it takes at most 71/63 of it.
const LATE: u64 = 71;
const ON_TIME: u64 = 63;

/// The longest that a timer of this time takes.
pub fn at_latest(time: u64) -> u64 {
    time * LATE / ON_TIME
}

/// The time of a timer that takes this long at most.
pub fn time_within(limit: u64) -> u64 {
    limit * ON_TIME / LATE
}
