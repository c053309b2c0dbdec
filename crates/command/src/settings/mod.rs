//! What the operator wants, from the command line.

mod arguments;
mod dead_after;
mod held;
mod patience;

use options::Mode;

pub use arguments::SettingsArgs;
pub use held::{Held, Setting, Source};

use crate::kernel::Kernel;
use crate::values::Values;

/// The kernel's timer wheel lets a timer expire late by at most 8/63 of its time
/// (kernel/time/timer.c: a level's granularity over the times it is used for): it takes at most
/// 71/63 of it.
pub const LATENESS: (u64, u64) = (71, 63);

/// The longest idle time where nothing is given, in seconds: it holds every path whose limit is
/// known.
const IDLE: u32 = 60;

/// What the operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The values given.
    pub values: Values<Option<u32>>,
    /// Who has the last word: on, skip or force.
    pub mode: Mode,
}

impl Settings {
    /// The settings that the arguments ask for.
    pub fn new(arguments: &SettingsArgs) -> Self {
        let chosen = arguments.dead_after.map(dead_after::values).unwrap_or_default();
        let values = Values {
            count: arguments.count.or(chosen.count),
            idle: arguments.idle.or(chosen.idle),
            interval: arguments.interval.or(chosen.interval),
            user_timeout: arguments.user_timeout,
            rto_max: arguments.rto_max,
            syn_count: arguments.syn_count,
        };
        let mode = match (arguments.force, arguments.skip) {
            (true, _) => Mode::Force,
            (_, true) => Mode::Skip,
            _ => Mode::On,
        };
        Self { values, mode }
    }

    /// Where no value at all is given: an idle time that holds every path, unless the kernel's own
    /// is shorter.
    pub fn or_default(mut self, kernel: &Kernel) -> Self {
        if self.values == Values::default() {
            self.values.idle = Some(kernel.defaults.idle.min(IDLE));
        }
        self
    }

    /// For sockets that are not connected yet: a bound on the pauses between retransmissions
    /// shortens connect(2) too, so more SYNs are sent beside it.
    pub fn with_patient_connect(mut self, kernel: &Kernel) -> Self {
        if let (Some(rto_max), None) = (self.values.rto_max, self.values.syn_count) {
            self.values.syn_count = patience::syn_count(rto_max, kernel);
        }
        self
    }

    /// What will hold where nothing but these settings has a say.
    pub fn held(&self) -> Held {
        let source = Source::Argument;
        Held {
            values: self.values.map(|_, value| value.map(|value| Setting { value, source })),
            mode: Setting { value: self.mode, source },
        }
    }
}
