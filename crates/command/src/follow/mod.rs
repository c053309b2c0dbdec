//! Looks again and again at the sockets of processes, and sets what is new.
//!
//! The follower itself only reads /proc. What is new is duplicated and set by a child that lives
//! for that look: where it hangs at a socket, the follower goes on without that socket, and
//! whatever the child had to leave open ends with it (process/apart.rs). Names, too, are looked for
//! by a child. A signal ends the follower at once, whatever the child does.

mod family;
mod known;
mod names;
mod pace;
pub mod ready;

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::apply::{Applier, Outcome, Seen};
use crate::errors;
use crate::kernel::Kernel;
use crate::process::findings::too_late;
use crate::process::{self, End, Process, SelectionArgs, Voice, Wanted, Word, vanished, why};
use crate::settings::{Settings, SettingsArgs};
use crate::terminal::{clear_status, complain, count, print, printable, show_status};
use crate::time;
use known::{Knowledge, Known, knowledge};
use names::Names;
use pace::Pace;

/// Follows what the arguments name, until it has ended or a signal comes.
pub fn follow(targets: &[String], settings: &SettingsArgs, selection: &SelectionArgs) -> ExitCode {
    let begin = Instant::now();
    let mut follower = match Follower::new(targets, settings, selection) {
        Ok(follower) => follower,
        Err(message) => {
            complain(message);
            return ExitCode::FAILURE;
        }
    };
    let is_ready = || {
        if let Err(error) = ready::tell() {
            complain(format!("NOTIFY_SOCKET: {}", errors::words(&error)));
        }
    };
    if !follower.run(is_ready) {
        return ExitCode::FAILURE;
    }
    let Follower { processes, changed, is_complete, .. } = &follower;
    let report = format!(
        "{} of {} changed in {}\n",
        count(*changed, "socket"),
        count(*processes, "process"),
        time::show(begin.elapsed())
    );
    if let Err(error) = print(&report) {
        complain(format!("stdout: {}", errors::words(&error)));
        return ExitCode::FAILURE;
    }
    if *is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Follows a process and its descendants until they have ended, and says nothing.
pub fn follow_in_silence(process: &Process, settings: &SettingsArgs) {
    process::raise_limit();
    let kernel = Kernel::new().unwrap_or_default();
    let idle = Settings::new(settings, &kernel).values.idle.unwrap_or(kernel.defaults.idle);
    let family = HashMap::from([(process.pid, Relative::new(process.clone()))]);
    let selection = SelectionArgs::default();
    if let Ok(mut follower) = Follower::of(family, Vec::new(), settings, &selection, idle) {
        follower.run(|| ());
    }
}

/// What is followed, and the outcome so far.
struct Follower<'a> {
    settings: &'a SettingsArgs,
    selection: &'a SelectionArgs,
    /// The idle time, which says how often to look.
    idle: Duration,
    /// The processes that are followed with their descendants, by number.
    family: HashMap<i32, Relative>,
    /// What is followed by a name.
    waited_for: Vec<WaitedFor>,
    members: HashMap<i32, Member>,
    names: Names,
    /// Failures that concern no process and have been told.
    told: HashSet<String>,
    signals: Rc<SignalFd>,
    pace: Pace,
    /// Whether everything that was asked for was there.
    is_complete: bool,
    /// How many processes have been looked into.
    processes: usize,
    /// How many sockets have been changed.
    changed: usize,
}

/// A process that is followed with its descendants, or one of these.
struct Relative {
    process: Process,
    /// For its end; None where there was no descriptor for it.
    handle: Option<OwnedFd>,
}

/// What is waited for, also after all of its processes have ended.
struct WaitedFor {
    argument: String,
    wanted: Wanted,
    /// Whether there has been one. Before, it may be a mistake.
    was_there: bool,
    /// Why it cannot be found, as was told.
    told: Option<String>,
}

/// A process that is looked into.
struct Member {
    process: Process,
    known: Known,
    /// Whether its refusal has been told.
    is_refused: bool,
}

/// What a child says.
mod word {
    /// The number of the process that comes next.
    pub const PROCESS: u8 = 0;
    /// The process may not be looked into.
    pub const REFUSED: u8 = 1;
    /// The inode of a socket that has been seen, with these bits.
    pub const SOCKET: u8 = 2;
    pub const SETTLED: u8 = 4;
    pub const CHANGED: u8 = 8;
    /// Its user timeout waits.
    pub const WAITS: u8 = 16;
}

