//! `keepalive cover`: the settings onto every TCP connection of control groups, in the kernel.

mod error;
mod foreground;
mod in_flight;
mod lifetime;
mod list;
mod locate;
mod open;

use std::path::{Path, PathBuf};

use crate::apply::namespaces::{self, InNamespace};
use crate::bpf::{self, Cgroup, Links, Maker, PATIENCE};
use crate::find::{self, Target};
use crate::judge::warnings;
use crate::request::{Cover, CoverSettings, CoverTarget};
use crate::settings::Settings;
use crate::sys::Status;
use crate::text::error::describe;
use crate::text::{print, report_error};
use error::Error;
use locate::locate;

/// What is covered now, or would be.
struct Covered<'a> {
    target: &'a CoverTarget,
    cgroup: PathBuf,
    links: Option<Links>,
    /// What the cover set that was there before.
    previous: Option<Settings>,
}

/// Covers what was asked for, lists covers, or takes them away.
pub fn cover(request: &Cover) -> Status {
    if let Cover::List { targets, is_json } = request {
        return Status::from_complete(list::list(targets, *is_json));
    }
    if let Err(error) = bpf::check_rights() {
        report_error(error);
        return Status::Failure;
    }
    match request {
        Cover::List { .. } => unreachable!("done already"),
        Cover::Remove(targets) => Status::from_complete(remove(targets)),
        Cover::Set(request) => set(request),
    }
}

/// Covers everything that was asked for.
fn set(request: &CoverSettings) -> Status {
    warnings(&request.settings).for_each(report_error);
    let mut complete = true;
    let mut found = Vec::new();
    for target in &request.targets {
        match locate(target) {
            Ok(cgroup) => found.push((target, cgroup)),
            Err(error) => {
                report_error(format!("{target}: {error}"));
                complete = false;
            }
        }
    }
    if found.is_empty() {
        return Status::Failure;
    }
    let (settings, resolved, is_same) = resolve(request, found.iter().map(|(_, cgroup)| cgroup));
    let maker = match Maker::new(settings, request.dead_after, request.is_foreground) {
        Ok(maker) => maker,
        Err(error) => {
            report_error(error);
            return Status::Failure;
        }
    };
    let mut covered = Vec::new();
    for (target, cgroup) in found {
        match cover_one(target, cgroup, &maker, request) {
            Ok(done) => covered.push(done),
            Err(error) => {
                report_error(format!("{target}: {error}"));
                complete = false;
            }
        }
    }
    if covered.is_empty() {
        return Status::Failure;
    }
    let dead_after = maker.dead_after();
    if maker.lacks_btf() {
        report_error(
            "--dead-after: unacknowledged data is left to the kernel: without its BTF \
             (CONFIG_DEBUG_INFO_BTF) nobody can tell how long a peer has been silent",
        );
    }
    let mut lines = namespaces::describe(&resolved, dead_after);
    if !is_same {
        lines.push("A cover has one idle time: the shortest of these namespaces is set".into());
    }
    complete &= print_or_report(&(lines.join("\n") + "\n"));
    complete &= open::set(&covered, settings, request).unwrap_or_else(|error| {
        report_error(error);
        false
    });
    if dead_after.is_some() && !request.is_new_only && !request.is_dry_run {
        for it in &covered {
            complete &= in_flight::take_over(it, &maker);
        }
    }
    if request.is_foreground {
        return foreground::stay(covered, complete);
    }
    if !request.is_dry_run {
        complete &= print_or_report(&lifetime::describe_all(&covered, &request.arguments));
    }
    Status::from_complete(complete)
}

/// What is set, also in each network namespace of the processes. A cover has one value of each
/// option: the shortest idle time where these namespaces have different ones; and whether they do not.
fn resolve<'a>(
    request: &CoverSettings,
    cgroups: impl Iterator<Item = &'a PathBuf>,
) -> (Settings, Vec<InNamespace>, bool) {
    // Why they cannot be found is said when their sockets are to be set.
    let processes = cgroups.flat_map(|cgroup| {
        Target::Cgroup(find::Cgroup::Path(cgroup.clone())).find().unwrap_or_default()
    });
    let processes: Vec<_> = processes.collect();
    let mut resolved = namespaces::resolve(&request.settings, &processes);
    let shortest = resolved.iter().map(|it| it.settings).min_by_key(|it| it.values.idle);
    let mut settings = shortest.expect("there is one");
    let is_same = resolved.iter().all(|it| it.settings == settings);
    if settings.values.rto_max.is_some() && resolved[0].kernel.has_rto_max == Some(false) {
        report_error("--rto-max: TCP_RTO_MAX_MS needs Linux 6.15; it is left out");
        settings.values.rto_max = None;
    }
    resolved.iter_mut().for_each(|it| it.settings = settings);
    (settings, resolved, is_same)
}

/// Covers one target.
fn cover_one<'a>(
    target: &'a CoverTarget,
    cgroup: PathBuf,
    maker: &Maker,
    request: &CoverSettings,
) -> Result<Covered<'a>, Error> {
    let new = maker.load()?;
    let locked = lock(target, &cgroup)?;
    let previous = locked.cover()?;
    let mut links = None;
    if request.is_foreground {
        links = Some(locked.link(&new)?);
    } else if !request.is_dry_run {
        locked.attach(&new)?;
        let had_bound = previous.as_ref().is_some_and(|cover| cover.dead_after.is_some());
        if had_bound && maker.dead_after().is_none() {
            in_flight::release(&cgroup);
        }
    }
    drop(locked);
    let previous = previous.map(|cover| cover.settings);
    Ok(Covered { target, cgroup, links, previous })
}

/// Locks a cgroup, or says that another process holds the lock.
fn lock(target: &CoverTarget, cgroup: &Path) -> Result<Cgroup, bpf::Error> {
    let cgroup = Cgroup::lock(cgroup)?;
    if cgroup.is_locked_by_other {
        report_error(format!(
            "{target}: another process has held the lock for {} s (flock(2)); continuing without it",
            PATIENCE.as_secs()
        ));
    }
    Ok(cgroup)
}

/// Takes covers away. Whether all was done.
fn remove(targets: &[CoverTarget]) -> bool {
    let mut complete = true;
    for target in targets {
        let removed = locate(target).and_then(|cgroup| {
            let cover = lock(target, &cgroup)?.remove()?;
            Ok((cgroup, cover))
        });
        match removed {
            Ok((cgroup, Some(cover))) => {
                if cover.dead_after.is_some() {
                    complete &= in_flight::release(&cgroup);
                }
                complete &= print_or_report(&format!(
                    "{target}: no longer covered; connections that are open keep their settings\n"
                ));
            }
            Ok((_, None)) => {
                let others = match target.argument() {
                    Some(_) => format!(" {target}` lists those above and below it"),
                    None => "` lists those below it".into(),
                };
                report_error(format!(
                    "{target}: it has no cover of its own; `keepalive cover --list{others}"
                ));
                complete = false;
            }
            Err(error) => {
                report_error(format!("{target}: {error}"));
                complete = false;
            }
        }
    }
    complete
}

/// Prints a text. Whether stdout took it.
fn print_or_report(text: &str) -> bool {
    let printed = print(text);
    if let Err(error) = &printed {
        report_error(format!("stdout: {}", describe(error)));
    }
    printed.is_ok()
}
