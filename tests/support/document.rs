//! The parts of documents that tests and benchmarks write: each is what stands between two comments of
//! Markdown.
//!
//! `KEEPALIVE_TEST_WRITE_DOCUMENTS=1` has them write it.

use std::path::{Path, PathBuf};

/// The first comment names who writes it.
const BEGIN: (&str, &str) = ("<!-- Written by ", " from here -->\n");
const END: &str = "<!-- to here -->\n";

/// Whether the parts are to be written.
pub fn is_to_be_written() -> bool {
    std::env::var_os("KEEPALIVE_TEST_WRITE_DOCUMENTS").is_some_and(|value| value == "1")
}

/// A part of a document.
pub struct Part {
    /// The document, in docs/.
    pub document: &'static str,
    /// Who writes it: `the test NAME`, `cargo bench`.
    pub by: &'static str,
}

impl Part {
    /// What the document has.
    pub fn read(&self) -> String {
        let (_, written, _) = self.split();
        written
    }

    /// Puts what was found into the document.
    pub fn write(&self, found: &str) {
        let (before, _, after) = self.split();
        std::fs::write(self.path(), before + found + &after).expect("the document is written");
    }

    /// The text before what was written, that, and the text after it.
    fn split(&self) -> (String, String, String) {
        let text = std::fs::read_to_string(self.path()).expect("the document");
        let begin = format!("{}{}{}", BEGIN.0, self.by, BEGIN.1);
        let begin = text.find(&begin).expect("the first comment") + begin.len();
        let end = begin + text[begin..].find(END).expect("the second comment");
        (text[..begin].into(), text[begin..end].into(), text[end..].into())
    }

    fn path(&self) -> PathBuf {
        let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let mut docs = above.map(|directory| directory.join("docs"));
        docs.find(|docs| docs.is_dir()).expect("docs/").join(self.document)
    }
}

/// The lines that only one of two texts has.
pub fn diff(before: &str, after: &str) -> String {
    let only_in = |sign: &'static str, text: &str, other: &str| -> String {
        let lines = text.lines().filter(|line| !other.lines().any(|it| it == *line));
        lines.map(|line| format!("{sign} {line}\n")).collect()
    };
    only_in("-", before, after) + &only_in("+", after, before)
}
