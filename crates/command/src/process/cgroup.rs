//! Control groups, cgroups(7): a systemd unit and a container are each a directory of the cgroup v2
//! tree, whose name tells.

use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::text::{error, printable};

/// What a group is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// A systemd unit: `kafka.service`.
    Unit(String),
    /// A container, by its id or the begin of it.
    Container(String),
    /// The path of its directory.
    Directory(PathBuf),
}

/// The units that can have processes (systemd.resource-control(5)).
const UNITS: [&str; 6] = [".service", ".scope", ".slice", ".socket", ".mount", ".swap"];
/// The slice of everything, which has no directory of its own.
const ROOT_SLICE: &str = "-.slice";
/// What stands before a container's id: Docker, Podman, containerd and CRI-O. Nothing does where
/// they make the groups themselves: `/docker/ID`, `/kubepods/burstable/podUID/ID`.
const CONTAINERS: [&str; 5] = ["docker-", "libpod-", "cri-containerd-", "crio-", ""];
/// The length of a container's id, and how much of it is enough.
const ID: usize = 64;
const ID_MIN: usize = 12;

impl Group {
    /// The group that this argument names, if it names one.
    pub fn parse(argument: &str) -> Option<Self> {
        if argument.starts_with('/') {
            Some(Self::Directory(argument.into()))
        } else if is_unit(argument) {
            Some(Self::Unit(argument.into()))
        } else if (ID_MIN..=ID).contains(&argument.len()) && is_hexadecimal(argument) {
            Some(Self::Container(argument.into()))
        } else {
            None
        }
    }

    /// Its directory, if it is there. Of several that have its name those that root has made are it.
    /// (The tree has neither symbolic links nor rename(2): what a user can do to a path in it is to
    /// remove the directory and to make another.)
    pub fn find(&self) -> Result<Option<PathBuf>, String> {
        let root = mounted_at()?;
        if self == &Self::Unit(ROOT_SLICE.into()) {
            return Ok(Some(root));
        }
        let Self::Directory(path) = self else { return self.find_below(&root) };
        match path.canonicalize() {
            Ok(path) if path.starts_with(&root) && path.is_dir() => Ok(Some(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.starts_with(&root) => {
                Ok(None)
            }
            _ => Err(format!("not a cgroup: those are below {}", root.display())),
        }
    }

    fn find_below(&self, root: &Path) -> Result<Option<PathBuf>, String> {
        let mut found = Vec::new();
        each_below(root, &mut |path| {
            let is_found = path.file_name().is_some_and(|name| self.is(&name.to_string_lossy()));
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
                let found = found.iter().map(|path| printable(&path.to_string_lossy()));
                let found = found.collect::<Vec<_>>().join(", ");
                Err(format!("there are several, name one by its path: {found}"))
            }
        }
    }

    /// Whether a directory of this name is it.
    fn is(&self, name: &str) -> bool {
        match self {
            Self::Unit(unit) => name == unit,
            Self::Container(id) => container(name).is_some_and(|full| full.starts_with(id)),
            Self::Directory(_) => false,
        }
    }
}

/// Whether root has made a directory of the tree. An ordinary user to whom a part of the tree is
/// delegated (a user's own systemd) can give whatever name to what is below it.
pub fn is_of_root(directory: &Path) -> bool {
    let above = directory.parent().and_then(|parent| parent.metadata().ok());
    above.is_some_and(|above| above.uid() == 0)
}

/// Whether a group has threads and no processes: what these have open belongs to a group above.
pub fn is_threaded(directory: &Path) -> bool {
    std::fs::read_to_string(directory.join("cgroup.type")).is_ok_and(|it| it == "threaded\n")
}

/// The numbers of the processes in a group and in those below it.
pub fn processes_of(directory: &Path) -> Vec<i32> {
    let mut processes = Vec::new();
    each_below(directory, &mut |path| {
        // A threaded group has none of its own, and one that is gone has none any more.
        let text = std::fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
        // 0 is a process outside of this pid namespace.
        let numbers = text.lines().filter_map(|line| line.parse::<i32>().ok());
        processes.extend(numbers.filter(|pid| *pid > 0));
        true
    });
    processes
}

/// A directory of the tree and all below it.
pub fn all_below(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    each_below(directory, &mut |path| {
        all.push(path.to_owned());
        true
    });
    all
}

/// A directory and all below it; not below those of which `visit` says false.
fn each_below(directory: &Path, visit: &mut impl FnMut(&Path) -> bool) {
    let mut waiting = vec![directory.to_owned()];
    while let Some(path) = waiting.pop() {
        if visit(&path) {
            // What cannot be read is gone, or not for this user.
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            let is_directory =
                |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|it| it.is_dir());
            waiting.extend(entries.filter(is_directory).map(|entry| entry.path()));
        }
    }
}

/// Where the cgroup v2 tree is mounted.
pub fn mounted_at() -> Result<PathBuf, String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo");
    let mounts =
        mounts.map_err(|error| format!("/proc/self/mountinfo: {}", error::describe(&error)))?;
    Ok(mount_point(&mounts).ok_or("no cgroup v2 tree is mounted")?)
}

