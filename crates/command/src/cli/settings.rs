//! The settings on the command line: the same for `run`, `attach` and `cover`.

use std::time::Duration;

use clap::Args;
use options::{KEEPCNT, KEEPIDLE, KEEPINTVL, Mode, RTO_MAX, SYNCNT, TcpOption, USER_TIMEOUT};

use crate::settings::{RequestedSettings, dead_after};
use crate::text::time;
use crate::values::{self, Values};

/// What to set.
#[derive(Debug, Default, Args)]
pub struct SettingsArgs {
    /// Give up an idle peer after TIME without an answer
    ///
    /// Chooses idle time, interval and count: half of the time the connection may be idle, then
    /// five probes are sent (fewer below 15 s). A peer that answers is never given up.
    /// Unacknowledged data: `cover` drops the connection of a peer that is silent for so long; `run`
    /// and `attach` leave it to the kernel, which retransmits for about 15 min. --verbose says what
    /// was chosen. From 3 s to 20 h.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = dead_after::parse,
        conflicts_with_all = ["idle", "interval", "count"])]
    pub dead_after: Option<Duration>,

    /// Idle time before the first probe, TCP_KEEPIDLE
    ///
    /// From 1 s to 32767 s; 45 s if not given, or the kernel's own time where that is shorter.
    #[arg(help_heading = "Settings", long, value_name = "TIME", allow_hyphen_values = true, value_parser = |text: &str| seconds(&KEEPIDLE, text))]
    pub idle: Option<u32>,

    /// Time between probes, TCP_KEEPINTVL
    ///
    /// From 1 s to 32767 s; 45 s if not given.
    #[arg(help_heading = "Settings", long, value_name = "TIME", allow_hyphen_values = true, value_parser = |text: &str| seconds(&KEEPINTVL, text))]
    pub interval: Option<u32>,

    /// Give up after so many unanswered probes, TCP_KEEPCNT
    ///
    /// From 1 to 127; 127 if not given: with the default times, a peer that answers no probe is
    /// given up after 96 min.
    #[arg(help_heading = "Settings", long, value_name = "N", allow_hyphen_values = true, value_parser = |text: &str| number(&KEEPCNT, text))]
    pub count: Option<u32>,

    /// Longest pause between retransmissions, TCP_RTO_MAX_MS
    ///
    /// From 1 s to 2 min; Linux 6.15 and later. Keepalive sends no probe while data is
    /// unacknowledged. The kernel sends the data again, after pauses that double up to 2 min, and
    /// gives up after about 15 min; with a bound of 10 s it gives up after 2 min, with 1 s after 15
    /// s. Careful: what a program sent before close(2) is lost if the peer does not read for about
    /// twice this time. `run` raises --syn-count beside it, so that connect(2) stays as patient as
    /// it was; `attach` sets it on established connections only. Multipath TCP refuses it. To the
    /// millisecond: 1500ms.
    #[arg(help_heading = "Settings", long, hide_short_help = true, value_name = "TIME", allow_hyphen_values = true, value_parser = |text: &str| milliseconds(&RTO_MAX, text))]
    pub rto_max: Option<u32>,

    /// How often connect(2) sends its SYN again, TCP_SYNCNT
    ///
    /// From 1 to 127.
    #[arg(help_heading = "Settings", long, hide_short_help = true, value_name = "N", allow_hyphen_values = true, value_parser = |text: &str| number(&SYNCNT, text))]
    pub syn_count: Option<u32>,

    /// Limit for unacknowledged data, TCP_USER_TIMEOUT; 0: none
    ///
    /// Ends a connection whose data stays unacknowledged for so long. Careful: this ends a living
    /// peer too, if it does not read for so long, and the data is lost; it makes connect(2) give up
    /// after this time; and the kernel no longer counts probes: an idle connection ends at the
    /// first probe due after this time. To the millisecond: 500ms.
    #[arg(help_heading = "Settings", long, hide_short_help = true, value_name = "TIME", allow_hyphen_values = true, value_parser = |text: &str| milliseconds(&USER_TIMEOUT, text))]
    pub user_timeout: Option<u32>,

    /// Have the last word, also over what the program sets
    #[arg(help_heading = "Settings", long, conflicts_with = "skip")]
    pub force: bool,

    /// Set the times only; the program decides whether it is on
    #[arg(help_heading = "Settings", long, hide_short_help = true)]
    pub skip: bool,

    /// One line on stderr for each socket: what was set, or why not
    #[arg(help_heading = "Settings", long, hide_short_help = true)]
    pub debug: bool,

    /// Say which values will hold, and where they come from
    ///
    /// `run` also says which library it puts in front, or which process follows. `attach` and
    /// `cover` say the values in any case, `attach --follow` with this option alone.
    #[arg(help_heading = "Settings", short, long)]
    pub verbose: bool,
}

impl SettingsArgs {
    /// Those that say what to set, as clap knows them.
    pub const NAMES: [&str; 9] = [
        "dead_after",
        "idle",
        "interval",
        "count",
        "rto_max",
        "syn_count",
        "user_timeout",
        "force",
        "skip",
    ];

