//! What an argument names: a process by its number or by one of its names, or all processes of a
//! cgroup. `show`, `attach` and its `--follow` find them here.

use std::os::fd::BorrowedFd;

use serde::{Deserialize, Serialize};

use super::name::has_name;
use super::suggestion::Suggestion;
use super::{Cgroup, Error, scan, scan_pids};
use crate::process::{Process, check_others_visible, check_proc, processes_of};
use crate::worker::{self, Worker};

/// What the arguments name.
#[derive(Default, Serialize, Deserialize)]
pub struct Found {
    /// The processes, each once, sorted by number.
    pub processes: Vec<Process>,
    /// What is wrong with the other arguments.
    pub failures: Vec<Error>,
}

/// Finds what the arguments name; None if `stop` can be read.
pub fn find_all(
    worker: &mut Worker,
    arguments: &[String],
    stop: Option<BorrowedFd<'_>>,
) -> Result<Option<Found>, worker::Error> {
    worker.ask(stop, || find(arguments))
}

fn find(arguments: &[String]) -> Found {
    let mut processes = Vec::new();
    let mut failures = Vec::new();
    if let Err(error) = check_proc() {
        return Found { processes, failures: vec![error.into()] };
    }
    for argument in arguments {
        let target = Target::parse(argument);
        match target.find() {
            Ok(found) if !found.is_empty() => processes.extend(found),
            found => {
                let error = Box::new(found.err().unwrap_or_else(|| target.no_process()));
                failures.push(Error::Argument { argument: argument.clone(), error });
            }
        }
    }
    processes.sort_by_key(|process| process.pid);
    processes.dedup_by_key(|process| process.pid);
    Found { processes, failures }
}

/// What an argument names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Target {
    /// The process with this number.
    Pid(i32),
    /// All processes in a unit, a container or another cgroup.
    Cgroup(Cgroup),
    /// All processes with this name.
    Name(String),
}

impl Target {
    /// What this argument names.
    pub fn parse(argument: &str) -> Self {
        if let Some(cgroup) = Cgroup::parse(argument) {
            Self::Cgroup(cgroup)
        } else if !argument.is_empty() && argument.bytes().all(|byte| byte.is_ascii_digit()) {
            Self::Pid(argument.parse().unwrap_or(0))
        } else {
            Self::Name(argument.into())
        }
    }

    /// The processes that are there now. It is no error if there is none, but for a number.
    pub fn find(&self) -> Result<Vec<Process>, Error> {
        match self {
            Self::Pid(pid) => Ok(vec![Process::from_pid(*pid)?]),
            Self::Cgroup(cgroup) => members(cgroup),
            Self::Name(name) => {
                let found = scan(|proc, stat| has_name(proc, stat, name))?;
                if !found.is_empty() {
                    return Ok(found);
                }
                // A service need not be called as its program is. Where there is no tree, there is
                // no unit.
                Ok(members(&Cgroup::Unit(format!("{name}.service"))).unwrap_or_default())
            }
        }
    }

    /// Says that there is no process, and what to try.
    fn no_process(self) -> Error {
        let suggestion = match &self {
            Self::Name(name) => Some(Suggestion::for_name(name)),
            Self::Cgroup(Cgroup::Unit(name)) => Some(Suggestion::for_unit(name)),
            Self::Pid(_) | Self::Cgroup(_) => None,
        };
        Error::NoProcess { target: self, others_hidden: check_others_visible().err(), suggestion }
    }
}

/// The processes of a cgroup.
fn members(cgroup: &Cgroup) -> Result<Vec<Process>, Error> {
    let pids = cgroup.find()?.map(|path| processes_of(&path));
    Ok(scan_pids(pids.unwrap_or_default(), |_, _| Ok(true))?)
}
