//! The `keepalive` command: TCP keepalive for programs whose source nobody can change.
//!
//! `run` starts a program with the preload library in front or a follower beside it, `show` tells
//! what the TCP sockets of running processes have, `attach` sets it on them, `cover` on all that a
//! service opens, `measure` measures how long a path remembers. docs/command.md says more.
//!
//! The modules are in layers. Each uses only those of the layers below its own, so no verb uses
//! another (`tests/layers.sh`):
//!
//! - `run`, `show`, `attach`, `cover`, `measure`: the verbs
//! - `follow`: looks again and again
//! - `apply`: sets options on open sockets; `bpf`: on those that are opened later
//! - `judge`: what follows from what is there
//! - `find`: from what an argument names to processes
//! - `process`: what is there; `settings`: what is wanted; `usage`: mistakes in the arguments
//! - `worker`: the child process that does what may hang
//! - `kernel`: the kernel's own values
//! - `text`: how it is said; `timeouts`: how long paths remember
//! - `sys`: signals, the service manager, the system's log, what was inherited
//!
//! What stands below the options of `--help` (exit statuses, environment, examples) is laid out so
//! that examples/generate_manuals can make sections of it: headings that end in a colon, entries
//! indented by two blanks, and their explanations indented further, or behind two blanks.

mod apply;
mod attach;
mod bpf;
mod cover;
mod find;
mod follow;
mod judge;
mod kernel;
mod measure;
mod process;
mod run;
mod settings;
mod show;
mod sys;
mod text;
mod timeouts;
mod usage;
mod values;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::text::{error, print, print_stderr, report_error};

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
  keepalive measure example.com:443               how long the path remembers"
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
    /// second process follows it and sets its sockets from outside. Values that are not given stay
    /// as the environment has them, or else the kernel's. TIME is written 90, 90s, 5m or 1h.
    Run(run::RunArgs),
    /// Show the TCP sockets of running processes and their keepalive
    ///
    /// For each process: whether libkeepalive is loaded in it; for each of its TCP sockets: state,
    /// addresses, keepalive and its times, how long the peer has been silent, the timer that runs
    /// and when it fires; and in words what is wrong. Without arguments: the kernel's defaults, and
    /// one line for each process that may be looked into. The processes are neither stopped nor
    /// changed. Needs the rights of ptrace(2): one's own processes, or root.
    Show(show::ShowArgs),
    /// Set keepalive on the open TCP sockets of running processes
    ///
    /// The options are set on a duplicate of each socket, pidfd_getfd(2): the process is neither
    /// restarted nor stopped, and does not notice. Listening sockets are set too: what they accept afterwards
    /// inherits it. Connections that a process opens later are covered by --follow only. Sockets
    /// for which the program chose times of its own stay as they are, unless --force is given.
    /// Needs the rights of ptrace(2): one's own processes, or root. TIME is written 90, 90s, 5m or
    /// 1h.
    Attach(attach::AttachArgs),
    /// Set keepalive on all TCP connections of a service, container or host
    ///
    /// Two eBPF programs on the control group set the options of every connection that its
    /// processes open or accept from now on, whatever they are written in: static programs, Go,
    /// setuid programs, io_uring. The kernel sets them before the SYN is sent and before accept(2)
    /// returns; no process stays behind. Then the sockets that are open are set, as by `attach`.
    /// What a program chooses itself stands, unless --force is given. A cover lasts as long as its
    /// control group: that of a service is a new one after each start. Needs root, and Linux 5.10.
    /// TIME is written 90, 90s, 5m or 1h.
    Cover(cover::CoverArgs),
    /// Measure after how much idle time a path forgets a TCP connection
    ///
    /// Opens connections to HOST:PORT, leaves each idle for another time, and then asks the kernel
    /// at the other end by a keepalive probe: 22 connections or some more, asked as seldom as can
    /// be, for one to three times as long as the path remembers, longer where much is lost. The
    /// server needs to know nothing of it and is told nothing; at the end all of them are closed,
    /// those that the path has forgotten too. Needs no root. Not for a server that is not yours and
    /// counts connections. TIME is written 90, 90s, 5m or 1h.
    Measure(measure::MeasureArgs),
}

/// The command, from the arguments to the exit status.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(Cli { command: Command::Run(arguments) }) => run::run(&arguments),
        Ok(Cli { command: Command::Show(arguments) }) => show::show(&arguments),
        Ok(Cli { command: Command::Attach(arguments) }) => attach::attach(&arguments),
        Ok(Cli { command: Command::Cover(arguments) }) => cover::cover(&arguments),
        Ok(Cli { command: Command::Measure(arguments) }) => measure::measure(&arguments),
        Err(error) => answer(error),
    }
}

/// Prints the help that was asked for, or what is wrong with the arguments.
fn answer(error: clap::Error) -> ExitCode {
    let failed = if error.use_stderr() {
        let arguments: Vec<_> = std::env::args_os().collect();
        let error = usage::mended(error, &Cli::command(), &arguments);
        print_stderr(&error.render().ansi().to_string());
        2
    } else if let Err(error) = print(&error.render().ansi().to_string()) {
        report_error(format!("stdout: {}", error::describe(&error)));
        1
    } else {
        return ExitCode::SUCCESS;
    };
    // These could be the program's own.
    let is_run = std::env::args_os().nth(1).is_some_and(|argument| argument == "run");
    ExitCode::from(if is_run { run::FAILED } else { failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }
}
