//! Looks for processes by name, again and again. The name by which a process was started lies in its
//! memory, which it can keep from being read.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::find::{Search, Target, find_in_child};
use crate::process::Process;
use crate::text::report_error;
use crate::worker::Hang;

/// Remembers the processes whose names cannot be known, and at what a child of this one hung.
#[derive(Default)]
pub struct Names {
    hangs: Vec<(Process, Hang)>,
}

impl Names {
    /// The processes of a name. One whose memory cannot be read is told once, and may be one of them
    /// or not. Ends early if `stop` can be read; adds the processor time that it took in children.
    pub fn search(
        &mut self,
        target: &Target,
        stop: BorrowedFd<'_>,
        childs_time: &mut Duration,
    ) -> Result<Vec<Process>, String> {
        // The number may be another process's by now.
        self.hangs.retain(|(process, _)| process.is_alive());
        loop {
            let hangs: Vec<_> = self.hangs.iter().map(|(_, hang)| *hang).collect();
            let (search, time) = find_in_child(target, &hangs, stop);
            *childs_time += time;
            match search {
                Search::Found(processes) => return Ok(processes),
                Search::Failed(message) => return Err(message),
                // Nobody waits for the outcome.
                Search::Stopped => return Ok(Vec::new()),
                Search::Stuck(hang) => {
                    for process in Target::Pid(hang.pid).find().unwrap_or_default() {
                        report_error(format!("{process}: {hang}"));
                        self.hangs.push((process, hang));
                    }
                }
            }
        }
    }
}
