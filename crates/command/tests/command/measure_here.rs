//! `keepalive measure` on this machine: what it says, which address it takes, and what becomes of it
//! where something is amiss. Networks of their own are in measure.rs.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::namespace::{Namespace, ip, ran_in_user_namespace};
use crate::support::running::{Running, wait_until};
use crate::support::{self, bare, finish, texts};
use crate::{failure, keepalive, source};

const PATIENCE: Duration = Duration::from_secs(60);

/// A port that nobody has on this address.
fn free_port(address: &str) -> u16 {
    let free = std::net::TcpListener::bind((address, 0)).expect("a port");
    free.local_addr().expect("an address").port()
}

/// `keepalive measure --listen` at a port of the kernel's choice on this address: it, and the port.
fn listener(address: &str) -> (Running, u16) {
    let port = free_port(address);
    let at = if address.contains(':') { format!("[{address}]") } else { address.into() };
    let running = Running::start(&mut keepalive(&format!("measure --listen {at}:{port}")));
    running.hear_text(&format!("Listening at {at}:{port}."), PATIENCE);
    (running, port)
}

/// `keepalive measure` while one clock jumps ahead by an hour after some seconds.
fn measure_with_jump(clock: libc::clockid_t, after: u32, arguments: &str) -> Command {
    let mut measure = keepalive(&format!("measure {arguments}"));
    measure.env("LD_PRELOAD", support::compile("clocks", &["-shared", "-fPIC"]));
    measure.env("JUMPS", clock.to_string()).env("AFTER", after.to_string());
    measure
}

/// While it sleeps nobody looks, and afterwards it may have another address: silence proves nothing.
#[test]
fn a_machine_that_slept_is_told_and_nothing_is_concluded() {
    let (_running, port) = listener("127.0.0.1");
    let slept = |arguments| {
        let arguments = format!("{arguments} --max 20s 127.0.0.1:{port}");
        let output = finish(&mut measure_with_jump(libc::CLOCK_BOOTTIME, 6, &arguments));
        (output.status.code(), texts(&output))
    };
    let (words, json) = std::thread::scope(|scope| {
        let json = scope.spawn(|| slept("--json"));
        (slept(""), json.join().expect("an end"))
    });
    let said = "interrupted: the machine slept for 1h";
    assert!(words.0 == Some(1) && words.1.0.contains(said), "{words:?}");
    let document: Value = serde_json::from_str(&json.1.0).expect("JSON");
    assert_eq!((json.0, &document["result"]), (Some(1), &"interrupted".into()), "{document}");
    assert_eq!(
        (&document["forgotten_after_s"], &document["recommended"]),
        (&Value::Null, &Value::Null)
    );
    assert!(document["answered_after_s"].as_f64() < Some(60.0), "{document}");
}

#[test]
fn a_change_of_the_time_of_day_changes_nothing() {
    let (_running, port) = listener("127.0.0.1");
    let arguments = format!("--json --max 8s 127.0.0.1:{port}");
    let (text, _) = support::run(&mut measure_with_jump(libc::CLOCK_REALTIME, 5, &arguments));
    let document: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(document["result"], "none", "{document}");
    assert!(document["took_s"].as_f64() < Some(600.0), "{document}");
}

fn signal(running: &Running, signal: i32) {
    // SAFETY: takes two numbers; the process is our own child.
    unsafe { libc::kill(running.pid() as libc::pid_t, signal) };
}

/// nohup(1).
#[test]
fn a_signal_that_is_ignored_does_not_end_it() {
    let (_running, port) = listener("127.0.0.1");
    let mut shell = bare("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_keepalive")]);
    let mut measure = Running::start(shell.args(["measure", &format!("127.0.0.1:{port}")]));
    let blocks = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", measure.pid()));
        status.is_ok_and(|status| status.contains("SigBlk:\t0000000000004002"))
    };
    assert!(wait_until(PATIENCE, blocks), "SIGINT and SIGTERM are blocked, SIGHUP is not");
    signal(&measure, libc::SIGHUP);
    signal(&measure, libc::SIGINT);
    measure.hear_text("interrupted; ", PATIENCE);
    assert!(wait_until(PATIENCE, || measure.ended().is_some()));
    assert_eq!(measure.ended().and_then(|status| status.code()), Some(1));
}

/// How long a process has used the CPU, in clock ticks of 10 ms.
fn ticks(process: &Running) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid())).expect("stat");
    let fields: Vec<_> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    [fields[11], fields[12]].map(|ticks| ticks.parse::<u64>().expect("a number")).iter().sum()
}

/// Whoever connects often does not keep it busy, and is served once there is room again.
#[test]
fn a_listener_without_descriptors_waits() {
    let port = free_port("127.0.0.1");
    let mut shell = bare("sh");
    shell.args(["-c", "ulimit -n 9; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_keepalive")]);
    let server = Running::start(shell.args(["measure", "--listen", &format!("127.0.0.1:{port}")]));
    server.hear_text("Listening at ", PATIENCE);
    let connect = || std::net::TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let connections: Vec<_> = (0..12).map(|_| connect()).collect();
    std::thread::sleep(Duration::from_secs(3));
    assert!(ticks(&server) < 30, "it was busy for {} ticks", ticks(&server));
    server.hear_text("Too many open files; trying again every second", PATIENCE);
    drop(connections);
    let mut served = connect();
    served.shutdown(std::net::Shutdown::Write).expect("closed");
    served.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    assert_eq!(std::io::Read::read(&mut served, &mut [0]).expect("its end"), 0);
}

