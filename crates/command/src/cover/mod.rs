//! `keepalive cover`: the settings onto every TCP connection of control groups, in the kernel.

mod foreground;
mod list;
mod open;
mod target;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use options::RTO_MAX;

use crate::bpf::{self, Cgroup, Links, Maker, PATIENCE};
use crate::judge::too_late;
use crate::kernel::Kernel;
use crate::settings::{Settings, SettingsArgs};
use crate::text::{error, print, report_error};
use target::Target;

/// Arguments of `cover`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit status:
  0  All was done; with --foreground: SIGINT or SIGTERM came
  1  A target is not there or cannot be covered, a socket refused an option,
     or stdout cannot be written
  2  A mistake in the arguments

Examples:
  keepalive cover --dead-after 2m kafka.service
     Every connection of a service, until it is stopped or restarted
  keepalive cover --dead-after 2m system.slice
     Every system service, also those that are started later
  keepalive cover --force --idle 60 4c01db0b339c
     A container, with the last word over what the program sets itself
  keepalive cover --all
     The whole system
  keepalive cover --list
     What is covered, by which settings, and how many connections that were
  keepalive cover --remove kafka.service
     Connections to come are left to the program again")]
pub struct CoverArgs {
    /// What to set.
    #[command(flatten)]
    settings: SettingsArgs,

    /// Leave the sockets that are open as they are
    #[arg(long, conflicts_with_all = ["list", "remove"])]
    new_only: bool,

    /// Stay, and take the cover away at the end
    ///
    /// However this command ends. Ends on SIGINT and SIGTERM with 0, and with 1 once none of the
    /// control groups is there any more. Tells systemd that it is ready (Type=notify).
    #[arg(long, conflicts_with_all = ["list", "remove", "dry_run"])]
    foreground: bool,

    /// Change nothing, say what would be
    ///
    /// The kernel's verifier checks the programs all the same.
    #[arg(short = 'n', long, conflicts_with_all = ["list", "remove"])]
    dry_run: bool,

    /// List the covers that there are
    ///
    /// With TARGETs: those on them, above and below.
    #[arg(short, long, conflicts_with_all = SETTINGS, conflicts_with = "remove")]
    list: bool,

    /// JSON, described in keepalive-cover(1)
    #[arg(long, requires = "list", hide_short_help = true)]
    json: bool,

    /// Take the cover away
    ///
    /// Connections that are open keep their settings.
    #[arg(long, conflicts_with_all = SETTINGS)]
    remove: bool,

    /// The whole system: every control group
    #[arg(long, conflicts_with = "targets")]
    all: bool,

    /// Units, containers and control groups
    ///
    /// A name that ends as systemd's do (kafka.service, system.slice) is a unit; 12 hexadecimal
    /// digits or more are the id of a container of Docker, Podman, containerd or CRI-O; what begins
    /// with a slash is a directory of the cgroup v2 tree. A process by itself cannot be covered:
    /// `attach --follow` is for that.
    #[arg(value_name = "TARGET", value_parser = target::parse, required_unless_present_any = ["all", "list"])]
    targets: Vec<Target>,
}

/// What says what to set: for nothing else.
const SETTINGS: [&str; 9] = [
    "dead_after",
    "idle",
    "interval",
    "count",
    "rto_max",
    "syn_count",
    "user_timeout",
    "force",
    "skip",
];

/// What is covered now, or would be.
struct Covered<'a> {
    target: &'a Target,
    cgroup: PathBuf,
    links: Option<Links>,
    /// What the cover set that was there before.
    previous: Option<Settings>,
}

/// Covers everything that was asked for, or does what else was asked for.
pub fn cover(arguments: &CoverArgs) -> ExitCode {
    let all = [Target::all()];
    let targets = if arguments.all { &all } else { &arguments.targets[..] };
    if arguments.list {
        return status(list::list(targets, arguments.json));
    }
    if let Err(error) = bpf::check_rights() {
        report_error(error);
        return ExitCode::FAILURE;
    }
    if arguments.remove {
        return status(remove(targets));
    }
    let kernel = Kernel::new().unwrap_or_default();
    let settings = settings(arguments, &kernel);
    let maker = match Maker::new(settings, arguments.settings.dead_after, arguments.foreground) {
        Ok(maker) => maker,
        Err(error) => {
            report_error(error);
            return ExitCode::FAILURE;
        }
    };
    let mut complete = true;
    let mut covered = Vec::new();
    for target in targets {
        match cover_one(target, &maker, arguments) {
            Ok(done) => covered.push(done),
            Err(message) => {
                report_error(format!("{target}: {message}"));
                complete = false;
            }
        }
    }
    if covered.is_empty() {
        return ExitCode::FAILURE;
    }
    let dead_after = maker.dead_after();
    if maker.lacks_btf() {
        report_error(
            "--dead-after: data in flight is left to the kernel: without its BTF \
             (CONFIG_DEBUG_INFO_BTF) nobody can tell how long a peer has been silent",
        );
    }
    let held = settings.held().describe_covered(&kernel, dead_after);
    complete &= said(&format!("Settings: {held}\n"));
    complete &= open::set(&mut covered, &maker, arguments);
    if arguments.foreground {
        return foreground::stay(covered, complete);
    }
    if !arguments.dry_run {
        complete &= said(&words::how_long(&covered, &arguments.settings));
    }
    status(complete)
}

/// What is wanted, as far as the kernel has it.
fn settings(arguments: &CoverArgs, kernel: &Kernel) -> Settings {
    let mut settings = Settings::new(&arguments.settings).or_default(kernel);
    arguments.settings.remark().iter().for_each(report_error);
    too_late(settings.values).iter().for_each(report_error);
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
    target: &'a Target,
    maker: &Maker,
    arguments: &CoverArgs,
) -> Result<Covered<'a>, String> {
    let cgroup = target.find()?;
    let cover = || -> Result<(Option<Links>, Option<Settings>), bpf::Error> {
        let new = maker.load()?;
        let locked = lock(target, &cgroup)?;
        let previous = locked.cover()?;
        let mut links = None;
        if arguments.foreground {
            links = Some(locked.link(&new)?);
        } else if !arguments.dry_run {
            locked.attach(&new)?;
            let had_bound = previous.as_ref().is_some_and(|cover| cover.dead_after.is_some());
            if had_bound && maker.dead_after().is_none() {
                open::release(&cgroup);
            }
        }
        Ok((links, previous.map(|cover| cover.settings)))
    };
    let (links, previous) = cover().map_err(|error| error.to_string())?;
    Ok(Covered { target, cgroup, links, previous })
}

/// Locks a cgroup, or says that another process holds the lock.
fn lock(target: &Target, cgroup: &Path) -> Result<Cgroup, bpf::Error> {
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
fn remove(targets: &[Target]) -> bool {
    let mut complete = true;
    for target in targets {
        let removed = target.find().and_then(|cgroup| {
            let removed = lock(target, &cgroup).and_then(|cgroup| cgroup.remove());
            removed.map(|cover| (cgroup, cover)).map_err(|error| error.to_string())
        });
        match removed {
            Ok((cgroup, Some(cover))) => {
                if cover.dead_after.is_some() {
                    complete &= open::release(&cgroup);
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

fn status(is_complete: bool) -> ExitCode {
    if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
