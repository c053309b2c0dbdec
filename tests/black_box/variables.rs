//! What the environment may say, and what the library makes of it.

use std::sync::LazyLock;

use crate::support;
use crate::{SET, last_line, preloaded, preloaded_command, probe};

const SOCKET: &str = "socket AF_INET SOCK_STREAM 0 show_all";

/// What the socket has under these variables, and what was reported.
#[track_caller]
fn under(variables: &[(&str, &str)]) -> (String, String) {
    let (stdout, stderr) = support::run(&mut preloaded_command(variables, SOCKET));
    (last_line(&stdout), stderr)
}

/// What the socket has without the library.
fn default() -> String {
    static DEFAULT: LazyLock<String> = LazyLock::new(|| last_line(&probe(SOCKET)));
    DEFAULT.clone()
}

/// The default of one option on this machine.
fn default_of(option: &str) -> String {
    let default = default();
    let shown = default.split(' ').find(|shown| shown.starts_with(&format!("{option}=")));
    shown.expect("the option").to_owned()
}

struct Option {
    name: &'static str,
    short_name: &'static str,
    min: &'static str,
    max: &'static str,
    too_large: &'static str,
    /// A value that is no kernel's default.
    usual: &'static str,
    accepted: &'static str,
}

const OPTIONS: [Option; 6] = [
    Option {
        name: "TCP_KEEPCNT",
        short_name: "KEEPCNT",
        min: "1",
        max: "127",
        too_large: "128",
        usual: "77",
        accepted: "a whole number from 1 to 127 (probes)",
    },
    Option {
        name: "TCP_KEEPIDLE",
        short_name: "KEEPIDLE",
        min: "1",
        max: "32767",
        too_large: "32768",
        usual: "77",
        accepted: "a whole number from 1 to 32767 (seconds)",
    },
    Option {
        name: "TCP_KEEPINTVL",
        short_name: "KEEPINTVL",
        min: "1",
        max: "32767",
        too_large: "32768",
        usual: "77",
        accepted: "a whole number from 1 to 32767 (seconds)",
    },
    Option {
        name: "TCP_USER_TIMEOUT",
        short_name: "TCP_USER_TIMEOUT",
        min: "0",
        max: "2147483647",
        too_large: "2147483648",
        usual: "77",
        accepted: "a whole number from 0 to 2147483647 (milliseconds)",
    },
    Option {
        name: "TCP_RTO_MAX_MS",
        short_name: "TCP_RTO_MAX_MS",
        min: "1000",
        max: "120000",
        too_large: "120001",
        usual: "7700",
        accepted: "a whole number from 1000 to 120000 (milliseconds)",
    },
    Option {
        name: "TCP_SYNCNT",
        short_name: "TCP_SYNCNT",
        min: "1",
        max: "127",
        too_large: "128",
        usual: "77",
        accepted: "a whole number from 1 to 127 (SYN retransmissions)",
    },
];

/// The options that this kernel has: `TCP_RTO_MAX_MS` came with Linux 6.15.
fn known() -> impl Iterator<Item = &'static Option> {
    OPTIONS
        .iter()
        .filter(|option| default_of(option.name) != format!("{}=ENOPROTOOPT", option.name))
}

/// Every other option of this kernel's, with a value that is no default.
fn others(than: &Option) -> Vec<(&'static str, &'static str)> {
    known().filter(|other| other.name != than.name).map(|it| (it.name, it.usual)).collect()
}

/// That a socket has these.
#[track_caller]
fn has(shown: &str, values: &[(&str, &str)]) {
    for (name, value) in values {
        assert!(format!("{shown} ").contains(&format!("{name}={value} ")), "{name}: {shown}");
    }
}

#[test]
fn the_kernels_names_and_the_short_names_mean_the_same() {
    let long = [
        ("TCP_KEEPCNT", "20"),
        ("TCP_KEEPIDLE", "180"),
        ("TCP_KEEPINTVL", "60"),
        ("TCP_USER_TIMEOUT", "12345"),
    ];
    assert!(!default().starts_with(SET));
    assert!(last_line(&preloaded(&long, SOCKET)).starts_with(SET));
}

#[test]
fn the_smallest_and_the_largest_value_reach_the_socket() {
    for option in known() {
        for value in [option.min, option.max] {
            for name in [option.name, option.short_name] {
                let (shown, stderr) = under(&[(name, value)]);
                has(&shown, &[(option.name, value)]);
                assert_eq!(stderr, "");
            }
        }
    }
}

