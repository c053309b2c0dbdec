//! `--dead-after` and `--rto-max` between the three namespaces of tests/firewall: a peer that is gone
//! is given up in time; one that lives but does not read is not; and connect(2) is as patient as it
//! was. And the founding story, with a broker that no preload reaches.

use std::time::{Duration, Instant};

use crate::bed::{Bed, End, FORGETS_AFTER, SERVER};
use crate::cover::Covered;
use crate::follow::Follower;
use crate::support::namespace::ran_in_user_namespace;
use crate::support::outside::TcpSocket;
use crate::support::running::{Running, wait_until};
use crate::support::stdout;
use crate::targets::go_build;
use crate::{keepalive, keepalive_run, musl_program, source};

/// The bound is for unacknowledged data: it ends the connection after 15 s.
const SETTINGS: &str = "--dead-after 16s --rto-max 1s";
const DEAD_AFTER: Duration = Duration::from_secs(16);

/// What a busy machine may add to a time.
const LATENESS: Duration = Duration::from_secs(1);

/// How long a program may take for anything else.
const PATIENCE: Duration = Duration::from_secs(20);

const PORT: &str = "7000";

/// Who sets the options.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Nobody,
    Run,
    Attach,
}

/// transfer.py at one end, under `run` with these settings or without.
fn start(end: &End, by: By, settings: &str, arguments: &[&str]) -> Running {
    let mut command = if by == By::Run {
        let mut command = end.namespace.command(env!("CARGO_BIN_EXE_keepalive"), None);
        command.args(keepalive_run(settings).get_args()).arg("python3");
        command
    } else {
        end.namespace.command("python3", None)
    };
    Running::start(command.arg(source("transfer.py")).args(arguments))
}

/// A server and its client, connected; the options are set at the server.
fn connected(bed: &Bed, by: By, settings: &str) -> (Running, Running) {
    let server = start(&bed.server, by, settings, &["listen", PORT]);
    server.hear_text("listening", PATIENCE);
    let client = start(&bed.client, By::Nobody, "", &["connect", SERVER, PORT]);
    server.hear_text("accepted", PATIENCE);
    client.hear_text("connected", PATIENCE);
    if by == By::Attach {
        let said = stdout(&mut keepalive(&format!("attach {settings} {}", server.pid())));
        assert!(said.contains(": 2 sockets changed (1 connected, 1 listening)"), "{said}");
    }
    (server, client)
}

/// Each way at the same time, for it takes a while.
fn each(ways: &[By], story: impl Fn(By) + Sync) {
    std::thread::scope(|scope| {
        for by in ways {
            scope.spawn(|| story(*by));
        }
    });
}

#[test]
#[ignore = "needs user namespaces, ip, nft (Debian: iproute2, nftables), and python3"]
fn a_vanished_peer_is_given_up_in_time_with_data_in_flight() {
    if ran_in_user_namespace() {
        return;
    }
    each(&[By::Nobody, By::Run, By::Attach], |by| {
        let bed = Bed::new();
        let (mut server, _client) = connected(&bed, by, SETTINGS);
        bed.client.vanish();
        let begin = Instant::now();
        // More than the buffers hold: the program waits until the connection ends.
        server.say("send 40000000");
        let heard = server.hear(DEAD_AFTER + LATENESS);
        println!("vanished peer, {by:?}: {heard:?} after {:.1?}", begin.elapsed());
        if by == By::Nobody {
            assert_eq!(heard, None, "the kernel tries for 15 minutes");
        } else {
            assert!(heard.is_some_and(|heard| heard.starts_with("ETIMEDOUT")));
            assert!(begin.elapsed() > DEAD_AFTER / 2, "for another reason");
        }
    });
}

