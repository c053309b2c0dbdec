//! `keepalive show`: the TCP sockets of processes, in tables or as JSON.

mod json;
mod table;

use std::process::ExitCode;

use clap::Args;

use crate::process::{self, Inspected, Inspector, Network, Socket, State};
use crate::terminal::{complain, print, print_json};
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

    /// Processes: by number, or all that have this name, or are in this unit, container or cgroup
    ///
    /// A number is a PID. A name that ends as systemd's do (kafka.service, system.slice) is a unit;
    /// 12 hexadecimal digits or more are the id of a container of Docker, Podman, containerd or
    /// CRI-O; what begins with a slash is a directory of the cgroup v2 tree. Any other name is that
    /// of the process, its program's file or its first argument.
    #[arg(value_name = "TARGET")]
    processes: Vec<String>,
}

/// What was found.
struct Found {
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
    /// The processes, each with the sockets that are to be shown; None where they are not known.
    processes: Vec<(&'a Inspected, Option<Vec<&'a Socket>>)>,
    /// How many processes may not be looked into.
    not_inspected: usize,
}

/// Shows what was asked for.
pub fn show(arguments: &ShowArgs) -> ExitCode {
    process::apart(|| show_all(arguments))
}

/// Whether all was shown.
fn show_all(arguments: &ShowArgs) -> bool {
    let is_overview = arguments.processes.is_empty();
    let found = if is_overview { every_process() } else { named_processes(arguments) };
    let found = match found {
        Ok(found) => found,
        Err(message) => {
            complain(message);
            return false;
        }
    };
    let view = View {
        defaults: Network::own().kernel.ok().map(|kernel| kernel.defaults),
        processes: found
            .processes
            .iter()
            .map(|process| {
                let sockets = process.sockets.as_ref().map(|sockets| {
                    sockets.iter().filter(|socket| is_chosen(socket, arguments)).collect()
                });
                (process, sockets)
            })
            .collect(),
        not_inspected: found.not_inspected,
    };
    let printed = if arguments.json {
        print_json(&json::document(&view))
    } else if is_overview {
        print(&table::overview(&view))
    } else {
        print(&table::pages(&view))
    };
    if let Err(error) = printed {
        complain(format!("stdout: {error}"));
        return false;
    }
    found.complete
}

/// Every process that has TCP sockets. Other users' processes are only counted.
fn every_process() -> Result<Found, String> {
    process::hidden().iter().for_each(complain);
    let mut inspector = Inspector::default();
    let mut processes = Vec::new();
    let mut not_inspected = 0;
    for process in process::all()? {
        let Some(inspected) = inspector.inspect(process)? else { continue };
        let has_sockets = inspected.sockets.as_ref().is_some_and(|sockets| !sockets.is_empty());
        not_inspected += usize::from(inspected.trouble.is_some() && !has_sockets);
        processes.extend(has_sockets.then_some(inspected));
    }
    Ok(Found { processes, not_inspected, complete: true })
}

/// The processes that the arguments name.
fn named_processes(arguments: &ShowArgs) -> Result<Found, String> {
    let mut inspector = Inspector::default();
    let (named, failures) = process::find_all(&arguments.processes);
    failures.iter().for_each(complain);
    let mut complete = failures.is_empty();
    let mut processes = Vec::new();
    for process in named {
        let Some(inspected) = inspector.inspect(process.clone())? else {
            complain(format!("{process}: has ended"));
            complete = false;
            continue;
        };
        if let Some(trouble) = &inspected.trouble {
            complete = false;
            // JSON has it in the document.
            if !arguments.json {
                complain(format!("{process}: {trouble}"));
            }
        }
        processes.push(inspected);
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
