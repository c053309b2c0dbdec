//! The follower beside the program, where no preload reaches it: a process that sets the program's
//! sockets from outside (follow/). The program must not notice: the follower is no child of it that
//! wait4(2) finds, in a session of its own, and holds no descriptor of the program's. What goes wrong
//! later it says in the system's log.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, setsid};
use rustix::process::{PTracer, child_subreaper, set_child_subreaper, set_ptracer};

use crate::apply::{Job, Outcome};
use crate::find::Selection;
use crate::follow::{Event, Follower, Members};
use crate::process::{NotFollowed, Process};
use crate::settings::RequestedSettings;
use crate::sys::{descriptors, startup, syslog};
use crate::text::{error, report_error};

/// Starts a follower of this process, which is about to become the program. Returns the follower's
/// number when it has found that it may look into this process.
pub fn start(settings: &RequestedSettings) -> Result<Pid, NotFollowed> {
    let process = Process::own().map_err(NotFollowed::new)?;
    if !children_share_the_pid_namespace() {
        let why = "its children are to be in another pid namespace (unshare(1) needs --fork)";
        return Err(NotFollowed::new(why));
    }
    let no_process = |error: io::Error| {
        let why = error::describe(&error);
        NotFollowed::new(format!("no other process can be started for it: {why} (ulimit -u)"))
    };
    let null = File::options().read(true).write(true).open("/dev/null");
    let null =
        null.map_err(|error| NotFollowed::new(format!("/dev/null: {}", error::describe(&error))))?;
    // As a seccomp filter does.
    let killed = |_| NotFollowed::new("its follower was killed");
    let (mut ours, its) = UnixStream::pair().map_err(no_process)?;
    let our_end = ours.as_raw_fd();
    if split().map_err(no_process)? {
        be_follower(&process, settings, &null, its, our_end);
    }
    drop((its, null));

    let follower = receive_number(&mut ours).map_err(killed)?;
    // For Yama, at the level at which only ancestors may look into a process, and whom it names.
    // Without Yama the call fails, and nothing is lost.
    if let Some(follower) = rustix::process::Pid::from_raw(follower) {
        let _ = set_ptracer(PTracer::ProcessID(follower));
    }
    match ours.write_all(&[0]).and_then(|()| receive_number(&mut ours)).map_err(killed)? {
        0 => Ok(Pid::from_raw(follower)),
        errno => Err(NotFollowed::from_error(&process, &io::Error::from_raw_os_error(errno))),
    }
}

/// The next number that the follower sends.
fn receive_number(stream: &mut UnixStream) -> io::Result<i32> {
    let mut number = [0; size_of::<i32>()];
    stream.read_exact(&mut number)?;
    Ok(i32::from_ne_bytes(number))
}

/// Whether a child would be in this process's own pid namespace. The first child in another is that
/// one's first process: with its end nobody could be started there any more.
fn children_share_the_pid_namespace() -> bool {
    let namespace = |name: &str| std::fs::read_link(format!("/proc/self/ns/{name}")).ok();
    namespace("pid") == namespace("pid_for_children")
}

/// Starts another process that does the same from here on, and that is nobody's child in this
/// process's eyes. Whether this is the new process.
///
/// This process is forked twice: its child ends at once, and that one's child goes to the next
/// process that takes in orphans. The first process of a pid namespace would take it in itself, as
/// an ordinary child; so there the child that is not noticed is the new process.
fn split() -> io::Result<bool> {
    if getpid().as_raw() == 1 {
        return Ok(fork_unnoticed()?.is_child());
    }
    // If this is a process that takes in orphans, it leaves this one to others.
    let is_reaper = child_subreaper()?;
    if is_reaper.is_some() {
        set_child_subreaper(None)?;
    }
    let result = match fork_unnoticed() {
        // SAFETY: this process has one thread, so the child may do everything.
        Ok(ForkResult::Child) => match unsafe { fork() } {
            Ok(ForkResult::Child) => return Ok(true),
            result => {
                let errno = result.err().map_or(0, |errno| errno as i32);
                // SAFETY: ends the child, and nothing else.
                unsafe { libc::_exit(errno) }
            }
        },
        Ok(ForkResult::Parent { child }) => wait_for(child),
        Err(error) => Err(error),
    };
    if is_reaper.is_some() {
        set_child_subreaper(is_reaper)?;
    }
    result?;
    Ok(false)
}

/// As fork(2), but the child's end sends no signal, and wait4(2) does not find the child unless it
/// is asked for such children (`__WCLONE`). A child by fork(2) would leave a SIGCHLD pending where
/// that is blocked.
fn fork_unnoticed() -> nix::Result<ForkResult> {
    // SAFETY: clone(2) with neither flags nor an exit signal nor a stack is fork(2) but for the
    // signal; where every argument is 0 their order, which differs by architecture, does not
    // matter. This process has one thread, so the child may do everything. (The C library does not
    // know that it is in another process: a copy of the thread's number that musl keeps is the
    // parent's, and only raise(3) uses it.)
    let result =
        unsafe { libc::syscall(libc::SYS_clone, 0_usize, 0_usize, 0_usize, 0_usize, 0_usize) };
    Ok(match Errno::result(result)? {
        0 => ForkResult::Child,
        child => ForkResult::Parent { child: Pid::from_raw(child as i32) },
    })
}