    /// What they ask for.
    pub fn requested(&self) -> RequestedSettings {
        let chosen = self.dead_after.map(dead_after::values).unwrap_or_default();
        let values = Values {
            count: self.count.or(chosen.count),
            idle: self.idle.or(chosen.idle),
            interval: self.interval.or(chosen.interval),
            user_timeout: self.user_timeout,
            rto_max: self.rto_max,
            syn_count: self.syn_count,
        };
        let mode = match (self.force, self.skip) {
            (true, _) => Mode::Force,
            (_, true) => Mode::Skip,
            _ => Mode::On,
        };
        RequestedSettings { values, mode }
    }

    /// As they are written on a command line; without --debug and --verbose.
    pub fn to_arguments(&self) -> Vec<String> {
        let seconds = |value: Option<u32>| Some(time::exact(Duration::from_secs(value?.into())));
        let milliseconds =
            |value: Option<u32>| Some(time::exact(Duration::from_millis(value?.into())));
        let number = |value: Option<u32>| Some(value?.to_string());
        let mut arguments = Vec::new();
        for (option, value) in [
            ("--dead-after", self.dead_after.map(time::exact)),
            ("--idle", seconds(self.idle)),
            ("--interval", seconds(self.interval)),
            ("--count", number(self.count)),
            ("--rto-max", milliseconds(self.rto_max)),
            ("--syn-count", number(self.syn_count)),
            ("--user-timeout", milliseconds(self.user_timeout)),
        ] {
            arguments.extend(value.into_iter().flat_map(|value| [option.to_owned(), value]));
        }
        arguments.extend(self.force.then(|| "--force".into()));
        arguments.extend(self.skip.then(|| "--skip".into()));
        arguments
    }
}

/// A time for an option that counts seconds.
fn seconds(option: &TcpOption, text: &str) -> Result<u32, String> {
    let [min, max] = [option.min, option.max].map(|value| Duration::from_secs(value.into()));
    let time = time::parse_in_range(text, min..=max)?;
    if time.subsec_nanos() != 0 {
        return Err("not a time in whole seconds".into());
    }
    Ok(time.as_secs() as u32)
}

/// A time for an option that counts milliseconds.
fn milliseconds(option: &TcpOption, text: &str) -> Result<u32, String> {
    let [min, max] = [option.min, option.max].map(|value| Duration::from_millis(value.into()));
    let time = time::parse_in_range(text, min..=max)?;
    if time.subsec_nanos() % 1_000_000 != 0 {
        return Err("not a time in whole milliseconds".into());
    }
    Ok(time.as_millis() as u32)
}

/// A value for an option that counts.
fn number(option: &TcpOption, text: &str) -> Result<u32, String> {
    values::number(text, option.min..=option.max)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        settings: SettingsArgs,
    }

    #[test]
    fn as_arguments_they_mean_the_same() {
        for line in [
            "x",
            "x --dead-after 2m",
            "x --dead-after 150 --force",
            "x --idle 32767s --interval 100 --count 3 --rto-max 1500ms --syn-count 4 --user-timeout 0 --skip",
            "x --user-timeout 9999ms",
            "x --user-timeout 123456ms",
        ] {
            let first = Alone::parse_from(line.split(' ')).settings;
            let arguments = first.to_arguments();
            let again = Alone::parse_from(["x".into()].iter().chain(&arguments)).settings;
            assert_eq!(format!("{again:?}"), format!("{first:?}"), "{arguments:?}");
        }
        let settings = Alone::parse_from(["x", "--dead-after", "2m", "--force"]).settings;
        assert_eq!(settings.to_arguments().join(" "), "--dead-after 2m --force");
    }

    #[test]
    fn values_out_of_range_are_refused() {
        assert_eq!(seconds(&KEEPIDLE, "5m"), Ok(300));
        assert_eq!(seconds(&KEEPIDLE, "32767"), Ok(32767));
        for text in ["0", "32768", "10h", "32767001ms", "5000000000"] {
            let error = seconds(&KEEPIDLE, text).expect_err(text);
            assert_eq!(error, "not a time from 1s to 32767s", "{text}");
        }
        assert_eq!(seconds(&KEEPIDLE, "1500ms"), Err("not a time in whole seconds".into()));
        assert_eq!(milliseconds(&USER_TIMEOUT, "0"), Ok(0));
        assert_eq!(milliseconds(&USER_TIMEOUT, "90"), Ok(90_000));
        assert_eq!(milliseconds(&RTO_MAX, "1500ms"), Ok(1500));
        for text in ["1us", "25days"] {
            assert!(milliseconds(&USER_TIMEOUT, text).is_err(), "{text}");
        }
        for text in ["999ms", "121s"] {
            let error = milliseconds(&RTO_MAX, text).expect_err(text);
            assert_eq!(error, "not a time from 1s to 2m", "{text}");
        }
        assert_eq!([number(&KEEPCNT, "1"), number(&KEEPCNT, "127")], [Ok(1), Ok(127)]);
        for text in ["0", "128", "-1", "+1", "x", "", "9999999999"] {
            assert!(number(&KEEPCNT, text).is_err(), "{text}");
        }
    }
}
