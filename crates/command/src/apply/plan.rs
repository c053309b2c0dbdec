//! What is to be set on one socket: decided without a system call, and then carried out.

use std::io;

use options::{KEEPCNT, KEEPIDLE, KEEPINTVL, Mode, RTO_MAX, SYNCNT, TcpOption, USER_TIMEOUT};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::process::{Duplicate, Options, State, does_not_exist};
use crate::settings::Settings;
use crate::text::error;
use crate::values::Values;

/// What is to be set on one socket.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Whether keepalive is to be turned on.
    pub keepalive: bool,
    /// The options that are to be set.
    #[serde(with = "crate::values::as_list")]
    pub values: Values<Option<u32>>,
}

/// Why a socket stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeftAlone {
    /// It has all of it.
    SetAlready,
    /// The program chose times of its own.
    OwnTimes,
}

/// What is to be set on a socket that has these options. A time that is neither the kernel's
/// default nor the operator's was chosen by the program: without `--force` it stands, as what
/// the program sets itself stands under `run`.
pub fn plan(
    now: &Options,
    state: State,
    settings: &Settings,
    defaults: &Values<u32>,
) -> Result<Plan, LeftAlone> {
    let compared = now.values.zip(settings.values).zip(*defaults);
    let has_own = compared.iter().any(|(option, ((now, value), default))| {
        // How patient connect(2) is has nothing to do with keepalive.
        option.number != SYNCNT.number
            && now.is_some_and(|now| now != default && !is_met(option, now, value))
    });
    let in_use = now.keepalive || settings.mode == Mode::Skip;
    if in_use && settings.mode != Mode::Force && has_own {
        return Err(LeftAlone::OwnTimes);
    }
    let keepalive = !now.keepalive && settings.mode != Mode::Skip;
    let mut values = now.values.zip(suited(settings, state)).map(|option, (now, value)| {
        value.filter(|_| now.is_some_and(|now| !is_met(option, now, value)))
    });
    if settings.mode != Mode::Force && now.values.syn_count != Some(defaults.syn_count) {
        values.syn_count = None;
    }
    if keepalive {
        // Turning keepalive on starts its timer anew, from now; setting the idle time afterwards
        // lets the time count for which the connection has been idle.
        values.idle = settings.values.idle;
    }
    if !keepalive && values == Values::default() {
        return Err(LeftAlone::SetAlready);
    }
    Ok(Plan { keepalive, values })
}

/// The settings for a socket in this state. The bound on the pauses between retransmissions is for
/// data in flight: before, it would make connect(2) and a listening socket's handshakes give up
/// sooner. The number of SYNs is for sockets that are not connected yet.
fn suited(settings: &Settings, state: State) -> Values<Option<u32>> {
    let Values { rto_max, syn_count, .. } = settings.values;
    Values {
        rto_max: rto_max.filter(|_| state.is_synchronized()),
        syn_count: syn_count.filter(|_| matches!(state, State::CLOSED | State::SYN_SENT)),
        ..settings.values
    }
}

/// Which options a socket in this state does not have, though they are to be set.
pub fn lacking(now: &Options, state: State, settings: &Settings) -> Values<bool> {
    let both = now.values.zip(suited(settings, state));
    both.map(|_, (now, value)| now.is_none() && value.is_some())
}

/// Whether an option has the value that is to be set. The kernel rounds a bound on the pauses between
/// retransmissions up to a jiffy, at most 10 ms.
pub fn is_met(option: &TcpOption, now: u32, value: Option<u32>) -> bool {
    let rounding = if option.number == RTO_MAX.number { 9 } else { 0 };
    value.is_some_and(|value| (value..=value + rounding).contains(&now))
}

