//! What the operator wants, from the command line.

mod arguments;
mod dead_after;

use options::Mode;

pub use arguments::SettingsArgs;

use crate::time;
use crate::values::Values;

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
        let values = match arguments.dead_after {
            Some(limit) => dead_after::values(limit),
            None => Values {
                count: arguments.count,
                idle: arguments.idle,
                interval: arguments.interval,
                user_timeout: arguments.user_timeout,
            },
        };
        let mode = match (arguments.force, arguments.skip) {
            (true, _) => Mode::Force,
            (_, true) => Mode::Skip,
            _ => Mode::On,
        };
        Self { values, mode }
    }

    /// The settings in words, for `--verbose`.
    pub fn describe(&self) -> String {
        let Values { count, idle, interval, user_timeout } = self.values;
        let mut parts = Vec::new();
        if let Some(idle) = idle {
            parts.push(format!("first probe after {} idle", time::show_seconds(idle)));
        }
        if let Some(interval) = interval {
            parts.push(format!("then every {}", time::show_seconds(interval)));
        }
        if let Some(count) = count {
            parts.push(format!("dead after {count} unanswered"));
        }
        match user_timeout {
            Some(0) => parts.push("no user timeout".into()),
            Some(limit) => parts.push(format!(
                "sent data may stay unacknowledged for {}",
                time::show_milliseconds(limit)
            )),
            None => {}
        }
        if parts.is_empty() {
            parts.push("the kernel's own times".into());
        }
        parts.join(", ")
    }
}
