//! The environment into settings: once, into atomics, with no lock and no allocation.

use core::ffi::CStr;
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicU32, Ordering};

use libc::{IPPROTO_TCP, SO_KEEPALIVE, SOL_SOCKET, c_int};
use once_cell::race::OnceNonZeroUsize;
use options::{Line, Mode, OPTIONS, TcpOption, Unusable, env};

use crate::errno::ErrnoGuard;
use crate::report::{self, Message};

/// The mode's discriminant, plus [`DEBUG`]. Filled last: whoever sees it sees [`VALUES`] too
/// (`race` stores with Release and loads with Acquire).
static STATE: OnceNonZeroUsize = OnceNonZeroUsize::new();

/// `KEEPALIVE_DEBUG=1` in [`STATE`]: a bit above every discriminant of [`Mode`].
const DEBUG: usize = 8;

/// For each of [`OPTIONS`] its value plus one; 0 where none was given.
static VALUES: [AtomicU32; OPTIONS.len()] = [const { AtomicU32::new(0) }; OPTIONS.len()];

/// One option of a socket, and the value that it gets.
#[derive(Clone, Copy)]
pub struct Setting {
    /// The level, setsockopt(2).
    pub level: c_int,
    /// `optname` for setsockopt(2).
    pub number: c_int,
    /// The kernel's name for it.
    pub name: &'static CStr,
    /// The value.
    pub value: u32,
}

/// The settings, as the environment said when the library was loaded.
#[derive(Clone, Copy)]
pub struct Settings(usize);

impl Settings {
    /// Reads the environment and reports what cannot be used: to be called once, at load.
    pub fn load() {
        STATE.get_or_init(|| read(true));
    }

    /// The settings. Until they have been loaded, while the constructors run that come before
    /// ours, each call reads the environment again, since there may not be one yet: glibc makes
    /// it after it has called what a program put into its `DT_PREINIT_ARRAY`.
    pub fn get() -> Self {
        Self(STATE.get().unwrap_or_else(|| read(false)).get())
    }

    /// Whether this is the mode.
    pub fn mode_is(self, mode: Mode) -> bool {
        self.0 & !DEBUG == mode as usize
    }

    /// Whether sockets get the settings at connect() and accept() if they do not have them yet.
    pub fn second_chance(self) -> bool {
        self.mode_is(Mode::On) || self.mode_is(Mode::Force)
    }

    /// Whether each socket gets a line on stderr.
    pub fn debug(self) -> bool {
        self.0 & DEBUG != 0
    }

    /// What a new socket gets.
    pub fn for_a_socket(self) -> impl Iterator<Item = Setting> {
        let keepalive =
            Setting { level: SOL_SOCKET, number: SO_KEEPALIVE, name: c"SO_KEEPALIVE", value: 1 };
        let keepalive = (!self.mode_is(Mode::Skip)).then_some(keepalive);
        let given = OPTIONS.iter().zip(&VALUES).filter_map(|(option, value)| {
            let value = value.load(Ordering::Relaxed).checked_sub(1)?;
            let TcpOption { number, name, .. } = *option;
            Some(Setting { level: IPPROTO_TCP, number, name, value })
        });
        keepalive.into_iter().chain(given)
    }
}

/// Reads the environment. Threads that come before our constructor may do so at the same time:
/// all of them store the same.
#[cold]
#[inline(never)]
fn read(report: bool) -> NonZeroUsize {
    let _errno = ErrnoGuard::new();
    let mode = usable(env::mode(getenv), report).unwrap_or(Mode::On);
    let mut state = mode as usize;
    if mode != Mode::Off {
        for (option, slot) in OPTIONS.iter().zip(&VALUES) {
            let value = usable(env::value(option, getenv), report);
            slot.store(value.map_or(0, |value| value + 1), Ordering::Relaxed);
        }
        if usable(env::debug(getenv), report) == Some(true) {
            state |= DEBUG;
            report::remember_stderr();
        }
    }
    NonZeroUsize::new(state).unwrap_or(NonZeroUsize::MIN)
}

/// The value of a variable, if it can be used; otherwise reports it, if that is wanted.
fn usable<T>(value: Result<Option<T>, Unusable<'_>>, report: bool) -> Option<T> {
    value.unwrap_or_else(|unusable| {
        if report {
            report_unusable(&unusable);
        }
        None
    })
}

#[inline(never)]
fn report_unusable(unusable: &Unusable<'_>) {
    let mut line = Message::new();
    line.unusable(unusable);
    line.send();
}

/// The value of a variable of the environment, getenv(3).
fn getenv(name: &CStr) -> Option<&'static [u8]> {
    // SAFETY: the name ends in NUL. It is load time, or the constructor of another library
    // runs: whoever changes the environment then while others run may crash without us as well.
    let text = unsafe { libc::getenv(name.as_ptr()) };
    if text.is_null() {
        return None;
    }
    // Counted here, and with an end that the compiler does not take for that of strlen(3): one
    // symbol less for the loader to look up at every start. No string that execve(2) passes on
    // is longer (MAX_ARG_STRLEN: 32 pages, of at most 64 KiB).
    let mut length = 0;
    // SAFETY: a string of the environment ends in NUL, and stays while `read` runs.
    while length < 32 << 16 && unsafe { *text.add(length) } != 0 {
        length += 1;
    }
    // SAFETY: as above; `length` bytes have been read.
    Some(unsafe { core::slice::from_raw_parts(text.cast(), length) })
}
