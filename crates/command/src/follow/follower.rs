//! The follower itself: look, set what is new, sleep, until the end.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use options::Mode;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::event::{Event, Problem};
use super::known::knowledge;
use super::members::Members;
use super::pace::{self, Pace};
use crate::apply::namespaces::{self, InNamespace};
use crate::apply::{self, Job, Outcome, Seen, Step};
use crate::sys::signals::Signals;
use crate::worker::{Hang, Worker, processor_time};

/// What is followed, and the outcome so far.
pub struct Follower<'a> {
    job: Job<'a>,
    /// The idle time, which says how often to look.
    idle: Duration,
    members: Members,
    worker: Worker,
    /// What hangs, and has been reported.
    hangs: Vec<Hang>,
    /// Problems that concern no single process, and have been reported.
    reported: HashSet<String>,
    signals: Rc<Signals>,
    pace: Pace,
    /// How many sockets have been changed.
    changed: usize,
}

impl<'a> Follower<'a> {
    /// A follower of these, which has not looked yet. From here on SIGINT and SIGTERM are for the follower.
    pub fn new(members: Members, job: Job<'a>) -> io::Result<Self> {
        Ok(Self {
            job,
            idle: Duration::MAX,
            members,
            worker: Worker::default(),
            hangs: Vec::new(),
            reported: HashSet::new(),
            signals: Rc::new(Signals::block([Signal::SIGINT, Signal::SIGTERM])?),
            pace: Pace::default(),
            changed: 0,
        })
    }

    /// How many processes have been looked into.
    pub fn processes(&self) -> usize {
        self.members.processes
    }

    /// How many sockets have been changed.
    pub fn changed(&self) -> usize {
        self.changed
    }

    /// Looks until the end, and reports what happens. False if no process may be looked into.
    pub fn run(&mut self, mut report: impl FnMut(Event)) -> bool {
        let mut is_ready = false;
        loop {
            let time = |worker: &Worker| processor_time() + worker.time;
            let before = time(&self.worker);
            let is_news = self.look(&mut report);
            let took = time(&self.worker).saturating_sub(before);
            if !is_ready && self.members.all_are_refused() {
                return false;
            }
            if !is_ready && self.members.has_any() {
                is_ready = true;
                let processes = self.members.all.values().map(|member| &member.process);
                let resolved = namespaces::resolve(self.job.settings, processes);
                self.idle = Duration::from_secs(shortest_idle(&resolved).into());
                report(Event::Ready(&resolved));
            }
            report(Event::Looked { processes: self.members.all.len(), changed: self.changed });
            let mut pause = self.pace.pause(is_news, took, self.idle);
            if self.members.has_doubts() {
                pause = pause.min(pace::soon(took));
            }
            if self.rest(pause) {
                return true;
            }
        }
    }

    /// Sleeps. Whether this is the end: a signal came, or nobody is left.
    fn rest(&mut self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            if self.members.nobody_is_left() {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            let mut numbers = Vec::new();
            let mut fds = vec![PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN)];
            for (pid, handle) in self.members.handles() {
                numbers.push(pid);
                fds.push(PollFd::from_borrowed_fd(handle, PollFlags::IN));
            }
            match poll(&mut fds, Timespec::try_from(left).ok().as_ref()) {
                Ok(0) => return false,
                Err(Errno::INTR) => continue,
                // What cannot be waited for is looked at later.
                Err(_) => {
                    std::thread::sleep(left);
                    return false;
                }
                Ok(_) => {}
            }
            let has_ended: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            if has_ended[0] {
                return true;
            }
            for (pid, has_ended) in numbers.into_iter().zip(&has_ended[1..]) {
                if *has_ended {
                    self.members.has_ended(pid);
                }
            }
        }
    }

    /// One look at everything. Whether there was a process or a socket that had not been seen.
    fn look(&mut self, report: &mut impl FnMut(Event)) -> bool {
        let (reported, stop) = (&mut self.reported, self.signals.as_fd());
        let mut is_news = self.members.find(&mut self.worker, stop, |problem| match problem {
            Problem::NotYet(_) | Problem::NotFound { .. } => report(Event::Problem(problem)),
            problem => report_once(reported, problem, report),
        });
        let mut targets = Vec::new();
        for member in self.members.all.values_mut() {
            match member.process.with(|target| target.sockets()) {
                Ok(sockets) => {
                    let fresh = member.known.fresh(sockets);
                    if fresh.is_empty() {
                        member.is_open();
                    } else {
                        targets.push((member.process.clone(), Some(fresh)));
                    }
                }
                Err(error) => member.is_refused(error, report),
            }
        }
        if !targets.is_empty() {
            is_news |= self.set(&targets, report);
        }
        self.report_left_out(report);
        self.worker.end_look();
        is_news
    }

    /// Sets what is new. Whether it had not been seen.
    fn set(&mut self, targets: &[apply::ProcessSockets], report: &mut impl FnMut(Event)) -> bool {
        let (is_forced, mut is_news) = (self.job.settings.mode == Mode::Force, false);
        let (members, changed) = (&mut self.members.all, &mut self.changed);
        let stop = Rc::clone(&self.signals);
        let stop = Some(stop.as_fd());
        let applied = apply::apply(&mut self.worker, &self.job, targets, stop, |process, step| {
            let Step::Socket(seen @ Seen { inode, state, .. }, outcome) = step else { return };
            report(Event::Socket(process, *seen, outcome));
            let Some(member) = members.get_mut(&process.pid) else { return };
            member.is_open();
            let is_new = member.known.learn(*inode, knowledge(outcome, *state, is_forced));
            is_news |= is_new;
            if let Outcome::Changed(change) = outcome {
                // One that waits for its user timeout has been counted.
                *changed += usize::from(is_new || change.silent.is_none());
            }
        });
        match applied {
            Ok(applied) => {
                for ((process, _), applied) in targets.iter().zip(applied) {
                    let hangs = self.worker.left_out().any(|hang| hang.process == process.id());
                    let member = self.members.all.get_mut(&process.pid).filter(|_| !hangs);
                    if let (Some(member), Some(Err(error))) = (member, applied.end) {
                        member.is_refused(error, report);
                    }
                }
            }
            Err(error) => report_once(&mut self.reported, error.into(), report),
        }
        is_news
    }

    /// Reports what is left out, and was not before.
    fn report_left_out(&mut self, report: &mut impl FnMut(Event)) {
        let hangs: Vec<_> = self.worker.left_out().collect();
        for hang in hangs.iter().filter(|hang| !self.hangs.contains(hang)) {
            report(Event::Problem(Problem::Hangs(*hang)));
        }
        self.hangs = hangs;
        for (user, _) in self.worker.unasked() {
            report_once(&mut self.reported, Problem::User(user), report);
        }
    }
}

