//! The preload library: where it is, and the value of LD_PRELOAD that puts it in front.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::elf::{self, Machine};
use super::printed;
use crate::text::error;

/// The library's file name.
const FILE_NAME: &str = "libkeepalive.so";
/// The name that the loader knows it by.
const SONAME: &[u8] = b"libkeepalive.so.0";
/// The functions that this release hooks.
const HOOKS: [&str; 5] = ["socket", "connect", "accept", "accept4", "setsockopt"];

/// The library that is put in front.
#[derive(Debug)]
pub struct Library {
    /// Its absolute path.
    pub path: PathBuf,
    /// What it was compiled for.
    pub machine: Machine,
}

/// Why there is no library to put in front.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the library {}: {problem}", printed(.path))]
    Given {
        /// The path that was given.
        path: PathBuf,
        problem: Problem,
    },
    #[error("{FILE_NAME} was not found:{}\n--library PATH says where it is", list(.tried))]
    NotFound {
        /// Where it was looked for.
        tried: Vec<(PathBuf, Problem)>,
    },
}

/// Why a file cannot be put in front.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("no such file")]
    Missing,
    #[error("no permission to read it, nor will the program have it")]
    Unreadable,
    #[error("{}", error::describe(.0))]
    Io(io::Error),
    #[error("not a shared library")]
    NotALibrary,
    #[error("another library, not libkeepalive")]
    AnotherLibrary,
    /// Debian's libkeepalive0 is /usr/lib/libkeepalive.so, and hooks socket(2) alone.
    #[error("another release: libkeepalive 0.3 has this name too")]
    AnotherRelease,
    #[error("LD_PRELOAD cannot name a path with {0:?} in it: put the library elsewhere")]
    Separator(char),
    #[error(
        "it is on a file system mounted noexec, from which no program can load it: put the library \
         elsewhere"
    )]
    NoExec,
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::PermissionDenied => Self::Unreadable,
            _ => Self::Io(error),
        }
    }
}

fn list(tried: &[(PathBuf, Problem)]) -> String {
    tried.iter().map(|(path, problem)| format!("\n  {}: {problem}", printed(path))).collect()
}

impl Library {
    /// The library at `given`, or else the first in the places where it may be.
    pub fn find(given: Option<&Path>) -> Result<Self, Error> {
        match given {
            Some(path) => {
                Self::open(path).map_err(|problem| Error::Given { path: path.into(), problem })
            }
            None => Self::find_first(&places()),
        }
    }

    /// The first of these files that is the library.
    fn find_first(places: &[PathBuf]) -> Result<Self, Error> {
        let mut tried = Vec::new();
        for path in places {
            match Self::open(path) {
                Ok(library) => return Ok(library),
                Err(problem) => tried.push((path.clone(), problem)),
            }
        }
        Err(Error::NotFound { tried })
    }

    /// The library at this path, if a program could load it from there.
    fn open(path: &Path) -> Result<Self, Problem> {
        // The program may have another working directory when the loader opens it.
        let path = std::path::absolute(path)?;
        let library = elf::Library::read(&path)?.ok_or(Problem::NotALibrary)?;
        if library.name != SONAME {
            return Err(Problem::AnotherLibrary);
        }
        let defines = |hook: &&str| library.definitions.iter().any(|name| name == hook.as_bytes());
        if !HOOKS.iter().all(defines) {
            return Err(Problem::AnotherRelease);
        }
        if let Some(separator) = separator_in(path.as_os_str()) {
            return Err(Problem::Separator(separator));
        }
        let flags = statvfs(&path).map_or(StatVfsMountFlags::empty(), |system| system.f_flag);
        if flags.contains(StatVfsMountFlags::NOEXEC) {
            return Err(Problem::NoExec);
        }
        Ok(Self { path, machine: library.machine })
    }

    /// The value for LD_PRELOAD: the library, then what is there already.
    pub fn in_front_of(&self, preloads: Option<&OsStr>) -> OsString {
        let mut value = self.path.clone().into_os_string();
        let is_separator = |byte: &u8| matches!(byte, b' ' | b':');
        for preload in preloads.unwrap_or_default().as_bytes().split(is_separator) {
            if !preload.is_empty() && preload != self.path.as_os_str().as_bytes() {
                value.push(":");
                value.push(OsStr::from_bytes(preload));
            }
        }
        value
    }
}

/// A character that ld.so(8) does not take as part of a name: a separator, or the `$` of
/// `$ORIGIN` and the like.
fn separator_in(path: &OsStr) -> Option<char> {
    let found = path.as_bytes().iter().find(|byte| matches!(byte, b' ' | b':' | b'$'));
    found.map(|byte| char::from(*byte))
}

/// Where the library may be, best first.
fn places() -> Vec<PathBuf> {
    let mut directories = Vec::new();
    if let Ok(command) = std::env::current_exe()
        && let Some(directory) = command.parent()
    {
        directories.push(directory.to_owned());
        directories.extend(directory.parent().map(|parent| parent.join("lib")));
    }
    let architecture = match std::env::consts::ARCH {
        "x86" => "i386",
        other => other,
    };
    directories.push(format!("/usr/lib/{architecture}-linux-gnu").into());
    directories.extend(["/usr/local/lib", "/usr/lib64", "/usr/lib"].map(PathBuf::from));
    let mut places: Vec<_> = directories.iter().map(|path| path.join(FILE_NAME)).collect();
    places.dedup();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_comes_first_and_what_was_there_stays() {
        let machine = Machine { number: object::elf::EM_X86_64, is_64: true, is_big_endian: false };
        let library = Library { path: "/l/libkeepalive.so".into(), machine };
        let in_front_of = |preloads| library.in_front_of(preloads);
        assert_eq!(in_front_of(None), "/l/libkeepalive.so");
        assert_eq!(in_front_of(Some(OsStr::new(""))), "/l/libkeepalive.so");
        assert_eq!(
            in_front_of(Some(OsStr::new("/a.so b.so:/c.so"))),
            "/l/libkeepalive.so:/a.so:b.so:/c.so"
        );
        assert_eq!(
            in_front_of(Some(OsStr::new("/a.so:/l/libkeepalive.so"))),
            "/l/libkeepalive.so:/a.so"
        );
    }

    #[test]
    fn every_place_is_named_and_other_libraries_of_this_name_are_refused() {
        let other = std::env::current_exe().expect("a path");
        let places = ["/nonexistent/libkeepalive.so".into(), other.clone()];
        let error = Library::find_first(&places).expect_err("neither").to_string();
        assert!(error.contains("\n  /nonexistent/libkeepalive.so: no such file\n"), "{error}");
        assert!(error.contains(&format!("\n  {}: another library", other.display())), "{error}");
        assert!(error.contains("--library PATH"), "{error}");
    }

    #[test]
    fn a_path_that_the_loader_would_split_is_refused() {
        assert_eq!(separator_in(OsStr::new("/a b/c")), Some(' '));
        assert_eq!(separator_in(OsStr::new("/a:b")), Some(':'));
        assert_eq!(separator_in(OsStr::new("/$LIB/a")), Some('$'));
        assert_eq!(separator_in(OsStr::new("/usr/lib/a.so")), None);
    }
}
