//! docs/library.md, *Coming from another library*: each name is a variable of the library that is said
//! to have it.

use std::fs;

use options::OPTIONS;

use crate::markdown::{quoted, rows};

/// The other libraries that Debian has.
const PEERS: [(&str, &str); 2] = [
    ("libkeepalive 0.3", "/usr/lib/libkeepalive.so.0"),
    ("libdontdie", "/usr/lib/x86_64-linux-gnu/libdontdie.so.0"),
];

/// Each row: the other library, its names, and ours.
fn names() -> Vec<(String, Vec<String>, String)> {
    let mut library = String::new();
    let named =
        rows("docs/library.md", "## Coming from another library", "").into_iter().map(|row| {
            if !row[0].is_empty() {
                library.clone_from(&row[0]);
            }
            (library.clone(), variables(&row[1]), row[2].clone())
        });
    named.collect()
}

/// The variables in a cell, without values and files.
fn variables(cell: &str) -> Vec<String> {
    let names = quoted(cell).into_iter().map(|(_, name)| match name.split_once('=') {
        Some((name, _)) => name.to_owned(),
        None => name,
    });
    names.filter(|it| it.contains(|it: char| it.is_uppercase()) && !it.contains('.')).collect()
}

#[test]
fn our_names_are_those_of_the_library() {
    let own = OPTIONS.iter().flat_map(|option| [Some(option.name), option.short_name]);
    let mut own: Vec<_> = own.flatten().map(|it| it.to_str().expect("ASCII")).collect();
    own.extend(["KEEPALIVE", "KEEPALIVE_DEBUG"]);
    let mut count = 0;
    for (library, theirs, here) in names() {
        // What is the same has their names.
        let ours = if here.starts_with("the same") { theirs } else { variables(&here) };
        for name in ours {
            assert!(own.contains(&&*name), "{library}: {name} is no variable of ours");
            count += 1;
        }
    }
    assert!(count > 12, "{count}");
}

#[test]
#[ignore = "needs Debian's libkeepalive0 and libdontdie0"]
fn their_names_are_in_their_files() {
    for (library, file) in PEERS {
        let bytes = fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut theirs = names();
        theirs.retain(|(name, ..)| name == library);
        let theirs: Vec<_> = theirs.into_iter().flat_map(|(_, names, _)| names).collect();
        assert!(theirs.len() > 3, "{library}: {theirs:?}");
        for name in theirs {
            let found = bytes.split(|byte| *byte == 0).any(|text| text == name.as_bytes());
            assert!(found, "{file} has no {name}");
        }
    }
}
