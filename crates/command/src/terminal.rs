//! How the command speaks: messages, tables, progress, and names that other users chose.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use anstream::ColorChoice;
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Prints a message on stderr. Every message of the command begins this way.
pub fn complain(message: impl Display) {
    anstream::eprintln!("keepalive: {message}");
}

/// Prints a text on stdout. A reader that has closed the pipe has read enough: head(1), less(1).
pub fn print(text: &str) -> io::Result<()> {
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// A text that another user may have chosen, for a terminal: one line, and no escape that a
/// terminal would obey.
pub fn printable(text: &str) -> impl Display {
    text.escape_debug()
}

/// `1 process`, `2 processes`.
pub fn count(number: usize, what: &str) -> String {
    let plural = if what.ends_with('s') { "es" } else { "s" };
    format!("{number} {what}{}", if number == 1 { "" } else { plural })
}

/// A table that fits the terminal. Where there is none, it is as wide as it needs to be.
pub fn table() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    match rustix::termios::tcgetwinsize(rustix::stdio::stdout()) {
        Ok(size) if size.ws_col > 0 => {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(size.ws_col);
        }
        _ => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    // The same choice for the cells as for everything else.
    if anstream::AutoStream::choice(&std::io::stdout()) == ColorChoice::Never {
        table.force_no_tty();
    } else {
        table.enforce_styling();
    }
    table
}

/// A bar on the terminal, once the work has taken a second.
pub struct Progress {
    bar: ProgressBar,
    begin: Instant,
    is_shown: bool,
}

impl Progress {
    /// For this much work.
    pub fn new(total: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden());
        if let Ok(style) =
            ProgressStyle::with_template("{wide_bar} {pos}/{len} sockets, {eta} left")
        {
            bar.set_style(style);
        }
        Self { bar, begin: Instant::now(), is_shown: false }
    }

    /// One more is done.
    pub fn step(&mut self) {
        if !self.is_shown && self.begin.elapsed() > Duration::from_secs(1) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.is_shown = true;
        }
        self.bar.inc(1);
    }

    /// All is done: the bar is removed.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
