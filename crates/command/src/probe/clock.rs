//! The time, the signals that end a measurement, and waiting for both.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::time::{ClockId, clock_gettime};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Counts from when it was made, and while the machine sleeps, too: a path forgets then as well.
pub struct Clock {
    begin: Duration,
    signals: SignalFd,
}

impl Clock {
    /// From now on SIGINT and SIGTERM are heard here.
    pub fn new() -> io::Result<Self> {
        let mut ending = SigSet::empty();
        ending.add(Signal::SIGINT);
        ending.add(Signal::SIGTERM);
        ending.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&ending, flags)?;
        Ok(Self { begin: boot_time()?, signals })
    }

    /// The time since the begin, in seconds.
    pub fn now(&self) -> f64 {
        // It worked at the begin, and the kernel has this clock since Linux 2.6.39.
        boot_time().map_or(0.0, |now| now.saturating_sub(self.begin).as_secs_f64())
    }

    /// Waits this many seconds, or until one of these can be read, has an error, or takes data
    /// (where that is asked for). Whether a signal came.
    pub fn wait<'a>(&self, seconds: f64, fds: impl Iterator<Item = (&'a dyn AsFd, bool)>) -> bool {
        let mut polled = vec![PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN)];
        polled.extend(fds.map(|(fd, takes_data)| {
            let flags = if takes_data { PollFlags::OUT } else { PollFlags::IN };
            PollFd::from_borrowed_fd(fd.as_fd(), flags)
        }));
        let time = Timespec::try_from(Duration::from_secs_f64(seconds.clamp(0.001, 60.0))).ok();
        // An error is EINTR: the caller waits again.
        let _ = poll(&mut polled, time.as_ref());
        matches!(self.signals.read_signal(), Ok(Some(_)))
    }
}

fn boot_time() -> io::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_BOOTTIME)?.into())
}
