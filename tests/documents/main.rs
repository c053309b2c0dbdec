//! The documents say what is so: each command is run, each table is held to what it speaks of, each
//! link and path is there.

mod commands;
mod figures;
mod links;
mod lists;
#[path = "../support/markdown.rs"]
mod markdown;
mod shown;
mod tables;
mod timeouts;
mod variables;

/// The text of a mark that readers do not see, `<!-- WHAT: TEXT -->`, in front of a block or a table.
fn mark(line: &str) -> Option<(&str, &str)> {
    line.trim().strip_prefix("<!-- ")?.strip_suffix(" -->")?.split_once(": ")
}

/// The files and tests that a reason speaks of and that are not there.
fn lost<'a>(reason: &'a str, read: &impl Fn(&str) -> Option<String>) -> Vec<&'a str> {
    let is_lost = |word: &&str| match word.contains("::") {
        true => !links::is_test(word),
        false => word.contains('/') && read(word).is_none(),
    };
    reason.split([' ', ',', ';']).filter(is_lost).collect()
}

/// What each document has to be told.
#[track_caller]
fn nothing_is_wrong(look_over: impl Fn(&str, &str) -> Vec<String>) {
    let documents = markdown::documents();
    assert!(documents.iter().any(|name| name == "README.md") && documents.len() > 10);
    let complaints: Vec<_> = documents
        .iter()
        .flat_map(|name| {
            let complaints = look_over(name, &markdown::read(name).expect("UTF-8"));
            complaints.into_iter().map(move |complaint| format!("{name}:{complaint}"))
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
