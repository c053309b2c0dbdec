//! One run of a case: its programs in a network namespace of their own, and what the socket in
//! question shows.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::cases::{Case, Party, Role, Watched};
use crate::covered::Group;
use crate::support;
use crate::support::namespace::Namespace;
use crate::support::outside::{self, State, TcpSocket, Values};
use crate::support::running::{Running, wait_until};
use crate::trace;

/// How long programs may take to start or connect on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What runs in front of the program in question.
#[derive(Clone, Copy, PartialEq)]
pub enum Setting {
    /// strace(1): what the program sets itself.
    Traced,
    NoLibrary,
    On,
    Force,
    /// No library, but `keepalive cover`.
    Covered,
    /// `keepalive cover --force`.
    CoveredByForce,
}

impl Setting {
    fn variables(self) -> Option<[(&'static str, &'static str); 5]> {
        let mode = match self {
            Self::Traced | Self::NoLibrary | Self::Covered | Self::CoveredByForce => return None,
            Self::On => "on",
            Self::Force => "force",
        };
        Some([
            ("KEEPALIVE", mode),
            ("KEEPIDLE", "180"),
            ("KEEPINTVL", "60"),
            ("KEEPCNT", "20"),
            ("TCP_USER_TIMEOUT", "1380000"),
        ])
    }
}

/// Runs a case; the cell of the table.
pub fn play(case: &Case, setting: Setting, fixtures: &Path) -> String {
    let directory = support::scratch("run");
    std::fs::create_dir(&directory).expect("a directory");
    let namespace = Namespace::new("programs");
    let trace = directory.join("trace");
    let group = match setting {
        Setting::Covered => Some(Group::new("")),
        Setting::CoveredByForce => Some(Group::new("--force")),
        _ => None,
    };
    let mut running = Vec::new();
    for party in case.parties {
        let is_subject = party.role == Role::Subject;
        let setting = if is_subject { setting } else { Setting::NoLibrary };
        let mut command = command(&namespace, party, setting, &trace);
        if let Some(group) = group.as_ref().filter(|_| is_subject) {
            command = group.inside(&command);
        }
        command.current_dir(&directory).env("FIXTURES", fixtures).env("DIRECTORY", &directory);
        let mut program = Running::start(&mut command);
        if !party.says.is_empty() {
            program.say(party.says);
        }
        running.push(program);
        if let Some(port) = party.listens {
            let listens =
                || sockets(&namespace).iter().any(|(_, socket)| is_listener(socket, port));
            if !wait_until(PATIENCE, listens) {
                panic!("{}: nobody listens at {port}: {}", case.program, texts(&running));
            }
        }
    }
    let found = settled_values(&namespace, case.watched);
    if found.is_empty() {
        panic!("{}, {}: no connection: {}", case.program, case.socket, texts(&running));
    }
    if setting == Setting::Traced {
        // Ended, so that the trace is whole.
        drop(running);
        drop(namespace);
        let lines = std::fs::read_to_string(&trace).expect("strace's file");
        return trace::calls(&lines, case.watched);
    }
    found.iter().map(Values::to_string).collect::<Vec<_>>().join(" and ")
}

/// A shell that becomes the party's program, under strace(1) or the library.
fn command(namespace: &Namespace, party: &Party, setting: Setting, trace: &Path) -> Command {
    let variables = setting.variables();
    let settings = variables.as_ref().map(|variables| variables.as_slice());
    let mut command;
    if setting == Setting::Traced {
        command = namespace.command("strace", None);
        command.args(["--follow-forks", "--decode-fds=all", "--trace=setsockopt", "--seccomp-bpf"]);
        command.arg("--output").arg(trace).args(["sh", "-c"]);
    } else {
        command = namespace.command("sh", settings);
        command.arg("-c");
    }
    command.arg(party.command);
    // Nothing of the user's own.
    command.env("HOME", "/nonexistent").env("LC_ALL", "C.UTF-8");
    command
}

/// The values of the sockets in question, once they stay the same.
fn settled_values(namespace: &Namespace, watched: Watched) -> BTreeSet<Values> {
    let look = || -> BTreeSet<Values> {
        let matching = sockets(namespace).into_iter().filter(|(name, socket)| {
            name == watched.name && watched.is_this(socket) && socket.state == State::Established
        });
        matching.map(|(_, socket)| socket.values).collect()
    };
    let mut found = BTreeSet::new();
    wait_until(PATIENCE, || {
        let before = std::mem::replace(&mut found, look());
        std::thread::sleep(Duration::from_millis(300));
        !found.is_empty() && before == found
    });
    found
}

/// Every TCP socket of a namespace, with the name of the process.
fn sockets(namespace: &Namespace) -> Vec<(String, TcpSocket)> {
    let of_process = |pid| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let named = move |socket| (name.trim_end().to_owned(), socket);
        outside::tcp_sockets(pid).into_iter().map(named)
    };
    namespace.pids().into_iter().flat_map(of_process).collect()
}

fn is_listener(socket: &TcpSocket, port: u16) -> bool {
    socket.state == State::Listen && socket.local.is_some_and(|address| address.port() == port)
}

/// What the programs wrote, for a failure.
fn texts(running: &[Running]) -> String {
    let lines = |program: &Running| -> Vec<String> {
        std::iter::from_fn(|| program.hear(Duration::ZERO)).collect()
    };
    running.iter().flat_map(lines).collect::<Vec<_>>().join("\n")
}
