//! A child, its start, and its end, for which nobody waits.
//!
//! A descriptor may be a socket when it is listed and another file when it is duplicated. Closing
//! such a duplicate may take for ever: the kernel asks the server of a FUSE file system first, and
//! not even SIGKILL ends that. So a duplicate that is no socket stays open until the child ends. A
//! socket can hold up the child too: by SO_LINGER when it is closed, which a timer ends; or because
//! its program stops in the middle of a send(2), which the parent notices (hang.rs).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, pidfd_open};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::hang::{Hang, Page};
use super::message::{Packet, Receiver, Sender, write};
use super::patience::{Patience, set_known, unasked};
use crate::sys::descriptors;
use crate::text::error::describe;

/// How often the parent checks that a child goes on.
const LOOK: Duration = Duration::from_millis(50);
/// How long a lingering close(2) may take.
const LINGER_MAX: libc::timeval = libc::timeval { tv_sec: 0, tv_usec: 20_000 };
/// How long a child is given to end once it has nothing more to do.
const END_MAX: Duration = Duration::from_millis(200);
/// After so many messages the parent lets some come before it takes in more: it would wake up for
/// each of them.
const MANY: usize = 100;
const GATHER: Duration = Duration::from_millis(2);

/// Whether this process is such a child.
static IS_CHILD: AtomicBool = AtomicBool::new(false);

/// How work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Done,
    /// It was not done, since the calling process is to end.
    Stopped,
}

/// Why work cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("fork(2): {} (ulimit -u)", describe(.0))]
    Start(#[from] io::Error),
    #[error(
        "ended by a seccomp filter (SystemCallFilter= of systemd), which allows no look into other \
         processes"
    )]
    Filtered,
    #[error("ended by {0}")]
    Killed(Signal),
    #[error("a child of this command has ended")]
    Lost,
    #[error("{0}")]
    Panicked(String),
}

/// Does work in children, and remembers what hung.
#[derive(Default)]
pub struct Worker {
    patience: Patience,
    /// Children that have been given up and have not ended.
    running: Vec<Pid>,
    /// How much processor time the children have taken.
    pub time: Duration,
    /// The processes of this look that are left out because others hang, with their users.
    unasked: BTreeSet<(u32, i32)>,
}

/// How a child went.
enum Course {
    Done,
    Stopped,
    Hangs(Hang, Duration),
    Ended,
}

impl Worker {
    /// Does the work in a child, which has the state as it is, and adds each of its messages to the
    /// state. Where it hangs another child does the rest. The work ends early if `stop` can be read.
    /// The calling process must have one thread.
    pub fn run<S, M: Serialize + DeserializeOwned>(
        &mut self,
        state: &mut S,
        stop: Option<BorrowedFd<'_>>,
        work: impl Fn(&mut S, &Sender<M>),
        mut receive: impl FnMut(&mut S, M),
    ) -> Result<End, Error> {
        let page = Page::shared().ok_or(io::Error::from(io::ErrorKind::OutOfMemory))?;
        loop {
            page.clear();
            let (ours, theirs) = UnixStream::pair()?;
            let parent = getpid();
            // SAFETY: this process has one thread, so the child may do everything.
            let child = match unsafe { fork() }.map_err(io::Error::from)? {
                ForkResult::Parent { child } => child,
                ForkResult::Child => {
                    set_known(&self.patience);
                    let sender = Sender::new(theirs);
                    begin(&sender.stream, parent);
                    work(state, &sender);
                    write::<M>(&sender.stream, &Packet::Done(processor_time(), unasked()));
                    std::process::exit(0);
                }
            };
            drop(theirs);
            let mut receiver = Receiver::new(ours)?;
            let course =
                self.listen(page, child, &mut receiver, stop, |message| receive(state, message));
            if !matches!(course, Ok(Course::Done | Course::Ended)) {
                let _ = kill(child, Signal::SIGKILL);
            }
            let status = self.reap(child);
            match course? {
                Course::Done => return Ok(End::Done),
                Course::Stopped => return Ok(End::Stopped),
                Course::Ended => {
                    return Err(match status {
                        Some(WaitStatus::Signaled(_, Signal::SIGSYS, _)) => Error::Filtered,
                        Some(WaitStatus::Signaled(_, signal, _)) => Error::Killed(signal),
                        _ => {
                            let _ = kill(child, Signal::SIGKILL);
                            Error::Lost
                        }
                    });
                }
                Course::Hangs(hang, time) => {
                    self.patience.add(hang, child, time);
                    // What it has sent before it was ended.
                    while let Ok(Packet::Message(message)) = receiver.receive() {
                        receive(state, message);
                    }
                }
            }
        }
    }

    /// Does work that has one result, which is None if `stop` could be read.
    pub fn ask<M: Serialize + DeserializeOwned>(
        &mut self,
        stop: Option<BorrowedFd<'_>>,
        work: impl Fn() -> M,
    ) -> Result<Option<M>, Error> {
        let mut result = None;
        let work = |_: &mut Option<M>, sender: &Sender<M>| sender.send(&work());
        self.run(&mut result, stop, work, |result, message| *result = Some(message))?;
        Ok(result)
    }

