//! How results and messages look: on stdout, on stderr, on a terminal.

pub mod error;
mod escape;
mod json;
mod message;
mod progress;
pub mod screen;
pub mod table;
pub mod time;

use anstyle::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

pub use escape::printable;
pub use json::print_json;
pub use message::{append, clear_status, print, print_stderr, report_error, show_status};
pub use progress::Progress;

/// `1 process`, `2 processes`.
pub fn count(number: usize, what: &str) -> String {
    let plural = if what.ends_with('s') { "es" } else { "s" };
    format!("{number} {what}{}", if number == 1 { "" } else { plural })
}

/// How wide the terminal's lines are; None where stdout is no terminal.
pub fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
    (size.ws_col > 0).then(|| size.ws_col.into())
}

/// Lines that are at most this wide, broken at blanks. What has no blank, such as an address, stays
/// whole.
pub fn wrap(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.into() };
    let line = |line: &str| {
        let indent = " ".repeat(line.len() - line.trim_start_matches(' ').len() + 2);
        let options = textwrap::Options::new(width)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .subsequent_indent(&indent);
        textwrap::fill(line, options)
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The start of a text and an ellipsis, if the text is wider than this.
pub fn fit(text: &str, width: Option<usize>) -> String {
    let Some(width) = width.filter(|width| text.width() > *width) else { return text.into() };
    let mut taken = 0;
    let is_within = |character: &char| {
        taken += character.width().unwrap_or(0);
        taken < width
    };
    text.chars().take_while(is_within).collect::<String>() + "…"
}

/// A text in a style.
pub fn styled(text: &str, style: Style) -> String {
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_blanks_and_texts_cut_between_characters() {
        let address = "[2001:db8::1]:65535";
        assert_eq!(wrap(&format!("a b {address} c"), Some(8)), format!("a b\n  {address}\n  c"));
        assert_eq!(wrap("a-b c", Some(3)), "a-b\n  c");
        assert_eq!(wrap("long as it is", None), "long as it is");
        assert_eq!(fit("日本語", Some(5)), "日本…");
        assert_eq!(
            [fit("abc", Some(3)), fit("abcd", Some(3)), fit("abc", None)],
            ["abc", "ab…", "abc"]
        );
    }
}
