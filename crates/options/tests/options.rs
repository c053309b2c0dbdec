//! Every name, range, edge and malformed value.

use libkeepalive_options::{LINE_MAX, Line, Mode, OPTIONS, TcpOption, given};

fn option(name: &str) -> &'static TcpOption {
    OPTIONS.iter().find(|option| option.name.to_str() == Ok(name)).expect("an option of that name")
}

/// A line that grows as it needs to.
#[derive(Default)]
struct Text(Vec<u8>);

impl Line for Text {
    fn push(&mut self, byte: u8) {
        self.0.push(byte);
    }
}

impl Text {
    fn of(write: impl FnOnce(&mut Self)) -> String {
        let mut text = Self::default();
        write(&mut text);
        String::from_utf8(text.0).expect("a line is ASCII")
    }
}

/// include/uapi/linux/tcp.h of Linux 6.15; the libc crate does not have it yet.
const TCP_RTO_MAX_MS: libc::c_int = 44;

/// A line for each option: the names are the kernel's and libkeepalive 0.3's, the number and the
/// range the kernel's, and what is accepted is said with its range and unit.
#[test]
fn every_option_is_the_kernels() {
    let rows: Vec<_> = OPTIONS
        .iter()
        .map(|o| (o.name, o.short_name, o.number, o.min, o.max, o.accepted))
        .collect();
    #[rustfmt::skip]
    assert_eq!(rows, [
        (c"TCP_KEEPCNT", Some(c"KEEPCNT"), libc::TCP_KEEPCNT, 1, 127, "a whole number from 1 to 127 (probes)"),
        (c"TCP_KEEPIDLE", Some(c"KEEPIDLE"), libc::TCP_KEEPIDLE, 1, 32767, "a whole number from 1 to 32767 (seconds)"),
        (c"TCP_KEEPINTVL", Some(c"KEEPINTVL"), libc::TCP_KEEPINTVL, 1, 32767, "a whole number from 1 to 32767 (seconds)"),
        (c"TCP_USER_TIMEOUT", None, libc::TCP_USER_TIMEOUT, 0, 2147483647, "a whole number from 0 to 2147483647 (milliseconds)"),
        (c"TCP_RTO_MAX_MS", None, TCP_RTO_MAX_MS, 1000, 120000, "a whole number from 1000 to 120000 (milliseconds)"),
        (c"TCP_SYNCNT", None, libc::TCP_SYNCNT, 1, 127, "a whole number from 1 to 127 (SYN retransmissions)"),
    ]);
}

#[test]
fn the_edges_of_each_range_are_accepted_and_what_is_beyond_is_not() {
    for option in OPTIONS {
        let parse = |value: i64| option.parse(value.to_string().as_bytes());
        let (min, max) = (i64::from(option.min), i64::from(option.max));
        assert_eq!(parse(min), Some(option.min), "{:?}", option.name);
        assert_eq!(parse(max), Some(option.max), "{:?}", option.name);
        assert_eq!(parse(min - 1), None, "{:?}", option.name);
        assert_eq!(parse(max + 1), None, "{:?}", option.name);
    }
}

#[test]
fn leading_zeros_do_not_change_a_number() {
    assert_eq!(option("TCP_KEEPIDLE").parse(b"00180"), Some(180));
    assert_eq!(option("TCP_KEEPIDLE").parse(&[b'0'; 1000]), None);
    assert_eq!(option("TCP_USER_TIMEOUT").parse(b"000"), Some(0));
}

#[test]
fn a_number_too_large_for_any_integer_is_not_accepted() {
    for option in OPTIONS {
        for text in [
            "2147483648",
            "4294967295",
            "4294967296",
            "4294967297",
            "18446744073709551617",
            &"9".repeat(1000),
        ] {
            assert_eq!(option.parse(text.as_bytes()), None, "{:?}: {text}", option.name);
        }
    }
}