#[test]
#[ignore = "needs user namespaces, ip, nft (Debian: iproute2, nftables), and python3"]
fn a_peer_that_does_not_read_for_longer_than_the_time_lives() {
    if ran_in_user_namespace() {
        return;
    }
    each(&[By::Run, By::Attach], |by| {
        let bed = Bed::new();
        let (mut server, mut client) = connected(&bed, by, SETTINGS);
        server.say("send 40000000");
        let pause = DEAD_AFTER + Duration::from_secs(9);
        assert_eq!(server.hear(pause), None, "its buffers are full");
        client.say("receive 40000000");
        client.hear_text("received", PATIENCE);
        server.hear_text("sent", PATIENCE);
        println!("slow reader, {by:?}: lives after {pause:?}");
    });
}

/// A bound on retransmissions would end the connection some seconds after close(2), once the kernel's
/// questions whether the peer has room are as far apart as the bound.
#[test]
#[ignore = "needs user namespaces, ip, nft (Debian: iproute2, nftables), and python3"]
fn what_was_sent_before_close_arrives() {
    if ran_in_user_namespace() {
        return;
    }
    const BYTES: usize = 400_000;
    each(&[By::Run, By::Attach], |by| {
        let bed = Bed::new();
        let (mut server, mut client) = connected(&bed, by, "--dead-after 16s");
        server.say(&format!("send {BYTES}"));
        server.hear_text("sent", PATIENCE);
        server.say("close");
        server.hear_text("closed", PATIENCE);
        std::thread::sleep(Duration::from_secs(8));
        client.say(&format!("receive {BYTES}"));
        client.hear_text("received", PATIENCE);
    });
}

#[test]
#[ignore = "needs user namespaces, ip, nft (Debian: iproute2, nftables), and python3"]
fn connect_stays_as_patient() {
    if ran_in_user_namespace() {
        return;
    }
    let bed = Bed::new();
    // Fewer SYNs than the default, with which it takes two minutes.
    let mut few = bed.client.namespace.command("sysctl", None);
    stdout(few.args(["--quiet", "--write", "net.ipv4.tcp_syn_retries=3"]));
    bed.server.vanish();
    let patience = |by: By, settings: &str| {
        let begin = Instant::now();
        let client = start(&bed.client, by, settings, &["connect", SERVER, PORT]);
        client.hear_text("ETIMEDOUT", Duration::from_secs(60));
        begin.elapsed()
    };
    std::thread::scope(|scope| {
        let without = scope.spawn(|| patience(By::Nobody, ""));
        let with = scope.spawn(|| patience(By::Run, SETTINGS));
        // Why `run` sends more SYNs beside a bound.
        let bound_alone = scope.spawn(|| patience(By::Run, "--rto-max 1s --syn-count 3"));
        let [without, with, bound_alone] =
            [without, with, bound_alone].map(|it| it.join().expect("no panic"));
        println!("connect(2) tries for {without:.1?} without, {with:.1?} with --rto-max");
        assert!(with + LATENESS > without, "{with:?} with, {without:?} without");
        assert!(with < without * 3 / 2, "{with:?} with, {without:?} without");
        assert!(bound_alone < without / 2, "{bound_alone:?} with the bound alone");
    });
}

/// How many clients the broker has.
const CLIENTS: usize = 5;

/// A statically linked broker in the founding story: its clients are idle for longer than the firewall
/// remembers, then they vanish.
#[test]
#[ignore = "needs user namespaces, ip, nft, conntrack, musl-gcc, and perl"]
fn a_static_broker_keeps_its_clients_and_loses_the_dead_ones_when_it_is_followed() {
    if ran_in_user_namespace() {
        return;
    }
    let broker = musl_program("broker");
    std::thread::scope(|scope| {
        for by in [By::Nobody, By::Run, By::Attach] {
            let broker = &broker;
            scope.spawn(move || the_founding_story(broker, by));
        }
    });
}

