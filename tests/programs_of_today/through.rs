//! A client's request through a firewall that forgets, to a server that is silent for longer.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::bed::{Bed, FORGETS_AFTER, SERVER};
use crate::case::{Case, Role};
use crate::stage::{self, Place, Setting};
use crate::support;

/// How long the server takes for its answer, in seconds: three times what the firewall remembers.
pub const SILENCE: &str = "15";

/// How long a client is watched that has no answer, in seconds.
pub const WATCHED: u64 = 330;

/// How long a program may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What became of a request.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    Answered,
    /// As the client says it, with its own name for the error.
    Failed {
        after: Duration,
        error: String,
    },
    Hangs,
}

/// What a client is asked for, and what it says of its own limits.
pub struct Request {
    pub limits: Option<String>,
    pub outcome: Outcome,
}

/// Plays a case in a bed of its own.
pub fn ask(case: &Case, setting: Setting, fixtures: &Path) -> Request {
    assert!(SILENCE.parse().is_ok_and(|silence: u64| silence > FORGETS_AFTER.as_secs()));
    let bed = Bed::new();
    let mut client = None;
    let mut running = Vec::new();
    for party in case.parties {
        let is_client = party.role == Role::Subject;
        let end = if is_client { &bed.client } else { &bed.server };
        let directory = support::scratch("run");
        std::fs::create_dir(&directory).expect("a directory");
        let namespace = &end.namespace;
        let place =
            Place { namespace, directory: &directory, fixtures, host: SERVER, silence: SILENCE };
        if is_client {
            client = Some(running.len());
        }
        running.push(stage::start(case, party, setting, &place));
    }
    let client = &running[client.expect("a client in every case")].program;

    let mut limits = None;
    let begin = loop {
        let Some(line) = client.hear(PATIENCE) else {
            panic!("{}: no request is made: {}", case.program, stage::texts(&running));
        };
        if let Some(own) = line.strip_prefix("limits: ") {
            limits = Some(own.to_owned());
        } else if line == "asks" {
            break Instant::now();
        } else if line.starts_with("failed: ") {
            panic!("{}: {line}", case.program);
        }
    };
    loop {
        let left = Duration::from_secs(WATCHED).saturating_sub(begin.elapsed());
        let Some(line) = client.hear(left) else {
            assert!(begin.elapsed().as_secs() >= WATCHED, "{}: ends without a word", case.program);
            return Request { limits, outcome: Outcome::Hangs };
        };
        if line == "answered" {
            return Request { limits, outcome: Outcome::Answered };
        } else if let Some(error) = line.strip_prefix("failed: ") {
            let outcome = Outcome::Failed { after: begin.elapsed(), error: error.to_owned() };
            return Request { limits, outcome };
        }
    }
}
