//! What can be covered: systemd units, containers and other control groups.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::find::{Cgroup, Suggestion};
use crate::process::{self, is_of_root, mounted_at};
use crate::text::printable;

/// What is to be covered.
#[derive(Clone, Debug)]
pub struct Target {
    /// As it was written; None for the whole system.
    argument: Option<String>,
    group: Option<Cgroup>,
}

/// How long a control group is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// As long as a service, or another unit with processes of its own, runs.
    Unit,
    /// As long as there is anything in the slice, which usually is always.
    Slice,
    /// As long as the container.
    Container,
    /// Until somebody removes it.
    Directory,
    /// Until the system ends.
    System,
}

/// The target of this name, or path.
pub fn parse(argument: &str) -> Result<Target, String> {
    let group = Cgroup::parse(argument).ok_or(
        "not a unit (kafka.service, system.slice), the id of a container (12 hexadecimal digits or \
         more) or the path of a cgroup; for processes by number or name there is `keepalive attach \
         --follow`",
    )?;
    Ok(Target { argument: Some(argument.into()), group: Some(group) })
}

impl Target {
    /// The whole system.
    pub fn all() -> Self {
        Self { argument: None, group: None }
    }

    /// As it was written, if it is not the whole system.
    pub fn argument(&self) -> Option<&str> {
        self.argument.as_deref()
    }

    /// Its control group.
    pub fn find(&self) -> Result<PathBuf, String> {
        let no_tree = |error: process::Error| {
            format!(
                "{error}: there is nothing to cover (systemd has one unless the kernel's command \
                 line says systemd.unified_cgroup_hierarchy=0 and \
                 systemd.legacy_systemd_cgroup_controller=1); `keepalive attach --follow` does \
                 without"
            )
        };
        let root = mounted_at().map_err(no_tree)?;
        let Some(group) = &self.group else { return Ok(root) };
        if let Cgroup::Path(path) = group
            && is_version_1(path)
        {
            return Err(format!(
                "a cgroup of version 1, which cannot be covered; those of version 2 are below {}",
                root.display()
            ));
        }
        let found = group.find().map_err(|error| error.to_string())?;
        if let (Cgroup::Unit(_), Some(path)) = (group, &found)
            && !is_of_root(path)
        {
            return Err(format!(
                "the system has no such unit running, but a user has made {}: name that by its \
                 path, if it is meant",
                printable(&path.to_string_lossy())
            ));
        }
        found.ok_or_else(|| match group {
            Cgroup::Unit(unit) => format!(
                "no such unit is running{}. Start it first, or cover its slice \
                 (system.slice), which covers what is started later, too",
                Suggestion::for_unit(unit)
            ),
            Cgroup::Container(_) => "no such container is running".into(),
            Cgroup::Path(_) => "there is no such cgroup".into(),
        })
    }

    /// How long it is there.
    pub fn lifetime(&self) -> Lifetime {
        match &self.group {
            None => Lifetime::System,
            Some(Cgroup::Unit(name)) if name == "-.slice" => Lifetime::System,
            Some(Cgroup::Unit(name)) if name.ends_with(".slice") => Lifetime::Slice,
            Some(Cgroup::Unit(_)) => Lifetime::Unit,
            Some(Cgroup::Container(_)) => Lifetime::Container,
            Some(Cgroup::Path(_)) => Lifetime::Directory,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.argument {
            Some(argument) => write!(f, "{}", printable(argument)),
            None => f.write_str("the whole system"),
        }
    }
}

/// Whether a directory is of cgroup v1.
fn is_version_1(path: &Path) -> bool {
    /// CGROUP_SUPER_MAGIC of statfs(2).
    const CGROUP_SUPER_MAGIC: rustix::fs::FsWord = 0x27_e0eb;
    rustix::fs::statfs(path).is_ok_and(|found| found.f_type == CGROUP_SUPER_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_no_target() {
        for argument in ["1234", "nginx", "", "4C01DB0B339C"] {
            let error = parse(argument).expect_err(argument);
            assert!(error.contains("keepalive attach --follow"), "{error}");
        }
    }

    #[test]
    fn how_long_it_is_there() {
        for (argument, lifetime) in [
            ("a.service", Lifetime::Unit),
            ("session-3.scope", Lifetime::Unit),
            ("system.slice", Lifetime::Slice),
            ("-.slice", Lifetime::System),
            ("0123456789ab", Lifetime::Container),
            ("/sys/fs/cgroup/x", Lifetime::Directory),
        ] {
            assert_eq!(parse(argument).map(|it| it.lifetime()), Ok(lifetime), "{argument}");
        }
        assert_eq!(Target::all().lifetime(), Lifetime::System);
    }
}
