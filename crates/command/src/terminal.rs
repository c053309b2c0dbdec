//! How the command speaks: messages, tables, progress, and names that other users chose.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use anstyle::Style;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::stdio::{stderr, stdout};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::{log, startup};

/// Prints a message on stderr. Every message of the command begins this way.
pub fn complain(message: impl Display) {
    warn(&format!("keepalive: {message}\n"));
}

/// Prints a text on stderr. If it cannot be written the work goes on: the exit status tells. A
/// full pipe that does not block is waited for once. Where there is no stderr it goes to the log.
pub fn warn(text: &str) {
    static IS_STUCK: AtomicBool = AtomicBool::new(false);

    if log::say(text) {
        return;
    }
    clear_status();
    let patience = if IS_STUCK.load(Ordering::Relaxed) { 0 } else { 1 };
    let text = without_styles(text, AutoStream::choice(&io::stderr()));
    if let Err(Errno::AGAIN) = write(stderr(), &text, Some(Duration::from_secs(patience))) {
        IS_STUCK.store(true, Ordering::Relaxed);
    }
}

/// Whether the last line of the terminal is a status line.
static HAS_STATUS: AtomicBool = AtomicBool::new(false);
/// Goes to the begin of the line and erases it (console_codes(4)).
const ERASE: &str = "\r\x1b[K";

/// Shows one line on the terminal in place of the last one, until something else is said. Where
/// stderr is no terminal nothing is shown.
pub fn show_status(text: &str) {
    if let Ok(size) = rustix::termios::tcgetwinsize(stderr()) {
        let width = usize::from(size.ws_col).saturating_sub(1);
        let line: String = text.chars().take(if width > 0 { width } else { 79 }).collect();
        let _ = write(stderr(), &format!("{ERASE}{line}"), Some(Duration::ZERO));
        HAS_STATUS.store(true, Ordering::Relaxed);
    }
}

/// Removes the status line.
pub fn clear_status() {
    if HAS_STATUS.swap(false, Ordering::Relaxed) {
        let _ = write(stderr(), ERASE, Some(Duration::ZERO));
    }
}

/// Prints a text on stdout.
pub fn print(text: &str) -> io::Result<()> {
    print_all(&without_styles(text, AutoStream::choice(&io::stdout())))
}

/// Appends a text to stdout. False if nobody reads it any more.
pub fn append(text: &str) -> io::Result<bool> {
    let text = without_styles(text, AutoStream::choice(&io::stdout()));
    match write(stdout(), &text, None) {
        Err(Errno::PIPE) => Ok(false),
        written => written.map(|()| true).map_err(Into::into),
    }
}

/// Prints JSON on stdout: unaltered, or on a terminal with what that would obey escaped.
pub fn print_json(json: &str) -> io::Result<()> {
    if io::stdout().is_terminal() { print_all(&printable_json(json)) } else { print_all(json) }
}

/// Prints on stdout, unaltered. A reader that has closed the pipe has read enough: head(1), less(1).
fn print_all(text: &str) -> io::Result<()> {
    match write(stdout(), text, None) {
        Err(error) if error != Errno::PIPE => Err(error.into()),
        _ => Ok(()),
    }
}

fn without_styles(text: &str, choice: ColorChoice) -> String {
    if choice == ColorChoice::Never { strip_str(text).to_string() } else { text.to_owned() }
}

