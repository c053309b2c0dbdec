//! What happened in a run: when, who noticed, what.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

/// The course of one run, and the line that sums it up.
pub struct Timeline {
    title: String,
    begin: Instant,
    events: Vec<(Duration, String, String)>,
    /// The cells of its line in the table.
    pub row: Vec<String>,
}

impl Timeline {
    /// Time begins now.
    pub fn begin(title: impl Into<String>) -> Self {
        Self { title: title.into(), begin: Instant::now(), events: Vec::new(), row: Vec::new() }
    }

    /// How long ago that was.
    pub fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Something is seen.
    pub fn event(&mut self, who: &str, what: impl Into<String>) {
        self.events.push((self.elapsed(), who.into(), what.into()));
    }
}

impl Display for Timeline {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        writeln!(to, "{}", self.title)?;
        for (time, who, what) in &self.events {
            writeln!(to, "{:7.1} s  {who:<16} {what}", time.as_secs_f64())?;
        }
        Ok(())
    }
}
