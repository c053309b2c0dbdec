//! The environment of the program: the inherited entries, except for the variables that the library
//! reads.

use std::ffi::{CStr, CString, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;

use options::env::{self, KEEPALIVE, KEEPALIVE_DEBUG};
use options::{Line, Mode, TcpOption, Unusable};

use super::library::Library;
use crate::settings::{EffectiveSettings, RequestedSettings, Setting, Settings, Source};
use crate::sys::kernel::Kernel;

const PRELOAD: &CStr = c"LD_PRELOAD";

/// The entries, most of them NAME=VALUE.
pub struct Environment(Vec<CString>);

impl Environment {
    /// What this process has inherited. (`std::env` leaves out what is not NAME=VALUE.)
    pub fn inherited() -> Self {
        unsafe extern "C" {
            static environ: *const *const c_char;
        }
        let mut entries = Vec::new();
        // SAFETY: nobody else changes the environment: the command never does, and has one thread.
        let mut next = unsafe { environ };
        // SAFETY: environ(7) is null, or an array of strings that ends in a null pointer.
        while let Some(entry) = unsafe { next.as_ref() }.filter(|entry| !entry.is_null()) {
            // SAFETY: as above; each string ends in NUL.
            entries.push(unsafe { CStr::from_ptr(*entry) }.to_owned());
            // SAFETY: there is one more, since this one was not the null pointer.
            next = unsafe { next.add(1) };
        }
        Self(entries)
    }

    /// The entries, for execve(2).
    pub fn entries(&self) -> &[CString] {
        &self.0
    }

    /// The values of a variable: more than one if there are several entries.
    fn values(&self, name: &CStr) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.iter().filter_map(move |entry| value(entry, name))
    }

    /// The value of a variable as getenv(3) finds it, and so the library.
    fn get(&self, name: &CStr) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// The mode, where the variable says a usable one.
    fn mode(&self) -> Option<Mode> {
        env::mode(|name| self.get(name)).ok().flatten()
    }

    /// Whether a variable says anything about an option, usable or not.
    pub fn chooses(&self, option: &TcpOption) -> bool {
        env::source(option, |name| self.get(name)).is_some()
    }

    fn remove(&mut self, name: &CStr) {
        self.0.retain(|entry| value(entry, name).is_none());
    }

    fn set(&mut self, name: &CStr, value: impl AsRef<OsStr>) {
        self.remove(name);
        let entry = [name.to_bytes(), b"=", value.as_ref().as_bytes()].concat();
        // No value has a NUL: they are numbers, words, and paths of files that were opened.
        self.0.extend(CString::new(entry));
    }

    /// Removes values that the library could not use, and returns reports in the library's words. A
    /// variable that the arguments replace is not checked.
    pub fn take_unusable(&mut self, settings: &Settings, debug: bool) -> Vec<String> {
        let (mut reports, mut names) = (Vec::new(), Vec::new());
        let mut take = |unusable: Unusable<'_>, all: [Option<&'static CStr>; 2]| {
            reports.push(report(&unusable));
            names.extend(all.into_iter().flatten());
        };
        if settings.mode == Mode::On
            && let Err(unusable) = env::mode(|name| self.get(name))
        {
            take(unusable, [Some(KEEPALIVE), None]);
        }
        for (option, argument) in settings.values.iter() {
            if argument.is_none()
                && let Err(unusable) = env::value(option, |name| self.get(name))
            {
                // The default stays even if the other name has a value.
                take(unusable, [option.short_name, Some(option.name)]);
            }
        }
        if !debug && let Err(unusable) = env::debug(|name| self.get(name)) {
            take(unusable, [Some(KEEPALIVE_DEBUG), None]);
        }
        names.iter().for_each(|name| self.remove(name));
        reports
    }

    /// Sets the variables for the library, and puts it in front of other preloads.
    pub fn prepare(&mut self, settings: &Settings, debug: bool, library: &Library) {
        for (option, value) in settings.values.iter() {
            if let Some(value) = value {
                self.set(option.short_name.unwrap_or(option.name), value.to_string());
            }
        }
        match settings.mode {
            Mode::Force => self.set(KEEPALIVE, "force"),
            Mode::Skip => self.set(KEEPALIVE, "skip"),
            // An `off` in the environment is overruled: somebody asks for keepalive now.
            _ if self.mode() == Some(Mode::Off) => self.set(KEEPALIVE, "on"),
            _ => {}
        }
        if debug {
            self.set(KEEPALIVE_DEBUG, "1");
        }
        // Of several entries ld.so(8) takes the last.
        let value = library.in_front_of(self.values(PRELOAD).next_back().map(OsStr::from_bytes));
        self.set(PRELOAD, value);
    }

    /// What is set for these arguments. A variable goes before a default, also an unusable one: its
    /// report says that the system default stays.
    pub fn resolve(&self, requested: &RequestedSettings, kernel: &Kernel) -> Settings {
        let Settings { values, mode } = requested.resolve(kernel);
        let values = values.zip(requested.values).map(|option, (value, given)| {
            given.or_else(|| value.filter(|_| !self.chooses(option)))
        });
        Settings { values, mode }
    }

    /// What will hold in the program, and where it comes from.
    pub fn effective(&self, settings: &Settings, kernel: &Kernel) -> EffectiveSettings {
        let values = settings.values.zip(kernel.defaults).map(|option, (wanted, default)| {
            let value = env::value(option, |name| self.get(name)).ok().flatten();
            let source = env::source(option, |name| self.get(name));
            let variable = value
                .zip(source)
                .map(|(value, (name, _))| Setting { value, source: Source::Variable(name) });
            let wanted = wanted.map(|value| Setting { value, source: Source::Argument });
            let default = default.map(|value| Setting { value, source: Source::Kernel });
            wanted.or(variable).or(default)
        });
        let mode = match self.mode() {
            Some(mode @ (Mode::Skip | Mode::Force)) if settings.mode == Mode::On => {
                Setting { value: mode, source: Source::Variable(KEEPALIVE) }
            }
            _ => Setting { value: settings.mode, source: Source::Argument },
        };
        EffectiveSettings { values, mode }
    }
}

/// The value of an entry, if it is this variable's.
fn value<'entry>(entry: &'entry CStr, name: &CStr) -> Option<&'entry [u8]> {
    entry.to_bytes().strip_prefix(name.to_bytes())?.strip_prefix(b"=")
}

/// The library's words for a value that it cannot use.
fn report(unusable: &Unusable<'_>) -> String {
    struct Bytes(Vec<u8>);

    impl Line for Bytes {
        fn push(&mut self, byte: u8) {
            self.0.push(byte);
        }
    }

    let mut line = Bytes(Vec::new());
    line.unusable(unusable);
    let line = String::from_utf8_lossy(&line.0);
    line.strip_prefix("libkeepalive: ").unwrap_or(&line).into()
}
