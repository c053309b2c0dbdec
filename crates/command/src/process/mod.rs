//! What is there: one process, its sockets, its network namespace and its control group.

mod cgroup;
mod command_line;
mod denied;
mod error;
mod inspect;
mod left_out;
mod library;
mod namespace;
mod opened;
mod proc;
mod sock_diag;
mod socket;
mod timer;
mod user;

#[cfg(test)]
pub use cgroup::Place;
pub use cgroup::{
    all_below, container_id, is_container_id, is_of_root, is_threaded, is_unit, mounted_at,
    processes_of, walk,
};
pub use command_line::CommandLine;
pub use denied::{NotFollowed, yama_hides_children};
pub use error::{Error, is_denied, is_gone};
pub use inspect::{Inspected, Inspector, Library, Socket};
pub use left_out::{describe_hang, describe_unasked, left_out};
pub use namespace::{Namespace, Namespaces};
pub use opened::OpenProcess;
pub use proc::{Proc, all_pids, check_others_visible, check_proc, has_ended};
pub use sock_diag::{Timer, TimerKind};
pub use socket::{Duplicate, Info, Options, Protocol, State, does_not_exist};
pub use timer::{is_older_than_options, longest_pause};

use std::io;
use std::os::fd::OwnedFd;

use procfs::process::Stat;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use crate::text::printable;
use crate::worker::ProcessId;

/// A process that was found. Nothing is open for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its name, as ps(1) shows it.
    pub name: String,
    /// When it started: another process can get its number later.
    pub start: u64,
}

impl Process {
    /// The process with this number.
    pub fn from_pid(pid: i32) -> Result<Self, Error> {
        let found = Proc::open(pid).and_then(|proc| Ok((proc.stat()?, proc.status()?.tgid)));
        match found {
            Ok((_, process)) if process != pid => Err(Error::Thread),
            Ok((stat, _)) => Ok(stat.into()),
            Err(error) if is_gone(&error) => {
                let handle =
                    pidfd_open(Pid::from_raw(pid).ok_or(Error::NoProcess)?, PidfdFlags::empty());
                Err(if handle.is_ok() { Error::Hidden } else { Error::NoProcess })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// This process itself.
    pub fn own() -> Result<Self, Error> {
        check_proc()?;
        Self::from_pid(rustix::process::getpid().as_raw_nonzero().get())
    }

    /// What tells it from all others.
    pub fn id(&self) -> ProcessId {
        ProcessId { pid: self.pid, start: self.start }
    }

    /// Whether this is the same process, whatever its name is by now.
    pub fn is_same(&self, other: &Self) -> bool {
        self.id() == other.id()
    }

    /// A handle that can be polled for its end. ESRCH says that it has ended.
    pub fn pidfd(&self) -> io::Result<OwnedFd> {
        let directory = Proc::open(self.pid)?;
        let handle = pidfd_open(Pid::from_raw(self.pid).ok_or(Errno::SRCH)?, PidfdFlags::empty())?;
        // It still runs, so its number was not given to another before.
        if directory.stat()?.starttime != self.start {
            return Err(Errno::SRCH.into());
        }
        Ok(handle)
    }
}

#[cfg(test)]
impl Process {
    /// One that need not be there.
    pub fn fake(pid: i32, name: &str) -> Self {
        Self { pid, name: name.into(), start: 0 }
    }
}

impl From<Stat> for Process {
    fn from(stat: Stat) -> Self {
        Self { pid: stat.pid, name: stat.comm, start: stat.starttime }
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", printable(&self.name), self.pid)
    }
}