fn the_founding_story(broker: &std::path::Path, by: By) {
    const TIMES: &str = "--idle 2s --interval 1s --count 3";

    let (bed, is_followed) = (Bed::new(), by != By::Nobody);
    let mut start = bed.server.namespace.command("env", None);
    if by == By::Run {
        start.args([env!("CARGO_BIN_EXE_keepalive"), "run"]).args(TIMES.split(' '));
    }
    let broker = Running::start(start.arg(broker).arg(PORT));
    broker.hear_text("ready", PATIENCE);
    let follower = (by == By::Attach).then(|| Follower::of(&format!("{TIMES} {}", broker.pid())));
    let mut clients = bed.client.namespace.command("perl", None);
    clients.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/support/clients.pl"));
    clients.args(vec![format!("{SERVER}:{PORT}"); CLIENTS]);
    let mut clients = Running::start(&mut clients);
    clients.hear_text("connected", PATIENCE);
    let port = PORT.parse().expect("a number");
    let kept = || bed.server.connections(port).len();
    let are_all = |is_so: fn(&TcpSocket) -> bool| bed.server.connections(port).iter().all(is_so);
    assert!(wait_until(PATIENCE, || kept() == CLIENTS));
    clients.say(&CLIENTS.to_string());
    (0..CLIENTS).for_each(|_| drop(clients.hear_text("answered", PATIENCE)));
    if is_followed {
        assert!(wait_until(PATIENCE, || are_all(|it| it.values.keepalive && it.values.idle == 2)));
    }

    std::thread::sleep(2 * FORGETS_AFTER);
    let is_known = bed.firewall_knows_one(port);
    clients.say("1");
    let heard = clients.hear_text("answer", PATIENCE);
    println!("{by:?}: known after {:?}: {is_known}, {heard}", 2 * FORGETS_AFTER);
    assert_eq!((is_known, heard.ends_with(": answered")), (is_followed, is_followed), "{heard}");

    // Idle, without anything in flight.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(kept(), CLIENTS);
    bed.client.vanish();
    let begin = Instant::now();
    // Idle, and three probes.
    let reaped = Duration::from_secs(2 + 3);
    let patience = if is_followed { 3 * reaped } else { reaped + Duration::from_secs(2) };
    let is_reaped = wait_until(patience, || kept() == 0);
    println!("{by:?}: {} kept after {:.1?}", kept(), begin.elapsed());
    assert_eq!(kept(), if is_followed { 0 } else { CLIENTS });
    assert_eq!(is_reaped, is_followed);
    assert!(begin.elapsed() > reaped / 2, "for another reason");
    if let Some(follower) = follower {
        let (status, said, complained) = follower.end_by(nix::sys::signal::Signal::SIGTERM);
        assert_eq!((status, &*complained), (Some(0), ""), "{said}");
    }
}

/// The story of the beginning, with a client that no preload reaches.
#[test]
#[ignore = "needs root: network namespaces, attaches BPF programs; nft, socat, go"]
fn the_firewall_remembers_a_static_go_client_that_is_covered() {
    let client = go_build("client.go");
    std::thread::scope(|scope| {
        for is_covered in [false, true] {
            let client = &client;
            scope.spawn(move || {
                let bed = Bed::new();
                let mut server = bed.server.namespace.command("socat", None);
                let server = Running::start(server.args(["-dd", "TCP4-LISTEN:7000,fork", "PIPE"]));
                server.hear_text("listening on", PATIENCE);
                let covered = Covered::new(
                    if is_covered { "go-firewall" } else { "go-firewall-without" },
                    "--idle 2 --interval 2 --count 3",
                );
                if !is_covered {
                    stdout(&mut covered.keepalive("cover --remove"));
                }
                let mut client_command = covered.inside("ip");
                let name = bed.client.namespace.name();
                client_command.args(["netns", "exec", name]).arg(client);
                let mut client = Running::start(client_command.arg(format!("{SERVER}:{PORT}")));
                client.hear_text("connected", PATIENCE);
                client.say("");
                client.hear_text("answered", PATIENCE);
                std::thread::sleep(FORGETS_AFTER + Duration::from_secs(3));
                assert_eq!(bed.firewall_knows_one(7000), is_covered);
                client.say("");
                let answer = client.hear(PATIENCE).expect("an answer, or none");
                println!("covered: {is_covered}: {answer}, {} packets dropped", bed.dropped());
                assert_eq!(answer, if is_covered { "answered" } else { "no answer" });
            });
        }
    });
}
