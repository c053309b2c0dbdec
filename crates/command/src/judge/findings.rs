//! What is wrong with a socket.

use std::fmt;
use std::time::Duration;

use options::RTO_MAX;

use crate::process::{
    Info, Options, Socket, State, Timer, TimerKind, is_older_than_options, longest_pause,
};
use crate::text::{count, time};
use crate::timeouts;
use crate::values::Values;

/// A path may forget a connection that is idle for longer than this.
pub const PATH_TIMEOUT: Duration = Duration::from_secs(timeouts::SAFE as u64);

/// This many retransmissions take at least six seconds: more than a single lost segment.
const RETRANSMISSIONS: u8 = 5;

/// The least and the most of something, over the sockets that a finding is about.
pub type Range<T> = (T, T);

/// Something that is wrong, with one socket or with several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Probes that nobody answers.
    Unanswered {
        /// How many.
        probes: Range<u8>,
        /// After how many the connection ends; None where the kernel does not count.
        all: Option<u32>,
        /// How long the peer has not been heard.
        silent_for: Range<Duration>,
    },
    /// Data that nobody acknowledges.
    Unacknowledged {
        /// How often it was sent.
        times: Range<u8>,
        /// The bound on the pauses between retransmissions, in milliseconds, if there is one.
        bound: Option<u32>,
    },
    /// Keepalive is off.
    Off(Unattended),
    /// Keepalive is on, but a path forgets the connection before the first probe, or before the next.
    Late {
        /// The idle time before the first probe, in seconds.
        idle: u32,
        /// How long a peer that answers hears nothing, in seconds: see [`longest_pause`].
        pause: u32,
        /// After how much idle time the path forgets.
        path_timeout: Duration,
    },
    /// Keepalive is on, and in time, but the timer was wound up for an older, longer time.
    OldTimer {
        /// When the next probe comes.
        probe_in: Range<Duration>,
        /// After how much idle time the path forgets.
        path_timeout: Duration,
    },
    /// The peer has closed, the program has not.
    HalfClosed,
}

/// What keepalive would have been good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unattended {
    Established,
    /// The program has closed its side and waits for the peer.
    Closing,
    Connecting,
    Listening,
}

/// What is wrong with a socket, the worst first.
pub fn findings(socket: &Socket, path_timeout: Duration) -> Vec<Finding> {
    let Socket { state, options, info, timer, .. } = socket;
    let (info, timer) = (info.as_ref(), timer.as_ref());
    let mut findings = Vec::new();
    let Some(options) = options else { return findings };
    if state.is_connection() {
        findings.extend(unanswered(options, info));
        findings.extend(unacknowledged(options, timer));
    }
    findings.extend(unattended(*state, options, timer, path_timeout));
    findings
}

fn unanswered(options: &Options, info: Option<&Info>) -> Option<Finding> {
    let Info { unanswered_probes: probes, silent_for, .. } = *info?;
    if probes == 0 || !options.keepalive {
        return None;
    }
    // With a user timeout the kernel does not count.
    let is_counted = matches!(options.values.user_timeout, None | Some(0));
    let all = options.values.count.filter(|_| is_counted);
    Some(Finding::Unanswered {
        probes: (probes, probes),
        all,
        silent_for: (silent_for, silent_for),
    })
}

fn unacknowledged(options: &Options, timer: Option<&Timer>) -> Option<Finding> {
    let timer = timer?;
    let is_bounded = options.values.user_timeout.is_some_and(|limit| limit > 0);
    if timer.kind != TimerKind::Retransmission
        || timer.retransmissions < RETRANSMISSIONS
        || is_bounded
    {
        return None;
    }
    let bound = options.values.rto_max.filter(|bound| *bound < RTO_MAX.max);
    Some(Finding::Unacknowledged { times: (timer.retransmissions, timer.retransmissions), bound })
}

/// Keepalive off, or too late; or no matter of keepalive (net/ipv4/tcp_timer.c).
fn unattended(
    state: State,
    options: &Options,
    timer: Option<&Timer>,
    path_timeout: Duration,
) -> Option<Finding> {
    let off = match state {
        State::ESTABLISHED => Unattended::Established,
        State::FIN_WAIT_2 => Unattended::Closing,
        State::LISTEN => Unattended::Listening,
        State::SYN_SENT | State::SYN_RECV | State::NEW_SYN_RECV => Unattended::Connecting,
        // Probes are sent, but what they find changes nothing for the program.
        State::CLOSE_WAIT => return Some(Finding::HalfClosed),
        // The kernel itself sends the end of the connection again until it gives up.
        _ => return None,
    };
    if !options.keepalive {
        return Some(Finding::Off(off));
    }
    let idle = options.values.idle?;
    let pause = longest_pause(&options.values)?;
    if is_late(pause, path_timeout) {
        return Some(Finding::Late { idle, pause, path_timeout });
    }
    let is_connected = matches!(off, Unattended::Established | Unattended::Closing);
    let timer = timer.filter(|timer| is_connected && is_older_than_options(timer, pause))?;
    let probe_in = (timer.expires_in, timer.expires_in);
    (timer.expires_in > path_timeout).then_some(Finding::OldTimer { probe_in, path_timeout })
}

/// Whether a path may forget a connection on which nothing is sent for this long, in seconds.
pub fn is_late(pause: u32, path_timeout: Duration) -> bool {
    Duration::from_secs(pause.into()) > path_timeout
}