/// Writes all of a text. Where the descriptor takes nothing more at the moment it waits, as if the
/// descriptor blocked, but at most this long.
fn write(fd: BorrowedFd<'_>, text: &str, patience: Option<Duration>) -> Result<(), Errno> {
    if startup::was_closed(fd) {
        return Err(Errno::BADF);
    }
    // Signals interrupt poll(2), so it may be called again and again.
    let until = patience.map(|patience| Instant::now() + patience);
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match rustix::io::write(fd, rest) {
            Ok(written) => rest = &rest[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let left = until.map(|until| until.saturating_duration_since(Instant::now()));
                let left = left.and_then(|left| Timespec::try_from(left).ok());
                match poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], left.as_ref()) {
                    Ok(0) => return Err(Errno::AGAIN),
                    Err(error) if error != Errno::INTR => return Err(error),
                    _ => {}
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A text that another user may have chosen, for a terminal: one line, and nothing that a terminal
/// obeys or that makes the text look like another: each such character is shown as `\u{9b}`.
pub fn printable(text: &str) -> String {
    escape(text, |character| match character {
        '\\' => Some("\\\\".into()),
        _ if is_visible(character) => None,
        _ => Some(character.escape_default().to_string()),
    })
}

/// JSON for a terminal: the same value, with what a terminal would obey written as JSON escapes.
fn printable_json(json: &str) -> String {
    let is_ours = |character| character == '\n' || is_visible(character);
    let units = |character: char| {
        let mut units = [0; 2];
        let units = character.encode_utf16(&mut units).iter();
        units.map(|unit| format!("\\u{unit:04x}")).collect()
    };
    escape(json, |character| (!is_ours(character)).then(|| units(character)))
}

/// A text with some of its characters written in another way.
fn escape(text: &str, other: impl Fn(char) -> Option<String>) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match other(character) {
            None => escaped.push(character),
            Some(other) => escaped += &other,
        }
    }
    escaped
}

/// Whether a terminal shows a character as it is, and only that.
fn is_visible(character: char) -> bool {
    !is_right_to_left(character)
        && !matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
        // The rest of what cannot be printed: controls, private and unassigned characters. It
        // escapes quotes and the backslash too, which can.
        && (matches!(character, '\'' | '"' | '\\') || character.escape_debug().len() == 1)
}

