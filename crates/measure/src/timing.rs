//! Every constant of a measurement. Times are in seconds.

use std::time::Duration;

// The idle times that are tried.

/// Just above the usual limits: a timeout of a minute is found between 45 and 61.5 s.
pub const RUNGS: [f64; 21] = [
    10.4, 15.5, 20.6, 31.0, 45.0, 61.5, 92.0, 123.0, 184.0, 244.0, 305.0, 356.0, 610.0, 910.0,
    1215.0, 1815.0, 2715.0, 3620.0, 5450.0, 7250.0, 7500.0,
];
/// A rung that is closer to the last one than this factor is left out.
pub const MIN_RUNG_FACTOR: f64 = 1.02;

// Opening connections.

/// Connections are opened this far apart.
pub const BETWEEN_OPENINGS: f64 = 0.1;
/// How long connect(2) may take.
pub const OPENING: f64 = 10.0;
/// By then the server has sent its part of the handshake again, if our last part was lost: after 1
/// and after 3 s.
pub const SETTLED: f64 = 3.4;
/// How often a connection is replaced because its handshake was disturbed.
pub const MAX_REPLACEMENTS: u8 = 5;
/// The most connections for one measurement, replacements included.
pub const MAX_CONNECTIONS: usize = 100;

// Probes.

/// A kernel answers probes at most every 0.5 s (net.ipv4.tcp_invalid_ratelimit).
pub const BETWEEN_PROBES: f64 = 0.6;
/// While the control connection is silent.
pub const BETWEEN_PROBES_IN_SILENCE: f64 = 5.0;
/// The pause between probes of the control connection at first.
pub const CONTROL: f64 = 2.0;
/// While others are probed.
pub const CONTROL_WHILE_PROBING: f64 = 1.2;
/// The longest.
pub const CONTROL_MAX: f64 = 60.0;
/// A probe counts if the control connection was answered this much before or after.
pub const NEAR: f64 = 1.3;
/// When to look again where nothing is due.
pub const NOTHING_DUE: f64 = 60.0;

// Silence.

/// How sure silence has to be: one living connection in this many is taken for a forgotten one.
pub const DOUBT: f64 = 1e-5;
/// How sure it has to be that a probe has reached the path at all: this bounds the idle time.
pub const DOUBT_OF_ARRIVAL: f64 = 1e-3;
/// How many probes without an answer make silence, at least and at most.
pub const PROBES_FOR_SILENCE: (usize, usize) = (5, 24);
/// The longest round trip is that of the last so many.
pub const RECENT_ROUND_TRIPS: usize = 20;

// The control connection is silent, or has ended.

/// The pause between attempts to reach the server.
pub const BETWEEN_TRIALS: f64 = 10.0;
/// After so long without the server it is lost.
pub const OUTAGE: f64 = 300.0;
/// How often all connections are replaced because something ended all of them.
pub const MAX_RESTARTS: usize = 2;

// Connections that end unasked.

/// What closes connections of the same age closes them within this time and this share of the age.
pub const TOGETHER: (f64, f64) = (4.0, 0.1);
/// They are looked at so much later.
pub const AFTER_TOGETHER: f64 = 3.0;
/// So many are more than those that a server may end for reasons of its own.
pub const SEVERAL_ENDS: usize = 4;
/// Fewer connections than these do not tell how they ended.
pub const MIN_ENDS: usize = 3;
/// Idle time ends connections one after the other, as they were opened. Something else ended those
/// that end closer together by this factor.
pub const CLOSER: f64 = 3.0;
/// The pauses of a server that sends its part of the handshake again are fewer
/// (net.ipv4.tcp_synack_retries is 5), and each is longer than the one before.
pub const MANY_UNASKED: usize = 8;

// Narrowing and confirming the result.

/// How many connections are kept for confirming the result.
pub const WITNESSES: usize = 4;
/// With so few rungs left the witnesses are opened, so that they are idle for long enough in time.
pub const RUNGS_BEFORE_WITNESSES: usize = 8;
/// How many connections confirm a result.
pub const CONFIRMING: usize = 8;
/// A result is narrowed until twice the idle time found and this have passed.
pub const PATIENCE: f64 = 20.0;
/// How often a result is narrowed again because it was not confirmed.
pub const MAX_ROUNDS: usize = 3;
/// So many connections must have been remembered for about as long as the result says, from this
/// share of it: paths differ.
pub const REMEMBERED: (usize, f64) = (3, 0.7);
/// Others are probed at this share of it.
pub const A_LITTLE_LESS: f64 = 0.97;
/// And those that should be forgotten at this.
pub const A_LITTLE_MORE: f64 = 1.03;
/// The narrowest result, since silence takes some seconds to be sure of.
pub const NARROW: f64 = 4.0;

// Paths that differ.

/// Two connections of one path may differ by this factor before the path counts as mixed.
pub const TOLERANCE: f64 = 1.02;
/// So many connections must have been remembered before advice is built on it: where half of them go
/// a way that forgets sooner, one of these shows it but for one time in 32.
pub const SURE: usize = 5;

// The settings that are recommended.

/// The kernel's own number of probes, and its own time between them at most (tcp(7)).
pub const RECOMMENDED_COUNT: u32 = 9;
pub const MAX_RECOMMENDED_INTERVAL: u32 = 75;

/// A first probe after at most this much idle time holds every path that is known to forget within
/// minutes.
pub const SAFE_IDLE: u32 = 200;

// The sockets.

/// How often to look for what comes unasked, and for an answer.
pub const LOOK: f64 = 0.25;
pub const LOOK_FOR_ANSWER: f64 = 0.05;
/// So much of what a server sends is read at a look, in buffers: it may send without end.
pub const MAX_READS: usize = 16;
/// A sleep of the machine that is too short to change anything.
pub const SLEEP: f64 = 1.0;
/// The largest values that there are (tcp(7)): the kernel itself sends no second probe, and gives
/// nobody up.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(32767);
pub const PROBE_COUNT: u32 = 127;
/// An idle time that is longer than any measurement.
pub const NEVER: Duration = Duration::from_secs(32767);
/// One that is over: the kernel sends the probe at once.
pub const AT_ONCE: Duration = Duration::from_secs(1);

// Leaving nothing behind.

/// How long the other end may take to close what we have closed.
pub const CLOSING: f64 = 3.0;
/// How long a connection from an old port may take, at least, and for each reset that is sent where
/// packets are lost.
pub const REOPENING: f64 = 12.0;
pub const REOPENING_FOR_EACH: f64 = 4.0;
/// Between resets that may be lost: a kernel answers at most every 0.5 s.
pub const BETWEEN_RESETS: f64 = 0.6;
