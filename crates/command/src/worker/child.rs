//! The work is done in a child process, and the command does not wait for the end of that process.
//!
//! A descriptor may be a socket when it is listed and another file when it is duplicated. Closing
//! such a duplicate may take for ever: the kernel asks the server of a FUSE file system first, and
//! not even SIGKILL ends that. So a duplicate that is no socket stays open, in the child. A socket can
//! hold up the child too: by SO_LINGER when it is closed, which a timer ends; or because its program
//! stops in the middle of a send(2), which the parent notices (hang.rs).

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, getpid, getppid};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::hang::{self, Hang, Watch};
use crate::sys::{Status, descriptors};
use crate::text::{error, report_error};

/// How often the parent checks that the child goes on, and after how many checks at the same thing it
/// gives up.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: u32 = 10;

/// How long a lingering close(2) may take.
const LINGER_MAX: libc::timeval = libc::timeval { tv_sec: 0, tv_usec: 20_000 };

/// Whether this process is such a child.
static IS_CHILD: AtomicBool = AtomicBool::new(false);

/// Duplicates that may not be closed.
static LEFT: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// What a child sends to its parent: a number, and what it is.
pub type Word = (u64, u8);

/// Sends a child's words to its parent.
pub struct Sender(UnixStream);

/// The last word of a child: how much processor time it took, in nanoseconds.
const END: u8 = 0xff;
const PART: usize = size_of::<u64>();
const WORD: usize = PART + 1;

impl Sender {
    /// Sends a word, of any kind but [`END`]. An error means that the parent has ended.
    pub fn send(&self, (number, kind): Word) {
        let mut bytes = [kind; WORD];
        bytes[..WORD - 1].copy_from_slice(&number.to_ne_bytes());
        let _ = (&self.0).write_all(&bytes);
    }

    /// Sends a document: a word that begins it, and then eight bytes a word.
    pub fn send_document(&self, document: &[u8]) {
        let mut bytes = vec![0; WORD];
        for part in document.chunks(PART) {
            let mut word = [0; WORD];
            word[..part.len()].copy_from_slice(part);
            word[PART] = part.len() as u8;
            bytes.extend(word);
        }
        let _ = (&self.0).write_all(&bytes);
    }
}

/// Takes in a word of a document that [`Sender::send`] sends.
pub fn receive(document: &mut Vec<u8>, (part, length): Word) {
    match length {
        0 => document.clear(),
        _ => document.extend(&part.to_ne_bytes()[..usize::from(length).min(PART)]),
    }
}

/// How a child ended.
pub enum End {
    /// All was done, in this much processor time.
    Done(Duration),
    /// It hangs at something that a process holds, and nobody waits for it any more.
    Stuck(Hang),
    /// It was ended, since the calling process is to end.
    Stopped,
    /// In another way, with this status if it is known.
    Died(Option<WaitStatus>),
}

/// After this many locked processes the command gives up.
const LOCKED_MAX: usize = 5;

/// Does the work in a child, and returns its exit status, which `work` returns.
pub fn in_child(work: impl Fn() -> Status) -> Status {
    let mut status = Status::Failure;
    let done = Worker::default().run(
        |sender| sender.send((work() as u64, 0)),
        |(said, _)| status = Status::from_code(u8::try_from(said).unwrap_or(1)),
        None,
    );
    done.map_or_else(|failure| failure, |_| status)
}

/// Work that is done in a child, once or again and again. If a process holds up the child, the work
/// is done once more without that process, and from then on.
#[derive(Default)]
pub struct Worker {
    /// At what earlier children hung.
    locked: Vec<Hang>,
}

impl Worker {
    /// Does the work in a child, and passes its words to `hear`; those of a child that was held up
    /// too. False if it was not done, because `stop` can be read. An error is the exit status, and
    /// has been reported.
    pub fn run(
        &mut self,
        work: impl Fn(&Sender),
        mut hear: impl FnMut(Word),
        stop: Option<BorrowedFd<'_>>,
    ) -> Result<bool, Status> {
        loop {
            let work = |sender: &Sender| {
                hang::leave_out(&self.locked);
                work(sender);
            };
            match run_child(work, &mut hear, stop) {
                Ok(End::Done(_)) => return Ok(true),
                Ok(End::Stopped) => return Ok(false),
                Ok(End::Stuck(held)) if self.locked.len() < LOCKED_MAX => {
                    if held.fd.is_none() {
                        report_error(format!("{}: {held}", held.pid));
                    }
                    self.locked.push(held);
                    continue;
                }
                Ok(End::Stuck(held)) => report_error(format!("{}: {held}: given up", held.pid)),
                // Unless it was killed, it has said why.
                Ok(End::Died(Some(WaitStatus::Exited(_, status)))) => {
                    return Err(Status::from_code(u8::try_from(status).unwrap_or(1)));
                }
                Ok(End::Died(Some(WaitStatus::Signaled(_, Signal::SIGSYS, _)))) => report_error(
                    "ended by a seccomp filter (SystemCallFilter= of systemd), which allows no \
                     look into other processes",
                ),
                Ok(End::Died(Some(WaitStatus::Signaled(_, signal, _)))) => {
                    report_error(format!("ended by {signal}"));
                }
                Ok(End::Died(_)) => {}
                Err(error) => {
                    report_error(format!("fork(2): {} (ulimit -u)", error::describe(&error)));
                }
            }
            return Err(Status::Failure);
        }
    }
}

