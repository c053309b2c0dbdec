//! Every table of a document is written by a test, or held by one to what it speaks of, or says why
//! it is neither.
//!
//! A table stands between `<!-- Written by … from here -->` and `<!-- to here -->`
//! (tests/support/document.rs), or a line that readers do not see stands in front of it:
//!
//! ```text
//! <!-- table: FILE, FILE -->        tests in these compare it with what is; each names the document
//! <!-- table by hand: REASON -->    the files and tests that it names are there
//! ```

use crate::markdown::{self, prose, tables};
use crate::{lost, mark, nothing_is_wrong};

/// What is wrong with the tables of a document, a line each. `read` is the text of a file, and
/// `sources` are those of what may write a table.
fn look_over(
    document: &str,
    text: &str,
    read: impl Fn(&str) -> Option<String>,
    sources: &[String],
) -> Vec<String> {
    let mut complaints = Vec::new();
    for (line, row) in prose(text) {
        let is_rule = row.contains("--") && row.contains('|') && !row.trim().starts_with('|');
        if is_rule && row.chars().all(|it| "|:- ".contains(it)) {
            complaints.push(format!("{line}: a table whose lines do not begin with |"));
        }
    }
    for table in tables(text) {
        let line = table.line;
        match (&table.written_by, mark(&table.mark)) {
            (Some(writer), _) => {
                let name = document.rsplit('/').next().unwrap_or(document);
                let writes = |it: &String| {
                    [name, writer].iter().all(|word| it.contains(&format!("\"{word}\"")))
                };
                if !sources.iter().any(writes) {
                    complaints.push(format!("{line}: nothing is {writer}, and writes {name}"));
                }
            }
            (None, Some(("table", names))) => complaints.extend(names.split(", ").filter_map(|it| {
                match read(it) {
                    None => Some(format!("{line}: there is no {it}")),
                    Some(text) if text.contains(document) && text.contains("#[test]") => None,
                    Some(_) => Some(format!("{line}: {it} has no test of {document}")),
                }
            })),
            (None, Some(("table by hand", reason))) if !reason.trim().is_empty() => {
                let lost = lost(reason, &read).into_iter();
                complaints.extend(lost.map(|file| format!("{line}: there is no {file}")));
            }
            _ => complaints.push(format!(
                "{line}: in front of it belongs <!-- table: FILE --> or <!-- table by hand: REASON -->"
            )),
        }
    }
    complaints
}

#[test]
fn every_table_is_held_or_says_why_not() {
    let directories = ["benches", "crates", "tests"].map(markdown::files).concat();
    let sources = directories.iter().filter(|name| name.ends_with(".rs"));
    let sources: Vec<_> = sources.filter_map(|name| markdown::read(name)).collect();
    nothing_is_wrong(|name, text| look_over(name, text, markdown::read, &sources));
}

/// The complaints about a document, where `test.rs` speaks of it and "the test one" writes it.
fn complaints(text: &str) -> Vec<String> {
    let read = |name: &str| (name == "test.rs").then(|| "#[test] docs/D.md".into());
    look_over("docs/D.md", text, read, &[r#"Part { document: "D.md", by: "the test one" }"#.into()])
}

/// A mark that is not directly in front of the table.
const CODE: &str = "<!-- table: test.rs -->\n```text\n```\n";

#[test]
fn a_table_without_a_mark_is_refused() {
    let table = "| a | b |\n|---|---|\n| 1 | 2 |\n";
    for before in ["", "Text.\n", "<!-- table: test.rs -->\n\n", "<!-- table by hand:  -->\n", CODE]
    {
        let found = complaints(&format!("{before}{table}"));
        assert!(found.len() == 1 && found[0].contains("belongs"), "{before}: {found:?}");
    }
    let indented = complaints("- in a list\n\n  | a |\n  |---|\n");
    assert!(indented.len() == 1 && indented[0].starts_with("3: "), "{indented:?}");
    assert_eq!(complaints(&format!("<!-- table: test.rs -->\n{table}")), [""; 0]);
    assert_eq!(complaints(&format!("<!-- table by hand: a record -->\n{table}")), [""; 0]);
    assert_eq!(complaints(&format!("```text\n{table}```\n")), [""; 0]);
    let bare = complaints("a | b\n--|--\n1 | 2\n");
    assert_eq!(bare, ["2: a table whose lines do not begin with |"]);
}

#[test]
fn a_mark_that_is_empty_talk_is_refused() {
    let marked = |mark: &str| complaints(&format!("<!-- {mark} -->\n| a |\n|---|\n"));
    assert_eq!(marked("table: test.rs, lost.rs"), ["2: there is no lost.rs"]);
    assert_eq!(marked("table by hand: see a/lost.rs"), ["2: there is no a/lost.rs"]);
    assert_eq!(marked("table by hand: see tables::lost"), ["2: there is no tables::lost"]);
    let other = look_over(
        "docs/E.md",
        "<!-- table: test.rs -->\n| a |\n|---|\n",
        |_| Some("#[test] docs/D.md".into()),
        &[],
    );
    assert_eq!(other, ["2: test.rs has no test of docs/E.md"]);
    let written = |by: &str| {
        complaints(&format!(
            "<!-- Written by {by} from here -->\n## One\n\n| a |\n|---|\n<!-- to here -->\n"
        ))
    };
    assert_eq!(written("the test one"), [""; 0]);
    assert_eq!(written("the test two"), ["4: nothing is the test two, and writes D.md"]);
}
