//! `keepalive attach`: the settings onto the open TCP sockets of running processes.

mod follow;

use std::process::ExitCode;

use clap::Args;

use crate::apply::{Applied, Job, Step, apply};
use crate::find::{Found, SelectionArgs, find_all};
use crate::judge::too_late;
use crate::kernel::Kernel;
use crate::process::{self, left_out};
use crate::settings::{Settings, SettingsArgs};
use crate::text::{Progress, error, print, report_error};
use crate::worker::{self, Worker};
use follow::follow;

/// Arguments of `attach`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit status:
  0  All was done, also if a process or socket vanished meanwhile; with
     --follow: the processes have ended, or SIGINT or SIGTERM came
  1  A process is not there or may not be changed, a socket refused an option,
     or stdout cannot be written
  2  A mistake in the arguments

Examples:
  keepalive attach --dry-run --dead-after 2m nginx
     What would be changed in every process of this name
  keepalive attach --dead-after 2m --port 5432 1234
     The sockets of one process that have this port, local or remote
  keepalive attach --idle 180 --interval 60 --count 20 --remote 10.0.0.0/8 1234
     Its connections to the hosts of a network
  keepalive attach --follow --dead-after 2m 1234
     What it and its descendants open from now on, too, until they end
  keepalive attach --follow --dead-after 2m kafka.service
     The processes of a unit, also after it restarts
  systemctl enable --now keepalive-follow@kafka.service
     The same as a service, which the packages have: the comments of the unit
     say how to choose values (systemctl cat keepalive-follow@kafka.service)")]
pub struct AttachArgs {
    /// What to set.
    #[command(flatten)]
    settings: SettingsArgs,

    /// Change nothing, say what would be
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Go on: set what the processes open later, too
    ///
    /// Looks at the descriptors of the processes now and then, most often every second, at least
    /// every 10 s or half of the idle time, and takes at most a hundredth of a processor. The
    /// processes are neither stopped nor changed, and lose nothing when the follower ends. A PID
    /// is followed with its descendants, until all of them have ended; a child that detaches
    /// itself before it was seen once is lost. All processes of a NAME are followed, also those
    /// that start later. With --force what a program changes is put back. Ends with 0 on SIGINT
    /// and SIGTERM. Silent but for failures; tells systemd that it is ready (Type=notify).
    #[arg(long, conflicts_with = "dry_run")]
    follow: bool,

    /// Which sockets.
    #[command(flatten)]
    selection: SelectionArgs,

    /// Processes: PIDs, names, units, containers, cgroups
    ///
    /// A number is a PID. A name that ends as systemd's do (kafka.service, system.slice) is a unit;
    /// 12 hexadecimal digits or more are the id of a container of Docker, Podman, containerd or
    /// CRI-O; what begins with a slash is a directory of the cgroup v2 tree. Any other name is that
    /// of the process, of its program's file or its first argument, of the script that it runs
    /// (broker.py), of a Java main class or jar; and if nothing has it, of NAME.service.
    #[arg(value_name = "TARGET", required = true)]
    processes: Vec<String>,
}

/// Sets it on everything that was asked for.
pub fn attach(arguments: &AttachArgs) -> ExitCode {
    let done = if arguments.follow {
        follow(arguments)
    } else {
        attach_once(arguments).map_err(|error| error.to_string())
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report_error(error);
            ExitCode::FAILURE
        }
    }
}

/// Whether all was done.
fn attach_once(arguments: &AttachArgs) -> Result<bool, worker::Error> {
    let kernel = Kernel::new().unwrap_or_default();
    let settings = Settings::new(&arguments.settings).or_default(&kernel);
    arguments.settings.remark().iter().for_each(report_error);
    too_late(settings.values).iter().for_each(report_error);
    // Once stdout takes nothing, the rest is not tried; the work is done.
    let mut printed = Ok(());
    let mut print_line = |line: String| {
        if printed.is_ok() {
            printed = print(&(line + "\n"));
        }
    };
    let mut worker = Worker::default();
    let found = find_all(&mut worker, &arguments.processes, None)?;
    let Found { processes, failures } = found.unwrap_or_default();
    let mut is_complete = failures.is_empty();
    failures.iter().for_each(report_error);
    if !processes.is_empty() {
        print_line(format!("Settings: {}", settings.held().describe(&kernel)));
    }

    let job = Job {
        settings: &arguments.settings,
        selection: &arguments.selection,
        is_dry_run: arguments.dry_run,
        previous: None,
        waits_for_answers: true,
    };
    let targets: Vec<_> = processes.into_iter().map(|process| (process, None)).collect();
    let mut progress = Progress::new();
    let applied = apply(&mut worker, &job, &targets, None, |process, step| match step {
        Step::Sockets(number) => progress.add(*number),
        Step::Socket(seen, outcome) => {
            progress.step();
            if let (true, Some(words)) = (arguments.settings.debug, outcome.describe()) {
                report_error(format!("{process}: fd {}: {words}", seen.fd));
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
        print_line(format!("{process}: {}", tally.describe(arguments.dry_run)));
        for (fd, refused) in &tally.refused {
            report_error(format!("{process}: fd {fd}: {refused}"));
        }
        is_complete &= tally.refused.is_empty();
        has_listening |= tally.has_listening();
        is_changed |= tally.changed() > 0;
    }
    if is_changed && !arguments.dry_run {
        let inherit = match (has_listening, settings.values.rto_max) {
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
