//! `keepalive run` beside an environment: what the program gets, and what is said about it.

use std::process::Command;

use crate::support::{self, run};
use crate::{failure, keepalive_run};

#[test]
fn every_entry_is_passed_on_untouched() {
    let host = support::host("environment");
    let shown = |through: &Command| {
        let mut command = support::bare(&host);
        command.arg(through.get_program()).args(through.get_args());
        let (stdout, _) = support::texts(&support::finish(&mut command));
        stdout
    };
    let mut with = keepalive_run("");
    with.arg(&host);
    let (with, without) = (shown(&with), shown(&Command::new(&host)));
    assert!(without.contains("\nno equals sign\n\n=no name\nTWICE=2\n"), "{without}");
    let others = |text: &str| {
        let ours = ["KEEPCNT=127", "KEEPIDLE=45", "KEEPINTVL=45"];
        let is_ours = |line: &&str| line.starts_with("LD_PRELOAD=") || ours.contains(line);
        let lines = text.lines().filter(|line| !is_ours(line));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(others(&with), others(&without));
    // Of two entries ld.so(8) takes the last.
    let preloads: Vec<_> = with.lines().filter(|line| line.starts_with("LD_PRELOAD=")).collect();
    assert_eq!(preloads, [format!("LD_PRELOAD={}", support::built_library().display())]);
}

/// What `run` says, and what the program has of our variables.
fn with(variables: &[(&str, &str)], arguments: &str) -> (Vec<String>, String) {
    let mut command = keepalive_run(arguments);
    command.envs(variables.iter().copied());
    let (stdout, stderr) = run(command.args(["sh", "-c", "env | grep -a KEEP | sort"]));
    (stderr.lines().map(str::to_owned).collect(), stdout.replace('\n', " ").trim().into())
}

#[test]
fn a_bad_value_is_reported_once_and_not_passed_on() {
    let variables = [
        ("KEEPALIVE", "maybe"),
        ("KEEPIDLE", "abc"),
        ("TCP_KEEPINTVL", "5s\u{9b}31m"),
        ("KEEPCNT", "7"),
        ("KEEPALIVE_DEBUG", "yes"),
    ];
    let (said, passed) = with(&variables, "");
    let [mode, idle, interval, debug] = &said[..] else { panic!("{said:#?}") };
    assert_eq!(mode, "keepalive: KEEPALIVE=maybe: not on, off, skip or force; on applies");
    assert_eq!(
        idle,
        "keepalive: KEEPIDLE=abc: not a whole number from 1 to 32767 (seconds); the system \
         default stays"
    );
    assert!(interval.starts_with(r"keepalive: TCP_KEEPINTVL=5s\xc2\x9b31m: not"), "{interval}");
    assert!(debug.starts_with("keepalive: KEEPALIVE_DEBUG=yes: not "), "{debug}");
    assert_eq!(passed, "KEEPCNT=7");
}

#[test]
fn a_bad_short_name_does_not_let_the_other_name_in() {
    let variables = [("KEEPIDLE", "abc"), ("TCP_KEEPIDLE", "60")];
    let (said, passed) = with(&variables, "");
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_eq!(passed, "KEEPCNT=127 KEEPINTVL=45");
    // What an option replaces is nobody's concern, nor what a good short name hides.
    let passed = "KEEPCNT=127 KEEPIDLE=90 KEEPINTVL=45 TCP_KEEPIDLE=60";
    assert_eq!(with(&variables, "--idle 90"), (vec![], passed.into()));
    let hidden = [("KEEPIDLE", "60"), ("TCP_KEEPIDLE", "abc"), ("KEEPALIVE", "nonsense")];
    let passed = "KEEPALIVE=skip KEEPCNT=127 KEEPIDLE=60 KEEPINTVL=45 TCP_KEEPIDLE=abc";
    assert_eq!(with(&hidden, "--skip"), (vec![], passed.into()));
}

/// What holds for data in flight where nobody has chosen anything.
const IN_FLIGHT: &str = "unacknowledged data: kernel retransmits for about 15m 24s";

/// The line of `--verbose`, without the library.
#[track_caller]
fn verbose(variables: &[(&str, &str)], arguments: &str) -> String {
    let (said, _) = with(variables, &format!("--verbose {arguments}"));
    let library = format!("; library {}", support::built_library().display());
    let line = said.iter().find_map(|line| line.strip_suffix(&library));
    let line = line.and_then(|line| line.strip_prefix("keepalive: "));
    line.unwrap_or_else(|| panic!("{said:#?}")).to_owned()
}

/// The kernel's defaults.
fn kernel(name: &str) -> u32 {
    let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/tcp_keepalive_{name}"));
    text.expect("a default").trim().parse().expect("a number")
}

#[test]
fn verbose_says_what_will_hold_and_where_it_comes_from() {
    assert_eq!(kernel("time"), 7200, "the words below are for the usual defaults");
    let rest = format!("then every 45s, dead after 127 unanswered, {IN_FLIGHT}");
    assert_eq!(verbose(&[], ""), format!("first probe after 45s idle, {rest}"));
    assert_eq!(
        verbose(&[("KEEPIDLE", "x"), ("KEEPINTVL", "x"), ("KEEPCNT", "x")], ""),
        format!(
            "first probe after 2h idle (kernel), then every {}s (kernel), dead after {} unanswered \
             (kernel), {IN_FLIGHT}",
            kernel("intvl"),
            kernel("probes")
        )
    );
    assert_eq!(
        verbose(&[("KEEPIDLE", "99")], ""),
        format!("first probe after 99s idle (KEEPIDLE), {rest}")
    );
    assert_eq!(
        verbose(&[("TCP_KEEPIDLE", " 99\r"), ("KEEPIDLE", "")], ""),
        format!("first probe after 99s idle (TCP_KEEPIDLE), {rest}")
    );
    let variables = [("KEEPIDLE", "7"), ("KEEPINTVL", "8"), ("TCP_USER_TIMEOUT", "1380000")];
    assert_eq!(
        verbose(&variables, "--idle 60 --count 127"),
        "first probe after 60s idle, then every 8s (KEEPINTVL), dead after 165 unanswered (the \
         user timeout decides, not the count of 127), unacknowledged data ends the connection after 23m, \
         also if the peer lives (TCP_USER_TIMEOUT)"
    );
    assert_eq!(
        verbose(&[("KEEPALIVE", "skip"), ("KEEPIDLE", "9")], "--idle 60 --interval 9 --count 3"),
        format!(
            "times only, the program decides whether keepalive is on (KEEPALIVE), first probe \
             after 60s idle, then every 9s, dead after 3 unanswered, {IN_FLIGHT}"
        )
    );
    assert_eq!(
        verbose(&[("KEEPALIVE", "Force")], "--idle 60 --interval 9 --count 3"),
        format!(
            "over what the program sets (KEEPALIVE), first probe after 60s idle, then every 9s, \
             dead after 3 unanswered, {IN_FLIGHT}"
        )
    );
    assert!(
        verbose(&[("KEEPALIVE", "off")], "--force").starts_with("over what the program sets, ")
    );
}

#[test]
fn a_user_timeout_that_decides_is_named_as_what_decides() {
    // tests/firewall has the times: 2/1/3 with 5 s ends as with a count of 3.
    let words = verbose(&[], "--idle 10 --interval 10 --count 100 --user-timeout 35");
    assert!(
        words.contains("dead after 3 unanswered (the user timeout decides, not the count of 100)"),
        "{words}"
    );
    let words = verbose(&[], "--idle 10 --interval 10 --count 3 --user-timeout 40");
    assert!(words.contains("dead after 3 unanswered, "), "{words}");
    let words = verbose(&[], "--idle 10 --interval 10 --count 3 --user-timeout 0");
    assert!(words.contains(&format!("dead after 3 unanswered, {IN_FLIGHT}")), "{words}");
    let words = verbose(&[], "--idle 10 --interval 10 --count 3 --user-timeout 5");
    assert!(
        words.contains("dead after 1 unanswered (the user timeout decides, not the count of 3)"),
        "{words}"
    );
}

#[test]
fn times_that_are_too_late_are_remarked_on() {
    for (variables, arguments, remark) in [
        (&[][..], "--verbose --dead-after 20h", "many firewalls forget after 5–30 min"),
        (&[], "--verbose --dead-after 15m", "some load balancers forget after 4 min"),
        (&[("KEEPIDLE", "7200")], "--verbose", "many firewalls forget after 5–30 min"),
        (&[("KEEPIDLE", "abc")], "--verbose", "many firewalls forget after 5–30 min"),
        (&[], "--verbose --interval 30m", "one probe only every 30m may be too late"),
    ] {
        let (said, _) = with(variables, arguments);
        let found = said.iter().any(|line| line.contains(remark));
        assert!(found, "{arguments}: {said:#?}");
    }
    for (idle, lines) in [(200, 1), (201, 2)] {
        let (said, _) = with(&[], &format!("--verbose --idle {idle}"));
        assert_eq!(said.len(), lines, "{said:#?}");
    }
    assert_eq!(with(&[], "--dead-after 20h").0, <[String; 0]>::default());
}

#[test]
fn a_user_timeout_in_milliseconds_by_mistake_is_remarked_on() {
    let (said, passed) = with(&[], "--user-timeout 1380000");
    assert_eq!(
        said,
        [
            "keepalive: --user-timeout: sent data may stay unacknowledged for 15days 23h 20m, longer \
          than the kernel itself waits; a number is seconds, milliseconds are written 1380000ms"
        ]
    );
    assert_eq!(passed, "KEEPCNT=127 KEEPIDLE=45 KEEPINTVL=45");
    assert_eq!(with(&[], "--user-timeout 1380000ms").0, <[String; 0]>::default());
    let (status, stderr) = failure(&mut crate::keepalive("attach --user-timeout 1380000 no-such"));
    assert!(status == 1 && stderr.contains("written 1380000ms"), "{stderr}");
}
