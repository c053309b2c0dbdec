//! Control groups, cgroups(7): a systemd unit and a container are each a directory of the cgroup v2
//! tree, whose name tells.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;

/// The units that can have processes (systemd.resource-control(5)).
const UNITS: [&str; 6] = [".service", ".scope", ".slice", ".socket", ".mount", ".swap"];
/// What comes before a container's id in the name: Docker, Podman, containerd and CRI-O. Nothing
/// does where they make the cgroups themselves: `/docker/ID`, `/kubepods/burstable/podUID/ID`.
const CONTAINERS: [&str; 5] = ["docker-", "libpod-", "cri-containerd-", "crio-", ""];
/// The length of a container's id, and how many digits of it suffice.
const ID: usize = 64;
const ID_MIN: usize = 12;

/// Whether root made this directory of the tree. An ordinary user to whom a part of the tree is
/// delegated (a user's own systemd) can name the directories below it at will.
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
    walk(directory, |path| {
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
    walk(directory, |path| {
        all.push(path.to_owned());
        true
    });
    all
}

/// Visits a directory and all below it, but none below one of which `visit` says false.
pub fn walk(directory: &Path, mut visit: impl FnMut(&Path) -> bool) {
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
pub fn mounted_at() -> Result<PathBuf, Error> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    mount_point(&mounts).ok_or(Error::NoCgroups)
}

/// The same, from the lines of mountinfo: no mount that is hidden by another on top of it.
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
            place.container =
                place.container.or_else(|| Some(names().find_map(container_id)?.into()));
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

/// Whether this is the name of a unit that can have processes.
pub fn is_unit(name: &str) -> bool {
    let is_kind = |kind: &&str| name.len() > kind.len() && name.ends_with(kind);
    !name.contains('/') && UNITS.iter().any(is_kind)
}

/// Whether this is the id of a container, or enough of its start.
pub fn is_container_id(text: &str) -> bool {
    (ID_MIN..=ID).contains(&text.len()) && is_hexadecimal(text)
}

/// The id of the container that has a directory of this name.
pub fn container_id(name: &str) -> Option<&str> {
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