/// Does the work in a child, and passes the child's words to `hear`, until it is done or `stop` can be
/// read. The calling process must have one thread.
pub fn run_child(
    work: impl FnOnce(&Sender),
    hear: impl FnMut(Word),
    stop: Option<BorrowedFd<'_>>,
) -> std::io::Result<End> {
    let watch = Watch::shared().ok_or(std::io::ErrorKind::OutOfMemory)?;
    watch.reset();
    let (ours, childs) = UnixStream::pair()?;
    let parent = getpid();
    // SAFETY: this process has one thread, so the child may do everything.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            drop(childs);
            Ok(listen(ours, child, watch, hear, stop))
        }
        ForkResult::Child => {
            drop(ours);
            IS_CHILD.store(true, Relaxed);
            let _ = rustix::process::set_parent_process_death_signal(Some(
                rustix::process::Signal::KILL,
            ));
            if getppid() != parent {
                std::process::exit(1);
            }
            end_lingering();
            descriptors::raise_limit();
            let sender = Sender(childs);
            work(&sender);
            let _ = std::io::stdout().flush();
            close_what_can_be(sender.0.as_raw_fd());
            let took = processor_time().as_nanos();
            sender.send((u64::try_from(took).unwrap_or(u64::MAX), END));
            std::process::exit(0);
        }
    }
}

/// Children that end need not be waited for.
pub fn forget_children() {
    let action = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler that could be called. It cannot fail: the signal exists.
    let _ = unsafe { sigaction(Signal::SIGCHLD, &action) };
}

/// How much processor time this process has taken.
pub fn processor_time() -> Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID);
    time.map_or(Duration::ZERO, Duration::from)
}

/// Reads the child's words until the last.
fn listen(
    mut child_says: UnixStream,
    child: nix::unistd::Pid,
    watch: &Watch,
    mut hear: impl FnMut(Word),
    stop: Option<BorrowedFd<'_>>,
) -> End {
    let _ = child_says.set_nonblocking(true);
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let (mut seen, mut looks) = (0, 0);
    loop {
        match child_says.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                bytes.extend_from_slice(&buffer[..length]);
                let whole = bytes.len() / WORD * WORD;
                for word in bytes.drain(..whole).collect::<Vec<_>>().chunks_exact(WORD) {
                    let (number, kind) = word.split_at(WORD - 1);
                    let number = number.try_into().map_or(0, u64::from_ne_bytes);
                    match kind[0] {
                        END => return End::Done(Duration::from_nanos(number)),
                        kind => hear((number, kind)),
                    }
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                match wait_for(&child_says, stop) {
                    Wake::Stop => {
                        let _ = nix::sys::signal::kill(child, Signal::SIGKILL);
                        return End::Stopped;
                    }
                    Wake::Other => continue,
                    Wake::Time => {}
                }
                let (count, held) = (watch.count(), watch.held());
                looks = if held.is_some() && count == seen { looks + 1 } else { 0 };
                seen = count;
                if let Some(held) = held.filter(|_| looks >= LOOKS) {
                    let _ = nix::sys::signal::kill(child, Signal::SIGKILL);
                    return End::Stuck(held);
                }
            }
            Err(_) => break,
        }
    }
    End::Died(waitpid(child, None).ok())
}

/// What ended a wait for the child's next word.
enum Wake {
    /// It may have come, or a signal.
    Other,
    /// The calling process is to end, and no word is there.
    Stop,
    /// It is time to see whether the child goes on.
    Time,
}

fn wait_for(child_says: &UnixStream, stop: Option<BorrowedFd<'_>>) -> Wake {
    let wanted = stop.into_iter().chain([child_says.as_fd()]);
    let mut fds: Vec<_> = wanted.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    match poll(&mut fds, Timespec::try_from(LOOK).ok().as_ref()) {
        Ok(0) => Wake::Time,
        Ok(_) if fds.last().is_some_and(|child| child.revents().is_empty()) => Wake::Stop,
        Ok(_) => Wake::Other,
        Err(Errno::INTR) => Wake::Other,
        Err(_) => {
            std::thread::sleep(LOOK);
            Wake::Time
        }
    }
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

/// Closes everything except `except` and the duplicates that must stay open. The parent ends
/// afterwards, and nobody waits for a pipe that this process has open. (At its end the kernel would
/// close a pipe only after the duplicates.)
fn close_what_can_be(except: RawFd) {
    let left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    if left.is_empty() {
        return;
    }
    let is_left = |fd: RawFd| fd == except || left.iter().any(|other| other.as_raw_fd() == fd);
    for fd in descriptors::open().unwrap_or_default().into_iter().filter(|fd| !is_left(*fd)) {
        // SAFETY: whoever owns it is not used any more and is never dropped: the caller ends this
        // process by exit(3), which drops neither variables nor statics.
        unsafe { libc::close(fd) };
    }
}

/// Leaves a descriptor open until the end.
pub fn leave_open(fd: OwnedFd) {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner).push(fd);
}

/// Whether this is a process of the command itself.
pub fn is_own(pid: i32) -> bool {
    pid == getpid().as_raw() || (IS_CHILD.load(Relaxed) && pid == getppid().as_raw())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

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
}
