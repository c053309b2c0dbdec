//! The documents of the repository, and what stands in them.

// Not every suite looks for all of it.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};

/// The repository. Its packages are in it.
pub fn root() -> &'static Path {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above.find(|directory| directory.join("docs").is_dir()).expect("docs/")
}

/// The text of a file, by its path in the repository.
pub fn read(name: &str) -> Option<String> {
    fs::read_to_string(root().join(name)).ok()
}

/// What is in a directory, sorted.
pub fn entries(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(directory)).expect("a directory");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
    let mut names: Vec<_> = entries.map(|entry| name(entry.expect("an entry"))).collect();
    names.sort();
    names
}

/// Every document, by its path in the repository.
pub fn documents() -> Vec<String> {
    let mut paths = entries(".");
    paths.extend(entries("docs").iter().map(|name| format!("docs/{name}")));
    for directory in ["examples", "crates"] {
        let readmes = entries(directory).into_iter();
        paths.extend(readmes.map(|name| format!("{directory}/{name}/README.md")));
    }
    paths.retain(|path| path.ends_with(".md") && root().join(path).is_file());
    paths
}

/// The files below a directory, by their paths in the repository.
pub fn files(directory: &str) -> Vec<String> {
    let (mut found, mut left) = (Vec::new(), vec![PathBuf::from(directory)]);
    while let Some(path) = left.pop() {
        if root().join(&path).is_dir() {
            let names = entries(path.to_str().expect("UTF-8"));
            left.extend(names.iter().map(|name| path.join(name)));
        } else {
            found.push(path.to_str().expect("UTF-8").into());
        }
    }
    found
}

/// The lines that are not in a block of code, with their numbers.
pub fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_block = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        !in_block && !is_fence
    })
}

/// The heading of a section, with its `#`, and a table in it, its cells without the blanks around them:
/// the heading, the line of dashes and the rows.
type Table<'a> = (&'a str, Vec<Vec<String>>);

/// The tables of a document.
fn tables(text: &str) -> Vec<Table<'_>> {
    let mut tables: Vec<Table> = Vec::new();
    let (mut section, mut last) = ("", 0);
    for (number, line) in prose(text) {
        let line = line.trim();
        if let Some(row) = line.strip_prefix('|').and_then(|row| row.strip_suffix('|')) {
            let cells = row.split('|').map(|cell| cell.trim().to_owned()).collect();
            match tables.last_mut() {
                Some((_, lines)) if last + 1 == number => lines.push(cells),
                _ => tables.push((section, vec![cells])),
            }
            last = number;
        } else if line.starts_with('#') {
            section = line;
        }
    }
    tables
}

/// The rows of the tables of a section whose first column has this heading.
#[track_caller]
pub fn rows(document: &str, section: &str, column: &str) -> Vec<Vec<String>> {
    let text = read(document).expect("the document");
    let tables = tables(&text).into_iter().filter(|(at, it)| *at == section && it[0][0] == column);
    let rows: Vec<_> = tables.flat_map(|(_, lines)| lines.into_iter().skip(2)).collect();
    assert!(!rows.is_empty(), "{document}: no table {column:?} below {section:?}");
    rows
}

/// What stands in back quotes outside of blocks of code, with the number of the line in which its
/// paragraph begins.
pub fn quoted(text: &str) -> Vec<(usize, String)> {
    let mut paragraphs: Vec<(usize, String)> = Vec::new();
    let mut last = 0;
    for (number, line) in prose(text).filter(|(_, line)| !line.trim().is_empty()) {
        // A row is a paragraph by itself, so that none is lost with a back quote that is alone.
        let goes_on = last + 1 == number && !line.trim_start().starts_with('|');
        match paragraphs.last_mut() {
            Some((_, paragraph)) if goes_on => *paragraph += &format!(" {}", line.trim()),
            _ => paragraphs.push((number, line.trim().into())),
        }
        last = number;
    }
    let words = paragraphs.iter().flat_map(|(number, paragraph)| {
        paragraph.split('`').skip(1).step_by(2).map(|words| (*number, words.to_owned()))
    });
    words.collect()
}
