//! The command line: what `--help`, the manual pages and the shell completions are made of.
//!
//! What stands below the options of `--help` (exit statuses, environment, examples) is laid out so
//! that examples/generate_manuals.rs can make sections of it: headings that end in a colon, entries
//! indented by two, and what there is to say of them indented further, or behind two blanks.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use ipnet::IpNet;
use options::{OPTIONS, TcpOption};

use crate::settings::{DEAD_AFTER_MAX, DEAD_AFTER_MIN, KEEPCNT, KEEPIDLE, KEEPINTVL, USER_TIMEOUT};
use crate::time;

/// TCP keepalive for programs whose source nobody can change
///
/// A TCP connection that carries no data can die without anyone noticing: a firewall forgets it,
/// or the peer loses power. The kernel prevents both, but only for sockets on which the program
/// turned keepalive on, and by default only after two hours.
#[derive(Debug, Parser)]
#[command(
    name = "keepalive",
    version,
    after_help = "\
Examples:
  keepalive run --dead-after 2m some-program      start it with keepalive on every TCP socket
  keepalive show some-program                     what its sockets have now
  keepalive attach --dead-after 2m some-program   set it on the sockets it has open, no restart

See `keepalive COMMAND --help` for each command's options and exit statuses."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a program with keepalive on every TCP socket it opens
    ///
    /// Sets the variables of libkeepalive, puts the library in front of LD_PRELOAD (what is there
    /// stays) and turns into PROGRAM: the same process, so that signals, job control and the exit
    /// status are PROGRAM's own. Values that are not given stay as the environment has them, or
    /// else the kernel's. TIME is written 90, 90s, 5m or 1h.
    Run(RunArgs),
    /// Show the TCP sockets of running processes and what keepalive they have
    ///
    /// For each process: whether libkeepalive is loaded in it; for each of its TCP sockets: state,
    /// addresses, keepalive and its times, how long the peer has been silent, the timer that runs
    /// and when it fires; and in words what is wrong. Without arguments: the kernel's defaults, and
    /// one line for each process that may be looked into. The processes are neither stopped nor
    /// changed. Needs the rights of ptrace(2): one's own processes, or root.
    Show(ShowArgs),
    /// Set keepalive on the open TCP sockets of running processes, without a restart
    ///
    /// The options are set on a duplicate of each socket, pidfd_getfd(2): the process is not
    /// stopped and does not notice. Listening sockets are set too: what they accept afterwards
    /// inherits it. Connections that a process opens later are not covered. Sockets for which the
    /// program chose times of its own stay as they are, unless --force is given. Needs the rights
    /// of ptrace(2): one's own processes, or root. TIME is written 90, 90s, 5m or 1h.
    Attach(AttachArgs),
}