#[test]
fn nothing_but_digits_is_a_number() {
    let malformed: [&[u8]; 14] = [
        b"",
        b" ",
        b" 5",
        b"5 ",
        b"+5",
        b"-5",
        b"5.0",
        b"0x5",
        b"5s",
        b"1e1",
        b"five",
        b"5\n",
        b"\xd9\xa5",
        b"5\xff",
    ];
    for option in OPTIONS {
        for text in malformed {
            assert_eq!(option.parse(text), None, "{:?}: {text:?}", option.name);
        }
    }
}

#[test]
fn an_empty_variable_says_nothing_and_blanks_around_a_value_do_not_count() {
    for nothing in ["", " ", "\t", "\r\n", " \t\r\n "] {
        assert_eq!(given(nothing.as_bytes()), None, "{nothing:?}");
    }
    for text in ["60", " 60", "60 ", "60\r", "60\n", "\t60\r\n", " \t\r\n60\n\r\t "] {
        assert_eq!(given(text.as_bytes()), Some(&b"60"[..]), "{text:?}");
    }
    for text in ["6 0", "\x0b60\x0c", "\u{a0}60", "60\\n"] {
        assert_eq!(given(text.as_bytes()), Some(text.as_bytes()), "{text:?}");
    }
}

#[test]
fn modes_are_named_in_any_case() {
    for (name, mode) in
        [("on", Mode::On), ("off", Mode::Off), ("skip", Mode::Skip), ("force", Mode::Force)]
    {
        let capitalised = name[..1].to_uppercase() + &name[1..];
        for text in [name, &name.to_uppercase(), &capitalised] {
            assert_eq!(Mode::parse(text.as_bytes()), Some(mode));
        }
        assert!(Mode::ACCEPTED.contains(name));
    }
}

#[test]
fn nothing_else_is_a_mode() {
    for text in
        ["", "o", "on ", " on", "onn", "of", "forces", "yes", "0", "1", "o\u{131}n", "ofF\0"]
    {
        assert_eq!(Mode::parse(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn numbers_are_written_in_decimal() {
    for number in [0, 9, 10, 99, 100, 32767, u32::MAX] {
        assert_eq!(Text::of(|line| line.number(number)), number.to_string());
    }
}

#[test]
fn a_foreign_value_is_escaped_so_that_it_stays_one_line() {
    let written = |value: &[u8]| Text::of(|line| line.value(value));
    assert_eq!(written(b"plain ~!\"' value"), "plain ~!\"' value");
    assert_eq!(written(b"a\nb\r\t\0\x1b\x7f\\"), r"a\x0ab\x0d\x09\x00\x1b\x7f\x5c");
    assert_eq!(written("\u{e9}\u{2028}\u{9b}".as_bytes()), r"\xc3\xa9\xe2\x80\xa8\xc2\x9b");
}

#[test]
fn a_foreign_value_is_cut_behind_40_bytes() {
    assert_eq!(Text::of(|line| line.value(&[b'x'; 40])), "x".repeat(40));
    assert_eq!(Text::of(|line| line.value(&[b'x'; 41])), "x".repeat(40) + "...");
}

#[test]
fn a_value_that_cannot_be_used_is_reported_with_what_is_accepted_and_what_happens_instead() {
    let option = option("TCP_KEEPCNT");
    assert_eq!(
        Text::of(|line| line.unusable(c"KEEPCNT", b"0", option.accepted, "nothing happens")),
        "libkeepalive: KEEPCNT=0: not a whole number from 1 to 127 (probes); nothing happens"
    );
}

#[test]
fn the_longest_lines_have_room() {
    let value = [0xff; 1000];
    for option in OPTIONS {
        let report = Text::of(|line| {
            line.unusable(option.name, &value, option.accepted, "the system default stays");
        });
        assert!(report.len() < LINE_MAX, "{}", report.len());
    }
    let debug = Text::of(|line| {
        line.about(u32::MAX, "accept4() = ", i32::MAX);
        line.outcome(c"SO_KEEPALIVE", 1, 4095);
        for option in OPTIONS {
            line.outcome(option.name, option.max, 4095);
        }
    });
    assert!(debug.len() < LINE_MAX, "{}", debug.len());
}
