//! The follower itself: look, set what is new, sleep, until the end.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::known::Knowledge;
use super::members::Members;
use super::pace::{self, Look, Pace};
use super::set::{set, word};
use crate::apply::namespaces::{self, InNamespace};
use crate::find::Selection;
use crate::process::{self, Process};
use crate::settings::RequestedSettings;
use crate::sys::signals::Signals;
use crate::text::{clear_status, count, error, report_error, show_status};
use crate::worker::{self, End, Word};

/// What is followed, and the outcome so far.
pub struct Follower<'a> {
    settings: &'a RequestedSettings,
    selection: &'a Selection,
    /// Whether each socket is reported.
    pub is_debug: bool,
    /// The idle time, which says how often to look.
    idle: Duration,
    members: Members,
    /// Failures that concern no process and have been told.
    told: HashSet<String>,
    signals: Rc<Signals>,
    pace: Pace,
    /// How many sockets have been changed.
    changed: usize,
}

impl<'a> Follower<'a> {
    /// A follower of these, which has not looked yet.
    pub fn of(
        members: Members,
        settings: &'a RequestedSettings,
        selection: &'a Selection,
    ) -> Result<Self, String> {
        let signals = Signals::block([Signal::SIGINT, Signal::SIGTERM]);
        worker::forget_children();
        Ok(Self {
            settings,
            selection,
            is_debug: false,
            idle: Duration::MAX,
            members,
            told: HashSet::new(),
            signals: signals
                .map(Rc::new)
                .map_err(|error| format!("signalfd(2): {}", error::describe(&error)))?,
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

    /// Looks until the end; calls `is_ready` after the first look into a process, with what is set in
    /// the network namespaces. False if none may be looked into.
    pub fn run(&mut self, is_ready: impl FnOnce(&[InNamespace])) -> bool {
        let mut is_ready = Some(is_ready);
        loop {
            let begin = worker::processor_time();
            let look = self.look();
            let took = worker::processor_time().saturating_sub(begin) + look.childs_time;
            if is_ready.is_some() && self.members.all_are_refused() {
                return false;
            }
            if let Some(is_ready) = is_ready.take_if(|_| self.members.has_any()) {
                let processes = self.members.all.values().map(|member| &member.process);
                let resolved = namespaces::resolve(self.settings, processes);
                self.idle = Duration::from_secs(shortest_idle(&resolved).into());
                is_ready(&resolved);
            }
            show_status(&format!(
                "following {}: {} changed",
                count(self.members.all.len(), "process"),
                count(self.changed, "socket")
            ));
            let mut pause = self.pace.pause(look.is_news, took, self.idle);
            if self.members.has_doubts() {
                pause = pause.min(pace::soon(took));
            }
            if self.rest(pause) {
                clear_status();
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

    /// One look at everything.
    fn look(&mut self) -> Look {
        let mut look = Look::default();
        if let Err(message) = self.members.find(self.signals.as_fd(), &mut look) {
            self.tell(message);
        }
        let mut work = Vec::new();
        for member in self.members.all.values_mut() {
            match member.process.with(|target| target.sockets()) {
                Ok(sockets) => {
                    let fresh = member.known.fresh(sockets);
                    if fresh.is_empty() {
                        member.is_open();
                    } else {
                        work.push((member.process.clone(), fresh));
                    }
                }
                Err(process::Error::Ended) => {}
                Err(error) => {
                    let is_told = member.is_long_refused();
                    if is_told {
                        report_error(format!("{}: {error}", member.process));
                    }
                    member.is_refused(is_told);
                }
            }
        }
        if !work.is_empty() {
            self.carry_out(&work, &mut look);
        }
        look
    }

    /// Lets a child set what is new.
    fn carry_out(&mut self, work: &[(Process, Vec<(i32, u64)>)], look: &mut Look) {
        let (settings, selection, is_debug) = (self.settings, self.selection, self.is_debug);
        let members = self.members.all.values();
        let long_refused: HashSet<i32> =
            members.filter(|it| it.is_long_refused()).map(|it| it.process.pid).collect();
        let mut current = 0;
        let signals = Rc::clone(&self.signals);
        let end = worker::run_child(
            |sender| set(work, &long_refused, settings, selection, is_debug, sender),
            |word| self.receive(word, &mut current, &long_refused, look),
            Some(signals.as_fd()),
        );
        match end {
            Ok(End::Done(time)) => look.childs_time += time,
            Ok(End::Stuck(hang)) => {
                if let Some(member) = self.members.all.get_mut(&hang.pid) {
                    report_error(format!("{}: left out: {hang}", member.process));
                    member.known.learn(hang.inode, Knowledge::Settled);
                }
            }
            // By a signal, which ends the pause as well.
            Ok(End::Stopped) => {}
            Ok(End::Died(_)) => self.tell("a child of this command was killed".into()),
            Err(error) => self.tell(format!("fork(2): {} (ulimit -u)", error::describe(&error))),
        }
    }

    /// Something that the child says. It tells the refusal of those that are long refused.
    fn receive(
        &mut self,
        (number, kind): Word,
        current: &mut i32,
        long_refused: &HashSet<i32>,
        look: &mut Look,
    ) {
        if kind == word::PROCESS {
            *current = i32::try_from(number).unwrap_or(0);
            return;
        }
        let Some(member) = self.members.all.get_mut(current) else { return };
        if kind == word::REFUSED {
            member.is_refused(long_refused.contains(current));
            return;
        }
        member.is_open();
        let is_settled = kind & word::SETTLED != 0;
        let knowledge = if is_settled { Knowledge::Settled } else { Knowledge::Again };
        let is_new = member.known.learn(number, knowledge);
        look.is_news |= is_new;
        // One that waits for its user timeout has been counted.
        let is_changed = kind & word::CHANGED != 0 && (is_new || kind & word::WAITS == 0);
        self.changed += usize::from(is_changed);
    }

    /// Tells something that concerns no process, once.
    fn tell(&mut self, message: String) {
        if !self.told.contains(&message) {
            report_error(&message);
            self.told.insert(message);
        }
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
    use std::net::{TcpListener, TcpStream};

    use options::Mode;

    use super::*;
    use crate::values::Values;

    /// This process's memory, in pages, and how many descriptors it has.
    fn footprint() -> (usize, usize) {
        let memory = std::fs::read_to_string("/proc/self/statm").expect("text");
        let resident = memory.split(' ').nth(1).and_then(|pages| pages.parse().ok());
        let fds = std::fs::read_dir("/proc/self/fd").expect("a directory").count();
        (resident.expect("a number"), fds)
    }

    /// Looks often at a process that opens and closes sockets between the looks. How often:
    /// `KEEPALIVE_TEST_LOOKS`, or 3000 times.
    #[test]
    fn neither_memory_nor_descriptors_grow() {
        const WARM: usize = 300;

        let looks = std::env::var("KEEPALIVE_TEST_LOOKS");
        let looks = looks.map_or(3000, |looks| looks.parse().expect("a number"));
        let parent = std::process::id().to_string();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let follow = || {
            let values = Values { idle: Some(60), ..Values::default() };
            let settings = RequestedSettings { values, mode: Mode::On };
            let selection = Selection::default();
            let (members, _) = Members::of(&[parent]);
            let mut follower = Follower::of(members, &settings, &selection).expect("it runs");
            let mut before = (0, 0);
            for look in 0..looks {
                follower.look();
                if look == WARM {
                    before = footprint();
                }
            }
            let after = footprint();
            println!(
                "{looks} looks, {} sockets changed, {before:?} to {after:?}",
                follower.changed
            );
            let known: usize = follower.members.all.values().map(|member| member.known.len()).sum();
            follower.changed > looks / 10
                && known < 100
                && after.1 <= before.1
                && after.0 < before.0 + 64
        };
        // A follower has one thread.
        // SAFETY: no other thread holds a lock that the child needs: glibc's fork(3) sees to those
        // of malloc(3), and the child prints into a buffer of its own.
        match unsafe { nix::unistd::fork() }.expect("a child") {
            nix::unistd::ForkResult::Child => {
                let is_good = follow();
                // SAFETY: ends the child.
                unsafe { libc::_exit(i32::from(!is_good)) }
            }
            nix::unistd::ForkResult::Parent { child } => std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !stop.load(relaxed) {
                        let client = TcpStream::connect(address).expect("it listens");
                        let server = listener.accept().expect("connected");
                        std::thread::sleep(Duration::from_millis(2));
                        drop((client, server));
                    }
                });
                let status = nix::sys::wait::waitpid(child, None);
                stop.store(true, relaxed);
                assert_eq!(status, Ok(nix::sys::wait::WaitStatus::Exited(child, 0)));
            }),
        }
    }
}
