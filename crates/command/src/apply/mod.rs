//! Sets options on open sockets of processes.

mod job;
pub mod namespaces;
mod plan;
mod silent;
mod tally;

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

pub use job::{Applied, Job, ProcessSockets, Step, apply};
pub use plan::{LeftAlone, Refused};
pub use tally::{Outcome, Tally};

use crate::process::{
    Duplicate, Info, Namespace, Namespaces, OpenProcess, Options, State, is_older_than_options,
    longest_pause,
};
use crate::settings::Settings;
use crate::sys::kernel::Kernel;
use crate::values::Values;
use plan::{Plan, is_met, lacking, plan};
use silent::Silent;
use tally::Change;

/// A socket, when it was looked at.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Its descriptor in the process.
    pub fd: i32,
    pub inode: u64,
    pub state: State,
}

/// Puts the settings on the sockets of processes.
struct Applier<'a> {
    job: &'a Job<'a>,
    namespaces: Namespaces,
}

impl<'a> Applier<'a> {
    fn new(job: &'a Job) -> Self {
        Self { job, namespaces: Namespaces::default() }
    }

    /// These sockets of a process, given by descriptor and inode, but for those that are done.
    /// `step` gets the outcome for each of them.
    fn process(
        &mut self,
        process: &OpenProcess,
        sockets: &[(i32, u64)],
        applied: &mut Applied,
        step: impl Fn(&mut Applied, Step),
    ) -> io::Result<()> {
        if sockets.is_empty() {
            return Ok(());
        }
        let namespace = self.namespaces.get(process)?;
        let kernel = namespaces::kernel_of(&namespace);
        let settings = self.job.settings.resolve(&kernel);
        for &(fd, inode) in sockets {
            if applied.done.contains(&inode) {
                continue;
            }
            match Duplicate::open(process, fd, inode) {
                Ok(socket) => {
                    // The descriptor may have become another socket's.
                    let inode = socket.inode()?;
                    if applied.done.contains(&inode) {
                        continue;
                    }
                    let info = socket.info().ok();
                    let state = info.map_or(State::CLOSED, |info| info.state);
                    let seen = Seen { fd, inode, state };
                    let outcome = self.socket(&socket, seen, info, &settings, &kernel, &namespace);
                    // Before the duplicate is closed, which may take for ever.
                    step(applied, Step::Socket(seen, outcome));
                }
                // Closed meanwhile.
                Err(Errno::BADF) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
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
        let is_chosen = self.job.selection.is_everything()
            || self.job.selection.contains(socket.local(), socket.remote());
        if !is_chosen {
            return Outcome::NotChosen;
        }
        let now = match socket.options() {
            Ok(now) => now,
            Err(error) => {
                return Outcome::Failed(Refused::Get(error.raw_os_error()));
            }
        };
        let seen = match &self.job.previous {
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
        if !self.job.is_dry_run {
            silent = postponed.map(|user_timeout| Silent { fd, inode, idle, user_timeout });
            if let Err(refused) = plan.carry_out(socket, postponed.is_none()) {
                return Outcome::Failed(refused);
            }
        }
        let lacking = lacking(&now, state, settings);
        Outcome::Changed(Change { plan, state, lacking, silent })
    }
}

/// Whether the idle time is set already, but the running timer still uses an older, longer time.
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
