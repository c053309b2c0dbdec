//! The preload library: where it is, and how it comes to stand in front of LD_PRELOAD.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::program::{self, Machine};

/// The library's file name.
const FILE_NAME: &str = "libkeepalive.so";

/// The library that is put in front.
#[derive(Debug)]
pub struct Library {
    /// Its absolute path.
    pub path: PathBuf,
    /// What it was compiled for.
    pub machine: Machine,
}

impl Library {
    /// The library at `given`, or else the first in the places where it may be.
    pub fn find(given: Option<&Path>) -> Result<Self, String> {
        let path = match given {
            Some(path) => path.to_owned(),
            None => {
                let places = places();
                places.iter().find(|path| path.exists()).cloned().ok_or_else(|| {
                    let list: Vec<_> =
                        places.iter().map(|path| format!("\n  {}", path.display())).collect();
                    format!(
                        "{FILE_NAME} is not in any of these places:{}\n\
                         --library PATH says where it is",
                        list.concat()
                    )
                })?
            }
        };
        let fault = |why: String| format!("the library {}: {why}", path.display());
        // The loader looks at it from wherever the program is by then.
        let path = std::path::absolute(&path).map_err(|error| fault(error.to_string()))?;
        let machine = match program::read_elf(&path) {
            Ok(Some(elf)) => elf.machine,
            Ok(None) => return Err(fault("not a shared library".into())),
            Err(error) => {
                return Err(fault(format!("{error}: the program could not load it either")));
            }
        };
        if let Some(byte) = separator_in(path.as_os_str()) {
            return Err(fault(format!(
                "LD_PRELOAD cannot name a path with {byte:?} in it: put the library elsewhere"
            )));
        }
        let flags = statvfs(&path).map_or(StatVfsMountFlags::empty(), |system| system.f_flag);
        if flags.contains(StatVfsMountFlags::NOEXEC) {
            return Err(fault(
                "it is on a file system mounted noexec, from which no program can load it: \
                 put the library elsewhere"
                    .into(),
            ));
        }
        Ok(Self { path, machine })
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

/// What ld.so(8) would not take as part of a name: it separates, or begins `$ORIGIN` and the like.
fn separator_in(path: &OsStr) -> Option<char> {
    let found = path.as_bytes().iter().find(|byte| matches!(byte, b' ' | b':' | b'$'));
    found.map(|byte| char::from(*byte))
}

/// Where the library may be, best first.
fn places() -> Vec<PathBuf> {
    let mut directories = Vec::new();
    if let Ok(command) = std::env::current_exe() {
        if let Some(directory) = command.parent() {
            directories.push(directory.to_owned());
            directories.extend(directory.parent().map(|parent| parent.join("lib")));
        }
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
    fn a_path_that_the_loader_would_split_is_found_out() {
        assert_eq!(separator_in(OsStr::new("/a b/c")), Some(' '));
        assert_eq!(separator_in(OsStr::new("/a:b")), Some(':'));
        assert_eq!(separator_in(OsStr::new("/$LIB/a")), Some('$'));
        assert_eq!(separator_in(OsStr::new("/usr/lib/a.so")), None);
    }
}