/// What to set: the same for `run` and `attach`.
#[derive(Debug, Args)]
pub struct SettingsArgs {
    /// Choose all four values below so that a dead peer is noticed within this time
    ///
    /// Half of the time the connection may be idle, then five probes are sent (fewer below
    /// 15 s); sent data may stay unacknowledged as long. --verbose prints what was chosen. From
    /// 3 s to 20 h.
    #[arg(help_heading = "Settings", long, value_name = "TIME", value_parser = dead_after,
        conflicts_with_all = ["idle", "interval", "count", "user_timeout"])]
    pub dead_after: Option<Duration>,

    /// Idle time before the first probe, TCP_KEEPIDLE: 1 s to 32767 s
    #[arg(help_heading = "Settings", long, value_name = "TIME", value_parser = |text: &str| seconds(&OPTIONS[KEEPIDLE], text))]
    pub idle: Option<u32>,

    /// Time between probes, TCP_KEEPINTVL: 1 s to 32767 s
    #[arg(help_heading = "Settings", long, value_name = "TIME", value_parser = |text: &str| seconds(&OPTIONS[KEEPINTVL], text))]
    pub interval: Option<u32>,

    /// Unanswered probes after which the connection is dead, TCP_KEEPCNT: 1 to 127
    #[arg(help_heading = "Settings", long, value_name = "N", value_parser = count)]
    pub count: Option<u32>,

    /// How long sent data may stay unacknowledged, TCP_USER_TIMEOUT; 0 is the kernel's default
    ///
    /// Keepalive sends no probe while data is unacknowledged: then this decides, or else the
    /// kernel's retransmissions, about a quarter of an hour. With a user timeout the kernel no
    /// longer counts probes: an idle connection ends at the first probe due after this time. To
    /// the millisecond: 500ms.
    #[arg(help_heading = "Settings", long, value_name = "TIME", value_parser = user_timeout)]
    pub user_timeout: Option<u32>,

    /// Have the last word: also over what the program sets itself
    #[arg(help_heading = "Settings", long, conflicts_with = "skip")]
    pub force: bool,

    /// Set the times only; whether keepalive is on is left to the program
    #[arg(help_heading = "Settings", long)]
    pub skip: bool,

    /// One line on stderr for each socket: what was set, or why not
    #[arg(help_heading = "Settings", long)]
    pub debug: bool,

    /// Say which values and which library are used
    #[arg(help_heading = "Settings", short, long)]
    pub verbose: bool,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit status:
  125  This command failed, or the preload cannot work in PROGRAM (statically
       linked, Go, setuid, another architecture) and --anyway is not given
  126  PROGRAM cannot be started
  127  PROGRAM is not found
  Any other
       PROGRAM's own

Environment:
  KEEPALIVE, KEEPIDLE, KEEPINTVL, KEEPCNT, TCP_USER_TIMEOUT, KEEPALIVE_DEBUG
       What the library reads, libkeepalive(8): set for PROGRAM as the options
       say, else passed on; only KEEPALIVE=off becomes KEEPALIVE=on
  LD_PRELOAD
       Set for PROGRAM: the library, and then what was there
  PATH
       Where PROGRAM is looked for

Examples:
  keepalive run --dead-after 2m some-program
       A peer that is gone is noticed within two minutes
  keepalive run --idle 180 --interval 60 --count 20 --force redis-server
       Also over the values that the program sets itself
  keepalive run --debug curl https://example.org/
       See which sockets get what")]
pub struct RunArgs {
    /// What to set.
    #[command(flatten)]
    pub settings: SettingsArgs,

    /// Start PROGRAM even where the preload cannot work in it, with a warning
    #[arg(long)]
    pub anyway: bool,

    /// The library to put in front
    ///
    /// Without it: libkeepalive.so beside this command, in ../lib of it, or in the system's
    /// library directories.
    #[arg(long, value_name = "PATH")]
    pub library: Option<PathBuf>,

    /// The program to start, and its arguments
    #[arg(value_names = ["PROGRAM", "ARG"], required = true, num_args = 1.., trailing_var_arg = true,
        value_hint = clap::ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// Arguments of `show`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit status:
  0  All was shown
  1  A process is not there, or may not be looked into
  2  A mistake in the arguments

Environment:
  NO_COLOR
     If set and not empty, there is no colour, not even on a terminal

Examples:
  keepalive show
     Which processes have TCP sockets, and on how many of them keepalive is off
  keepalive show nginx
     The connections of every process of this name
  keepalive show --all --json 1234
     Every TCP socket of one process, for programs to read")]
pub struct ShowArgs {
    /// Every TCP socket, those that listen or are not connected too
    #[arg(short, long)]
    pub all: bool,

    /// The listening sockets instead of the connections
    #[arg(short, long, conflicts_with = "all")]
    pub listen: bool,

    /// JSON, documented in docs/command.md
    #[arg(long)]
    pub json: bool,

    /// Processes: by number, or all that have this name
    #[arg(value_name = "PID|NAME")]
    pub processes: Vec<String>,
}

/// Arguments of `attach`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit status:
  0  All was done, also if a process or socket vanished meanwhile
  1  A process is not there or may not be changed, or a socket refused an option
  2  A mistake in the arguments

Examples:
  keepalive attach --dry-run --dead-after 2m nginx
     What would be changed in every process of this name
  keepalive attach --dead-after 2m --port 5432 1234
     The sockets of one process that have this port, local or remote
  keepalive attach --idle 180 --interval 60 --count 20 --remote 10.0.0.0/8 1234
     Its connections to the hosts of a network")]
pub struct AttachArgs {
    /// What to set.
    #[command(flatten)]
    pub settings: SettingsArgs,

