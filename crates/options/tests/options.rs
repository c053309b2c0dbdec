//! Every name, range, edge and malformed value.

use std::ffi::CStr;

use libkeepalive_options::{
    LINE_MAX, Line, Mode, OPTIONS, Settings, TcpOption, Unit, Unusable, Values, env,
};

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

/// A line for each option: the names are the kernel's and libkeepalive 0.3's, the number, the range
/// and the unit the kernel's.
#[test]
fn every_option_is_the_kernels() {
    let rows: Vec<_> =
        OPTIONS.iter().map(|o| (o.name, o.short_name, o.number, o.min, o.max, o.unit)).collect();
    #[rustfmt::skip]
    assert_eq!(rows, [
        (c"TCP_KEEPCNT", Some(c"KEEPCNT"), libc::TCP_KEEPCNT, 1, 127, Unit::Probes),
        (c"TCP_KEEPIDLE", Some(c"KEEPIDLE"), libc::TCP_KEEPIDLE, 1, 32767, Unit::Seconds),
        (c"TCP_KEEPINTVL", Some(c"KEEPINTVL"), libc::TCP_KEEPINTVL, 1, 32767, Unit::Seconds),
        (c"TCP_USER_TIMEOUT", None, libc::TCP_USER_TIMEOUT, 0, 2147483647, Unit::Milliseconds),
        (c"TCP_RTO_MAX_MS", None, TCP_RTO_MAX_MS, 1000, 120000, Unit::Milliseconds),
        (c"TCP_SYNCNT", None, libc::TCP_SYNCNT, 1, 127, Unit::Retransmissions),
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

/// The variables of an environment, as getenv(3) finds them.
type Variables<'text> = &'text [(&'text str, &'text str)];

fn getenv<'text>(variables: Variables<'text>) -> impl Fn(&'static CStr) -> Option<&'text [u8]> {
    |name| {
        let mut found = variables.iter().filter(move |(it, _)| name.to_str() == Ok(it));
        found.next().map(|(_, value)| value.as_bytes())
    }
}

/// What the variables say about the idle time.
fn idle<'text>(variables: Variables<'text>) -> Result<Option<u32>, Unusable<'text>> {
    env::value(option("TCP_KEEPIDLE"), getenv(variables))
}

/// The report that a value cannot be used.
fn report<T>(result: Result<Option<T>, Unusable<'_>>) -> Option<String> {
    result.err().map(|unusable| Text::of(|line| line.unusable(&unusable)))
}

#[test]
fn an_empty_variable_says_nothing_and_blanks_around_a_value_do_not_count() {
    for nothing in ["", " ", "\t", "\r\n", " \t\r\n "] {
        assert!(matches!(idle(&[("KEEPIDLE", nothing)]), Ok(None)), "{nothing:?}");
        assert!(matches!(env::mode(getenv(&[("KEEPALIVE", nothing)])), Ok(None)));
        assert!(matches!(env::debug(getenv(&[("KEEPALIVE_DEBUG", nothing)])), Ok(None)));
    }
    for text in ["60", " 60", "60 ", "60\r", "60\n", "\t60\r\n", " \t\r\n60\n\r\t "] {
        assert!(matches!(idle(&[("KEEPIDLE", text)]), Ok(Some(60))), "{text:?}");
    }
    for text in ["6 0", "\x0b60\x0c", "\u{a0}60", "60\\n"] {
        let variables = [("KEEPIDLE", text)];
        assert_eq!(idle(&variables).expect_err(text).value, text.as_bytes());
    }
}

#[test]
fn the_short_name_wins_unless_it_says_nothing() {
    let both = |short, long| [("KEEPIDLE", short), ("TCP_KEEPIDLE", long)];
    assert!(matches!(idle(&both("60", "90")), Ok(Some(60))));
    assert!(matches!(idle(&both(" ", "90")), Ok(Some(90))));
    assert!(matches!(idle(&both("60", "bad")), Ok(Some(60))));
    let bad = both("bad", "90");
    let unusable = idle(&bad).expect_err("the default stays");
    let (name, value) = (c"KEEPIDLE", &b"bad"[..]);
    assert_eq!((unusable.variable, unusable.value), (name, value));
    assert_eq!(env::source(option("TCP_KEEPIDLE"), getenv(&bad)), Some((name, value)));
    assert_eq!(env::source(option("TCP_KEEPIDLE"), getenv(&[])), None);
}

#[test]
fn every_option_has_its_variables() {
    for option in OPTIONS {
        for name in option.short_name.into_iter().chain([option.name]) {
            let max = option.max.to_string();
            let variables = [(name.to_str().expect("ASCII"), &*max)];
            let settings = env::settings(getenv(&variables));
            let expected = Values::new(|it| (it.name == option.name).then_some(it.max));
            assert_eq!(settings, Settings { values: expected, mode: Mode::On });
        }
    }
}

#[test]
fn the_settings_are_what_can_be_used_and_nothing_at_all_if_off() {
    let settings = |mode| {
        env::settings(getenv(&[("KEEPALIVE", mode), ("KEEPIDLE", "60"), ("TCP_SYNCNT", "5s")]))
    };
    let values = Values { idle: Some(60), ..Values::default() };
    assert_eq!(settings(" FORCE"), Settings { values, mode: Mode::Force });
    assert_eq!(settings("yes"), Settings { values, mode: Mode::On });
    assert_eq!(settings("off"), Settings { values: Values::default(), mode: Mode::Off });
}

#[test]
fn a_switch_is_1_or_0() {
    assert!(matches!(env::debug(getenv(&[("KEEPALIVE_DEBUG", "1 ")])), Ok(Some(true))));
    assert!(matches!(env::debug(getenv(&[("KEEPALIVE_DEBUG", "0")])), Ok(Some(false))));
    for text in ["2", "on", "11", "01"] {
        assert!(env::debug(getenv(&[("KEEPALIVE_DEBUG", text)])).is_err(), "{text}");
    }
}

#[test]
fn each_value_belongs_to_its_option() {
    let numbers = Values::new(|option| option.number);
    assert_eq!(Values::try_new(|option| Ok::<_, ()>(option.number)), Ok(numbers));
    assert_eq!(Values::try_new(|option| Err::<(), _>(option.name)), Err(c"TCP_KEEPCNT"));
    assert!(numbers.iter().all(|(option, number)| option.number == number));
    assert!(numbers.iter().map(|(option, _)| option.name).eq(OPTIONS.iter().map(|it| it.name)));
    assert!(numbers.zip(numbers).map(|_, (one, other)| one == other).iter().all(|(_, is)| is));
    assert!(OPTIONS.iter().all(|option| numbers.get(option) == Some(option.number)));
    let Values { count, idle, interval, user_timeout, rto_max, syn_count } = numbers;
    assert_eq!(
        [count, idle, interval, user_timeout],
        [libc::TCP_KEEPCNT, libc::TCP_KEEPIDLE, libc::TCP_KEEPINTVL, libc::TCP_USER_TIMEOUT]
    );
    assert_eq!([rto_max, syn_count], [TCP_RTO_MAX_MS, libc::TCP_SYNCNT]);
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
    let reports = [
        report(env::mode(getenv(&[("KEEPALIVE", "yes")]))),
        report(env::debug(getenv(&[("KEEPALIVE_DEBUG", "yes")]))),
    ];
    #[rustfmt::skip]
    assert_eq!(reports, [
        Some("libkeepalive: KEEPALIVE=yes: not on, off, skip or force; on applies".into()),
        Some("libkeepalive: KEEPALIVE_DEBUG=yes: not 1 or 0; sockets are not reported".into()),
    ]);
    let reports: Vec<_> = OPTIONS
        .iter()
        .filter_map(|it| report(env::value(it, |_| Some(b"x"))))
        .map(|report| report.replace("libkeepalive: ", ""))
        .collect();
    #[rustfmt::skip]
    assert_eq!(reports, [
        "KEEPCNT=x: not a whole number from 1 to 127 (probes); the system default stays",
        "KEEPIDLE=x: not a whole number from 1 to 32767 (seconds); the system default stays",
        "KEEPINTVL=x: not a whole number from 1 to 32767 (seconds); the system default stays",
        "TCP_USER_TIMEOUT=x: not a whole number from 0 to 2147483647 (milliseconds); the system default stays",
        "TCP_RTO_MAX_MS=x: not a whole number from 1000 to 120000 (milliseconds); the system default stays",
        "TCP_SYNCNT=x: not a whole number from 1 to 127 (SYN retransmissions); the system default stays",
    ]);
}

#[test]
fn the_longest_lines_have_room() {
    let value = [0xff; 1000];
    for option in OPTIONS {
        let report = report(env::value(option, |_| Some(&value))).expect("unusable");
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
