use std::time::Duration;

use super::*;
use crate::process::Protocol;
use crate::sys::kernel::Kernel;

fn options(keepalive: bool, idle: u32, user_timeout: u32) -> Options {
    let values = Values { idle, user_timeout, ..Kernel::default().assumed_defaults() }
        .map(|_, value| Some(value));
    Options { keepalive, values }
}

/// The findings of a socket about which this is known.
fn findings(
    state: State,
    options: Option<&Options>,
    info: Option<&Info>,
    timer: Option<&Timer>,
    path_timeout: Duration,
) -> Vec<Finding> {
    let socket = Socket {
        fds: vec![3],
        inode: 1,
        protocol: Protocol::Tcp,
        state,
        local: None,
        remote: None,
        options: options.copied(),
        timer: timer.copied(),
        info: info.copied(),
    };
    super::findings(&socket, path_timeout)
}

fn words(state: State, options: &Options) -> String {
    let findings = findings(state, Some(options), None, None, PATH_TIMEOUT);
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn keepalive_off_or_late_is_pointed_out() {
    let connected = State::ESTABLISHED;
    assert_eq!(
        words(connected, &options(true, 7200, 0)),
        "keepalive on, but first probe only after 2h; many firewalls forget after 5–30 min"
    );
    assert!(words(connected, &options(true, 600, 0)).contains("Azure"));
    assert!(words(connected, &options(false, 60, 0)).starts_with("keepalive off: a dead"));
    assert!(words(State::LISTEN, &options(false, 60, 0)).contains("accepted"));
    assert_eq!(words(connected, &options(true, 200, 0)), "");
    assert!(words(connected, &options(true, 201, 0)).contains("4 min (Azure)"));
    assert_eq!(words(State::CLOSED, &options(false, 7200, 0)), "");
}

#[test]
fn an_interval_that_is_longer_than_the_idle_time_counts() {
    let mut seldom = options(true, 60, 0);
    seldom.values.interval = Some(200);
    assert_eq!(words(State::ESTABLISHED, &seldom), "");
    seldom.values.interval = Some(300);
    assert!(
        words(State::ESTABLISHED, &seldom)
            .starts_with("keepalive on, but one probe only every 5m; some load balancers forget")
    );
    let too_late = |idle, interval| {
        too_late(Values { idle, interval, ..Values::default() }).unwrap_or_default()
    };
    assert_eq!(too_late(Some(60), Some(200)), "");
    assert!(too_late(Some(60), Some(300)).starts_with("one probe only every 5m may be too late"));
    assert!(too_late(Some(300), None).starts_with("a first probe after 5m may be too late"));
}

#[test]
fn each_state_has_its_own_truth() {
    let off = |number| words(State(number), &options(false, 60, 0));
    let late = |number| words(State(number), &options(true, 7200, 0));
    assert!(off(5).contains("its side and waits") && late(5).contains("after 2h"));
    for connecting in [2, 3, 12] {
        assert!(off(connecting).contains("it stays off"));
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
        let options = options(true, 60, timeout);
        let found = findings(State::ESTABLISHED, Some(&options), Some(info), None, PATH_TIMEOUT);
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(words(&info, 0), ["2 of 9 probes unanswered, silent for 90s: the peer may be gone"]);
    assert_eq!(words(&info, 9), ["2 probes unanswered, silent for 90s: the peer may be gone"]);
    info.unanswered_probes = 1;
    assert_eq!(words(&info, 9), ["1 probe unanswered, silent for 90s: the peer may be gone"]);
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
        findings(State::ESTABLISHED, Some(&options), None, Some(&timer(count)), PATH_TIMEOUT).len()
    };
    assert_eq!([words(0, 5), words(0, 4), words(1, 5)], [1, 0, 0]);
    let mut bounded = options(true, 60, 0);
    bounded.values.rto_max = Some(9600);
    let found = findings(State::ESTABLISHED, Some(&bounded), None, Some(&timer(6)), PATH_TIMEOUT);
    assert_eq!(
        found[0].to_string(),
        "data sent 6 times and not acknowledged: the peer may be gone; the kernel resends at \
          least every 9.6s until it gives up"
    );
}

#[test]
fn a_timer_that_runs_for_an_older_time_is_pointed_out() {
    let keepalive = |seconds, nanos| Timer {
        kind: TimerKind::Keepalive,
        expires_in: Duration::new(seconds, nanos),
        retransmissions: 0,
    };
    let found = |state, options: &Options, timer: &Timer, path_timeout| {
        findings(state, Some(options), None, Some(timer), path_timeout)
    };
    let connected = |timer: &Timer| {
        let found = found(State::ESTABLISHED, &options(true, 60, 0), timer, PATH_TIMEOUT);
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        connected(&keepalive(7140, 0)),
        [
            "keepalive on, but the running timer still uses the old time: next probe in 1h 59m; many \
          firewalls forget after 5–30 min"
        ]
    );
    // A path holds the connection until then; another timer says nothing about the probe.
    assert_eq!(connected(&keepalive(200, 0)), [""; 0]);
    let other = |kind| Timer { kind, ..keepalive(7140, 0) };
    for kind in [TimerKind::ZeroWindowProbe, TimerKind::Retransmission] {
        assert_eq!(connected(&other(kind)), [""; 0]);
    }
    // An interval that is longer than the idle time is waited for, too.
    let mut seldom = options(true, 60, 0);
    seldom.values.interval = Some(100);
    let limit = Duration::from_secs(100);
    let at = |seconds, nanos| {
        found(State::ESTABLISHED, &seldom, &keepalive(seconds, nanos), limit).len()
    };
    assert_eq!([at(100, 0), at(101, 0), at(101, 1)], [0, 0, 1]);
    let late = found(State::ESTABLISHED, &options(true, 300, 0), &keepalive(7140, 0), limit);
    assert!(matches!(late[..], [Finding::Late { .. }]), "{late:?}");
    let closed = found(State::CLOSE_WAIT, &options(true, 60, 0), &keepalive(7140, 0), limit);
    assert_eq!(closed, [Finding::HalfClosed]);
    let mut first = Finding::OldTimer { probe_in: (limit, limit), path_timeout: PATH_TIMEOUT };
    let longer = 2 * limit;
    let second = Finding::OldTimer { probe_in: (longer, longer), path_timeout: PATH_TIMEOUT };
    assert!(first.merge(&second) && first.to_string().contains("probe in 1m 40s to 3m 20s"));
}

#[test]
fn a_path_of_ones_own_decides_what_is_too_late() {
    let limit = Duration::from_secs(80);
    let found = |idle, path_timeout| {
        findings(State::ESTABLISHED, Some(&options(true, idle, 0)), None, None, path_timeout)
    };
    assert_eq!(found(80, limit), []);
    let late = found(81, limit);
    assert_eq!(
        late[0].to_string(),
        "keepalive on, first probe after 81s; the path forgets after 80s (--path-timeout)"
    );
    assert_eq!(found(7200, 3 * 3600 * Duration::from_secs(1)), []);
}

#[test]
fn what_passes_with_time_is_told_once_for_several_sockets() {
    let unanswered = |probes, seconds| Finding::Unanswered {
        probes: (probes, probes),
        all: Some(9),
        silent_for: (Duration::from_secs(seconds), Duration::from_secs(seconds)),
    };
    let mut all = unanswered(3, 70);
    assert!(all.merge(&unanswered(1, 90)) && all.merge(&unanswered(2, 80)));
    assert!(!all.merge(&Finding::HalfClosed));
    assert_eq!(
        all.to_string(),
        "1 to 3 of 9 probes unanswered, silent for 70s to 90s: the peer may be gone"
    );
    assert!(!Finding::Off(Unattended::Closing).merge(&Finding::Off(Unattended::Established)));
}
