//! The names of a process. Those by which it was started lie in its memory, which it can keep from
//! being read: so nobody but a child may ask for them (worker/).

use std::io;

use procfs::process::Stat;

use crate::process::{CommandLine, Proc};
use crate::worker::{ProcessId, is_unasked, reading_memory, why_left_out};

/// Whether one of a process's names is this, as pgrep(1) --exact compares.
pub fn is_called(directory: &Proc, stat: &Stat, wanted: &str) -> io::Result<bool> {
    if stat.comm == wanted {
        return Ok(true);
    }
    let mut is_wanted = false;
    each_name(directory, stat, |name| is_wanted |= name == wanted)?;
    Ok(is_wanted)
}

/// Each name of a process: that of ps(1), its program's file, and those of its command line, unless
/// that is left out.
pub fn each_name(directory: &Proc, stat: &Stat, mut each: impl FnMut(&str)) -> io::Result<()> {
    each(&stat.comm);
    // Another user's program is hidden, but not its arguments.
    let program = directory.program().ok();
    let program = program.as_ref().map(|path| path.to_string_lossy());
    let id = ProcessId { pid: stat.pid, start: stat.starttime };
    let line = if why_left_out(id).is_some() || is_unasked(id) {
        CommandLine::default()
    } else {
        reading_memory(id, || directory.command_line())?
    };
    line.names(program.as_deref()).into_iter().for_each(each);
    Ok(())
}
