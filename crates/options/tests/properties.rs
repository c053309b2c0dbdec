//! The parsers and the message writer against whatever may stand in the environment.
//!
//! How many cases of each property: `PROPTEST_CASES`, or 20,000. A million of each:
//! `PROPTEST_CASES=1000000 cargo test --release -p libkeepalive-options --test properties`

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::c_int;

use libkeepalive_options::{LINE_MAX, Line, Mode, OPTIONS, USER_TIMEOUT, env};
use proptest::collection::vec;
use proptest::prelude::*;

/// The system's allocator, which counts how often each thread asks it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A line in a place of fixed size, as the library's.
struct Fixed {
    bytes: [u8; LINE_MAX],
    length: usize,
}

impl Line for Fixed {
    fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }
}

impl Fixed {
    /// A line, which must be put together without an allocation.
    fn of(write: impl FnOnce(&mut Self)) -> String {
        let mut line = Self { bytes: [0; LINE_MAX], length: 0 };
        let before = ALLOCATIONS.get();
        write(&mut line);
        assert_eq!(ALLOCATIONS.get(), before, "the writer allocates");
        String::from_utf8(line.bytes[..line.length].to_vec()).expect("a line is ASCII")
    }
}

/// What a number's text must be, said with the standard library: only digits, as many as there
/// may be, and a value in the range.
fn expected(text: &[u8], min: u32, max: u32) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    if text.is_empty() || text.contains(|character: char| !character.is_ascii_digit()) {
        return None;
    }
    let digits = text.trim_start_matches('0');
    let value = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    (min..=max).contains(&value).then_some(value)
}

/// Numbers in and around the ranges, with zeros in front and strange bytes within, and anything
/// at all.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let near_a_border =
        (prop::sample::select(vec![0_i64, 127, 1_000, 32_767, 120_000, 2_147_483_647]), -3..=3_i64)
            .prop_map(|(border, distance)| (border + distance).to_string());
    let number = prop_oneof![
        near_a_border,
        any::<u16>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
    ];
    let with_zeros =
        (0..4_usize, number.clone()).prop_map(|(zeros, text)| "0".repeat(zeros) + &text);
    let disturbed = (number.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(text, place, byte)| {
            let mut bytes = text.into_bytes();
            bytes.insert(place.index(bytes.len() + 1), byte);
            bytes
        },
    );
    prop_oneof![
        number.prop_map(String::into_bytes),
        with_zeros.prop_map(String::into_bytes),
        disturbed,
        vec(b'0'..=b'9', 0..60),
        vec(any::<u8>(), 0..60),
    ]
}

/// What the writer's escapes stand for.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(escape) = rest.strip_prefix("\\x") {
            bytes.push(u8::from_str_radix(&escape[..2], 16).expect("two digits"));
            rest = &escape[2..];
        } else {
            bytes.push(first as u8);
            rest = &rest[1..];
        }
    }
    bytes
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").map_or(20_000, |cases| cases.parse().expect("a number"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_value_is_taken_if_it_is_digits_alone_and_in_the_range(text in value()) {
        for option in OPTIONS {
            prop_assert_eq!(option.parse(&text), expected(&text, option.min, option.max));
        }
    }

    #[test]
    fn a_variable_says_what_stands_between_the_blanks_if_anything_does(
        before in "[ \t\r\n]{0,9}",
        text in prop_oneof![value(), vec(prop::sample::select(b" \t\r\n\x0b\x0c\x005".to_vec()), 0..9)],
        after in "[ \t\r\n]{0,9}",
    ) {
        let whole = [before.as_bytes(), &text, after.as_bytes()].concat();
        let is_blank = |byte: &u8| b" \t\r\n".contains(byte);
        let first = whole.iter().position(|byte| !is_blank(byte));
        let last = whole.iter().rposition(|byte| !is_blank(byte));
        let said = env::source(&USER_TIMEOUT, |_| Some(&whole)).map(|(_, value)| value);
        prop_assert_eq!(said, first.zip(last).map(|(first, last)| &whole[first..=last]));
    }

    #[test]
    fn every_value_in_the_range_is_taken(which in 0..OPTIONS.len(), place in any::<u32>()) {
        let option = &OPTIONS[which];
        let size = i64::from(option.max) - i64::from(option.min) + 1;
        let value = (i64::from(option.min) + i64::from(place) % size) as u32;
        prop_assert_eq!(option.parse(value.to_string().as_bytes()), Some(value));
    }

    #[test]
    fn a_mode_is_one_of_four_words_in_any_case(
        text in prop_oneof![
            vec(prop::sample::select(b"oOnNfFsSkKiIpPrRcCeE \0".to_vec()), 0..6),
            prop::sample::select(vec!["on", "off", "skip", "force"])
                .prop_flat_map(|name| vec(any::<bool>(), name.len()).prop_map(|upper| {
                    name.bytes().zip(upper).map(|(byte, upper)| if upper {
                        byte.to_ascii_uppercase()
                    } else {
                        byte
                    }).collect()
                })),
            vec(any::<u8>(), 0..8),
        ],
    ) {
        let expected = match text.to_ascii_lowercase().as_slice() {
            b"on" => Some(Mode::On),
            b"off" => Some(Mode::Off),
            b"skip" => Some(Mode::Skip),
            b"force" => Some(Mode::Force),
            _ => None,
        };
        prop_assert_eq!(Mode::parse(&text), expected);
    }

    /// One line, whatever the value; it says the value's first 40 bytes, and nothing in it can be
    /// taken for the writer's own words.
    #[test]
    fn a_report_is_one_line_from_which_the_value_can_be_read(
        value in prop_oneof![value(), vec(any::<u8>(), 0..200)],
        which in 0..OPTIONS.len(),
    ) {
        let option = &OPTIONS[which];
        let Err(unusable) = env::value(option, |_| Some(&value)) else { return Ok(()) };
        let (value, name) = (unusable.value, unusable.variable);
        let line = Fixed::of(|line| line.unusable(&unusable));
        prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{:?}", line);
        prop_assert!(line.len() < LINE_MAX);

        let before = format!("libkeepalive: {}=", name.to_str().expect("ASCII"));
        let (range, unit) = (format!("{} to {}", option.min, option.max), option.unit.name());
        let after = format!(": not a whole number from {range} ({unit}); the system default stays");
        let shown = line.strip_prefix(&before).and_then(|rest| rest.strip_suffix(&after));
        prop_assert!(shown.is_some(), "{:?}", line);
        let shown = shown.unwrap_or_default();
        let (shown, all) = match shown.strip_suffix("...") {
            Some(shown) if value.len() > 40 => (shown, false),
            _ => (shown, true),
        };
        prop_assert_eq!(unescape(shown), &value[..value.len().min(40)]);
        prop_assert_eq!(all, value.len() <= 40);
    }

    #[test]
    fn a_number_is_written_as_it_is(number in any::<u32>()) {
        prop_assert_eq!(Fixed::of(|line| line.number(number)), number.to_string());
    }

    #[test]
    fn the_outcome_of_an_option_is_one_line(
        process in any::<u32>(),
        fd in any::<c_int>(),
        values in vec((any::<u32>(), any::<c_int>()), OPTIONS.len()),
    ) {
        let line = Fixed::of(|line| {
            line.about(process, "accept4() = ", fd);
            line.outcome(c"SO_KEEPALIVE", 1, 4095);
            for (option, (value, errno)) in OPTIONS.iter().zip(values) {
                line.outcome(option.name, value, errno);
            }
        });
        prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{:?}", line);
        prop_assert!(line.len() < LINE_MAX);
    }
}
