//! `keepalive cover`: the settings onto every TCP connection of control groups, in the kernel.

mod find;
mod foreground;
mod in_flight;
mod list;
mod open;
mod words;

use std::path::{Path, PathBuf};

use options::RTO_MAX;

use crate::bpf::{self, Cgroup, Links, Maker, PATIENCE};
use crate::judge::warnings;
use crate::kernel::Kernel;
use crate::request::{Cover, CoverSettings, CoverTarget};
use crate::settings::{EffectiveSettings, Settings};
use crate::sys::Status;
use crate::text::{error, print, report_error};
use find::find;

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
    let kernel = Kernel::new().unwrap_or_default();
    let settings = settings(request, &kernel);
    let maker = match Maker::new(settings, request.dead_after, request.is_foreground) {
        Ok(maker) => maker,
        Err(error) => {
            report_error(error);
            return Status::Failure;
        }
    };
    let mut complete = true;
    let mut covered = Vec::new();
    for target in &request.targets {
        match cover_one(target, &maker, request) {
            Ok(done) => covered.push(done),
            Err(message) => {
                report_error(format!("{target}: {message}"));
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
            "--dead-after: data in flight is left to the kernel: without its BTF \
             (CONFIG_DEBUG_INFO_BTF) nobody can tell how long a peer has been silent",
        );
    }
    let effective = EffectiveSettings::from(settings);
    complete &= said(&format!("Settings: {}\n", effective.describe_covered(&kernel, dead_after)));
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
        complete &= said(&words::how_long(&covered, &request.arguments));
    }
    Status::from_complete(complete)
}

/// What is set, as far as the kernel has it.
fn settings(request: &CoverSettings, kernel: &Kernel) -> Settings {
    let mut settings = request.settings.resolve(kernel);
    if settings.values.rto_max.is_some() && !kernel.has_rto_max {
        report_error(format!(
            "--rto-max: this kernel has no {} (Linux 6.15 has): left out",
            RTO_MAX.name.to_string_lossy()
        ));
        settings.values.rto_max = None;
    }
    settings
}

/// Covers one target.
fn cover_one<'a>(
    target: &'a CoverTarget,
    maker: &Maker,
    request: &CoverSettings,
) -> Result<Covered<'a>, String> {
    let cgroup = find(target)?;
    let cover = || -> Result<(Option<Links>, Option<Settings>), bpf::Error> {
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
        Ok((links, previous.map(|cover| cover.settings)))
    };
    let (links, previous) = cover().map_err(|error| error.to_string())?;
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
        let removed = find(target).and_then(|cgroup| {
            let removed = lock(target, &cgroup).and_then(|cgroup| cgroup.remove());
            removed.map(|cover| (cgroup, cover)).map_err(|error| error.to_string())
        });
        match removed {
            Ok((cgroup, Some(cover))) => {
                if cover.dead_after.is_some() {
                    complete &= in_flight::release(&cgroup);
                }
                complete &= said(&format!(
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
            Err(message) => {
                report_error(format!("{target}: {message}"));
                complete = false;
            }
        }
    }
    complete
}

/// Prints a text. Whether stdout took it.
fn said(text: &str) -> bool {
    let printed = print(text);
    if let Err(error) = &printed {
        report_error(format!("stdout: {}", error::describe(error)));
    }
    printed.is_ok()
}
