//! Covers on a cgroup: put there, replaced, taken away.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::maker::NewCover;
use super::syscall::{self, Kind, Program};
use super::{Cover, Directory, Refusal};

/// A cgroup, locked against other calls of this command.
pub struct Cgroup(Directory);

/// Keeps a cover in the foreground there.
pub struct Links {
    _links: Vec<OwnedFd>,
    directory: OwnedFd,
}

impl Cgroup {
    /// Opens a cgroup, and waits until no other call of this command changes it.
    pub fn lock(path: &Path) -> Result<Self, Refusal> {
        let other = |error| Refusal::Other("cgroup", error);
        let directory = Directory::open(path).map_err(other)?.ok_or(Refusal::NotVersion2)?;
        directory.lock().map_err(other)?;
        Ok(Self(directory))
    }

    /// The cover on it.
    pub fn cover(&self) -> Result<Option<Cover>, Refusal> {
        self.0.cover().map_err(Refusal::of_query)
    }

    /// Attaches a cover, in place of the one that is there. If a program of it cannot be attached,
    /// all is as it was.
    pub fn attach(&self, new: &NewCover) -> Result<(), Refusal> {
        let old = self.cover_that_stays()?;
        let file = self.0.file.as_fd();
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
                    .map_err(|error| Refusal::Other("bpf(2), PROG_DETACH", error))?;
            }
        }
        Ok(())
    }

    /// Attaches a cover for as long as the links are open.
    pub fn link(&self, new: &NewCover) -> Result<Links, Refusal> {
        if self.cover()?.is_some() {
            return Err(Refusal::Covered);
        }
        let file = self.0.file.as_fd();
        let links = new.programs.iter().map(|(kind, program)| {
            syscall::link(file, *kind, program).map_err(|error| self.why(*kind, error))
        });
        let links = links.collect::<Result<_, _>>()?;
        // Not a duplicate, which would keep the lock.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(file, ".", flags, Mode::empty())
            .map_err(|error| Refusal::Other("cgroup", error.into()))?;
        Ok(Links { _links: links, directory })
    }

    /// Removes the cover; whether there was one.
    pub fn remove(&self) -> Result<bool, Refusal> {
        let Some(cover) = self.cover_that_stays()? else { return Ok(false) };
        for (kind, program) in &cover.programs {
            syscall::detach(self.0.file.as_fd(), *kind, program)
                .map_err(|error| Refusal::Other("bpf(2), PROG_DETACH", error))?;
        }
        Ok(true)
    }

    /// The cover on it, unless a process in the foreground keeps that.
    fn cover_that_stays(&self) -> Result<Option<Cover>, Refusal> {
        match self.cover()? {
            Some(Cover { foreground: Some(process), .. }) => Err(Refusal::Foreground(process)),
            cover => Ok(cover),
        }
    }

    /// Why a program could not be attached. EPERM: here or above somebody has attached a program
    /// that stands no other beside it.
    fn why(&self, kind: Kind, error: io::Error) -> Refusal {
        if error.raw_os_error() != Some(libc::EPERM) {
            return Refusal::of_attach(error);
        }
        for path in self.0.path.ancestors() {
            let Ok(Some(directory)) = Directory::open(path) else { break };
            let Ok(attached) = syscall::query(directory.file.as_fd(), kind) else { break };
            let first =
                attached.programs.first().filter(|_| attached.flags & syscall::ALLOW_MULTI == 0);
            if let Some(id) = first {
                let name = Program::of(*id).and_then(|program| program.info());
                let name = name.map_or(String::new(), |info| {
                    String::from_utf8_lossy(&info.name).trim_end_matches('\0').into()
                });
                return Refusal::Exclusive { cgroup: path.to_owned(), id: *id, name };
            }
        }
        Refusal::of_attach(error)
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
