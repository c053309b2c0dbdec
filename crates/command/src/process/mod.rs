//! What is there: processes by number, by name or by their control group, and their sockets.

mod apart;
mod cgroup;
mod command_line;
mod directory;
mod family;
mod held;
mod inspect;
mod library;
mod named;
mod network;
mod refusal;
mod selection;
mod socket;
mod timer;
mod trouble;
mod user;
mod wanted;

pub use apart::{Apart, End, Voice, Word, apart, errand, forget_children, processor_time, receive};
#[cfg(test)]
pub use cgroup::Place;
pub use cgroup::{Group, all_below, is_of_root, is_threaded, mounted_at};
#[cfg(test)]
pub use command_line::CommandLine;
pub use directory::own_descriptors;
pub use family::with_descendants;
pub use held::Held;
pub use inspect::{Inspected, Inspector, Library, Socket};
pub use named::{Search, find_apart};
pub use network::{Network, Networks, Timer, TimerKind};
pub use refusal::{NotFollowed, why, yama_hides_children};
pub use selection::SelectionArgs;
pub use socket::{Duplicate, Info, Options, Protocol, State, does_not_exist};
pub use timer::{is_older_than_options, longest_pause};
pub use trouble::{is_own_trouble, vanished};
pub use wanted::{Wanted, find_all};

use std::io::{self, Read};
use std::ops::Deref;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use procfs::process::Stat;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Resource, pidfd_open};

use crate::text::printable;
use directory::{Directory, is_over, process_numbers};
use trouble::{is_refused, own_trouble};

/// A process that was found. Nothing is open for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its name, as ps(1) shows it.
    pub name: String,
    /// When it started: another process can get its number later.
    start: u64,
}

/// A process that is open, to look into.
pub struct Target {
    pid: i32,
    directory: Directory,
    handle: OwnedFd,
}

/// PIDFD_THREAD (Linux 6.9), which rustix does not name.
const PIDFD_THREAD: PidfdFlags = PidfdFlags::from_bits_retain(libc::O_EXCL as u32);

/// How often a process is opened again because its thread has ended meanwhile.
const ATTEMPTS: usize = 3;

