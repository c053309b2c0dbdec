//! Progress of a long task, as a status line on a terminal.

use std::time::{Duration, Instant};

use super::{clear_status, show_status, time};

/// How long a task runs before its progress is shown, and the time between two updates.
const PAUSE: Duration = Duration::from_secs(1);

/// The progress of work on sockets.
pub struct Progress {
    total: usize,
    done: usize,
    started: Instant,
    shown: Instant,
}

impl Progress {
    /// For work whose size is not known yet.
    pub fn new() -> Self {
        let now = Instant::now();
        Self { total: 0, done: 0, started: now, shown: now }
    }

    /// Adds this many sockets to the work.
    pub fn add(&mut self, number: usize) {
        self.total += number;
    }

    /// One socket more is done.
    pub fn step(&mut self) {
        self.done += 1;
        if self.shown.elapsed() >= PAUSE {
            self.shown = Instant::now();
            show_status(&self.describe(self.started.elapsed()));
        }
    }

    fn describe(&self, elapsed: Duration) -> String {
        let remaining = self.total.saturating_sub(self.done);
        let time = elapsed.mul_f64(remaining as f64 / self.done.max(1) as f64);
        let time = time::format(Duration::from_secs(time.as_secs()));
        format!("{} of {} sockets, {time} left", self.done, self.total)
    }

    /// All is done: removes the status line.
    pub fn finish(&self) {
        clear_status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remaining_time_is_estimated_from_the_time_so_far() {
        let mut progress = Progress::new();
        progress.add(10_000);
        progress.done = 2_500;
        let text = progress.describe(Duration::from_secs(2));
        assert_eq!(text, "2500 of 10000 sockets, 6s left");
        // Sockets that were opened meanwhile.
        progress.done = 10_001;
        assert_eq!(progress.describe(Duration::ZERO), "10001 of 10000 sockets, 0s left");
    }
}