/// Waits for the end of a child that says by its status what went wrong.
fn wait_for(child: Pid) -> nix::Result<()> {
    loop {
        match waitpid(child, Some(WaitPidFlag::__WALL)) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
            Ok(WaitStatus::Exited(_, 0)) => return Ok(()),
            Ok(WaitStatus::Exited(_, errno)) => return Err(Errno::from_raw(errno)),
            Ok(_) => return Err(Errno::ECHILD),
        }
    }
}

/// The follower's life: says its number, waits until it is named as the one that may look, and says
/// with which error it may not. `their_end` is the descriptor of the other end of the stream in the
/// process that it follows.
fn be_follower(
    process: &Process,
    settings: &RequestedSettings,
    null: &File,
    stream: UnixStream,
    their_end: RawFd,
) -> ! {
    let detached = detach(null, stream.as_raw_fd()).and_then(|()| syslog::open());
    let begun =
        send_number(&stream, getpid().as_raw()).and_then(|()| (&stream).read_exact(&mut [0]));
    if begun.is_err() {
        std::process::exit(1);
    }
    name_for(process);
    if let Err(error) = detached.and_then(|()| process.try_descriptor(their_end)) {
        let _ = send_number(&stream, error.raw_os_error().unwrap_or(libc::EIO));
        std::process::exit(1);
    }
    let _ = send_number(&stream, 0);
    drop(stream);
    follow(process, settings);
    std::process::exit(0);
}

/// Follows a process and its descendants until they have ended, and reports only what goes wrong.
fn follow(process: &Process, settings: &RequestedSettings) {
    descriptors::raise_limit();
    let selection = Selection::default();
    let job = Job::to_follow(settings, &selection);
    let follower = Follower::new(Members::from_process(process.clone()), job);
    let report = |event: Event| match event {
        Event::Socket(process, seen, Outcome::Failed(refused)) => {
            report_error(format!("{process}: fd {}: {refused}", seen.fd));
        }
        Event::Problem(problem) => report_error(problem),
        Event::Ready(_) | Event::Looked { .. } | Event::Socket(..) => {}
    };
    match follower {
        Ok(mut follower) => drop(follower.run(report)),
        Err(error) => {
            report_error(format!("{process}: signalfd(2): {}", error::describe(&error)));
        }
    }
}

fn send_number(mut stream: &UnixStream, number: i32) -> io::Result<()> {
    stream.write_all(&number.to_ne_bytes())
}

/// Gives up everything that this process has of the program's: session, signals, directory and
/// descriptors, but for one.
fn detach(null: &File, except: RawFd) -> io::Result<()> {
    setsid()?;
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator() {
        // SAFETY: no handler that could be called. SIGKILL and SIGSTOP are refused, and are so
        // already.
        let _ = unsafe { sigaction(signal, &default) };
    }
    startup::ignore_sigpipe();
    nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    std::env::set_current_dir("/")?;
    rustix::stdio::dup2_stdin(null)?;
    rustix::stdio::dup2_stdout(null)?;
    rustix::stdio::dup2_stderr(null)?;
    for fd in descriptors::open()?.into_iter().filter(|fd| *fd > 2 && *fd != except) {
        // SAFETY: whoever owns it is a variable of a caller, is not used any more, and is never
        // dropped: this process does not return to them, it ends by exit(3). No static owns one
        // (the log opens its socket later). One is the directory that was read, closed already,
        // and nothing has been opened since.
        unsafe { libc::close(fd) };
    }
    Ok(())
}

/// Shows this process under a command line of its own. With that of `run`, which has the program's
/// in it, whoever looks for programs by their command lines (pkill(1) -f) would find two.
fn name_for(process: &Process) {
    let title = format!("keepalive follows {}", process.pid);
    let stat = procfs::process::Process::myself().and_then(|own| own.stat());
    let Ok((Some(begin), Some(end))) = stat.map(|stat| (stat.arg_start, stat.arg_end)) else {
        return;
    };
    let length = (end - begin) as usize;
    let text = if title.len() < length { &title } else { "keepalive" };
    let arguments = std::ptr::with_exposed_provenance_mut::<u8>(begin as usize);
    // SAFETY: proc_pid_stat(5): these are the bounds of the arguments of this process. They can be
    // written, and nothing in this process reads them any more; what they are filled up with ends
    // each of them in NUL.
    unsafe {
        arguments.write_bytes(0, length);
        arguments.copy_from_nonoverlapping(text.as_ptr(), text.len().min(length.saturating_sub(1)));
    }
}
