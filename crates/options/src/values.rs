//! A value for each option, and the settings of a program.

use crate::{KEEPCNT, KEEPIDLE, KEEPINTVL, Mode, RTO_MAX, SYNCNT, TcpOption, USER_TIMEOUT};

/// What is to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The values that are given.
    pub values: Values<Option<u32>>,
    /// Who has the last word.
    pub mode: Mode,
}

/// A value for each option, or something else that each of them has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Values<T> {
    /// `TCP_KEEPCNT`: unanswered probes after which the connection is dead.
    pub count: T,
    /// `TCP_KEEPIDLE`: idle time before the first probe, in seconds.
    pub idle: T,
    /// `TCP_KEEPINTVL`: time between probes, in seconds.
    pub interval: T,
    /// `TCP_USER_TIMEOUT`: how long sent data may stay unacknowledged, in milliseconds; 0 is
    /// the kernel's own time.
    pub user_timeout: T,
    /// `TCP_RTO_MAX_MS`: longest pause between retransmissions, in milliseconds.
    pub rto_max: T,
    /// `TCP_SYNCNT`: how often connect(2) sends its SYN again.
    pub syn_count: T,
}

impl<T> Values<T> {
    /// Asks `value` for each option.
    pub fn new(mut value: impl FnMut(&'static TcpOption) -> T) -> Self {
        Self {
            count: value(&KEEPCNT),
            idle: value(&KEEPIDLE),
            interval: value(&KEEPINTVL),
            user_timeout: value(&USER_TIMEOUT),
            rto_max: value(&RTO_MAX),
            syn_count: value(&SYNCNT),
        }
    }

    /// Asks `value` for each option; the first error ends it.
    pub fn try_new<E>(
        mut value: impl FnMut(&'static TcpOption) -> Result<T, E>,
    ) -> Result<Self, E> {
        Ok(Self {
            count: value(&KEEPCNT)?,
            idle: value(&KEEPIDLE)?,
            interval: value(&KEEPINTVL)?,
            user_timeout: value(&USER_TIMEOUT)?,
            rto_max: value(&RTO_MAX)?,
            syn_count: value(&SYNCNT)?,
        })
    }

    /// Each option with its value, in the order in which the library sets them.
    pub fn iter(self) -> impl Iterator<Item = (&'static TcpOption, T)> {
        [
            (&KEEPCNT, self.count),
            (&KEEPIDLE, self.idle),
            (&KEEPINTVL, self.interval),
            (&USER_TIMEOUT, self.user_timeout),
            (&RTO_MAX, self.rto_max),
            (&SYNCNT, self.syn_count),
        ]
        .into_iter()
    }

    /// The value for this option.
    pub fn get(self, option: &TcpOption) -> Option<T> {
        self.iter().find_map(|(it, value)| (it.number == option.number).then_some(value))
    }

    /// Both values for each option.
    pub fn zip<U>(self, other: Values<U>) -> Values<(T, U)> {
        Values {
            count: (self.count, other.count),
            idle: (self.idle, other.idle),
            interval: (self.interval, other.interval),
            user_timeout: (self.user_timeout, other.user_timeout),
            rto_max: (self.rto_max, other.rto_max),
            syn_count: (self.syn_count, other.syn_count),
        }
    }

    /// Each value changed.
    pub fn map<U>(self, mut change: impl FnMut(&'static TcpOption, T) -> U) -> Values<U> {
        Values {
            count: change(&KEEPCNT, self.count),
            idle: change(&KEEPIDLE, self.idle),
            interval: change(&KEEPINTVL, self.interval),
            user_timeout: change(&USER_TIMEOUT, self.user_timeout),
            rto_max: change(&RTO_MAX, self.rto_max),
            syn_count: change(&SYNCNT, self.syn_count),
        }
    }
}
