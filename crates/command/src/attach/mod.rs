//! `keepalive attach`: the settings onto the open TCP sockets of running processes.

mod follow;

use crate::apply::namespaces::{describe, resolve};
use crate::apply::{Applied, Job, Step, apply};
use crate::find::{Found, find_all};
use crate::judge::warnings;
use crate::process::{self, left_out};
use crate::request::Attach;
use crate::sys::Status;
use crate::text::{Progress, error, print, report_error};
use crate::worker::{self, Worker};
use follow::follow;

/// Sets it on everything that was asked for.
pub fn attach(request: &Attach) -> Status {
    warnings(&request.settings).for_each(report_error);
    let done = if request.is_followed {
        follow(request)
    } else {
        attach_once(request).map_err(|error| error.to_string())
    };
    Status::from_complete(done.unwrap_or_else(|error| {
        report_error(error);
        false
    }))
}

/// Whether all was done.
fn attach_once(request: &Attach) -> Result<bool, worker::Error> {
    // Once stdout takes nothing, the rest is not tried; the work is done.
    let mut printed = Ok(());
    let mut print_line = |line: String| {
        if printed.is_ok() {
            printed = print(&(line + "\n"));
        }
    };
    let mut worker = Worker::default();
    let found = find_all(&mut worker, &request.targets, None)?;
    let Found { processes, failures } = found.unwrap_or_default();
    let mut is_complete = failures.is_empty();
    failures.iter().for_each(report_error);
    if !processes.is_empty() {
        describe(&resolve(&request.settings, &processes), None)
            .into_iter()
            .for_each(&mut print_line);
    }

    let job = Job {
        settings: &request.settings,
        selection: &request.selection,
        is_dry_run: request.is_dry_run,
        previous: None,
        waits_for_answers: true,
    };
    let targets: Vec<_> = processes.into_iter().map(|process| (process, None)).collect();
    let mut progress = Progress::new();
    let applied = apply(&mut worker, &job, &targets, None, |process, step| match step {
        Step::Sockets(number) => progress.add(*number),
        Step::Socket(seen, outcome) => {
            progress.step();
            if let (true, Some(outcome)) = (request.is_debug, outcome.describe()) {
                report_error(format!("{process}: fd {}: {outcome}", seen.fd));
            }
        }
        Step::Answered(..) | Step::End(_) => {}
    })?;
    progress.finish();
    left_out(&worker).iter().for_each(report_error);
    is_complete &= worker.unasked().is_empty();

    let (mut is_changed, mut has_listening) = (false, false);
    for ((process, _), Applied { tally, end, .. }) in targets.iter().zip(applied) {
        match end {
            Some(Err(process::Error::Ended)) => {
                print_line(format!("{process}: has ended meanwhile"));
                continue;
            }
            Some(Err(error)) => {
                report_error(format!("{process}: {error}"));
                is_complete = false;
                if tally.is_empty() {
                    continue;
                }
            }
            Some(Ok(())) => {}
            None => continue,
        }
        print_line(format!("{process}: {}", tally.describe(request.is_dry_run)));
        for (fd, refused) in &tally.refused {
            report_error(format!("{process}: fd {fd}: {refused}"));
        }
        is_complete &= tally.refused.is_empty();
        has_listening |= tally.has_listening();
        is_changed |= tally.changed() > 0;
    }
    if is_changed && !request.is_dry_run {
        let inherit = match (has_listening, request.settings.values.rto_max) {
            (true, None) => {
                " Connections accepted by the listening sockets changed here inherit it."
            }
            (true, Some(_)) => {
                " Connections accepted by the listening sockets changed here inherit it, but for \
                 the bound on retransmissions."
            }
            (false, _) => "",
        };
        print_line(format!(
            "Connections that a process opens later are not set: --follow does that, and `keepalive \
             cover` for a whole service, container or system.{inherit}"
        ));
    }
    if let Err(error) = printed {
        report_error(format!("stdout: {}", error::describe(&error)));
        is_complete = false;
    }
    Ok(is_complete)
}
