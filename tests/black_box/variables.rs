//! What the environment may say, and what the library makes of it.

use crate::support;
use crate::{SET, default, last_line, preloaded, preloaded_command, probe};

const SOCKET: &str = "socket AF_INET SOCK_STREAM 0 show";

/// What the socket has under these variables, and what was reported.
#[track_caller]
fn under(variables: &[(&str, &str)]) -> (String, String) {
    let (stdout, stderr) = support::run(&mut preloaded_command(variables, SOCKET));
    (last_line(&stdout), stderr)
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
    accepted: &'static str,
}

const OPTIONS: [Option; 4] = [
    Option {
        name: "TCP_KEEPCNT",
        short_name: "KEEPCNT",
        min: "1",
        max: "127",
        too_large: "128",
        accepted: "a whole number from 1 to 127 (probes)",
    },
    Option {
        name: "TCP_KEEPIDLE",
        short_name: "KEEPIDLE",
        min: "1",
        max: "32767",
        too_large: "32768",
        accepted: "a whole number from 1 to 32767 (seconds)",
    },
    Option {
        name: "TCP_KEEPINTVL",
        short_name: "KEEPINTVL",
        min: "1",
        max: "32767",
        too_large: "32768",
        accepted: "a whole number from 1 to 32767 (seconds)",
    },
    Option {
        name: "TCP_USER_TIMEOUT",
        short_name: "TCP_USER_TIMEOUT",
        min: "0",
        max: "2147483647",
        too_large: "2147483648",
        accepted: "a whole number from 0 to 2147483647 (milliseconds)",
    },
];

#[test]
fn the_kernels_names_and_the_short_names_mean_the_same() {
    let long = [
        ("TCP_KEEPCNT", "20"),
        ("TCP_KEEPIDLE", "180"),
        ("TCP_KEEPINTVL", "60"),
        ("TCP_USER_TIMEOUT", "12345"),
    ];
    assert_ne!(last_line(&probe(SOCKET)), SET);
    assert_eq!(last_line(&preloaded(&long, SOCKET)), SET);
}

#[test]
fn the_smallest_and_the_largest_value_reach_the_socket() {
    for option in &OPTIONS {
        for value in [option.min, option.max] {
            for name in [option.name, option.short_name] {
                let (shown, stderr) = under(&[(name, value)]);
                assert!(shown.contains(&format!("{}={value}", option.name)), "{name}: {shown}");
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
        let others = OPTIONS.iter().filter(|other| other.name != option.name);
        let variables: Vec<_> = others.map(|other| (other.name, "77")).collect();
        let (shown, _) = under(&variables);
        assert!(shown.contains(&default_of(option.name)), "{shown}");
        assert_eq!(shown.matches("=77").count(), 3, "{shown}");
    }
}

#[test]
fn a_value_that_cannot_be_used_is_reported_and_the_others_still_apply() {
    let malformed =
        ["", "abc", " 5", "5 ", "-3", "+3", "99999999999", "5.0", "0x10", "5s", "1e2", "\u{663}"];
    for option in &OPTIONS {
        for value in malformed.into_iter().chain([option.too_large]) {
            for name in [option.name, option.short_name] {
                let others = OPTIONS.iter().filter(|other| other.name != option.name);
                let mut variables: Vec<_> = others.map(|other| (other.name, "77")).collect();
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
                assert_eq!(shown.matches("=77").count(), 3, "{name}={value}: {shown}");
            }
        }
    }
}

#[test]
fn zero_is_reported_where_the_kernel_refuses_it() {
    for option in &OPTIONS[..3] {
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
fn an_unknown_mode_is_reported_and_on_applies() {
    for mode in ["", "maybe", "1", "on ", "offf", "o", "forced"] {
        let (shown, stderr) = under(&[("KEEPALIVE", mode)]);
        let report =
            format!("libkeepalive: KEEPALIVE={mode}: not on, off, skip or force; on applies\n");
        assert_eq!(stderr, report);
        assert!(shown.contains("SO_KEEPALIVE=1"), "{shown}");
    }
}

#[test]
fn debug_takes_one_and_nothing_else() {
    for value in ["", "0", "2", "yes", "11"] {
        let (shown, stderr) = under(&[("KEEPALIVE_DEBUG", value)]);
        let report =
            format!("libkeepalive: KEEPALIVE_DEBUG={value}: not 1; sockets are not reported\n");
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
        ("KEEPALIVE_DEBUG", "f"),
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