/// Whether a terminal may write it from right to left, and the numbers beside it in another place:
/// the blocks that Unicode keeps for such scripts (DerivedBidiClass.txt).
fn is_right_to_left(character: char) -> bool {
    matches!(character,
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

/// `1 process`, `2 processes`.
pub fn count(number: usize, what: &str) -> String {
    let plural = if what.ends_with('s') { "es" } else { "s" };
    format!("{number} {what}{}", if number == 1 { "" } else { plural })
}

/// How wide the terminal's lines are; None where stdout is no terminal.
pub fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stdout()).ok()?;
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

/// The begin of a text, and an ellipsis, where the text is wider than this.
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

/// A bar on the terminal, once the work has taken a second.
pub struct Progress {
    bar: ProgressBar,
    begin: Instant,
    is_shown: bool,
}

impl Progress {
    /// For work of which nothing is known yet.
    pub fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        if let Ok(style) =
            ProgressStyle::with_template("{wide_bar} {pos}/{len} sockets, {eta} left")
        {
            bar.set_style(style);
        }
        Self { bar, begin: Instant::now(), is_shown: false }
    }

    /// This much more is to be done.
    pub fn more(&mut self, number: usize) {
        self.bar.inc_length(number as u64);
    }

    /// One more is done.
    pub fn step(&mut self) {
        if !self.is_shown && self.begin.elapsed() > Duration::from_secs(1) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.is_shown = true;
        }
        self.bar.inc(1);
    }

    /// All is done: the bar is removed.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What [`printable`] was made of.
    fn unescaped(shown: &str) -> Option<String> {
        let mut text = String::new();
        let mut rest = shown;
        while let Some(character) = rest.chars().next() {
            rest = &rest[character.len_utf8()..];
            if character != '\\' {
                text.push(character);
                continue;
            }
            let (kind, behind) = rest.split_at_checked(1)?;
            rest = behind;
            text.push(match kind {
                "n" => '\n',
                "r" => '\r',
                "t" => '\t',
                "\\" => '\\',
                "u" => {
                    let (digits, behind) = rest.strip_prefix('{')?.split_once('}')?;
                    rest = behind;
                    char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
                }
                _ => return None,
            });
        }
        Some(text)
    }

    /// Text, much of it what a terminal obeys or what looks like an escape.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            r"([\\un{}0-9a-f]|\p{C}|\p{Z}|\p{M}|[\x00-\x7f]){0,40}",
            // ECMA-48.
            r"(\x1b[\[\]PX^_()#]|\x9b|a|;|[0-9]|m|\x07|\x1b\\){0,20}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn a_name_is_one_line_from_which_it_can_be_read(name in text()) {
            let shown = printable(&name);
            prop_assert!(shown.chars().all(is_visible), "{:?}", shown);
            // At most `\u{10ffff}` for each character.
            prop_assert!(shown.len() <= 10 * name.len());
            prop_assert_eq!(unescaped(&shown), Some(name));
        }

        #[test]
        fn json_for_a_terminal_has_the_same_value_whatever_stands_in_it(
            name in text(),
            pretty: bool,
        ) {
            let value = serde_json::json!({ (name.clone()): [name, 1, null] });
            let json = if pretty { format!("{value:#}") } else { value.to_string() };
            let shown = printable_json(&json);
            let is_harmless = |character| is_visible(character) || pretty && character == '\n';
            prop_assert!(shown.chars().all(is_harmless), "{:?}", shown);
            let read: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
            prop_assert_eq!(read, value);
        }

        /// By the Unicode Consortium's categories, which the test's package brings: controls,
        /// formats, private, separators of lines, and marks that join what is in front.
        #[test]
        fn no_control_is_visible(
            obeyed in r"[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}\p{Me}]",
            shown in r"[\p{Lu}\p{Ll}\p{Nd}\p{Pc}\p{Pd}\p{Sc}\p{Sm} ]",
        ) {
            prop_assert!(!obeyed.chars().any(is_visible), "{:?}", obeyed);
            // Letters and digits of scripts from right to left are escaped as well.
            let is_shown = |character| is_visible(character) || is_right_to_left(character);
            prop_assert!(shown.chars().all(is_shown), "{:?}", shown);
        }

        /// Styles of ours are removed where nobody sees them; the rest of the text is not.
        #[test]
        fn no_text_is_too_strange_for_the_removal_of_styles(text in text()) {
            let plain = without_styles(&text, ColorChoice::Never);
            prop_assert!(plain.len() <= text.len());
            let shown = printable(&text);
            prop_assert_eq!(without_styles(&format!("\x1b[1m{shown}\x1b[0m"), ColorChoice::Never), shown);
        }
    }

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_the_rest_is_not() {
        for harmless in ["", "nginx: worker", "naïve", "日本語", "a'b\"c", "😀", "[kworker/0:1]"]
        {
            assert_eq!(printable(harmless), harmless);
        }
        assert_eq!(printable("\u{5d0}5"), "\\u{5d0}5");
        // Whatever controls, reorders, joins or hides: one of each kind.
        let obeyed = "\0\x07\x1b\x7f\u{80}\u{9b}\u{ad}\u{61c}\u{200b}\u{200d}\u{200e}\u{200f}\u{2028}\
                      \u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{3164}\u{fe0f}\u{feff}\u{fffb}\
                      \u{e0001}\u{e000}\u{301}\u{10ffff}";
        for character in obeyed.chars() {
            let shown = printable(&character.to_string());
            assert!(shown.starts_with('\\') && shown.is_ascii(), "{shown:?}");
        }
        assert_eq!(printable("a\u{9b}31m\u{202e}\nb\\"), "a\\u{9b}31m\\u{202e}\\nb\\\\");
    }

    #[test]
    fn json_for_a_terminal_has_the_same_value() {
        let text: String = (0..=0x0010_ffff).filter_map(char::from_u32).collect();
        let json = serde_json::to_string(&text).expect("a text");
        let shown = printable_json(&json);
        assert!(shown.chars().all(is_visible));
        assert_eq!(serde_json::from_str::<String>(&shown).expect("JSON"), text);
    }

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
