//! Everything that `show` looks at. The rest of show/ makes no system call.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::bpf::{Cover, covers};
use crate::find::{self, find_all};
use crate::process::{self, Inspected, Inspector, Namespace, check_others_visible};
use crate::request::Show;
use crate::sys::kernel::Counters;
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
    pub fn new(request: &Show) -> Result<Self, process::Error> {
        let mut collected = Self { is_complete: true, ..Self::default() };
        let mut inspector = Inspector::new(request.is_overview());
        if request.is_overview() {
            collected.inspect_all(&mut inspector)?;
        } else {
            collected.inspect_named(request, &mut inspector)?;
        }
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
        Ok(collected)
    }

    /// Every process that has TCP sockets. Other users' processes are only counted.
    fn inspect_all(&mut self, inspector: &mut Inspector) -> Result<(), process::Error> {
        self.messages.extend(check_others_visible().err().map(|error| error.to_string()));
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
        request: &Show,
        inspector: &mut Inspector,
    ) -> Result<(), process::Error> {
        let (named, failures) = find_all(&request.targets);
        self.is_complete = failures.is_empty();
        self.messages.extend(failures.iter().map(ToString::to_string));
        for process in named {
            let Some(inspected) = inspector.inspect(process.clone())? else {
                self.messages.push(format!("{process}: has ended"));
                self.is_complete = false;
                continue;
            };
            if let Some(trouble) = &inspected.trouble {
                self.is_complete = false;
                // JSON has it in the document.
                if !request.json {
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
