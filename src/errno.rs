//! errno belongs to the host: the library's own calls must not show in it.

use libc::c_int;

/// Keeps errno: it gets its value back when this goes out of scope.
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
        // SAFETY: as in `new`; its own thread may write it.
        unsafe { *libc::__errno_location() = self.0 }
    }
}

/// The calling thread's errno, errno(3).
pub fn errno() -> c_int {
    // SAFETY: as in `ErrnoGuard::new`.
    unsafe { *libc::__errno_location() }
}