#[test]
fn leading_zeros_do_not_change_a_number() {
    assert!(under(&[("KEEPIDLE", "0000000000000180")]).0.contains("TCP_KEEPIDLE=180 "));
}

#[test]
fn an_unset_variable_leaves_the_default_of_the_kernel() {
    for option in &OPTIONS {
        let others = others(option);
        let (shown, _) = under(&others);
        assert!(shown.contains(&default_of(option.name)), "{shown}");
        has(&shown, &others);
    }
}

#[test]
fn a_value_that_cannot_be_used_is_reported_and_the_others_still_apply() {
    let malformed =
        ["abc", "5 5", "-3", "+60", "99999999999", "5.0", "0x10", "10s", "1e2", "\u{663}"];
    for option in &OPTIONS {
        for value in malformed.into_iter().chain([option.too_large]) {
            for name in [option.name, option.short_name] {
                let others = others(option);
                let mut variables = others.clone();
                variables.push((name, value));
                let (shown, stderr) = under(&variables);
                let value = value.replace('\u{663}', "\\xd9\\xa3");
                let accepted = option.accepted;
                assert_eq!(
                    stderr,
                    format!(
                        "libkeepalive: {name}={value}: not {accepted}; the system default stays\n"
                    )
                );
                assert!(shown.contains(&default_of(option.name)), "{name}={value}: {shown}");
                has(&shown, &others);
            }
        }
    }
}

#[test]
fn zero_is_reported_where_the_kernel_refuses_it() {
    for option in OPTIONS.iter().filter(|option| option.min != "0") {
        let (_, stderr) = under(&[(option.name, "0")]);
        let (name, accepted) = (option.name, option.accepted);
        assert_eq!(
            stderr,
            format!("libkeepalive: {name}=0: not {accepted}; the system default stays\n")
        );
    }
}

#[test]
fn the_short_name_wins() {
    for option in &OPTIONS[..3] {
        let (shown, stderr) = under(&[(option.name, "66"), (option.short_name, "77")]);
        assert!(shown.contains(&format!("{}=77", option.name)), "{shown}");
        assert_eq!(stderr, "");
    }
}

#[test]
fn a_bad_short_name_is_reported_and_the_default_stays_even_beside_a_good_long_name() {
    for option in &OPTIONS[..3] {
        let (shown, stderr) = under(&[(option.name, "66"), (option.short_name, "bad")]);
        assert!(shown.contains(&default_of(option.name)), "{shown}");
        assert!(stderr.starts_with(&format!("libkeepalive: {}=bad: not ", option.short_name)));
        assert_eq!(stderr.lines().count(), 1);
    }
}

