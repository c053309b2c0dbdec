//! What an argument names: a process by its number or by one of its names, or all processes of a
//! control group. `show`, `attach` and its `--follow` find them here.

use std::os::fd::BorrowedFd;

use serde::{Deserialize, Serialize};

use super::name::{each_name, is_called};
use super::{among, processes};
use crate::process::{Group, Process, check_proc, hidden, own_trouble, processes_of};
use crate::text::printable;
use crate::worker::{self, Worker};

/// What the arguments name.
#[derive(Default, Serialize, Deserialize)]
pub struct Found {
    /// The processes, each once, sorted by number.
    pub processes: Vec<Process>,
    /// What went wrong with the other arguments.
    pub failures: Vec<String>,
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
    if let Err(message) = check_proc() {
        return Found { processes, failures: vec![message] };
    }
    for argument in arguments {
        let wanted = Target::parse(argument);
        let found = wanted.find().and_then(|found| {
            if !found.is_empty() {
                return Ok(found);
            }
            let hidden = hidden().map_or(String::new(), |hidden| format!("; {hidden}"));
            Err(format!("{}{hidden}{}", wanted.nobody(), wanted.hint()))
        });
        match found {
            Ok(found) => processes.extend(found),
            Err(message) => failures.push(format!("{}: {message}", printable(argument))),
        }
    }
    processes.sort_by_key(|process| process.pid);
    processes.dedup_by_key(|process| process.pid);
    Found { processes, failures }
}

/// What an argument names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The process with this number.
    Pid(i32),
    /// All processes in a unit, a container or another control group.
    Group(Group),
    /// All processes with this name.
    Name(String),
}

/// A name that is at least this near (Jaro and Winkler, from 0 to 1) is offered.
const NEAR: f64 = 0.8;

impl Target {
    /// What this argument names.
    pub fn parse(argument: &str) -> Self {
        if let Some(group) = Group::parse(argument) {
            Self::Group(group)
        } else if !argument.is_empty() && argument.bytes().all(|byte| byte.is_ascii_digit()) {
            Self::Pid(argument.parse().unwrap_or(0))
        } else {
            Self::Name(argument.into())
        }
    }

    /// That there is none, in words.
    fn nobody(&self) -> &'static str {
        match self {
            Self::Pid(_) | Self::Name(_) => "no process has this name",
            Self::Group(Group::Unit(_)) => "no process runs in a unit of this name",
            Self::Group(Group::Container(_)) => "no process runs in a container with this id",
            Self::Group(Group::Directory(_)) => "no process runs in this cgroup",
        }
    }

    /// What to do where there is none: the nearest name, and how to see all of them.
    pub fn hint(&self) -> String {
        let (wanted, is_unit) = match self {
            Self::Name(name) => (name, false),
            Self::Group(Group::Unit(name)) => (name, true),
            Self::Pid(_) | Self::Group(_) => return String::new(),
        };
        let mut nearest: Option<(f64, String)> = None;
        let mut compare = |name: &str| {
            let how = nearness(name, wanted);
            if how >= NEAR && nearest.as_ref().is_none_or(|(best, _)| how > *best) {
                nearest = Some((how, name.into()));
            }
        };
        let _ = processes(|directory, stat| {
            // Whose ending may be misspelt.
            directory.place().unwrap_or_default().unit.iter().for_each(|unit| compare(unit));
            if !is_unit {
                let mut names = Vec::new();
                each_name(directory, stat, |name| names.push(name.to_owned()))?;
                // The kernel cuts a name after 15 bytes.
                let is_whole = |name: &&String| {
                    name.len() < 15
                        || !names
                            .iter()
                            .any(|other| other.len() > name.len() && other.starts_with(*name))
                };
                names.iter().filter(is_whole).for_each(|name| compare(name));
            }
            Ok(false)
        });
        let nearest = nearest.map(|(_, name)| format!("; the nearest is {}", printable(&name)));
        format!("{} (`keepalive show` alone shows what there is)", nearest.unwrap_or_default())
    }

    /// The processes that are there now. It is no error if there is none, but for a number.
    pub fn find(&self) -> Result<Vec<Process>, String> {
        match self {
            Self::Pid(pid) => Process::from_pid(*pid).map(|process| vec![process]),
            Self::Group(group) => members(group),
            Self::Name(name) => {
                let found = processes(|directory, stat| is_called(directory, stat, name));
                let found = found.map_err(|error| own_trouble(&error))?;
                if !found.is_empty() {
                    return Ok(found);
                }
                // A service need not be called as its program is. Where there is no tree, there is
                // no unit.
                Ok(members(&Group::Unit(format!("{name}.service"))).unwrap_or_default())
            }
        }
    }
}

/// The processes of a control group.
fn members(group: &Group) -> Result<Vec<Process>, String> {
    let numbers = group.find()?.map(|path| processes_of(&path));
    among(numbers.unwrap_or_default(), |_, _| Ok(true)).map_err(|error| own_trouble(&error))
}

/// How near a name is to another, from 0 to 1.
fn nearness(name: &str, wanted: &str) -> f64 {
    let (name, wanted) = (name.to_lowercase(), wanted.to_lowercase());
    // Two letters are in many names.
    let is_part = wanted.len() > 2 && name.contains(&wanted);
    let similarity = strsim::jaro_winkler(&name, &wanted);
    if is_part { similarity.max(NEAR) } else { similarity }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_near_and_another_name_is_not() {
        for (name, wanted) in [
            ("nginx", "ngnix"),
            ("postgres", "postgresql"),
            ("broker.py", "broker"),
            ("Kafka", "kafka"),
        ] {
            assert!(nearness(name, wanted) >= NEAR, "{name} {wanted}");
        }
        for (name, wanted) in
            [("nginx", "postgres"), ("systemd", "nginx"), ("bash", "sh"), ("", "x")]
        {
            assert!(nearness(name, wanted) < NEAR, "{name} {wanted}");
        }
    }
}
