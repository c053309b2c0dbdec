//! What the Rust runtime changes before `main`: it ignores SIGPIPE, and opens /dev/null in place of
//! a standard descriptor that is closed. So a closed one is remembered, since what is written there
//! is lost, and both are put back before the program of `run` starts.
//! (`std::process::Command::exec` sets SIGPIPE to its default and unblocks every signal, whatever
//! was inherited; env(1) and nice(1) leave all of that alone, and so does `run`.)

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);
static CLOSED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];

// Miri knows none of these calls.
#[cfg(not(miri))]
ctor::declarative::ctor! {
    /// Looks at what was inherited, before the runtime changes it.
    #[ctor(unsafe)]
    fn look() {
        // SAFETY: a `sigaction` may be all zeros: no flags, SIG_DFL.
        let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: no new action is given; the kernel writes the old one.
        unsafe { libc::sigaction(libc::SIGPIPE, std::ptr::null(), &mut old) };
        SIGPIPE_IGNORED.store(old.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
        for (number, closed) in (0..).zip(&CLOSED) {
            // By number, as a `BorrowedFd` is always open.
            // SAFETY: F_GETFD takes any number and touches no memory.
            let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
            closed.store(flags == -1, Ordering::Relaxed);
        }
    }
}

/// Whether a standard descriptor was closed.
pub fn was_closed(fd: BorrowedFd<'_>) -> bool {
    let number = usize::try_from(fd.as_raw_fd()).unwrap_or(usize::MAX);
    CLOSED.get(number).is_some_and(|closed| closed.load(Ordering::Relaxed))
}

/// Puts back what was inherited.
pub fn restore() {
    if !SIGPIPE_IGNORED.load(Ordering::Relaxed) {
        handle_sigpipe(SigHandler::SigDfl);
    }
    for (number, closed) in (0..).zip(&CLOSED) {
        if closed.load(Ordering::Relaxed) {
            // It is the runtime's /dev/null, which nobody owns. An error means closed already.
            let _ = nix::unistd::close(number);
        }
    }
}

/// After [`restore`], when there is something to say after all: a pipe that nobody reads must not
/// end the command.
pub fn ignore_sigpipe() {
    handle_sigpipe(SigHandler::SigIgn);
}

fn handle_sigpipe(handler: SigHandler) {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler that could be called. It cannot fail: the signal exists.
    let _ = unsafe { sigaction(Signal::SIGPIPE, &action) };
}
