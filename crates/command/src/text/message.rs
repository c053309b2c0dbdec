//! Writes to stdout and stderr: results, messages, and a status line on a terminal.

use std::fmt::Display;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::stdio::{stderr, stdout};

use crate::sys::{startup, syslog};

/// Prints a message on stderr. Every message of the command begins this way.
pub fn report_error(message: impl Display) {
    print_stderr(&format!("keepalive: {message}\n"));
}

/// Prints a text on stderr. If it cannot be written the work goes on: the exit status tells. A
/// full pipe that does not block is waited for once. Where there is no stderr it goes to the log.
pub fn print_stderr(text: &str) {
    static IS_STUCK: AtomicBool = AtomicBool::new(false);

    if syslog::send(text) {
        return;
    }
    clear_status();
    let patience = if IS_STUCK.load(Ordering::Relaxed) { 0 } else { 1 };
    let text = without_styles(text, AutoStream::choice(&io::stderr()));
    if let Err(Errno::AGAIN) = write_all(stderr(), &text, Some(Duration::from_secs(patience))) {
        IS_STUCK.store(true, Ordering::Relaxed);
    }
}

/// Whether the last line of the terminal is a status line.
static HAS_STATUS: AtomicBool = AtomicBool::new(false);
/// Moves the cursor to the start of the line and erases the line (console_codes(4)).
const ERASE: &str = "\r\x1b[K";

/// Shows one line on the terminal in place of the last one, until something else is printed. Does
/// nothing if stderr is not a terminal.
pub fn show_status(text: &str) {
    if let Ok(size) = rustix::termios::tcgetwinsize(stderr()) {
        let width = usize::from(size.ws_col).saturating_sub(1);
        let line: String = text.chars().take(if width > 0 { width } else { 79 }).collect();
        let _ = write_all(stderr(), &format!("{ERASE}{line}"), Some(Duration::ZERO));
        HAS_STATUS.store(true, Ordering::Relaxed);
    }
}

/// Removes the status line.
pub fn clear_status() {
    if HAS_STATUS.swap(false, Ordering::Relaxed) {
        let _ = write_all(stderr(), ERASE, Some(Duration::ZERO));
    }
}

/// Prints a text on stdout.
pub fn print(text: &str) -> io::Result<()> {
    print_unaltered(&without_styles(text, AutoStream::choice(&io::stdout())))
}

/// Appends a text to stdout. False if nobody reads it any more.
pub fn append(text: &str) -> io::Result<bool> {
    let text = without_styles(text, AutoStream::choice(&io::stdout()));
    match write_all(stdout(), &text, None) {
        Err(Errno::PIPE) => Ok(false),
        written => written.map(|()| true).map_err(Into::into),
    }
}

/// Prints on stdout with its styles. A reader that closed the pipe has read enough: head(1), less(1).
pub(super) fn print_unaltered(text: &str) -> io::Result<()> {
    match write_all(stdout(), text, None) {
        Err(error) if error != Errno::PIPE => Err(error.into()),
        _ => Ok(()),
    }
}

pub(super) fn without_styles(text: &str, choice: ColorChoice) -> String {
    if choice == ColorChoice::Never { strip_str(text).to_string() } else { text.to_owned() }
}

/// Writes all of a text. Where the descriptor takes nothing more at the moment it waits, as if the
/// descriptor blocked, but at most this long.
pub(super) fn write_all(
    fd: BorrowedFd<'_>,
    text: &str,
    patience: Option<Duration>,
) -> Result<(), Errno> {
    if startup::was_closed(fd) {
        return Err(Errno::BADF);
    }
    // Signals interrupt poll(2), so it may be called again and again.
    let until = patience.map(|patience| Instant::now() + patience);
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match rustix::io::write(fd, rest) {
            Ok(written) => rest = &rest[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let left = until.map(|until| until.saturating_duration_since(Instant::now()));
                let left = left.and_then(|left| Timespec::try_from(left).ok());
                match poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], left.as_ref()) {
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
