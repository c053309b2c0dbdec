//! Hostile hosts: what programs do that a guest in them could trip over. Each program of
//! tests/hosts that is used here makes one such situation, looks at every result of its own,
//! and prints what came of it; it is first run without the library, to see that it can tell.

#[path = "../support/mod.rs"]
mod support;

mod cancellation;
mod constructors;
mod descriptors;
mod loader;
mod privileges;
mod sandbox;
mod sanitizers;
mod signals;
mod system_wide;
mod threads;

use std::ffi::OsStr;
use std::process::Command;

/// What the programs are started with (tests/hosts/check.h knows it too).
const VALUES: [(&str, &str); 3] = [("KEEPCNT", "20"), ("KEEPIDLE", "180"), ("KEEPINTVL", "60")];

/// The options of a socket that has been given [`VALUES`].
const SERVED: &str = "SO_KEEPALIVE=1 TCP_KEEPCNT=20 TCP_KEEPIDLE=180 TCP_KEEPINTVL=60";

/// The options of a socket that has been left alone: this machine's defaults.
fn unserved() -> String {
    let mut probe = support::bare(support::host("probe"));
    let shown = support::stdout(probe.args(["socket", "AF_INET", "SOCK_STREAM", "0", "show"]));
    let shown = shown.lines().last().and_then(|shown| shown.split_once(" TCP_USER_TIMEOUT"));
    let (unserved, _) = shown.expect("the options of a socket");
    assert!(unserved.starts_with("SO_KEEPALIVE=0 "), "{unserved}");
    unserved.to_owned()
}

/// What `probe socket AF_INET SOCK_STREAM 0 show` prints of a socket with these options.
fn probed(options: &str) -> String {
    format!("socket = 3\n{options} TCP_USER_TIMEOUT=0\n")
}

/// A program without the library.
fn without(program: impl AsRef<OsStr>) -> Command {
    let mut command = support::bare(program);
    command.envs(VALUES);
    command
}

/// A program with the library and [`VALUES`].
fn with(program: impl AsRef<OsStr>) -> Command {
    let mut command = support::preloaded(program);
    command.envs(VALUES);
    command
}

/// The number that follows `name=` in what a program printed.
#[track_caller]
fn figure(text: &str, name: &str) -> u64 {
    text.split_whitespace()
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {text:?}"))
}
