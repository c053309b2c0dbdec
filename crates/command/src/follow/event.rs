//! What a follower reports.

use crate::apply::namespaces::InNamespace;
use crate::apply::{Outcome, Seen};
use crate::find;
use crate::process::{self, Process, describe_hang, describe_unasked};
use crate::text::printable;
use crate::worker::{self, Hang};

/// Something that has happened.
pub enum Event<'a> {
    /// The first look into a process is over. What is set in the network namespaces of those that are
    /// followed.
    Ready(&'a [InNamespace]),
    /// A look is over: so many processes are followed, and so many sockets have been changed.
    Looked { processes: usize, changed: usize },
    /// A socket has been looked at.
    Socket(&'a Process, Seen, &'a Outcome),
    /// Something is not as it should be, and was not before.
    Problem(Problem),
}

/// Something that is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("{}: no process yet; waiting for one", printable(.0))]
    NotYet(String),
    /// What an argument names cannot be found.
    #[error("{}: {error}", printable(argument))]
    NotFound { argument: String, error: find::Error },
    #[error("{process}: {error}")]
    Refused { process: Process, error: process::Error },
    #[error("{}", describe_hang(.0))]
    Hangs(Hang),
    /// Processes of this user are left out because others hang.
    #[error("{}", describe_unasked(*.0, None))]
    User(u32),
    #[error(transparent)]
    Worker(#[from] worker::Error),
    /// The descendants of those that are followed cannot be found.
    #[error(transparent)]
    Descendants(#[from] process::Error),
}
