//! What is set: chosen from what the operator asked for and the kernel's own values.

mod backoff;
pub mod dead_after;
mod effective;
pub mod late;

pub use options::Settings;
use options::{KEEPIDLE, Mode};

pub use effective::{EffectiveSettings, Setting, Source};

use crate::sys::kernel::Kernel;
use crate::text::time;
use crate::values::Values;

/// The longest idle time where none is given, in seconds. It holds paths that forget after a minute,
/// as some NATs do, and half-closed connections, which conntrack and IPVS forget after 60 s.
const IDLE: u32 = 45;
/// The interval where none is given, in seconds. The next probe comes only after the idle time and the
/// interval, also where the peer has answered: a longer one would not hold the path.
const INTERVAL: u32 = 45;
/// The count where none is given, the kernel's largest: it judges nobody. A peer is given up after
/// 96 min; to notice a dead one sooner is for `--dead-after`.
const COUNT: u32 = 127;

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

impl RequestedSettings {
    /// What is set in a network namespace with these values. Idle time, interval and count each have
    /// a default of their own, whatever else is given.
    pub fn resolve(&self, kernel: &Kernel) -> Settings {
        let Values { count, idle, interval, .. } = self.values;
        let own_idle = kernel.defaults.idle.filter(|idle| KEEPIDLE.contains(*idle));
        let values = Values {
            count: count.or(Some(COUNT)),
            idle: idle.or(Some(own_idle.unwrap_or(IDLE).min(IDLE))),
            interval: interval.or(Some(INTERVAL)),
            ..self.values
        };
        Settings { values, mode: self.mode }
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

/// For sockets that are not connected yet: a bound on the pauses between retransmissions shortens
/// connect(2) too, so more SYNs are sent beside it.
pub fn keep_connect_patient(settings: &mut Settings, kernel: &Kernel) {
    if let (Some(rto_max), None) = (settings.values.rto_max, settings.values.syn_count) {
        settings.values.syn_count = backoff::syn_count(rto_max, kernel);
    }
}

impl From<Settings> for RequestedSettings {
    /// Asks for these values and no others.
    fn from(Settings { values, mode }: Settings) -> Self {
        Self { values, mode }
    }
}
