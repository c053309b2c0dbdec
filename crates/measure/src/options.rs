//! What to measure, and why it cannot be.

use std::io;
use std::time::Duration;

/// What to measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The longest idle time to try, from 5 seconds to 24 hours. 125 minutes by default: just above
    /// the longest limits that are in minutes or hours.
    pub max: Duration,
    /// How narrow the result is to be, as a share of it, from 0.01 to 0.5. 0.05 by default. At best
    /// it is four seconds wide.
    pub resolution: f64,
    /// The most connections at a time, from 6 to 100. 26 by default; with fewer it takes longer.
    /// Choose fewer where the server may block a host that connects often: 8 for ssh and MySQL.
    pub parallel: usize,
    /// What each connection sends first, for a server that ends connections that say nothing. Nothing
    /// by default.
    pub greeting: Vec<u8>,
}

impl Default for Options {
    fn default() -> Self {
        // One connection for each rung of the ladder, the control connection and four to confirm
        // the result.
        Self {
            max: Duration::from_secs(125 * 60),
            resolution: 0.05,
            parallel: 26,
            greeting: Vec::new(),
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let max = Duration::from_secs(5)..=Duration::from_secs(24 * 60 * 60);
        let ranges = [
            ("max", max.contains(&self.max), "from 5 s to 24 h"),
            ("resolution", (0.01..=0.5).contains(&self.resolution), "from 0.01 to 0.5"),
            ("parallel", (6..=100).contains(&self.parallel), "from 6 to 100"),
        ];
        match ranges.into_iter().find(|(_, is_inside, _)| !is_inside) {
            Some((option, _, range)) => Err(Error::OutOfRange { option, range }),
            None => Ok(()),
        }
    }
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// One of the [`Options`] has a value that is not allowed.
    #[error("{option} is not {range}")]
    OutOfRange {
        /// The name of the field.
        option: &'static str,
        /// What is allowed.
        range: &'static str,
    },
    /// There is no clock that goes on while the machine sleeps.
    #[error("no clock goes on while the machine sleeps: clock_gettime(2)")]
    Clock(#[source] io::Error),
    /// The kernel refuses to send keepalive probes: a seccomp filter, for example.
    #[error("the kernel refuses to send keepalive probes: setsockopt(2)")]
    Probe(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_not_allowed_are_named() {
        assert!(Options::default().check().is_ok());
        for (options, message) in [
            (
                Options { max: Duration::from_secs(4), ..Options::default() },
                "max is not from 5 s to 24 h",
            ),
            (
                Options { resolution: f64::NAN, ..Options::default() },
                "resolution is not from 0.01 to 0.5",
            ),
            (Options { parallel: 5, ..Options::default() }, "parallel is not from 6 to 100"),
        ] {
            let error = options.check().expect_err(message);
            assert_eq!(error.to_string(), message);
        }
    }
}
