//! From a target to its control group.

use std::path::{Path, PathBuf};

use super::error::Error;
use crate::find::{Cgroup, Suggestion};
use crate::process::{is_of_root, mounted_at};
use crate::request::CoverTarget;

/// The control group of a target.
pub fn locate(target: &CoverTarget) -> Result<PathBuf, Error> {
    let root = mounted_at().map_err(Error::NoTree)?;
    let Some(cgroup) = target.cgroup() else { return Ok(root) };
    if let Cgroup::Path(path) = cgroup
        && is_version_1(path)
    {
        return Err(Error::Version1 { root });
    }
    match (cgroup, cgroup.find()?) {
        (Cgroup::Unit(_), Some(path)) if !is_of_root(&path) => Err(Error::UnitOfUser(path)),
        (_, Some(path)) => Ok(path),
        (Cgroup::Unit(unit), None) => Err(Error::NoUnit(Suggestion::for_unit(unit))),
        (Cgroup::Container(_), None) => Err(Error::NoContainer),
        (Cgroup::Path(_), None) => Err(Error::NoCgroup),
    }
}

/// Whether a directory is of cgroup v1.
fn is_version_1(path: &Path) -> bool {
    /// CGROUP_SUPER_MAGIC of statfs(2).
    const CGROUP_SUPER_MAGIC: rustix::fs::FsWord = 0x27_e0eb;
    rustix::fs::statfs(path).is_ok_and(|found| found.f_type == CGROUP_SUPER_MAGIC)
}
