//! Under load, and in great numbers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use expectrl::{Expect, Regex};

use crate::support::{bare, run};
use crate::{Target, keepalive};

/// How many short connections ended, and how.
#[derive(Debug)]
struct Traffic {
    connections: usize,
    /// A lost segment is sent again after 200 ms at the earliest.
    slower_than_a_retransmission: usize,
}

/// Sends everything back, until the peer closes.
fn serve(mut connection: TcpStream) -> std::io::Result<()> {
    let mut text = [0; 4];
    while connection.read(&mut text)? == text.len() {
        connection.write_all(&text)?;
    }
    Ok(())
}

/// Connections to this very process, opened, used and closed as fast as they can, while
/// `meanwhile` runs. Panics if any is lost.
fn traffic(meanwhile: impl FnOnce(&AtomicUsize)) -> Traffic {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (end, client_ended) = (AtomicBool::new(false), AtomicBool::new(false));
    let (connections, slow) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // The client may begin one more connection until it has ended.
            while !client_ended.load(Ordering::Relaxed) {
                let (connection, _) = listener.accept().expect("a connection");
                serve(connection).expect("nothing is reset");
            }
        });
        let client = scope.spawn(|| {
            while !end.load(Ordering::Relaxed) {
                let begin = Instant::now();
                let mut connection = TcpStream::connect(address).expect("it listens");
                for _ in 0..5 {
                    let mut answer = [0; 4];
                    connection.write_all(b"ping").expect("nothing is reset");
                    connection.read_exact(&mut answer).expect("nothing is reset");
                    assert_eq!(&answer, b"ping");
                }
                connection.shutdown(std::net::Shutdown::Write).expect("open");
                assert_eq!(connection.read(&mut [0]).expect("an orderly end"), 0);
                slow.fetch_add(
                    usize::from(begin.elapsed() > Duration::from_millis(200)),
                    Ordering::Relaxed,
                );
                connections.fetch_add(1, Ordering::Relaxed);
            }
        });
        meanwhile(&connections);
        end.store(true, Ordering::Relaxed);
        let result = client.join();
        client_ended.store(true, Ordering::Relaxed);
        // The one that accept() waits for.
        let _ = TcpStream::connect(address);
        result.expect("nothing was lost");
    });
    Traffic {
        connections: connections.into_inner(),
        slower_than_a_retransmission: slow.into_inner(),
    }
}

#[test]
#[ignore = "needs the machine for itself: measures delays"]
fn nothing_is_lost_or_delayed_while_connections_open_and_close() {
    let calm = traffic(|_| std::thread::sleep(Duration::from_secs(1)));
    let mut reports = Vec::new();
    let attached = traffic(|connections| {
        let own = std::process::id();
        for round in 0..40 {
            let before = connections.load(Ordering::Relaxed);
            let idle = 60 + round;
            let (said, _) = run(&mut keepalive(&format!("attach --force --idle {idle} {own}")));
            reports.push((said, connections.load(Ordering::Relaxed) - before));
        }
    });
    let changed = reports.iter().filter(|(said, _)| said.contains("connected")).count();
    assert!(changed > 20, "connections were open and changed: {reports:?}");
    let busy = reports.iter().filter(|(_, meanwhile)| *meanwhile > 0).count();
    assert!(busy > 20, "connections came and went meanwhile: {reports:?}");
    assert!(attached.connections > 100, "{attached:?}");
    // On a busy machine some are slow by themselves.
    let by_themselves = 5 + 3 * calm.slower_than_a_retransmission;
    assert!(attached.slower_than_a_retransmission <= by_themselves, "{calm:?} {attached:?}");
}

/// Accepts as many connections as it is told, then waits.
const ACCEPTING: &str = "
import resource, socket, sys
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
listener = socket.create_server(('127.0.0.1', 0), backlog=4096)
print('ready', listener.getsockname()[1], flush=True)
connections = [listener.accept()[0] for _ in range(int(sys.stdin.readline()))]
print('all ok', flush=True)
sys.stdin.readline()
";

