//! `keepalive attach`: the settings onto the open TCP sockets of running processes.

use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ipnet::IpNet;
use options::{Mode, OPTIONS};
use rustix::io::Errno;

use crate::cli::AttachArgs;
use crate::complain;
use crate::diag::{Defaults, Namespace};
use crate::inspect::{Inspector, why};
use crate::process::{self, Target, vanished};
use crate::settings::{KEEPCNT, KEEPIDLE, KEEPINTVL, KNOWN, Settings, USER_TIMEOUT, Values};
use crate::socket::{Duplicate, Options, State, does_not_exist};

/// How long living peers are given to answer a probe before their user timeout is set.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// What is to be set on one socket.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    keepalive: bool,
    values: Values,
}

/// Why a socket stays as it is.
#[derive(Debug, PartialEq, Eq)]
enum LeftAlone {
    /// It has all of it.
    SetAlready,
    /// The program chose times of its own.
    OwnTimes,
}

/// What is to be set on a socket that has these options. A time that is neither the kernel's
/// default nor the operator's was chosen by the program: without `--force` it stands, as what
/// the program sets itself stands under `run`.
fn plan(now: &Options, wanted: &Settings, defaults: &Defaults) -> Result<Plan, LeftAlone> {
    let is_own = |option: usize| {
        now.values[option]
            .is_some_and(|value| value != defaults[option] && Some(value) != wanted.values[option])
    };
    let in_use = now.keepalive || wanted.mode == Mode::Skip;
    if in_use && wanted.mode != Mode::Force && (0..KNOWN).any(is_own) {
        return Err(LeftAlone::OwnTimes);
    }
    let keepalive = !now.keepalive && wanted.mode != Mode::Skip;
    let mut values = [None; KNOWN];
    for (option, value) in values.iter_mut().enumerate() {
        let differs = now.values[option].is_some() && now.values[option] != wanted.values[option];
        // Turning keepalive on starts its timer anew, from now; setting the idle time afterwards
        // lets the time count for which the connection has been idle.
        let is_idle_of_new = keepalive && option == KEEPIDLE;
        *value = wanted.values[option].filter(|_| differs || is_idle_of_new);
    }
    if !keepalive && values == [None; KNOWN] {
        return Err(LeftAlone::SetAlready);
    }
    Ok(Plan { keepalive, values })
}

impl Plan {
    /// Carries it out. Keepalive and its idle time come last: from then on probes are sent.
    fn carry_out(&self, socket: &Duplicate) -> Result<(), (String, Errno)> {
        let set = |option: usize| match self.values[option] {
            Some(value) => match socket.set(option, value) {
                Err(error) if !does_not_exist(error) => Err((assignment(option, value), error)),
                _ => Ok(()),
            },
            None => Ok(()),
        };
        for option in [KEEPCNT, KEEPINTVL, USER_TIMEOUT] {
            set(option)?;
        }
        if self.keepalive {
            socket.set_keepalive().map_err(|error| ("SO_KEEPALIVE=1".into(), error))?;
        }
        set(KEEPIDLE)
    }

    /// As the library's own report has it: `SO_KEEPALIVE=1 TCP_KEEPCNT=5`.
    fn describe(&self) -> String {
        let mut parts = Vec::new();
        if self.keepalive {
            parts.push("SO_KEEPALIVE=1".into());
        }
        for (option, value) in self.values.iter().enumerate() {
            parts.extend(value.map(|value| assignment(option, value)));
        }
        parts.join(" ")
    }
}

fn assignment(option: usize, value: u32) -> String {
    format!("{}={value}", OPTIONS[option].name.to_string_lossy())
}

/// A socket whose peer was silent for longer than the idle time. The kernel counts the user
/// timeout from when the peer was last heard, so with it a single lost probe would end a living
/// connection: it is set only once the peer has answered the probe that keepalive sends at once.
struct Silent {
    number: i32,
    inode: u64,
    idle: Duration,
    user_timeout: u32,
}

/// What became of the sockets of one process.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    connections: usize,
    listening: usize,
    unconnected: usize,
    set_already: usize,
    own_times: usize,
    not_chosen: usize,
    without_user_timeout: usize,
    unanswered: usize,
    failures: Vec<String>,
}

