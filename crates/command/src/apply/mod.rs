//! What is wanted, put on the sockets that are there.

pub mod namespaces;
mod plan;
mod silent;
mod tally;

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use rustix::io::Errno;

pub use plan::LeftAlone;
pub use silent::wait_for_answers;
pub use tally::{Outcome, Tally};

use crate::find::Selection;
use crate::process::{Duplicate, Info, Namespace, Namespaces, OpenProcess, Options, State};
use crate::process::{is_older_than_options, longest_pause};
use crate::settings::{RequestedSettings, Settings};
use crate::sys::kernel::Kernel;
use crate::text::error;
use crate::values::Values;
use plan::{Plan, is_met, lacking, plan, refusal};
use silent::Silent;
use tally::Change;

/// A socket, when it was looked at.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Its descriptor in the process.
    pub fd: i32,
    pub inode: u64,
    pub state: State,
}

/// Puts the settings on the sockets of processes.
pub struct Applier<'a> {
    settings: &'a RequestedSettings,
    selection: &'a Selection,
    is_dry_run: bool,
    namespaces: Namespaces,
    /// What was set here before: values of these are not the program's own.
    previous: Option<Settings>,
}

impl<'a> Applier<'a> {
    /// For the sockets that are selected. In a dry run none of them is changed.
    pub fn new(
        settings: &'a RequestedSettings,
        selection: &'a Selection,
        is_dry_run: bool,
    ) -> Self {
        Self { settings, selection, is_dry_run, namespaces: Namespaces::default(), previous: None }
    }

    /// From now on, sockets that have these values do not have them from their program.
    pub fn take_for_ours(&mut self, previous: Option<Settings>) {
        self.previous = previous;
    }

    /// These sockets of a process, given by descriptor and inode. `each` gets the outcome for each
    /// of them.
    pub fn process(
        &mut self,
        process: &OpenProcess,
        sockets: &[(i32, u64)],
        mut each: impl FnMut(Seen, &Outcome),
    ) -> io::Result<Tally> {
        let mut tally = Tally::default();
        if sockets.is_empty() {
            return Ok(tally);
        }
        let namespace = self.namespaces.get(process)?;
        let kernel = namespaces::kernel_of(&namespace);
        let settings = self.settings.resolve(&kernel);
        let mut seen = HashSet::new();
        for &(fd, inode) in sockets {
            if seen.contains(&inode) {
                continue;
            }
            match Duplicate::open(process, fd, inode) {
                Ok(socket) => {
                    // The descriptor may have become another socket's.
                    let inode = socket.inode()?;
                    if !seen.insert(inode) {
                        continue;
                    }
                    let info = socket.info().ok();
                    let state = info.map_or(State::CLOSED, |info| info.state);
                    let socket_seen = Seen { fd, inode, state };
                    let outcome =
                        self.socket(&socket, socket_seen, info, &settings, &kernel, &namespace);
                    each(socket_seen, &outcome);
                    tally.add(fd, outcome);
                }
                // Closed meanwhile.
                Err(Errno::BADF) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(tally)
    }

    /// One socket.
    fn socket(
        &self,
        socket: &Duplicate,
        Seen { fd, inode, state }: Seen,
        info: Option<Info>,
        settings: &Settings,
        kernel: &Kernel,
        namespace: &Namespace,
    ) -> Outcome {
        if socket.protocol().is_none() {
            return Outcome::NotTcp;
        }
        let is_chosen = self.selection.is_everything()
            || self.selection.contains(socket.local(), socket.remote());
        if !is_chosen {
            return Outcome::NotChosen;
        }
        let now = match socket.options() {
            Ok(now) => now,
            Err(error) => {
                return Outcome::Failed(format!(
                    "getsockopt(2): {}",
                    error::describe(&error.into())
                ));
            }
        };
        let seen = match &self.previous {
            Some(previous) => without(&now, previous, &kernel.assumed_defaults()),
            None => now,
        };
        let mut plan = match plan(&seen, state, settings, &kernel.assumed_defaults()) {
            Ok(plan) => plan,
            Err(LeftAlone::SetAlready) => Plan::default(),
            Err(reason) => return Outcome::LeftAlone(reason),
        };
        if plan.values.idle.is_none() && has_old_timer(socket, inode, &now, settings, namespace) {
            // Set again, it winds up the timer anew.
            plan.values.idle = now.values.idle;
        }
        if plan == Plan::default() {
            return Outcome::LeftAlone(LeftAlone::SetAlready);
        }

        let idle = plan.values.idle.or(now.values.idle).unwrap_or(0);
        let idle = Duration::from_secs(idle.into());
        let is_silent = state.is_connection() && info.is_some_and(|info| info.silent_for >= idle);
        let postponed = plan.values.user_timeout.filter(|limit| *limit > 0 && is_silent);
        let mut silent = None;
        if !self.is_dry_run {
            silent = postponed.map(|user_timeout| Silent { fd, inode, idle, user_timeout });
            if let Err((what, error)) = plan.carry_out(socket, postponed.is_none()) {
                return Outcome::Failed(refusal(&what, error));
            }
        }
        let lacking = lacking(&now, state, settings).collect();
        Outcome::Changed(Change { plan, state, lacking, silent })
    }
}

/// Whether the idle time is as it is wanted, but the timer that runs is older: it was wound up for
/// longer than what is wanted.
fn has_old_timer(
    socket: &Duplicate,
    inode: u64,
    now: &Options,
    settings: &Settings,
    namespace: &Namespace,
) -> bool {
    let Values { idle, interval, .. } = settings.values;
    if !now.keepalive || idle.is_none() || idle != now.values.idle {
        return false;
    }
    let interval = interval.or(now.values.interval);
    let pause = longest_pause(&Values { idle, interval, ..Values::default() });
    let addresses = socket.local().zip(socket.remote());
    let timer = addresses.and_then(|(local, remote)| namespace.timer(inode, local, remote));
    timer.zip(pause).is_some_and(|(timer, pause)| is_older_than_options(&timer, pause))
}

/// The options, as if nobody had set what these settings have.
fn without(now: &Options, previous: &Settings, defaults: &Values<u32>) -> Options {
    let values = now.values.zip(previous.values).zip(*defaults);
    let values = values.map(|option, ((now, previous), default)| {
        now.map(|now| if is_met(option, now, previous) { default } else { now })
    });
    Options { values, ..*now }
}

#[cfg(test)]
mod tests {
    use options::Mode;

    use super::*;

    #[test]
    fn what_was_set_before_is_not_the_program_s() {
        let defaults = Kernel::default().assumed_defaults();
        let own = Values { idle: 60, count: 7, rto_max: 9604, ..defaults };
        let now = Options { keepalive: true, values: own.map(|_, value| Some(value)) };
        let values = Values { idle: Some(60), rto_max: Some(9600), ..Values::default() };
        let previous = Settings { values, mode: Mode::On };
        let expected = Values { count: 7, ..defaults }.map(|_, value| Some(value));
        assert_eq!(without(&now, &previous, &defaults), Options { values: expected, ..now });
    }
}