#[test]
fn where_no_descriptors_are_left_it_says_so() {
    let (_running, port) = listener("127.0.0.1");
    let target = format!("127.0.0.1:{port}");
    for (limit, said) in [
        (5, "no connection was left to continue with (the last that could not be opened: Too many"),
        (4, "cannot be reached: Too many open files"),
    ] {
        let mut shell = bare("sh");
        shell.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]);
        shell.args([env!("CARGO_BIN_EXE_keepalive"), "measure", &target]);
        let output = finish(&mut shell);
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(1), "{limit}: {stdout}{stderr}");
        assert!(format!("{stdout}{stderr}").contains(said), "{limit}: {stdout}{stderr}");
    }
}

/// Silence would prove nothing.
#[test]
fn where_the_kernel_refuses_to_send_probes_it_says_so() {
    let (_running, port) = listener("127.0.0.1");
    let refuses = ["-DFORBIDDEN=SYS_setsockopt", "-DOPTION=4"]; // TCP_KEEPIDLE
    let mut measure = bare(support::compile("keepidle/without_pidfd_getfd", &refuses));
    measure.args([env!("CARGO_BIN_EXE_keepalive"), "measure", "--max", "5s"]);
    let address = format!("127.0.0.1:{port}");
    let (status, stderr) = failure(measure.arg(&address));
    let said = format!(
        "keepalive: {address}: the kernel refuses to send keepalive probes: setsockopt(2): \
         Operation not permitted\n"
    );
    assert_eq!((status, stderr), (1, said));
}

#[test]
fn where_the_answer_cannot_be_written_it_says_so() {
    let (_running, port) = listener("127.0.0.1");
    let run = |redirection: &str| {
        let mut shell = bare("sh");
        shell.args(["-c", &format!("exec \"$0\" \"$@\" {redirection}")]);
        shell.args([env!("CARGO_BIN_EXE_keepalive"), "measure", "--max", "5s"]);
        let output = finish(shell.arg(format!("127.0.0.1:{port}")));
        (output.status.code(), texts(&output).1)
    };
    std::thread::scope(|scope| {
        let full = scope.spawn(|| run(">/dev/full"));
        let closed = scope.spawn(|| run(">&-"));
        let broken = scope.spawn(|| run("| true"));
        for (end, said) in [(full, "No space left on device"), (closed, "Bad file descriptor")] {
            let (status, stderr) = end.join().expect("an end");
            assert!(
                status == Some(1) && stderr.contains(&format!("keepalive: stdout: {said}")),
                "{stderr}"
            );
        }
        // As with all commands: a reader that has gone has read enough.
        let (status, stderr) = broken.join().expect("an end");
        assert!(status == Some(0) && !stderr.contains("stdout"), "{stderr}");
    });
}

/// It is not the path that ends them, and settings would not help.
#[test]
fn a_server_that_closes_idle_connections_is_named_and_what_helps() {
    let mut habits = bare("python3");
    let port = free_port("127.0.0.1");
    let server =
        Running::start(habits.arg(source("habits.py")).args([&port.to_string(), "close", "6"]));
    server.hear_text("listening", PATIENCE);
    let output = finish(&mut keepalive(&format!("measure 127.0.0.1:{port}")));
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    for said in [
        "the server, or something in front of it that ends TCP, closes connections that carry no data after 6 s",
        "Keepalive is the wrong tool here: only data counts.",
        "Send data (a ping of the protocol), or raise the limit there.",
        "Try another port, or `keepalive measure --listen` at that host",
        "nothing is left at the server",
    ] {
        assert!(stdout.contains(said), "{said}: {stdout}{stderr}");
    }
    assert!(!stdout.contains("--idle") && !stdout.contains("the path forgets a"), "{stdout}");
}

/// Names for one network namespace, removed when dropped (ip-netns(8)).
struct Hosts(PathBuf);

impl Hosts {
    fn new(namespace: &Namespace, text: &str) -> Self {
        let directory = PathBuf::from("/etc/netns").join(namespace.name());
        std::fs::create_dir_all(&directory).expect("a directory");
        std::fs::write(directory.join("hosts"), text).expect("a file");
        Self(directory)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        // Where others have their names it stays.
        let _ = std::fs::remove_dir("/etc/netns");
    }
}