/// Where, by the lines of mountinfo: not where something else is mounted on top of it.
fn mount_point(mountinfo: &str) -> Option<PathBuf> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ');
        let [number, parent] = std::array::from_fn(|_| fields.next());
        Some((number?, parent?, fields.nth(2)?, file_system.starts_with("cgroup2 ")))
    });
    let mounts: Vec<_> = mounts.collect();
    let is_hidden = |number: &str, path: &str| {
        mounts.iter().any(|(_, parent, above, _)| *parent == number && *above == path)
    };
    let mut trees = mounts.iter().filter(|(_, _, _, is_tree)| *is_tree);
    trees.find(|(number, _, path, _)| !is_hidden(number, path)).map(|(_, _, path, _)| path.into())
}

/// Where systemd or a container's engine has put a process.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The innermost unit.
    pub unit: Option<String>,
    /// The innermost container, by its whole id.
    pub container: Option<String>,
    /// The path in the cgroup v2 tree, without the slash at its start.
    pub path: Option<String>,
}

impl Place {
    /// From the lines of /proc/PID/cgroup. That of cgroup v2, which begins with `0::`, is the last.
    pub fn parse(text: &str) -> Self {
        let mut place = Self::default();
        for line in text.lines().rev() {
            place.path = place.path.or_else(|| Some(line.strip_prefix("0::/")?.into()));
            let path = line.splitn(3, ':').nth(2).unwrap_or_default();
            let names = || path.rsplit('/');
            let slice = || names().find(|name| is_unit(name));
            let unit = names().find(|name| is_unit(name) && !name.ends_with(".slice"));
            place.unit = place.unit.or_else(|| Some(unit.or_else(slice)?.into()));
            place.container = place.container.or_else(|| Some(names().find_map(container)?.into()));
        }
        place
    }

    /// In a few words.
    pub fn describe(&self) -> Option<String> {
        match self {
            Self { container: Some(id), .. } => Some(format!("container {}", &id[..ID_MIN])),
            Self { unit: Some(unit), .. } => Some(format!("unit {unit}")),
            _ => None,
        }
    }
}

fn is_unit(name: &str) -> bool {
    let is_kind = |kind: &&str| name.len() > kind.len() && name.ends_with(kind);
    !name.contains('/') && UNITS.iter().any(is_kind)
}

