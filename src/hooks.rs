//! The exported functions, which the host calls instead of the C library's. Nothing is decided
//! here: each calls the real function and lets apply.rs set the options.
//!
//! They are plain `extern "C"`: `"C-unwind"` would drag in a panic path, and pthread_cancel(3)
//! needs only the unwind tables, which every x86-64 and aarch64 build has.

use libc::{c_int, c_void, sockaddr, socklen_t};

use crate::{apply, next};

/// socket(2): a TCP socket has the settings when it returns.
///
/// # Safety
///
/// As for socket(2): none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    // SAFETY: the caller's arguments, for the function it meant.
    let fd = unsafe { next::socket(domain, kind, protocol) };
    if fd >= 0 {
        apply::created(fd, domain, kind, protocol);
    }
    fd
}

/// connect(2): a TCP socket that has no keepalive yet gets the settings first. The address is
/// passed on unread: the kernel refuses an invalid one.
///
/// # Safety
///
/// As for connect(2): `address` is read for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    apply::connecting(fd);
    // SAFETY: the caller's arguments, for the function it meant.
    unsafe { next::connect(fd, address, length) }
}

/// accept(2): a TCP socket that did not inherit keepalive gets the settings.
///
/// # Safety
///
/// As for accept(2): `address` and `length` are null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn accept(
    listener: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    // SAFETY: the caller's arguments, for the function it meant.
    let fd = unsafe { next::accept(listener, address, length) };
    if fd >= 0 {
        apply::accepted(fd, "accept() = ");
    }
    fd
}

/// accept4(2): as accept(2).
///
/// # Safety
///
/// As for accept4(2): `address` and `length` are null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn accept4(
    listener: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's arguments, for the function it meant.
    let fd = unsafe { next::accept4(listener, address, length, flags) };
    if fd >= 0 {
        apply::accepted(fd, "accept4() = ");
    }
    fd
}

/// setsockopt(2): under `force`, the operator's value is put back where the program changed it.
///
/// # Safety
///
/// As for setsockopt(2): `value` is read for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    length: socklen_t,
) -> c_int {
    let Some(settings) = apply::forced() else {
        // This early return is a tail jump on purpose: a call and a return cost more
        // (docs/speed.md).
        // SAFETY: the caller's arguments, for the function it meant.
        return unsafe { next::setsockopt(fd, level, name, value, length) };
    };
    // SAFETY: as above.
    let result = unsafe { next::setsockopt(fd, level, name, value, length) };
    if result == 0 {
        apply::changed(settings, fd, level, name);
    }
    result
}

/// What setsockopt(2) is for programs with 64-bit time (`_TIME_BITS=64`) on 32-bit glibc, whose
/// headers give it this name.
///
/// # Safety
///
/// As for setsockopt(2): `value` is read for `length` bytes.
#[cfg(all(target_pointer_width = "32", target_env = "gnu"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __setsockopt64(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    length: socklen_t,
) -> c_int {
    // SAFETY: the caller's arguments, for the function it meant.
    let result = unsafe { next::__setsockopt64(fd, level, name, value, length) };
    if result == 0 {
        if let Some(settings) = apply::forced() {
            apply::changed(settings, fd, level, name);
        }
    }
    result
}
