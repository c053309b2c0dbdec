//! What the Rust runtime changes before `main`, and how it is put back before the program of
//! `run` starts: it ignores SIGPIPE, and opens /dev/null in place of a standard descriptor that
//! is closed. (`std::process::Command::exec` sets SIGPIPE to its default and unblocks every
//! signal, whatever was inherited; env(1) and nice(1) leave all of that alone, and so does `run`.)

use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::os::fd::BorrowedFd;

static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);
static CLOSED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];

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
            // SAFETY: borrowed for one call, which may find that it is not open.
            let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
            closed.store(fcntl(descriptor, FcntlArg::F_GETFD).is_err(), Ordering::Relaxed);
        }
    }
}

/// Puts back what was inherited. Nothing may be printed afterwards unless [`run`](super::run)
/// failed.
pub fn restore() {
    if !SIGPIPE_IGNORED.load(Ordering::Relaxed) {
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        // SAFETY: no handler that could be called. It cannot fail: the signal exists.
        let _ = unsafe { sigaction(Signal::SIGPIPE, &default) };
    }
    for (number, closed) in (0..).zip(&CLOSED) {
        if closed.load(Ordering::Relaxed) {
            // If it is closed already, that is what is wanted.
            let _ = nix::unistd::close(number);
        }
    }
}
