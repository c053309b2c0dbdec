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
    begin_awake: Duration,
    signals: SignalFd,
}

/// They end a measurement.
const ENDING: [Signal; 3] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];

impl Clock {
    /// From now on SIGHUP, SIGINT and SIGTERM are heard here, unless whoever started us wants them
    /// ignored: nohup(1), a shell for what runs in the background.
    pub fn new() -> io::Result<Self> {
        let mut ending = SigSet::empty();
        ENDING.into_iter().filter(|signal| !is_ignored(*signal)).for_each(|it| ending.add(it));
        ending.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&ending, flags)?;
        // In this order, and in the other order later, it is never too much that it has slept.
        let begin_awake = time_of(ClockId::CLOCK_MONOTONIC)?;
        Ok(Self { begin: time_of(ClockId::CLOCK_BOOTTIME)?, begin_awake, signals })
    }

    /// The time since the begin, in seconds.
    pub fn now(&self) -> f64 {
        // It worked at the begin, and the kernel has this clock since Linux 2.6.39.
        time_of(ClockId::CLOCK_BOOTTIME)
            .map_or(0.0, |now| now.saturating_sub(self.begin).as_secs_f64())
    }

    /// For how many seconds the machine has slept since the begin: one of the two clocks stands
    /// still then (clock_getres(2)). When somebody sets the time of day, neither moves.
    pub fn slept(&self) -> f64 {
        let now = self.now();
        time_of(ClockId::CLOCK_MONOTONIC)
            .map_or(0.0, |awake| now - awake.saturating_sub(self.begin_awake).as_secs_f64())
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

fn time_of(clock: ClockId) -> io::Result<Duration> {
    Ok(clock_gettime(clock)?.into())
}

/// Whether a signal is ignored: a blocked one would come all the same (signal(7)).
fn is_ignored(signal: Signal) -> bool {
    // SAFETY: a structure of integers and a pointer, for which zeros are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: changes nothing, and the kernel writes a structure that lives until then.
    let result = unsafe { libc::sigaction(signal as i32, std::ptr::null(), &raw mut action) };
    result == 0 && action.sa_sigaction == libc::SIG_IGN
}
