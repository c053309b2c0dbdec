//! For how long a look waits for what hangs, and what it leaves out.
//!
//! What hangs may be slow only, and anybody can make as many processes as they like that hang for
//! ever. So a process that hangs is put off: it is asked again after all others, and left out if it
//! hangs again. All of these waits share one time, and each of them gets a part of what is left of it.
//! Of a user with several such processes the others are left out unasked.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::os::fd::RawFd;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use procfs::FromRead;
use procfs::process::Stat;

use super::hang::{Hang, Lock, ProcessId};

/// How long the waits of a look take together: of the first, and of each after it.
const FIRST_LOOK: Duration = Duration::from_secs(10);
const LATER_LOOK: Duration = Duration::from_secs(2);
/// How long a process that did not hang before may take, at most and at least.
const MOST: Duration = Duration::from_secs(1);
const LEAST: Duration = Duration::from_millis(50);
/// After so many processes of a user the others of that user are left out.
const PER_USER: usize = 5;
/// After so long a process that was left out is asked again.
const RETRY: Duration = Duration::from_secs(60);

/// What hung, and how much time is left for it.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    left: Duration,
    hung: HashMap<ProcessId, Hung>,
}

#[derive(Clone, Debug)]
struct Hung {
    lock: Lock,
    /// Whose process it is, where that is known.
    user: Option<u32>,
    /// The child that hung there the last time.
    child: Pid,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Standing {
    /// It hung once in this look, and is asked last.
    PutOff,
    /// It hung again, then.
    LeftOut(Instant),
    /// It was left out for long enough, and is asked last.
    Retried,
}

impl Default for Patience {
    fn default() -> Self {
        Self { left: FIRST_LOOK, hung: HashMap::new() }
    }
}

impl Patience {
    /// A look is over. `is_running` tells of a child whether it has not ended: as long as it hangs,
    /// another would.
    pub fn end_look(&mut self, is_running: impl Fn(Pid) -> bool) {
        self.left = LATER_LOOK;
        self.hung.retain(|process, hung| {
            if let Standing::LeftOut(since) = hung.standing
                && since.elapsed() >= RETRY
                && !is_running(hung.child)
            {
                hung.standing = Standing::Retried;
            }
            hung.standing != Standing::PutOff && start(process.pid) == Some(process.start)
        });
    }

    /// How long to wait for something of this process.
    pub fn time_for(&self, process: ProcessId) -> Duration {
        match self.hung.contains_key(&process) {
            true => (self.left / 2).max(LEAST),
            false => (self.left / 10).clamp(LEAST, MOST),
        }
    }

    /// A child hung there for so long.
    pub fn add(&mut self, Hang { process, lock }: Hang, child: Pid, time: Duration) {
        self.left = self.left.saturating_sub(time);
        let left_out = Standing::LeftOut(Instant::now());
        let standing = if self.hung.contains_key(&process) { left_out } else { Standing::PutOff };
        let user = user(process.pid);
        self.hung.insert(process, Hung { lock, user, child, standing });
        if self.left < LEAST {
            let all = self.hung.values_mut();
            all.filter(|it| it.standing == Standing::PutOff).for_each(|it| it.standing = left_out);
        }
    }

    /// What is left out, or was until it is asked again.
    pub fn left_out(&self) -> impl Iterator<Item = Hang> {
        let hung = self.hung.iter().filter(|(_, hung)| hung.standing != Standing::PutOff);
        hung.map(|(process, hung)| Hang { process: *process, lock: hung.lock })
    }

    fn why_left_out(&self, process: ProcessId) -> Option<Lock> {
        let hung = self.hung.get(&process)?;
        matches!(hung.standing, Standing::LeftOut(_)).then_some(hung.lock)
    }

    /// The user of a process, if it is left out because others of that user hang.
    fn user_left_out(&self, process: ProcessId) -> Option<u32> {
        if self.hung.len() < PER_USER || self.hung.contains_key(&process) {
            return None;
        }
        user(process.pid).filter(|user| self.is_left_out(*user, rustix::process::getuid().as_raw()))
    }

