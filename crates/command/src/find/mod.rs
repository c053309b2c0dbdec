//! From what an argument names to processes, and from these to their descendants.

mod name;
mod selection;
mod spec;
mod tree;

pub use selection::SelectionArgs;
pub use spec::{Found, Target, find_all};
pub use tree::with_descendants;

use std::io;

use procfs::process::Stat;

use crate::process::{
    Proc, Process, all_pids, check_proc, has_ended, is_refused, own_trouble, vanished,
};
use crate::worker::{is_own, is_put_off};

/// Every process except this one and the kernel's threads.
pub fn all() -> Result<Vec<Process>, String> {
    check_proc()?;
    processes(|_, _| Ok(true)).map_err(|error| own_trouble(&error))
}

/// The processes that are wanted, sorted by number, without those of this command, those that have
/// ended and the kernel's threads. Only one is open at a time.
fn processes(is_wanted: impl FnMut(&Proc, &Stat) -> io::Result<bool>) -> io::Result<Vec<Process>> {
    among(all_pids()?, is_wanted)
}

/// As [`processes`], of these numbers only.
fn among(
    mut numbers: Vec<i32>,
    mut is_wanted: impl FnMut(&Proc, &Stat) -> io::Result<bool>,
) -> io::Result<Vec<Process>> {
    /// PF_KTHREAD of include/linux/sched.h.
    const KERNEL_THREAD: u32 = 0x0020_0000;

    let mut found = Vec::new();
    numbers.sort_by_key(|pid| is_put_off(*pid));
    for pid in numbers {
        let mut look = || -> io::Result<Option<Process>> {
            let mut directory = Proc::open(pid)?;
            let stat = directory.stat()?;
            if stat.flags & KERNEL_THREAD != 0 || is_own(pid) {
                return Ok(None);
            }
            if has_ended(&stat) {
                match directory.live_thread()? {
                    Some((thread, _)) => directory = thread,
                    None => return Ok(None),
                }
            }
            let is_wanted = is_wanted(&directory, &stat)?;
            Ok(is_wanted.then_some(Process::from(stat)))
        };
        match look() {
            Ok(process) => found.extend(process),
            // It has ended meanwhile, or is another user's and hidden (hidepid=noaccess).
            Err(error) if vanished(&error) || is_refused(&error) => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_by_key(|process| process.pid);
    Ok(found)
}
