//! Which values apply in the end, and where each comes from.

use std::ffi::CStr;
use std::fmt;

use options::Mode;

use super::{RequestedSettings, Settings, backoff};
use crate::sys::kernel::Kernel;
use crate::text::time;
use crate::values::Values;

/// The values that apply in the end, and the mode.
pub struct EffectiveSettings {
    /// The values; None for those that are not known.
    pub values: Values<Option<Setting<u32>>>,
    /// Who has the last word.
    pub mode: Setting<Mode>,
}

/// A value or mode that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value or mode.
    pub value: T,
    /// Where it comes from.
    pub source: Source,
}

/// Where a setting comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From the arguments, or from what this command does without any.
    Argument,
    /// From this variable of the environment.
    Variable(&'static CStr),
    /// Nobody has chosen it.
    Kernel,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument => Ok(()),
            Self::Variable(name) => write!(f, " ({})", name.to_string_lossy()),
            Self::Kernel => f.write_str(" (kernel)"),
        }
    }
}

impl EffectiveSettings {
    /// In words: which values, where they come from, in which mode.
    pub fn describe(&self, kernel: &Kernel) -> String {
        self.describe_covered(kernel, None)
    }

    /// The same for a cover, which may give up a silent peer that leaves data in flight
    /// unacknowledged, after so many milliseconds.
    pub fn describe_covered(&self, kernel: &Kernel, dead_after: Option<u32>) -> String {
        let Values { count, idle, interval, .. } = self.values;
        let mut parts = Vec::new();
        let mode = self.mode;
        match mode.value {
            Mode::Skip => parts.push(format!(
                "times only, the program decides whether keepalive is on{}",
                mode.source
            )),
            Mode::Force => parts.push(format!("over what the program sets{}", mode.source)),
            Mode::On | Mode::Off => {}
        }
        if let Some(Setting { value, source }) = idle {
            parts.push(format!("first probe after {} idle{source}", time::format_seconds(value)));
        }
        if let Some(Setting { value, source }) = interval {
            parts.push(format!("then every {}{source}", time::format_seconds(value)));
        }
        parts.extend(count.map(|count| self.describe_count(count)));
        parts.push(self.describe_unacknowledged(kernel, dead_after));
        if let Some(Setting { value, source: source @ (Source::Argument | Source::Variable(_)) }) =
            self.values.syn_count
        {
            parts.push(format!("connect(2) sends its SYN again {value} times{source}"));
        }
        if kernel.known_defaults().is_none() {
            parts.push("of the kernel's own values some are unknown".into());
        }
        parts.join(", ")
    }

    /// When a peer is dead that answers no probe. Where there is a user timeout, the kernel looks at
    /// that alone, when a probe after the first is due (net/ipv4/tcp_timer.c, `tcp_keepalive_timer`).
    fn describe_count(&self, Setting { value: count, source }: Setting<u32>) -> String {
        let value = |setting: Option<Setting<u32>>| setting.map(|setting| setting.value);
        let Values { idle, interval, user_timeout, .. } = self.values.map(|_, it| value(it));
        let by_count = format!("dead after {count} unanswered{source}");
        let (Some(idle), Some(interval), Some(limit @ 1..)) = (idle, interval, user_timeout) else {
            return by_count;
        };
        let milliseconds = |seconds: u32| seconds.saturating_mul(1000);
        let probing = limit.saturating_sub(milliseconds(idle));
        let after = match probing.checked_div(milliseconds(interval)) {
            Some(_) => match probing.div_ceil(milliseconds(interval)).max(1) {
                unanswered if unanswered == count => return by_count,
                unanswered => format!("{unanswered} unanswered"),
            },
            // Probes without a pause between them.
            None => time::format_milliseconds(limit),
        };
        format!("dead after {after} (the user timeout decides, not the count of {count})")
    }

    /// What becomes of data that nobody acknowledges.
    fn describe_unacknowledged(&self, kernel: &Kernel, dead_after: Option<u32>) -> String {
        if let Some(Setting { value: limit @ 1.., source }) = self.values.user_timeout {
            return format!(
                "unacknowledged data ends the connection after {}, also if the peer lives{source}",
                time::format_milliseconds(limit)
            );
        }
        if let Some(limit) = dead_after {
            return format!(
                "unacknowledged data: connection dropped within {} while the peer is silent",
                time::format_milliseconds(limit)
            );
        }
        let is_chosen = |setting: &Setting<u32>| setting.source != Source::Kernel;
        let bound = self.values.rto_max.filter(is_chosen);
        let (bound, why) = match bound {
            Some(_) if kernel.has_rto_max == Some(false) => {
                (None, " (TCP_RTO_MAX_MS needs Linux 6.15)")
            }
            bound => (bound, ""),
        };
        let time = |retries, rto_max| backoff::model(retries, backoff::RTO_MIN, rto_max);
        match (bound, kernel.retries, kernel.defaults.rto_max) {
            (Some(Setting { value, source }), Some(retries), _) => format!(
                "unacknowledged data: resent at least every {}, connection dropped within {}{source}",
                time::format_milliseconds(value),
                time::format_milliseconds(backoff::in_flight(value, retries))
            ),
            (None, Some(retries), Some(rto_max)) => format!(
                "unacknowledged data: kernel retransmits for about {}{why}",
                time::format_milliseconds(time(retries, rto_max))
            ),
            _ => "unacknowledged data: how long the kernel retransmits is unknown".into(),
        }
    }

    /// The same, for a follower, which knows nothing of the environment. Idle time, interval and count
    /// are always given: where a variable is unusable, the kernel's value stays, not the default of
    /// this command.
    pub fn requested(&self) -> RequestedSettings {
        let chosen = self
            .values
            .map(|_, setting| setting.filter(|it| it.source != Source::Kernel).map(|it| it.value));
        let usable = self.values.map(|option, setting| {
            setting.map(|it| it.value).filter(|value| option.contains(*value))
        });
        let values = Values {
            count: chosen.count.or(usable.count),
            idle: chosen.idle.or(usable.idle),
            interval: chosen.interval.or(usable.interval),
            ..chosen
        };
        RequestedSettings { values, mode: self.mode.value }
    }
}

/// Where nothing but these settings has a say.
impl From<Settings> for EffectiveSettings {
    fn from(Settings { values, mode }: Settings) -> Self {
        let source = Source::Argument;
        Self {
            values: values.map(|_, value| value.map(|value| Setting { value, source })),
            mode: Setting { value: mode, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_is_asked_for_what_was_chosen_and_for_the_kernel_s_times() {
        let from = |source| move |value| Some(Setting { value, source });
        let kernel =
            Kernel::default().assumed_defaults().map(|_, value| from(Source::Kernel)(value));
        let mode = Setting { value: Mode::Force, source: Source::Variable(c"KEEPALIVE") };
        let values = Values {
            count: from(Source::Argument)(7),
            interval: from(Source::Variable(c"KEEPINTVL"))(8),
            ..kernel
        };
        let requested = EffectiveSettings { values, mode }.requested();
        let expected =
            Values { count: Some(7), idle: Some(7200), interval: Some(8), ..Values::default() };
        assert_eq!(requested, RequestedSettings { values: expected, mode: Mode::Force });
        // No default of this command takes their place.
        assert_eq!(requested.resolve(&Kernel::default()).values, expected);
        // What no socket can have is not asked for.
        let values = Values { idle: from(Source::Kernel)(0), ..values };
        assert_eq!(EffectiveSettings { values, mode }.requested().values.idle, None);
    }
}