/// Runs a command, and prints on stderr how much processor time it took, in milliseconds, with the
/// processes that it did not wait for.
const WITH_TIME: &str = "
import ctypes, os, resource, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) # PR_SET_CHILD_SUBREAPER
status = subprocess.run(sys.argv[1:]).returncode
try:
    while True: os.wait()
except ChildProcessError:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(round(1000 * (usage.ru_utime + usage.ru_stime)), file=sys.stderr)
sys.exit(status)
";

/// A program that has accepted many connections, and their other ends.
pub struct Crowd {
    pub target: Target,
    pub connections: Vec<TcpStream>,
    /// Two at a time would need more descriptors than a process may have.
    _alone: MutexGuard<'static, ()>,
}

/// A program that has accepted this many connections, more than some can be at the same time.
pub fn crowd(number: usize) -> Crowd {
    static ALONE: Mutex<()> = Mutex::new(());

    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let all = rustix::process::Rlimit { current: limit.maximum, ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, all).expect("its own limit");

    let (target, connections) = connected(number);
    Crowd { target, connections, _alone: alone }
}

/// A program that has accepted this many connections, and their other ends.
pub fn connected(number: usize) -> (Target, Vec<TcpStream>) {
    let mut command = bare("/usr/bin/python3");
    let mut target = Target::start(command.args(["-c", ACCEPTING]));
    writeln!(target.child.stdin.as_mut().expect("a pipe"), "{number}").expect("it lives");
    let connections = (0..number)
        .map(|_| TcpStream::connect(("127.0.0.1", target.port)).expect("it accepts"))
        .collect();
    assert_eq!(target.answer(), "all ok");
    (target, connections)
}

#[test]
#[ignore = "needs /usr/bin/python3, strace, and 10,100 descriptors (ulimit -n)"]
fn ten_thousand_sockets() {
    const NUMBER: usize = 10_000;
    let Crowd { target, connections, _alone } = crowd(NUMBER);

    // Processor time, since the time on the clock depends on what else the machine does.
    let timed = |arguments: String| {
        let mut command = bare("/usr/bin/python3");
        let command = command.args(["-c", WITH_TIME, env!("CARGO_BIN_EXE_keepalive")]);
        let (said, time) = run(command.args(arguments.split(' ')));
        (time.trim().parse::<u32>().expect("milliseconds"), said)
    };
    let pid = target.pid();
    let (attach, said) = timed(format!("attach --dead-after 2m {pid}"));
    assert!(said.contains("10001 sockets changed (10000 connected, 1 listening)"), "{said}");
    let (again, said) = timed(format!("attach --dead-after 2m {pid}"));
    assert!(said.contains("0 sockets changed; left alone: 10001 set already"), "{said}");
    let (show, said) = timed(format!("show --all {pid}"));
    assert!(said.lines().count() > NUMBER, "{}", said.lines().count());
    let (_, said) = timed(format!("show {pid}"));
    assert!(said.contains("9999 more like fd ") && said.lines().count() < 24, "{said}");
    let (json, _) = timed(format!("show --json {pid}"));
    println!(
        "10,000 sockets: attach {attach} ms, again {again} ms, show {show} ms, show --json {json} ms"
    );
    bar_is_drawn(pid);
    // Unoptimised; the release's figures are in docs/speed.md.
    for time in [attach, again, show, json] {
        assert!((10..20_000).contains(&time), "{time} ms");
    }
    drop(connections);
}

/// The bar shows on a terminal when the work takes longer than a second. strace(1) slows it down.
fn bar_is_drawn(pid: u32) {
    let mut command = bare("strace");
    let slow = ["--seccomp-bpf", "-f", "-e", "inject=pidfd_getfd:delay_enter=200"];
    command.args(slow).args(["-o", "/dev/null", env!("CARGO_BIN_EXE_keepalive")]);
    command.args(["attach", "--force", "--dead-after", "3m", &pid.to_string()]);
    let mut session = crate::terminal::on_terminal(command);
    session.set_expect_timeout(Some(Duration::from_secs(60)));
    session.expect(Regex(r"\d+ of 10001 sockets, .* left")).expect("a bar");
    session.expect("10001 sockets changed").expect("the report");
}
