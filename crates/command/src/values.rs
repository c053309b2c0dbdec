//! A value for each option that the command knows: the one it has, the one it is to get, the
//! kernel's default; and numbers as people write them.

use std::ops::RangeInclusive;

use options::{KEEPCNT, KEEPIDLE, KEEPINTVL, RTO_MAX, SYNCNT, TcpOption, USER_TIMEOUT};
use serde::{Deserialize, Serialize};

/// A value for each option of tcp(7) that has an argument and a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// A whole number in this range, of decimal digits and nothing else.
pub fn number(text: &str, range: RangeInclusive<u32>) -> Result<u32, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_number && range.contains(number));
    number.ok_or_else(|| format!("not a whole number from {} to {}", range.start(), range.end()))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use options::OPTIONS;

    use super::*;

    #[test]
    fn each_value_belongs_to_its_option() {
        let numbers = Values::try_new(|option| Ok::<_, Infallible>(option.number));
        let numbers = numbers.expect("infallible");
        assert!(numbers.iter().all(|(option, number)| option.number == number));
        assert!(numbers.iter().map(|(option, _)| option.name).eq(OPTIONS.iter().map(|it| it.name)));
        assert!(numbers.zip(numbers).map(|_, (one, other)| one == other).iter().all(|(_, is)| is));
        let Values { count, idle, interval, user_timeout, rto_max, syn_count } = numbers;
        assert_eq!(
            [count, idle, interval, user_timeout],
            [libc::TCP_KEEPCNT, libc::TCP_KEEPIDLE, libc::TCP_KEEPINTVL, libc::TCP_USER_TIMEOUT]
        );
        // libc does not have the number of TCP_RTO_MAX_MS (include/uapi/linux/tcp.h) yet.
        assert_eq!([rto_max, syn_count], [44, libc::TCP_SYNCNT]);
    }
}
