//! `keepalive attach`: the settings onto the open TCP sockets of running processes.

use crate::apply::namespaces::{describe, resolve};
use crate::apply::{Applier, Outcome, Seen, wait_for_answers};
use crate::find::find_all;
use crate::follow::follow;
use crate::judge::warnings;
use crate::process;
use crate::request::Attach;
use crate::sys::Status;
use crate::text::{Progress, error, print, report_error};
use crate::worker;

/// Sets it on everything that was asked for.
pub fn attach(request: &Attach) -> Status {
    warnings(&request.settings).for_each(report_error);
    if request.is_followed {
        return follow(request);
    }
    worker::in_child(|| Status::from_complete(attach_all(request)))
}

/// Whether all was done.
fn attach_all(request: &Attach) -> bool {
    // Once stdout takes nothing, the rest is not tried; the work is done.
    let mut printed = Ok(());
    let mut print_line = |line: String| {
        if printed.is_ok() {
            printed = print(&(line + "\n"));
        }
    };
    let (processes, failures) = find_all(&request.targets);
    let mut complete = failures.is_empty();
    failures.iter().for_each(report_error);
    if !processes.is_empty() {
        describe(&resolve(&request.settings, &processes)).into_iter().for_each(&mut print_line);
    }

    let mut progress = Progress::new();
    let mut applier = Applier::new(&request.settings, &request.selection, request.is_dry_run);
    let mut results = Vec::new();
    for process in &processes {
        results.push(process.with(|target| {
            let sockets = target.sockets()?;
            progress.add(sockets.len());
            let each = |seen: Seen, outcome: &Outcome| {
                progress.step();
                if let (true, Some(outcome)) = (request.is_debug, outcome.describe()) {
                    report_error(format!("{process}: fd {}: {outcome}", seen.fd));
                }
            };
            applier.process(target, &sockets, each)
        }));
    }
    progress.finish();
    let waiting = processes.iter().zip(&mut results);
    let mut waiting: Vec<_> =
        waiting.filter_map(|(process, result)| Some((process, result.as_mut().ok()?))).collect();
    wait_for_answers(&mut waiting);

    let (mut changed, mut has_listening) = (false, false);
    for (process, result) in processes.iter().zip(results) {
        match result {
            Ok(tally) => {
                print_line(format!("{process}: {}", tally.describe(request.is_dry_run)));
                for failure in &tally.failures {
                    report_error(format!("{process}: {failure}"));
                }
                complete &= tally.failures.is_empty();
                has_listening |= tally.has_listening();
                changed |= tally.changed() > 0;
            }
            Err(process::Error::Ended) => print_line(format!("{process}: has ended meanwhile")),
            Err(error) => {
                report_error(format!("{process}: {error}"));
                complete = false;
            }
        }
    }
    if changed && !request.is_dry_run {
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
        complete = false;
    }
    complete
}