#[test]
fn a_shadowed_long_name_is_not_looked_at() {
    for option in &OPTIONS[..3] {
        let (shown, stderr) = under(&[(option.name, "bad"), (option.short_name, "77")]);
        assert!(shown.contains(&format!("{}=77", option.name)), "{shown}");
        assert_eq!(stderr, "");
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let on = default().replace("SO_KEEPALIVE=0", "SO_KEEPALIVE=1");
    for name in support::VARIABLES {
        for empty in ["", " ", " \t\r\n"] {
            assert_eq!(under(&[(name, empty)]), (on.clone(), String::new()), "{name}={empty:?}");
        }
    }
}

#[test]
fn beside_an_empty_short_name_the_kernels_name_counts() {
    for option in &OPTIONS[..3] {
        for empty in ["", " "] {
            let (shown, stderr) = under(&[(option.short_name, empty), (option.name, option.usual)]);
            has(&shown, &[(option.name, option.usual)]);
            assert_eq!(stderr, "");
        }
    }
}

#[test]
fn blanks_around_a_value_are_ignored() {
    let around = |value: &str| [" \t\r\n", "", " "].map(|it| format!("{it}{value}{it}\r\n"));
    for option in known() {
        for value in around(option.usual) {
            let (shown, stderr) = under(&[(option.name, &value)]);
            has(&shown, &[(option.name, option.usual)]);
            assert_eq!(stderr, "");
        }
    }
    for value in around("Off") {
        assert_eq!(under(&[("KEEPALIVE", &value)]), (default(), String::new()));
    }
    for value in around("1") {
        assert!(under(&[("KEEPALIVE_DEBUG", &value)]).1.contains("SO_KEEPALIVE=1"), "{value:?}");
    }
    let (_, stderr) = under(&[("KEEPIDLE", " abc\r")]);
    assert!(stderr.starts_with("libkeepalive: KEEPIDLE=abc: not "), "{stderr}");
}

/// Before Linux 6.15 there is no `TCP_RTO_MAX_MS`, and MPTCP refuses it everywhere.
#[test]
fn an_option_that_the_kernel_refuses_leaves_the_others_alone() {
    let script = "socket AF_INET SOCK_STREAM IPPROTO_MPTCP";
    if probe(script) == "socket = 3\n" {
        let script = format!("{script} show");
        let shown = preloaded(&[("TCP_RTO_MAX_MS", "7700"), ("KEEPIDLE", "77")], &script);
        assert!(shown.contains("SO_KEEPALIVE=1 "), "{shown}");
        has(&last_line(&shown), &[("TCP_KEEPIDLE", "77")]);
    }
}

/// Of use to connect(2) only if it is there before.
#[test]
fn every_option_is_set_at_connect_and_accept_too() {
    let script = "raw_socket AF_INET SOCK_STREAM 0 listen raw_socket AF_INET SOCK_STREAM 0 \
                  connect show_all accept show_all";
    let values: Vec<_> = known().map(|option| (option.name, option.usual)).collect();
    let shown = preloaded(&values, script);
    for line in shown.lines().filter(|line| line.starts_with("SO_KEEPALIVE")) {
        has(line, &values);
    }
    assert_eq!(shown.matches("SO_KEEPALIVE=1").count(), 2, "{shown}");
}

#[test]
fn under_force_every_option_is_put_back() {
    for option in known() {
        let script =
            format!("socket AF_INET SOCK_STREAM 0 set {} {} show_all", option.name, option.max);
        let variables = [("KEEPALIVE", "force"), (option.name, option.usual)];
        has(&last_line(&preloaded(&variables, &script)), &variables[1..]);
        has(&last_line(&preloaded(&variables[1..], &script)), &[(option.name, option.max)]);
    }
}

#[test]
fn an_unknown_mode_is_reported_and_on_applies() {
    for mode in ["maybe", "1", "o n", "offf", "o", "forced"] {
        let (shown, stderr) = under(&[("KEEPALIVE", mode)]);
        let report =
            format!("libkeepalive: KEEPALIVE={mode}: not on, off, skip or force; on applies\n");
        assert_eq!(stderr, report);
        assert!(shown.contains("SO_KEEPALIVE=1"), "{shown}");
    }
}

#[test]
fn debug_takes_one_and_zero_and_nothing_else() {
    assert_eq!(under(&[("KEEPALIVE_DEBUG", "0")]).1, "");
    for value in ["2", "yes", "11", "00", "01"] {
        let (shown, stderr) = under(&[("KEEPALIVE_DEBUG", value)]);
        let report = format!(
            "libkeepalive: KEEPALIVE_DEBUG={value}: not 1 or 0; sockets are not reported\n"
        );
        assert_eq!(stderr, report);
        assert!(shown.contains("SO_KEEPALIVE=1"), "{shown}");
    }
}

#[test]
fn every_value_that_cannot_be_used_is_reported_once() {
    let variables = [
        ("KEEPALIVE", "a"),
        ("KEEPCNT", "b"),
        ("KEEPIDLE", "c"),
        ("KEEPINTVL", "d"),
        ("TCP_USER_TIMEOUT", "e"),
        ("TCP_RTO_MAX_MS", "f"),
        ("TCP_SYNCNT", "g"),
        ("KEEPALIVE_DEBUG", "h"),
    ];
    let (_, stderr) = under(&variables);
    let reported: Vec<_> =
        stderr.lines().filter_map(|line| line.split(": ").nth(1)).map(str::to_owned).collect();
    let expected: Vec<_> =
        variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(reported, expected);
}

#[test]
fn under_off_nothing_is_reported() {
    let variables = [("KEEPALIVE", "Off"), ("KEEPCNT", "b"), ("KEEPALIVE_DEBUG", "f")];
    assert_eq!(under(&variables), (default(), String::new()));
}
