//! The names of a process. Those by which it was started lie in its memory, which it can keep from
//! being read: so nobody but a child may ask for them (worker/).

use std::io;

use procfs::process::Stat;

use crate::process::{CommandLine, Proc};
use crate::worker::{ProcessId, is_unasked, reading_memory, why_left_out};

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
/// that is left out.
pub fn for_each_name(proc: &Proc, stat: &Stat, mut each: impl FnMut(&str)) -> io::Result<()> {
    each(&stat.comm);
    // Another user's program is hidden, but not its arguments.
    let program = proc.program().ok();
    let program = program.as_ref().map(|path| path.to_string_lossy());
    let id = ProcessId { pid: stat.pid, start: stat.starttime };
    let line = if why_left_out(id).is_some() || is_unasked(id) {
        CommandLine::default()
    } else {
        reading_memory(id, || proc.command_line())?
    };
    line.names(program.as_deref()).into_iter().for_each(each);
    Ok(())
}
