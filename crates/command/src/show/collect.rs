//! Looks into the processes that are asked for.

use super::ShowArgs;
use crate::find::{self, find_all};
use crate::process::{Inspected, Inspector, hidden};

/// What was found.
pub struct Found {
    pub processes: Vec<Inspected>,
    /// How many processes may not be looked into.
    pub not_inspected: usize,
    /// Whether everything that was asked for was found.
    pub is_complete: bool,
    /// What could not be found or looked into, and why.
    pub messages: Vec<String>,
}

/// What the arguments ask for. An error is this command's own: it cannot go on.
pub fn collect(arguments: &ShowArgs) -> Result<Found, String> {
    let mut inspector = Inspector::new(arguments.path_timeout, arguments.is_overview());
    if arguments.is_overview() {
        every_process(&mut inspector)
    } else {
        named_processes(arguments, &mut inspector)
    }
}

/// Every process that has TCP sockets. Other users' processes are only counted.
fn every_process(inspector: &mut Inspector) -> Result<Found, String> {
    let messages = hidden().map(Into::into).into_iter().collect();
    let mut processes = Vec::new();
    let mut not_inspected = 0;
    for process in find::all()? {
        let Some(inspected) = inspector.inspect(process)? else { continue };
        let has_sockets = inspected.sockets.as_ref().is_some_and(|sockets| !sockets.is_empty());
        not_inspected += usize::from(inspected.trouble.is_some() && !has_sockets);
        processes.extend(has_sockets.then_some(inspected));
    }
    Ok(Found { processes, not_inspected, is_complete: true, messages })
}

/// The processes that the arguments name.
fn named_processes(arguments: &ShowArgs, inspector: &mut Inspector) -> Result<Found, String> {
    let (named, mut messages) = find_all(&arguments.processes);
    let mut is_complete = messages.is_empty();
    let mut processes = Vec::new();
    for process in named {
        let Some(inspected) = inspector.inspect(process.clone())? else {
            messages.push(format!("{process}: has ended"));
            is_complete = false;
            continue;
        };
        if let Some(trouble) = &inspected.trouble {
            is_complete = false;
            // JSON has it in the document.
            if !arguments.json {
                messages.push(format!("{process}: {trouble}"));
            }
        }
        processes.push(inspected);
    }
    Ok(Found { processes, not_inspected: 0, is_complete, messages })
}
