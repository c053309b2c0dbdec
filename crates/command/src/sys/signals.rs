//! Signals that are read from a descriptor instead of ending the process: signalfd(2).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals that this thread blocks and reads.
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks these signals in this thread. From now on the descriptor is readable once one came.
    pub fn block(signals: impl IntoIterator<Item = Signal>) -> io::Result<Self> {
        let set: SigSet = signals.into_iter().collect();
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// The next signal that came, if there is one.
    pub fn read(&self) -> Option<Signal> {
        let signal = self.0.read_signal().ok()??;
        Signal::try_from(signal.ssi_signo as i32).ok()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
