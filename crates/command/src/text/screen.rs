//! The whole terminal, to draw on again and again: console_codes(4), termios(3). It is left as it
//! was, however the command ends.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anstream::AutoStream;
use nix::sys::signal::{SigSet, Signal, raise};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::stdio::{stdin, stdout};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::message::{without_styles, write_all};
use crate::sys::signals::Signals;

/// A screen beside the usual one, no cursor, no lines that go on in the next one.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
/// Erases what is behind the cursor, in the line and on the screen.
const ERASE_LINE: &str = "\x1b[K";
const ERASE_BELOW: &str = "\x1b[J";

/// The events that end a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The time is over, or the size has changed: draw again.
    Draw,
    /// q, or a signal that ends a program.
    End,
}

/// Waits for time, keys and signals. Those that end or stop a program are blocked meanwhile.
pub struct Events {
    signals: Signals,
    /// The modes of the terminal on stdin, as they were; None where there is none.
    modes: Option<Termios>,
    /// Whether keys can be read there: a terminal that is gone is not asked again.
    has_keys: bool,
    is_drawn_on: bool,
}

impl Events {
    /// With the whole screen, or without it.
    pub fn new(is_drawn_on: bool) -> io::Result<Self> {
        let ending = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
        let drawing = [Signal::SIGTSTP, Signal::SIGCONT, Signal::SIGWINCH];
        let drawing = drawing.into_iter().filter(|_| is_drawn_on);
        let signals = Signals::block(ending.into_iter().chain(drawing))?;
        let modes = if is_drawn_on { tcgetattr(stdin()).ok() } else { None };
        let has_keys = modes.is_some();
        let events = Self { signals, modes, has_keys, is_drawn_on };
        events.enter();
        Ok(events)
    }

    /// What can be read once a signal has come.
    pub fn signals(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }

    /// Waits until something comes, at most this long.
    pub fn wait(&mut self, time: Duration) -> Event {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let keys = self.has_keys.then(stdin);
            let mut fds = vec![PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN)];
            fds.extend(keys.map(|keys| PollFd::from_borrowed_fd(keys, PollFlags::IN)));
            match poll(&mut fds, Timespec::try_from(left).ok().as_ref()) {
                Ok(0) => return Event::Draw,
                Err(Errno::INTR) => continue,
                Err(_) => {
                    std::thread::sleep(left);
                    return Event::Draw;
                }
                Ok(_) => {}
            }
            let has_key = fds.get(1).is_some_and(|keys| !keys.revents().is_empty());
            if has_key && keys.is_some_and(|keys| self.is_last_key(keys)) {
                return Event::End;
            }
            match self.signals.read() {
                None => continue,
                Some(Signal::SIGWINCH) => {}
                Some(Signal::SIGTSTP) => self.stop(),
                // SIGSTOP, which nobody can block, had stopped it.
                Some(Signal::SIGCONT) => self.enter(),
                Some(_) => return Event::End,
            }
            return Event::Draw;
        }
    }

    /// Whether a key that was pressed is q.
    fn is_last_key(&mut self, keys: BorrowedFd<'_>) -> bool {
        let mut bytes = [0; 64];
        match rustix::io::read(keys, &mut bytes) {
            Err(Errno::INTR | Errno::AGAIN) => false,
            Ok(0) | Err(_) => {
                self.has_keys = false;
                false
            }
            Ok(length) => bytes[..length].iter().any(|key| matches!(key, b'q' | b'Q')),
        }
    }

    /// Stops, as a job does, until it is continued.
    fn stop(&mut self) {
        self.leave();
        let signal = SigSet::from(Signal::SIGTSTP);
        let _ = signal.thread_unblock();
        let _ = raise(Signal::SIGTSTP);
        let _ = signal.thread_block();
        // Somebody may have changed them meanwhile.
        self.modes = self.modes.take().and_then(|_| tcgetattr(stdin()).ok());
        self.enter();
    }

    fn enter(&self) {
        if !self.is_drawn_on {
            return;
        }
        if let Some(mut modes) = self.modes.clone() {
            // Each key at once and unseen; those that send a signal still do.
            modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
            let _ = tcsetattr(stdin(), OptionalActions::Now, &modes);
        }
        let _ = write(ENTER);
    }

    fn leave(&self) {
        if self.is_drawn_on {
            let _ = write(LEAVE);
        }
        if let Some(modes) = &self.modes {
            let _ = tcsetattr(stdin(), OptionalActions::Now, modes);
        }
    }

    /// Draws these lines from the top.
    pub fn draw(&self, text: &str) -> io::Result<()> {
        let text = without_styles(text, AutoStream::choice(&io::stdout()));
        let lines: Vec<_> = text.lines().collect();
        Ok(write(&format!(
            "{HOME}{}{ERASE_LINE}{ERASE_BELOW}",
            lines.join(&format!("{ERASE_LINE}\r\n"))
        ))?)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.leave();
    }
}

/// How many columns and lines the terminal has, if stdout is one that can be drawn on.
pub fn size() -> Option<(usize, usize)> {
    let is_dumb = std::env::var_os("TERM").is_none_or(|name| name.is_empty() || name == "dumb");
    let size = rustix::termios::tcgetwinsize(stdout()).ok()?;
    let is_known = size.ws_col > 0 && size.ws_row > 0;
    (is_known && !is_dumb).then_some((size.ws_col.into(), size.ws_row.into()))
}

fn write(text: &str) -> Result<(), Errno> {
    write_all(stdout(), text, None)
}
