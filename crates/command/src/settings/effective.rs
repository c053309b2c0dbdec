//! Which values apply in the end, and where each comes from.

use std::ffi::CStr;
use std::fmt;

use options::Mode;

use super::{RequestedSettings, Settings, backoff};
use crate::kernel::Kernel;
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
        if let Some(Setting { value, source }) = count {
            parts.push(match self.count_of_user_timeout() {
                Some(unanswered) if unanswered != value => format!(
                    "dead after {unanswered} unanswered (the user timeout decides, not the count \
                     of {value})"
                ),
                _ => format!("dead after {value} unanswered{source}"),
            });
        }
        parts.push(self.describe_in_flight(kernel, dead_after));
        if let Some(Setting { value, source: source @ (Source::Argument | Source::Variable(_)) }) =
            self.values.syn_count
        {
            parts.push(format!("connect(2) sends its SYN again {value} times{source}"));
        }
        parts.join(", ")
    }

    /// What becomes of data that nobody acknowledges.
    fn describe_in_flight(&self, kernel: &Kernel, dead_after: Option<u32>) -> String {
        match self.values.user_timeout {
            Some(Setting { value, source }) if value > 0 => {
                return format!(
                    "data in flight ends the connection after {}, also if the peer lives{source}",
                    time::format_milliseconds(value)
                );
            }
            _ => {}
        }
        if let Some(limit) = dead_after {
            return format!(
                "data in flight given up within {} while the peer is silent",
                time::format_milliseconds(limit)
            );
        }
        let is_wanted = |setting: &Setting<u32>| setting.source != Source::Kernel;
        let bound = self.values.rto_max.filter(is_wanted);
        match bound.filter(|_| kernel.has_rto_max) {
            Some(Setting { value, source }) => {
                format!(
                    "data in flight sent again at least every {}, given up within {}{source}",
                    time::format_milliseconds(value),
                    time::format_milliseconds(backoff::in_flight(value, kernel.retries))
                )
            }
            None => format!(
                "data in flight given up after about {} (kernel{})",
                time::format_milliseconds(backoff::model(
                    kernel.retries,
                    backoff::RTO_MIN,
                    kernel.defaults.rto_max
                )),
                if bound.is_some() { "; TCP_RTO_MAX_MS takes Linux 6.15" } else { "" }
            ),
        }
    }

    /// The same, for what knows nothing of the environment. Where nobody has chosen any value, that is
    /// the kernel's own idle time: without one there would be another.
    pub fn requested(&self) -> RequestedSettings {
        let mut values = self.values.map(|_, setting| {
            setting.filter(|setting| setting.source != Source::Kernel).map(|setting| setting.value)
        });
        if values == Values::default() {
            values.idle = self.values.idle.map(|idle| idle.value);
        }
        RequestedSettings { values, mode: self.mode.value }
    }

    /// How many probes stay unanswered until an idle connection ends, where there is a user
    /// timeout: the kernel then looks at it alone, when a probe after the first is due
    /// (net/ipv4/tcp_timer.c, `tcp_keepalive_timer`).
    fn count_of_user_timeout(&self) -> Option<u32> {
        let value = |setting: Option<Setting<u32>>| setting.map(|setting| setting.value);
        let limit = value(self.values.user_timeout).filter(|limit| *limit > 0)?;
        let idle = value(self.values.idle)?.saturating_mul(1000);
        let interval = value(self.values.interval)?.saturating_mul(1000);
        Some(limit.saturating_sub(idle).div_ceil(interval).max(1))
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
    fn what_was_chosen_is_asked_for_and_nothing_else() {
        let from = |source| move |value| Some(Setting { value, source });
        let kernel = Kernel::default().defaults.map(|_, value| from(Source::Kernel)(value));
        let mode = Setting { value: Mode::Force, source: Source::Variable(c"KEEPALIVE") };
        let values = Values {
            count: from(Source::Argument)(7),
            interval: from(Source::Variable(c"KEEPINTVL"))(8),
            ..kernel
        };
        let requested = EffectiveSettings { values, mode }.requested();
        let expected = Values { count: Some(7), interval: Some(8), ..Values::default() };
        assert_eq!(requested, RequestedSettings { values: expected, mode: Mode::Force });
        // Nothing at all is the kernel's idle time, not the one that this command chooses.
        let mode = Setting { value: Mode::On, source: Source::Argument };
        let requested = EffectiveSettings { values: kernel, mode }.requested();
        let settings = requested.resolve(&Kernel::default());
        assert_eq!(settings.values, Values { idle: Some(7200), ..Values::default() });
    }
}
