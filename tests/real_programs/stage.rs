//! One run of a case: its programs in a network namespace of their own, and what the socket in
//! question shows.

// Each suite uses what it needs.
#![allow(dead_code)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::case::{Case, Party, Role, Watched};
use crate::support;
use crate::support::group::{Group, root, unique};
use crate::support::namespace::Namespace;
use crate::support::outside::{self, State, TcpSocket, Values};
use crate::support::running::{Running, wait_until};
use crate::trace;

/// How long programs may take to start or connect on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks of `keepalive attach --follow`.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// strace(1)'s file, in the run's directory.
const TRACE: &str = "trace";

/// What runs in front of the program in question, or beside it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Setting {
    /// strace(1): what the program sets itself.
    Traced,
    NoLibrary,
    /// The library, by its variables.
    On,
    Force,
    /// `keepalive run`, with options.
    Run(&'static str),
    /// `keepalive attach --follow`, with options.
    Followed(&'static str),
    /// `keepalive cover`, with options, on a control group that the program begins in.
    Covered(&'static str),
}

impl Setting {
    fn variables(self) -> Option<[(&'static str, &'static str); 5]> {
        let mode = match self {
            Self::On => "on",
            Self::Force => "force",
            _ => return None,
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

/// Where a program runs.
pub struct Place<'a> {
    pub namespace: &'a Namespace,
    /// Its current directory, the run's own.
    pub directory: &'a Path,
    pub fixtures: &'a Path,
    /// `$HOST`: the server's address.
    pub host: &'static str,
    /// `$SILENCE`: how long a server that is to be silent takes for an answer, in seconds.
    pub silence: &'static str,
}

/// Runs a case; the cell of the table.
pub fn play(case: &Case, setting: Setting, fixtures: &Path) -> String {
    let directory = support::scratch("run");
    std::fs::create_dir(&directory).expect("a directory");
    let namespace = Namespace::new("programs");
    let place = Place {
        namespace: &namespace,
        directory: &directory,
        fixtures,
        host: "127.0.0.1",
        silence: "3600",
    };
    let mut running = Vec::new();
    for party in case.parties {
        running.push(start(case, party, setting, &place));
    }
    let settled_after = match setting {
        Setting::Followed(_) => LONGEST_PAUSE + Duration::from_secs(3),
        _ => Duration::from_millis(300),
    };
    let found = settled_values(&namespace, case.watched, settled_after);
    if found.is_empty() {
        panic!("{}, {}: no connection: {}", case.program, case.socket, texts(&running));
    }
    if setting == Setting::Traced {
        // Ended, so that the trace is whole.
        drop(running);
        drop(namespace);
        let lines = std::fs::read_to_string(directory.join(TRACE)).expect("strace's file");
        return trace::calls(&lines, case.watched);
    }
    // What a control group holds has to end before it can be removed.
    namespace.end_programs();
    found.iter().map(Values::to_string).collect::<Vec<_>>().join(" and ")
}

/// A party of a case, running.
pub struct Started {
    pub program: Running,
    /// What follows it.
    _follower: Option<Running>,
    /// What it is in, to be removed after it has ended.
    _group: Option<Group>,
}

/// Starts a party of a case, and waits until it listens if it is to.
pub fn start(case: &Case, party: &Party, setting: Setting, place: &Place) -> Started {
    let setting = if party.role == Role::Subject { setting } else { Setting::NoLibrary };
    let mut command = command(party, setting, place);
    let mut group = None;
    if let Setting::Covered(options) = setting {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let covered = Group::new(&root(), &unique(&format!("stage-{number}")));
        let mut cover = support::bare(support::built_command());
        support::run(cover.arg("cover").args(options.split(' ')).arg(&covered.0));
        command = covered.with(&command);
        group = Some(covered);
    }
    let mut program = Running::start(&mut command);
    if !party.says.is_empty() {
        program.say(party.says);
    }
    let mut follower = None;
    if let Setting::Followed(options) = setting {
        let keepalive = support::built_command();
        let keepalive = keepalive.to_str().expect("a path in UTF-8");
        let mut follow = place.namespace.command(keepalive, None);
        follow.args(["attach", "--follow"]).args(options.split(' '));
        follower = Some(Running::start(follow.arg(program.pid().to_string())));
    }
    let started = Started { program, _follower: follower, _group: group };
    if let Some(port) = party.listens {
        let listens =
            || sockets(place.namespace).iter().any(|(_, socket)| is_listener(socket, port));
        if !wait_until(PATIENCE, listens) {
            panic!("{}: nobody listens at {port}: {}", case.program, texts(&[started]));
        }
    }
    started
}

/// A shell that becomes the party's program, under strace(1) or the library. `$RUN` is what a
/// subject's command puts in front of the program itself.
fn command(party: &Party, setting: Setting, place: &Place) -> Command {
    let variables = setting.variables();
    let settings = variables.as_ref().map(|variables| variables.as_slice());
    let mut command;
    if setting == Setting::Traced {
        command = place.namespace.command("strace", None);
        command.args(["--follow-forks", "--decode-fds=all", "--trace=setsockopt", "--seccomp-bpf"]);
        command.arg("--output").arg(place.directory.join(TRACE)).args(["sh", "-c"]);
    } else {
        command = place.namespace.command("sh", settings);
        command.arg("-c");
    }
    command.arg(party.command).current_dir(place.directory);
    // Nothing of the user's own.
    command.env("HOME", "/nonexistent").env("LC_ALL", "C.UTF-8");
    command.env("FIXTURES", place.fixtures).env("DIRECTORY", place.directory);
    command.env("HOST", place.host).env("SILENCE", place.silence).env("RUN", "");
    if let Setting::Run(options) = setting {
        let (keepalive, library) = (support::built_command(), support::built_library());
        let run = format!("{} run --library {} {options}", keepalive.display(), library.display());
        command.env("RUN", run);
    }
    command
}

/// The values of the sockets in question, once they stay the same for so long.
fn settled_values(
    namespace: &Namespace,
    watched: Watched,
    settled_after: Duration,
) -> BTreeSet<Values> {
    let look = || -> BTreeSet<Values> {
        let matching = sockets(namespace).into_iter().filter(|(name, socket)| {
            name == watched.name && watched.is_this(socket) && socket.state == State::Established
        });
        matching.map(|(_, socket)| socket.values).collect()
    };
    let mut found = BTreeSet::new();
    let mut since = Instant::now();
    wait_until(PATIENCE, || {
        let now = look();
        if now != found {
            found = now;
            since = Instant::now();
        }
        !found.is_empty() && since.elapsed() >= settled_after
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
pub fn texts(running: &[Started]) -> String {
    let lines = |started: &Started| -> Vec<String> {
        std::iter::from_fn(|| started.program.hear(Duration::ZERO)).collect()
    };
    running.iter().flat_map(lines).collect::<Vec<_>>().join("\n")
}