impl Plan {
    /// Carries it out, with the user timeout or without; returns what was refused. Keepalive and
    /// its idle time come last: from then on probes are sent.
    pub fn carry_out(&self, socket: &Duplicate, with_user_timeout: bool) -> Result<(), Refused> {
        let set = |option: &TcpOption, value: Option<u32>| match value {
            Some(value) => match socket.set(option, value) {
                Err(error) if !does_not_exist(error) => Err(Refused::set(option, value, error)),
                _ => Ok(()),
            },
            None => Ok(()),
        };
        let Values { count, idle, interval, user_timeout, rto_max, syn_count } = self.values;
        set(&KEEPCNT, count)?;
        set(&KEEPINTVL, interval)?;
        set(&USER_TIMEOUT, user_timeout.filter(|_| with_user_timeout))?;
        set(&RTO_MAX, rto_max)?;
        set(&SYNCNT, syn_count)?;
        if self.keepalive {
            let set = socket.set_keepalive();
            let assignment = KEEPALIVE.into();
            set.map_err(|error| Refused::Set { assignment, errno: error.raw_os_error() })?;
        }
        set(&KEEPIDLE, idle)
    }

    /// As the library's own report has it: `SO_KEEPALIVE=1 TCP_KEEPCNT=5`.
    pub fn describe(&self) -> String {
        let keepalive = self.keepalive.then(|| KEEPALIVE.to_owned());
        let values = self.values.iter();
        let values = values.filter_map(|(option, value)| Some(assignment(option, value?)));
        keepalive.into_iter().chain(values).collect::<Vec<_>>().join(" ")
    }
}

const KEEPALIVE: &str = "SO_KEEPALIVE=1";

/// `TCP_KEEPCNT=5`.
fn assignment(option: &TcpOption, value: u32) -> String {
    format!("{}={value}", option.name.to_string_lossy())
}

/// A call that the kernel refused, with the number of its error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refused {
    #[error("getsockopt(2): {}", describe(*.0))]
    Get(i32),
    /// `TCP_KEEPCNT=5` and the like.
    #[error("setsockopt(2), {assignment}: {}", describe(*.errno))]
    Set { assignment: String, errno: i32 },
}

impl Refused {
    pub fn set(option: &TcpOption, value: u32, error: Errno) -> Self {
        Self::Set { assignment: assignment(option, value), errno: error.raw_os_error() }
    }
}

