//! `keepalive show`: the TCP sockets of processes. What is collected becomes a view, and that is
//! rendered: as tables, as JSON, as metrics, as lines for a check, or again and again.

mod check;
mod collect;
mod fold;
mod json;
mod marks;
mod openmetrics;
mod overview;
mod page;
#[cfg(test)]
mod snapshots;
mod table;
mod verdict;
mod view;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::find::SelectionArgs;
use crate::text::{self, error, print, print_json, report_error, time};
use crate::worker::Worker;
use collect::Collected;
use page::Layout;
use view::View;

/// Arguments of `show`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit status:
  0  All was shown; with --check: nothing was found; with --watch: ended by q
     or a signal, or the processes have ended
  1  A process is not there, or may not be looked into, or stdout cannot be
     written
  2  A mistake in the arguments
  3  With --check: something was found, even if not everything could be looked
     at

Environment:
  NO_COLOR
     If set and not empty, there is no colour, not even on a terminal

Examples:
  keepalive show
     Which processes have TCP sockets, and on how many of them keepalive is off
  keepalive show nginx
     The connections of every process of this name
  keepalive show --watch=5s --problems
     What is wrong on this host, again every 5 seconds
  keepalive show --check --path-timeout 10m broker.service
     For monitoring: whether every connection outlives 10 idle minutes
  keepalive show --all --json 1234
     Every TCP socket of one process, for programs to read
  keepalive show --openmetrics kafka.service
     The connections of a unit, for Prometheus")]
pub struct ShowArgs {
    /// Every TCP socket, each on a line of its own
    ///
    /// Those that listen, too.
    #[arg(short, long)]
    all: bool,

    /// The listening sockets instead of the connections
    #[arg(short, long, conflicts_with = "all")]
    listen: bool,

    /// Only what something is wrong with
    #[arg(short, long)]
    problems: bool,

    /// Again and again, every 2 s or TIME
    ///
    /// On a terminal the screen is redrawn, what is wrong first; `+` marks what is new, `~` what
    /// has changed. q or Ctrl-C ends it. Elsewhere the verdict is appended as a line, with a line
    /// for each finding that has come or gone. TIME is written 90, 90s, 5m or 1h, and behind an
    /// equals sign: a word behind a blank is a TARGET.
    #[arg(short, long, value_name = "TIME", value_parser = interval, num_args = 0..=1,
        require_equals = true, default_missing_value = "2s", conflicts_with_all = ["check", "json"])]
    watch: Option<Duration>,

    /// A line for each finding; exit status 3 if any
    ///
    /// For scripts and monitoring plugins. The first line is the verdict. What counts is what would
    /// be shown: connections, unless --listen or --all is given. With --json the document is
    /// printed, with the same exit status.
    #[arg(short, long)]
    check: bool,

    /// A first probe after this is late
    ///
    /// A path forgets a connection that is idle for longer. The default holds every path whose
    /// limit is known and counted in minutes.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = path_timeout,
        default_value = "200s")]
    path_timeout: Duration,

    /// JSON, described in keepalive-show(1)
    #[arg(long)]
    json: bool,

    /// Metrics for Prometheus, in the format OpenMetrics
    ///
    /// Connections by process, unit and state of keepalive, probes that are not answered, how long
    /// the peers have been silent, and the kernel's own counters; keepalive-show(1) lists them. For
    /// the textfile collector of node_exporter, or any other scraper: examples/monitoring, below
    /// /usr/share/doc/libkeepalive, has a timer, alerts and a dashboard.
    #[arg(long, conflicts_with_all = ["all", "listen", "problems", "watch", "check", "json"])]
    openmetrics: bool,

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
    #[arg(value_name = "TARGET")]
    processes: Vec<String>,
}

