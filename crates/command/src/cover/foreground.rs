//! `--foreground`: stays until a signal comes.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Covered, in_flight, print_or_report};
use crate::sys::signals::Signals;
use crate::sys::{Status, sd_notify};
use crate::text::{error, report_error};

/// How often it is checked that the control groups are still there.
const LOOK: Duration = Duration::from_secs(2);

/// Keeps the covers until SIGINT or SIGTERM, or until none of the control groups is there.
pub fn stay(mut covered: Vec<Covered>, mut is_complete: bool) -> Status {
    let signals = match Signals::block([Signal::SIGINT, Signal::SIGTERM]) {
        Ok(signals) => signals,
        Err(error) => {
            report_error(format!("signalfd(2): {}", error::describe(&error)));
            return Status::Failure;
        }
    };
    let process = std::process::id();
    if !print_or_report(&format!("Until this process, {process}, ends.\n")) {
        return Status::Failure;
    }
    if let Err(error) = sd_notify::ready() {
        report_error(format!("NOTIFY_SOCKET: {}", error::describe(&error)));
    }
    let pause = Timespec::try_from(LOOK).ok();
    loop {
        let mut fds = [PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
        if poll(&mut fds, pause.as_ref()).is_ok_and(|ready| ready > 0) {
            for it in &mut covered {
                drop(it.links.take());
                is_complete &= in_flight::release(&it.cgroup);
            }
            return Status::from_complete(is_complete);
        }
        covered.retain(|it| {
            let is_alive = it.links.as_ref().is_some_and(|links| links.is_alive());
            if !is_alive {
                report_error(format!("{}: has ended, and its cover with it", it.target));
            }
            is_alive
        });
        if covered.is_empty() {
            return Status::Failure;
        }
    }
}