fn describe(errno: i32) -> String {
    error::describe(&io::Error::from_raw_os_error(errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: Values<u32> = Values {
        count: 9,
        idle: 7200,
        interval: 75,
        user_timeout: 0,
        rto_max: 120_000,
        syn_count: 6,
    };

    fn options(keepalive: bool, idle: u32) -> Options {
        Options { keepalive, values: Values { idle, ..DEFAULTS }.map(|_, value| Some(value)) }
    }

    const NOTHING: Values<Option<u32>> = Values {
        count: None,
        idle: None,
        interval: None,
        user_timeout: None,
        rto_max: None,
        syn_count: None,
    };

    const EVERYTHING: Values<Option<u32>> = Values { count: Some(5), idle: Some(60), ..NOTHING };

    /// The plan for an established connection.
    fn plan(now: &Options, settings: &Settings) -> Result<Plan, LeftAlone> {
        super::plan(now, State::ESTABLISHED, settings, &DEFAULTS)
    }

    fn settings(mode: Mode) -> Settings {
        Settings { values: EVERYTHING, mode }
    }

    #[test]
    fn what_nobody_chose_is_set() {
        for keepalive in [false, true] {
            let plan = plan(&options(keepalive, 7200), &settings(Mode::On));
            assert_eq!(plan, Ok(Plan { keepalive: !keepalive, values: EVERYTHING }));
        }
    }

    #[test]
    fn times_of_the_program_s_own_stand_unless_forced() {
        let now = options(true, 300);
        assert_eq!(plan(&now, &settings(Mode::On)), Err(LeftAlone::OwnTimes));
        assert_eq!(plan(&now, &settings(Mode::Skip)), Err(LeftAlone::OwnTimes));
        let forced = Plan { keepalive: false, values: EVERYTHING };
        assert_eq!(plan(&now, &settings(Mode::Force)), Ok(forced));
        // Times that are not in use were not chosen for anything.
        let plan = plan(&options(false, 300), &settings(Mode::On));
        assert_eq!(plan, Ok(Plan { keepalive: true, values: EVERYTHING }));
    }

    #[test]
    fn skip_leaves_keepalive_to_the_program() {
        let plan = plan(&options(false, 7200), &settings(Mode::Skip));
        assert_eq!(plan, Ok(Plan { keepalive: false, values: EVERYTHING }));
    }

    #[test]
    fn what_is_set_is_not_set_again() {
        let mut now = options(true, 60);
        let values = Values { count: Some(5), ..NOTHING };
        let rest = Plan { keepalive: false, values };
        assert_eq!(plan(&now, &settings(Mode::On)), Ok(rest));
        now.values.count = Some(5);
        assert_eq!(plan(&now, &settings(Mode::On)), Err(LeftAlone::SetAlready));
        assert_eq!(plan(&now, &settings(Mode::Force)), Err(LeftAlone::SetAlready));
        // The kernel has rounded the bound up to a jiffy.
        let mut bounded = settings(Mode::On);
        bounded.values.rto_max = Some(9601);
        now.values.rto_max = Some(9604);
        assert_eq!(plan(&now, &bounded), Err(LeftAlone::SetAlready));
        now.values.rto_max = Some(120_000);
        // The idle time counts only if it is set after keepalive.
        now.keepalive = false;
        let values = Values { idle: Some(60), ..NOTHING };
        let again = Plan { keepalive: true, values };
        assert_eq!(plan(&now, &settings(Mode::On)), Ok(again));
    }

    #[test]
    fn an_option_that_a_socket_does_not_have_is_no_reason_to_set_anything() {
        let mut now = options(true, 60);
        now.values.count = Some(5);
        now.values.user_timeout = None;
        let mut settings = settings(Mode::On);
        settings.values.user_timeout = Some(1000);
        assert_eq!(plan(&now, &settings), Err(LeftAlone::SetAlready));
        let lacking = lacking(&now, State::ESTABLISHED, &settings);
        assert_eq!(lacking, Values { user_timeout: true, ..Values::default() });
    }

    #[test]
    fn the_bound_is_for_established_connections_and_the_syns_are_for_those_to_come() {
        let (rto_max, syn_count) = (Some(9600), Some(15));
        let settings =
            Settings { values: Values { rto_max, syn_count, ..EVERYTHING }, mode: Mode::On };
        for (state, values) in [
            (State::ESTABLISHED, Values { rto_max, ..EVERYTHING }),
            (State::CLOSE_WAIT, Values { rto_max, ..EVERYTHING }),
            (State::SYN_SENT, Values { syn_count, ..EVERYTHING }),
            (State::CLOSED, Values { syn_count, ..EVERYTHING }),
            (State::LISTEN, EVERYTHING),
        ] {
            let plan = super::plan(&options(false, 7200), state, &settings, &DEFAULTS);
            assert_eq!(plan, Ok(Plan { keepalive: true, values }), "{state:?}");
        }
        // What `run` has set on a listening socket was chosen by nobody else.
        let mut now = options(true, 60);
        now.values = Values { rto_max, syn_count, count: Some(5), ..now.values };
        let plan = super::plan(&now, State::LISTEN, &settings, &DEFAULTS);
        assert_eq!(plan, Err(LeftAlone::SetAlready));
    }

    #[test]
    fn the_program_s_own_number_of_syns_stands_and_is_no_time_of_its_own() {
        let mut now = options(false, 7200);
        now.values.syn_count = Some(2);
        let mut settings = settings(Mode::On);
        settings.values.syn_count = Some(15);
        let plan = |settings: &Settings| super::plan(&now, State::CLOSED, settings, &DEFAULTS);
        assert_eq!(plan(&settings), Ok(Plan { keepalive: true, values: EVERYTHING }));
        settings.mode = Mode::Force;
        let plan = plan(&settings).expect("something to set");
        assert_eq!(plan.values, Values { syn_count: Some(15), ..EVERYTHING });
    }
}
