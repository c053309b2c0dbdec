//! What follows from what was seen: findings, and who set a socket's options. No system calls.

mod findings;
mod set_by;

use std::ops::Deref;
use std::time::Duration;

use crate::process::{Inspected, Socket};
use crate::settings::{RequestedSettings, Settings};
use crate::sys::kernel::Kernel;

#[cfg(test)]
pub use findings::PATH_TIMEOUT;
pub use findings::{Finding, is_late, too_late};
pub use set_by::SetBy;

/// What may be a mistake in what was asked for.
pub fn warnings(requested: &RequestedSettings) -> impl Iterator<Item = String> {
    let settings = requested.resolve(&Kernel::UNKNOWN);
    requested.warning().into_iter().chain(too_late(settings.values))
}

/// A socket, and what follows from what was seen of it.
pub struct Judged<'a> {
    socket: &'a Socket,
    /// What is wrong with it, the worst first.
    pub findings: Vec<Finding>,
    /// Who set its options; None if that is unknown.
    pub set_by: Option<SetBy>,
}

impl<'a> Judged<'a> {
    /// Judges a socket of this process, which has these covers. A path forgets a connection after
    /// `path_timeout` without traffic.
    pub fn new(
        socket: &'a Socket,
        process: &Inspected,
        covers: &[Settings],
        path_timeout: Duration,
    ) -> Self {
        let defaults = process.kernel.and_then(|kernel| kernel.known_defaults());
        let set_by = defaults.zip(socket.options).map(|(defaults, options)| {
            SetBy::new(&options, &defaults, &process.library_values, covers)
        });
        Self { socket, findings: findings::findings(socket, path_timeout), set_by }
    }
}

impl Deref for Judged<'_> {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        self.socket
    }
}
