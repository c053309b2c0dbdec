//! The socket options of tcp(7) that can be set, one row each.

use core::ffi::{CStr, c_int};

/// One socket option at level `IPPROTO_TCP`, tcp(7).
#[derive(Debug)]
pub struct TcpOption {
    /// The kernel's name, which is also the environment variable that sets it.
    pub name: &'static CStr,
    /// The variable of libkeepalive 0.3, which wins where both are set.
    pub short_name: Option<&'static CStr>,
    /// `optname` for setsockopt(2): include/uapi/linux/tcp.h, the same on every architecture.
    pub number: c_int,
    /// The smallest value that the kernel takes (net/ipv4/tcp.c, `do_tcp_setsockopt`).
    pub min: u32,
    /// The largest value that the kernel takes (include/net/tcp.h, `MAX_TCP_KEEPCNT` and the
    /// like; a timeout may be any `int` that is not negative).
    pub max: u32,
    /// What the value counts.
    pub unit: Unit,
}

/// What the value of an option counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Unit {
    /// Keepalive probes.
    Probes,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// SYN segments after the first.
    Retransmissions,
}

impl Unit {
    /// In a message.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probes => "probes",
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
            Self::Retransmissions => "SYN retransmissions",
        }
    }
}

/// A row of the table.
macro_rules! option {
    ($name:literal, $short_name:expr, $number:literal, $min:literal to $max:literal $unit:ident) => {
        TcpOption {
            name: $name,
            short_name: $short_name,
            number: $number,
            min: $min,
            max: $max,
            unit: Unit::$unit,
        }
    };
}

/// Unanswered probes after which the connection is dead.
pub const KEEPCNT: TcpOption = option!(c"TCP_KEEPCNT", Some(c"KEEPCNT"), 6, 1 to 127 Probes);
/// Idle time before the first probe.
pub const KEEPIDLE: TcpOption = option!(c"TCP_KEEPIDLE", Some(c"KEEPIDLE"), 4, 1 to 32767 Seconds);
/// Time between probes.
pub const KEEPINTVL: TcpOption =
    option!(c"TCP_KEEPINTVL", Some(c"KEEPINTVL"), 5, 1 to 32767 Seconds);
/// How long sent data may stay unacknowledged; 0 is the kernel's own time.
pub const USER_TIMEOUT: TcpOption =
    option!(c"TCP_USER_TIMEOUT", None, 18, 0 to 2147483647 Milliseconds);
/// The longest pause between two retransmissions; Linux 6.15 and later. Bounded, a vanished peer
/// is noticed sooner while sent data is unacknowledged; one that answers is not given up.
pub const RTO_MAX: TcpOption = option!(c"TCP_RTO_MAX_MS", None, 44, 1000 to 120000 Milliseconds);
/// How often connect(2) sends its SYN again.
pub const SYNCNT: TcpOption = option!(c"TCP_SYNCNT", None, 7, 1 to 127 Retransmissions);

/// Every option, in the order in which the library sets them.
pub const OPTIONS: &[TcpOption] = &[KEEPCNT, KEEPIDLE, KEEPINTVL, USER_TIMEOUT, RTO_MAX, SYNCNT];

impl TcpOption {
    /// Whether the kernel takes this value.
    pub fn contains(&self, value: u32) -> bool {
        (self.min..=self.max).contains(&value)
    }

    /// The value that `text` stands for: decimal digits and nothing else (no sign, no blank,
    /// no unit), from [`min`](Self::min) to [`max`](Self::max). None if it is anything else.
    pub fn parse(&self, text: &[u8]) -> Option<u32> {
        if text.is_empty() {
            return None;
        }
        let mut value: u32 = 0;
        for byte in text {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value = value.checked_mul(10)?.checked_add(digit.into())?;
        }
        self.contains(value).then_some(value)
    }
}
