//! `keepalive show`: the TCP sockets of processes, in tables or as JSON.

mod json;
mod table;

use std::process::ExitCode;

use clap::Args;

use crate::process::{self, Inspected, Inspector, Network, Socket, State};
use crate::terminal::{complain, print};
use crate::values::Values;

/// Arguments of `show`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit status:
  0  All was shown
  1  A process is not there, or may not be looked into, or stdout takes nothing
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
    all: bool,

    /// The listening sockets instead of the connections
    #[arg(short, long, conflicts_with = "all")]
    listen: bool,

    /// JSON, documented in docs/command.md
    #[arg(long)]
    json: bool,

    /// Processes: by number, or all that have this name
    #[arg(value_name = "PID|NAME")]
    processes: Vec<String>,
}

/// What was found.
struct Found {
    /// The processes, each with the sockets that are to be shown.
    processes: Vec<Inspected>,
    /// How many processes may not be looked into.
    not_inspected: usize,
    /// Whether everything that was asked for was found.
    complete: bool,
}

/// What is shown of the processes.
struct View<'a> {
    /// The kernel's defaults in this network namespace, where they can be read.
    defaults: Option<Values<u32>>,
    /// The processes, each with the sockets that are to be shown.
    processes: Vec<(&'a Inspected, Vec<&'a Socket>)>,
    /// How many processes may not be looked into.
    not_inspected: usize,
}

/// Shows what was asked for.
pub fn show(arguments: &ShowArgs) -> ExitCode {
    let is_overview = arguments.processes.is_empty();
    let found = if is_overview { every_process() } else { named_processes(arguments) };
    let found = match found {
        Ok(found) => found,
        Err(message) => {
            complain(message);
            return ExitCode::FAILURE;
        }
    };
    let view = View {
        defaults: Network::own().kernel.ok().map(|kernel| kernel.defaults),
        processes: found
            .processes
            .iter()
            .map(|process| {
                let sockets = process.sockets.iter().filter(|socket| is_chosen(socket, arguments));
                (process, sockets.collect())
            })
            .collect(),
        not_inspected: found.not_inspected,
    };
    let text = if arguments.json {
        json::document(&view)
    } else if is_overview {
        table::overview(&view)
    } else {
        table::pages(&view)
    };
    match print(&text) {
        Err(error) => {
            complain(format!("stdout: {error}"));
            ExitCode::FAILURE
        }
        Ok(()) if found.complete => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
    }
}

/// Every process that has TCP sockets. Other users' processes are only counted.
fn every_process() -> Result<Found, String> {
    let mut inspector = Inspector::default();
    let targets = process::all().map_err(|error| format!("/proc: {error}"))?;
    let mut processes: Vec<_> =
        targets.into_iter().filter_map(|target| inspector.inspect(target)).collect();
    let all = processes.len();
    processes.retain(|process| process.trouble.is_none() || !process.sockets.is_empty());
    let not_inspected = all - processes.len();
    processes.retain(|process| !process.sockets.is_empty());
    Ok(Found { processes, not_inspected, complete: true })
}

/// The processes that the arguments name.
fn named_processes(arguments: &ShowArgs) -> Result<Found, String> {
    let mut inspector = Inspector::default();
    let (targets, failures) = process::find_all(&arguments.processes);
    failures.iter().for_each(complain);
    let processes: Vec<_> =
        targets.into_iter().filter_map(|target| inspector.inspect(target)).collect();
    let mut complete = failures.is_empty();
    for process in &processes {
        if let Some(trouble) = &process.trouble {
            complete = false;
            // JSON has it in the document.
            if !arguments.json {
                complain(format!("{}: {trouble}", process.target));
            }
        }
    }
    Ok(Found { processes, not_inspected: 0, complete })
}

fn is_chosen(socket: &Socket, arguments: &ShowArgs) -> bool {
    if arguments.listen {
        socket.state == State::LISTEN
    } else {
        arguments.all || socket.state.is_connection()
    }
}
