//! What is wrong with a socket, in words.

use options::RTO_MAX;

use super::network::{Timer, TimerKind};
use super::socket::{Info, Options, State};
use crate::terminal::count;
use crate::time;

/// The times after which middleboxes forget an idle connection, in seconds: the shortest of the
/// well-known ones (Azure's load balancer, 4 min), and the longest (many a firewall, 30 min).
const FORGOTTEN_FIRST: u32 = 240;
const FORGOTTEN_LAST: u32 = 1800;

/// This many retransmissions take at least six seconds: more than a single lost segment.
const RETRANSMISSIONS: u8 = 5;

/// What is wrong, the worst first.
pub fn findings(
    state: State,
    options: Option<&Options>,
    info: Option<&Info>,
    timer: Option<&Timer>,
) -> Vec<String> {
    let mut findings = Vec::new();
    let Some(options) = options else { return findings };
    if state.is_connection() {
        findings.extend(unanswered(options, info));
        findings.extend(unacknowledged(options, timer));
    }
    findings.extend(unattended(state, options));
    findings
}

/// Probes that nobody answers.
fn unanswered(options: &Options, info: Option<&Info>) -> Option<String> {
    let info = info?;
    if info.unanswered_probes == 0 || !options.keepalive {
        return None;
    }
    let unanswered = usize::from(info.unanswered_probes);
    let probes = match (options.values.user_timeout, options.values.count) {
        (None | Some(0), Some(all)) => format!("{unanswered} of {}", count(all as usize, "probe")),
        // With a user timeout the kernel does not count.
        _ => count(unanswered, "probe"),
    };
    Some(format!(
        "{probes} unanswered, not heard for {}: the peer may be gone",
        time::show(info.silent_for)
    ))
}

/// Data that nobody acknowledges.
fn unacknowledged(options: &Options, timer: Option<&Timer>) -> Option<String> {
    let timer = timer?;
    let is_bounded = options.values.user_timeout.is_some_and(|limit| limit > 0);
    if timer.kind != TimerKind::Retransmission
        || timer.retransmissions < RETRANSMISSIONS
        || is_bounded
    {
        return None;
    }
    let until = match options.values.rto_max.filter(|bound| *bound < RTO_MAX.max) {
        Some(bound) => format!(
            "the peer may be gone; it is sent again at least every {} until the kernel gives up",
            time::show_milliseconds(bound)
        ),
        None => "keepalive rests meanwhile, and without a bound (--rto-max) the kernel tries for \
                 about 15 min"
            .into(),
    };
    Some(format!("data sent {} times and not acknowledged: {until}", timer.retransmissions))
}

/// Keepalive off, or too late; or no matter of keepalive (net/ipv4/tcp_timer.c).
fn unattended(state: State, options: &Options) -> Option<String> {
    let off = match state {
        State::ESTABLISHED => {
            "keepalive off: that the peer is gone is never noticed while the connection is idle"
        }
        State::FIN_WAIT_2 => {
            "keepalive off: the program has closed its side and waits for the peer; that the peer \
             is gone is never noticed"
        }
        State::LISTEN => {
            "keepalive off, also on the connections it accepts unless the program sets it"
        }
        State::SYN_SENT | State::SYN_RECV | State::NEW_SYN_RECV => {
            "keepalive off, also once it is connected unless the program sets it"
        }
        // Probes are sent, but what they find changes nothing for the program.
        State::CLOSE_WAIT => {
            return Some(
                "the peer has closed, the program has not: keepalive does not help, only the \
                 program can close it"
                    .into(),
            );
        }
        // The kernel itself sends the end of the connection again until it gives up.
        _ => return None,
    };
    if !options.keepalive {
        return Some(off.into());
    }
    let idle = options.values.idle?;
    let forgotten = forgotten_before(idle)?;
    let only = if idle > FORGOTTEN_LAST { "but first probe only" } else { "first probe" };
    Some(format!("keepalive on, {only} after {}; {forgotten}", time::show_seconds(idle)))
}

