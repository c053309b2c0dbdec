//! A preload that prints each socket option call that reaches it, and passes it on:
//!
//!     $ LD_PRELOAD=libkeepalive.so:libtrace_sockopts.so KEEPIDLE=180 some-program
//!     setsockopt(3, SOL_SOCKET, SO_KEEPALIVE, 1) = 0
//!     setsockopt(3, IPPROTO_TCP, TCP_KEEPIDLE, 180) = 0
//!
//! Behind libkeepalive it shows what goes to the kernel, in front of it what the program asked
//! for. Use it to look, and do not leave it in place: unlike libkeepalive it allocates.

// redhook's macro makes public items without documentation.
#![allow(missing_docs)]

use std::io::Write;

use libc::{c_int, c_void, socklen_t};

redhook::hook! {
    unsafe fn setsockopt(
        fd: c_int, level: c_int, name: c_int, value: *const c_void, length: socklen_t
    ) -> c_int => trace_setsockopt {
        // SAFETY: the caller's own arguments.
        let result = unsafe { redhook::real!(setsockopt)(fd, level, name, value, length) };
        // SAFETY: when the kernel took the value, it could read all of it.
        let value = (result == 0).then(|| unsafe { show_value(value, length) });
        trace(&format!("setsockopt({fd}, {}, {}", level_name(level), option_name(level, name)), value, result);
        result
    }
}

redhook::hook! {
    unsafe fn getsockopt(
        fd: c_int, level: c_int, name: c_int, value: *mut c_void, length: *mut socklen_t
    ) -> c_int => trace_getsockopt {
        // SAFETY: the caller's own arguments.
        let result = unsafe { redhook::real!(getsockopt)(fd, level, name, value, length) };
        // SAFETY: when the kernel gave the value, it could write both.
        let value = (result == 0).then(|| unsafe { format!("[{}]", show_value(value, *length)) });
        trace(&format!("getsockopt({fd}, {}, {}", level_name(level), option_name(level, name)), value, result);
        result
    }
}

/// Writes one line with one write(2); errno stays what the call left.
fn trace(call: &str, value: Option<String>, result: c_int) {
    let error = std::io::Error::last_os_error();
    let line = match value {
        Some(value) => format!("{call}, {value}) = {result}\n"),
        None => format!("{call}, ...) = {result} ({error})\n"),
    };
    // If stderr is closed, nobody can be told.
    let _ = std::io::stderr().write_all(line.as_bytes());
    // SAFETY: this thread's own errno.
    unsafe { *libc::__errno_location() = error.raw_os_error().unwrap_or(0) };
}

/// An `int` as its number, anything else as its size.
///
/// # Safety
///
/// `value` can be read for `length` bytes.
unsafe fn show_value(value: *const c_void, length: socklen_t) -> String {
    if length as usize == size_of::<c_int>() {
        // SAFETY: the caller's promise; it need not be aligned.
        unsafe { value.cast::<c_int>().read_unaligned() }.to_string()
    } else {
        format!("<{length} bytes>")
    }
}

fn level_name(level: c_int) -> String {
    match level {
        libc::SOL_SOCKET => "SOL_SOCKET".into(),
        libc::IPPROTO_TCP => "IPPROTO_TCP".into(),
        libc::IPPROTO_IP => "IPPROTO_IP".into(),
        libc::IPPROTO_IPV6 => "IPPROTO_IPV6".into(),
        other => other.to_string(),
    }
}

/// Linux 6.15; the libc crate does not have it yet.
const TCP_RTO_MAX_MS: c_int = 44;

/// The options that decide how long an idle connection lives, and the most common others.
fn option_name(level: c_int, name: c_int) -> String {
    let known = match (level, name) {
        (libc::SOL_SOCKET, libc::SO_KEEPALIVE) => "SO_KEEPALIVE",
        (libc::SOL_SOCKET, libc::SO_REUSEADDR) => "SO_REUSEADDR",
        (libc::SOL_SOCKET, libc::SO_REUSEPORT) => "SO_REUSEPORT",
        (libc::SOL_SOCKET, libc::SO_ERROR) => "SO_ERROR",
        (libc::SOL_SOCKET, libc::SO_TYPE) => "SO_TYPE",
        (libc::SOL_SOCKET, libc::SO_DOMAIN) => "SO_DOMAIN",
        (libc::SOL_SOCKET, libc::SO_PROTOCOL) => "SO_PROTOCOL",
        (libc::SOL_SOCKET, libc::SO_LINGER) => "SO_LINGER",
        (libc::SOL_SOCKET, libc::SO_SNDBUF) => "SO_SNDBUF",
        (libc::SOL_SOCKET, libc::SO_RCVBUF) => "SO_RCVBUF",
        (libc::SOL_SOCKET, libc::SO_BROADCAST) => "SO_BROADCAST",
        (libc::IPPROTO_TCP, libc::TCP_NODELAY) => "TCP_NODELAY",
        (libc::IPPROTO_TCP, libc::TCP_KEEPCNT) => "TCP_KEEPCNT",
        (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE) => "TCP_KEEPIDLE",
        (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL) => "TCP_KEEPINTVL",
        (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT) => "TCP_USER_TIMEOUT",
        (libc::IPPROTO_TCP, TCP_RTO_MAX_MS) => "TCP_RTO_MAX_MS",
        (libc::IPPROTO_TCP, libc::TCP_SYNCNT) => "TCP_SYNCNT",
        (libc::IPPROTO_TCP, libc::TCP_INFO) => "TCP_INFO",
        _ => return name.to_string(),
    };
    known.into()
}