impl ShowArgs {
    /// Whether it is about every process.
    fn is_overview(&self) -> bool {
        self.processes.is_empty()
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    time::parse_in_range(text, Duration::from_millis(100)..=Duration::from_secs(24 * 60 * 60))
}

fn path_timeout(text: &str) -> Result<Duration, String> {
    time::parse_in_range(text, Duration::from_millis(1)..=Duration::from_secs(365 * 24 * 60 * 60))
}

/// Something was found that `--check` looks for.
const FINDINGS: u8 = 3;

/// Shows what was asked for.
pub fn show(arguments: &ShowArgs) -> ExitCode {
    if let Some(message) = arguments.watch.and_then(|_| misplaced_time(&arguments.processes)) {
        report_error(message);
        return ExitCode::from(2);
    }
    match arguments.watch {
        Some(interval) => watch::watch(arguments, interval),
        None => show_once(arguments).into(),
    }
}

/// What to write where somebody has written `--watch 5s`.
fn misplaced_time(targets: &[String]) -> Option<String> {
    let is_time = |text: &&String| {
        text.ends_with(|it: char| it.is_ascii_alphabetic())
            && text.starts_with(|it: char| it.is_ascii_digit())
            && time::parse(text).is_ok()
    };
    let time = targets.iter().find(is_time)?;
    Some(format!("--watch: a time stands behind an equals sign: --watch={time}"))
}

/// The exit status.
fn show_once(arguments: &ShowArgs) -> u8 {
    let collected = match Collected::new(arguments, &mut Worker::default(), None) {
        Ok(collected) => collected.unwrap_or_default(),
        Err(message) => {
            report_error(message);
            return 1;
        }
    };
    collected.messages.iter().for_each(report_error);
    let view = View::new(arguments, &collected);
    let printed = if arguments.json {
        print_json(&json::document(&view))
    } else if arguments.openmetrics {
        let counters = collected.counters.unwrap_or_default();
        // Names are as unaltered as in JSON.
        print_json(&openmetrics::document(&view, arguments.path_timeout, counters))
    } else if arguments.check {
        print(&check::lines(&view))
    } else {
        print(&text(arguments, &view, text::width()))
    };
    let has_findings = || view.sockets().any(|socket| !socket.findings.is_empty());
    if let Err(error) = printed {
        report_error(format!("stdout: {}", error::describe(&error)));
        1
    } else if arguments.check && has_findings() {
        FINDINGS
    } else {
        u8::from(!collected.is_complete || arguments.check && view.has_unknown())
    }
}

/// For people, in lines that are this wide, if the width is known.
fn text(arguments: &ShowArgs, view: &View, width: Option<usize>) -> String {
    if arguments.is_overview() {
        overview::overview(view, width)
    } else {
        let layout = Layout { width, unfold: arguments.all, ..Layout::default() };
        page::between_verdicts(view, &layout)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::judge::PATH_TIMEOUT;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        show: ShowArgs,
    }

    #[test]
    fn the_times_of_the_arguments() {
        let parse = |arguments: &str| {
            Arguments::try_parse_from(format!("x {arguments}").split_whitespace()).map(|it| it.show)
        };
        let show = parse("--watch nginx").expect("arguments");
        assert_eq!((show.watch, show.path_timeout), (Some(Duration::from_secs(2)), PATH_TIMEOUT));
        assert_eq!(show.processes, ["nginx"]);
        let show = parse("--watch=500ms --path-timeout 10m 5").expect("arguments");
        assert_eq!(show.watch, Some(Duration::from_millis(500)));
        assert_eq!(show.path_timeout, Duration::from_secs(600));
        for mistake in ["--watch=0", "--watch=99ms", "--watch=2days", "--path-timeout 0"] {
            assert!(parse(mistake).is_err(), "{mistake}");
        }
        assert!(misplaced_time(&["5s".into()]).is_some_and(|it| it.ends_with("--watch=5s")));
        assert_eq!(misplaced_time(&["5".into(), "nginx".into(), "1password".into()]), None);
    }
}
