//! The settings on the command line: the same arguments for `run` and `attach`, and how their
//! values are written.

use std::time::Duration;

use clap::Args;
use options::{KEEPCNT, KEEPIDLE, KEEPINTVL, TcpOption, USER_TIMEOUT};

use super::dead_after;
use crate::time;

/// What to set.
#[derive(Debug, Args)]
pub struct SettingsArgs {
    /// Choose all four values below so that a dead peer is noticed within this time
    ///
    /// Half of the time the connection may be idle, then five probes are sent (fewer below
    /// 15 s); sent data may stay unacknowledged as long. --verbose prints what was chosen. From
    /// 3 s to 20 h.
    #[arg(help_heading = "Settings", long, value_name = "TIME", value_parser = dead_after::parse,
        conflicts_with_all = ["idle", "interval", "count", "user_timeout"])]
    pub dead_after: Option<Duration>,

    /// Idle time before the first probe, TCP_KEEPIDLE: 1 s to 32767 s
    #[arg(help_heading = "Settings", long, value_name = "TIME", value_parser = |text: &str| seconds(&KEEPIDLE, text))]
    pub idle: Option<u32>,

    /// Time between probes, TCP_KEEPINTVL: 1 s to 32767 s
    #[arg(help_heading = "Settings", long, value_name = "TIME", value_parser = |text: &str| seconds(&KEEPINTVL, text))]
    pub interval: Option<u32>,

    /// Unanswered probes after which the connection is dead, TCP_KEEPCNT: 1 to 127
    #[arg(help_heading = "Settings", long, value_name = "N", value_parser = count)]
    pub count: Option<u32>,

    /// How long sent data may stay unacknowledged, TCP_USER_TIMEOUT; 0 is the kernel's default
    ///
    /// Keepalive sends no probe while data is unacknowledged: then this decides, or else the
    /// kernel's retransmissions, about a quarter of an hour. With a user timeout the kernel no
    /// longer counts probes: an idle connection ends at the first probe due after this time. To
    /// the millisecond: 500ms.
    #[arg(help_heading = "Settings", long, value_name = "TIME", value_parser = user_timeout)]
    pub user_timeout: Option<u32>,

    /// Have the last word: also over what the program sets itself
    #[arg(help_heading = "Settings", long, conflicts_with = "skip")]
    pub force: bool,

    /// Set the times only; whether keepalive is on is left to the program
    #[arg(help_heading = "Settings", long)]
    pub skip: bool,

    /// One line on stderr for each socket: what was set, or why not
    #[arg(help_heading = "Settings", long)]
    pub debug: bool,

    /// Say which values and which library are used
    #[arg(help_heading = "Settings", short, long)]
    pub verbose: bool,
}

/// A time for an option that counts seconds.
fn seconds(option: &TcpOption, text: &str) -> Result<u32, String> {
    let time = time::parse(text)?;
    let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    if time.subsec_nanos() != 0 || !option.contains(seconds) {
        return Err(format!("not {}", option.accepted));
    }
    Ok(seconds)
}

/// A number of probes.
fn count(text: &str) -> Result<u32, String> {
    let option = &KEEPCNT;
    let number = text.parse().ok().filter(|number| option.contains(*number));
    number.ok_or_else(|| format!("not {}", option.accepted))
}

/// A time for the option that counts milliseconds.
fn user_timeout(text: &str) -> Result<u32, String> {
    let option = &USER_TIMEOUT;
    let time = time::parse(text)?;
    let milliseconds = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    if time.subsec_nanos() % 1_000_000 != 0 || !option.contains(milliseconds) {
        return Err(format!("not {}", option.accepted));
    }
    Ok(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_refused_in_the_library_s_words() {
        assert_eq!(seconds(&KEEPIDLE, "5m"), Ok(300));
        assert_eq!(seconds(&KEEPIDLE, "32767"), Ok(32767));
        for text in ["0", "32768", "10h", "1500ms", "5000000000"] {
            let error = seconds(&KEEPIDLE, text).expect_err(text);
            assert_eq!(error, "not a whole number from 1 to 32767 (seconds)", "{text}");
        }
        assert_eq!(user_timeout("0"), Ok(0));
        assert_eq!(user_timeout("90"), Ok(90_000));
        assert_eq!(user_timeout("1500ms"), Ok(1500));
        for text in ["1us", "25days"] {
            assert!(user_timeout(text).is_err(), "{text}");
        }
        assert_eq!(count("127"), Ok(127));
        for text in ["0", "128", "-1", "x", ""] {
            assert!(count(text).is_err(), "{text}");
        }
    }
}
