//! Covers: eBPF programs on a cgroup that set keepalive on every TCP socket its processes open.
//!
//! The kernel keeps them as long as the cgroup is there: no file system is needed, and no process.
//! A cover is known by the name of its programs; their map has what it sets and what it has done.

mod assembler;
mod bpf;
mod btf;
mod cgroup;
mod entry;
mod fields;
mod maker;
mod programs;
mod record;
mod refusal;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use options::Mode;
use rustix::fs::OFlags;

pub use cgroup::{Cgroup, Links};
pub use entry::Entry;
pub use maker::Maker;
pub use record::Counters;
pub use refusal::{Refusal, check_rights};

use crate::settings::Settings;
use bpf::{Kind, Map, Program};
use record::Record;

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
    /// What it has done so far.
    pub counters: Counters,
    /// How long it has been there.
    pub age: Duration,
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
        match Directory::open(path) {
            Ok(Some(directory)) => covers.extend(directory.cover()?),
            // Above the mount point.
            Ok(None) => break,
            // Removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(covers)
}

/// The cover on a cgroup itself.
pub fn cover_on(cgroup: &Path) -> io::Result<Option<Cover>> {
    match Directory::open(cgroup)? {
        Some(directory) => directory.cover(),
        None => Ok(None),
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

    /// The cover on it.
    fn cover(&self) -> io::Result<Option<Cover>> {
        let mut found: Option<Cover> = None;
        for kind in Kind::ALL {
            for id in bpf::query(self.file.as_fd(), kind)?.programs {
                let Some((program, loaded, record)) = ours(id)? else { continue };
                let cover = found.get_or_insert_with(|| Cover {
                    cgroup: self.path.clone(),
                    settings: record.settings,
                    foreground: record.foreground,
                    counters: record.counters,
                    age: since(loaded),
                    programs: Vec::new(),
                });
                cover.programs.push((kind, program));
            }
        }
        Ok(found)
    }
}

/// A program of a cover, when it was loaded, and the cover's record; None if it is somebody else's,
/// or gone.
fn ours(id: u32) -> io::Result<Option<(Program, u64, Record)>> {
    let look = || -> io::Result<Option<(Program, u64, Record)>> {
        let program = Program::of(id)?;
        let info = program.info()?;
        let Some(map) = info.map.filter(|_| info.name == bpf::NAME) else {
            return Ok(None);
        };
        let record = Map::of(map)?.words()?.and_then(|words| Record::of(&words));
        Ok(record.map(|record| (program, info.loaded, record)))
    };
    match look() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result,
    }
}

/// How long ago this time since the boot was, in nanoseconds.
fn since(time: u64) -> Duration {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
    now.map_or(Duration::ZERO, Duration::from).saturating_sub(Duration::from_nanos(time))
}
