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

    /// The same, but for those that whoever started us wants ignored.
    pub fn block_unless_ignored(signals: impl IntoIterator<Item = Signal>) -> io::Result<Self> {
        Self::block(signals.into_iter().filter(|signal| !is_ignored(*signal)))
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

/// Whether a signal is ignored, as nohup(1) and a shell's background jobs are started: a blocked one
/// would come all the same (signal(7)).
fn is_ignored(signal: Signal) -> bool {
    // SAFETY: a structure of integers and a pointer, for which zeros are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: changes nothing, and the kernel writes a structure that lives until then.
    let result = unsafe { libc::sigaction(signal as i32, std::ptr::null(), &raw mut action) };
    result == 0 && action.sa_sigaction == libc::SIG_IGN
}