    /// Whether all processes of a user are left out that have not hung. (Whoever can hold up root or
    /// this user by other means need not hang.)
    fn is_left_out(&self, user: u32, own: u32) -> bool {
        let is_hung = |hung: &&Hung| hung.user == Some(user) && hung.standing != Standing::Retried;
        user != 0 && user != own && self.hung.values().filter(is_hung).count() >= PER_USER
    }
}

/// Who started a process: its real user, since `/proc/PID` itself may be root's.
fn user(pid: i32) -> Option<u32> {
    let mut text = Vec::new();
    File::open(format!("/proc/{pid}/status")).ok()?.take(4096).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let users = text.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_ascii_whitespace().next()?.parse().ok()
}

fn start(pid: i32) -> Option<u64> {
    let stat = File::open(format!("/proc/{pid}/stat")).ok()?;
    Stat::from_read(stat.take(4096)).ok().map(|stat| stat.starttime)
}

/// What a child knows from those before it.
static KNOWN: OnceLock<Patience> = OnceLock::new();

/// In a child: this is what is known.
pub(super) fn set_known(patience: &Patience) {
    let _ = KNOWN.set(patience.clone());
}

/// In a child: the processes that it has left out because of others, with their users.
static UNASKED: Mutex<BTreeSet<(u32, i32)>> = Mutex::new(BTreeSet::new());

/// In a child: at what this process hung, if it is left out.
pub fn why_left_out(process: ProcessId) -> Option<Lock> {
    KNOWN.get()?.why_left_out(process)
}

/// In a child: whether a process is left out because others of its user hang.
pub fn is_unasked(process: ProcessId) -> bool {
    let Some(user) = KNOWN.get().and_then(|known| known.user_left_out(process)) else {
        return false;
    };
    UNASKED.lock().unwrap_or_else(PoisonError::into_inner).insert((user, process.pid));
    true
}

/// In a child: the processes of which [`is_unasked`] is true, with their users.
pub(super) fn unasked() -> BTreeSet<(u32, i32)> {
    std::mem::take(&mut UNASKED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// In a child: moves the socket of this process at which an earlier child hung behind the others.
/// They are given by descriptor and inode.
pub fn put_hung_socket_last(process: ProcessId, sockets: &mut [(RawFd, u64)]) {
    if let Some(Lock::Socket { inode: hung, .. }) =
        KNOWN.get().and_then(|known| known.hung.get(&process)).map(|hung| hung.lock)
    {
        sockets.sort_by_key(|(_, inode)| *inode == hung);
    }
}

/// In a child: whether the process with this number hung.
pub fn is_put_off(pid: i32) -> bool {
    let is_known = |known: &Patience| known.hung.keys().any(|process| process.pid == pid);
    KNOWN.get().is_some_and(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u32 = 1;

    /// A look at processes, given by their users, that hang for ever or for so long: how long it
    /// takes, and which are left out.
    fn look(patience: &mut Patience, processes: &[(u32, Duration)]) -> (Duration, Vec<usize>) {
        let id = |index: usize| ProcessId { pid: index as i32 + 1, start: 0 };
        let (mut total, mut done) = (Duration::ZERO, vec![false; processes.len()]);
        loop {
            let is_put_off = |index: &usize| patience.hung.contains_key(&id(*index));
            let mut order: Vec<usize> =
                (0..processes.len()).filter(|index| !done[*index]).collect();
            order.sort_by_key(is_put_off);
            let mut hang = None;
            for index in order {
                let (user, needed) = processes[index];
                let known = patience.hung.get(&id(index));
                let is_left_out = match known {
                    Some(hung) => matches!(hung.standing, Standing::LeftOut(_)),
                    None => patience.is_left_out(user, OWN),
                };
                if is_left_out {
                    continue;
                }
                let time = patience.time_for(id(index));
                if needed > time {
                    hang = Some((index, time));
                    break;
                }
                total += needed;
                done[index] = true;
            }
            let Some((index, time)) = hang else { break };
            total += time;
            let lock = Lock::Memory;
            patience.add(Hang { process: id(index), lock }, Pid::from_raw(1), time);
            let hung = patience.hung.get_mut(&id(index)).expect("it hangs");
            hung.user = Some(processes[index].0);
        }
        (total, (0..processes.len()).filter(|index| !done[*index]).collect())
    }

    const EVER: Duration = Duration::MAX;
    const NEVER: Duration = Duration::ZERO;

    #[test]
    fn one_user_s_processes_hold_up_a_look_for_ten_seconds_however_many_they_are() {
        for (number, most) in [(1, 6), (5, 11), (1000, 11)] {
            let mut processes = vec![(1000, EVER); number];
            processes.extend([(0, NEVER), (33, NEVER), (OWN, NEVER)]);
            let (time, left_out) = look(&mut Patience::default(), &processes);
            assert!(time <= Duration::from_secs(most), "{number}: {time:?}");
            assert_eq!(left_out, (0..number).collect::<Vec<_>>());
        }
    }

    #[test]
    fn each_further_user_takes_a_quarter_of_a_second_and_nobody_else_is_left_out() {
        let mut processes: Vec<_> = (0..400).map(|index| (1000 + index / 10, EVER)).collect();
        processes.extend([(0, NEVER), (33, NEVER), (OWN, NEVER)]);
        let (time, left_out) = look(&mut Patience::default(), &processes);
        assert!(time <= FIRST_LOOK + 40 * Duration::from_millis(250), "{time:?}");
        assert_eq!(left_out, (0..400).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_slow_is_waited_for_after_all_others() {
        let processes = [(1000, Duration::from_secs(3)), (1000, EVER), (1000, NEVER)];
        let (time, left_out) = look(&mut Patience::default(), &processes);
        assert_eq!(left_out, [1]);
        assert!(time < FIRST_LOOK, "{time:?}");
    }

    #[test]
    fn root_s_and_one_s_own_processes_are_all_asked() {
        for user in [0, OWN] {
            let mut processes = vec![(user, EVER); 20];
            processes.push((user, NEVER));
            assert_eq!(look(&mut Patience::default(), &processes).1.len(), 20);
        }
    }

    #[test]
    fn a_later_look_does_not_wait_again_until_the_process_is_retried_and_is_never_longer_than_two_seconds()
     {
        let own = std::process::id() as i32;
        let process = ProcessId { pid: own, start: start(own).expect("it runs") };
        let hang = Hang { process, lock: Lock::Memory };
        let mut patience = Patience::default();
        patience.add(hang, Pid::from_raw(1), MOST);
        assert_eq!(
            (patience.why_left_out(process), patience.left_out().count()),
            (None, 0),
            "put off"
        );
        patience.add(hang, Pid::from_raw(1), MOST);
        assert_eq!(patience.why_left_out(process), Some(Lock::Memory));
        assert_eq!(user(own), Some(rustix::process::getuid().as_raw()));
        patience.end_look(|_| false);
        assert_eq!(patience.left_out().collect::<Vec<_>>(), [hang]);

        let long_ago = Instant::now().checked_sub(RETRY).expect("the machine runs for longer");
        let hung = patience.hung.get_mut(&process).expect("known");
        hung.standing = Standing::LeftOut(long_ago);
        patience.end_look(|_| true);
        assert!(patience.why_left_out(process).is_some(), "the child hangs there still");
        patience.end_look(|_| false);
        assert_eq!(patience.why_left_out(process), None);
        assert!(patience.time_for(process) <= LATER_LOOK / 2);
        // Another process has its number.
        let other = ProcessId { start: process.start + 1, ..process };
        patience.add(Hang { process: other, ..hang }, Pid::from_raw(1), MOST);
        patience.add(Hang { process: other, ..hang }, Pid::from_raw(1), LEAST);
        assert!(patience.why_left_out(other).is_some() && patience.why_left_out(process).is_none());
        patience.end_look(|_| false);
        assert!(!patience.hung.contains_key(&other));
    }
}
