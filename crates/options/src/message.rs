//! Messages of one line, put together byte by byte: nothing is allocated.

use core::ffi::{CStr, c_int};

use crate::env::{Expected, Unusable};

/// The most bytes of a line, with its newline (a test of this crate puts the longest of each kind
/// together).
pub const LINE_MAX: usize = 440;

/// The most bytes of a foreign value that are shown.
const VALUE_MAX: usize = 40;

/// A line under construction.
pub trait Line {
    /// Appends one byte.
    fn push(&mut self, byte: u8);

    /// Appends text of our own. (Never inlined: a copy at every call would be half the library.)
    #[inline(never)]
    fn text(&mut self, text: &str) {
        for byte in text.bytes() {
            self.push(byte);
        }
    }

    /// Appends the name of a variable or an option.
    fn name(&mut self, name: &CStr) {
        self.value(name.to_bytes());
    }

    /// Appends a number, in decimal.
    fn number(&mut self, number: u32) {
        if number > 9 {
            self.number(number / 10);
        }
        self.push(b'0' + (number % 10) as u8);
    }

    /// Appends bytes that somebody else chose. Control characters, bytes outside ASCII and the
    /// backslash are written as `\xNN`, so that nothing can end the line, move the cursor or look
    /// like an escape. Only the first 40 bytes are written, then `...`.
    #[inline(never)]
    fn value(&mut self, value: &[u8]) {
        for &byte in value.iter().take(VALUE_MAX) {
            if matches!(byte, b' '..=b'~') && byte != b'\\' {
                self.push(byte);
            } else {
                self.text("\\x");
                self.push(hex_digit(byte >> 4));
                self.push(hex_digit(byte & 0xf));
            }
        }
        if value.len() > VALUE_MAX {
            self.text("...");
        }
    }

    /// Appends the report that a variable's value cannot be used, what is accepted, and what
    /// happens instead:
    /// `libkeepalive: KEEPCNT=0: not a whole number from 1 to 127 (probes); ...`.
    fn unusable(&mut self, unusable: &Unusable<'_>) {
        self.text("libkeepalive: ");
        self.name(unusable.variable);
        self.push(b'=');
        self.value(unusable.value);
        self.text(": not ");
        let instead = match unusable.expected {
            Expected::Mode => {
                self.text("on, off, skip or force");
                "; on applies"
            }
            Expected::Number(option) => {
                self.text("a whole number from ");
                self.number(option.min);
                self.text(" to ");
                self.number(option.max);
                self.text(" (");
                self.text(option.unit.name());
                "); the system default stays"
            }
            Expected::Switch => "1 or 0; sockets are not reported",
        };
        self.text(instead);
    }

    /// Appends the beginning of a line about a socket of a process:
    /// `libkeepalive[1234]: socket() = 3:`.
    fn about(&mut self, process: u32, call: &str, fd: c_int) {
        self.text("libkeepalive[");
        self.number(process);
        self.text("]: ");
        self.text(call);
        self.number(fd as u32);
        self.push(b':');
    }

    /// Appends what came of setting an option: ` TCP_KEEPCNT=20`, and, unless `errno` is 0, why
    /// it was refused.
    #[inline(never)]
    fn outcome(&mut self, name: &CStr, value: u32, errno: c_int) {
        self.push(b' ');
        self.name(name);
        self.push(b'=');
        self.number(value);
        if errno != 0 {
            self.text(" (refused, errno ");
            self.number(errno as u32);
            self.push(b')');
        }
    }
}

/// The lower-case hexadecimal digit of a number below 16.
fn hex_digit(number: u8) -> u8 {
    if number < 10 { b'0' + number } else { b'a' - 10 + number }
}
