//! Sets the options on one socket.
//!
//! Every function here keeps errno and ignores refusals: each option stands for itself (MPTCP
//! refuses `TCP_USER_TIMEOUT`, a sandbox may forbid them all).

use libc::{
    AF_INET, AF_INET6, IPPROTO_MPTCP, IPPROTO_TCP, SO_KEEPALIVE, SOCK_STREAM, SOL_SOCKET,
    TCP_KEEPIDLE, c_int, socklen_t,
};
use options::{KEEPIDLE, Line, Mode};

use crate::errno::{ErrnoGuard, errno};
use crate::next;
use crate::report::Message;
use crate::settings::{Setting, Settings};

/// The type of a socket without its flags, `SOCK_TYPE_MASK` of the kernel's linux/net.h.
const SOCK_TYPE_MASK: c_int = 0xf;

/// Why a socket is left as it is.
enum Reason {
    NotTcp,
    /// Keepalive is on: it has the settings, or somebody chose others for it.
    On,
    /// Whether it is on cannot be read.
    Unreadable,
}

/// A socket has been created: if it is TCP, it gets the settings.
pub fn created(fd: c_int, domain: c_int, kind: c_int, protocol: c_int) {
    let settings = Settings::get();
    let is_tcp = matches!(domain, AF_INET | AF_INET6)
        && kind & SOCK_TYPE_MASK == SOCK_STREAM
        && matches!(protocol, 0 | IPPROTO_TCP | IPPROTO_MPTCP);
    if !settings.mode_is(Mode::Off) && (is_tcp || settings.debug()) {
        let _errno = ErrnoGuard::new();
        apply(settings, fd, "socket() = ", (!is_tcp).then_some(Reason::NotTcp));
    }
}

/// A socket is about to be connected: the second chance of one that was created where we did
/// not see it.
pub fn connecting(fd: c_int) {
    let _errno = ErrnoGuard::new();
    let settings = Settings::get();
    if settings.second_chance() && reason_to_leave(settings, fd).is_none() {
        apply(settings, fd, "connect() of ", None);
    }
}

/// A connection has been accepted: the second chance of one whose listener we did not see.
pub fn accepted(fd: c_int, call: &'static str) {
    let _errno = ErrnoGuard::new();
    let settings = Settings::get();
    if settings.second_chance() {
        apply(settings, fd, call, reason_to_leave(settings, fd));
    }
}

/// Why a socket is left alone at connect() or accept(). Without `force` only a socket whose
/// keepalive is off gets the settings: where it is on, it has them, or somebody chose others.
fn reason_to_leave(settings: Settings, fd: c_int) -> Option<Reason> {
    if settings.mode_is(Mode::On) {
        match get(fd, SOL_SOCKET, SO_KEEPALIVE) {
            Some(0) => {}
            Some(_) => return Some(Reason::On),
            None => return Some(Reason::Unreadable),
        }
    }
    (!is_tcp(fd)).then_some(Reason::NotTcp)
}

/// The settings, if the operator has the last word.
pub fn forced() -> Option<Settings> {
    let settings = Settings::get();
    settings.mode_is(Mode::Force).then_some(settings)
}

/// Under `force`, the program has changed an option: puts the operator's value back. Under
/// `KEEPALIVE_DEBUG` says so, if the value was another.
pub fn changed(settings: Settings, fd: c_int, level: c_int, name: c_int) {
    let _errno = ErrnoGuard::new();
    let chosen = settings.for_a_socket().find(|it| (it.level, it.number) == (level, name));
    if let Some(setting) = chosen {
        // Every kind of socket has SO_KEEPALIVE.
        if level == IPPROTO_TCP || is_tcp(fd) {
            let was = if settings.debug() { get(fd, level, name) } else { None };
            let errno = set(fd, setting);
            if let Some(was) = was.filter(|was| *was != setting.value as c_int) {
                let mut line = Message::new();
                line.about_socket("setsockopt() of ", fd);
                line.text(" put back");
                line.outcome(setting.name, setting.value, errno);
                line.text(" in place of ");
                line.number(was as u32);
                line.send();
            }
        }
    }
}

/// Sets every option that was asked for, unless there is a reason to leave the socket alone.
/// Under `KEEPALIVE_DEBUG` says what came of it.
#[inline(never)]
fn apply(settings: Settings, fd: c_int, call: &str, reason_to_leave: Option<Reason>) {
    let debug = settings.debug();
    let mut line = Message::new();
    if debug {
        line.about_socket(call, fd);
    }
    match reason_to_leave {
        Some(reason) if debug => explain(&mut line, fd, reason),
        Some(_) => {}
        None => {
            let mut nothing_to_set = true;
            for setting in settings.for_a_socket() {
                nothing_to_set = false;
                let errno = set(fd, setting);
                if debug {
                    line.outcome(setting.name, setting.value, errno);
                }
            }
            if debug && nothing_to_set {
                line.text(" nothing to set");
            }
        }
    }
    if debug {
        line.send();
    }
}

/// Appends why a socket is left alone. For one that is on, the line has its idle time too.
fn explain(line: &mut Message, fd: c_int, reason: Reason) {
    let is_on = matches!(reason, Reason::On);
    let idle = if is_on { get(fd, IPPROTO_TCP, TCP_KEEPIDLE) } else { None };
    match (reason, idle) {
        (Reason::On, Some(idle)) => {
            line.text(" on already,");
            line.outcome(KEEPIDLE.name, idle as u32, 0);
        }
        (Reason::Unreadable, _) => line.text(" SO_KEEPALIVE cannot be read, left alone"),
        _ => line.text(" not TCP, left alone"),
    }
}

/// Whether a socket is TCP: only TCP has `TCP_KEEPIDLE` to read. (`SO_KEEPALIVE` can be read and
/// set on every kind of socket.)
fn is_tcp(fd: c_int) -> bool {
    get(fd, IPPROTO_TCP, TCP_KEEPIDLE).is_some()
}

/// An option's value by getsockopt(2), if the socket has the option.
fn get(fd: c_int, level: c_int, name: c_int) -> Option<c_int> {
    let mut value: c_int = 0;
    let mut length = size_of::<c_int>() as socklen_t;
    // SAFETY: `value` has room for `length` bytes; both outlive the call.
    let result =
        unsafe { next::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut length) };
    (result == 0).then_some(value)
}

/// Sets an option by setsockopt(2): 0, or errno. (Always inlined: after a system call the
/// processor mispredicts returns, and each costs 10 ns: docs/speed.md.)
#[inline(always)]
fn set(fd: c_int, setting: Setting) -> c_int {
    let Setting { level, number, value, .. } = setting;
    let length = size_of_val(&value) as socklen_t;
    // SAFETY: `value` is read for `length` bytes during the call.
    let result = unsafe { next::setsockopt(fd, level, number, (&raw const value).cast(), length) };
    if result == 0 { 0 } else { errno() }
}
