//! The command line: what clap knows of it, and how it becomes what the verbs work with.

mod measure;
mod mistake;
mod selection;
mod settings;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::request::{self, CoverTarget, Request};
use crate::text::time;
use measure::MeasureArgs;
pub use mistake::explain;
use selection::SelectionArgs;
use settings::SettingsArgs;

/// TCP keepalive for programs whose source nobody can change
///
/// A TCP connection that carries no data can die without anyone noticing: a firewall forgets it,
/// or the peer loses power. The kernel prevents both, but only for sockets on which the program
/// turned keepalive on, and by default only after two hours. `keepalive COMMAND --help` has each
/// command's options and exit statuses.
#[derive(Debug, Parser)]
#[command(
    name = "keepalive",
    version,
    after_help = "\
Examples:
  keepalive run --dead-after 2m some-program      start it with keepalive on
  keepalive show some-program                     what its sockets have now
  keepalive attach --dead-after 2m some-program   set it on its open sockets
  keepalive attach --follow some-program          and on those it opens later
  keepalive cover --dead-after 2m kafka.service   a whole service, in the kernel
  keepalive measure example.com:443               the idle timeout of a path"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Start a program with keepalive on every TCP socket it opens
    ///
    /// Sets the variables of libkeepalive, puts the library in front of LD_PRELOAD (what is there
    /// stays) and turns into PROGRAM: the same process, so that signals, job control and the exit
    /// status are PROGRAM's own. Where no preload can work in PROGRAM (statically linked, Go), a
    /// second process follows it and sets its sockets from outside. A value that is not given stays
    /// as the environment has it. Without either, idle time, interval and count have the defaults
    /// below, and the others are the kernel's. TIME is written 90, 90s, 5m or 1h.
    Run(RunArgs),
    /// Show the TCP sockets of running processes and their keepalive
    ///
    /// For each process: whether libkeepalive is loaded in it; for each of its TCP sockets: state,
    /// addresses, keepalive and its times, how long the peer has been silent, the timer that runs
    /// and when it fires; and in words what is wrong. Without arguments: the kernel's defaults, and
    /// one line for each process that may be looked into. The processes are neither stopped nor
    /// changed. Needs the rights of ptrace(2): one's own processes, or root.
    Show(ShowArgs),
    /// Set keepalive on the open TCP sockets of running processes
    ///
    /// The options are set on a duplicate of each socket, pidfd_getfd(2): the process is neither
    /// restarted nor stopped, and does not notice. Listening sockets are set too: what they accept afterwards
    /// inherits it. Connections that a process opens later are covered by --follow only. Sockets
    /// for which the program chose times of its own stay as they are, unless --force is given.
    /// Needs the rights of ptrace(2): one's own processes, or root. TIME is written 90, 90s, 5m or
    /// 1h.
    Attach(AttachArgs),
    /// Set keepalive on all TCP connections of a service, container or host
    ///
    /// Two eBPF programs on the control group set the options of every connection that its
    /// processes open or accept from now on, whatever they are written in: static programs, Go,
    /// setuid programs, io_uring. The kernel sets them before the SYN is sent and before accept(2)
    /// returns; no process stays behind. Then the sockets that are open are set, as by `attach`.
    /// What a program chooses itself stands, unless --force is given. A cover lasts as long as its
    /// control group: that of a service is a new one after each start. Needs root, and Linux 5.10.
    /// TIME is written 90, 90s, 5m or 1h.
    Cover(CoverArgs),
    /// Measure after how much idle time a path forgets a TCP connection
    ///
    /// Opens 22 connections or some more to HOST:PORT, leaves each idle for a different time, and
    /// then sends a keepalive probe, which the kernel at the other end answers. Takes one to three
    /// times as long as the path remembers, longer where packets are lost. At the end all
    /// connections are closed, also those that the path has forgotten. The server needs no change;
    /// do not use one that is not yours and counts connections. Needs no root. TIME is written 90,
    /// 90s, 5m or 1h.
    Measure(MeasureArgs),
}

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit status:
  125  This command failed, or PROGRAM can be neither preloaded nor followed
       (setuid, file capabilities, a container without CAP_SYS_PTRACE) and
       --anyway is not given
  126  PROGRAM cannot be started
  127  PROGRAM is not found
  Any other
       PROGRAM's own

Environment:
  KEEPALIVE, KEEPIDLE, KEEPINTVL, KEEPCNT, TCP_RTO_MAX_MS, TCP_SYNCNT,
  TCP_USER_TIMEOUT, KEEPALIVE_DEBUG
       What the library reads, libkeepalive(8): set for PROGRAM as the options
       say, else passed on; only KEEPALIVE=off becomes KEEPALIVE=on, and a value
       that the library could not use is reported and left out. Where PROGRAM
       is only followed, its environment stays as it is, and the follower sets
       what the library would
  LD_PRELOAD
       Set for PROGRAM: the library, and then what was there
  PATH
       Where PROGRAM is looked for

Examples:
  keepalive run --dead-after 2m some-program
       A peer that is gone is noticed within two minutes
  keepalive run --idle 180 --interval 60 --count 20 --force redis-server
       Also over the values that the program sets itself
  keepalive run --dead-after 2m --verbose ./static-program
       Where no preload works a follower sets the sockets; --verbose says so
  keepalive run --follow --dead-after 2m ./some-script.sh
       Also the statically linked programs that a script starts
  keepalive run --debug curl https://example.org/
       See which sockets get what")]
struct RunArgs {
    /// What to set.
    #[command(flatten)]
    settings: SettingsArgs,

