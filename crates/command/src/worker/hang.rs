//! What a child is doing that another process may hold up for ever, for its parent to see.

use std::fmt;
use std::os::fd::RawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// What a child is doing. It lies in memory that parent and child share.
pub struct Watch {
    /// How many things have been begun.
    count: AtomicU64,
    /// The process, and the descriptor whose duplicate is held or [`MEMORY`]; or 0.
    held: AtomicU64,
    /// The inode of the socket that was seen at the descriptor.
    inode: AtomicU64,
}

/// No descriptor, but the process's memory.
const MEMORY: u32 = u32::MAX;

/// Something of another process at which a child hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hang {
    /// The process.
    pub pid: i32,
    /// The descriptor of a socket; None for the process's memory.
    pub fd: Option<RawFd>,
    /// The inode of the socket that was seen there.
    pub inode: u64,
}

impl fmt::Display for Hang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fd {
            Some(fd) => write!(f, "the program holds the socket of its descriptor {fd} locked"),
            None => f.write_str(
                "the program holds its memory locked (mmap(2)): by what name it was started \
                 cannot be known",
            ),
        }
    }
}

impl Watch {
    /// That of this process and its children; None if it cannot be had.
    pub fn shared() -> Option<&'static Self> {
        static WATCH: OnceLock<Option<&Watch>> = OnceLock::new();

        *WATCH.get_or_init(|| {
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
    pub fn reset(&self) {
        self.held.store(0, Relaxed);
    }

    /// How many things have been begun.
    pub fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// What is being done.
    pub fn held(&self) -> Option<Hang> {
        let held = self.held.load(Relaxed);
        let (pid, fd) = ((held >> 32) as i32, held as u32);
        let fd = (fd != MEMORY).then_some(fd as RawFd);
        (held != 0).then(|| Hang { pid, fd, inode: self.inode.load(Relaxed) })
    }

    fn begin(&self, pid: i32, what: u32, inode: u64) {
        self.count.fetch_add(1, Relaxed);
        self.inode.store(inode, Relaxed);
        self.held.store((pid as u64) << 32 | u64::from(what), Relaxed);
    }
}

/// A duplicate of this descriptor is about to be made.
pub fn begin_duplicate(pid: i32, fd: RawFd, inode: u64) {
    if let Some(watch) = Watch::shared() {
        watch.begin(pid, fd as u32, inode);
    }
}

/// The duplicate is closed, or left.
pub fn end_duplicate() {
    if let Some(watch) = Watch::shared() {
        watch.reset();
    }
}

/// Reads something that lies in the process's memory. Whoever changes what is mapped there keeps all
/// others out meanwhile (mmap_lock of the kernel), and may have to wait for a file's server.
pub fn reading_memory<T>(pid: i32, read: impl FnOnce() -> T) -> T {
    if let Some(watch) = Watch::shared() {
        watch.begin(pid, MEMORY, 0);
    }
    let read = read();
    end_duplicate();
    read
}

/// What earlier children hung at, and what this one leaves out.
static LEFT_OUT: OnceLock<Vec<Hang>> = OnceLock::new();

/// In a child: leaves these out.
pub fn leave_out(hangs: &[Hang]) {
    let _ = LEFT_OUT.set(hangs.into());
}

/// What is left out of a process, if something is.
pub fn left_out(pid: i32) -> Option<Hang> {
    LEFT_OUT.get()?.iter().find(|held| held.pid == pid).copied()
}
