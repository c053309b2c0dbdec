//! The sockets that are open when a cover begins: set as by `attach`.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use options::{RTO_MAX, USER_TIMEOUT};

use super::{CoverArgs, Covered, said};
use crate::apply::{Applier, Outcome, Seen, Tally, wait_for_answers};
use crate::bpf::{self, Maker};
use crate::find::{SelectionArgs, Wanted};
use crate::process::{
    self, Duplicate, Group, Networks, Options, Process, is_threaded, vanished, why,
};
use crate::text::{Progress, count, report_error};
use crate::worker;

/// Sets the open sockets of what is covered by now, and says so of each target. Whether all was
/// done.
pub fn set(covered: &mut [Covered], maker: &Maker, arguments: &CoverArgs) -> bool {
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
        let mut complete = set_all(&covered, arguments);
        if maker.dead_after().is_some() && !arguments.dry_run {
            complete &=
                covered.iter().map(|it| take_over(it, maker)).fold(true, |all, it| all & it);
        }
        u8::from(!complete)
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
        let processes = match Wanted::Group(Group::Directory(it.cgroup.clone())).find() {
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
                Err(error) if vanished(&error) => {}
                Err(error) => {
                    report_error(format!("{process}: {}", why(process, &error)));
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

/// Takes back what a cover that is gone has set on connections whose peers are silent now. Whether
/// all was done.
pub fn release(cgroup: &Path) -> bool {
    let status = worker::in_child(|| {
        let mut networks = Networks::default();
        let complete = each_socket(cgroup, |target, socket| {
            let Ok(Options { values, .. }) = socket.options() else { return Ok(()) };
            if values.user_timeout.is_some_and(bpf::is_user_timeout) {
                socket.set(&USER_TIMEOUT, 0)?;
            }
            if values.rto_max.is_some_and(bpf::is_pace) {
                let default = match &networks.of(target)?.kernel {
                    Ok(kernel) => kernel.defaults.rto_max,
                    Err(_) => RTO_MAX.max,
                };
                socket.set(&RTO_MAX, default)?;
            }
            Ok(())
        });
        u8::from(!complete)
    });
    status == ExitCode::SUCCESS
}

/// Has the cover bound data in flight on connections that are open already. Whether all was done.
fn take_over(covered: &Covered, maker: &Maker) -> bool {
    let Some(_link) = maker.taking_over(&covered.cgroup) else {
        return said(&format!(
            "{}: on connections that are open now, data in flight is left to the kernel (Linux 6.12 \
             and later can change that)\n",
            covered.target
        ));
    };
    each_socket(&covered.cgroup, |_, socket| {
        // The program has done its work by the time the kernel refuses the option.
        let _ = socket.set_number(bpf::TAKE_OVER, 0);
        Ok(())
    })
}

/// Does something with each socket of a cgroup's processes. Whether all was done.
fn each_socket(
    cgroup: &Path,
    mut work: impl FnMut(&process::Target, &Duplicate) -> io::Result<()>,
) -> bool {
    let mut complete = true;
    let processes = Wanted::Group(Group::Directory(cgroup.to_owned())).find();
    for process in processes.unwrap_or_default() {
        let done = process.with(|target| {
            for (fd, inode) in target.sockets()? {
                // Otherwise it was closed meanwhile.
                if let Ok(socket) = Duplicate::of(target, fd, inode) {
                    work(target, &socket)?;
                }
            }
            Ok(())
        });
        if let Err(error) = done
            && !vanished(&error)
        {
            report_error(format!("{process}: {}", why(&process, &error)));
            complete = false;
        }
    }
    complete
}

fn set_process(
    applier: &mut Applier,
    process: &Process,
    arguments: &CoverArgs,
    progress: &mut Progress,
) -> io::Result<Tally> {
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
