//! Messages on stderr: no allocation, no stdio, and only where they do no harm.

use core::mem::MaybeUninit;
use core::num::NonZeroUsize;

use libc::{
    AF_INET, AF_INET6, POLLOUT, S_IFMT, S_IFSOCK, SO_DOMAIN, SOL_SOCKET, STDERR_FILENO, SYS_getpid,
    SYS_getsockopt, SYS_ppoll, SYS_write, c_int, c_void, pollfd, socklen_t, syscall, timespec,
};
use once_cell::race::OnceNonZeroUsize;
use options::{LINE_MAX, Line};

use crate::arch;

const NULL: *const c_void = core::ptr::null();

/// What descriptor 2 was at load, see [`stderr`].
static STDERR: OnceNonZeroUsize = OnceNonZeroUsize::new();

/// [`stderr`] of a descriptor that must get no message.
const NOWHERE: NonZeroUsize = NonZeroUsize::MIN;

/// Remembers what descriptor 2 is: call it at load, before the host can change that.
pub fn remember_stderr() {
    STDERR.get_or_init(stderr);
}

/// A line that is built on the stack and sent with one write(2).
pub struct Message {
    bytes: [MaybeUninit<u8>; LINE_MAX],
    length: usize,
}

impl Message {
    /// An empty line.
    pub fn new() -> Self {
        Self { bytes: [const { MaybeUninit::uninit() }; LINE_MAX], length: 0 }
    }

    /// Begins the line about a socket of this process. Its number is asked for each time, since
    /// the host may have forked.
    #[inline(never)]
    pub fn about_socket(&mut self, call: &str, fd: c_int) {
        // SAFETY: no memory is involved.
        let process = unsafe { syscall(SYS_getpid) };
        self.about(process as u32, call, fd);
    }

    /// Ends the line and writes it to stderr, if that is still the file that was there at load
    /// and takes the line at once: the host must neither block nor get a SIGPIPE from us. It makes
    /// the system calls itself: the C library's write() would be a cancellation point.
    pub fn send(&mut self) {
        self.push(b'\n');
        let at_load = STDERR.get_or_init(stderr);
        if at_load == NOWHERE || at_load != stderr() {
            return;
        }
        let mut descriptor = pollfd { fd: STDERR_FILENO, events: POLLOUT, revents: 0 };
        let at_once = timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: one descriptor and one time, which outlive the call; no signal mask.
        unsafe { syscall(SYS_ppoll, &raw mut descriptor, 1, &raw const at_once, NULL, 0_usize) };
        // No other bit may be set: nobody reads a pipe with POLLERR or a socket with POLLHUP.
        if descriptor.revents == POLLOUT {
            // SAFETY: the first `length` bytes have been written.
            unsafe { syscall(SYS_write, STDERR_FILENO, self.bytes.as_ptr(), self.length) };
        }
    }
}

impl Line for Message {
    #[inline(never)]
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            place.write(byte);
            self.length += 1;
        }
    }
}

/// The file that descriptor 2 is now, as a number; [`NOWHERE`] if it is closed, or the connection
/// of an inetd-style service, where a message would go to the peer.
fn stderr() -> NonZeroUsize {
    let Some(status) = arch::fstat(STDERR_FILENO) else {
        return NOWHERE;
    };
    if status.st_mode & S_IFMT == S_IFSOCK && matches!(domain(), AF_INET | AF_INET6) {
        return NOWHERE;
    }
    // Both numbers are below 2^32 nearly everywhere, so on 64 bits no two files get the same.
    let device = (status.st_dev as usize).rotate_left(usize::BITS / 2);
    NonZeroUsize::new(status.st_ino as usize ^ device).unwrap_or(NOWHERE)
}

/// The address family of descriptor 2, which is a socket.
fn domain() -> c_int {
    let mut domain: c_int = 0;
    let mut length = size_of::<c_int>() as socklen_t;
    // SAFETY: `domain` has room for `length` bytes; both outlive the call.
    unsafe {
        syscall(
            SYS_getsockopt,
            STDERR_FILENO,
            SOL_SOCKET,
            SO_DOMAIN,
            &raw mut domain,
            &raw mut length,
        )
    };
    domain
}
