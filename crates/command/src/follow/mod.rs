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

use std::process::ExitCode;
use std::time::Instant;

use crate::find::SelectionArgs;
use crate::judge::too_late;
use crate::kernel::Kernel;
use crate::process::{self, Process};
use crate::settings::{Settings, SettingsArgs};
use crate::sys::{descriptors, sd_notify};
use crate::text::{count, error, print, report_error, time};
use follower::Follower;
use members::Members;

/// Follows what the arguments name, until it has ended or a signal comes.
pub fn follow(targets: &[String], settings: &SettingsArgs, selection: &SelectionArgs) -> ExitCode {
    let begin = Instant::now();
    let (mut follower, is_complete) = match start(targets, settings, selection) {
        Ok(started) => started,
        Err(message) => {
            report_error(message);
            return ExitCode::FAILURE;
        }
    };
    let is_ready = || {
        if let Err(error) = sd_notify::ready() {
            report_error(format!("NOTIFY_SOCKET: {}", error::describe(&error)));
        }
    };
    if !follower.run(is_ready) {
        return ExitCode::FAILURE;
    }
    let report = format!(
        "{} of {} changed in {}\n",
        count(follower.changed(), "socket"),
        count(follower.processes(), "process"),
        time::format(begin.elapsed())
    );
    if let Err(error) = print(&report) {
        report_error(format!("stdout: {}", error::describe(&error)));
        return ExitCode::FAILURE;
    }
    if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A follower of what the arguments name, and whether everything was there.
fn start<'a>(
    targets: &[String],
    settings: &'a SettingsArgs,
    selection: &'a SelectionArgs,
) -> Result<(Follower<'a>, bool), String> {
    process::check_proc().map_err(|error| error.to_string())?;
    descriptors::raise_limit();
    let kernel = Kernel::new().unwrap_or_default();
    let wanted = Settings::new(settings).or_default(&kernel);
    settings.remark().iter().for_each(report_error);
    too_late(wanted.values).iter().for_each(report_error);
    if settings.verbose {
        report_error(format!("Settings: {}", wanted.held().describe(&kernel)));
    }
    let (members, failures) = Members::of(targets);
    failures.iter().for_each(report_error);
    if members.nobody_is_left() {
        return Err("nothing is left to follow".into());
    }
    let idle = wanted.values.idle.unwrap_or(kernel.defaults.idle);
    Ok((Follower::of(members, settings, selection, idle)?, failures.is_empty()))
}

/// Follows a process and its descendants until they have ended, and says only what goes wrong.
pub fn follow_family(process: &Process, settings: &SettingsArgs) {
    descriptors::raise_limit();
    let kernel = Kernel::new().unwrap_or_default();
    let idle = Settings::new(settings).values.idle.unwrap_or(kernel.defaults.idle);
    let selection = SelectionArgs::default();
    let members = Members::of_family(process.clone());
    match Follower::of(members, settings, &selection, idle) {
        Ok(mut follower) => drop(follower.run(|| ())),
        Err(message) => report_error(format!("{process}: {message}")),
    }
}
