//! The sockets that are open when a cover begins: set as by `attach`.

use super::{Covered, print_or_report};
use crate::apply::{Applied, Job, Step, Tally, apply};
use crate::find::{Cgroup, Selection, Target};
use crate::process::{self, is_threaded, left_out};
use crate::request::CoverSettings;
use crate::settings::{RequestedSettings, Settings};
use crate::text::{Progress, count, report_error};
use crate::worker::{self, Worker};

/// Sets the open sockets of what is covered by now, and says so of each target. Whether all was
/// done.
pub fn set(
    covered: &[Covered],
    settings: Settings,
    request: &CoverSettings,
) -> Result<bool, worker::Error> {
    let settings = RequestedSettings::from(settings);
    let mut worker = Worker::default();
    let mut is_complete = true;
    for it in covered {
        is_complete &= if request.is_new_only {
            print_or_report(&line(it, request, "open sockets left as they are"))
        } else {
            set_one(it, &settings, request, &mut worker)?
        };
    }
    left_out(&worker).iter().for_each(report_error);
    Ok(is_complete && worker.unasked().is_empty())
}

/// Those of one target.
fn set_one(
    it: &Covered,
    settings: &RequestedSettings,
    request: &CoverSettings,
    worker: &mut Worker,
) -> Result<bool, worker::Error> {
    if is_threaded(&it.cgroup) {
        report_error(format!(
            "{}: a threaded cgroup: what is open belongs to the processes of the one above and is \
             left as it is; cover that one to set it",
            it.target
        ));
    }
    let processes = match Target::Cgroup(Cgroup::Path(it.cgroup.clone())).find() {
        Ok(processes) => processes,
        Err(message) => {
            report_error(format!("{}: {message}", it.target));
            return Ok(false);
        }
    };
    let job = Job {
        settings,
        selection: &Selection::default(),
        is_dry_run: request.is_dry_run,
        previous: it.previous,
        waits_for_answers: true,
    };
    let targets: Vec<_> = processes.into_iter().map(|process| (process, None)).collect();
    let mut progress = Progress::new();
    let applied = apply(worker, &job, &targets, None, |process, step| match step {
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

    let (mut is_complete, mut total) = (true, Tally::default());
    for ((process, _), Applied { tally, end, .. }) in targets.iter().zip(applied) {
        if let Some(Err(error)) = end
            && error != process::Error::Ended
        {
            report_error(format!("{process}: {error}"));
            is_complete = false;
        }
        for (fd, refused) in &tally.refused {
            report_error(format!("{process}: fd {fd}: {refused}"));
        }
        is_complete &= tally.refused.is_empty();
        total.add_all(tally);
    }
    let open = format!(
        "open now, in {}: {}",
        count(targets.len(), "process"),
        total.describe(request.is_dry_run)
    );
    Ok(is_complete & print_or_report(&line(it, request, &open)))
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
