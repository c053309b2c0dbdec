//! What a measurement tells: while it runs, and at its end.

use std::io;
use std::time::Duration;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The path forgets a connection: after an idle time from [`Outcome::answered_after`] to
    /// [`Outcome::forgotten_after`], in the way of [`Outcome::how`].
    Forgotten,
    /// It does not, within the longest idle time that was tried ([`Options::max`](crate::Options)).
    NotForgotten,
    /// It forgets some connections sooner than others, and [`Outcome::recommended`] is for these.
    Mixed,
    /// The server, or something in front of it that ends TCP, closes connections that carry no data
    /// for this long, though probes are answered. Keepalive is the wrong tool there: only data helps.
    EndsIdle(Duration),
    /// A connection was forgotten though it was probed all the time, and so were the others.
    DespiteKeepalive,
    /// The server sends keepalive probes or data of its own this far apart, so no connection is idle.
    NotIdle(Duration),
    /// No connection was left to continue with: none could be opened ([`Outcome::error`]), or the
    /// server ended all of them again and again.
    Incomplete,
    /// The server could not be reached at the start ([`Outcome::error`]).
    Unreachable,
    /// It has not answered for five minutes, also to new connections.
    Lost,
    /// The observer ended the measurement.
    Interrupted,
    /// The machine slept for this long. Nobody looked meanwhile, so what comes later proves nothing.
    Slept(Duration),
}

impl Finding {
    /// Whether it says for how long the path remembers a connection.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Forgotten | Self::NotForgotten | Self::Mixed)
    }

    /// Its name in the JSON of `keepalive measure`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forgotten => "forgotten",
            Self::NotForgotten => "none",
            Self::Mixed => "mixed",
            Self::EndsIdle(_) => "ends-idle",
            Self::DespiteKeepalive => "despite-keepalive",
            Self::NotIdle(_) => "not-idle",
            Self::Incomplete => "incomplete",
            Self::Unreachable => "unreachable",
            Self::Lost => "lost",
            Self::Interrupted | Self::Slept(_) => "interrupted",
        }
    }
}

/// How a path lets a connection go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It drops later packets without a word.
    Silence,
    /// It answers later packets with a reset.
    Reset,
    /// It sends a reset when the time is over.
    ResetUnasked,
    /// It closes the connection in an orderly way when the time is over, but not one that is probed.
    ClosedUnasked,
}

impl How {
    /// Its name in the JSON of `keepalive measure`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Reset => "reset",
            Self::ResetUnasked => "reset-unasked",
            Self::ClosedUnasked => "closed-unasked",
        }
    }
}

/// Settings that hold the path, for the options of tcp(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recommended {
    /// TCP_KEEPIDLE: idle time before the first probe, in seconds.
    pub idle: u32,
    /// TCP_KEEPINTVL: time between probes, in seconds.
    pub interval: u32,
    /// TCP_KEEPCNT: unanswered probes after which the connection is dead.
    pub count: u32,
}

/// The result of a measurement.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// What was found.
    pub finding: Finding,
    /// How the path forgot the connection of [`forgotten_after`](Self::forgotten_after).
    pub how: Option<How>,
    /// The longest idle time below [`forgotten_after`](Self::forgotten_after) after which a
    /// connection was answered. With [`Finding::Mixed`] others may have been forgotten by then.
    pub answered_after: Option<Duration>,
    /// The shortest idle time after which a connection was not.
    pub forgotten_after: Option<Duration>,
    /// The idle time that every connection survives, as far as is known.
    pub held_for: Option<Duration>,
    /// How long it took, without closing the connections.
    pub took: Duration,
    /// The share of the probes and their answers that was lost, from 0 to 1; None before any answer.
    pub loss: Option<f64>,
    /// The usual time until a probe was answered, a tick of the kernel's timer included.
    pub round_trip: Option<Duration>,
    /// How many connections were opened, replacements included.
    pub connections: usize,
    /// How many of them confirmed the result.
    pub confirmed_by: usize,
    /// How many may not have ended at the server; None if closing them was abandoned.
    pub left_at_server: Option<usize>,
    /// Why the last connection that could not be opened could not be.
    pub error: Option<io::Error>,
    /// Settings that hold the path, if it forgets and keepalive helps: the first probe at half of
    /// [`held_for`](Self::held_for), at most after [`SAFE_IDLE`](crate::SAFE_IDLE) and after four fifths
    /// of what five connections survived, and five more before that time is over.
    pub recommended: Option<Recommended>,
}

/// How far a measurement is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Since the start.
    pub elapsed: Duration,
    /// As [`Outcome::answered_after`], so far.
    pub answered_after: Option<Duration>,
    /// As [`Outcome::forgotten_after`], so far.
    pub forgotten_after: Option<Duration>,
    /// What it does at the moment.
    pub activity: Activity,
}

/// What a measurement does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// It opens connections, or chooses what to probe next.
    Preparing,
    /// It waits until a connection has been idle for `idle`, which is so in `remaining`.
    Waiting {
        /// The idle time after which the connection is probed.
        idle: Duration,
        /// How long until then.
        remaining: Duration,
    },
    /// It has probed a connection that was idle this long, and no answer has come yet.
    Probing(Duration),
    /// The server does not answer at all, not even on the connection that is never idle.
    NoAnswer,
    /// It has found this, and closes the connections.
    Closing(Finding),
}

/// What the observer wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Continue,
    /// End the measurement, with what is known, and close the connections, which takes some seconds.
    /// While they are being closed this is the same as [`Continue`](Self::Continue).
    Finish,
    /// Return at once. Connections that the path has forgotten stay at the server.
    Abandon,
}
