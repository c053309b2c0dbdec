//! The answer in words, and what to do about it.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use libkeepalive_measure::{Finding, How, Outcome, Recommended};

use crate::request::Server;
use crate::text::{count, error, printable, time};
use crate::timeouts::{DATA, PACKETS, Place, SAFE, matching};

// The document of known timeouts and the library agree.
const _: () = assert!(libkeepalive_measure::SAFE_IDLE.as_secs() == SAFE as u64);

/// What was measured, and where.
pub struct Report<'a> {
    pub server: &'a Server,
    pub address: SocketAddr,
    pub outcome: Outcome,
}

impl Report<'_> {
    /// Whether nobody answered at this address.
    pub fn is_unreachable(&self) -> bool {
        self.outcome.finding == Finding::Unreachable
    }

    /// Why nobody could be reached.
    pub fn unreachable(&self) -> String {
        let why = self.outcome.error.as_ref().map_or("no answer".into(), error::describe);
        format!("cannot be reached: {why}")
    }

    /// The answer, what it means, and the lines to copy.
    pub fn render(&self) -> String {
        let mut text = format!("{}{}\n", self.place(), self.answer());
        if !self.is_unreachable() {
            let _ = writeln!(text, "{}", self.circumstances());
        }
        match self.outcome.finding {
            Finding::EndsIdle(after) => {
                let after = after.as_secs_f64();
                text += &likely(DATA, after * 0.95 - 3.0, after * 1.05 + 3.0);
            }
            Finding::Forgotten | Finding::Mixed => {
                let seconds = |time: Option<Duration>| time.unwrap_or_default().as_secs_f64();
                let (low, high) = (self.outcome.answered_after, self.outcome.forgotten_after);
                text += &likely(PACKETS, seconds(low).floor(), seconds(high).ceil());
            }
            _ => {}
        }
        if let Some(settings) = self.outcome.recommended {
            let held_for = self.outcome.held_for.unwrap_or_default();
            text += &lines_to_copy(settings, held_for.as_secs());
        }
        text
    }

    fn place(&self) -> String {
        let address = self.address.to_string();
        if self.server.text == address {
            format!("{address}: ")
        } else {
            format!("{} ({address}): ", printable(&self.server.text))
        }
    }

    fn answer(&self) -> String {
        let low = self.outcome.answered_after.map(seconds);
        let high = self.outcome.forgotten_after.map(seconds_up);
        let mut known = low.as_ref().map_or("nothing is known".into(), |low| {
            format!("connections were remembered for {low}")
        });
        let finding = self.outcome.finding;
        if let (Some(high), false) = (&high, finding.is_answer()) {
            let _ = write!(known, ", and forgotten after {high}");
        }
        let high = high.unwrap_or_default();
        match finding {
            Finding::Forgotten => {
                let within = format!("within {high}");
                let between = low.map_or(within, |low| format!("after {low} to {high}"));
                let how = self.outcome.how.map_or("", manner);
                format!("the path forgets a connection {between} without traffic{how}")
            }
            Finding::NotForgotten => format!(
                "the path does not forget a connection within {} without traffic: it needs no \
                 keepalive to hold the path, only to notice a dead peer",
                low.unwrap_or_default()
            ),
            Finding::Mixed => format!(
                "the path forgets some connections within {high} without traffic, and remembers \
                 others for longer: there are several paths, or a device on it runs short of \
                 memory. The advice is for the connections that are forgotten first"
            ),
            Finding::EndsIdle(after) => format!(
                "the server, or something in front of it that ends TCP, closes connections that \
                 carry no data after {}, though probes are answered. Keepalive is the wrong tool \
                 here: only data counts. Send data (a ping of the protocol), or raise the limit \
                 there. Whether the path itself forgets sooner or later: {known}. Try another \
                 port, or `keepalive measure --listen` at that host",
                seconds(after)
            ),
            Finding::DespiteKeepalive => format!(
                "a connection was forgotten though it was probed all the time: the path ends \
                 connections at a certain age, or has lost its memory; {known}"
            ),
            Finding::NotIdle(every) => format!(
                "the server sends keepalive probes or data of its own every {}, so the connections \
                 are never idle, and hold the path; {known}",
                seconds(every)
            ),
            Finding::Incomplete => {
                let why = self.outcome.error.as_ref().map_or(String::new(), |error| {
                    let why = error::describe(error);
                    format!(" (the last that could not be opened: {why})")
                });
                format!("no connection was left to continue with{why}; {known}")
            }
            Finding::Unreachable => self.unreachable(),
            Finding::Lost => {
                format!("has not answered for five minutes, not even new connections; {known}")
            }
            Finding::Interrupted => format!("interrupted; {known}"),
            Finding::Slept(slept) => format!(
                "interrupted: the machine slept for {}, and later answers prove nothing; {known}. \
                 `systemd-inhibit keepalive measure ...` keeps it awake",
                time::format(Duration::from_secs_f64(slept.as_secs_f64().round()))
            ),
            other => format!("{}; {known}", other.name()),
        }
    }

    fn circumstances(&self) -> String {
        let outcome = &self.outcome;
        let mut text = format!(
            "It took {} and {}",
            time::format(Duration::from_secs(outcome.took.as_secs())),
            count(outcome.connections, "connection")
        );
        if outcome.confirmed_by > 0 {
            let _ = write!(text, ", {} of them to confirm it", outcome.confirmed_by);
        }
        if let (Some(loss), Some(round_trip)) = (outcome.loss, outcome.round_trip) {
            let _ = write!(
                text,
                "; {:.1} % of the probes were lost, an answer takes {:.1} ms",
                loss * 100.0,
                round_trip.as_secs_f64() * 1000.0
            );
        }
        text += match outcome.left_at_server {
            Some(0) => "; nothing is left at the server.",
            Some(1) => "; one connection may be left at the server.",
            Some(_) => "; several connections may be left at the server.",
            None => "; connections may be left at the server.",
        };
        text
    }
}

/// `61 s`, rounded down.
pub fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

/// `62 s`, rounded up.
pub fn seconds_up(time: Duration) -> String {
    format!("{:.0} s", time.as_secs_f64().ceil())
}

fn manner(how: How) -> &'static str {
    match how {
        How::Silence => ", and drops later packets without a word",
        How::Reset => ", and answers later packets with a reset",
        How::ResetUnasked => ", and ends it with a reset then",
        How::ClosedUnasked => ", and closes it then, but not one that is probed",
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

fn lines_to_copy(settings: Recommended, held_for: u64) -> String {
    let Recommended { idle, interval, count } = settings;
    let options = format!("--idle {idle}s --interval {interval}s --count {count}");
    format!(
        "\nA first probe after {idle} s holds the path. For a program that you start:\n\
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
         \x20   keepalive show --path-timeout {held_for}s NAME\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likely_places() {
        let aws = likely(PACKETS, 348.0, 357.0);
        assert!(aws.contains("AWS Network Load Balancer, AWS NAT gateway"), "{aws}");
        assert_eq!(likely(PACKETS, 12.0, 14.0), "");
    }
}
