//! The time, in seconds.

use std::io;

/// Counts from its start, and while the machine sleeps, too: a path forgets then as well.
pub struct Clock {
    start: f64,
    start_awake: f64,
}

impl Clock {
    /// Starts at 0.
    pub fn start() -> io::Result<Self> {
        // In this order, and in the other order later, it is never too much that it has slept.
        let start_awake = read(libc::CLOCK_MONOTONIC)?;
        Ok(Self { start: read(libc::CLOCK_BOOTTIME)?, start_awake })
    }

    /// The time since the start.
    pub fn now(&self) -> f64 {
        // It worked at the start, and the kernel has this clock since Linux 2.6.39.
        read(libc::CLOCK_BOOTTIME).map_or(0.0, |now| (now - self.start).max(0.0))
    }

    /// For how long the machine has slept since the start: one of the two clocks stands still then
    /// (clock_getres(2)). When somebody sets the time of day, neither moves.
    pub fn slept(&self) -> f64 {
        let now = self.now();
        read(libc::CLOCK_MONOTONIC).map_or(0.0, |awake| now - (awake - self.start_awake))
    }
}

fn read(clock: libc::clockid_t) -> io::Result<f64> {
    // SAFETY: a structure of integers, for which zeros are a value.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes a structure that lives until then.
    match unsafe { libc::clock_gettime(clock, &raw mut time) } {
        0 => Ok(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9),
        _ => Err(io::Error::last_os_error()),
    }
}