/// Sets it on everything that was asked for.
pub fn attach(arguments: &AttachArgs) -> ExitCode {
    let settings = Settings::new(&arguments.settings);
    if arguments.settings.verbose {
        complain(settings.describe());
    }
    let (targets, failures) = process::find_all(&arguments.processes);
    let mut complete = failures.is_empty();
    failures.iter().for_each(complain);

    let sockets: Vec<_> = targets.iter().map(|target| target.sockets()).collect();
    let total = sockets.iter().flatten().map(Vec::len).sum::<usize>();
    let mut work = Work {
        arguments,
        settings,
        inspector: Inspector::default(),
        progress: Progress::new(total),
    };
    let results: Vec<_> = targets
        .iter()
        .zip(sockets)
        .map(|(target, sockets)| sockets.and_then(|sockets| work.process(target, &sockets)))
        .collect();
    work.progress.finish();

    let results = wait_for_answers(&targets, results);
    let mut listening = 0;
    let mut changed = false;
    for (target, result) in targets.iter().zip(results) {
        match result {
            Ok(tally) => {
                anstream::println!("{target}: {}", tally.describe(arguments.dry_run));
                for failure in &tally.failures {
                    complain(format!("{target}: {failure}"));
                }
                complete &= tally.failures.is_empty();
                listening += tally.listening;
                changed |= tally.changed() > 0;
            }
            Err(error) if vanished(&error) => anstream::println!("{target}: has ended meanwhile"),
            Err(error) => {
                complain(format!("{target}: {}", why(target, &error)));
                complete = false;
            }
        }
    }
    if changed && !arguments.dry_run {
        let inherit = if listening > 0 {
            " Connections accepted by the listening sockets changed here inherit it."
        } else {
            ""
        };
        anstream::println!(
            "Connections that a process opens later are not covered: for those, start it with \
             `keepalive run`.{inherit}"
        );
    }
    if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The work on all processes.
struct Work<'a> {
    arguments: &'a AttachArgs,
    settings: Settings,
    inspector: Inspector,
    progress: Progress,
}

