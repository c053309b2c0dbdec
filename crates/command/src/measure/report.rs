//! The answer in words, and what to do about it.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;

use super::evidence::{Evidence, How};
use super::search::{Found, Search};
use super::target::Target;
use crate::text::{count, error, printable, time};
use crate::timeouts::{DATA, PACKETS, Place, SAFE, matching};

/// What was measured.
pub struct Report<'a> {
    pub target: &'a Target,
    pub address: SocketAddr,
    pub search: Search,
    /// In seconds.
    pub took: f64,
    /// How many connections may be left at the server; None where that was not waited for.
    pub left: Option<usize>,
    /// Why a connection could not be opened.
    pub trouble: Option<Errno>,
}

/// Settings that hold the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recommended {
    pub idle: u32,
    pub interval: u32,
    pub count: u32,
}

/// The kernel's own number of probes, and its own time between them at most (tcp(7)).
const COUNT: u32 = 9;
const INTERVAL: u32 = 75;

/// For what is known of a path: the first probe at half of the longest time that was remembered, and
/// if it is lost, five more before that is over. No later than what several connections remembered,
/// with a fifth to spare, or than what holds the other paths that are known. Where connections
/// differ, only those count that are forgotten first. Below two seconds there is none.
pub fn recommended(evidence: &Evidence) -> Option<Recommended> {
    evidence.high()?;
    settings(remembered(evidence)?, evidence.sure()?)
}

/// For how long a connection is surely remembered.
fn remembered(evidence: &Evidence) -> Option<f64> {
    if evidence.is_mixed() { evidence.sure() } else { evidence.low() }
}

fn settings(low: f64, sure: f64) -> Option<Recommended> {
    let idle = ((low / 2.0).min(sure * 0.8) as u32).min(SAFE);
    let interval = (((low - f64::from(idle)) / 6.0) as u32).clamp(1, INTERVAL);
    (idle > 0).then_some(Recommended { idle, interval, count: COUNT })
}

impl Report<'_> {
    /// Whether nobody answered at this address.
    pub fn is_unreachable(&self) -> bool {
        self.found() == Found::Unreachable
    }

    /// Why nobody could be reached.
    pub fn why_unreachable(&self) -> String {
        self.trouble.map_or("no answer".into(), |error| error::describe(&error.into()))
    }

    /// Whether what was asked for was found.
    pub fn is_answer(&self) -> bool {
        self.found().is_answer()
    }

    /// What was found.
    pub fn found(&self) -> Found {
        self.search.found().unwrap_or(Found::Interrupted)
    }

    /// Settings, if the path forgets.
    pub fn recommended(&self) -> Option<Recommended> {
        // There it would not help.
        let is_of_use = self.found() != Found::DespiteKeepalive;
        is_of_use.then(|| recommended(&self.search.evidence)).flatten()
    }

    /// The answer, what it means, and the lines to copy.
    pub fn words(&self) -> String {
        let mut text = format!("{}{}\n", self.place(), self.answer());
        if !self.is_unreachable() {
            let _ = writeln!(text, "{}", self.circumstances());
        }
        match self.found() {
            Found::EndsIdle(after) => {
                text += &likely(DATA, after * 0.95 - 3.0, after * 1.05 + 3.0);
            }
            Found::Forgotten(_) | Found::Mixed => {
                let evidence = &self.search.evidence;
                let (low, high) = (evidence.low().unwrap_or(0.0), evidence.high().unwrap_or(0.0));
                text += &likely(PACKETS, low.floor(), high.ceil());
            }
            _ => {}
        }
        if let Some(settings) = self.recommended() {
            let remembered = remembered(&self.search.evidence).unwrap_or(0.0);
            text += &lines_to_copy(settings, remembered as u32);
        }
        text
    }

    fn place(&self) -> String {
        let address = self.address.to_string();
        if self.target.text == address {
            format!("{address}: ")
        } else {
            format!("{} ({address}): ", printable(&self.target.text))
        }
    }

    fn answer(&self) -> String {
        let evidence = &self.search.evidence;
        let low = evidence.low().map(seconds);
        let known = low.clone().map_or("nothing is known".into(), |low| {
            format!("connections were remembered for {low}")
        });
        let high = evidence.high().map(|high| seconds(high.ceil())).unwrap_or_default();
        let between =
            low.map_or_else(|| format!("within {high}"), |low| format!("after {low} to {high}"));
        match self.found() {
            Found::Forgotten(how) => {
                format!("the path forgets a connection {between} without traffic{}", manner(how))
            }
            Found::Nothing => format!(
                "the path does not forget a connection within {} without traffic: no keepalive is \
                 needed to hold it, only to notice that a peer is gone",
                seconds(evidence.low().unwrap_or(0.0))
            ),
            Found::Mixed => format!(
                "the path forgets some connections within {high} without traffic, and remembers \
                 others for longer: there is more than one way, or something on it runs short of \
                 memory. What follows is for those that are forgotten first"
            ),
            Found::EndsIdle(after) => format!(
                "the server, or something in front of it that ends TCP, closes connections that \
                 carry no data after {}, though probes are answered. keepalive is the wrong tool \
                 here: something ends TCP and counts data only. What helps is data (a ping of the \
                 protocol), or a longer limit there. Whether the path itself forgets sooner or \
                 later: {known}. Try another port, or `keepalive measure --listen` at that host",
                seconds(after)
            ),
            Found::DespiteKeepalive => format!(
                "a connection was forgotten though it was probed all the time: the path ends \
                 connections at a certain age, or has lost its memory; {known}"
            ),
            Found::NotIdle(every) => format!(
                "the server sends keepalive probes or data of its own every {}, so the connections \
                 are never idle, and hold the path; {known}",
                seconds(every)
            ),
            Found::Incomplete => {
                let why = self.trouble.map_or(String::new(), |error| {
                    format!(
                        " (the last that could not be opened: {})",
                        error::describe(&error.into())
                    )
                });
                format!("no connection was left to go on with{why}; {known}{}", self.bracket())
            }
            Found::Unreachable => {
                format!("cannot be reached: {}", self.why_unreachable())
            }
            Found::Lost => {
                format!("has not answered for five minutes, also to new connections; {known}")
            }
            Found::Interrupted => format!("interrupted; {known}{}", self.bracket()),
            Found::Slept(seconds) => format!(
                "interrupted: the machine slept for {}, and what came of it proves nothing; \
                 {known}{}. `systemd-inhibit keepalive measure ...` keeps it awake",
                time::format(Duration::from_secs(seconds.round() as u64)),
                self.bracket()
            ),
        }
    }

    fn bracket(&self) -> String {
        let high = self.search.evidence.high();
        high.map_or(String::new(), |high| format!(", and forgotten after {}", seconds(high.ceil())))
    }

    fn circumstances(&self) -> String {
        let evidence = &self.search.evidence;
        let mut text = format!(
            "It took {} and {}",
            time::format(Duration::from_secs(self.took as u64)),
            count(self.search.connections(), "connection")
        );
        if self.search.confirmed() > 0 {
            let _ = write!(text, ", {} of them to confirm it", self.search.confirmed());
        }
        if let (Some(loss), Some(round_trip)) = (evidence.loss(), evidence.round_trip()) {
            let _ = write!(
                text,
                "; {:.1} % of the probes were lost, an answer takes {:.1} ms",
                loss * 100.0,
                round_trip * 1000.0
            );
        }
        text += match self.left {
            Some(0) => "; nothing is left at the server.",
            Some(1) => "; one connection may be left at the server.",
            Some(_) => "; several connections may be left at the server.",
            None => "; connections may be left at the server.",
        };
        text
    }
}

