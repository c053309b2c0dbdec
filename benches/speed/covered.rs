//! What `keepalive cover` costs, in control groups that are made for it and removed again. Needs root
//! and cgroup v2.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::operations::{self, Handle, Operation};
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

/// A control group; removed when dropped, and its cover with it.
struct Group(PathBuf);

impl Group {
    fn new(number: usize, rival: &Rival, command: &Path) -> Result<Self, Box<dyn Error>> {
        let path = root()?.join(format!("keepalive-bench-{}-{number}", std::process::id()));
        std::fs::create_dir(&path)?;
        let group = Self(path);
        if let Some(arguments) = rival.cover {
            let arguments = arguments.split_whitespace().chain(SETTINGS.split(' '));
            support::run(Command::new(command).arg("cover").args(arguments).arg(&group.0));
        }
        Ok(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that was killed may still be about to leave it.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.0).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Where the cgroup v2 tree is mounted.
fn root() -> io::Result<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/mounts")?;
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"));
    let path = mount.and_then(|mount| mount.split(' ').nth(1));
    path.map(PathBuf::from).ok_or_else(|| io::Error::other("no cgroup v2 tree is mounted"))
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
    let groups = groups.map(|(number, rival)| Group::new(number, rival, command));
    let groups = groups.collect::<Result<Vec<_>, _>>()?;
    let nothing = Candidate::nothing("");
    let (times, ratios) = operations::measure(RIVALS.len(), effort, |which| {
        let handle = Handle::start(operation, &nothing, RIVALS[which].sets_itself)?;
        std::fs::write(groups[which].0.join("cgroup.procs"), handle.pid().to_string())?;
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