impl Work<'_> {
    /// Every socket of a process.
    fn process(
        &mut self,
        target: &Target,
        sockets: &[(i32, u64)],
    ) -> io::Result<(Tally, Vec<Silent>)> {
        let mut tally = Tally::default();
        let mut silent = Vec::new();
        if sockets.is_empty() {
            return Ok((tally, silent));
        }
        let network = self.inspector.network(target, false)?;
        let defaults = match &network.defaults {
            Ok(defaults) => *defaults,
            // A namespace that may not be entered most likely has this one's.
            Err(_) => Namespace::open(None)?.defaults,
        };
        let mut seen = std::collections::HashSet::new();
        for &(number, inode) in sockets {
            self.progress.step();
            if !seen.insert(inode) {
                continue;
            }
            match Duplicate::of(target.handle(), number) {
                Ok(socket) => {
                    let said = self.socket(&socket, number, &defaults, &mut tally, &mut silent);
                    if let (true, Some(said)) = (self.arguments.settings.debug, said) {
                        complain(format!("{target}: fd {number}: {said}"));
                    }
                }
                // Closed meanwhile.
                Err(Errno::BADF) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok((tally, silent))
    }

    /// One socket; returns what became of it, if it is one of TCP's.
    fn socket(
        &self,
        socket: &Duplicate,
        number: i32,
        defaults: &Defaults,
        tally: &mut Tally,
        silent: &mut Vec<Silent>,
    ) -> Option<String> {
        socket.protocol()?;
        if !self.is_chosen(socket) {
            tally.not_chosen += 1;
            return Some("not chosen by --port or --remote".into());
        }
        let now = match socket.options() {
            Ok(now) => now,
            Err(error) => {
                tally.failures.push(format!("fd {number}: getsockopt(2): {error}"));
                return None;
            }
        };
        let mut plan = match plan(&now, &self.settings, defaults) {
            Ok(plan) => plan,
            Err(LeftAlone::SetAlready) => {
                tally.set_already += 1;
                return Some("set already".into());
            }
            Err(LeftAlone::OwnTimes) => {
                tally.own_times += 1;
                return Some("left alone: the program chose times of its own".into());
            }
        };
        let info = socket.info().ok();
        let state = info.map_or(State::CLOSED, |info| info.state);
        let lacks_user_timeout =
            self.settings.values[USER_TIMEOUT].is_some() && now.values[USER_TIMEOUT].is_none();

        let idle = plan.values[KEEPIDLE].or(now.values[KEEPIDLE]).unwrap_or(0);
        let idle = Duration::from_secs(idle.into());
        let is_silent = state.is_connection() && info.is_some_and(|info| info.silent_for >= idle);
        let postponed = plan.values[USER_TIMEOUT].filter(|limit| *limit > 0 && is_silent);
        let described = plan.describe();
        if let Some(user_timeout) = postponed {
            plan.values[USER_TIMEOUT] = None;
            if let (Ok(inode), false) = (socket.inode(), self.arguments.dry_run) {
                silent.push(Silent { number, inode, idle, user_timeout });
            }
        }
        if !self.arguments.dry_run
            && let Err((what, error)) = plan.carry_out(socket)
        {
            tally.failures.push(format!("fd {number}: setsockopt(2), {what}: {error}"));
            return None;
        }
        tally.without_user_timeout += usize::from(lacks_user_timeout);
        match state {
            State::LISTEN => tally.listening += 1,
            State::CLOSED => tally.unconnected += 1,
            _ => tally.connections += 1,
        }
        Some(described)
    }

    fn is_chosen(&self, socket: &Duplicate) -> bool {
        let AttachArgs { port: ports, remote: networks, .. } = self.arguments;
        if ports.is_empty() && networks.is_empty() {
            return true;
        }
        let remote = socket.remote();
        let has_port = ports.is_empty()
            || [socket.local(), remote]
                .iter()
                .flatten()
                .any(|address| ports.contains(&address.port()));
        // An IPv4 peer of an IPv6 socket is meant by its IPv4 address.
        let is_within = |network: &IpNet| {
            remote.is_some_and(|address| network.contains(&address.ip().to_canonical()))
        };
        has_port && (networks.is_empty() || networks.iter().any(is_within))
    }
}

/// Sets the user timeouts that were postponed, on the sockets whose peers answer meanwhile.
fn wait_for_answers(
    targets: &[Target],
    results: Vec<io::Result<(Tally, Vec<Silent>)>>,
) -> Vec<io::Result<Tally>> {
    let (mut tallies, mut waiting) = (Vec::new(), Vec::new());
    for (target, result) in targets.iter().zip(results) {
        let (tally, silent) = match result {
            Ok((tally, silent)) => (Ok(tally), silent),
            Err(error) => (Err(error), Vec::new()),
        };
        tallies.push(tally);
        waiting.push((target, silent));
    }
    let end = Instant::now() + ANSWER_TIME;
    while waiting.iter().any(|(_, silent)| !silent.is_empty()) && Instant::now() < end {
        std::thread::sleep(ANSWER_TIME / 10);
        for (target, silent) in &mut waiting {
            silent.retain(|socket| !socket.answered(target));
        }
    }
    for (tally, (_, silent)) in tallies.iter_mut().zip(waiting) {
        if let Ok(tally) = tally {
            tally.unanswered = silent.len();
        }
    }
    tallies
}

impl Silent {
    /// Whether the peer was heard, and the user timeout is set now; also if the socket is gone.
    fn answered(&self, target: &Target) -> bool {
        let Ok(socket) = Duplicate::of(target.handle(), self.number) else { return true };
        if socket.inode().ok() != Some(self.inode) {
            return true;
        }
        let heard = socket.info().is_ok_and(|info| info.silent_for < self.idle);
        heard && socket.set(USER_TIMEOUT, self.user_timeout).is_ok()
    }
}

impl Tally {
    fn changed(&self) -> usize {
        self.connections + self.listening + self.unconnected
    }

    /// In words.
    fn describe(&self, is_dry_run: bool) -> String {
        let left = [
            (self.set_already, "set already"),
            (self.own_times, "with times of their own (--force changes them)"),
            (self.not_chosen, "not chosen by --port or --remote"),
            (self.failures.len(), "refused"),
        ];
        let left: Vec<_> = left
            .iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, reason)| format!("{number} {reason}"))
            .collect();
        if self.changed() == 0 && left.is_empty() {
            return "no TCP sockets".into();
        }
        let kinds = [
            (self.connections, "connected"),
            (self.listening, "listening"),
            (self.unconnected, "unconnected"),
        ];
        let kinds: Vec<_> = kinds
            .iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, kind)| format!("{number} {kind}"))
            .collect();
        let plural = if self.changed() == 1 { "" } else { "s" };
        let verb = if is_dry_run { "would be changed" } else { "changed" };
        let mut text = format!("{} socket{plural} {verb}", self.changed());
        if !kinds.is_empty() {
            let _ = write!(text, " ({})", kinds.join(", "));
        }
        if !left.is_empty() {
            let _ = write!(text, "; left alone: {}", left.join(", "));
        }
        if self.without_user_timeout > 0 {
            let _ = write!(
                text,
                "; without the user timeout, which Multipath TCP does not have: {}",
                self.without_user_timeout
            );
        }
        if self.unanswered > 0 {
            let _ = write!(
                text,
                "; not answering so far, and so left to the count of probes without the user \
                 timeout: {}",
                self.unanswered
            );
        }
        text
    }
}

