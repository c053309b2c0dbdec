//! How the command speaks: messages, tables, progress, and names that other users chose.

use std::fmt::Display;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::stdio::{stderr, stdout};

use crate::startup;

/// Prints a message on stderr. Every message of the command begins this way.
pub fn complain(message: impl Display) {
    warn(&format!("keepalive: {message}\n"));
}

/// Prints a text on stderr. If it cannot be written the work goes on: the exit status tells. A
/// full pipe that does not block is waited for once.
pub fn warn(text: &str) {
    static IS_STUCK: AtomicBool = AtomicBool::new(false);

    let patience = if IS_STUCK.load(Ordering::Relaxed) { 0 } else { 1 };
    let text = without_styles(text, AutoStream::choice(&io::stderr()));
    if let Err(Errno::AGAIN) = write(stderr(), &text, Some(Duration::from_secs(patience))) {
        IS_STUCK.store(true, Ordering::Relaxed);
    }
}

/// Prints a text on stdout. A reader that has closed the pipe has read enough: head(1), less(1).
pub fn print(text: &str) -> io::Result<()> {
    let text = without_styles(text, AutoStream::choice(&io::stdout()));
    match write(stdout(), &text, None) {
        Err(error) if error != Errno::PIPE => Err(error.into()),
        _ => Ok(()),
    }
}

fn without_styles(text: &str, choice: ColorChoice) -> String {
    if choice == ColorChoice::Never { strip_str(text).to_string() } else { text.to_owned() }
}

/// Writes all of a text. Where the descriptor takes nothing more at the moment it waits, as if the
/// descriptor blocked, but each time at most this long.
fn write(fd: BorrowedFd<'_>, text: &str, patience: Option<Duration>) -> Result<(), Errno> {
    if startup::was_closed(fd) {
        return Err(Errno::BADF);
    }
    let patience = patience.and_then(|time| Timespec::try_from(time).ok());
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match rustix::io::write(fd, rest) {
            Ok(written) => rest = &rest[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                match poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], patience.as_ref()) {
                    Ok(0) => return Err(Errno::AGAIN),
                    Err(error) if error != Errno::INTR => return Err(error),
                    _ => {}
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
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
    match rustix::termios::tcgetwinsize(stdout()) {
        Ok(size) if size.ws_col > 0 => {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(size.ws_col);
        }
        _ => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    // The same choice for the cells as for everything else.
    if AutoStream::choice(&io::stdout()) == ColorChoice::Never {
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
