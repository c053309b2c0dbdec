//! What the documents say of the command's arguments is so.

use std::collections::BTreeSet;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory};
use libkeepalive_command::Cli;

use crate::support::markdown::{documents, quoted, read};

/// Options of other programs of which documents speak: cargo, unshare(1), install.sh, docker,
/// node_exporter.
const OTHERS: [&str; 7] = [
    "--release",
    "--all-targets",
    "--fork",
    "--uninstall",
    "--target",
    "--build-arg",
    "--collector.textfile.directory",
];

/// What stands where a verb would: a word for one, and what ps(1) shows of a follower.
const NO_VERBS: [&str; 2] = ["COMMAND", "follows"];

/// Whether the parser takes a command line as documents have it: a value may be left out, or be a word
/// for one, as in `keepalive run --dead-after TIME`.
fn is_taken(words: &[&str]) -> bool {
    let Err(error) = Cli::command().try_get_matches_from(words) else { return true };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::MissingRequiredArgument => true,
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else {
                return false;
            };
            value.bytes().all(|it| it.is_ascii_uppercase() || b":-".contains(&it))
        }
        _ => false,
    }
}

fn verbs() -> Vec<Command> {
    Cli::command().get_subcommands().cloned().collect()
}

/// The long options of a command.
fn options(command: &Command) -> BTreeSet<String> {
    let longs = command.get_arguments().filter_map(|argument| argument.get_long());
    longs.chain(["help", "version"]).map(|long| format!("--{long}")).collect()
}

/// What a document says is typed, and is not taken: in back quotes `keepalive run …`, `attach --follow`
/// or `--force`, and in its blocks the lines that begin with `keepalive`.
fn refused(text: &str) -> Vec<String> {
    let verbs = verbs();
    let mut refused = Vec::new();
    let mut known: BTreeSet<_> = verbs.iter().flat_map(options).collect();
    known.extend(OTHERS.map(str::to_owned));
    for (_, words) in quoted(text) {
        let words: Vec<_> = words.split_whitespace().skip_while(|it| *it == "sudo").collect();
        let is_verb = verbs.iter().any(|verb| words.first() == Some(&verb.get_name()));
        let has_option = words.iter().any(|word| word.starts_with("--"));
        let is_right = match words.first() {
            Some(&"keepalive") if words.len() > 1 => {
                NO_VERBS.contains(&words[1]) || is_taken(&words)
            }
            Some(_) if is_verb && has_option => is_taken(&[&["keepalive"], &words[..]].concat()),
            Some(first) if first.starts_with("--") && first.len() > 2 => words
                .iter()
                .filter(|word| word.starts_with("--"))
                .all(|word| known.contains(word.split(['=', '[']).next().unwrap_or_default())),
            _ => true,
        };
        if !is_right {
            refused.push(words.join(" "));
        }
    }
    for line in text.lines() {
        let typed = line.split_once("$ ").map_or(line, |(_, typed)| typed).trim();
        let typed = typed.strip_prefix("sudo ").unwrap_or(typed);
        // What comes behind is the shell's, or an explanation.
        let own = typed.split([';', '|', '&', '>', '#', '\'', '\\']).next().unwrap_or_default();
        let words: Vec<_> = own.split("  ").next().unwrap_or_default().split(' ').collect();
        let is_verb = verbs.iter().any(|verb| words.get(1) == Some(&verb.get_name()));
        if words[0] == "keepalive" && is_verb && !is_taken(&words) {
            refused.push(words.join(" "));
        }
    }
    refused
}

#[test]
fn the_parser_takes_what_documents_say_is_typed() {
    let documents = documents();
    assert!(documents.len() > 10, "{documents:?}");
    let refused = documents.iter().flat_map(|name| {
        let refused = refused(&read(name).expect("UTF-8"));
        refused.into_iter().map(move |words| format!("{name}: {words}"))
    });
    let refused: Vec<_> = refused.collect();
    assert!(refused.is_empty(), "not taken:\n{}", refused.join("\n"));
}

#[test]
fn what_the_parser_does_not_take_is_seen() {
    for text in [
        "`keepalive run --lost PROGRAM`",
        "| a | `sudo keepalive attach --lost NAME` |",
        "`cover --lost`, for",
        "`--lost 2s --interval 2s`",
        "`--watch[=TIME]`, `--lost[=TIME]`",
        "two\n  lines `keepalive attach\n  --lost NAME`",
        "`keepalive run --idle abc PROGRAM`",
        "```sh\nsudo keepalive cover --lost some.service # all\n```",
        "```console\nclient$ keepalive show --lost\n```",
        "    keepalive lost\n`keepalive lost`",
    ] {
        assert_eq!(refused(text).len(), 1, "{text}: {:?}", refused(text));
    }
    let taken = "`keepalive run --dead-after TIME`, `attach --dead-after`, `cover`, `--release`\n\
                 ```text\nclient$ keepalive run --idle 2s ./ask.py 1 >file --lost\n```\n";
    assert_eq!(refused(taken), [""; 0]);
}
