//! The `keepalive` command: TCP keepalive for programs whose source nobody can change.
//!
//! `run` starts a program with the preload library in front or a follower beside it, `show` tells
//! what the TCP sockets of running processes have, `attach` sets it on them, `cover` on all that a
//! service opens, `measure` measures how long a path remembers. docs/command.md says more.
//!
//! The modules are in layers. Each uses only those of the layers below its own, so no verb uses
//! another (`tests/layers.sh`):
//!
//! - `cli`: the command line
//! - `run`, `show`, `attach`, `cover`, `measure`: the verbs
//! - `follow`: looks again and again
//! - `apply`: sets options on open sockets; `bpf`: on those that are opened later
//! - `judge`: what follows from what is there
//! - `request`: what the operator asked for
//! - `find`: from what an argument names to processes
//! - `process`: what is there; `settings`: what is set
//! - `worker`: the child process that does what may hang
//! - `text`: how it is said; `timeouts`: how long paths remember
//! - `sys`: the kernel's own values, signals, the service manager, the system's log, what was inherited
//!
//! What stands below the options of `--help` (exit statuses, environment, examples) is laid out so
//! that examples/generate_manuals can make sections of it: headings that end in a colon, entries
//! indented by two blanks, and their explanations indented further, or behind two blanks.

mod apply;
mod attach;
mod bpf;
mod cli;
mod cover;
mod find;
mod follow;
mod judge;
mod measure;
mod process;
mod request;
mod run;
mod settings;
mod show;
mod sys;
mod text;
mod timeouts;
mod values;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use crate::cli::Cli;
use crate::cli::explain;
use crate::request::Request;
use crate::sys::Status;
use crate::text::{error, print, print_stderr, report_error};

/// The command, from the arguments to the exit status.
pub fn main() -> ExitCode {
    let status = match Cli::try_parse().map(Request::from) {
        Ok(Request::Run(request)) => run::run(&request),
        Ok(Request::Show(request)) => show::show(&request),
        Ok(Request::Attach(request)) => attach::attach(&request),
        Ok(Request::Cover(request)) => cover::cover(&request),
        Ok(Request::Measure(request)) => measure::measure(&request),
        Err(error) => answer(error),
    };
    ExitCode::from(status as u8)
}

/// Prints the help that was asked for, or what is wrong with the arguments.
fn answer(error: clap::Error) -> Status {
    let failed = if error.use_stderr() {
        let arguments: Vec<_> = std::env::args_os().collect();
        let error = explain(error, &Cli::command(), &arguments);
        print_stderr(&error.render().ansi().to_string());
        Status::Mistake
    } else if let Err(error) = print(&error.render().ansi().to_string()) {
        report_error(format!("stdout: {}", error::describe(&error)));
        Status::Failure
    } else {
        return Status::Success;
    };
    // The others could be the program's own.
    let is_run = std::env::args_os().nth(1).is_some_and(|argument| argument == "run");
    if is_run { Status::RunFailed } else { failed }
}
