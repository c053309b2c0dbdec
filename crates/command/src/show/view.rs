//! What is shown of what was found: the same for every form of the output.

use std::net::SocketAddr;

use super::ShowArgs;
use super::collect::Found;
use super::verdict::Verdict;
use crate::process::{Inspected, Socket, State};
use crate::values::Values;

/// What is shown.
pub struct View<'a> {
    /// The kernel's defaults in this network namespace, where they can be read.
    pub defaults: Option<Values<u32>>,
    /// The processes.
    pub processes: Vec<Shown<'a>>,
    /// How many processes may not be looked into.
    pub not_inspected: usize,
    /// What one of the sockets is called.
    pub noun: &'static str,
    /// How they are, with `--problems` those too that are not shown.
    pub verdict: Verdict,
    /// Of how many processes these are, and of how many the sockets are not known.
    pub counted: (usize, usize),
}

/// A process, with the sockets of it that are shown.
pub struct Shown<'a> {
    pub process: &'a Inspected,
    /// None where they are not known.
    pub sockets: Option<Vec<&'a Socket>>,
    /// How they are, with `--problems` those too that are not shown.
    pub verdict: Verdict,
}

impl<'a> View<'a> {
    /// What the arguments ask for.
    pub fn new(arguments: &ShowArgs, found: &'a Found, defaults: Option<Values<u32>>) -> Self {
        let is_asked_for = |shown: &Shown| {
            arguments.selection.is_everything()
                || !arguments.is_overview()
                || shown.all_sockets().any(|socket| is_selected(socket, arguments))
        };
        let shown = found.processes.iter().map(|process| Shown::new(process, arguments));
        let mut processes: Vec<_> = shown.filter(is_asked_for).collect();
        let verdict = processes.iter().map(|shown| shown.verdict).sum();
        let unknown = processes.iter().filter(|shown| shown.sockets.is_none()).count();
        let counted = (processes.len(), unknown);
        if arguments.problems {
            // What is not known may be a problem.
            processes.retain(|it| it.sockets.as_ref().is_none_or(|sockets| !sockets.is_empty()));
        }
        Self {
            defaults,
            processes,
            verdict,
            counted,
            not_inspected: found.not_inspected,
            noun: match arguments {
                ShowArgs { listen: true, .. } => "listening socket",
                ShowArgs { all: true, .. } => "TCP socket",
                _ => "connection",
            },
        }
    }

    /// Whether there may be findings that nobody could see.
    pub fn has_unknown(&self) -> bool {
        self.not_inspected > 0 || self.sockets().any(|socket| socket.options.is_none())
    }

    /// Every socket that is shown.
    pub fn sockets(&self) -> impl Iterator<Item = &'a Socket> {
        self.processes.iter().flat_map(Shown::known).copied()
    }
}

impl<'a> Shown<'a> {
    fn new(process: &'a Inspected, arguments: &ShowArgs) -> Self {
        let sockets = process.sockets.as_ref().map(|sockets| {
            sockets.iter().filter(|socket| is_chosen(socket, arguments)).collect::<Vec<_>>()
        });
        let verdict = Verdict::of(sockets.iter().flatten().copied());
        let sockets = sockets.map(|mut sockets| {
            sockets.retain(|socket| !arguments.problems || !socket.findings.is_empty());
            sockets
        });
        Self { process, sockets, verdict }
    }

    /// The sockets that are shown, as far as they are known.
    pub fn known(&self) -> &[&'a Socket] {
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

fn is_chosen(socket: &Socket, arguments: &ShowArgs) -> bool {
    let ShowArgs { all, listen, .. } = *arguments;
    let is_of_kind = match socket.state {
        State::LISTEN => all || listen,
        state => !listen && (all || state.is_connection()),
    };
    is_of_kind && is_selected(socket, arguments)
}

fn is_selected(socket: &Socket, arguments: &ShowArgs) -> bool {
    arguments.selection.is_everything() || arguments.selection.contains(socket.local, socket.remote)
}
