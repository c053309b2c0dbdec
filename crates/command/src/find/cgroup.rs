//! Cgroups by what an operator calls them: a systemd unit, a container or a path.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;
use crate::process::{container_id, is_container_id, is_of_root, is_unit, mounted_at, walk};
use crate::text::printable;

/// What a cgroup is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cgroup {
    /// A systemd unit: `kafka.service`.
    Unit(String),
    /// A container, by its id or the start of it.
    Container(String),
    /// The path of its directory.
    Path(PathBuf),
}

/// The slice of everything, which has no directory of its own.
const ROOT_SLICE: &str = "-.slice";

impl Cgroup {
    /// The cgroup that an argument names; None if it names something else.
    pub fn parse(argument: &str) -> Option<Self> {
        if argument.starts_with('/') {
            Some(Self::Path(argument.into()))
        } else if is_unit(argument) {
            Some(Self::Unit(argument.into()))
        } else if is_container_id(argument) {
            Some(Self::Container(argument.into()))
        } else {
            None
        }
    }

    /// Its directory, if it is there. If several match, only cgroups created by root count. (The
    /// tree has neither symbolic links nor rename(2): a user can only remove a directory and make
    /// another.)
    pub fn find(&self) -> Result<Option<PathBuf>, Error> {
        let root = mounted_at()?;
        match self {
            Self::Unit(unit) if unit == ROOT_SLICE => Ok(Some(root)),
            Self::Unit(unit) => find_below(&root, |name| name == unit),
            Self::Container(id) => find_below(&root, |name| is_container(name, id)),
            Self::Path(path) => match path.canonicalize() {
                Ok(path) if path.starts_with(&root) && path.is_dir() => Ok(Some(path)),
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound && path.starts_with(&root) =>
                {
                    Ok(None)
                }
                _ => Err(Error::NotACgroup { root: root.display().to_string() }),
            },
        }
    }
}

/// The directory below this whose name matches.
fn find_below(root: &Path, matches: impl Fn(&str) -> bool) -> Result<Option<PathBuf>, Error> {
    let mut found = Vec::new();
    walk(root, |path| {
        let is_found = path.file_name().is_some_and(|name| matches(&name.to_string_lossy()));
        if is_found {
            found.push(path.to_owned());
        }
        !is_found
    });
    found.sort();
    if found.iter().any(|path| is_of_root(path)) {
        found.retain(|path| is_of_root(path));
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => {
            let paths = found.iter().map(|path| printable(&path.to_string_lossy()).to_string());
            Err(Error::SeveralCgroups(paths.collect()))
        }
    }
}

/// Whether a directory of this name is that of the container whose id starts so.
fn is_container(name: &str, id: &str) -> bool {
    container_id(name).is_some_and(|full| full.starts_with(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4c01db0b339c7e8d4c01db0b339c7e8d4c01db0b339c7e8d4c01db0b339c7e8d";

    #[test]
    fn what_an_argument_names() {
        for unit in ["kafka.service", "system.slice", "a@b.service", "session-3.scope", "x.mount"] {
            assert_eq!(Cgroup::parse(unit), Some(Cgroup::Unit(unit.into())));
        }
        for id in [&ID[..12], &ID[..40], ID, "012345678901"] {
            assert_eq!(Cgroup::parse(id), Some(Cgroup::Container(id.into())));
        }
        assert_eq!(Cgroup::parse("/a"), Some(Cgroup::Path("/a".into())));
        let too_long = format!("{ID}0");
        for name in ["nginx", ".service", "4c01db0b339", "4C01DB0B339C", "feedfacecafx", &too_long]
        {
            assert_eq!(Cgroup::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_container_is_known_by_its_directory_whoever_made_it() {
        for name in [
            "docker-ID.scope",
            "libpod-ID.scope",
            "libpod-ID",
            "cri-containerd-ID.scope",
            "crio-ID.scope",
            "ID",
        ] {
            assert!(is_container(&name.replace("ID", ID), &ID[..12]), "{name}");
        }
        for name in
            ["libpod-conmon-ID.scope", "crio-conmon-ID.scope", "ID.service", "IDa", "other-ID"]
        {
            assert!(!is_container(&name.replace("ID", ID), &ID[..12]), "{name}");
        }
        assert!(!is_container(ID, "4c01db0b339d"));
    }
}