impl<'a> Follower<'a> {
    fn new(
        targets: &[String],
        settings: &'a SettingsArgs,
        selection: &'a SelectionArgs,
    ) -> Result<Self, String> {
        process::check_proc()?;
        process::raise_limit();
        let kernel = Kernel::new().unwrap_or_default();
        let wanted = Settings::new(settings, &kernel).or_default(&kernel);
        settings.remark().iter().for_each(complain);
        too_late(wanted.values).iter().for_each(complain);
        if settings.verbose {
            complain(format!("Settings: {}", wanted.held().describe(&kernel)));
        }
        let idle = wanted.values.idle.unwrap_or(kernel.defaults.idle);
        let (mut family, mut waited_for) = (HashMap::new(), Vec::new());
        let mut is_complete = true;
        for argument in targets {
            let argument = argument.clone();
            match Wanted::of(&argument) {
                wanted @ Wanted::Number(_) => match wanted.find() {
                    Ok(found) => family.extend(
                        found.into_iter().map(|process| (process.pid, Relative::new(process))),
                    ),
                    Err(message) => {
                        complain(format!("{}: {message}", printable(&argument)));
                        is_complete = false;
                    }
                },
                wanted => {
                    waited_for.push(WaitedFor { argument, wanted, was_there: false, told: None })
                }
            }
        }
        if family.is_empty() && waited_for.is_empty() {
            return Err("nothing is left to follow".into());
        }
        let follower = Self::of(family, waited_for, settings, selection, idle)?;
        Ok(Self { is_complete, ..follower })
    }

    /// A follower of these, which has not looked yet.
    fn of(
        family: HashMap<i32, Relative>,
        waited_for: Vec<WaitedFor>,
        settings: &'a SettingsArgs,
        selection: &'a SelectionArgs,
        idle: u32,
    ) -> Result<Self, String> {
        let mut ending = SigSet::empty();
        ending.add(Signal::SIGINT);
        ending.add(Signal::SIGTERM);
        let signals = ending.thread_block().and_then(|()| {
            SignalFd::with_flags(&ending, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        });
        process::forget_children();
        Ok(Self {
            settings,
            selection,
            idle: Duration::from_secs(idle.into()),
            family,
            waited_for,
            members: HashMap::new(),
            names: Names::default(),
            told: HashSet::new(),
            signals: signals
                .map(Rc::new)
                .map_err(|error| format!("signalfd(2): {}", errors::words(&error.into())))?,
            pace: Pace::default(),
            is_complete: true,
            processes: 0,
            changed: 0,
        })
    }

    /// Looks until the end; calls `is_ready` after the first look. False if nothing may be looked
    /// into.
    fn run(&mut self, is_ready: impl FnOnce()) -> bool {
        let mut is_ready = Some(is_ready);
        loop {
            let begin = process::processor_time();
            let look = self.look();
            let took = process::processor_time().saturating_sub(begin) + look.childs_time;
            if let Some(is_ready) = is_ready.take() {
                let is_refused = self.members.values().all(|member| member.is_refused);
                if self.waited_for.is_empty() && is_refused && !self.members.is_empty() {
                    return false;
                }
                is_ready();
            }
            show_status(&format!(
                "following {}: {} changed",
                count(self.members.len(), "process"),
                count(self.changed, "socket")
            ));
            let pause = self.pace.pause(look.is_news, took, self.idle);
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
            if self.family.is_empty() && self.waited_for.is_empty() {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            let mut numbers = Vec::new();
            let mut fds = vec![PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN)];
            for (pid, relative) in &self.family {
                if let Some(handle) = &relative.handle {
                    numbers.push(*pid);
                    fds.push(PollFd::from_borrowed_fd(handle.as_fd(), PollFlags::IN));
                }
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
                    self.family.remove(&pid);
                }
            }
        }
    }

    /// One look at everything.
    fn look(&mut self) -> Look {
        let mut look = Look::default();
        self.find_members(&mut look);
        let mut work = Vec::new();
        for member in self.members.values_mut() {
            match member.process.with(|target| target.sockets()) {
                Ok(sockets) => {
                    let fresh = member.known.fresh(sockets);
                    if !fresh.is_empty() {
                        work.push((member.process.clone(), fresh));
                    }
                }
                Err(error) if vanished(&error) => {}
                Err(error) if !std::mem::replace(&mut member.is_refused, true) => {
                    complain(format!("{}: {}", member.process, why(&member.process, &error)));
                }
                Err(_) => {}
            }
        }
        if !work.is_empty() {
            self.carry_out(&work, &mut look);
        }
        look
    }

    /// Finds out whom to look into.
    fn find_members(&mut self, look: &mut Look) {
        let mut found = Vec::new();
        if !self.family.is_empty() {
            match process::all_with_parents() {
                Ok(all) => found.extend(self.relatives(all)),
                Err(message) => self.tell(message),
            }
        }
        for WaitedFor { argument, wanted, was_there, told } in &mut self.waited_for {
            let search = match wanted {
                Wanted::Name(_) => {
                    self.names.search(wanted, self.signals.as_fd(), &mut look.childs_time)
                }
                wanted => wanted.find(),
            };
            let failure = match search {
                Ok(processes) => {
                    *was_there |= !processes.is_empty();
                    found.extend(processes);
                    let printed = printable(argument);
                    (!*was_there).then(|| format!("{printed}: no process yet; waiting for one"))
                }
                Err(message) => Some(format!("{}: {message}", printable(argument))),
            };
            if failure != *told {
                failure.iter().for_each(complain);
                *told = failure;
            }
        }
        let mut before = std::mem::take(&mut self.members);
        for process in found {
            if self.members.contains_key(&process.pid) {
                continue;
            }
            let known = before.remove(&process.pid).filter(|member| member.process.is(&process));
            look.is_news |= known.is_none();
            self.processes += usize::from(known.is_none());
            let (known, is_refused) =
                known.map_or_else(Default::default, |member| (member.known, member.is_refused));
            self.members.insert(process.pid, Member { process, known, is_refused });
        }
    }

