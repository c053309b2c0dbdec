//! The `keepalive` command. All of it is in the library beside this file, so that the manual pages
//! and completions come from the same definitions.

use std::process::ExitCode;

fn main() -> ExitCode {
    libkeepalive_command::main()
}
