//! What `keepalive cover` costs, in control groups that are made for it and removed again. Needs root
//! and cgroup v2.

use std::error::Error;
use std::path::Path;
use std::process::Command;

use crate::operations::{self, Handle, Operation};
use crate::support::group::{Group, root, unique};
use crate::{Candidate, Effort, support, table};

/// What the program would set itself.
const SETTINGS: &str = "--idle 180 --interval 60 --count 20";

/// Who is compared.
struct Rival {
    name: &'static str,
    /// The arguments of `keepalive cover`.
    cover: Option<&'static str>,
    sets_itself: bool,
}

const RIVALS: [Rival; 5] = [
    Rival { name: "nothing set", cover: None, sets_itself: false },
    Rival { name: "the same once more", cover: None, sets_itself: false },
    Rival { name: "a program that sets the options itself", cover: None, sets_itself: true },
    Rival { name: "covered", cover: Some(""), sets_itself: false },
    Rival { name: "covered with --force", cover: Some("--force"), sets_itself: false },
];

/// A control group, covered as the rival is.
fn group(number: usize, rival: &Rival, command: &Path) -> Group {
    let group = Group::new(&root(), &unique(&format!("bench-{number}")));
    if let Some(arguments) = rival.cover {
        let arguments = arguments.split_whitespace().chain(SETTINGS.split(' '));
        support::run(Command::new(command).arg("cover").args(arguments).arg(&group.0));
    }
    group
}

/// Compares a connection, and a setsockopt(2) that has nothing to do with keepalive.
pub fn compare(printed: &mut String, effort: &Effort) -> Result<(), Box<dyn Error>> {
    // SAFETY: it has no effect, and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        println!("\ncover: skipped (root only)");
        return Ok(());
    }
    let command = support::built_command();
    for name in ["connection", "setsockopt"] {
        let operation = operations::ALL.iter().find(|operation| operation.name == name);
        one(printed, operation.ok_or("no such operation")?, effort, &command)?;
    }
    Ok(())
}

fn one(
    printed: &mut String,
    operation: &Operation,
    effort: &Effort,
    command: &Path,
) -> Result<(), Box<dyn Error>> {
    let groups = RIVALS.iter().enumerate();
    let groups: Vec<_> = groups.map(|(number, rival)| group(number, rival, command)).collect();
    let nothing = Candidate::nothing("");
    let (times, ratios) = operations::measure(RIVALS.len(), effort, |which| {
        let handle = Handle::start(operation, &nothing, RIVALS[which].sets_itself)?;
        groups[which].take(handle.pid());
        Ok(handle)
    })?;
    let rows: Vec<_> = RIVALS
        .iter()
        .zip(times.iter().zip(&ratios))
        .map(|(rival, (time, ratio))| {
            vec![rival.name.to_owned(), format!("{time:.0}"), format!("{ratio:.3}")]
        })
        .collect();
    let title = format!("Cover: {}", operation.title(effort));
    table::print(printed, &title, &["", "CPU ns", "× the first"], &rows);
    Ok(())
}
