//! Why a target cannot be covered.

use std::path::PathBuf;

use crate::find::{self, Suggestion};
use crate::text::printable;
use crate::{bpf, process};

/// Why a target cannot be covered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{0}: there is nothing to cover (systemd mounts one unless the kernel's command line has \
         systemd.unified_cgroup_hierarchy=0 and systemd.legacy_systemd_cgroup_controller=1); \
         `keepalive attach --follow` needs none"
    )]
    NoTree(process::Error),
    #[error("a cgroup of version 1, which cannot be covered; those of version 2 are below {}", .root.display())]
    Version1 { root: PathBuf },
    #[error(
        "the system has no such unit running, but a user has created {}: to cover that, name it by \
         its path",
        printable(&.0.to_string_lossy())
    )]
    UnitOfUser(PathBuf),
    #[error(
        "no such unit is running{0}. Start it first, or cover its slice (system.slice), which also \
         covers what starts later"
    )]
    NoUnit(Suggestion),
    #[error("no such container is running")]
    NoContainer,
    #[error("there is no such cgroup")]
    NoCgroup,
    #[error(transparent)]
    Find(#[from] find::Error),
    #[error(transparent)]
    Bpf(#[from] bpf::Error),
}
