//! Says how far a measurement is: one line on a terminal, a line for each answer without one. Signals
//! end it.

use std::io::IsTerminal;
use std::time::Duration;

use libkeepalive_measure::{Activity, Finding, Next, Progress};

use super::report::{seconds, seconds_up};
use crate::sys::signals::Signals;
use crate::text::{clear_status, print_stderr, report_error, show_status, time};

/// Watches a measurement.
pub struct Observer<'a> {
    signals: &'a Signals,
    shown: String,
    answered_after: u64,
    forgotten_after: Option<u64>,
    is_closing: bool,
}

impl<'a> Observer<'a> {
    /// The first of these signals ends it, the second one leaves at once.
    pub fn new(signals: &'a Signals) -> Self {
        let (shown, answered_after, forgotten_after) = (String::new(), 0, None);
        Self { signals, shown, answered_after, forgotten_after, is_closing: false }
    }

    /// Says what is new.
    pub fn observe(&mut self, progress: &Progress) -> Next {
        if std::io::stderr().is_terminal() {
            self.show(progress);
        } else {
            self.append(progress);
        }
        let Activity::Closing(finding) = progress.activity else {
            return if self.signals.read().is_some() { Next::Finish } else { Next::Continue };
        };
        if !self.is_closing {
            self.is_closing = true;
            clear_status();
            if matches!(finding, Finding::Interrupted | Finding::Slept(_)) {
                report_error(
                    "interrupted: closing the connections; a second signal leaves at once",
                );
            }
        }
        if self.signals.read().is_some() { Next::Abandon } else { Next::Continue }
    }

    fn show(&mut self, progress: &Progress) {
        let line = format!("{}: {}", elapsed(progress), describe(progress));
        if !self.is_closing && self.shown != line {
            show_status(&line);
            self.shown = line;
        }
    }

    fn append(&mut self, progress: &Progress) {
        let elapsed = elapsed(progress);
        let low = progress.answered_after.map_or(0, |time| time.as_secs());
        let high = progress.forgotten_after.map(|time| time.as_secs_f64().ceil() as u64);
        // The control connection's own answers are not worth a line.
        if low > self.answered_after && low >= 5 {
            print_stderr(&format!("{elapsed}: answered after {low} s without traffic\n"));
        }
        if let Some(high) = high.filter(|_| high != self.forgotten_after) {
            print_stderr(&format!("{elapsed}: forgotten after {high} s without traffic\n"));
        }
        (self.answered_after, self.forgotten_after) = (low, high);
    }
}

fn elapsed(progress: &Progress) -> String {
    time::format(Duration::from_secs(progress.elapsed.as_secs()))
}

fn describe(progress: &Progress) -> String {
    let high = progress.forgotten_after.map(seconds_up);
    let known = match (progress.answered_after.map(seconds), high) {
        (Some(low), Some(high)) => format!("forgotten between {low} and {high}"),
        (Some(low), None) => format!("remembered for {low}"),
        (None, Some(high)) => format!("forgotten within {high}"),
        (None, None) => "nothing is known yet".into(),
    };
    let next = match progress.activity {
        Activity::NoAnswer => "the server does not answer at all at the moment".into(),
        Activity::Probing(idle) => format!("no answer yet after {} idle", seconds(idle)),
        Activity::Waiting { idle, remaining } => {
            format!("next probe in {}, after {} idle", seconds(remaining), seconds(idle))
        }
        _ => "opening connections".into(),
    };
    format!("{known}; {next}")
}
