//! Writes the manual pages and the shell completions of the command into a directory:
//!
//!     cargo run --package libkeepalive-command --example generate_manuals DIRECTORY
//!
//! For those who make packages. An example, and not a hidden subcommand, so that the command that
//! everybody installs does not carry what is needed once per release; and from the command's own
//! definitions, so that neither can say anything else than `--help`. What is written depends on
//! nothing else: the same source gives the same bytes.

mod completions;

use std::iter;
use std::path::Path;
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use libkeepalive_command::Cli;

/// The page that is written by hand.
const LIBRARY_PAGE: &str = include_str!("../../../../man/libkeepalive.8");

/// What a page has beside `--help`: every column, finding and field.
const MORE: [(&str, &str); 3] = [
    ("cover", include_str!("../../src/cover/manual.txt")),
    ("measure", include_str!("../../src/measure/manual.txt")),
    ("show", include_str!("../../src/show/manual.txt")),
];

/// What every page refers to.
const SEE_ALSO: [(&str, &str); 9] = [
    ("keepalive", "1"),
    ("keepalive-attach", "1"),
    ("keepalive-cover", "1"),
    ("keepalive-measure", "1"),
    ("keepalive-run", "1"),
    ("keepalive-show", "1"),
    ("tcp", "7"),
    ("libkeepalive", "8"),
    ("ss", "8"),
];

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
    completions::generate(&Cli::command(), directory)?;
    // `keepalive help` needs no page of its own.
    let mut keepalive = Cli::command().disable_help_subcommand(true);
    keepalive.build();
    for command in iter::once(&keepalive).chain(keepalive.get_subcommands()) {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name());
        std::fs::write(directory.join(format!("{name}.1")), page(name, command)?)?;
    }
    Ok(())
}

/// The page of one command: clap_mangen's sections, then those that stand below the options of
/// `--help`.
fn page(name: &str, command: &Command) -> std::io::Result<Vec<u8>> {
    let text = |text: Option<&StyledStr>| text.map(ToString::to_string).unwrap_or_default();
    // The first paragraph is the line under NAME.
    let description = text(command.get_long_about());
    let description = description.split_once("\n\n").map_or("", |(_, rest)| rest).to_owned();
    // clap_mangen's own synopsis is a list of every option, without their values.
    let usage = command.clone().render_usage().to_string().replace("Usage: ", "");
    let mut below = text(command.get_after_long_help().or(command.get_after_help()));
    for (_, more) in MORE.iter().filter(|(verb, _)| *verb == command.get_name()) {
        below.insert_str(0, more);
    }
    let command = command
        .clone()
        .long_about(description)
        .override_usage(usage)
        .subcommand_help_heading("COMMANDS")
        // The foot of the page says it.
        .version(None::<&str>)
        // In sections of their own.
        .after_help(None::<&str>)
        .after_long_help(None::<&str>);
    let mut page = Vec::new();
    Man::new(command)
        .date(date())
        .source(concat!("libkeepalive ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands")
        .render(&mut page)?;

    let mut more = Roff::new();
    add_sections(&mut more, &below);
    more.control("SH", ["SEE ALSO"]);
    let others = SEE_ALSO.iter().filter(|(other, _)| *other != name);
    let mut links = Vec::new();
    for (other, section) in others {
        let comma = if links.is_empty() { "" } else { ", " };
        links.extend([roman(comma), bold(*other), roman(format!("({section})"))]);
    }
    more.text(links);
    // The preamble is there already.
    let preamble = Roff::new().render();
    let more = more.render();
    page.extend_from_slice(more.strip_prefix(&preamble).unwrap_or(&more).as_bytes());
    Ok(page)
}

/// The sections in what stands below the options of `--help`; src/lib.rs says how it is laid out.
fn add_sections(roff: &mut Roff, help: &str) {
    for line in help.lines() {
        let text = line.trim_start();
        match line.len() - text.len() {
            _ if text.is_empty() => {}
            0 => match text.strip_suffix(':') {
                Some(heading) => {
                    roff.control("SH", [heading.to_uppercase().as_str()]);
                }
                None => {
                    roff.control("PP", []).text([roman(text)]);
                }
            },
            2 => {
                let (entry, explanation) = text.split_once("  ").unwrap_or((text, ""));
                roff.control("TP", []).text([bold(entry)]);
                if !explanation.is_empty() {
                    roff.text([roman(explanation.trim_start())]);
                }
            }
            _ => {
                roff.text([roman(text)]);
            }
        }
    }
}

/// The date of every page: the release's, which the page written by hand has.
fn date() -> &'static str {
    let date = LIBRARY_PAGE.lines().find_map(|line| line.strip_prefix(".Dd "));
    date.expect("man/libkeepalive.8 has a date")
}
