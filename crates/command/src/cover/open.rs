//! The sockets that are open when a cover begins: set as by `attach`.

use std::cell::RefCell;
use std::process::ExitCode;

use super::{CoverArgs, Covered, said};
use crate::apply::{Applier, Outcome, Seen, Tally, wait_for_answers};
use crate::find::{Cgroup, SelectionArgs, Target};
use crate::process::{self, Process, is_threaded};
use crate::text::{Progress, count, report_error};
use crate::worker;

/// Sets the open sockets of what is covered by now, and says so of each target. Whether all was
/// done.
pub fn set(covered: &mut [Covered], arguments: &CoverArgs) -> bool {
    if arguments.new_only {
        return covered
            .iter()
            .all(|it| said(&line(it, arguments, "open sockets left as they are")));
    }
    // The child must not keep what this process holds: a cover in the foreground ends with it.
    let covered = RefCell::new(covered);
    let status = worker::in_child(|| {
        let mut covered = covered.borrow_mut();
        covered.iter_mut().for_each(|it| drop(it.links.take()));
        u8::from(!set_all(&covered, arguments))
    });
    status == ExitCode::SUCCESS
}

fn set_all(covered: &[Covered], arguments: &CoverArgs) -> bool {
    let mut complete = true;
    let selection = SelectionArgs::default();
    let mut applier = Applier::new(&arguments.settings, &selection, arguments.dry_run);
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
            let result = set_process(&mut applier, process, arguments, &mut progress);
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
            total.describe(arguments.dry_run)
        );
        complete &= said(&line(it, arguments, &open));
    }
    complete
}

fn set_process(
    applier: &mut Applier,
    process: &Process,
    arguments: &CoverArgs,
    progress: &mut Progress,
) -> Result<Tally, process::Error> {
    process.with(|target| {
        let sockets = target.sockets()?;
        progress.add(sockets.len());
        applier.process(target, &sockets, |seen: Seen, outcome: &Outcome| {
            progress.step();
            if let (true, Some(said)) = (arguments.settings.debug, outcome.describe()) {
                report_error(format!("{process}: fd {}: {said}", seen.fd));
            }
        })
    })
}

/// What is said of a target.
fn line(covered: &Covered, arguments: &CoverArgs, open: &str) -> String {
    let what = if arguments.dry_run {
        "would be covered: every TCP connection that it opens or accepts from then on"
    } else {
        "covered: every TCP connection that it opens or accepts from now on"
    };
    format!("{}: {what}; {open}\n", covered.target)
}