/// The remark on an idle time, in seconds, that is to be set and is too late.
pub fn too_late(idle: u32) -> Option<String> {
    let forgotten = forgotten_before(idle)?;
    Some(format!("a first probe after {} may be too late: {forgotten}", time::show_seconds(idle)))
}

/// Who forgets a connection that is idle for this long, in seconds.
fn forgotten_before(idle: u32) -> Option<&'static str> {
    if idle > FORGOTTEN_LAST {
        Some("most firewalls forget after 5–30 min")
    } else if idle > FORGOTTEN_FIRST {
        Some("some load balancers forget sooner (Azure 4 min, AWS 350 s)")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::kernel::Kernel;
    use crate::values::Values;

    fn options(keepalive: bool, idle: u32, user_timeout: u32) -> Options {
        let values =
            Values { idle, user_timeout, ..Kernel::default().defaults }.map(|_, value| Some(value));
        Options { keepalive, values }
    }

    fn words(state: State, options: &Options) -> String {
        findings(state, Some(options), None, None).join("; ")
    }

    #[test]
    fn keepalive_off_or_late_is_pointed_out() {
        let connected = State::ESTABLISHED;
        assert_eq!(
            words(connected, &options(true, 7200, 0)),
            "keepalive on, but first probe only after 2h; most firewalls forget after 5–30 min"
        );
        assert!(words(connected, &options(true, 600, 0)).contains("Azure"));
        assert!(words(connected, &options(false, 60, 0)).starts_with("keepalive off: that"));
        assert!(words(State::LISTEN, &options(false, 60, 0)).contains("accepts"));
        assert_eq!(words(connected, &options(true, 240, 0)), "");
        assert_eq!(words(State::CLOSED, &options(false, 7200, 0)), "");
    }

    #[test]
    fn each_state_has_its_own_truth() {
        let off = |number| words(State(number), &options(false, 60, 0));
        let late = |number| words(State(number), &options(true, 7200, 0));
        assert!(off(5).contains("its side and waits") && late(5).contains("after 2h"));
        for connecting in [2, 3, 12] {
            assert!(off(connecting).contains("once it is connected"));
        }
        let closed = "the peer has closed, the program has not: keepalive does not help, only the \
                      program can close it";
        assert_eq!([off(8), late(8)], [closed, closed]);
        for ending in [4, 6, 9, 11] {
            assert_eq!([off(ending), late(ending)], ["", ""]);
        }
    }

    #[test]
    fn a_peer_that_does_not_answer_is_pointed_out() {
        let mut info = Info {
            state: State::ESTABLISHED,
            unanswered_probes: 2,
            silent_for: Duration::from_secs(90),
            unacknowledged: 0,
        };
        let words = |info: &Info, timeout| {
            findings(State::ESTABLISHED, Some(&options(true, 60, timeout)), Some(info), None)
        };
        assert_eq!(
            words(&info, 0),
            ["2 of 9 probes unanswered, not heard for 90s: the peer may be gone"]
        );
        assert_eq!(
            words(&info, 9),
            ["2 probes unanswered, not heard for 90s: the peer may be gone"]
        );
        info.unanswered_probes = 1;
        assert_eq!(
            words(&info, 9),
            ["1 probe unanswered, not heard for 90s: the peer may be gone"]
        );
    }

    #[test]
    fn data_that_is_not_acknowledged_is_pointed_out_where_nothing_bounds_it() {
        let timer = |retransmissions| Timer {
            kind: TimerKind::Retransmission,
            expires_in: Duration::ZERO,
            retransmissions,
        };
        let words = |timeout, count| {
            let options = options(true, 60, timeout);
            findings(State::ESTABLISHED, Some(&options), None, Some(&timer(count))).len()
        };
        assert_eq!([words(0, 5), words(0, 4), words(1, 5)], [1, 0, 0]);
        let mut bounded = options(true, 60, 0);
        bounded.values.rto_max = Some(9600);
        let words = findings(State::ESTABLISHED, Some(&bounded), None, Some(&timer(6)));
        assert_eq!(
            words,
            ["data sent 6 times and not acknowledged: the peer may be gone; it is sent again at \
              least every 9.6s until the kernel gives up"]
        );
    }
}