/// Reports a problem that concerns no single process, once.
fn report_once(reported: &mut HashSet<String>, problem: Problem, report: &mut impl FnMut(Event)) {
    if reported.insert(problem.to_string()) {
        report(Event::Problem(problem));
    }
}

/// The shortest idle time, in seconds.
fn shortest_idle(resolved: &[InNamespace]) -> u32 {
    let idle =
        |it: &InNamespace| it.settings.values.idle.unwrap_or(it.kernel.assumed_defaults().idle);
    resolved.iter().map(idle).min().expect("there is one")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use nix::sys::signal::kill;
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, Pid, fork};

    use super::*;
    use crate::find::Selection;
    use crate::settings::RequestedSettings;
    use crate::values::Values;

    /// This process's own memory in KiB, exactly (statm counts in batches), and how many descriptors
    /// it has.
    fn footprint() -> (usize, usize) {
        let memory = std::fs::read_to_string("/proc/self/smaps_rollup").expect("text");
        let line = memory.lines().find_map(|line| line.strip_prefix("Anonymous:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        let fds = std::fs::read_dir("/proc/self/fd").expect("a directory").count();
        (number.expect("a number"), fds)
    }

    /// Opens and closes connections to itself until it is killed.
    fn open_and_close() -> ! {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        loop {
            let client = TcpStream::connect(address).expect("it listens");
            let server = listener.accept().expect("connected");
            std::thread::sleep(Duration::from_millis(2));
            drop((client, server));
        }
    }

    /// Looks often at a process, and says whether it has grown meanwhile.
    fn follow(pid: Pid, looks: usize) -> bool {
        let values = Values { idle: Some(60), ..Values::default() };
        let settings = RequestedSettings { values, mode: Mode::On };
        let selection = Selection::default();
        let (members, _) = Members::new(&[pid.to_string()]);
        let job = Job::to_follow(&settings, &selection);
        let mut follower = Follower::new(members, job).expect("it runs");
        let mut before = (0, 0);
        for look in 0..looks {
            follower.look(&mut |_| ());
            // By then everything has been as large as it becomes.
            if look == looks / 2 {
                before = footprint();
            }
        }
        let after = footprint();
        let changed = follower.changed;
        let known: usize = follower.members.all.values().map(|member| member.known.len()).sum();
        // Not by println!: what is captured here, in another process, is lost.
        let mut stderr = std::io::stderr();
        let _ = writeln!(stderr, "{looks} looks, {changed} changed, {before:?} to {after:?}");
        changed > looks / 10 && known < 100 && after.1 <= before.1 && after.0 < before.0 + 64
    }

    /// Looks often at a process that opens and closes sockets between the looks. How often:
    /// `KEEPALIVE_TEST_LOOKS`, or 3000 times.
    #[test]
    fn neither_memory_nor_descriptors_grow() {
        let looks = std::env::var("KEEPALIVE_TEST_LOOKS");
        let looks = looks.map_or(3000, |looks| looks.parse().expect("a number"));
        // A follower has one thread, and other tests' sockets and children are not its business.
        // SAFETY: no other thread holds a lock that the child needs: glibc's fork(3) sees to those
        // of malloc(3).
        match unsafe { fork() }.expect("a child") {
            ForkResult::Child => {
                // SAFETY: this process has one thread, so the child may do everything.
                let opener = match unsafe { fork() }.expect("a child") {
                    ForkResult::Child => open_and_close(),
                    ForkResult::Parent { child } => child,
                };
                let is_good = follow(opener, looks);
                let _ = kill(opener, Signal::SIGKILL);
                // SAFETY: ends the child.
                unsafe { libc::_exit(i32::from(!is_good)) }
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
            }
        }
    }
}