    /// A look is over: what was left out for long may be asked again in the next, and that look has
    /// its own time.
    pub fn end_look(&mut self) {
        self.running.retain(|child| {
            waitpid(*child, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive)
        });
        self.patience.end_look(|child| self.running.contains(&child));
        self.unasked.clear();
    }

    /// What is left out.
    pub fn left_out(&self) -> impl Iterator<Item = Hang> {
        self.patience.left_out()
    }

    /// Of which users other processes are left out, and how many.
    pub fn unasked(&self) -> BTreeMap<u32, usize> {
        let mut users = BTreeMap::new();
        self.unasked.iter().for_each(|(user, _)| *users.entry(*user).or_default() += 1);
        users
    }

    /// Takes in a child's messages until the last.
    fn listen<M: DeserializeOwned>(
        &mut self,
        page: &Page,
        child: Pid,
        receiver: &mut Receiver,
        stop: Option<BorrowedFd<'_>>,
        mut receive: impl FnMut(M),
    ) -> Result<Course, Error> {
        let (mut now, mut waited, mut messages) = (None, Duration::ZERO, 0);
        loop {
            match receiver.receive() {
                Ok(Packet::Message(message)) => {
                    messages += 1;
                    receive(message);
                    continue;
                }
                Ok(Packet::Done(time, unasked)) => {
                    self.time += time;
                    self.unasked.extend(unasked);
                    return Ok(Course::Done);
                }
                Ok(Packet::Panicked(message)) => return Err(Error::Panicked(message)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Ok(Course::Ended),
            }
            if page.now() != now {
                (now, waited) = (page.now(), Duration::ZERO);
            }
            let rest = match now {
                Some((_, hang)) => {
                    let rest = self.patience.time_for(hang.process).saturating_sub(waited);
                    if rest.is_zero() {
                        return Ok(Course::Hangs(hang, waited));
                    }
                    rest
                }
                None => LOOK,
            };
            if messages > MANY {
                std::thread::sleep(GATHER);
            }
            match wait_for(receiver, stop, rest.min(LOOK)) {
                Wake::Message => {}
                Wake::Stop => return Ok(Course::Stopped),
                // If this process is stopped meanwhile, that is not the child's time. A child that
                // runs has much to do, or waits for a processor.
                Wake::Time if is_running(child) => waited += rest.min(LOOK) / 10,
                Wake::Time => waited += rest.min(LOOK),
            }
        }
    }

    /// How a child has ended; if it has not within a moment, it is remembered.
    fn reap(&mut self, child: Pid) -> Option<WaitStatus> {
        let pid = rustix::process::Pid::from_raw(child.as_raw());
        if let Some(handle) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) {
            let mut fds = [PollFd::new(&handle, PollFlags::IN)];
            let _ = poll(&mut fds, Timespec::try_from(END_MAX).ok().as_ref());
        }
        let status = waitpid(child, Some(WaitPidFlag::WNOHANG)).ok();
        if status == Some(WaitStatus::StillAlive) {
            self.running.push(child);
        }
        status
    }
}

/// Whether a process runs, or could, and does not sleep.
fn is_running(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" R"))
}

/// What ended a wait for the child's next message.
enum Wake {
    /// It may have come, or a signal.
    Message,
    /// The calling process is to end, and no message is there.
    Stop,
    Time,
}

fn wait_for(receiver: &Receiver, stop: Option<BorrowedFd<'_>>, time: Duration) -> Wake {
    let fds = stop.into_iter().chain([receiver.as_fd()]);
    let mut fds: Vec<_> = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    match poll(&mut fds, Timespec::try_from(time).ok().as_ref()) {
        Ok(0) => Wake::Time,
        Ok(_) if fds.last().is_some_and(|child| child.revents().is_empty()) => Wake::Stop,
        Ok(_) => Wake::Message,
        Err(rustix::io::Errno::INTR) => Wake::Message,
        Err(_) => {
            std::thread::sleep(time);
            Wake::Time
        }
    }
}

/// Makes this process, which was just started, a child that nobody need wait for.
fn begin(stream: &Arc<UnixStream>, parent: Pid) {
    IS_CHILD.store(true, Relaxed);
    let death = Some(rustix::process::Signal::KILL);
    let _ = rustix::process::set_parent_process_death_signal(death);
    if getppid() != parent {
        std::process::exit(1);
    }
    let_go(stream.as_raw_fd());
    let stream = Arc::clone(stream);
    std::panic::set_hook(Box::new(move |panic| {
        write::<()>(&stream, &Packet::Panicked(panic.to_string()));
        std::process::exit(1);
    }));
    end_lingering();
    descriptors::raise_limit();
}

