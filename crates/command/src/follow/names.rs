//! Looks for processes by name, again and again. The name by which a process was started lies in its
//! memory, which it can keep from being read.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::find::{Search, Wanted, find_apart};
use crate::process::{Held, Process};
use crate::text::report_error;

/// Remembers the processes whose names cannot be known, and at what a child of this one hung.
#[derive(Default)]
pub struct Names {
    locked: Vec<(Process, Held)>,
}

impl Names {
    /// The processes of a name. One whose memory cannot be read is told once, and may be one of them
    /// or not. Ends early if `stop` can be read; adds the processor time that it took in children.
    pub fn search(
        &mut self,
        wanted: &Wanted,
        stop: BorrowedFd<'_>,
        childs_time: &mut Duration,
    ) -> Result<Vec<Process>, String> {
        // The number may be another process's by now.
        self.locked.retain(|(process, _)| process.is_there());
        loop {
            let locked: Vec<_> = self.locked.iter().map(|(_, held)| *held).collect();
            let (search, time) = find_apart(wanted, &locked, stop);
            *childs_time += time;
            match search {
                Search::Found(processes) => return Ok(processes),
                Search::Failed(message) => return Err(message),
                // Nobody waits for the outcome.
                Search::Stopped => return Ok(Vec::new()),
                Search::Stuck(held) => {
                    for process in Wanted::Number(held.pid).find().unwrap_or_default() {
                        report_error(format!("{process}: {held}"));
                        self.locked.push((process, held));
                    }
                }
            }
        }
    }
}
