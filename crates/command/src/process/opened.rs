//! A process that is open, so that another that gets its number is not taken for it.

use std::io::{self, Read};
use std::ops::Deref;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::error::{Error, is_gone};
use super::proc::{Proc, has_ended};
use super::{Duplicate, Process};
use crate::worker::{Lock, ProcessId, why_left_out};

/// A process that is open, to look into.
pub struct OpenProcess {
    pub(super) id: ProcessId,
    proc: Proc,
    pub(super) handle: OwnedFd,
}

/// PIDFD_THREAD (Linux 6.9), which rustix does not name.
const PIDFD_THREAD: PidfdFlags = PidfdFlags::from_bits_retain(libc::O_EXCL as u32);

/// How often a process is opened again because its thread has ended meanwhile.
const ATTEMPTS: usize = 3;

impl Process {
    /// Opens the process and does the work on it. If the thread through which it was opened ends
    /// meanwhile but the process goes on, the work is repeated through another thread.
    pub fn with<T>(&self, mut work: impl FnMut(&OpenProcess) -> io::Result<T>) -> Result<T, Error> {
        let mut attempt = 1;
        loop {
            let opened = self.open().map_err(|error| Error::new(self.pid, &error))?;
            match work(&opened).and_then(|done| opened.check().map(|()| done)) {
                Ok(done) => return Ok(done),
                Err(error) if is_gone(&error) && attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(Error::new(self.pid, &error)),
            }
        }
    }

    /// Tries whether the socket that is this descriptor of it can be duplicated.
    pub fn try_descriptor(&self, fd: RawFd) -> io::Result<()> {
        let process = self.open()?;
        let sockets = process.sockets()?;
        let (_, inode) = sockets.iter().find(|(other, _)| *other == fd).ok_or(Errno::BADF)?;
        Ok(Duplicate::open(&process, fd, *inode).map(drop)?)
    }

    /// Opens it. ESRCH means that it has ended.
    fn open(&self) -> io::Result<OpenProcess> {
        if let Some(socket @ Lock::Socket { .. }) = why_left_out(self.id()) {
            return Err(io::Error::other(Error::Hangs(socket)));
        }
        let mut proc = Proc::open(self.pid)?;
        let stat = proc.stat()?;
        if stat.starttime != self.start {
            return Err(Errno::SRCH.into());
        }
        let (mut number, mut flags) = (self.pid, PidfdFlags::empty());
        if has_ended(&stat) {
            (proc, number) = proc.live_thread()?.ok_or(Errno::SRCH)?;
            flags = PIDFD_THREAD;
        }
        let handle = pidfd_open(Pid::from_raw(number).ok_or(Errno::SRCH)?, flags);
        let handle = handle.map_err(|error| match error {
            Errno::INVAL if flags == PIDFD_THREAD => io::Error::other(Error::FirstThreadEnded),
            error => error.into(),
        })?;
        if number_of(&handle)? != Some(number) {
            return Err(match proc.stat() {
                Ok(_) => io::Error::other(Error::PidNamespace),
                Err(error) => error,
            });
        }
        let opened = OpenProcess { id: self.id(), proc, handle };
        // It still runs, so its number was not given to another while it was opened.
        opened.check()?;
        Ok(opened)
    }
}

impl OpenProcess {
    /// ESRCH if it has ended: its descriptors only seem to be closed then.
    fn check(&self) -> io::Result<()> {
        if has_ended(&self.proc.stat()?) { Err(Errno::SRCH.into()) } else { Ok(()) }
    }
}

impl Deref for OpenProcess {
    type Target = Proc;

    fn deref(&self) -> &Proc {
        &self.proc
    }
}

/// The number of a process, or thread, in /proc, by its handle.
fn number_of(handle: &OwnedFd) -> io::Result<Option<i32>> {
    let mut text = String::new();
    let file = std::fs::File::open(format!("/proc/self/fdinfo/{}", handle.as_raw_fd()))?;
    file.take(4096).read_to_string(&mut text)?;
    Ok(text.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok()))
}
