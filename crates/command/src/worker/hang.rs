//! What a child is doing that another process can hold up, for its parent to see.

use std::os::fd::RawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use serde::{Deserialize, Serialize};

/// A process: its number can be another's later, so when it started belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    pub pid: i32,
    pub start: u64,
}

/// Something of another process at which a child hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hang {
    pub process: ProcessId,
    pub lock: Lock,
}

/// What a process can hold locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Lock {
    /// Its memory. Whoever changes what is mapped there keeps all others out meanwhile (mmap_lock of
    /// the kernel), and may have to wait for a file's server.
    #[error(
        "the program holds its memory locked (mmap(2)): by what name it was started cannot be known"
    )]
    Memory,
    /// A socket: a send(2) of its may have to wait for a file's server. The inode is that of the
    /// socket that was seen there.
    #[error("left out: the program holds the socket of its descriptor {fd} locked")]
    Socket { fd: RawFd, inode: u64 },
}

/// What a child is doing. It lies in memory that parent and child share.
pub(super) struct Page {
    /// How many things have been begun.
    count: AtomicU64,
    /// The process, or 0.
    pid: AtomicU64,
    start: AtomicU64,
    /// The descriptor, or [`MEMORY`].
    fd: AtomicU64,
    inode: AtomicU64,
}

/// No descriptor, but the process's memory.
const MEMORY: u64 = u64::MAX;

impl Page {
    /// That of this process and its children; None if it cannot be had.
    pub fn shared() -> Option<&'static Self> {
        static PAGE: OnceLock<Option<&Page>> = OnceLock::new();

        *PAGE.get_or_init(|| {
            let access = ProtFlags::READ | ProtFlags::WRITE;
            // SAFETY: a new mapping, which stays. It is aligned to a page, and zeros are a value.
            unsafe {
                let null = std::ptr::null_mut();
                let page =
                    mmap_anonymous(null, size_of::<Self>(), access, MapFlags::SHARED).ok()?;
                Some(&*page.cast::<Self>())
            }
        })
    }

    /// Nothing is being done.
    pub fn clear(&self) {
        self.pid.store(0, Relaxed);
    }

    /// What is being done, and how many things were begun before.
    pub fn now(&self) -> Option<(u64, Hang)> {
        let pid = self.pid.load(Relaxed) as i32;
        let process = ProcessId { pid, start: self.start.load(Relaxed) };
        let lock = match self.fd.load(Relaxed) {
            MEMORY => Lock::Memory,
            fd => Lock::Socket { fd: fd as RawFd, inode: self.inode.load(Relaxed) },
        };
        (pid != 0).then(|| (self.count.load(Relaxed), Hang { process, lock }))
    }

    fn begin(&self, Hang { process, lock }: Hang) {
        self.count.fetch_add(1, Relaxed);
        let (fd, inode) = match lock {
            Lock::Memory => (MEMORY, 0),
            Lock::Socket { fd, inode } => (fd as u64, inode),
        };
        self.start.store(process.start, Relaxed);
        self.fd.store(fd, Relaxed);
        self.inode.store(inode, Relaxed);
        self.pid.store(process.pid as u64, Relaxed);
    }
}

/// Until it is dropped, the parent sees what is being done, and waits only so long for it.
pub struct Watched(());

/// Reads something that lies in the process's memory.
pub fn reading_memory<T>(process: ProcessId, read: impl FnOnce() -> T) -> T {
    let _watched = watch(process, Lock::Memory);
    read()
}

/// Something is about to be done that the process can hold up.
pub fn watch(process: ProcessId, lock: Lock) -> Watched {
    if let Some(page) = Page::shared() {
        page.begin(Hang { process, lock });
    }
    Watched(())
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(page) = Page::shared() {
            page.clear();
        }
    }
}
