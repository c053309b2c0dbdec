//! Covers on a cgroup: put there, replaced, taken away.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use super::maker::NewCover;
use super::syscall::{self, Kind, Program};
use super::{Cover, Directory, Error};

/// A cgroup, locked against other calls of this command.
pub struct Cgroup {
    directory: Directory,
    /// Whether another process holds the lock. Every user who may read the directory may lock it, and
    /// none shall keep root from covering.
    pub is_locked_by_other: bool,
}

/// How long another call may hold the lock, which takes milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(5);

/// Keeps a cover in the foreground there.
pub struct Links {
    _links: Vec<OwnedFd>,
    directory: OwnedFd,
}

impl Cgroup {
    /// Opens a cgroup, and waits until no other call of this command changes it, or [`PATIENCE`].
    pub fn lock(path: &Path) -> Result<Self, Error> {
        let other = |error| Error::Other("cgroup", error);
        let directory = Directory::open(path).map_err(other)?.ok_or(Error::NotVersion2)?;
        let until = Instant::now() + PATIENCE;
        let mut has_lock = directory.try_lock().map_err(other)?;
        while !has_lock && Instant::now() < until {
            std::thread::sleep(PAUSE);
            has_lock = directory.try_lock().map_err(other)?;
        }
        Ok(Self { directory, is_locked_by_other: !has_lock })
    }

    /// The cover on it.
    pub fn cover(&self) -> Result<Option<Cover>, Error> {
        self.directory.cover().map_err(Error::querying)
    }

    /// Attaches a cover, in place of the one that is there. If a program of it cannot be attached,
    /// all is as it was.
    pub fn attach(&self, new: &NewCover) -> Result<(), Error> {
        let old = self.cover_that_stays()?;
        let file = self.directory.file.as_fd();
        let before = |kind: Kind| {
            let mut programs = old.iter().flat_map(|cover| &cover.programs);
            programs.find(|(it, _)| *it == kind).map(|(_, program)| program)
        };
        let mut done: Vec<(Kind, &Program)> = Vec::new();
        for (kind, program) in &new.programs {
            if let Err(error) = syscall::attach(file, *kind, program, before(*kind)) {
                for (kind, program) in done {
                    let _ = match before(kind) {
                        Some(old) => syscall::attach(file, kind, old, Some(program)),
                        None => syscall::detach(file, kind, program),
                    };
                }
                return Err(self.why(*kind, error));
            }
            done.push((*kind, program));
        }
        // What the new cover has not taken the place of.
        let replaced: Vec<_> = done.iter().filter_map(|(kind, _)| before(*kind)).collect();
        for (kind, program) in old.iter().flat_map(|cover| &cover.programs) {
            if !replaced.iter().any(|it| std::ptr::eq(*it, program)) {
                syscall::detach(file, *kind, program)
                    .map_err(|error| Error::Other("bpf(2), PROG_DETACH", error))?;
            }
        }
        Ok(())
    }

    /// Attaches a cover for as long as the links are open.
    pub fn link(&self, new: &NewCover) -> Result<Links, Error> {
        if self.cover()?.is_some() {
            return Err(Error::Covered);
        }
        let file = self.directory.file.as_fd();
        let links = new.programs.iter().map(|(kind, program)| {
            syscall::link(file, *kind, program).map_err(|error| self.why(*kind, error))
        });
        let links = links.collect::<Result<_, _>>()?;
        // Not a duplicate, which would keep the lock.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(file, ".", flags, Mode::empty())
            .map_err(|error| Error::Other("cgroup", error.into()))?;
        Ok(Links { _links: links, directory })
    }

    /// Removes the cover; None if there was none.
    pub fn remove(&self) -> Result<Option<Cover>, Error> {
        let cover = self.cover_that_stays()?;
        for (kind, program) in cover.iter().flat_map(|cover| &cover.programs) {
            syscall::detach(self.directory.file.as_fd(), *kind, program)
                .map_err(|error| Error::Other("bpf(2), PROG_DETACH", error))?;
        }
        Ok(cover)
    }

    /// The cover on it, unless a process in the foreground keeps that.
    fn cover_that_stays(&self) -> Result<Option<Cover>, Error> {
        match self.cover()? {
            Some(Cover { foreground: Some(process), .. }) => Err(Error::Foreground(process)),
            cover => Ok(cover),
        }
    }

    /// Why a program could not be attached. EPERM: here or above somebody has attached a program
    /// that stands no other beside it.
    fn why(&self, kind: Kind, error: io::Error) -> Error {
        if error.raw_os_error() != Some(libc::EPERM) {
            return Error::attaching(error);
        }
        for path in self.directory.path.ancestors() {
            let Ok(Some(directory)) = Directory::open(path) else { break };
            let Ok(attached) = syscall::query(directory.file.as_fd(), kind) else { break };
            let first =
                attached.programs.first().filter(|_| attached.flags & syscall::ALLOW_MULTI == 0);
            if let Some(id) = first {
                let name = Program::open(*id).and_then(|program| program.info());
                let name = name.map_or(String::new(), |info| {
                    String::from_utf8_lossy(&info.name).trim_end_matches('\0').into()
                });
                return Error::Exclusive { cgroup: path.to_owned(), id: *id, name };
            }
        }
        Error::attaching(error)
    }
}

impl Links {
    /// Whether the cgroup is still there.
    pub fn is_alive(&self) -> bool {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, "cgroup.procs", flags, Mode::empty());
        file.is_ok()
    }
}
