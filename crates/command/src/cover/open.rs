//! The sockets that are open when a cover begins: set as by `attach`.

use std::cell::RefCell;

use super::{Covered, print_or_report};
use crate::apply::{Applier, Outcome, Seen, Tally, wait_for_answers};
use crate::find::{Cgroup, Selection, Target};
use crate::process::{self, Process, is_threaded};
use crate::request::CoverSettings;
use crate::settings::{RequestedSettings, Settings};
use crate::sys::Status;
use crate::text::{Progress, count, report_error};
use crate::worker;

/// Sets the open sockets of what is covered by now, and says so of each target. Whether all was
/// done.
pub fn set(covered: &mut [Covered], settings: Settings, request: &CoverSettings) -> bool {
    if request.is_new_only {
        return covered
            .iter()
            .all(|it| print_or_report(&line(it, request, "open sockets left as they are")));
    }
    // The child must not keep what this process holds: a cover in the foreground ends with it.
    let covered = RefCell::new(covered);
    let status = worker::in_child(|| {
        let mut covered = covered.borrow_mut();
        covered.iter_mut().for_each(|it| drop(it.links.take()));
        Status::from_complete(set_all(&covered, settings, request))
    });
    status == Status::Success
}

fn set_all(covered: &[Covered], settings: Settings, request: &CoverSettings) -> bool {
    let mut complete = true;
    let selection = Selection::default();
    let settings = RequestedSettings::from(settings);
    let mut applier = Applier::new(&settings, &selection, request.is_dry_run);
    for it in covered {
        if is_threaded(&it.cgroup) {
            report_error(format!(
                "{}: a threaded cgroup: what is open belongs to the processes of the one above and \
                 is left as it is; cover that one to set it",
                it.target
            ));
        }
        let processes = match Target::Cgroup(Cgroup::Path(it.cgroup.clone())).find() {
            Ok(processes) => processes,
            Err(message) => {
                report_error(format!("{}: {message}", it.target));
                complete = false;
                continue;
            }
        };
        applier.take_for_ours(it.previous);
        let mut total = Tally::default();
        let mut results = Vec::new();
        let mut progress = Progress::new();
        for process in &processes {
            let result = set_process(&mut applier, process, request, &mut progress);
            match result {
                Ok(tally) => results.push((process, tally)),
                Err(process::Error::Ended) => {}
                Err(error) => {
                    report_error(format!("{process}: {error}"));
                    complete = false;
                }
            }
        }
        progress.finish();
        let mut waiting: Vec<_> =
            results.iter_mut().map(|(process, tally)| (*process, tally)).collect();
        wait_for_answers(&mut waiting);
        for (process, tally) in results {
            for failure in &tally.failures {
                report_error(format!("{process}: {failure}"));
            }
            complete &= tally.failures.is_empty();
            total.add_all(tally);
        }
        let open = format!(
            "open now, in {}: {}",
            count(processes.len(), "process"),
            total.describe(request.is_dry_run)
        );
        complete &= print_or_report(&line(it, request, &open));
    }
    complete
}

fn set_process(
    applier: &mut Applier,
    process: &Process,
    request: &CoverSettings,
    progress: &mut Progress,
) -> Result<Tally, process::Error> {
    process.with(|target| {
        let sockets = target.sockets()?;
        progress.add(sockets.len());
        applier.process(target, &sockets, |seen: Seen, outcome: &Outcome| {
            progress.step();
            if let (true, Some(outcome)) = (request.is_debug, outcome.describe()) {
                report_error(format!("{process}: fd {}: {outcome}", seen.fd));
            }
        })
    })
}

/// What is said of a target.
fn line(covered: &Covered, request: &CoverSettings, open: &str) -> String {
    let what = if request.is_dry_run {
        "would be covered: every TCP connection that it opens or accepts from then on"
    } else {
        "covered: every TCP connection that it opens or accepts from now on"
    };
    format!("{}: {what}; {open}\n", covered.target)
}
