//! From a target to its control group.

use std::path::{Path, PathBuf};

use crate::find::{Cgroup, Suggestion};
use crate::process::{self, is_of_root, mounted_at};
use crate::request::CoverTarget;
use crate::text::printable;

/// The control group of a target.
pub fn find(target: &CoverTarget) -> Result<PathBuf, String> {
    let no_tree = |error: process::Error| {
        format!(
            "{error}: there is nothing to cover (systemd has one unless the kernel's command \
                 line says systemd.unified_cgroup_hierarchy=0 and \
                 systemd.legacy_systemd_cgroup_controller=1); `keepalive attach --follow` does \
                 without"
        )
    };
    let root = mounted_at().map_err(no_tree)?;
    let Some(cgroup) = target.cgroup() else { return Ok(root) };
    if let Cgroup::Path(path) = cgroup
        && is_version_1(path)
    {
        return Err(format!(
            "a cgroup of version 1, which cannot be covered; those of version 2 are below {}",
            root.display()
        ));
    }
    let found = cgroup.find().map_err(|error| error.to_string())?;
    if let (Cgroup::Unit(_), Some(path)) = (cgroup, &found)
        && !is_of_root(path)
    {
        return Err(format!(
            "the system has no such unit running, but a user has made {}: name that by its \
                 path, if it is meant",
            printable(&path.to_string_lossy())
        ));
    }
    found.ok_or_else(|| match cgroup {
        Cgroup::Unit(unit) => format!(
            "no such unit is running{}. Start it first, or cover its slice \
                 (system.slice), which covers what is started later, too",
            Suggestion::for_unit(unit)
        ),
        Cgroup::Container(_) => "no such container is running".into(),
        Cgroup::Path(_) => "there is no such cgroup".into(),
    })
}

/// Whether a directory is of cgroup v1.
fn is_version_1(path: &Path) -> bool {
    /// CGROUP_SUPER_MAGIC of statfs(2).
    const CGROUP_SUPER_MAGIC: rustix::fs::FsWord = 0x27_e0eb;
    rustix::fs::statfs(path).is_ok_and(|found| found.f_type == CGROUP_SUPER_MAGIC)
}