/// The id of the container that has a directory of this name.
fn container(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    CONTAINERS.iter().find_map(|engine| {
        name.strip_prefix(engine).filter(|id| id.len() == ID && is_hexadecimal(id))
    })
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID_TEXT: &str = "4c01db0b339c7e8d4c01db0b339c7e8d4c01db0b339c7e8d4c01db0b339c7e8d";

    #[test]
    fn what_an_argument_names() {
        for unit in ["kafka.service", "system.slice", "a@b.service", "session-3.scope", "x.mount"] {
            assert_eq!(Group::parse(unit), Some(Group::Unit(unit.into())));
        }
        for id in [&ID_TEXT[..12], &ID_TEXT[..40], ID_TEXT, "012345678901"] {
            assert_eq!(Group::parse(id), Some(Group::Container(id.into())));
        }
        assert_eq!(Group::parse("/a"), Some(Group::Directory("/a".into())));
        let too_long = format!("{ID_TEXT}0");
        for name in ["nginx", ".service", "4c01db0b339", "4C01DB0B339C", "feedfacecafx", &too_long]
        {
            assert_eq!(Group::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_container_is_known_by_its_directory_whoever_made_it() {
        let group = Group::Container(ID_TEXT[..12].into());
        for name in [
            "docker-ID.scope",
            "libpod-ID.scope",
            "libpod-ID",
            "cri-containerd-ID.scope",
            "crio-ID.scope",
            "ID",
        ] {
            assert!(group.is(&name.replace("ID", ID_TEXT)), "{name}");
        }
        for name in
            ["libpod-conmon-ID.scope", "crio-conmon-ID.scope", "ID.service", "IDa", "other-ID"]
        {
            assert!(!group.is(&name.replace("ID", ID_TEXT)), "{name}");
        }
        assert!(!Group::Container("4c01db0b339d".into()).is(ID_TEXT));
        assert!(Group::Unit("a.service".into()).is("a.service"));
        assert!(!Group::Unit("a.service".into()).is("b-a.service"));
    }

    #[test]
    fn where_a_process_is() {
        let place = |text: &str| Place::parse(&text.replace("ID", ID_TEXT));
        for (text, unit) in [
            ("0::/system.slice/kafka.service\n", Some("kafka.service")),
            ("0::/system.slice/kafka.service/sub\n", Some("kafka.service")),
            ("0::/user.slice/user-1.slice/user@1.service/app.slice/a.service", Some("a.service")),
            ("0::/machine.slice", Some("machine.slice")),
            ("4:memory:/x\n1:name=systemd:/a.slice/b.service\n0::/\n", Some("b.service")),
            ("0::/", None),
            ("", None),
        ] {
            let place = place(text);
            assert_eq!((place.unit.as_deref(), place.container), (unit, None), "{text}");
        }
        for (text, path) in [
            ("0::/a/b\n", Some("a/b")),
            ("1:name=systemd:/a\n0::/\n", Some("")),
            ("1:cpu:/a", None),
        ] {
            assert_eq!(place(text).path.as_deref(), path, "{text}");
        }
        let inside = place("0::/system.slice/docker-ID.scope\n");
        assert_eq!(inside.container.as_deref(), Some(ID_TEXT));
        assert_eq!(inside.describe().as_deref(), Some("container 4c01db0b339c"));
        for path in [
            "/docker/ID",
            "/kubepods/burstable/pod1-2/ID",
            "/libpod_parent/libpod-ID",
            "/machine.slice/libpod-ID.scope/container",
        ] {
            assert_eq!(place(&format!("0::{path}")).container.as_deref(), Some(ID_TEXT), "{path}");
            assert_eq!(place(&format!("3:cpu:{path}\n0::/")).container.as_deref(), Some(ID_TEXT));
        }
    }

    #[test]
    fn the_tree_is_where_mountinfo_says() {
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw shared:9 - tmpfs tmpfs rw,mode=755\n\
                      32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_point(hybrid), Some("/sys/fs/cgroup/unified".into()));
        let unified =
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 master:1 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_point(unified), Some("/sys/fs/cgroup".into()));
        assert_eq!(
            mount_point("32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"),
            None
        );
        assert_eq!(mount_point(""), None);
        let hidden = "30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
                      41 30 0:40 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                      42 41 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_point(hidden), Some("/sys/fs/cgroup/unified".into()));
    }
}
