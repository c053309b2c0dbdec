//! Why the processes that an argument names cannot be found.

use serde::{Deserialize, Serialize};

use super::suggestion::Suggestion;
use super::{Cgroup, Target};
use crate::process;
use crate::text::printable;

/// Why the processes that an argument names cannot be found.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    #[error(transparent)]
    Process(#[from] process::Error),
    #[error("there are several, name one by its path: {}", .0.join(", "))]
    SeveralCgroups(Vec<String>),
    #[error("not a cgroup: those are below {root}")]
    NotACgroup { root: String },
    #[error("{}{}{}", no_process(target), also(others_hidden.as_ref()), or_empty(suggestion.as_ref()))]
    NoProcess {
        target: Target,
        others_hidden: Option<process::Error>,
        suggestion: Option<Suggestion>,
    },
    /// What is wrong with one of several arguments.
    #[error("{}: {error}", printable(argument))]
    Argument { argument: String, error: Box<Self> },
}

fn no_process(target: &Target) -> &'static str {
    match target {
        Target::Pid(_) | Target::Name(_) => "no process has this name",
        Target::Cgroup(Cgroup::Unit(_)) => "no process runs in a unit of this name",
        Target::Cgroup(Cgroup::Container(_)) => "no process runs in a container with this id",
        Target::Cgroup(Cgroup::Path(_)) => "no process runs in this cgroup",
    }
}

fn also(error: Option<&process::Error>) -> String {
    error.map_or(String::new(), |error| format!("; {error}"))
}

fn or_empty(suggestion: Option<&Suggestion>) -> String {
    suggestion.map_or(String::new(), ToString::to_string)
}
