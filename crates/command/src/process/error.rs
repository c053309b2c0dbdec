//! What an error means that came while looking into a process.

use std::io;

use crate::text::error;

/// Whether an error means that the process or the socket is gone.
pub fn vanished(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ENOENT | libc::EBADF))
}

/// Whether an error means that the kernel does not let this process look.
pub fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES))
}

/// Whether an error means that this process, or the machine, has run out of something.
pub fn is_own_trouble(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

/// An error that has nothing to do with the process, in words.
pub fn own_trouble(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EMFILE) => "no descriptor is left for this command (ulimit -n)".into(),
        Some(libc::ENFILE) => "no descriptor is left on this machine (fs.file-max)".into(),
        Some(_) => format!("/proc: {}", error::describe(error)),
        None => error::describe(error),
    }
}
