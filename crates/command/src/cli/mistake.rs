//! Mistakes in the arguments: clap's errors, without anything that a terminal would obey, and with
//! advice for a long option that is written with one dash.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use clap::{Arg, Command};

use crate::text::printable;

/// The error for these arguments, ready to be printed.
pub fn explain(mut error: Error, command: &Command, arguments: &[OsString]) -> Error {
    let advice = option_with_one_dash(&error, command, arguments)
        .map(|option| StyledStr::from(format!("write '{option}'")));
    let mut is_clean = true;
    let echoed: Vec<_> =
        error.context().filter_map(|(kind, value)| Some((kind, text(value)?))).collect();
    for (kind, text) in echoed {
        let clean = printable(&text).to_string();
        is_clean &= clean == text;
        error.insert(kind, ContextValue::String(clean));
    }
    // clap's own advice repeats the argument as it is.
    if advice.is_some() || !is_clean {
        error
            .insert(ContextKind::Suggested, ContextValue::StyledStrs(advice.into_iter().collect()));
    }
    error
}

fn text(value: &ContextValue) -> Option<String> {
    match value {
        ContextValue::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// The long option that somebody meant by `-dead-after`, which clap reads as `-d -e -a` and so on.
fn option_with_one_dash(
    error: &Error,
    command: &Command,
    arguments: &[OsString],
) -> Option<String> {
    let invalid = error.get(ContextKind::InvalidArg).and_then(text)?;
    let is_letter = invalid.starts_with('-') && invalid.chars().count() == 2;
    if !(error.kind() == ErrorKind::UnknownArgument && is_letter
        || error.kind() == ErrorKind::ArgumentConflict)
    {
        return None;
    }
    let subcommand = command.find_subcommand(arguments.get(1)?)?;
    let options: Vec<_> = subcommand.get_arguments().filter_map(Arg::get_long).collect();
    let arguments = arguments.iter().skip(2).take_while(|argument| *argument != "--");
    arguments.filter_map(|argument| argument.to_str()?.strip_prefix('-')).find_map(|word| {
        let name = word.split('=').next()?;
        options.contains(&name).then(|| format!("--{name}"))
    })
}