    /// The family's members among all processes. Those that have ended are left out.
    fn relatives(&mut self, all: Vec<(Process, i32)>) -> Vec<Process> {
        let is_there = |pid: &i32, relative: &Relative| {
            let index = all.binary_search_by_key(pid, |(process, _)| process.pid);
            index.is_ok_and(|index| all[index].0.is(&relative.process))
        };
        self.family.retain(|pid, relative| is_there(pid, relative));
        let parents: Vec<_> = all.iter().map(|(process, parent)| (process.pid, *parent)).collect();
        let family = family::descendants(self.family.keys().copied(), &parents);
        let mut found = Vec::new();
        for (process, _) in all {
            if family.contains(&process.pid) {
                let relative = self.family.entry(process.pid);
                relative.or_insert_with(|| Relative::new(process.clone()));
                found.push(process);
            }
        }
        found
    }

    /// Lets a child set what is new.
    fn carry_out(&mut self, work: &[(Process, Vec<(i32, u64)>)], look: &mut Look) {
        let (settings, selection) = (self.settings, self.selection);
        let refused: HashSet<i32> =
            self.members.values().filter(|it| it.is_refused).map(|it| it.process.pid).collect();
        let mut current = 0;
        let signals = Rc::clone(&self.signals);
        let end = process::errand(
            |voice| set(work, &refused, settings, selection, voice),
            |word| self.hear(word, &mut current, look),
            Some(signals.as_fd()),
        );
        match end {
            Ok(End::Done(time)) => look.childs_time += time,
            Ok(End::Stuck(held)) => {
                if let Some(member) = self.members.get_mut(&held.pid) {
                    complain(format!("{}: left out: {held}", member.process));
                    member.known.learn(held.inode, Knowledge::Settled);
                }
            }
            // By a signal, which ends the pause as well.
            Ok(End::Stopped) => {}
            Ok(End::Died(_)) => self.tell("a child of this command was killed".into()),
            Err(error) => {
                self.tell(format!("fork(2): {} (ulimit -u)", errors::words(&error)));
            }
        }
    }

    /// Something that the child says.
    fn hear(&mut self, (number, kind): Word, current: &mut i32, look: &mut Look) {
        if kind == word::PROCESS {
            *current = i32::try_from(number).unwrap_or(0);
            return;
        }
        let Some(member) = self.members.get_mut(current) else { return };
        if kind == word::REFUSED {
            member.is_refused = true;
            return;
        }
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
            complain(&message);
            self.told.insert(message);
        }
    }
}

impl Relative {
    fn new(process: Process) -> Self {
        Self { handle: process.handle().ok(), process }
    }
}

/// The outcome of a look.
#[derive(Default)]
struct Look {
    /// Whether there was a process or a socket that had not been seen.
    is_news: bool,
    /// The processor time of the children.
    childs_time: Duration,
}

/// In a child: sets what is new.
fn set(
    work: &[(Process, Vec<(i32, u64)>)],
    refused: &HashSet<i32>,
    settings: &SettingsArgs,
    selection: &SelectionArgs,
    voice: &Voice,
) {
    let mut applier = Applier::new(settings, selection, false);
    for (process, sockets) in work {
        voice.say((process.pid as u64, word::PROCESS));
        let each = |seen: Seen, outcome: &Outcome| {
            if let (true, Some(said)) = (settings.debug, outcome.describe()) {
                complain(format!("{process}: fd {}: {said}", seen.fd));
            }
            if let Outcome::Failed(what) = outcome {
                complain(format!("{process}: fd {}: {what}", seen.fd));
            }
            let mut kind = word::SOCKET;
            if knowledge(outcome, seen.state, settings.force) == Knowledge::Settled {
                kind |= word::SETTLED;
            }
            if let Outcome::Changed(change) = outcome {
                kind |= word::CHANGED;
                kind |= if change.silent.is_some() { word::WAITS } else { 0 };
            }
            voice.say((seen.inode, kind));
        };
        match process.with(|target| applier.process(target, sockets, &each)) {
            Ok(_) => {}
            Err(error) if vanished(&error) => {}
            Err(error) => {
                if !refused.contains(&process.pid) {
                    complain(format!("{process}: {}", why(process, &error)));
                }
                voice.say((0, word::REFUSED));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        settings: SettingsArgs,
        #[command(flatten)]
        selection: SelectionArgs,
    }

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
            let arguments = Arguments::parse_from(["x", "--idle", "60"]);
            let mut follower = Follower::new(&[parent], &arguments.settings, &arguments.selection)
                .expect("it runs");
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
            let known: usize = follower.members.values().map(|member| member.known.len()).sum();
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
