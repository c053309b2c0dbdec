//! Processes by their names. The name by which a process was started lies in its memory, which it can
//! keep from being read: so nobody but a child may ask for it (worker/hang.rs).

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use procfs::process::Stat;

use super::Target;
use crate::process::{CommandLine, Proc, Process};
use crate::text::error;
use crate::worker::hang::{leave_out, left_out, reading_memory};
use crate::worker::{End, Hang, run_child};

/// Whether one of a process's names is this, as pgrep(1) --exact compares.
pub fn has_name(proc: &Proc, stat: &Stat, name: &str) -> io::Result<bool> {
    if stat.comm == name {
        return Ok(true);
    }
    let mut has_name = false;
    for_each_name(proc, stat, |other| has_name |= other == name)?;
    Ok(has_name)
}

/// Each name of a process: that of ps(1), its program's file, and those of its command line, unless
/// that is locked.
pub fn for_each_name(proc: &Proc, stat: &Stat, mut each: impl FnMut(&str)) -> io::Result<()> {
    each(&stat.comm);
    // Another user's program is hidden, but not its arguments.
    let program = proc.program().ok();
    let program = program.as_ref().map(|path| path.to_string_lossy());
    let line = match left_out(stat.pid) {
        Some(_) => CommandLine::default(),
        None => reading_memory(stat.pid, || proc.command_line())?,
    };
    line.names(program.as_deref()).into_iter().for_each(each);
    Ok(())
}

/// What came of a look for processes in a child.
pub enum Search {
    /// These are there.
    Found(Vec<Process>),
    /// It cannot be done, for this reason.
    Failed(String),
    /// The child hangs at this, and nobody waits for it any more.
    Stuck(Hang),
    /// The calling process is to end.
    Stopped,
}

/// What a child says.
mod word {
    /// The number of a process that was found.
    pub const NUMBER: u8 = 0;
    /// When that process started.
    pub const START: u8 = 1;
    /// A byte of the reason for which it cannot be done.
    pub const REASON: u8 = 2;
}

/// Looks for the target's processes in a child, which leaves out what is locked; and the
/// processor time of the child. It ends early if `stop` can be read.
pub fn find_in_child(target: &Target, locked: &[Hang], stop: BorrowedFd<'_>) -> (Search, Duration) {
    let (mut found, mut number, mut reason) = (Vec::new(), 0, Vec::new());
    let end = run_child(
        |sender| {
            leave_out(locked);
            match target.find() {
                Ok(processes) => processes.iter().for_each(|process| {
                    sender.send((process.pid as u64, word::NUMBER));
                    sender.send((process.start, word::START));
                }),
                Err(message) => {
                    message
                        .to_string()
                        .bytes()
                        .for_each(|byte| sender.send((byte.into(), word::REASON)));
                }
            }
        },
        |(said, kind)| match kind {
            word::NUMBER => number = said as i32,
            word::START => found.extend(Process::find(number, said)),
            _ => reason.push(said as u8),
        },
        Some(stop),
    );
    let search = match end {
        Ok(End::Done(time)) if reason.is_empty() => return (Search::Found(found), time),
        Ok(End::Done(_)) => Search::Failed(String::from_utf8_lossy(&reason).into_owned()),
        Ok(End::Stuck(held)) => Search::Stuck(held),
        Ok(End::Stopped) => Search::Stopped,
        Ok(End::Died(_)) => Search::Failed("a child of this command was killed".into()),
        Err(error) => Search::Failed(format!("fork(2): {} (ulimit -u)", error::describe(&error))),
    };
    (search, Duration::ZERO)
}
