//! Everything that `show` looks at. The rest of show/ makes no system call.

use std::collections::HashMap;
use std::path::PathBuf;

use super::ShowArgs;
use crate::bpf::{Cover, covers};
use crate::find::{self, find_all};
use crate::kernel::Counters;
use crate::process::{Inspected, Inspector, Namespace, hidden};
use crate::text::error;
use crate::values::Values;

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

impl Collected {
    /// What the arguments ask for. An error is this command's own: it cannot go on.
    pub fn new(arguments: &ShowArgs) -> Result<Self, String> {
        let mut collected = Self { is_complete: true, ..Self::default() };
        let mut inspector = Inspector::new(arguments.is_overview());
        if arguments.is_overview() {
            collected.inspect_all(&mut inspector)?;
        } else {
            collected.inspect_named(arguments, &mut inspector)?;
        }
        let cgroups = collected.processes.iter().filter_map(|process| process.cgroup.clone());
        for cgroup in cgroups {
            let found = |path: &PathBuf| covers(path).ok();
            let entry = collected.covers.entry(cgroup);
            entry.or_insert_with_key(found);
        }
        collected.defaults = Namespace::own().kernel.ok().map(|kernel| kernel.defaults);
        if arguments.openmetrics {
            collected.counters = Counters::new()
                .map_err(|error| {
                    let message = format!("/proc/net: {}", error::describe(&error));
                    collected.messages.push(message);
                })
                .ok();
        }
        Ok(collected)
    }

    /// Every process that has TCP sockets. Other users' processes are only counted.
    fn inspect_all(&mut self, inspector: &mut Inspector) -> Result<(), String> {
        self.messages.extend(hidden().map(Into::into));
        for process in find::all()? {
            let Some(inspected) = inspector.inspect(process)? else { continue };
            let has_sockets = inspected.sockets.as_ref().is_some_and(|sockets| !sockets.is_empty());
            self.not_inspected += usize::from(inspected.trouble.is_some() && !has_sockets);
            self.processes.extend(has_sockets.then_some(inspected));
        }
        Ok(())
    }

    /// The processes that the arguments name.
    fn inspect_named(
        &mut self,
        arguments: &ShowArgs,
        inspector: &mut Inspector,
    ) -> Result<(), String> {
        let (named, messages) = find_all(&arguments.processes);
        self.is_complete = messages.is_empty();
        self.messages.extend(messages);
        for process in named {
            let Some(inspected) = inspector.inspect(process.clone())? else {
                self.messages.push(format!("{process}: has ended"));
                self.is_complete = false;
                continue;
            };
            if let Some(trouble) = &inspected.trouble {
                self.is_complete = false;
                // JSON has it in the document.
                if !arguments.json {
                    self.messages.push(format!("{process}: {trouble}"));
                }
            }
            self.processes.push(inspected);
        }
        Ok(())
    }

    /// The covers of a process, the innermost first; None if they are unknown: its cgroup is, or this
    /// process may not ask.
    pub fn covers_of(&self, process: &Inspected) -> Option<&[Cover]> {
        self.covers.get(process.cgroup.as_deref()?)?.as_deref()
    }
}
