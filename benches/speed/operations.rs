//! The time that a preload adds to calls: each candidate is a process of its own, another copy of
//! this program, which makes the calls on request and says how long they took.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Barrier;

use libc::{
    AF_INET, AF_UNIX, IPPROTO_TCP, SO_KEEPALIVE, SO_REUSEADDR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET,
    TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, c_int,
};

use crate::table::{self, Panel, Row, median};
use crate::{Candidate, Effort, SETTINGS, support};

/// The first argument that makes this program a worker.
pub const WORKER: &str = "worker";

/// Something that programs do with sockets.
pub struct Operation {
    /// Its name on the command line.
    pub name: &'static str,
    title: &'static str,
    /// How often one turn does it.
    batch: usize,
    threads: usize,
    /// Whether the preloads set options, so that a program that sets them itself is the limit.
    is_tcp: bool,
    run: fn(&Worker) -> io::Result<()>,
}

/// All of them.
pub const ALL: [Operation; 6] = [
    Operation {
        name: "socket",
        title: "TCP socket() and close()",
        batch: 200,
        threads: 1,
        is_tcp: true,
        run: |worker| worker.socket(AF_INET, SOCK_STREAM).map(drop),
    },
    Operation {
        name: "socket-8-threads",
        title: "TCP socket() and close(), 8 threads",
        batch: 200,
        threads: 8,
        is_tcp: true,
        run: |worker| worker.socket(AF_INET, SOCK_STREAM).map(drop),
    },
    Operation {
        name: "connection",
        title: "socket(), connect(), accept() and close() on loopback",
        batch: 20,
        threads: 1,
        is_tcp: true,
        run: Worker::connection,
    },
    Operation {
        name: "udp",
        title: "UDP socket() and close()",
        batch: 200,
        threads: 1,
        is_tcp: false,
        run: |worker| worker.socket(AF_INET, SOCK_DGRAM).map(drop),
    },
    Operation {
        name: "unix",
        title: "UNIX socket() and close()",
        batch: 200,
        threads: 1,
        is_tcp: false,
        run: |worker| worker.socket(AF_UNIX, SOCK_STREAM).map(drop),
    },
    Operation {
        name: "setsockopt",
        title: "setsockopt(), straight through",
        batch: 2000,
        threads: 1,
        is_tcp: false,
        run: |worker| set(worker.listener.as_raw_fd(), SOL_SOCKET, SO_REUSEADDR, 1),
    },
];

/// Runs an operation behind each of the preloads, without any, and, where there is something to
/// set, in a program that sets it itself: the limit. That one runs twice, under two names: the
/// difference of the two shows how much of the others' is chance.
pub fn compare(
    printed: &mut String,
    operation: &Operation,
    preloads: &[Candidate],
    effort: &Effort,
) -> Result<Option<Panel>, Box<dyn Error>> {
    let (limit, control) = if operation.is_tcp {
        ("a program that sets the options itself", "the same once more")
    } else {
        ("no preload", "the same once more")
    };
    let nothing = Candidate::nothing("no preload, nothing set");
    let (limit, control) = (Candidate::nothing(limit), Candidate::nothing(control));
    let mut candidates = vec![&limit, &control];
    candidates.extend(preloads);
    if operation.is_tcp {
        candidates.push(&nothing);
    }

    let (times, ratios) = measure(candidates.len(), effort, |which| {
        Handle::start(operation, candidates[which], operation.is_tcp && which < 2)
    })?;
    let rows: Vec<_> = candidates
        .iter()
        .enumerate()
        .map(|(which, candidate)| {
            vec![
                candidate.name.clone(),
                format!("{:.0}", times[which]),
                format!("{:.3}", ratios[which]),
            ]
        })
        .collect();
    let title = operation.title(effort);
    table::print(printed, &title, &["", "CPU ns", "× the first"], &rows);

    Ok(operation.is_tcp.then(|| Panel {
        title: operation.title.to_owned(),
        unit: "ns of CPU time",
        rows: candidates
            .iter()
            .zip(times)
            .map(|(candidate, value)| Row { name: candidate.name.clone(), value })
            .collect(),
    }))
}

impl Operation {
    /// With how often it is done.
    pub fn title(&self, effort: &Effort) -> String {
        let calls = self.batch * self.threads * effort.rounds * effort.generations;
        format!("{}, {calls} times each", self.title)
    }
}

