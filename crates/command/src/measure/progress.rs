//! What is said while it is measured: one line on a terminal, a line for each answer without one.

use std::io::IsTerminal;
use std::time::Duration;

use super::report::seconds;
use super::search::Search;
use crate::text::{print_stderr, show_status, time};

/// What was said last.
#[derive(Debug, Default)]
pub struct Progress {
    shown: Option<String>,
    low: u64,
    high: Option<u64>,
}

impl Progress {
    /// Says what is new.
    pub fn watch(&mut self, search: &Search, now: f64) {
        let elapsed = time::format(Duration::from_secs(now as u64));
        if std::io::stderr().is_terminal() {
            let line = format!("{elapsed}: {}", describe(search, now));
            if self.shown.as_ref() != Some(&line) {
                show_status(&line);
                self.shown = Some(line);
            }
            return;
        }
        let low = search.evidence.low().unwrap_or(0.0) as u64;
        let high = search.evidence.high().map(|high| high.ceil() as u64);
        // The control connection's own answers are not worth a line.
        if low > self.low && low >= 5 {
            print_stderr(&format!("{elapsed}: answered after {low} s without traffic\n"));
        }
        if let Some(high) = high.filter(|_| high != self.high) {
            print_stderr(&format!("{elapsed}: forgotten after {high} s without traffic\n"));
        }
        (self.low, self.high) = (low, high);
    }
}

fn describe(search: &Search, now: f64) -> String {
    let known = match (search.evidence.low(), search.evidence.high()) {
        (Some(low), Some(high)) => {
            format!("forgotten between {} and {}", seconds(low), seconds(high.ceil()))
        }
        (Some(low), None) => format!("remembered for {}", seconds(low)),
        (None, Some(high)) => format!("forgotten within {}", seconds(high.ceil())),
        (None, None) => "opening connections".into(),
    };
    let next = if search.is_silent() {
        "the server does not answer at all at the moment".into()
    } else if let Some(idle) = search.question() {
        format!("asking one that was idle for {}: no answer yet", seconds(idle))
    } else if let Some((idle, left)) = search.next_question(now) {
        format!("next one is asked in {}, after {}", seconds(left.max(0.0)), seconds(idle))
    } else {
        "going on".into()
    };
    format!("{known}; {next}")
}