/// Seconds in words, rounded down.
pub fn seconds(seconds: f64) -> String {
    format!("{} s", seconds.max(0.0) as u64)
}

fn manner(how: How) -> &'static str {
    match how {
        How::Silence => ", and drops without a word what is sent later",
        How::Reset => ", and answers what is sent later with a reset",
        How::ResetUnasked => ", and ends it with a reset then",
        How::ClosedUnasked => ", and closes it then, though not one that is probed",
    }
}

fn likely(places: &'static [Place], low: f64, high: f64) -> String {
    let names: Vec<_> =
        matching(places, low.max(0.0) as u32, high as u32).map(|place| place.name).collect();
    if names.is_empty() {
        return String::new();
    }
    format!("Such a limit is the default of: {}.\n", names.join(", "))
}

fn lines_to_copy(settings: Recommended, remembered: u32) -> String {
    let Recommended { idle, interval, count } = settings;
    let options = format!("--idle {idle}s --interval {interval}s --count {count}");
    format!(
        "\nThe first probe after {idle} s holds it. For a program that you start:\n\
         \x20   keepalive run {options} PROGRAM\n\
         for one that runs:\n\
         \x20   keepalive attach --follow {options} PID\n\
         for a service, in a drop-in (systemctl edit NAME):\n\
         \x20   [Service]\n\
         \x20   Environment=LD_PRELOAD=libkeepalive.so KEEPIDLE={idle} KEEPINTVL={interval} \
         KEEPCNT={count}\n\
         for all of a service, a container or a host:\n\
         \x20   keepalive cover {options} NAME.service\n\
         and to see whether what runs holds it:\n\
         \x20   keepalive show --path-timeout {remembered}s NAME\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_probes_fit_into_the_time_that_is_remembered() {
        for low in 2..10_000 {
            let low = f64::from(low);
            let Recommended { idle, interval, count } = settings(low, low).expect("settings");
            assert!(f64::from(idle) <= low / 2.0 && count == 9, "{low}");
            assert!(
                low < 14.0 || f64::from(idle + 5 * interval) <= low,
                "{low}: {idle} {interval}"
            );
        }
        assert_eq!(settings(1.9, 1.9), None);
        let all = |idle, interval| Some(Recommended { idle, interval, count: 9 });
        assert_eq!(settings(348.0, 348.0), all(174, 29));
        assert_eq!(settings(348.0, 60.0), all(48, 50));
        assert_eq!(settings(7000.0, 7000.0), all(200, 75));
    }

    #[test]
    fn likely_places() {
        let aws = likely(PACKETS, 348.0, 357.0);
        assert!(aws.contains("AWS Network Load Balancer, AWS NAT gateway"), "{aws}");
        assert_eq!(likely(PACKETS, 12.0, 14.0), "");
    }
}
