//! The descendants of processes. The kernel lists the children of each thread. Reading these lists
//! costs less than reading every process of the machine, unless there are many threads. While
//! children end, a list may leave out others (proc_tid_children(5)): the next look finds them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::io;
use std::os::unix::fs::MetadataExt;

use procfs::process::Stat;

use super::scan;
use crate::process::{self, Proc, Process, has_ended, is_denied, is_gone};
use crate::worker::is_own;

/// The roots that still run and all their descendants, sorted by number; without the processes of
/// this command.
pub fn with_descendants(roots: &[&Process]) -> Result<Vec<Process>, process::Error> {
    // A list takes half as long to read as a process (docs/speed.md).
    let listed = match number_of_processes() {
        // CONFIG_PROC_CHILDREN of the kernel.
        Some(number) if std::fs::exists("/proc/thread-self/children").unwrap_or(false) => {
            by_children(roots, 2 * number)
        }
        _ => Ok(None),
    };
    Ok(match listed? {
        Some(family) => family,
        None => by_parents(roots)?,
    })
}

/// How many processes this machine has (fs/proc/root.c, `proc_root_getattr`).
fn number_of_processes() -> Option<u64> {
    std::fs::metadata("/proc").ok().map(|directory| directory.nlink())
}

/// By the kernel's lists of children. None if the family has more threads than this.
fn by_children(roots: &[&Process], threads_max: u64) -> io::Result<Option<Vec<Process>>> {
    let starts: HashMap<i32, u64> = roots.iter().map(|root| (root.pid, root.start)).collect();
    let (mut family, mut threads) = (BTreeMap::new(), 0);
    // Each with its parent, unless it is a root.
    let mut rest: Vec<(i32, Option<i32>)> = starts.keys().map(|pid| (*pid, None)).collect();
    while let Some((pid, parent)) = rest.pop() {
        if family.contains_key(&pid) {
            continue;
        }
        // The number may be another process's by now.
        let matches = |stat: &Stat| {
            let matches = match parent {
                None => starts.get(&pid) == Some(&stat.starttime),
                Some(parent) => stat.ppid == parent,
            };
            threads += if matches { stat.num_threads.unsigned_abs() } else { 0 };
            matches && threads <= threads_max
        };
        match with_children(pid, matches) {
            _ if threads > threads_max => return Ok(None),
            Ok(Some((process, children))) => {
                family.insert(pid, process);
                rest.extend(children.into_iter().map(|child| (child, Some(pid))));
            }
            Ok(None) => {}
            Err(error) if is_gone(&error) || is_denied(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(family.into_values().collect()))
}

/// A process that has not ended, if it matches, and the numbers of its children.
fn with_children(
    pid: i32,
    mut matches: impl FnMut(&Stat) -> bool,
) -> io::Result<Option<(Process, Vec<i32>)>> {
    let proc = Proc::open(pid)?;
    let stat = proc.stat()?;
    let has_ended = || Ok::<_, io::Error>(has_ended(&stat) && proc.live_thread()?.is_none());
    if !matches(&stat) || is_own(pid) || has_ended()? {
        return Ok(None);
    }
    let children = proc.children()?;
    Ok(Some((stat.into(), children)))
}

/// By the parents of all processes.
fn by_parents(roots: &[&Process]) -> Result<Vec<Process>, process::Error> {
    let mut parents = Vec::new();
    let mut all = scan(|_, stat| {
        parents.push((stat.pid, stat.ppid));
        Ok(true)
    })?;
    let is_there = |root: &&&Process| {
        let index = all.binary_search_by_key(&root.pid, |process| process.pid);
        index.is_ok_and(|index| all[index].is_same(root))
    };
    let roots: Vec<i32> = roots.iter().filter(is_there).map(|root| root.pid).collect();
    let family = descendants(roots.into_iter(), &parents);
    all.retain(|process| family.contains(&process.pid));
    Ok(all)
}

/// The roots and their descendants. `all` has each process with its parent.
fn descendants<T: Copy + Eq + Hash>(roots: impl Iterator<Item = T>, all: &[(T, T)]) -> HashSet<T> {
    let mut family: HashSet<T> = roots.collect();
    // Numbers wrap, so a child's can be below its parent's: repeat until nothing is added.
    loop {
        let before = family.len();
        for (process, parent) in all {
            if family.contains(parent) {
                family.insert(*process);
            }
        }
        if family.len() == before {
            return family;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_and_theirs_in_any_order_and_nobody_else() {
        let all = [(20, 30), (30, 40), (40, 1), (50, 40), (60, 1), (61, 60), (7, 20)];
        let family = |root| {
            let mut family: Vec<_> = descendants([root].into_iter(), &all).into_iter().collect();
            family.sort_unstable();
            family
        };
        assert_eq!(family(40), [7, 20, 30, 40, 50]);
        assert_eq!(family(60), [60, 61]);
        assert_eq!(family(61), [61]);
        assert_eq!(family(1).len(), 8);
    }

    /// A shell with two children, one of which has one.
    #[test]
    fn both_ways_find_the_same() {
        use std::io::{BufRead, BufReader};
        use std::process::{Command, Stdio};

        let script = "sleep 60 & (sleep 60 & echo; wait) & wait";
        let mut command = Command::new("sh");
        let command = command.args(["-c", script]).stdout(Stdio::piped());
        let mut shell = command.spawn().expect("a shell");
        let said = BufReader::new(shell.stdout.take().expect("a pipe"));
        said.lines().next().expect("a line").expect("text");
        let pid = i32::try_from(shell.id()).expect("a number");
        let root = Process::from_pid(pid).expect("it runs");
        let other = Process { start: root.start + 1, ..root.clone() };
        // A name changes at execve(2).
        let alike = |(one, other): (&Process, &Process)| one.is_same(other);
        let listed = |root| by_children(&[root], 4).expect("/proc");
        let all = listed(&root).expect("four threads");
        assert_eq!(by_children(&[&root], 3).expect("/proc"), None, "more than three threads");
        let the_same = by_parents(&[&root]).expect("/proc");
        assert!(all.iter().zip(&the_same).all(alike), "{all:?} {the_same:?}");
        assert_eq!((all.len(), the_same.len()), (4, 4));
        // Another process of this number.
        assert_eq!(by_parents(&[&other]).expect("/proc"), []);
        assert_eq!(listed(&other), Some(Vec::new()));
        for process in &all {
            let pid = nix::unistd::Pid::from_raw(process.pid);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("it runs");
        }
        shell.wait().expect("a child");
        assert_eq!(listed(&root), Some(Vec::new()));
    }
}
