//! The kernel's own values in a network namespace (Documentation/networking/ip-sysctl.rst), and its
//! counters (Documentation/networking/snmp_counter.rst).

use std::io;

use options::RTO_MAX;
use serde::{Deserialize, Serialize};

use crate::values::Values;

/// The kernel's own values in a network namespace.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Kernel {
    /// The values that options have where nobody set them.
    pub defaults: Values<u32>,
    /// Whether it has `TCP_RTO_MAX_MS` (Linux 6.15).
    pub has_rto_max: bool,
    /// `tcp_retries2`: how often sent data is sent again before the peer is given up.
    pub retries: u32,
    /// `tcp_syn_linear_timeouts`: how many SYNs are sent before the pauses between them double.
    pub linear_syns: u32,
}

/// As Linux comes, for where they cannot be read.
impl Default for Kernel {
    fn default() -> Self {
        Self {
            defaults: Values {
                count: 9,
                idle: 7200,
                interval: 75,
                user_timeout: 0,
                rto_max: RTO_MAX.max,
                syn_count: 6,
            },
            has_rto_max: false,
            retries: 15,
            linear_syns: 4,
        }
    }
}

impl Kernel {
    /// Those of the network namespace of this thread.
    pub fn new() -> io::Result<Self> {
        let rto_max = newer_sysctl("tcp_rto_max_ms")?;
        let defaults = Values {
            count: sysctl("tcp_keepalive_probes")?,
            idle: sysctl("tcp_keepalive_time")?,
            interval: sysctl("tcp_keepalive_intvl")?,
            user_timeout: 0,
            // Before the option came, the largest value was the only one.
            rto_max: rto_max.unwrap_or(RTO_MAX.max),
            syn_count: sysctl("tcp_syn_retries")?,
        };
        Ok(Self {
            defaults,
            has_rto_max: rto_max.is_some(),
            retries: sysctl("tcp_retries2")?,
            // Linux 6.5.
            linear_syns: newer_sysctl("tcp_syn_linear_timeouts")?.unwrap_or(0),
        })
    }
}

fn sysctl(name: &str) -> io::Result<u32> {
    // The kernel shows the namespace of the thread that opens the file.
    let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}"))?;
    text.trim().parse().map_err(io::Error::other)
}

/// One that not every kernel has.
fn newer_sysctl(name: &str) -> io::Result<Option<u32>> {
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
