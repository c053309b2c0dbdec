//! From what an argument names to processes, and from these to their descendants.

mod cgroup;
mod error;
mod name;
mod selection;
mod spec;
mod suggestion;
mod tree;

pub use cgroup::Cgroup;
pub use error::Error;
pub use selection::Selection;
pub use spec::{Found, Target, find_all};
pub use suggestion::Suggestion;
pub use tree::with_descendants;

use std::io;

use procfs::process::Stat;

use crate::process::{self, Proc, Process, all_pids, check_proc, has_ended, is_denied, is_gone};
use crate::worker::{is_own, is_put_off};

/// Every process except this one and the kernel's threads.
pub fn all() -> Result<Vec<Process>, process::Error> {
    check_proc()?;
    scan(|_, _| Ok(true))
}

/// The processes that match, sorted by number, without those of this command, those that have ended
/// and the kernel's threads. Only one is open at a time.
fn scan(
    matches: impl FnMut(&Proc, &Stat) -> io::Result<bool>,
) -> Result<Vec<Process>, process::Error> {
    scan_pids(all_pids()?, matches)
}

/// As [`scan`], of these numbers only.
fn scan_pids(
    mut pids: Vec<i32>,
    mut matches: impl FnMut(&Proc, &Stat) -> io::Result<bool>,
) -> Result<Vec<Process>, process::Error> {
    /// PF_KTHREAD of include/linux/sched.h.
    const KERNEL_THREAD: u32 = 0x0020_0000;

    let mut found = Vec::new();
    pids.sort_by_key(|pid| is_put_off(*pid));
    for pid in pids {
        let mut look = || -> io::Result<Option<Process>> {
            let mut proc = Proc::open(pid)?;
            let stat = proc.stat()?;
            if stat.flags & KERNEL_THREAD != 0 || is_own(pid) {
                return Ok(None);
            }
            if has_ended(&stat) {
                match proc.live_thread()? {
                    Some((thread, _)) => proc = thread,
                    None => return Ok(None),
                }
            }
            Ok(matches(&proc, &stat)?.then_some(stat.into()))
        };
        match look() {
            Ok(process) => found.extend(process),
            // It has ended meanwhile, or is another user's and hidden (hidepid=noaccess).
            Err(error) if is_gone(&error) || is_denied(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    found.sort_by_key(|process| process.pid);
    Ok(found)
}
