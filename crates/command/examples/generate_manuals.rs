//! Writes the manual pages and the shell completions of the command into a directory:
//!
//!     cargo run --package libkeepalive-command --example generate_manuals DIRECTORY
//!
//! For those who make packages. An example, and not a hidden subcommand, so that the command that
//! everybody installs does not carry what is needed once per release; and from the command's own
//! definitions, so that neither can say anything else than `--help`.

use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;
use libkeepalive_command::cli::Cli;

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("Usage: generate_manuals DIRECTORY");
        return ExitCode::from(2);
    };
    match generate(directory.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generate_manuals: {}: {error}", Path::new(&directory).display());
            ExitCode::FAILURE
        }
    }
}

fn generate(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "keepalive", directory)?;
    }
    // `keepalive help` needs no page of its own.
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), directory)
}