/// The remark on times that are going to be set and are too late.
pub fn too_late(values: Values<Option<u32>>) -> Option<String> {
    let pause = longest_pause(&values)?;
    is_late(pause, PATH_TIMEOUT).then(|| {
        let what =
            if values.idle == Some(pause) { "a first probe after" } else { "one probe only every" };
        let forgotten = forgotten(pause, PATH_TIMEOUT);
        format!("{what} {} may be too late: {forgotten}", time::format_seconds(pause))
    })
}

/// Who forgets a connection on which nothing is sent for this long, in seconds.
fn forgotten(idle: u32, path_timeout: Duration) -> String {
    if path_timeout != PATH_TIMEOUT {
        format!("the path forgets after {} (--path-timeout)", time::format(path_timeout))
    } else if idle > timeouts::LONGEST {
        format!("many firewalls forget after {}", timeouts::firewalls())
    } else {
        format!("some load balancers forget after {}", timeouts::load_balancers())
    }
}

impl Finding {
    /// The worst has the lowest.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Unanswered { .. } => 0,
            Self::Unacknowledged { .. } => 1,
            Self::Off(_) => 2,
            Self::Late { .. } => 3,
            Self::OldTimer { .. } => 4,
            Self::HalfClosed => 5,
        }
    }

    /// Takes in the same finding about another socket. False if it is another finding.
    pub fn merge(&mut self, other: &Self) -> bool {
        fn widen<T: Ord + Copy>(range: &mut Range<T>, other: Range<T>) {
            *range = (range.0.min(other.0), range.1.max(other.1));
        }
        if self.kind() != other.kind() {
            return false;
        }
        match (self, other) {
            (
                Self::Unanswered { probes, silent_for, .. },
                Self::Unanswered { probes: others, silent_for: others_silence, .. },
            ) => {
                widen(probes, *others);
                widen(silent_for, *others_silence);
            }
            (Self::Unacknowledged { times, .. }, Self::Unacknowledged { times: others, .. }) => {
                widen(times, *others);
            }
            (Self::OldTimer { probe_in, .. }, Self::OldTimer { probe_in: others, .. }) => {
                widen(probe_in, *others);
            }
            _ => {}
        }
        true
    }

    /// In a word or two.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unanswered { .. } | Self::Unacknowledged { .. } => "unanswered",
            Self::Off(_) => "off",
            Self::Late { .. } | Self::OldTimer { .. } => "late",
            Self::HalfClosed => "half closed",
        }
    }

    /// What it is, but for what passes with time.
    pub fn kind(&self) -> (u8, u64) {
        let which = match self {
            Self::Unanswered { all, .. } => all.map_or(0, u64::from),
            Self::Unacknowledged { bound, .. } => bound.map_or(0, u64::from),
            Self::Off(what) => *what as u64,
            Self::Late { idle, pause, .. } => u64::from(*idle) << 32 | u64::from(*pause),
            Self::OldTimer { .. } | Self::HalfClosed => 0,
        };
        (self.rank(), which)
    }
}

/// Whole seconds.
fn seconds(time: Duration) -> u32 {
    time.as_secs().try_into().unwrap_or(u32::MAX)
}

/// `2`, or `2 to 5`.
fn range(least: &str, most: &str) -> String {
    if least == most { least.into() } else { format!("{least} to {most}") }
}

/// In words. man keepalive-show(1) explains each of them (show/manual.txt).
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered { probes: (least, most), all, silent_for: (shortest, longest) } => {
                let number = range(&least.to_string(), &most.to_string());
                let of = match all {
                    Some(all) => format!(" of {}", count(*all as usize, "probe")),
                    None if *most == 1 => " probe".into(),
                    None => " probes".into(),
                };
                let silence = range(&time::format(*shortest), &time::format(*longest));
                write!(f, "{number}{of} unanswered, silent for {silence}: the peer may be gone")
            }
            Self::Unacknowledged { times: (least, most), bound } => {
                let number = range(&least.to_string(), &most.to_string());
                write!(f, "data sent {number} times and not acknowledged: ")?;
                match bound {
                    Some(bound) => write!(
                        f,
                        "the peer may be gone; the kernel resends at least every {} until it gives \
                         up",
                        time::format_milliseconds(*bound)
                    ),
                    None => f.write_str(
                        "keepalive is suspended until then; without --rto-max the kernel retries \
                         for about 15 min",
                    ),
                }
            }
            Self::Off(Unattended::Established) => f.write_str(
                "keepalive off: a dead peer goes unnoticed while the connection is idle",
            ),
            Self::Off(Unattended::Closing) => f.write_str(
                "keepalive off: the program has closed its side and waits for the peer; a dead \
                 peer goes unnoticed",
            ),
            Self::Off(Unattended::Listening) => f.write_str(
                "keepalive off: so are accepted connections, unless the program turns it on",
            ),
            Self::Off(Unattended::Connecting) => {
                f.write_str("keepalive off: it stays off unless the program turns it on")
            }
            Self::Late { idle, pause, path_timeout } => {
                let probed = match pause {
                    _ if pause > idle => "but one probe only every",
                    _ if *idle > timeouts::LONGEST => "but first probe only after",
                    _ => "first probe after",
                };
                let forgotten = forgotten(*pause, *path_timeout);
                write!(f, "keepalive on, {probed} {}; {forgotten}", time::format_seconds(*pause))
            }
            Self::OldTimer { probe_in: (least, most), path_timeout } => {
                let forgotten = forgotten(seconds(*most), *path_timeout);
                let probe_in = range(&time::format(*least), &time::format(*most));
                write!(
                    f,
                    "keepalive on, but the running timer still uses the old time: next probe in \
                     {probe_in}; {forgotten}"
                )
            }
            Self::HalfClosed => f.write_str(
                "the peer has closed, the program has not: keepalive does not help, only the \
                 program can close it",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
