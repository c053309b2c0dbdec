//! The environment of the program: the inherited entries, except for the variables that the library
//! reads.

use std::ffi::{CStr, CString, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;

use options::{Line, Mode, OPTIONS, TcpOption, given};

use super::library::Library;
use crate::kernel::Kernel;
use crate::settings::{EffectiveSettings, Setting, Settings, Source};

const KEEPALIVE: &CStr = c"KEEPALIVE";
const DEBUG: &CStr = c"KEEPALIVE_DEBUG";
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
        self.values(name).next().and_then(given)
    }

    /// The variable that sets an option, and its value. The short name wins.
    pub fn option(&self, option: &TcpOption) -> Option<(&'static CStr, &[u8])> {
        let mut names = option.short_name.into_iter().chain([option.name]);
        names.find_map(|name| Some((name, self.get(name)?)))
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
        let mut said = Vec::new();
        if let Some(text) = self.get(KEEPALIVE)
            && settings.mode == Mode::On
            && Mode::parse(text).is_none()
        {
            said.push(unusable(KEEPALIVE, text, Mode::ACCEPTED, "on applies"));
            self.remove(KEEPALIVE);
        }
        for (option, wanted) in settings.values.iter() {
            if let Some((name, text)) = self.option(option)
                && wanted.is_none()
                && option.parse(text).is_none()
            {
                said.push(unusable(name, text, option.accepted, "the system default stays"));
                // The default stays even if the other name has a value.
                option.short_name.iter().for_each(|name| self.remove(name));
                self.remove(option.name);
            }
        }
        if let Some(text) = self.get(DEBUG)
            && !debug
            && !matches!(text, b"0" | b"1")
        {
            said.push(unusable(DEBUG, text, "1 or 0", "sockets are not reported"));
            self.remove(DEBUG);
        }
        said
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
            _ if self.get(KEEPALIVE).and_then(Mode::parse) == Some(Mode::Off) => {
                self.set(KEEPALIVE, "on");
            }
            _ => {}
        }
        if debug {
            self.set(DEBUG, "1");
        }
        // Of several entries ld.so(8) takes the last.
        let value = library.in_front_of(self.values(PRELOAD).next_back().map(OsStr::from_bytes));
        self.set(PRELOAD, value);
    }

    /// Whether it has a variable for any option, whatever the value.
    pub fn chooses_values(&self) -> bool {
        OPTIONS.iter().any(|option| self.option(option).is_some())
    }

    /// What will hold in the program, and where it comes from.
    pub fn effective(&self, settings: &Settings, kernel: &Kernel) -> EffectiveSettings {
        let values = settings.values.zip(kernel.defaults).map(|option, (wanted, default)| {
            let variable = self.option(option).and_then(|(name, text)| {
                Some(Setting { value: option.parse(text)?, source: Source::Variable(name) })
            });
            let wanted = wanted.map(|value| Setting { value, source: Source::Argument });
            let default = Setting { value: default, source: Source::Kernel };
            Some(wanted.or(variable).unwrap_or(default))
        });
        let mode = match self.get(KEEPALIVE).and_then(Mode::parse) {
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
fn unusable(name: &CStr, value: &[u8], accepted: &str, instead: &str) -> String {
    struct Words(Vec<u8>);

    impl Line for Words {
        fn push(&mut self, byte: u8) {
            self.0.push(byte);
        }
    }

    let mut words = Words(Vec::new());
    words.unusable(name, value, accepted, instead);
    let words = String::from_utf8_lossy(&words.0);
    words.strip_prefix("libkeepalive: ").unwrap_or(&words).into()
}
