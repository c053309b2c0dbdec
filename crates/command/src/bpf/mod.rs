//! Covers: eBPF programs on a cgroup that set keepalive on every TCP socket its processes open.
//!
//! The kernel keeps them as long as the cgroup is there: no file system is needed, and no process.
//! A cover is known by the name of its programs; their map has what it sets and what it has done.

mod assembler;
mod btf;
mod cgroup;
mod entry;
mod error;
mod fields;
mod flight;
mod maker;
mod programs;
mod record;
mod syscall;

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use options::Mode;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

pub use cgroup::{Cgroup, Links, PATIENCE};
pub use entry::Entry;
pub use error::{Error, check_rights};
pub use flight::{TAKE_OVER, is_pace, is_user_timeout};
pub use maker::Maker;
pub use record::Counters;

use crate::settings::Settings;
use record::Record;
use syscall::{Kind, Map, Program};

/// The kernel's own description of its structures (Linux 5.4, CONFIG_DEBUG_INFO_BTF).
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Tells a cgroup of version 2 from one of version 1 (statfs(2), include/uapi/linux/magic.h).
const CGROUP2_SUPER_MAGIC: rustix::fs::FsWord = 0x6367_7270;

/// A cover that is there.
pub struct Cover {
    /// The cgroup that it is on.
    pub cgroup: PathBuf,
    /// What it sets.
    pub settings: Settings,
    /// The process with whose end it ends; None if it stays as long as the cgroup.
    pub foreground: Option<u32>,
    /// How long a peer may leave data in flight without an answer, in milliseconds; None if that is
    /// the kernel's.
    pub dead_after: Option<u32>,
    /// What it has done so far.
    pub counters: Counters,
    /// How long it has been there.
    pub age: Duration,
    /// Whether it has all of its programs, and no others.
    pub state: CoverState,
    programs: Vec<(Kind, Program)>,
}

/// Whether a cover has all of its programs, and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoverState {
    /// It has.
    Whole,
    /// A call was interrupted, until the next call.
    Partial,
    /// It has not, but another process holds the lock: most likely a call that changes it.
    Changing,
}

impl Cover {
    /// Who has the last word, in a word.
    pub fn mode(&self) -> &'static str {
        match self.settings.mode {
            Mode::Skip => "skip",
            Mode::Force => "force",
            Mode::On | Mode::Off => "on",
        }
    }
}

/// The covers that a cgroup has, and those above it: the innermost first. An error of the kernel's
/// means that this process may not ask.
pub fn covers(cgroup: &Path) -> io::Result<Vec<Cover>> {
    let mut covers = Vec::new();
    for path in cgroup.ancestors() {
        covers.extend(cover_on(path)?);
    }
    Ok(covers)
}

/// The cover on a cgroup itself. It waits for nobody.
pub fn cover_on(cgroup: &Path) -> io::Result<Option<Cover>> {
    let look = || -> io::Result<Option<Cover>> {
        let Some(directory) = Directory::open(cgroup)? else { return Ok(None) };
        match directory.cover()? {
            Some(cover) if cover.state == CoverState::Partial => {
                // A call may be in the midst of its work, or has ended it by now.
                let has_lock = directory.try_lock()?;
                let mut cover = directory.cover()?;
                if let Some(Cover { state: state @ CoverState::Partial, .. }) = &mut cover
                    && !has_lock
                {
                    *state = CoverState::Changing;
                }
                Ok(cover)
            }
            cover => Ok(cover),
        }
    };
    match look() {
        // Removed meanwhile; or a path that is too long, which a user can make but nobody cover.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidFilename) => {
            Ok(None)
        }
        result => result,
    }
}

/// The directory of a cgroup.
struct Directory {
    path: PathBuf,
    file: OwnedFd,
}

impl Directory {
    /// None if it is none of cgroup v2.
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
        let is_cgroup = rustix::fs::fstatfs(&file)?.f_type == CGROUP2_SUPER_MAGIC;
        Ok(is_cgroup.then(|| Self { path: path.to_owned(), file }))
    }

    /// Locks the cgroup against other calls of this command for as long as it is open; whether that
    /// was possible.
    fn try_lock(&self) -> io::Result<bool> {
        loop {
            match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(true),
                Err(Errno::WOULDBLOCK) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The cover on it.
    fn cover(&self) -> io::Result<Option<Cover>> {
        let mut found: Option<Cover> = None;
        let mut maps = Vec::new();
        for kind in Kind::ALL {
            for id in syscall::query(self.file.as_fd(), kind)?.programs {
                let Some(own) = OwnProgram::open(id)? else { continue };
                let cover = found.get_or_insert_with(|| Cover {
                    cgroup: self.path.clone(),
                    settings: own.record.settings,
                    foreground: own.record.foreground,
                    dead_after: own.record.dead_after,
                    counters: own.record.counters,
                    age: since(own.loaded),
                    state: CoverState::Partial,
                    programs: Vec::new(),
                });
                cover.programs.push((kind, own.program));
                maps.push(own.map);
            }
        }
        if let Some(cover) = &mut found {
            let kinds = cover.programs.iter().map(|(kind, _)| *kind);
            let has_all = kinds.eq(self::kinds(cover.settings.mode).iter().copied());
            if has_all && maps.iter().all(|map| *map == maps[0]) {
                cover.state = CoverState::Whole;
            }
        }
        Ok(found)
    }
}

/// The programs that a cover has.
fn kinds(mode: Mode) -> &'static [Kind] {
    if mode == Mode::Force { &Kind::ALL } else { &[Kind::SockOps] }
}

/// A program of a cover.
struct OwnProgram {
    program: Program,
    /// When it was loaded.
    loaded: u64,
    /// The number of the map with the record.
    map: u32,
    record: Record,
}

impl OwnProgram {
    /// The program with this number; None if it is somebody else's, or gone.
    fn open(id: u32) -> io::Result<Option<Self>> {
        let look = || -> io::Result<Option<Self>> {
            let program = Program::open(id)?;
            let info = program.info()?;
            let Some(map) = info.map.filter(|_| info.name == syscall::NAME) else {
                return Ok(None);
            };
            let record = Map::open(map)?.read()?.and_then(|raw| Record::decode(&raw));
            Ok(record.map(|record| Self { program, loaded: info.loaded, map, record }))
        };
        match look() {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            result => result,
        }
    }
}

/// How long ago this time since the boot was, in nanoseconds.
fn since(time: u64) -> Duration {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
    now.map_or(Duration::ZERO, Duration::from).saturating_sub(Duration::from_nanos(time))
}
