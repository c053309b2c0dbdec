//! The work is done in a child process, and the command does not wait for the end of that process.
//!
//! A descriptor may be a socket when it is listed and another file when it is duplicated. Closing
//! such a duplicate may take for ever: the kernel asks the server of a FUSE file system first, and
//! not even SIGKILL ends that. So a duplicate that is no socket stays open, in the child. A socket can
//! hold up the child too: by SO_LINGER when it is closed, which a timer ends; or because its program
//! stops in the middle of a send(2), which the parent notices.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, getpid, getppid};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

use super::directory::own_descriptors;
use crate::terminal::complain;

/// How often the parent checks that the child goes on, and after how many checks with the same
/// duplicate it gives up.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: u32 = 10;

/// How long a lingering close(2) may take.
const LINGER_MAX: libc::timeval = libc::timeval { tv_sec: 0, tv_usec: 20_000 };

/// What the child is doing, for the parent.
struct Watch {
    /// How many descriptors have been duplicated.
    count: AtomicU64,
    /// The process and the descriptor whose duplicate is held, or 0.
    held: AtomicU64,
}

static WATCH: OnceLock<&Watch> = OnceLock::new();

/// Duplicates that may not be closed.
static LEFT: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// The processes with the descriptor whose socket was locked, which are left out.
static LOCKED: OnceLock<Vec<(i32, u32)>> = OnceLock::new();

/// After this many locked sockets the command gives up.
const LOCKED_MAX: usize = 5;

/// How the child ended.
enum End {
    Status(u8),
    /// It waits for the socket of this process's descriptor.
    Locked(i32, u32),
}

/// Does the work in a child, and returns its exit status: success if `work` returns true. If a
/// socket holds up the child, the work is done once more without that process.
pub fn apart(work: impl Fn() -> bool) -> ExitCode {
    let mut locked = Vec::new();
    loop {
        match begin(&work, &locked) {
            Ok(End::Status(status)) => return ExitCode::from(status),
            Ok(End::Locked(pid, fd)) if locked.len() < LOCKED_MAX => locked.push((pid, fd)),
            Ok(End::Locked(pid, fd)) => {
                complain(format!("{pid}: {}: given up", locked_words(fd)));
                return ExitCode::FAILURE;
            }
            Err(error) => {
                complain(format!("fork(2): {error} (ulimit -u)"));
                return ExitCode::FAILURE;
            }
        }
    }
}

/// Why a process is left out, if it is.
pub fn locked(pid: i32) -> Option<String> {
    let mut locked = LOCKED.get()?.iter();
    locked.find(|(other, _)| *other == pid).map(|(_, fd)| locked_words(*fd))
}

fn locked_words(fd: u32) -> String {
    format!("the program holds the socket of its descriptor {fd} locked")
}

fn begin(work: impl Fn() -> bool, locked: &[(i32, u32)]) -> std::io::Result<End> {
    let watch = shared_watch()?;
    let (ours, childs) = UnixStream::pair()?;
    let parent = getpid();
    // SAFETY: this process has one thread so far, so the child may do everything.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            drop(childs);
            Ok(follow(ours, child, watch))
        }
        ForkResult::Child => {
            drop(ours);
            let _ = rustix::process::set_parent_process_death_signal(Some(
                rustix::process::Signal::KILL,
            ));
            if getppid() != parent {
                std::process::exit(1);
            }
            let _ = WATCH.set(watch);
            let _ = LOCKED.set(locked.to_vec());
            end_lingering();
            super::raise_limit();
            let status = u8::from(!work());
            let _ = std::io::stdout().flush();
            close_what_can_be(childs.as_raw_fd());
            let _ = (&childs).write_all(&[status]);
            std::process::exit(status.into());
        }
    }
}

/// The child's exit status, as soon as the child sends it.
fn follow(mut child_says: UnixStream, child: nix::unistd::Pid, watch: &Watch) -> End {
    let _ = child_says.set_read_timeout(Some(LOOK));
    let mut status = [1];
    let (mut seen, mut looks) = (0, 0);
    loop {
        match child_says.read(&mut status) {
            Ok(1) => return End::Status(status[0]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                let (count, held) = (watch.count.load(Relaxed), watch.held.load(Relaxed));
                looks = if held != 0 && count == seen { looks + 1 } else { 0 };
                seen = count;
                if looks >= LOOKS {
                    let _ = nix::sys::signal::kill(child, Signal::SIGKILL);
                    return End::Locked((held >> 32) as i32, held as u32);
                }
            }
            _ => break,
        }
    }
    // It ended in another way. Unless it was killed, it has said why.
    End::Status(match waitpid(child, None) {
        Ok(WaitStatus::Exited(_, status)) => u8::try_from(status).unwrap_or(1),
        Ok(WaitStatus::Signaled(_, Signal::SIGSYS, _)) => {
            complain(
                "ended by a seccomp filter (SystemCallFilter= of systemd), which allows no look \
                 into other processes",
            );
            1
        }
        Ok(WaitStatus::Signaled(_, signal, _)) => {
            complain(format!("ended by {signal}"));
            1
        }
        _ => 1,
    })
}

fn shared_watch() -> std::io::Result<&'static Watch> {
    let flags = MapFlags::SHARED;
    // SAFETY: a new mapping, which stays. It is aligned to a page, and zeros are a value.
    unsafe {
        let page = mmap_anonymous(
            std::ptr::null_mut(),
            size_of::<Watch>(),
            ProtFlags::READ | ProtFlags::WRITE,
            flags,
        )?;
        Ok(&*page.cast::<Watch>())
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
    for fd in own_descriptors().unwrap_or_default().into_iter().filter(|fd| !is_left(*fd)) {
        // SAFETY: nothing uses a descriptor from here on.
        unsafe { libc::close(fd) };
    }
}

/// A duplicate of this descriptor is about to be made.
pub fn begin_duplicate(pid: i32, fd: RawFd) {
    if let Some(watch) = WATCH.get() {
        watch.count.fetch_add(1, Relaxed);
        watch.held.store((pid as u64) << 32 | fd as u64, Relaxed);
    }
}

/// The duplicate is closed, or left.
pub fn end_duplicate() {
    if let Some(watch) = WATCH.get() {
        watch.held.store(0, Relaxed);
    }
}

/// Leaves a descriptor open until the end.
pub fn leave(fd: OwnedFd) {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner).push(fd);
}

/// Whether this is a process of the command itself.
pub fn is_own(pid: i32) -> bool {
    pid == getpid().as_raw() || (WATCH.get().is_some() && pid == getppid().as_raw())
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
