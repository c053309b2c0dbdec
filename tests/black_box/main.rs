//! Every promise of the library, seen from outside: programs that know nothing of it run with the
//! very file that ships in front of them.

#[path = "../support/mod.rs"]
mod support;

mod budget;
mod chaining;
mod errors;
mod examples;
mod file;
mod last_word;
mod manual;
mod report;
mod second_chance;
mod sockets;
mod variables;

use std::process::{Command, Stdio};

/// The settings that most tests use; no kernel has such defaults.
const SETTINGS: [(&str, &str); 4] =
    [("KEEPCNT", "20"), ("KEEPIDLE", "180"), ("KEEPINTVL", "60"), ("TCP_USER_TIMEOUT", "12345")];

/// What `show` of tests/hosts/probe.c prints of a socket with [`SETTINGS`].
const SET: &str = "SO_KEEPALIVE=1 TCP_KEEPCNT=20 TCP_KEEPIDLE=180 TCP_KEEPINTVL=60 \
                   TCP_USER_TIMEOUT=12345";

/// What it prints of one that has nothing: this machine's defaults.
fn default() -> String {
    let shown = last_line(&probe("socket AF_INET SOCK_STREAM 0 show"));
    assert!(shown.starts_with("SO_KEEPALIVE=0 "), "without the library: {shown}");
    shown
}

/// What it prints of one on which only SO_KEEPALIVE was set.
fn only_on() -> String {
    default().replace("SO_KEEPALIVE=0", "SO_KEEPALIVE=1")
}

/// The probe with nothing in front, making these calls.
fn probe_command(script: &str) -> Command {
    let mut command = support::bare(support::host("probe"));
    command.args(script.split_whitespace());
    command
}

/// What the probe prints of these calls without the library.
#[track_caller]
fn probe(script: &str) -> String {
    support::stdout(&mut probe_command(script))
}

/// The probe behind the library with these variables, making these calls.
fn preloaded_command(variables: &[(&str, &str)], script: &str) -> Command {
    let mut command = support::preloaded(support::host("probe"));
    command.envs(variables.iter().copied()).args(script.split_whitespace());
    command
}

/// What the probe prints of these calls behind the library, which itself says nothing.
#[track_caller]
fn preloaded(variables: &[(&str, &str)], script: &str) -> String {
    support::stdout(&mut preloaded_command(variables, script))
}

/// What the library reports of these calls, with `number` for the number of the process.
#[track_caller]
fn reported(variables: &[(&str, &str)], script: &str, number: &str) -> String {
    let mut command = preloaded_command(variables, script);
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let process = command.spawn().expect("the probe");
    let own = format!("libkeepalive[{}]: ", process.id());
    let output = process.wait_with_output().expect("its end");
    assert!(output.status.success(), "{command:?}: {}", output.status);
    support::texts(&output).1.replace(&own, &format!("libkeepalive[{number}]: "))
}

/// [`SETTINGS`] and these variables.
fn settings_and<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    SETTINGS.iter().chain(more).copied().collect()
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().to_owned()
}
