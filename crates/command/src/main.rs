//! The `keepalive` command; all of it is in the library beside this file, so that the manual
//! pages and completions can be generated from the same definitions.

use std::process::ExitCode;

fn main() -> ExitCode {
    libkeepalive_command::main()
}
