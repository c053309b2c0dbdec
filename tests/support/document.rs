//! The part of a document that a test writes: what stands between two comments of its Markdown.
//!
//! `KEEPALIVE_TEST_WRITE_DOCUMENTS=1` has the tests write it.

use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- Written by the test from here -->\n";
const END: &str = "<!-- to here -->\n";

/// Whether the tests are to write their part.
pub fn is_to_be_written() -> bool {
    std::env::var_os("KEEPALIVE_TEST_WRITE_DOCUMENTS").is_some_and(|value| value == "1")
}

/// What the document has.
pub fn read(name: &str) -> String {
    let (_, written, _) = parts(name);
    written
}

/// Puts what a test found into the document.
pub fn write(name: &str, found: &str) {
    let (before, _, after) = parts(name);
    let text = format!("{before}{BEGIN}{found}{END}{after}");
    std::fs::write(path(name), text).expect("the document is written");
}

fn parts(name: &str) -> (String, String, String) {
    let text = std::fs::read_to_string(path(name)).expect("the document");
    let (before, rest) = text.split_once(BEGIN).expect("the first comment");
    let (written, after) = rest.split_once(END).expect("the second comment");
    (before.into(), written.into(), after.into())
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}
