//! Why a process cannot be found or looked into.

use std::io;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::denied::Denied;
use crate::text::error::describe;
use crate::worker::Lock;

/// Why a process cannot be found or looked into.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum Error {
    #[error("it has ended")]
    Ended,
    #[error("there is no such process")]
    NoProcess,
    #[error("a thread; name its process")]
    Thread,
    #[error("/proc does not show this process (hidepid= of its mount; ProtectProc= of systemd)")]
    Hidden,
    #[error(
        "/proc does not show other users' processes (hidepid= of its mount; ProtectProc= of \
         systemd)"
    )]
    OthersHidden,
    #[error("/proc is not mounted: nothing can be seen of any process")]
    NoProc,
    #[error(
        "/proc shows the processes of another pid namespace, in which this number is another \
         process's (nsenter(1) needs --mount beside --pid; unshare(1) --mount-proc)"
    )]
    PidNamespace,
    #[error(
        "its first thread has ended (pthread_exit(3)), and this kernel does not let others be \
         reached (Linux 6.9 does)"
    )]
    FirstThreadEnded,
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The duplicates of its sockets are denied, but not what sock_diag(7) shows.
    #[error("options unknown: {0}")]
    OptionsDenied(Denied),
    #[error("its timers are unknown: sock_diag(7): {0}")]
    NoTimers(String),
    #[error("its network namespace cannot be entered, so its timers are unknown: {0}")]
    NoNamespace(String),
    /// It holds up this command.
    #[error(transparent)]
    Hangs(#[from] Lock),
    #[error("this kernel has no pidfd_getfd(2) (Linux 5.6 does), or a seccomp filter hides it")]
    NoPidfdGetfd,
    #[error("no descriptor is left for this command (ulimit -n)")]
    NoDescriptor,
    #[error("no descriptor is left on this machine (fs.file-max)")]
    NoDescriptorOnMachine,
    #[error("/proc: Cannot allocate memory")]
    NoMemory,
    #[error("no cgroup v2 tree is mounted")]
    NoCgroups,
    /// In the words of the system or of whoever read it.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// What an error that came while a process was looked into means.
    pub fn new(pid: i32, error: &io::Error) -> Self {
        if is_denied(error) { Denied::from_pid(pid).into() } else { error.into() }
    }

    /// Whether this process, or the machine, has run out of something.
    pub fn is_exhaustion(&self) -> bool {
        matches!(self, Self::NoDescriptor | Self::NoDescriptorOnMachine | Self::NoMemory)
    }
}

impl From<&io::Error> for Error {
    fn from(error: &io::Error) -> Self {
        match error.raw_os_error() {
            _ if is_gone(error) => Self::Ended,
            Some(libc::ENOSYS) => Self::NoPidfdGetfd,
            Some(libc::EMFILE) => Self::NoDescriptor,
            Some(libc::ENFILE) => Self::NoDescriptorOnMachine,
            Some(libc::ENOMEM) => Self::NoMemory,
            Some(_) => Self::Other(format!("/proc: {}", describe(error))),
            None => {
                let own = error.get_ref().and_then(|error| error.downcast_ref());
                own.cloned().unwrap_or_else(|| Self::Other(describe(error)))
            }
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        (&error).into()
    }
}

/// Whether an error means that the process or the socket is gone.
pub fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ENOENT | libc::EBADF))
}

/// Whether an error means that the kernel does not let this process look.
pub fn is_denied(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES))
}
