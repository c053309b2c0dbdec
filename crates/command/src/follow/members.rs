//! Whom to look into: processes with their descendants, and all that have a name, now or later.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::event::{Event, Problem};
use super::known::Known;
use crate::find::{self, Target};
use crate::process::{self, Process};
use crate::worker::Worker;

/// A refusal counts when it has lasted for so long. A program that changes its user may not be
/// looked into from then until its execve(2).
const LASTING: Duration = Duration::from_secs(1);

/// What is followed.
#[derive(Default)]
pub struct Members {
    /// The processes that are followed with their descendants, by number.
    family: HashMap<i32, Relative>,
    /// What is followed by a name.
    waited_for: Vec<WaitedFor>,
    /// The processes that are looked into, by number.
    pub all: HashMap<i32, Member>,
    /// How many processes have been looked into.
    pub processes: usize,
}

/// A process that is followed with its descendants, or one of these.
struct Relative {
    process: Process,
    /// For its end; None where there was no descriptor for it.
    handle: Option<OwnedFd>,
}

/// What is waited for, also after all of its processes have ended.
struct WaitedFor {
    argument: String,
    target: Target,
    /// Whether there has been one. Before, it may be a mistake.
    was_there: bool,
    /// What was reported last.
    reported: Option<String>,
}

/// A process that is looked into.
pub struct Member {
    pub process: Process,
    pub known: Known,
    access: Access,
}

/// Whether a process may be looked into.
#[derive(Clone, Copy, Default, PartialEq)]
enum Access {
    #[default]
    Open,
    RefusedSince(Instant),
    /// It was refused, and that has been reported.
    Reported,
}

impl Members {
    /// What the arguments name, and what is wrong with some of them.
    pub fn new(targets: &[String]) -> (Self, Vec<Problem>) {
        let (mut members, mut problems) = (Self::default(), Vec::new());
        for argument in targets {
            let (argument, target) = (argument.clone(), Target::parse(argument));
            if !matches!(target, Target::Pid(_)) {
                let waited_for = WaitedFor { argument, target, was_there: false, reported: None };
                members.waited_for.push(waited_for);
                continue;
            }
            match target.find() {
                Ok(found) => members.add_to_family(&found),
                Err(error) => problems.push(Problem::NotFound { argument, error }),
            }
        }
        (members, problems)
    }

    /// A process and its descendants.
    pub fn from_process(process: Process) -> Self {
        let mut members = Self::default();
        members.add_to_family(&[process]);
        members
    }

    fn add_to_family(&mut self, processes: &[Process]) {
        for process in processes {
            self.family.entry(process.pid).or_insert_with(|| Relative {
                process: process.clone(),
                handle: process.pidfd().ok(),
            });
        }
    }

    /// Whether all have ended, and nobody else is waited for.
    pub fn nobody_is_left(&self) -> bool {
        self.family.is_empty() && self.waited_for.is_empty()
    }

    /// What can be polled for the end of one that is followed with its descendants.
    pub fn handles(&self) -> impl Iterator<Item = (i32, BorrowedFd<'_>)> {
        self.family.iter().filter_map(|(pid, it)| Some((*pid, it.handle.as_ref()?.as_fd())))
    }

    /// Forgets one that has ended.
    pub fn has_ended(&mut self, pid: i32) {
        self.family.remove(&pid);
    }

    /// Finds out whom to look into, and reports what goes wrong. Ends early if `stop` can be read.
    /// Whether somebody is new.
    pub fn find(
        &mut self,
        worker: &mut Worker,
        stop: BorrowedFd<'_>,
        mut report: impl FnMut(Problem),
    ) -> bool {
        let mut found = self.relatives().unwrap_or_else(|error| {
            report(error.into());
            Vec::new()
        });
        for WaitedFor { argument, target, was_there, reported } in &mut self.waited_for {
            let search = match target {
                Target::Name(_) => match worker.ask(Some(stop), || target.find()) {
                    Ok(search) => search.unwrap_or(Ok(Vec::new())),
                    Err(error) => {
                        report(error.into());
                        continue;
                    }
                },
                target => target.find(),
            };
            let problem = match search {
                Ok(processes) => {
                    *was_there |= !processes.is_empty();
                    found.extend(processes);
                    (!*was_there).then(|| Problem::NotYet(argument.clone()))
                }
                Err(error) => Some(Problem::NotFound { argument: argument.clone(), error }),
            };
            let message = problem.as_ref().map(ToString::to_string);
            if message != *reported {
                problem.into_iter().for_each(&mut report);
                *reported = message;
            }
        }
        let mut has_new = false;
        let mut before = std::mem::take(&mut self.all);
        for process in found {
            if self.all.contains_key(&process.pid) {
                continue;
            }
            let known =
                before.remove(&process.pid).filter(|member| member.process.is_same(&process));
            has_new |= known.is_none();
            self.processes += usize::from(known.is_none());
            let (known, access) =
                known.map_or_else(Default::default, |member| (member.known, member.access));
            self.all.insert(process.pid, Member { process, known, access });
        }
        has_new
    }

    /// The family as it is now. Those that have ended are forgotten.
    fn relatives(&mut self) -> Result<Vec<Process>, process::Error> {
        if self.family.is_empty() {
            return Ok(Vec::new());
        }
        let family: Vec<_> = self.family.values().map(|relative| &relative.process).collect();
        let found = find::with_descendants(&family)?;
        self.family.retain(|pid, relative| {
            let index = found.binary_search_by_key(pid, |process| process.pid);
            index.is_ok_and(|index| found[index].is_same(&relative.process))
        });
        self.add_to_family(&found);
        Ok(found)
    }

    /// Whether there is somebody to look into, or may come.
    pub fn has_any(&self) -> bool {
        let is_open = |member: &Member| member.access == Access::Open;
        !self.waited_for.is_empty() || self.all.is_empty() || self.all.values().any(is_open)
    }

    /// Whether nobody may be looked into, as has been reported, and nobody else is waited for.
    pub fn all_are_refused(&self) -> bool {
        let is_reported = |member: &Member| member.access == Access::Reported;
        !self.has_any() && self.all.values().all(is_reported)
    }

    /// Whether a refusal may pass.
    pub fn has_doubts(&self) -> bool {
        self.all.values().any(|member| matches!(member.access, Access::RefusedSince(_)))
    }
}

impl Member {
    /// It may be looked into. (What was reported is not reported again.)
    pub fn is_open(&mut self) {
        if self.access != Access::Reported {
            self.access = Access::Open;
        }
    }

    /// It may not be looked into. That is reported once it has lasted.
    pub fn is_refused(&mut self, error: process::Error, report: &mut impl FnMut(Event)) {
        match self.access {
            _ if error == process::Error::Ended => {}
            Access::Open => self.access = Access::RefusedSince(Instant::now()),
            Access::RefusedSince(since) if since.elapsed() >= LASTING => {
                let process = self.process.clone();
                report(Event::Problem(Problem::Refused { process, error }));
                self.access = Access::Reported;
            }
            Access::RefusedSince(_) | Access::Reported => {}
        }
    }
}
