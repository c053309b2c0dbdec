//! `attach --follow`: what a follower tells is printed, and systemd knows when it is ready.

use std::time::Instant;

use crate::apply::{Job, Outcome, namespaces};
use crate::follow::{Event, Follower, Members};
use crate::process;
use crate::request::Attach;
use crate::sys::{descriptors, sd_notify};
use crate::text::{clear_status, count, error, print, report_error, show_status, time};

/// Follows what the arguments name, until it has ended or a signal comes. Whether all was done. An
/// error is what is printed.
pub fn follow(request: &Attach) -> Result<bool, String> {
    let begin = Instant::now();
    process::check_proc().map_err(|error| error.to_string())?;
    descriptors::raise_limit();
    let (members, problems) = Members::new(&request.targets);
    problems.iter().for_each(report_error);
    if members.nobody_is_left() {
        return Err("nothing is left to follow".into());
    }
    let job = Job::to_follow(&request.settings, &request.selection);
    let follower = Follower::new(members, job);
    let mut follower =
        follower.map_err(|error| format!("signalfd(2): {}", error::describe(&error)))?;
    let is_done = follower.run(|event| match event {
        Event::Ready(resolved) => {
            if request.is_verbose {
                namespaces::describe(resolved, None).iter().for_each(report_error);
            }
            if let Err(error) = sd_notify::ready() {
                report_error(format!("NOTIFY_SOCKET: {}", error::describe(&error)));
            }
        }
        Event::Looked { processes, changed } => show_status(&format!(
            "following {}: {} changed",
            count(processes, "process"),
            count(changed, "socket")
        )),
        Event::Socket(process, seen, outcome) => {
            let text = outcome.describe().filter(|_| request.is_debug);
            let text = text.or_else(|| match outcome {
                Outcome::Failed(refused) => Some(refused.to_string()),
                _ => None,
            });
            text.iter().for_each(|it| report_error(format!("{process}: fd {}: {it}", seen.fd)));
        }
        Event::Problem(problem) => report_error(problem),
    });
    clear_status();
    if !is_done {
        return Ok(false);
    }
    let report = format!(
        "{} of {} changed in {}\n",
        count(follower.changed(), "socket"),
        count(follower.processes(), "process"),
        time::format(begin.elapsed())
    );
    print(&report).map_err(|error| format!("stdout: {}", error::describe(&error)))?;
    Ok(problems.is_empty())
}
