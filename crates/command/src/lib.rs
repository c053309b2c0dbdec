//! The `keepalive` command: TCP keepalive for programs whose source nobody can change.
//!
//! `run` starts a program with the preload library in front, `show` tells what the TCP sockets
//! of running processes have, `attach` sets it on them. docs/command.md is the manual.

mod attach;
pub mod cli;
mod diag;
mod findings;
mod inspect;
mod json;
mod library;
mod process;
mod program;
mod refusal;
mod run;
mod settings;
mod show;
mod socket;
mod startup;
mod time;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

/// The exit status of `run` where the command itself has failed, not the program: env(1)'s.
const RUN_FAILED: u8 = 125;

/// The command, from the arguments to the exit status.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(Cli { command: Command::Run(arguments) }) => run::run(&arguments),
        Ok(Cli { command: Command::Show(arguments) }) => show::show(&arguments),
        Ok(Cli { command: Command::Attach(arguments) }) => attach::attach(&arguments),
        Err(error) => {
            // There is nobody to tell that the output is closed.
            let _ = error.print();
            let is_run = std::env::args_os().nth(1).is_some_and(|argument| argument == "run");
            match error.exit_code() {
                0 => ExitCode::SUCCESS,
                // 2 could be the program's own.
                _ if is_run => ExitCode::from(RUN_FAILED),
                _ => ExitCode::from(2),
            }
        }
    }
}

/// Prints a message on stderr, as every message of the command begins.
fn complain(message: impl std::fmt::Display) {
    anstream::eprintln!("keepalive: {message}");
}