impl Process {
    /// Opens the process and does the work on it. If the thread through which it was opened ends
    /// meanwhile, but the process does not, the work is done again through another thread.
    pub fn with<T>(&self, mut work: impl FnMut(&Target) -> io::Result<T>) -> io::Result<T> {
        let mut attempt = 1;
        loop {
            let target = self.open()?;
            let result = work(&target).and_then(|done| target.check().map(|()| done));
            match result {
                Err(error) if vanished(&error) && attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    /// Whether this is the same process, whatever its name is by now.
    pub fn is(&self, other: &Self) -> bool {
        (self.pid, self.start) == (other.pid, other.start)
    }

    /// The process with this number, if it still is the one that started then.
    fn still(pid: i32, start: u64) -> Option<Self> {
        wanted::numbered(pid).ok().filter(|process| process.start == start)
    }

    /// Whether it is still there.
    pub fn is_there(&self) -> bool {
        Self::still(self.pid, self.start).is_some()
    }

    /// A handle that can be polled for its end. ESRCH says that it has ended.
    pub fn handle(&self) -> io::Result<OwnedFd> {
        let directory = Directory::of(self.pid)?;
        let handle = pidfd_open(Pid::from_raw(self.pid).ok_or(Errno::SRCH)?, PidfdFlags::empty())?;
        // It still runs, so its number was not given to another before.
        if directory.stat()?.starttime != self.start {
            return Err(Errno::SRCH.into());
        }
        Ok(handle)
    }

    /// Tries whether the socket that is this descriptor of it can be duplicated.
    pub fn try_descriptor(&self, fd: RawFd) -> io::Result<()> {
        self.with(|target| {
            let sockets = target.sockets()?;
            let (_, inode) = sockets.iter().find(|(other, _)| *other == fd).ok_or(Errno::BADF)?;
            Ok(Duplicate::of(target, fd, *inode).map(drop)?)
        })
    }

    /// Opens it. ESRCH means that it has ended.
    fn open(&self) -> io::Result<Target> {
        if let Some(socket) = held::locked(self.pid).filter(|held| held.fd.is_some()) {
            return Err(io::Error::other(socket.to_string()));
        }
        let mut directory = Directory::of(self.pid)?;
        let stat = directory.stat()?;
        if stat.starttime != self.start {
            return Err(Errno::SRCH.into());
        }
        let (mut number, mut flags) = (self.pid, PidfdFlags::empty());
        if is_over(&stat) {
            (directory, number) = directory.living_thread()?.ok_or(Errno::SRCH)?;
            flags = PIDFD_THREAD;
        }
        let handle = pidfd_open(Pid::from_raw(number).ok_or(Errno::SRCH)?, flags);
        let handle = handle.map_err(|error| match error {
            Errno::INVAL if flags == PIDFD_THREAD => io::Error::other(
                "its first thread has ended (pthread_exit(3)), and this kernel does not let others \
                 be reached (Linux 6.9 does)",
            ),
            error => error.into(),
        })?;
        if number_of(&handle)? != Some(number) {
            return Err(match directory.stat() {
                Ok(_) => io::Error::other(ANOTHER_NAMESPACE),
                Err(error) => error,
            });
        }
        let target = Target { pid: self.pid, directory, handle };
        // It still runs, so its number was not given to another while it was opened.
        target.check()?;
        Ok(target)
    }
}

#[cfg(test)]
impl Process {
    /// One that need not be there.
    pub fn made_up(pid: i32, name: &str) -> Self {
        Self { pid, name: name.into(), start: 0 }
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", printable(&self.name), self.pid)
    }
}

impl Target {
    /// ESRCH if it has ended: its descriptors only seem to be closed then.
    fn check(&self) -> io::Result<()> {
        if is_over(&self.directory.stat()?) { Err(Errno::SRCH.into()) } else { Ok(()) }
    }
}

impl Deref for Target {
    type Target = Directory;

    fn deref(&self) -> &Directory {
        &self.directory
    }
}

const ANOTHER_NAMESPACE: &str = "/proc shows the processes of another pid namespace, in which this \
                                 number is another process's (nsenter(1) needs --mount beside \
                                 --pid; unshare(1) --mount-proc)";

/// The number of a process, or thread, in /proc, by its handle.
fn number_of(handle: &OwnedFd) -> io::Result<Option<i32>> {
    let mut text = String::new();
    let file = std::fs::File::open(format!("/proc/self/fdinfo/{}", handle.as_raw_fd()))?;
    file.take(4096).read_to_string(&mut text)?;
    Ok(text.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok()))
}

/// Whether /proc is there, and shows the processes that this one can name.
pub fn check_proc() -> Result<(), String> {
    let is_proc = rustix::fs::statfs("/proc").is_ok_and(|found| found.f_type == PROC_SUPER_MAGIC);
    if !is_proc {
        return Err("/proc is not mounted: nothing can be seen of any process".into());
    }
    match std::fs::read_link("/proc/self") {
        Ok(own) if own.as_os_str() == &*std::process::id().to_string() => Ok(()),
        _ => Err(ANOTHER_NAMESPACE.into()),
    }
}

/// PROC_SUPER_MAGIC of statfs(2).
const PROC_SUPER_MAGIC: rustix::fs::FsWord = 0x9fa0;

/// Lets this process open as many descriptors as it may.
pub fn raise_limit() {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is refused, EMFILE tells if it was needed.
    let _ = rustix::process::setrlimit(Resource::Nofile, limit);
}

/// This process itself.
pub fn own() -> Result<Process, String> {
    check_proc()?;
    wanted::numbered(rustix::process::getpid().as_raw_nonzero().get())
}

/// Says so if /proc does not show other users' processes. (Number 1 is always there.)
pub fn hidden() -> Option<&'static str> {
    let first = Directory::of(1).and_then(|directory| directory.stat());
    first.is_err_and(|error| vanished(&error)).then_some(
        "/proc does not show other users' processes (hidepid= of its mount; ProtectProc= of \
         systemd)",
    )
}

/// Every process except this one and the kernel's threads.
pub fn all() -> Result<Vec<Process>, String> {
    check_proc()?;
    processes(|_, _| Ok(true)).map_err(|error| own_trouble(&error))
}

/// The processes that are wanted, sorted by number, without those of this command, those that have
/// ended and the kernel's threads. Only one is open at a time.
fn processes(
    is_wanted: impl FnMut(&Directory, &Stat) -> io::Result<bool>,
) -> io::Result<Vec<Process>> {
    among(process_numbers()?, is_wanted)
}

/// As [`processes`], of these numbers only.
fn among(
    numbers: Vec<i32>,
    mut is_wanted: impl FnMut(&Directory, &Stat) -> io::Result<bool>,
) -> io::Result<Vec<Process>> {
    /// PF_KTHREAD of include/linux/sched.h.
    const KERNEL_THREAD: u32 = 0x0020_0000;

    let mut found = Vec::new();
    for pid in numbers {
        let mut look = || -> io::Result<Option<Process>> {
            let mut directory = Directory::of(pid)?;
            let stat = directory.stat()?;
            if stat.flags & KERNEL_THREAD != 0 || apart::is_own(pid) {
                return Ok(None);
            }
            if is_over(&stat) {
                match directory.living_thread()? {
                    Some((thread, _)) => directory = thread,
                    None => return Ok(None),
                }
            }
            let is_wanted = is_wanted(&directory, &stat)?;
            Ok(is_wanted.then_some(Process { pid, name: stat.comm, start: stat.starttime }))
        };
        match look() {
            Ok(process) => found.extend(process),
            // It has ended meanwhile, or is another user's and hidden (hidepid=noaccess).
            Err(error) if vanished(&error) || is_refused(&error) => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_by_key(|process| process.pid);
    Ok(found)
}
