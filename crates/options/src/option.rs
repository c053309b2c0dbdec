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
    pub min: c_int,
    /// The largest value that the kernel takes (include/net/tcp.h, `MAX_TCP_KEEPCNT` and the
    /// like; a timeout may be any `int` that is not negative).
    pub max: c_int,
    /// What [`parse`](Self::parse) accepts, in words.
    pub accepted: &'static str,
}

/// Rows of the table, each with its range in numbers and in words.
macro_rules! options {
    ($(($name:literal, $short_name:expr, $number:literal, $min:literal to $max:literal $unit:literal),)*) => {
        [$(TcpOption {
            name: $name,
            short_name: $short_name,
            number: $number,
            min: $min,
            max: $max,
            accepted: concat!("a whole number from ", $min, " to ", $max, " (", $unit, ")"),
        },)*]
    };
}
/// Every option, in the order in which they are set.
pub const OPTIONS: [TcpOption; 4] = options![
    (c"TCP_KEEPCNT", Some(c"KEEPCNT"), 6, 1 to 127 "probes"),
    (c"TCP_KEEPIDLE", Some(c"KEEPIDLE"), 4, 1 to 32767 "seconds"),
    (c"TCP_KEEPINTVL", Some(c"KEEPINTVL"), 5, 1 to 32767 "seconds"),
    (c"TCP_USER_TIMEOUT", None, 18, 0 to 2147483647 "milliseconds"),
];

impl TcpOption {
    /// The value that `text` stands for: decimal digits and nothing else (no sign, no blank,
    /// no unit), from [`min`](Self::min) to [`max`](Self::max). None if it is anything else.
    pub fn parse(&self, text: &[u8]) -> Option<c_int> {
        if text.is_empty() {
            return None;
        }
        let mut value: c_int = 0;
        for byte in text {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value = value.checked_mul(10)?.checked_add(c_int::from(digit))?;
        }
        (self.min <= value && value <= self.max).then_some(value)
    }
}