#[test]
#[ignore = "needs root: network namespaces with files in /etc/netns"]
fn of_several_addresses_the_first_that_answers_is_taken_and_said() {
    let namespace = Namespace::new("names");
    // A host that separates the two families unless a program wants both.
    support::run(namespace.command("sysctl", None).args(["-qw", "net.ipv6.bindv6only=1"]));
    ip(&["-n", namespace.name(), "address", "add", "fe80::7/64", "dev", "lo", "nodad"]);
    let _hosts = Hosts::new(&namespace, "::1 both\n127.0.0.1 both\n");
    let keepalive = || namespace.command(env!("CARGO_BIN_EXE_keepalive"), None);
    let listen = |address: &str| {
        let running = Running::start(keepalive().args(["measure", "--listen", address]));
        running.hear_text("Listening at ", PATIENCE);
        running
    };
    // Of all addresses, and of one family.
    let _servers = ["[::]:7000", "127.0.0.1:7001", "7002"].map(listen);
    let measure = |target: &str| support::run(keepalive().args(["measure", "--max", "5s", target]));
    std::thread::scope(|scope| {
        for (target, place, refused) in [
            ("both:7000", "both:7000 ([::1]:7000): the path does not forget", None),
            ("both:7001", "both:7001 (127.0.0.1:7001): the path", Some("[::1]:7001")),
            ("[::1]:7000", "[::1]:7000: the path", None),
            ("127.0.0.1:7000", "127.0.0.1:7000: the path", None),
            ("[fe80::7%lo]:7002", "[fe80::7%lo]:7002 ([fe80::7%1]:7002): the path", None),
            ("127.0.0.1:7002", "127.0.0.1:7002: the path", None),
        ] {
            scope.spawn(move || {
                let (stdout, stderr) = measure(target);
                assert!(stdout.starts_with(place), "{target}: {stdout}{stderr}");
                let said = refused.map_or(String::new(), |address| {
                    format!("keepalive: {address}: cannot be reached: Connection refused\n")
                });
                assert!(stderr.starts_with(&said), "{target}: {stderr}");
                assert_eq!(stderr.contains("cannot be reached"), refused.is_some(), "{stderr}");
            });
        }
    });
}

/// The first address does not answer for ten seconds: the time of the next one starts at 0.
#[test]
#[ignore = "needs root: network namespaces with files in /etc/netns"]
fn each_address_has_its_own_clock() {
    let namespace = Namespace::new("clock");
    let ip = |arguments: &str| {
        ip(&["-n", namespace.name()].into_iter().chain(arguments.split(' ')).collect::<Vec<_>>());
    };
    ip("link add silent type veth peer name nobody");
    ip("link set nobody up");
    ip("link set silent up");
    ip("address add 2001:db8::1/64 dev silent nodad");
    ip("neighbor add 2001:db8::2 dev silent lladdr 02:00:00:00:00:02");
    let _hosts = Hosts::new(&namespace, "2001:db8::2 silent\n127.0.0.1 silent\n");
    let keepalive = || namespace.command(env!("CARGO_BIN_EXE_keepalive"), None);
    let server = Running::start(keepalive().args(["measure", "--listen", "7000"]));
    server.hear_text("Listening at ", PATIENCE);
    let (stdout, stderr) =
        support::run(keepalive().args(["measure", "--max", "6s", "silent:7000"]));
    assert!(stdout.starts_with("silent:7000 (127.0.0.1:7000): the path does not"), "{stdout}");
    assert!(stderr.contains("[2001:db8::2]:7000: cannot be reached: no answer\n"), "{stderr}");
    // As long as one address takes.
    assert!(stderr.contains("\n6s: answered after 6 s without traffic\n"), "{stderr}");
}

#[test]
#[ignore = "needs user namespaces, and ip (Debian: iproute2)"]
fn what_leads_nowhere_is_named() {
    if ran_in_user_namespace() {
        return;
    }
    let namespace = Namespace::new("alone");
    for (target, said) in [
        ("192.0.2.1:80", "192.0.2.1:80: cannot be reached: Network is unreachable"),
        ("[2001:db8::1]:80", "[2001:db8::1]:80: cannot be reached: "),
        ("127.0.0.1:1", "127.0.0.1:1: cannot be reached: Connection refused"),
        // What it says next depends on the machine's /etc/resolv.conf.
        ("nowhere.invalid:80", "keepalive: nowhere.invalid:80: "),
    ] {
        let mut measure = namespace.command(env!("CARGO_BIN_EXE_keepalive"), None);
        let output = finish(measure.args(["measure", target]));
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(1), "{target}: {stdout}{stderr}");
        assert!(format!("{stdout}{stderr}").contains(said), "{target}: {stdout}{stderr}");
        assert!(!stderr.contains("lookup address"), "{stderr}");
    }
}

#[test]
fn an_address_to_listen_at_that_cannot_be_had_is_named() {
    let (_running, port) = listener("::1");
    for (address, said) in [
        (format!("[::1]:{port}"), "Address already in use"),
        ("192.0.2.1:7000".into(), "Cannot assign requested address"),
    ] {
        let (status, stderr) = failure(&mut keepalive(&format!("measure --listen {address}")));
        assert_eq!(status, 1, "{stderr}");
        assert!(stderr.starts_with(&format!("keepalive: {address}: {said}")), "{stderr}");
    }
}
