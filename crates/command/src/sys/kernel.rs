//! The kernel's own values in a network namespace (Documentation/networking/ip-sysctl.rst), and its
//! counters (Documentation/networking/snmp_counter.rst).

use std::io;

use options::{RTO_MAX, Values};
use serde::{Deserialize, Serialize};

/// The kernel's own values in a network namespace.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Kernel {
    /// The values that options have where nobody set them; None for those that are unknown: they
    /// cannot be read, or are no times (-1).
    #[serde(with = "crate::values::as_list")]
    pub defaults: Values<Option<u32>>,
    /// Whether it has `TCP_RTO_MAX_MS` (Linux 6.15); None if that is unknown.
    pub has_rto_max: Option<bool>,
    /// `tcp_retries2`: how often sent data is sent again before the peer is given up.
    pub retries: Option<u32>,
    /// `tcp_syn_linear_timeouts`: how many SYNs are sent before the pauses between them double.
    pub linear_syns: u32,
}

/// As Linux comes.
const LINUX: Values<u32> = Values {
    count: 9,
    idle: 7200,
    interval: 75,
    user_timeout: 0,
    // Before the option came, the largest value was the only one.
    rto_max: RTO_MAX.max,
    syn_count: 6,
};

impl Kernel {
    /// What is known where nothing can be read.
    pub const UNKNOWN: Self = Self {
        defaults: Values {
            count: None,
            idle: None,
            interval: None,
            user_timeout: Some(LINUX.user_timeout),
            rto_max: None,
            syn_count: None,
        },
        has_rto_max: None,
        retries: None,
        linear_syns: 0,
    };

    /// Those of the network namespace of this thread. An error means that it shows none.
    pub fn new() -> io::Result<Self> {
        let rto_max = newer_sysctl("tcp_rto_max_ms")?;
        let defaults = Values {
            count: sysctl("tcp_keepalive_probes")?,
            idle: sysctl("tcp_keepalive_time")?,
            interval: sysctl("tcp_keepalive_intvl")?,
            user_timeout: Some(LINUX.user_timeout),
            rto_max: rto_max.unwrap_or(Some(LINUX.rto_max)),
            syn_count: sysctl("tcp_syn_retries")?,
        };
        Ok(Self {
            defaults,
            has_rto_max: Some(rto_max.is_some()),
            retries: sysctl("tcp_retries2")?,
            // Linux 6.5.
            linear_syns: newer_sysctl("tcp_syn_linear_timeouts")?.flatten().unwrap_or(0),
        })
    }

    /// Those of the network namespace of this thread, as far as it shows them.
    pub fn own() -> Self {
        Self::new().unwrap_or(Self::UNKNOWN)
    }

    /// The defaults, if all of them are known.
    pub fn known_defaults(&self) -> Option<Values<u32>> {
        Values::try_new(|option| self.defaults.get(option).flatten().ok_or(())).ok()
    }

    /// The defaults, and Linux's own where they are unknown.
    pub fn assumed_defaults(&self) -> Values<u32> {
        self.defaults.zip(LINUX).map(|_, (value, linux)| value.unwrap_or(linux))
    }
}

/// As Linux comes, before 6.15.
#[cfg(test)]
impl Default for Kernel {
    fn default() -> Self {
        Self {
            defaults: LINUX.map(|_, value| Some(value)),
            has_rto_max: Some(false),
            retries: Some(15),
            linear_syns: 4,
        }
    }
}

/// None if it is not the number that it should be.
fn sysctl(name: &str) -> io::Result<Option<u32>> {
    // The kernel shows the namespace of the thread that opens the file.
    let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}"))?;
    Ok(text.trim().parse().ok())
}

/// One that not every kernel has.
fn newer_sysctl(name: &str) -> io::Result<Option<Option<u32>>> {
    match sysctl(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        value => value.map(Some),
    }
}

/// What the kernel has counted in a network namespace since that was made; None where it does not
/// count that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// `TCPKeepAlive`: probes sent.
    pub probes: Option<u64>,
    /// `TCPTimeouts`: timeouts after which data was sent again.
    pub timeouts: Option<u64>,
    /// `TCPAbortOnTimeout`: connections given up because the peer did not answer.
    pub aborts: Option<u64>,
}

impl Counters {
    /// Those of the network namespace of this thread.
    pub fn new() -> io::Result<Self> {
        std::fs::read_to_string("/proc/thread-self/net/netstat").map(|text| Self::from(&text))
    }

    /// From pairs of lines that begin alike: the names, and then the numbers.
    fn from(text: &str) -> Self {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
        let names = lines.next().unwrap_or_default().split(' ');
        let numbers: Vec<_> = names.zip(lines.next().unwrap_or_default().split(' ')).collect();
        let number = |wanted| {
            numbers.iter().find(|(name, _)| *name == wanted).and_then(|(_, it)| it.parse().ok())
        };
        Self {
            probes: number("TCPKeepAlive"),
            timeouts: number("TCPTimeouts"),
            aborts: number("TCPAbortOnTimeout"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_their_names() {
        let text = "TcpExt: TCPTimeouts TCPKeepAlive New TCPAbortOnTimeout\nTcpExt: 5 7 8 9\n\
                    IpExt: TCPKeepAlive\nIpExt: 1\n";
        let counters = Counters { probes: Some(7), timeouts: Some(5), aborts: Some(9) };
        assert_eq!(Counters::from(text), counters);
        assert_eq!(Counters::from("TcpExt: TCPTimeouts\nTcpExt: -\n"), Counters::default());
        assert_eq!(Counters::from(""), Counters::default());
        let real = Counters::new().expect("/proc");
        assert!(real.probes.is_some() && real.timeouts.is_some() && real.aborts.is_some());
    }
}
