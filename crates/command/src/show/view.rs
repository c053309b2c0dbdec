//! What is shown of what was found, and judged: the same for every form of the output.

use std::net::SocketAddr;

use super::collect::Collected;
use super::verdict::Verdict;
use crate::bpf::Cover;
use crate::judge::Judged;
use crate::process::{Inspected, Socket, State};
use crate::request::Show;
use crate::settings::Settings;
use crate::text::count;
use crate::values::Values;

/// What is shown.
pub struct View<'a> {
    /// The kernel's defaults in this network namespace, if they can be read.
    pub defaults: Option<Values<u32>>,
    /// The processes.
    pub processes: Vec<Shown<'a>>,
    /// How many processes may not be looked into.
    pub not_inspected: usize,
    /// What one of the sockets is called.
    pub noun: &'static str,
    /// How the sockets are, including those that `--problems` does not show.
    verdict: Verdict,
    /// How many processes these sockets belong to.
    processes_counted: usize,
    /// How many of these processes have unknown sockets.
    processes_unknown: usize,
}

/// A process, with the sockets of it that are shown.
pub struct Shown<'a> {
    pub process: &'a Inspected,
    /// Its covers, the innermost first; None if they are unknown.
    pub covers: Option<&'a [Cover]>,
    /// None if they are unknown.
    pub sockets: Option<Vec<Judged<'a>>>,
    /// How its sockets are, including those that `--problems` does not show.
    pub verdict: Verdict,
}

impl<'a> View<'a> {
    /// What the arguments ask for.
    pub fn new(request: &Show, collected: &'a Collected) -> Self {
        let is_asked_for = |shown: &Shown| {
            request.selection.is_everything()
                || !request.is_overview()
                || shown.all_sockets().any(|socket| is_selected(socket, request))
        };
        let processes = collected.processes.iter();
        let shown = processes.map(|it| Shown::new(it, collected.covers_of(it), request));
        let mut processes: Vec<_> = shown.filter(is_asked_for).collect();
        let verdict = processes.iter().map(|shown| shown.verdict).sum();
        let processes_unknown = processes.iter().filter(|shown| shown.sockets.is_none()).count();
        let processes_counted = processes.len();
        if request.problems {
            // Unknown sockets may have problems.
            processes.retain(|it| it.sockets.as_ref().is_none_or(|sockets| !sockets.is_empty()));
        }
        Self {
            defaults: collected.defaults,
            processes,
            verdict,
            processes_counted,
            processes_unknown,
            not_inspected: collected.not_inspected,
            noun: match request {
                Show { listen: true, .. } => "listening socket",
                Show { all: true, .. } => "TCP socket",
                _ => "connection",
            },
        }
    }

    /// Whether no process is there to show anything of.
    pub fn is_empty(&self) -> bool {
        self.processes_counted == 0
    }

    /// Whether there may be findings that nobody could see.
    pub fn has_unknown(&self) -> bool {
        self.not_inspected > 0 || self.sockets().any(|socket| socket.options.is_none())
    }

    /// Every socket that is shown.
    pub fn sockets(&self) -> impl Iterator<Item = &Judged<'a>> {
        self.processes.iter().flat_map(Shown::sockets)
    }

    /// How all sockets are, in one line.
    pub fn verdict(&self) -> String {
        let mut counted = count(self.verdict.all, self.noun);
        if self.processes_counted != 1 {
            counted += &format!(" of {}", count(self.processes_counted, "process"));
        }
        let mut text = self.verdict.describe(&counted);
        if self.processes_unknown > 0 {
            text += &format!("; those of {} unknown", count(self.processes_unknown, "process"));
        }
        text
    }
}

impl<'a> Shown<'a> {
    fn new(process: &'a Inspected, covers: Option<&'a [Cover]>, request: &Show) -> Self {
        let settings: Vec<Settings> =
            covers.unwrap_or_default().iter().map(|cover| cover.settings).collect();
        let judge = |socket| Judged::new(socket, process, &settings, request.path_timeout);
        let sockets = process.sockets.as_ref().map(|sockets| {
            let chosen = sockets.iter().filter(|socket| is_chosen(socket, request));
            chosen.map(judge).collect::<Vec<_>>()
        });
        let verdict = Verdict::new(sockets.iter().flatten());
        let sockets = sockets.map(|mut sockets| {
            sockets.retain(|socket| !request.problems || !socket.findings.is_empty());
            sockets
        });
        Self { process, covers, sockets, verdict }
    }

    /// The sockets that are shown, as far as they are known.
    pub fn sockets(&self) -> &[Judged<'a>] {
        self.sockets.as_deref().unwrap_or_default()
    }

    fn all_sockets(&self) -> impl Iterator<Item = &'a Socket> {
        self.process.sockets.iter().flatten()
    }

    /// Where the process listens.
    pub fn listens(&self) -> impl Iterator<Item = SocketAddr> {
        self.all_sockets().filter(|socket| socket.state == State::LISTEN).filter_map(|it| it.local)
    }
}

fn is_chosen(socket: &Socket, request: &Show) -> bool {
    let Show { all, listen, .. } = *request;
    let is_of_kind = match socket.state {
        State::LISTEN => all || listen,
        state => !listen && (all || state.is_connection()),
    };
    is_of_kind && is_selected(socket, request)
}

fn is_selected(socket: &Socket, request: &Show) -> bool {
    request.selection.is_everything() || request.selection.contains(socket.local, socket.remote)
}
