//! Looks again and again at the sockets of processes, and sets what is new.
//!
//! The follower itself only reads /proc. What is new is duplicated and set by a child that lives
//! for that look: where it hangs at a socket, the follower goes on without that socket, and
//! whatever the child had to leave open ends with it (worker/child.rs). Names, too, are looked for
//! by a child. A signal ends the follower at once, whatever the child does.

mod follower;
mod known;
mod members;
mod names;
mod pace;
mod set;

use std::time::Instant;

use crate::apply::namespaces::{self, InNamespace};
use crate::find::Selection;
use crate::process::{self, Process};
use crate::request::Attach;
use crate::settings::RequestedSettings;
use crate::sys::{Status, descriptors, sd_notify};
use crate::text::{count, error, print, report_error, time};
use follower::Follower;
use members::Members;

/// Follows what the arguments name, until it has ended or a signal comes.
pub fn follow(request: &Attach) -> Status {
    let begin = Instant::now();
    let (mut follower, is_complete) = match start(request) {
        Ok(started) => started,
        Err(message) => {
            report_error(message);
            return Status::Failure;
        }
    };
    let is_ready = |resolved: &[InNamespace]| {
        if request.is_verbose {
            namespaces::describe(resolved).iter().for_each(report_error);
        }
        if let Err(error) = sd_notify::ready() {
            report_error(format!("NOTIFY_SOCKET: {}", error::describe(&error)));
        }
    };
    if !follower.run(is_ready) {
        return Status::Failure;
    }
    let report = format!(
        "{} of {} changed in {}\n",
        count(follower.changed(), "socket"),
        count(follower.processes(), "process"),
        time::format(begin.elapsed())
    );
    if let Err(error) = print(&report) {
        report_error(format!("stdout: {}", error::describe(&error)));
        return Status::Failure;
    }
    Status::from_complete(is_complete)
}

/// A follower of what the arguments name, and whether everything was there.
fn start(request: &Attach) -> Result<(Follower<'_>, bool), String> {
    process::check_proc().map_err(|error| error.to_string())?;
    descriptors::raise_limit();
    let (members, failures) = Members::of(&request.targets);
    failures.iter().for_each(report_error);
    if members.nobody_is_left() {
        return Err("nothing is left to follow".into());
    }
    let mut follower = Follower::of(members, &request.settings, &request.selection)?;
    follower.is_debug = request.is_debug;
    Ok((follower, failures.is_empty()))
}

/// Follows a process and its descendants until they have ended, and says only what goes wrong.
pub fn follow_family(process: &Process, settings: &RequestedSettings) {
    descriptors::raise_limit();
    let selection = Selection::default();
    let members = Members::of_family(process.clone());
    match Follower::of(members, settings, &selection) {
        Ok(mut follower) => drop(follower.run(|_| ())),
        Err(message) => report_error(format!("{process}: {message}")),
    }
}