    /// Follow PROGRAM and what it starts, beside the preload
    ///
    /// A follower is a process that looks at the sockets of PROGRAM and its descendants now and
    /// then, most often every second, and sets those that are new, as `keepalive attach --follow`
    /// does. Where the preload cannot work in PROGRAM (statically linked, Go, another
    /// architecture, a script for such an interpreter) it is started without this option. This
    /// option is for a program that the preload reaches but that starts others which it does not,
    /// such as a shell script. PROGRAM does not notice the follower, which ends with PROGRAM and
    /// its descendants. What goes wrong later the follower says in the system's log (journalctl -t
    /// keepalive). Where Yama's ptrace_scope is 1 (Ubuntu) the descendants are followed by root
    /// only.
    #[arg(long, conflicts_with = "anyway")]
    follow: bool,

    /// Start PROGRAM even where the preload cannot work
    ///
    /// With the preload alone, and with a warning.
    #[arg(long)]
    anyway: bool,

    /// The library to put in front
    ///
    /// Without it: libkeepalive.so beside this command, in ../lib of it, or in the system's
    /// library directories.
    #[arg(long, value_name = "PATH")]
    library: Option<PathBuf>,

    /// The program to start, and its arguments
    #[arg(value_names = ["PROGRAM", "ARG"], required = true, num_args = 1.., trailing_var_arg = true,
        value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

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
struct ShowArgs {
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
struct AttachArgs {
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
struct CoverArgs {
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
    #[arg(short, long, conflicts_with_all = SettingsArgs::NAMES, conflicts_with = "remove")]
    list: bool,

    /// JSON, described in keepalive-cover(1)
    #[arg(long, requires = "list", hide_short_help = true)]
    json: bool,

    /// Take the cover away
    ///
    /// Connections that are open keep their settings.
    #[arg(long, conflicts_with_all = SettingsArgs::NAMES)]
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
    #[arg(value_name = "TARGET", value_parser = CoverTarget::parse, required_unless_present_any = ["all", "list"])]
    targets: Vec<CoverTarget>,
}

fn interval(text: &str) -> Result<Duration, String> {
    time::parse_in_range(text, Duration::from_millis(100)..=Duration::from_secs(24 * 60 * 60))
}

fn path_timeout(text: &str) -> Result<Duration, String> {
    time::parse_in_range(text, Duration::from_millis(1)..=Duration::from_secs(365 * 24 * 60 * 60))
}

impl From<Cli> for Request {
    fn from(cli: Cli) -> Self {
        match cli.command {
            Command::Run(arguments) => Self::Run(arguments.into()),
            Command::Show(arguments) => Self::Show(arguments.into()),
            Command::Attach(arguments) => Self::Attach(arguments.into()),
            Command::Cover(arguments) => Self::Cover(arguments.into()),
            Command::Measure(arguments) => Self::Measure(arguments.into()),
        }
    }
}

impl From<RunArgs> for request::Run {
    fn from(arguments: RunArgs) -> Self {
        Self {
            settings: arguments.settings.requested(),
            is_debug: arguments.settings.debug,
            is_verbose: arguments.settings.verbose,
            is_followed: arguments.follow,
            anyway: arguments.anyway,
            library: arguments.library,
            command: arguments.command,
        }
    }
}

impl From<ShowArgs> for request::Show {
    fn from(arguments: ShowArgs) -> Self {
        let ShowArgs {
            all,
            listen,
            problems,
            watch,
            check,
            path_timeout,
            json,
            openmetrics,
            selection,
            processes,
        } = arguments;
        let selection = selection.into();
        Self {
            all,
            listen,
            problems,
            watch,
            check,
            path_timeout,
            json,
            openmetrics,
            selection,
            targets: processes,
        }
    }
}

impl From<AttachArgs> for request::Attach {
    fn from(arguments: AttachArgs) -> Self {
        Self {
            settings: arguments.settings.requested(),
            is_debug: arguments.settings.debug,
            is_verbose: arguments.settings.verbose,
            is_dry_run: arguments.dry_run,
            is_followed: arguments.follow,
            selection: arguments.selection.into(),
            targets: arguments.processes,
        }
    }
}

impl From<CoverArgs> for request::Cover {
    fn from(arguments: CoverArgs) -> Self {
        let targets = if arguments.all { vec![CoverTarget::all()] } else { arguments.targets };
        if arguments.list {
            return Self::List { targets, is_json: arguments.json };
        }
        if arguments.remove {
            return Self::Remove(targets);
        }
        Self::Set(request::CoverSettings {
            targets,
            settings: arguments.settings.requested(),
            dead_after: arguments.settings.dead_after,
            arguments: arguments.settings.to_arguments().join(" "),
            is_debug: arguments.settings.debug,
            is_new_only: arguments.new_only,
            is_foreground: arguments.foreground,
            is_dry_run: arguments.dry_run,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::judge::PATH_TIMEOUT;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_times_of_show() {
        let parse = |arguments: &str| {
            let line = format!("keepalive show {arguments}");
            match Cli::try_parse_from(line.split_whitespace())?.command {
                Command::Show(arguments) => Ok::<_, clap::Error>(request::Show::from(arguments)),
                _ => unreachable!("show"),
            }
        };
        let show = parse("--watch nginx").expect("arguments");
        assert_eq!((show.watch, show.path_timeout), (Some(Duration::from_secs(2)), PATH_TIMEOUT));
        assert_eq!(show.targets, ["nginx"]);
        let show = parse("--watch=500ms --path-timeout 10m 5").expect("arguments");
        assert_eq!(show.watch, Some(Duration::from_millis(500)));
        assert_eq!(show.path_timeout, Duration::from_secs(600));
        for mistake in ["--watch=0", "--watch=99ms", "--watch=2days", "--path-timeout 0"] {
            assert!(parse(mistake).is_err(), "{mistake}");
        }
    }
}