/// A bar on the terminal, once it has taken a second.
struct Progress {
    bar: ProgressBar,
    begin: Instant,
    is_shown: bool,
}

impl Progress {
    fn new(total: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden());
        if let Ok(style) =
            ProgressStyle::with_template("{wide_bar} {pos}/{len} sockets, {eta} left")
        {
            bar.set_style(style);
        }
        Self { bar, begin: Instant::now(), is_shown: false }
    }

    fn step(&mut self) {
        if !self.is_shown && self.begin.elapsed() > Duration::from_secs(1) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.is_shown = true;
        }
        self.bar.inc(1);
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: Defaults = [9, 7200, 75, 0];

    fn options(keepalive: bool, idle: u32) -> Options {
        Options { keepalive, values: [Some(9), Some(idle), Some(75), Some(0)] }
    }

    fn wanted(mode: Mode) -> Settings {
        Settings { values: [Some(5), Some(60), None, None], mode }
    }

    const EVERYTHING: Values = [Some(5), Some(60), None, None];

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
        let values = [Some(5), None, None, None];
        let rest = Plan { keepalive: false, values };
        assert_eq!(plan(&now, &wanted(Mode::On), &DEFAULTS), Ok(rest));
        now.values[KEEPCNT] = Some(5);
        assert_eq!(plan(&now, &wanted(Mode::On), &DEFAULTS), Err(LeftAlone::SetAlready));
        assert_eq!(plan(&now, &wanted(Mode::Force), &DEFAULTS), Err(LeftAlone::SetAlready));
        // The idle time counts only if it is set after keepalive.
        now.keepalive = false;
        let values = [None, Some(60), None, None];
        let again = Plan { keepalive: true, values };
        assert_eq!(plan(&now, &wanted(Mode::On), &DEFAULTS), Ok(again));
    }

    #[test]
    fn an_option_that_a_socket_does_not_have_is_no_reason_to_set_anything() {
        let mut now = options(true, 60);
        now.values = [Some(5), Some(60), Some(75), None];
        let mut wanted = wanted(Mode::On);
        wanted.values[USER_TIMEOUT] = Some(1000);
        assert_eq!(plan(&now, &wanted, &DEFAULTS), Err(LeftAlone::SetAlready));
    }

    #[test]
    fn the_report_names_what_was_left_alone_and_why() {
        let tally = Tally { connections: 3, listening: 1, own_times: 2, ..Tally::default() };
        assert_eq!(
            tally.describe(false),
            "4 sockets changed (3 connected, 1 listening); left alone: 2 with times of their own \
             (--force changes them)"
        );
        let tally = Tally { set_already: 1, ..Tally::default() };
        assert_eq!(tally.describe(true), "0 sockets would be changed; left alone: 1 set already");
        assert_eq!(Tally::default().describe(false), "no TCP sockets");
    }
}
