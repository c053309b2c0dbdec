//! What is there: processes by number or by name, what /proc tells of them, and their sockets.

pub mod findings;
mod inspect;
mod network;
mod refusal;
mod selection;
mod socket;

pub use inspect::{Inspected, Inspector, Socket};
pub use network::{Network, Networks, Timer, TimerKind};
pub use refusal::why;
pub use selection::SelectionArgs;
pub use socket::{Duplicate, Options, Protocol, State, does_not_exist};

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use procfs::ProcError;
use procfs::process::Process;
use rustix::fs::{Dir, Mode, OFlags, readlinkat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::terminal::printable;

/// A process that runs.
pub struct Target {
    /// Its number.
    pub pid: i32,
    /// Its name, as ps(1) shows it.
    pub name: String,
    process: Process,
    handle: OwnedFd,
}

impl Target {
    /// The process with this number.
    fn open(pid: i32) -> io::Result<Self> {
        let number = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
        // The handle comes first: if another process gets the number meanwhile, what is read
        // below is that one's, but none of its sockets is touched.
        let handle = pidfd_open(number, PidfdFlags::empty())?;
        let process = Process::new(pid).map_err(io_error)?;
        let name = process.stat().map_err(io_error)?.comm;
        Ok(Self { pid, name, process, handle })
    }

    /// Its handle for pidfd_getfd(2).
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// The descriptors of its sockets of every kind, each with the socket's inode. (Duplicating
    /// anything else could have effects when the duplicate is closed: a device may act on that.)
    pub fn sockets(&self) -> io::Result<Vec<(i32, u64)>> {
        let path = format!("/proc/{}/fd", self.pid);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())?;
        let mut sockets = Vec::new();
        let mut link = Vec::with_capacity(64);
        for entry in Dir::read_from(&directory)? {
            let name = entry?.file_name().to_owned();
            let Ok(fd) = name.to_string_lossy().parse() else { continue };
            link = match readlinkat(&directory, &name, link) {
                Ok(link) => link.into_bytes(),
                // Closed since the directory was read.
                Err(Errno::NOENT) => Vec::with_capacity(64),
                // The directory may be listed, but not what is in it.
                Err(error) => return Err(error.into()),
            };
            sockets.extend(socket_inode(&link).map(|inode| (fd, inode)));
        }
        // A process that has ended, but that nobody has waited for, has no descriptors.
        if sockets.is_empty() && self.process.stat().map_err(io_error)?.state == 'Z' {
            return Err(Errno::SRCH.into());
        }
        Ok(sockets)
    }

    /// The preload library that is loaded in it, if one is.
    pub fn library(&self) -> io::Result<Option<PathBuf>> {
        let maps = std::fs::read(format!("/proc/{}/maps", self.pid))?;
        let maps = String::from_utf8_lossy(&maps);
        let path = |line: &str| line.find('/').map(|start| PathBuf::from(&line[start..]));
        let is_library = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default();
            name.as_encoded_bytes().starts_with(b"libkeepalive.so")
        };
        Ok(maps.lines().filter_map(path).find(is_library))
    }

    /// Its network namespace, and the inode that tells it from others.
    pub fn network(&self) -> io::Result<(File, u64)> {
        use std::os::unix::fs::MetadataExt;

        let file = File::open(format!("/proc/{}/ns/net", self.pid))?;
        let inode = file.metadata()?.ino();
        Ok((file, inode))
    }

    /// Whether `name` is its name, its program's file name, or the name it was started by.
    fn is_called(&self, name: &str) -> bool {
        let last = |path: &str| path.rsplit('/').next().map(str::to_owned);
        self.name == name
            || self.process.exe().is_ok_and(|path| path.file_name() == Some(name.as_ref()))
            || self.process.cmdline().is_ok_and(|arguments| {
                arguments.first().and_then(|argument| last(argument)).as_deref() == Some(name)
            })
    }

    /// Its credentials, from /proc.
    pub fn status(&self) -> io::Result<procfs::process::Status> {
        self.process.status().map_err(io_error)
    }

    /// The owner of its /proc/PID/fd: root if the process is not dumpable.
    pub fn owner_of_descriptors(&self) -> io::Result<u32> {
        use std::os::unix::fs::MetadataExt;

        Ok(std::fs::metadata(format!("/proc/{}/fd", self.pid))?.uid())
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", printable(&self.name), self.pid)
    }
}

/// The processes that the arguments name, each once, sorted by number; and what went wrong with
/// the other arguments.
pub fn find_all(arguments: &[String]) -> (Vec<Target>, Vec<String>) {
    let mut targets = Vec::new();
    let mut failures = Vec::new();
    for argument in arguments {
        match find(argument) {
            Ok(found) => targets.extend(found),
            Err(message) => failures.push(message),
        }
    }
    targets.sort_by_key(|target| target.pid);
    targets.dedup_by_key(|target| target.pid);
    (targets, failures)
}

/// The processes that an argument names: by number, or by name.
fn find(argument: &str) -> Result<Vec<Target>, String> {
    if !argument.is_empty() && argument.bytes().all(|byte| byte.is_ascii_digit()) {
        let gone = |error: io::Error| match error.raw_os_error() {
            Some(libc::ESRCH | libc::ENOENT) => format!("{argument}: there is no such process"),
            Some(libc::EINVAL) => format!("{argument}: a thread; name its process"),
            Some(libc::ENOSYS) => {
                "pidfd_open(2): this kernel does not have it (Linux 5.3 does), or a seccomp \
                 filter hides it"
                    .into()
            }
            _ => format!("{argument}: pidfd_open(2): {error}"),
        };
        let pid = argument.parse().map_err(|_| format!("{argument}: there is no such process"))?;
        return Target::open(pid).map(|target| vec![target]).map_err(gone);
    }
    let mut named = all().map_err(|error| format!("/proc: {error}"))?;
    named.retain(|target| target.is_called(argument));
    if named.is_empty() {
        return Err(format!("{argument}: no process has this name"));
    }
    Ok(named)
}

/// Every process except this one and the kernel's threads.
pub fn all() -> io::Result<Vec<Target>> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let mut targets = Vec::new();
    for process in procfs::process::all_processes().map_err(io_error)? {
        // A process that has ended meanwhile is not an error.
        let Ok(process) = process else { continue };
        let is_kernel_thread = process.stat().is_ok_and(|stat| stat.vsize == 0);
        if process.pid() == own || is_kernel_thread {
            continue;
        }
        targets.extend(Target::open(process.pid()));
    }
    targets.sort_by_key(|target| target.pid);
    Ok(targets)
}

/// Whether an error means that the process or the socket is gone.
pub fn vanished(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ENOENT | libc::EBADF))
}

/// The inode in `socket:[123]`, which is what a descriptor of a socket links to.
fn socket_inode(link: &[u8]) -> Option<u64> {
    let inode = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(inode).ok()?.parse().ok()
}

/// An error of procfs, as the system's.
fn io_error(error: ProcError) -> io::Error {
    match error {
        ProcError::PermissionDenied(_) => Errno::ACCESS.into(),
        ProcError::NotFound(_) => Errno::SRCH.into(),
        ProcError::Io(error, _) => error,
        other => io::Error::other(other),
    }
}
