//! What is set: chosen from what the operator asked for and the kernel's own values.

mod backoff;
pub mod dead_after;
mod effective;

use options::Mode;

pub use effective::{EffectiveSettings, Setting, Source};

use crate::kernel::Kernel;
use crate::text::time;
use crate::values::Values;

/// The kernel's timer wheel lets a timer expire late by at most 8/63 of its time
/// (kernel/time/timer.c: a level's granularity over the times it is used for): it takes at most
/// 71/63 of it.
pub const LATENESS: (u64, u64) = (71, 63);

/// The longest idle time where nothing is given, in seconds: it holds every path whose limit is
/// known.
const IDLE: u32 = 60;

/// A user timeout above this, in milliseconds, is hardly meant: the kernel itself waits for about
/// 15 min.
const LONG_USER_TIMEOUT: u32 = 60 * 60 * 1000;

/// What the operator asked for, in whatever network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestedSettings {
    /// The values given.
    pub values: Values<Option<u32>>,
    /// Who has the last word: on, skip or force.
    pub mode: Mode,
}

/// What is set in a network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The values that are set; the others stay as they are.
    pub values: Values<Option<u32>>,
    /// Who has the last word: on, skip or force.
    pub mode: Mode,
}

impl RequestedSettings {
    /// What is set in a network namespace with these values. Where no value at all is given, that is
    /// an idle time that holds every path, unless the kernel's own is shorter.
    pub fn resolve(&self, kernel: &Kernel) -> Settings {
        let mut settings = self.as_given();
        if settings.values == Values::default() {
            settings.values.idle = Some(kernel.defaults.idle.min(IDLE));
        }
        settings
    }

    /// The values given, and no others.
    pub fn as_given(&self) -> Settings {
        Settings { values: self.values, mode: self.mode }
    }

    /// What may be a mistake: the kernel and the variable count the user timeout in milliseconds.
    pub fn warning(&self) -> Option<String> {
        let limit = self.values.user_timeout.filter(|limit| *limit > LONG_USER_TIMEOUT)?;
        Some(format!(
            "--user-timeout: sent data may stay unacknowledged for {}, longer than the kernel \
             itself waits; a number is seconds, milliseconds are written {}ms",
            time::format_milliseconds(limit),
            limit / 1000
        ))
    }
}

impl Settings {
    /// For sockets that are not connected yet: a bound on the pauses between retransmissions
    /// shortens connect(2) too, so more SYNs are sent beside it.
    pub fn with_patient_connect(mut self, kernel: &Kernel) -> Self {
        if let (Some(rto_max), None) = (self.values.rto_max, self.values.syn_count) {
            self.values.syn_count = backoff::syn_count(rto_max, kernel);
        }
        self
    }
}

impl From<Settings> for RequestedSettings {
    /// Asks for these values and no others.
    fn from(Settings { values, mode }: Settings) -> Self {
        Self { values, mode }
    }
}
