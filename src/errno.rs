//! errno belongs to the host: what the library calls on the way must not show in it.

use libc::c_int;

/// Keeps errno as it is now: it is put back when this goes out of scope.
pub struct ErrnoGuard(c_int);

impl ErrnoGuard {
    /// Saves the calling thread's errno.
    pub fn new() -> Self {
        // SAFETY: the C library's own location of this thread's errno is always readable.
        Self(unsafe { *libc::__errno_location() })
    }
}

impl Drop for ErrnoGuard {
    fn drop(&mut self) {
        // SAFETY: as in `new`; it may be written by its own thread.
        unsafe { *libc::__errno_location() = self.0 }
    }
}

/// The calling thread's errno, errno(3).
pub fn errno() -> c_int {
    // SAFETY: as in `ErrnoGuard::new`.
    unsafe { *libc::__errno_location() }
}