/// Lets this many processes, each started by `start`, take turns: the median time of each in
/// nanoseconds, and that of its ratio to the first one's.
pub fn measure(
    number: usize,
    effort: &Effort,
    start: impl Fn(usize) -> io::Result<Handle>,
) -> Result<(Vec<f64>, Vec<f64>), Box<dyn Error>> {
    let mut samples = vec![Vec::new(); number];
    let mut ratios = vec![Vec::new(); number];
    let mut order: Vec<_> = (0..number).collect();
    // The place of a process in memory makes a difference of its own: new ones each time.
    for _ in 0..effort.generations {
        let mut handles = (0..number).map(&start).collect::<Result<Vec<_>, _>>()?;
        let mut of_generation = vec![Vec::new(); number];
        for round in 0..=effort.rounds {
            fastrand::shuffle(&mut order);
            for &which in &order {
                let nanoseconds = handles[which].turn()?;
                // The first turn warms up.
                if round > 0 {
                    of_generation[which].push(nanoseconds);
                }
            }
        }
        let limit = median(&of_generation[0]);
        for (which, of_generation) in of_generation.into_iter().enumerate() {
            ratios[which].push(median(&of_generation) / limit);
            samples[which].extend(of_generation);
        }
    }
    let medians = |all: Vec<Vec<f64>>| all.iter().map(|samples| median(samples)).collect();
    Ok((medians(samples), medians(ratios)))
}

/// A worker, from outside.
pub struct Handle {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Handle {
    pub fn start(
        operation: &Operation,
        candidate: &Candidate,
        sets_itself: bool,
    ) -> io::Result<Self> {
        let mut command: Command = support::bare(std::env::current_exe()?);
        command.args([WORKER, operation.name]).envs(SETTINGS);
        if sets_itself {
            command.arg("--set");
        }
        if let Some(preload) = &candidate.preload {
            command.env("LD_PRELOAD", preload);
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = process.stdin.take().ok_or_else(|| io::Error::other("no pipe"))?;
        let output = process.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
        Ok(Self { process, input, output: BufReader::new(output) })
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Asks for one more turn; the nanoseconds that it took.
    fn turn(&mut self) -> Result<f64, Box<dyn Error>> {
        self.input.write_all(b"\n")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A worker: takes a turn for each line on stdin.
pub fn work(arguments: &mut lexopt::Parser) -> Result<(), Box<dyn Error>> {
    use lexopt::prelude::*;

    let name = arguments.value()?.string()?;
    let sets_itself = arguments.next()?.is_some_and(|argument| argument == Long("set"));
    let operation =
        ALL.iter().find(|operation| operation.name == name).ok_or("no such operation")?;
    let worker = Worker { listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, sets_itself };
    if sets_itself {
        keep_alive(worker.listener.as_raw_fd())?;
    }
    for _ in io::stdin().lock().lines() {
        println!("{}", worker.turn(operation)?);
    }
    Ok(())
}

/// What the calls need.
struct Worker {
    listener: TcpListener,
    sets_itself: bool,
}

impl Worker {
    /// The mean processor time of one operation in nanoseconds, all threads at the same time.
    fn turn(&self, operation: &Operation) -> io::Result<f64> {
        let start = Barrier::new(operation.threads);
        let batch = || {
            start.wait();
            let begin = processor_time()?;
            for _ in 0..operation.batch {
                (operation.run)(self)?;
            }
            Ok((processor_time()? - begin) / operation.batch as f64)
        };
        if operation.threads == 1 {
            return batch();
        }
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..operation.threads).map(|_| scope.spawn(batch)).collect();
            let times = threads.into_iter().map(|thread| thread.join().expect("no panic"));
            Ok(times.sum::<io::Result<f64>>()? / operation.threads as f64)
        })
    }

    fn socket(&self, domain: c_int, kind: c_int) -> io::Result<OwnedFd> {
        // SAFETY: it takes no pointer.
        let fd = check(unsafe { libc::socket(domain, kind, 0) })?;
        // SAFETY: the new descriptor is nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        if self.sets_itself {
            keep_alive(fd)?;
        }
        Ok(socket)
    }

    fn connection(&self) -> io::Result<()> {
        let address = self.listener.local_addr()?;
        let address = libc::sockaddr_in {
            sin_family: AF_INET as libc::sa_family_t,
            sin_port: address.port().to_be(),
            sin_addr: libc::in_addr { s_addr: Ipv4Addr::LOCALHOST.to_bits().to_be() },
            sin_zero: [0; 8],
        };
        let socket = self.socket(AF_INET, SOCK_STREAM)?;
        let length = size_of_val(&address) as libc::socklen_t;
        // SAFETY: `address` is read for `length` bytes.
        check(unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length) })?;
        let (null, listener) = (std::ptr::null_mut(), self.listener.as_raw_fd());
        // SAFETY: a null pointer: the peer's address is not wanted.
        let accepted = check(unsafe { libc::accept(listener, null, null.cast()) })?;
        // SAFETY: the new descriptor is nobody else's.
        drop(unsafe { OwnedFd::from_raw_fd(accepted) });
        Ok(())
    }
}

/// Makes the calls that the preloads make, with the values of [`SETTINGS`].
fn keep_alive(fd: c_int) -> io::Result<()> {
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1)?;
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, 20)?;
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 180)?;
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 60)
}

fn set(fd: c_int, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: `value` is read for `length` bytes.
    check(unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), length) }).map(drop)
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The calling thread's processor time, in the kernel and outside, in nanoseconds.
fn processor_time() -> io::Result<f64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is written to and outlives the call.
    check(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) })?;
    Ok(time.tv_sec as f64 * 1e9 + time.tv_nsec as f64)
}
