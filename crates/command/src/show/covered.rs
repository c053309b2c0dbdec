//! Whether `keepalive cover` has covered a process.

use crate::bpf::{Cover, Entry, covers};
use crate::kernel::Kernel;
use crate::process::Process;
use crate::text::printable;

/// The covers of the process's control group and of those above it, the innermost first; None where
/// this process may not ask (root may).
fn of(process: &Process) -> Option<Vec<Cover>> {
    let cgroup = process.with(|target| target.cgroup()).ok()?;
    cgroup.map_or(Some(Vec::new()), |cgroup| covers(&cgroup).ok())
}

/// A line for each cover.
pub fn lines(process: &Process) -> Vec<String> {
    let kernel = Kernel::new().unwrap_or_default();
    let covers = of(process).unwrap_or_default();
    let line = |cover: &Cover| {
        format!(
            "covered by {}: {}",
            printable(&cover.cgroup.to_string_lossy()),
            cover.settings.held().describe(&kernel)
        )
    };
    covers.iter().map(line).collect()
}

/// For JSON.
pub fn entries(process: &Process) -> Option<Vec<Entry>> {
    Some(of(process)?.iter().map(Entry::of).collect())
}
