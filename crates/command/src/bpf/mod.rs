//! Covers: eBPF programs on a cgroup that set keepalive on every TCP socket its processes open.
//!
//! The kernel keeps them as long as the cgroup is there: no file system is needed, and no process.
//! A cover is known by the name of its programs; their map has what it sets and what it has done.

mod assembler;
mod btf;
mod cgroup;
mod entry;
mod fields;
mod maker;
mod programs;
mod record;
mod refusal;
mod syscall;

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use options::Mode;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

pub use cgroup::{Cgroup, Links};
pub use entry::Entry;
pub use maker::Maker;
pub use record::Counters;
pub use refusal::{Refusal, check_rights};

use crate::settings::Settings;
use crate::text::{printable, report_error};
use record::Record;
use syscall::{Kind, Map, Program};

/// The kernel's own description of its structures (Linux 5.4, CONFIG_DEBUG_INFO_BTF).
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Tells a cgroup of version 2 from one of version 1 (statfs(2), include/uapi/linux/magic.h).
const CGROUP2_SUPER_MAGIC: rustix::fs::FsWord = 0x6367_7270;

/// How long another call may keep its lock on a cgroup, which takes milliseconds. Every user who may
/// read the directory may lock it, and none shall keep root from covering.
const PATIENCE: Duration = Duration::from_secs(3);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(5);

/// A cover that is there.
pub struct Cover {
    /// The cgroup that it is on.
    pub cgroup: PathBuf,
    /// What it sets.
    pub settings: Settings,
    /// The process with whose end it ends; None if it stays as long as the cgroup.
    pub foreground: Option<u32>,
    /// What it has done so far.
    pub counters: Counters,
    /// How long it has been there.
    pub age: Duration,
    /// Whether it has all of its programs, and no others. It does not if a call was killed in the
    /// midst of its work, until the next call.
    pub is_whole: bool,
    programs: Vec<(Kind, Program)>,
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

/// The cover on a cgroup itself.
pub fn cover_on(cgroup: &Path) -> io::Result<Option<Cover>> {
    let look = || -> io::Result<Option<Cover>> {
        let Some(directory) = Directory::open(cgroup)? else { return Ok(None) };
        match directory.cover()? {
            // A call may be in the midst of its work.
            Some(cover) if !cover.is_whole => {
                directory.lock()?;
                directory.cover()
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

    /// Waits until no other call of this command changes the cgroup, for as long as it is open.
    fn lock(&self) -> io::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) if Instant::now() < until => std::thread::sleep(PAUSE),
                Err(Errno::WOULDBLOCK) => {
                    report_error(format!(
                        "{}: somebody keeps it locked (flock(2)): not waited for any longer",
                        printable(&self.path.to_string_lossy())
                    ));
                    return Ok(());
                }
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
                let Some(ours) = Ours::of(id)? else { continue };
                let cover = found.get_or_insert_with(|| Cover {
                    cgroup: self.path.clone(),
                    settings: ours.record.settings,
                    foreground: ours.record.foreground,
                    counters: ours.record.counters,
                    age: since(ours.loaded),
                    is_whole: false,
                    programs: Vec::new(),
                });
                cover.programs.push((kind, ours.program));
                maps.push(ours.map);
            }
        }
        if let Some(cover) = &mut found {
            let kinds = cover.programs.iter().map(|(kind, _)| *kind);
            cover.is_whole = kinds.eq(kinds_of(cover.settings.mode).iter().copied())
                && maps.iter().all(|map| *map == maps[0]);
        }
        Ok(found)
    }
}

/// The programs that a cover has.
fn kinds_of(mode: Mode) -> &'static [Kind] {
    if mode == Mode::Force { &Kind::ALL } else { &[Kind::SockOps] }
}

/// A program of a cover.
struct Ours {
    program: Program,
    /// When it was loaded.
    loaded: u64,
    /// The number of the map with the record.
    map: u32,
    record: Record,
}

impl Ours {
    /// The program with this number; None if it is somebody else's, or gone.
    fn of(id: u32) -> io::Result<Option<Self>> {
        let look = || -> io::Result<Option<Self>> {
            let program = Program::of(id)?;
            let info = program.info()?;
            let Some(map) = info.map.filter(|_| info.name == syscall::NAME) else {
                return Ok(None);
            };
            let record = Map::of(map)?.words()?.and_then(|words| Record::of(&words));
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
