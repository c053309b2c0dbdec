//! What documents show: each command is run, each link, path and test is there, and the names of
//! variables and packages are the real ones. (Tables that a test writes are compared by that test.)

mod commands;
mod dependencies;
mod links;
#[path = "../support/markdown.rs"]
mod markdown;
mod timeouts;
mod variables;

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