/// Closes what the parent has open: whoever waits for the end of a pipe must not wait for a child that
/// hangs. Nothing is printed by a child.
fn let_go(stream: RawFd) {
    let is_let_go = |fd: &RawFd| *fd > 2 && *fd != stream;
    for fd in descriptors::open().unwrap_or_default().into_iter().filter(is_let_go) {
        // SAFETY: what owns it is the parent's. This process neither uses nor drops it.
        unsafe { libc::close(fd) };
    }
    let null = File::options().read(true).write(true).open("/dev/null");
    if let Ok(null) = &null {
        let _ = rustix::stdio::dup2_stdin(null);
        let _ = rustix::stdio::dup2_stdout(null);
        let _ = rustix::stdio::dup2_stderr(null);
    }
}

/// How much processor time this process has taken.
pub fn processor_time() -> Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID);
    time.map_or(Duration::ZERO, Duration::from)
}

/// Sends this process a signal again and again. The signal ends a close(2) that lingers, and does
/// nothing else.
fn end_lingering() {
    extern "C" fn nothing(_: libc::c_int) {}
    let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::SA_RESTART, SigSet::empty());
    let timer = libc::itimerval { it_interval: LINGER_MAX, it_value: LINGER_MAX };
    // SAFETY: the handler does nothing; the kernel reads `timer`.
    unsafe {
        let _ = sigaction(Signal::SIGALRM, &action);
        let _ = SigSet::from(Signal::SIGALRM).thread_unblock();
        libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut());
    }
}

/// Whether this is a process of the command itself.
pub fn is_own(pid: i32) -> bool {
    pid == getpid().as_raw() || (IS_CHILD.load(Relaxed) && pid == getppid().as_raw())
}
#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    use super::super::{Lock, ProcessId, watch, why_left_out};
    use super::*;

    #[test]
    fn a_socket_that_lingers_is_closed_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut client =
            TcpStream::connect(listener.local_addr().expect("one")).expect("connected");
        let _server = listener.accept().expect("connected");
        // More than the peer takes, so that the close would wait for it.
        client.set_nonblocking(true).expect("an option");
        while client.write(&[0; 1 << 16]).is_ok() {}
        let linger = libc::linger { l_onoff: 1, l_linger: 3 };
        // SAFETY: the kernel reads `linger`.
        let set = unsafe {
            libc::setsockopt(
                client.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const linger).cast(),
                size_of_val(&linger) as libc::socklen_t,
            )
        };
        assert_eq!(set, 0);
        // In a process with one thread, so that the signal comes to the thread that closes.
        let begin = Instant::now();
        // SAFETY: the child makes system calls only.
        match unsafe { fork() }.expect("a child") {
            ForkResult::Child => {
                end_lingering();
                // Until the parent's own descriptor is closed.
                std::thread::sleep(Duration::from_millis(200));
                drop(client);
                // SAFETY: ends the child.
                unsafe { libc::_exit(0) }
            }
            ForkResult::Parent { child } => {
                drop(client);
                assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
            }
        }
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    }

    #[test]
    fn a_child_that_says_no_more_and_does_not_end_is_not_waited_for() {
        let begin = Instant::now();
        let work = |(): &mut (), sender: &Sender<()>| {
            // As its end would close it, before another file that takes for ever.
            let _ = sender.stream.shutdown(std::net::Shutdown::Both);
            std::thread::sleep(Duration::from_secs(20));
        };
        let end = Worker::default().run(&mut (), None, work, |(), ()| ());
        assert!(matches!(end, Err(Error::Lost)), "{end:?}");
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }

    #[test]
    fn a_panic_of_a_child_is_told() {
        let work = |(): &mut (), _: &Sender<()>| panic!("as it happens");
        let end = Worker::default().run(&mut (), None, work, |(), ()| ());
        let told = |message: &str| message.contains("as it happens");
        assert!(matches!(&end, Err(Error::Panicked(message)) if told(message)), "{end:?}");
    }

    #[test]
    fn nothing_is_done_twice_and_what_hangs_is_left_out() {
        // One that runs, so that its user is known.
        let pid = std::process::id() as i32;
        let process = |start| ProcessId { pid, start };
        let all = [0, 1, 2, 3];
        let work = |done: &mut Vec<u64>, sender: &Sender<u64>| {
            for number in all {
                let is_out = why_left_out(process(number)).is_some();
                if done.contains(&number) || is_out {
                    continue;
                }
                if number == 1 {
                    let _watched = watch(process(number), Lock::Memory);
                    std::thread::sleep(Duration::from_secs(60));
                }
                sender.send(&number);
            }
        };
        let (mut worker, mut done) = (Worker::default(), Vec::new());
        let end = worker.run(&mut done, None, work, Vec::push);
        assert!(matches!(end, Ok(End::Done)), "{end:?}");
        assert_eq!(done, [0, 2, 3]);
        let left_out: Vec<_> = worker.left_out().collect();
        assert_eq!(left_out, [Hang { process: process(1), lock: Lock::Memory }]);
        assert_eq!(worker.running, [], "each child has ended");
    }
}
