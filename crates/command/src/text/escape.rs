//! Texts that another user may have chosen, made harmless for a terminal.

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
pub(super) fn printable_json(json: &str) -> String {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::message::without_styles;
    use super::*;
    use anstream::ColorChoice;

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
}
