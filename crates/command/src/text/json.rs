//! JSON on stdout.

use std::io::{self, IsTerminal};

use super::escape::printable_json;
use super::message::print_unaltered;

/// Prints JSON on stdout: unaltered, or on a terminal with what that would obey escaped.
pub fn print_json(json: &str) -> io::Result<()> {
    if io::stdout().is_terminal() {
        print_unaltered(&printable_json(json))
    } else {
        print_unaltered(json)
    }
}
