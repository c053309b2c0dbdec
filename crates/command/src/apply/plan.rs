//! What is to be set on one socket: decided without a system call, and then carried out.

use options::{KEEPCNT, KEEPIDLE, KEEPINTVL, Mode, TcpOption, USER_TIMEOUT};
use rustix::io::Errno;

use crate::process::{Duplicate, Options, does_not_exist};
use crate::settings::Settings;
use crate::values::Values;

/// What is to be set on one socket.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// Whether keepalive is to be turned on.
    pub keepalive: bool,
    /// The options that are to be set.
    pub values: Values<Option<u32>>,
}

/// Why a socket stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftAlone {
    /// It has all of it.
    SetAlready,
    /// The program chose times of its own.
    OwnTimes,
}

/// What is to be set on a socket that has these options. A time that is neither the kernel's
/// default nor the operator's was chosen by the program: without `--force` it stands, as what
/// the program sets itself stands under `run`.
pub fn plan(now: &Options, wanted: &Settings, defaults: &Values<u32>) -> Result<Plan, LeftAlone> {
    let has_own =
        now.values.zip(wanted.values).zip(*defaults).iter().any(|(_, ((now, wanted), default))| {
            now.is_some_and(|now| now != default && Some(now) != wanted)
        });
    let in_use = now.keepalive || wanted.mode == Mode::Skip;
    if in_use && wanted.mode != Mode::Force && has_own {
        return Err(LeftAlone::OwnTimes);
    }
    let keepalive = !now.keepalive && wanted.mode != Mode::Skip;
    let differing = now
        .values
        .zip(wanted.values)
        .map(|(now, wanted)| wanted.filter(|_| now.is_some() && now != wanted));
    let mut values = differing;
    if keepalive {
        // Turning keepalive on starts its timer anew, from now; setting the idle time afterwards
        // lets the time count for which the connection has been idle.
        values.idle = wanted.values.idle;
    }
    if !keepalive && values == Values::default() {
        return Err(LeftAlone::SetAlready);
    }
    Ok(Plan { keepalive, values })
}

impl Plan {
    /// Carries it out, with the user timeout or without; returns what was refused. Keepalive and
    /// its idle time come last: from then on probes are sent.
    pub fn carry_out(
        &self,
        socket: &Duplicate,
        with_user_timeout: bool,
    ) -> Result<(), (String, Errno)> {
        let set = |option: &TcpOption, value: Option<u32>| match value {
            Some(value) => match socket.set(option, value) {
                Err(error) if !does_not_exist(error) => Err((assignment(option, value), error)),
                _ => Ok(()),
            },
            None => Ok(()),
        };
        let Values { count, idle, interval, user_timeout } = self.values;
        set(&KEEPCNT, count)?;
        set(&KEEPINTVL, interval)?;
        set(&USER_TIMEOUT, user_timeout.filter(|_| with_user_timeout))?;
        if self.keepalive {
            socket.set_keepalive().map_err(|error| ("SO_KEEPALIVE=1".into(), error))?;
        }
        set(&KEEPIDLE, idle)
    }

    /// As the library's own report has it: `SO_KEEPALIVE=1 TCP_KEEPCNT=5`.
    pub fn describe(&self) -> String {
        let keepalive = self.keepalive.then(|| "SO_KEEPALIVE=1".to_owned());
        let values = self.values.iter();
        let values = values.filter_map(|(option, value)| Some(assignment(option, value?)));
        keepalive.into_iter().chain(values).collect::<Vec<_>>().join(" ")
    }
}

fn assignment(option: &TcpOption, value: u32) -> String {
    format!("{}={value}", option.name.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: Values<u32> = Values { count: 9, idle: 7200, interval: 75, user_timeout: 0 };

    fn options(keepalive: bool, idle: u32) -> Options {
        Options { keepalive, values: Values { idle, ..DEFAULTS }.map(Some) }
    }

    const EVERYTHING: Values<Option<u32>> =
        Values { count: Some(5), idle: Some(60), interval: None, user_timeout: None };

    fn wanted(mode: Mode) -> Settings {
        Settings { values: EVERYTHING, mode }
    }

    #[test]
    fn what_nobody_chose_is_set() {
        for keepalive in [false, true] {
            let plan = plan(&options(keepalive, 7200), &wanted(Mode::On), &DEFAULTS);
            assert_eq!(plan, Ok(Plan { keepalive: !keepalive, values: EVERYTHING }));
        }
    }

    #[test]
    fn times_of_the_program_s_own_stand_unless_forced() {
        let now = options(true, 300);
        assert_eq!(plan(&now, &wanted(Mode::On), &DEFAULTS), Err(LeftAlone::OwnTimes));
        assert_eq!(plan(&now, &wanted(Mode::Skip), &DEFAULTS), Err(LeftAlone::OwnTimes));
        let forced = Plan { keepalive: false, values: EVERYTHING };
        assert_eq!(plan(&now, &wanted(Mode::Force), &DEFAULTS), Ok(forced));
        // Times that are not in use were not chosen for anything.
        let plan = plan(&options(false, 300), &wanted(Mode::On), &DEFAULTS);
        assert_eq!(plan, Ok(Plan { keepalive: true, values: EVERYTHING }));
    }

    #[test]
    fn skip_leaves_keepalive_to_the_program() {
        let plan = plan(&options(false, 7200), &wanted(Mode::Skip), &DEFAULTS);
        assert_eq!(plan, Ok(Plan { keepalive: false, values: EVERYTHING }));
    }

    #[test]
    fn what_is_set_is_not_set_again() {
        let mut now = options(true, 60);
        let values = Values { count: Some(5), ..Values::default() };
        let rest = Plan { keepalive: false, values };
        assert_eq!(plan(&now, &wanted(Mode::On), &DEFAULTS), Ok(rest));
        now.values.count = Some(5);
        assert_eq!(plan(&now, &wanted(Mode::On), &DEFAULTS), Err(LeftAlone::SetAlready));
        assert_eq!(plan(&now, &wanted(Mode::Force), &DEFAULTS), Err(LeftAlone::SetAlready));
        // The idle time counts only if it is set after keepalive.
        now.keepalive = false;
        let values = Values { idle: Some(60), ..Values::default() };
        let again = Plan { keepalive: true, values };
        assert_eq!(plan(&now, &wanted(Mode::On), &DEFAULTS), Ok(again));
    }

    #[test]
    fn an_option_that_a_socket_does_not_have_is_no_reason_to_set_anything() {
        let mut now = options(true, 60);
        now.values.count = Some(5);
        now.values.user_timeout = None;
        let mut wanted = wanted(Mode::On);
        wanted.values.user_timeout = Some(1000);
        assert_eq!(plan(&now, &wanted, &DEFAULTS), Err(LeftAlone::SetAlready));
    }
}
