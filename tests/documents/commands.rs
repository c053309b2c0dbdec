//! Every command that a document shows is run by a test or a script, or says why it is not.
//!
//! In front of each block with commands (each line of ```` ```sh ````, and elsewhere what follows a
//! prompt, `$ ` or `client$ `) stands a line that readers do not see:
//!
//! ```text
//! <!-- run: FILE, FILE -->      each command of the block is in one of these
//! <!-- not run: REASON -->      the files and tests that it names are there
//! ```
//!
//! A file runs a command if the command stands in it, outside of a comment, or if the file takes it
//! from the document: `documented DOCUMENT 'BEGINNING'` (tests/support/documented.sh).

use crate::links::is_test;
use crate::{markdown, nothing_is_wrong};

/// What blocks may be. In the others than `sh` only what follows a prompt is typed.
const LANGUAGES: [&str; 8] = ["console", "dockerfile", "ini", "json", "rust", "sh", "text", "yaml"];

/// A block of commands in a document.
#[derive(Debug, Default)]
struct Block {
    line: usize,
    /// The line in front of it.
    mark: String,
    commands: Vec<String>,
}

/// The blocks, and what is wrong with their languages.
fn blocks(text: &str) -> (Vec<Block>, Vec<String>) {
    let (mut blocks, mut complaints) = (Vec::new(), Vec::new());
    let mut language = None;
    let mut before = "";
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        match (language, line.trim_start().strip_prefix("```")) {
            (None, Some(opened)) => {
                // Behind a comma rustdoc is told what to do with an example.
                let opened = opened.split(',').next().unwrap_or_default();
                language = Some(opened);
                let mark = before.trim().to_owned();
                blocks.push(Block { line: number, mark, ..Block::default() });
                if !LANGUAGES.contains(&opened) {
                    complaints.push(format!("{number}: a block in the language {opened:?}"));
                }
            }
            (Some(_), Some(_)) => language = None,
            (Some(language), None) => {
                let Some(block) = blocks.last_mut() else { continue };
                if language == "sh" {
                    add(&mut block.commands, line);
                } else if let Some(typed) = after_prompt(line) {
                    add(&mut block.commands, typed);
                }
            }
            (None, None) if before.is_empty() && line.starts_with("    ") => {
                complaints
                    .push(format!("{number}: a block by indentation; write ```sh or ```text"));
            }
            (None, None) => {}
        }
        before = line;
    }
    (blocks, complaints)
}

/// What is typed in a line of a transcript.
fn after_prompt(line: &str) -> Option<&str> {
    let (before, typed) = line.split_once("$ ")?;
    before.chars().all(char::is_alphabetic).then_some(typed)
}

/// Adds a line of a block: a command, or more of the last one. Without comment and sudo.
fn add(commands: &mut Vec<String>, line: &str) {
    let line = match line.split_once(" # ") {
        _ if line.starts_with('#') => "",
        Some((command, _)) => command.trim(),
        None => line.trim(),
    };
    match commands.last_mut() {
        Some(last) if last.ends_with('\\') => {
            last.pop();
            last.push_str(line);
        }
        Some(last) if last.ends_with("&&") => {
            last.push(' ');
            last.push_str(line);
        }
        _ if line.is_empty() => {}
        _ => commands.push(line.strip_prefix("sudo ").unwrap_or(line).into()),
    }
}

/// The text without comments and breaks of lines, each gap one blank.
fn flat(text: &str) -> String {
    let is_code = |line: &&str| !["#", "//"].iter().any(|mark| line.trim().starts_with(mark));
    let code: Vec<_> = text.lines().filter(is_code).collect();
    code.join(" ").replace('\\', " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a file with this text, made flat, runs the command of the document.
fn runs(text: &str, document: &str, command: &str) -> bool {
    let taken = |call: &str| {
        let mut beginnings = call.split('\'');
        beginnings.next().is_some_and(|between| between.trim() == document)
            && beginnings.next().is_some_and(|it| !it.is_empty() && command.starts_with(it))
    };
    let command = &flat(command);
    // Not as a part of a longer word.
    let alone = |(from, _): (usize, &str)| {
        let ends = |part: Option<char>| !part.is_some_and(|it| it.is_alphanumeric() || it == '-');
        ends(text[..from].chars().next_back()) && ends(text[from + command.len()..].chars().next())
    };
    text.match_indices(command).any(alone) || text.split("documented ").skip(1).any(taken)
}

/// The text of a mark that readers do not see, `<!-- WHAT: TEXT -->`.
fn mark(line: &str) -> Option<(&str, &str)> {
    line.trim().strip_prefix("<!-- ")?.strip_suffix(" -->")?.split_once(": ")
}

/// The files and tests that a reason names and that are not there.
fn lost<'a>(reason: &'a str, read: &impl Fn(&str) -> Option<String>) -> Vec<&'a str> {
    let is_lost = |word: &&str| match word.contains("::") {
        true => !is_test(word),
        false => word.contains('/') && read(word).is_none(),
    };
    reason.split([' ', ',', ';']).filter(is_lost).collect()
}

