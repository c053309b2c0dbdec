//! Everything that `show` looks at. The rest of show/ makes no system call.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::bpf::{Cover, covers};
use crate::find::{self, Found, find_all};
use crate::process::{
    self, Inspected, Inspector, Namespace, Process, check_others_visible, left_out,
};
use crate::request::Show;
use crate::sys::kernel::Counters;
use crate::text::error;
use crate::values::Values;
use crate::worker::{End, Sender, Worker, is_put_off, is_unasked};

/// What was found.
#[derive(Default)]
pub struct Collected {
    pub processes: Vec<Inspected>,
    /// The covers of each cgroup, the innermost first; None where this process may not ask.
    pub covers: HashMap<PathBuf, Option<Vec<Cover>>>,
    /// The kernel's defaults in this network namespace, if they can be read.
    pub defaults: Option<Values<u32>>,
    /// The kernel's counters in this network namespace, if they are asked for and can be read.
    pub counters: Option<Counters>,
    /// How many processes may not be looked into.
    pub not_inspected: usize,
    /// Whether everything that was asked for was found.
    pub is_complete: bool,
    /// What could not be found or looked into, and why.
    pub messages: Vec<String>,
}

/// What is known of a process.
#[derive(Serialize, Deserialize)]
enum Look {
    /// It is left out because of others.
    Unasked,
    Ended,
    /// It is one of those that only an overview asks for, and has no sockets.
    WithoutSockets,
    Inspected(Box<Inspected>),
}

impl Collected {
    /// What the arguments ask for; None if `stop` can be read. An error is this command's own: it
    /// cannot go on.
    pub fn new(
        request: &Show,
        worker: &mut Worker,
        stop: Option<BorrowedFd<'_>>,
    ) -> Result<Option<Self>, String> {
        let mut collected = Self { is_complete: true, ..Self::default() };
        let processes = if request.is_overview() {
            let hidden = check_others_visible().err();
            collected.messages.extend(hidden.map(|error| error.to_string()));
            find::all().map_err(|error| error.to_string())?
        } else {
            let found = find_all(worker, &request.targets, stop);
            let Some(Found { processes, failures }) = found.map_err(|error| error.to_string())?
            else {
                return Ok(None);
            };
            collected.is_complete = failures.is_empty();
            collected.messages.extend(failures.iter().map(ToString::to_string));
            processes
        };
        let is_overview = request.is_overview();
        let Some(looks) = look(&processes, is_overview, worker, stop)? else { return Ok(None) };
        for (process, look) in processes.iter().zip(looks) {
            collected.add(process, look, request);
        }
        collected.messages.extend(left_out(worker));
        let cgroups = collected.processes.iter().filter_map(|process| process.cgroup.clone());
        for cgroup in cgroups {
            let found = |path: &PathBuf| covers(path).ok();
            let entry = collected.covers.entry(cgroup);
            entry.or_insert_with_key(found);
        }
        collected.defaults =
            Namespace::own().kernel.ok().and_then(|kernel| kernel.known_defaults());
        if request.openmetrics {
            collected.counters = Counters::new()
                .map_err(|error| {
                    let message = format!("/proc/net: {}", error::describe(&error));
                    collected.messages.push(message);
                })
                .ok();
        }
        Ok(Some(collected))
    }

    /// Adds what is known of a process.
    fn add(&mut self, process: &Process, look: Look, request: &Show) {
        let is_named = !request.is_overview();
        match look {
            Look::Inspected(inspected) if is_named => {
                if let Some(trouble) = &inspected.trouble {
                    self.is_complete = false;
                    // JSON has it in the document.
                    if !request.json {
                        self.messages.push(format!("{process}: {trouble}"));
                    }
                }
                self.processes.push(*inspected);
            }
            Look::Inspected(inspected) if has_sockets(&inspected) => {
                self.processes.push(*inspected);
            }
            Look::Inspected(_) => self.not_inspected += 1,
            Look::Unasked => {
                self.not_inspected += 1;
                self.is_complete &= !is_named;
            }
            Look::Ended if is_named => {
                self.messages.push(format!("{process}: has ended"));
                self.is_complete = false;
            }
            Look::Ended | Look::WithoutSockets => {}
        }
    }

    /// The covers of a process, the innermost first; None if they are unknown: its cgroup is, or this
    /// process may not ask.
    pub fn covers_of(&self, process: &Inspected) -> Option<&[Cover]> {
        self.covers.get(process.cgroup.as_deref()?)?.as_deref()
    }
}

fn has_sockets(inspected: &Inspected) -> bool {
    inspected.sockets.as_ref().is_some_and(|sockets| !sockets.is_empty())
}

/// Looks into processes in children, and goes on after what earlier children have seen; None if
/// `stop` can be read.
fn look(
    processes: &[Process],
    is_overview: bool,
    worker: &mut Worker,
    stop: Option<BorrowedFd<'_>>,
) -> Result<Option<Vec<Look>>, String> {
    /// A look at the process with this index, or why the work cannot go on.
    type Message = Result<(usize, Look), process::Error>;

    let looks: Vec<_> = processes.iter().map(|_| Look::Unasked).collect();
    let mut state = Ok(looks);
    let work = |state: &mut Result<Vec<Look>, process::Error>, sender: &Sender<Message>| {
        let Ok(looks) = state else { return };
        let mut left: Vec<_> = processes.iter().enumerate().collect();
        left.retain(|(index, it)| matches!(looks[*index], Look::Unasked) && !is_unasked(it.id()));
        left.sort_by_key(|(_, process)| is_put_off(process.pid));
        let mut inspector = Inspector::new(is_overview);
        for (index, process) in left {
            let look = |inspected: Option<Inspected>| match inspected {
                None => Look::Ended,
                Some(it) if is_overview && it.trouble.is_none() && !has_sockets(&it) => {
                    Look::WithoutSockets
                }
                Some(inspected) => Look::Inspected(inspected.into()),
            };
            let message = inspector.inspect(process.clone()).map(|it| (index, look(it)));
            sender.send(&message);
            if message.is_err() {
                return;
            }
        }
    };
    let receive =
        |state: &mut Result<Vec<Look>, process::Error>, message| match (message, &mut *state) {
            (Ok((index, look)), Ok(looks)) => looks[index] = look,
            (Err(error), _) => *state = Err(error),
            (Ok(_), Err(_)) => {}
        };
    match worker.run(&mut state, stop, work, receive) {
        Ok(End::Done) => state.map(Some).map_err(|error| error.to_string()),
        Ok(End::Stopped) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