    /// Change nothing, say what would be
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    /// Only sockets with this local or remote port; may be repeated
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Vec<u16>,

    /// Only connections to this network or address; may be repeated
    #[arg(long, value_name = "CIDR", value_parser = network)]
    pub remote: Vec<IpNet>,

    /// Processes: by number, or all that have this name
    #[arg(value_name = "PID|NAME", required = true)]
    pub processes: Vec<String>,
}

/// A time for an option that counts seconds.
fn seconds(option: &TcpOption, text: &str) -> Result<u32, String> {
    let time = time::parse(text)?;
    let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    if time.subsec_nanos() != 0 || !in_range(option, seconds) {
        return Err(format!("not {}", option.accepted));
    }
    Ok(seconds)
}

/// A number of probes.
fn count(text: &str) -> Result<u32, String> {
    let option = &OPTIONS[KEEPCNT];
    let number = text.parse().ok().filter(|number| in_range(option, *number));
    number.ok_or_else(|| format!("not {}", option.accepted))
}

/// A time for the option that counts milliseconds.
fn user_timeout(text: &str) -> Result<u32, String> {
    let option = &OPTIONS[USER_TIMEOUT];
    let time = time::parse(text)?;
    let milliseconds = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    if time.subsec_nanos() % 1_000_000 != 0 || !in_range(option, milliseconds) {
        return Err(format!("not {}", option.accepted));
    }
    Ok(milliseconds)
}

/// A time within which a dead peer can be noticed.
fn dead_after(text: &str) -> Result<Duration, String> {
    let time = time::parse(text)?;
    if !(DEAD_AFTER_MIN..=DEAD_AFTER_MAX).contains(&time) {
        return Err(format!(
            "not from {} to {}",
            time::show(DEAD_AFTER_MIN),
            time::show(DEAD_AFTER_MAX)
        ));
    }
    Ok(time)
}

fn in_range(option: &TcpOption, value: u32) -> bool {
    i32::try_from(value).is_ok_and(|value| (option.min..=option.max).contains(&value))
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    let network = text.parse().or_else(|_| address());
    network.map_err(|_| "not an address like 10.0.0.1, or a network like 10.0.0.0/8".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_out_of_range_are_refused_in_the_library_s_words() {
        let idle = &OPTIONS[KEEPIDLE];
        assert_eq!(seconds(idle, "5m"), Ok(300));
        assert_eq!(seconds(idle, "32767"), Ok(32767));
        for text in ["0", "32768", "10h", "1500ms", "5000000000"] {
            let error = seconds(idle, text).expect_err(text);
            assert_eq!(error, "not a whole number from 1 to 32767 (seconds)", "{text}");
        }
        assert_eq!(user_timeout("0"), Ok(0));
        assert_eq!(user_timeout("90"), Ok(90_000));
        assert_eq!(user_timeout("1500ms"), Ok(1500));
        for text in ["1us", "25days"] {
            assert!(user_timeout(text).is_err(), "{text}");
        }
        assert_eq!(count("127"), Ok(127));
        for text in ["0", "128", "-1", "x", ""] {
            assert!(count(text).is_err(), "{text}");
        }
        assert!(dead_after("2s").is_err() && dead_after("21h").is_err());
        assert_eq!(dead_after("20h"), Ok(Duration::from_secs(72_000)));
    }

    #[test]
    fn a_remote_is_a_network_or_an_address() {
        for (text, network_text) in
            [("10.0.0.0/8", "10.0.0.0/8"), ("10.1.2.3", "10.1.2.3/32"), ("::1", "::1/128")]
        {
            assert_eq!(network(text).map(|net| net.to_string()), Ok(network_text.into()));
        }
        assert!(network("10.0.0.0/33").is_err());
        assert!(network("example").is_err());
    }
}
