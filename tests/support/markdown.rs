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

/// A table, its cells without the blanks around them.
#[derive(Debug, Default)]
pub struct Table {
    /// The number of its first line.
    pub line: usize,
    /// The heading of the section, with its `#`.
    pub section: String,
    /// The line in front of it.
    pub mark: String,
    /// Who writes the region in which it stands.
    pub written_by: Option<String>,
    /// The heading, the line of dashes and the rows.
    pub lines: Vec<Vec<String>>,
}

/// The tables of a document.
pub fn tables(text: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let (mut section, mut written_by, mut before) = ("", None, (0, ""));
    for (number, line) in prose(text) {
        let line = line.trim();
        if let Some(row) = line.strip_prefix('|').and_then(|row| row.strip_suffix('|')) {
            let cells = row.split('|').map(|cell| cell.trim().to_owned()).collect();
            // A block of code may be between.
            let in_front = if before.0 + 1 == number { before.1 } else { "" };
            match tables.last_mut() {
                Some(table) if in_front.starts_with('|') => table.lines.push(cells),
                _ => tables.push(Table {
                    line: number,
                    section: section.into(),
                    mark: in_front.into(),
                    written_by: written_by.clone(),
                    lines: vec![cells],
                }),
            }
        } else if let Some(opened) = line.strip_prefix("<!-- Written by ") {
            written_by = opened.strip_suffix(" from here -->").map(str::to_owned);
        } else if line == "<!-- to here -->" {
            written_by = None;
        } else if line.starts_with('#') {
            section = line;
        }
        before = (number, line);
    }
    tables
}

/// The rows of the tables of a section whose first column has this heading.
#[track_caller]
pub fn rows(document: &str, section: &str, column: &str) -> Vec<Vec<String>> {
    let tables = tables(&read(document).expect("the document"));
    let is_wanted = |it: &Table| it.section == section && it.lines[0][0] == column;
    let tables = tables.into_iter().filter(is_wanted);
    let rows: Vec<_> = tables.flat_map(|table| table.lines.into_iter().skip(2)).collect();
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