/// What is wrong with the commands of a document, a line each. `read` is the text of a file.
fn look_over(document: &str, text: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let (blocks, mut complaints) = blocks(text);
    for block in blocks.into_iter().filter(|it| !it.commands.is_empty()) {
        let line = block.line;
        match mark(&block.mark) {
            Some(("not run", reason)) if !reason.trim().is_empty() => {
                let lost = lost(reason, &read).into_iter();
                complaints.extend(lost.map(|file| format!("{line}: there is no {file}")));
            }
            Some(("run", names)) => {
                let mut files = String::new();
                for name in names.split(", ") {
                    match read(name) {
                        Some(text) => files += &flat(&text),
                        None => complaints.push(format!("{line}: there is no {name}")),
                    }
                }
                let unlike = block.commands.iter().filter(|it| !runs(&files, document, it));
                complaints.extend(unlike.map(|it| format!("{line}: {names} does not run: {it}")));
            }
            _ => complaints.push(format!(
                "{line}: in front of it belongs <!-- run: FILE --> or <!-- not run: REASON -->"
            )),
        }
    }
    complaints
}

#[test]
fn every_command_is_run_or_says_why_not() {
    nothing_is_wrong(|name, text| look_over(name, text, markdown::read));
}

/// The complaints about a document, where a script runs `one`, and what begins with `two t` in it.
fn complaints(document: &str) -> Vec<String> {
    let script = "# three\none\nx=$(documented D.md 'two t')\nfour \\\n  five\n";
    look_over("D.md", document, |name| (name == "script").then(|| script.into()))
}

#[test]
fn a_block_without_a_mark_is_refused() {
    let belongs = "<!-- run: FILE --> or <!-- not run: REASON -->";
    for document in [
        "```sh\none\n```\n",
        "```text\nclient$ one\n```\n",
        "- in a list\n  ```sh\n  one\n  ```\n",
        "<!-- run: script -->\n\n```sh\none\n```\n",
        "<!-- not run:  -->\n```sh\none\n```\n",
    ] {
        let found = complaints(document);
        assert!(found.len() == 1 && found[0].ends_with(belongs), "{document}: {found:?}");
    }
    assert_eq!(complaints("<!-- not run: needs a cluster -->\n```sh\none\n```\n"), [""; 0]);
}

#[test]
fn what_its_file_does_not_run_is_refused() {
    let block = |commands: &str| complaints(&format!("<!-- run: script -->\n{commands}```\n"));
    let all = "```sh\nsudo one   # as root\n# nothing\ntwo times\nfour five\n";
    assert_eq!(block(all), [""; 0]);
    assert_eq!(block("```console\n$ one\nits output\nserver$ two times\n"), [""; 0]);
    for command in ["three", "tw", "other"] {
        let expected = [format!("2: script does not run: {command}")];
        assert_eq!(block(&format!("```sh\none\n{command}\n")), expected);
    }
    let long = "2: script does not run: one && two && three";
    assert_eq!(block("```sh\none &&\ntwo \\\n  && three\n"), [long]);
    let lost = complaints("<!-- run: lost, script -->\n```sh\none\n```\n");
    assert_eq!(lost, ["2: there is no lost"]);
    let reason = complaints("<!-- not run: needs AWS; a/lost does more -->\n```sh\none\n```\n");
    assert_eq!(reason, ["2: there is no a/lost"]);
}

#[test]
fn a_block_that_may_hide_commands_is_refused() {
    assert_eq!(complaints("```\none\n```\n"), ["1: a block in the language \"\""]);
    let indented = ["3: a block by indentation; write ```sh or ```text"];
    assert_eq!(complaints("Type\n\n    one\n"), indented);
    assert_eq!(complaints("```text\n\n    one\n```\n"), [""; 0]);
}
