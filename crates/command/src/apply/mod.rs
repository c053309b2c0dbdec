//! What is wanted, put on the sockets that are there.

mod plan;
mod silent;
mod tally;

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use rustix::io::Errno;

pub use silent::wait_for_answers;
pub use tally::{Outcome, Tally};

use crate::process::{Duplicate, Network, Networks, SelectionArgs, State, Target};
use crate::settings::Settings;
use crate::values::Values;
use plan::plan;
use silent::Silent;
use tally::Change;

/// Puts the settings on the sockets of processes.
pub struct Applier<'a> {
    settings: &'a Settings,
    selection: &'a SelectionArgs,
    is_dry_run: bool,
    networks: Networks,
}

impl<'a> Applier<'a> {
    /// For the sockets that are selected. In a dry run none of them is changed.
    pub fn new(settings: &'a Settings, selection: &'a SelectionArgs, is_dry_run: bool) -> Self {
        Self { settings, selection, is_dry_run, networks: Networks::default() }
    }

    /// These sockets of a process, given by descriptor and inode. `each` hears what came of each
    /// of them.
    pub fn process(
        &mut self,
        target: &Target,
        sockets: &[(i32, u64)],
        mut each: impl FnMut(i32, &Outcome),
    ) -> io::Result<Tally> {
        let mut tally = Tally::default();
        if sockets.is_empty() {
            return Ok(tally);
        }
        let network = self.networks.of(target)?;
        let defaults = match &network.defaults {
            Ok(defaults) => *defaults,
            // A namespace that may not be entered most likely has this one's.
            Err(_) => Network::own().defaults?,
        };
        let mut seen = HashSet::new();
        for &(fd, inode) in sockets {
            if !seen.insert(inode) {
                continue;
            }
            match Duplicate::of(target.handle(), fd) {
                Ok(socket) => {
                    let outcome = self.socket(&socket, fd, &defaults);
                    each(fd, &outcome);
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
    fn socket(&self, socket: &Duplicate, fd: i32, defaults: &Values<u32>) -> Outcome {
        if socket.protocol().is_none() {
            return Outcome::NotTcp;
        }
        if !self.selection.contains(socket) {
            return Outcome::NotChosen;
        }
        let now = match socket.options() {
            Ok(now) => now,
            Err(error) => return Outcome::Failed(format!("getsockopt(2): {error}")),
        };
        let plan = match plan(&now, self.settings, defaults) {
            Ok(plan) => plan,
            Err(reason) => return Outcome::LeftAlone(reason),
        };
        let info = socket.info().ok();
        let state = info.map_or(State::CLOSED, |info| info.state);

        let idle = plan.values.idle.or(now.values.idle).unwrap_or(0);
        let idle = Duration::from_secs(idle.into());
        let is_silent = state.is_connection() && info.is_some_and(|info| info.silent_for >= idle);
        let postponed = plan.values.user_timeout.filter(|limit| *limit > 0 && is_silent);
        let mut silent = None;
        if !self.is_dry_run {
            silent = postponed.zip(socket.inode().ok()).map(|(user_timeout, inode)| Silent {
                fd,
                inode,
                idle,
                user_timeout,
            });
            if let Err((what, error)) = plan.carry_out(socket, postponed.is_none()) {
                return Outcome::Failed(format!("setsockopt(2), {what}: {error}"));
            }
        }
        let lacks_user_timeout =
            self.settings.values.user_timeout.is_some() && now.values.user_timeout.is_none();
        Outcome::Changed(Change { plan, state, lacks_user_timeout, silent })
    }
}
