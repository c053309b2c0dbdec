//! The kinds of runs. Each checks what the settings promise.

use std::time::Duration;

use crate::bed::{Bed, End, FORGETS_AFTER};
use crate::ends::Server;
use crate::report::Timeline;
use crate::support::namespace::Settings;
use crate::support::running::wait_until;
use crate::zookeeper;

/// What a busy machine may add to a time.
const LATENESS: Duration = Duration::from_millis(1500);

/// More than the kernel's TCP_DELACK_MAX, 200 ms.
const DELAYED_ACKNOWLEDGEMENT: Duration = Duration::from_millis(250);

/// How long an answer may take: far longer than any of these programs needs.
const ANSWER: Duration = Duration::from_secs(4);

/// KEEPIDLE below what the firewall allows.
const KEEP_ALIVE: Settings = Some(&[("KEEPIDLE", "2"), ("KEEPINTVL", "2"), ("KEEPCNT", "3")]);

/// Where the library is.
#[derive(Clone, Copy)]
enum Library {
    Nowhere,
    AtTheClient,
    AtTheServer,
}

/// A request, three times as long an idle time as the firewall allows, another request.
#[derive(Clone, Copy)]
pub struct Idle {
    server: Server,
    library: Library,
}

impl Idle {
    pub const ALL: [Self; 9] = {
        use Library::{AtTheClient, AtTheServer, Nowhere};
        use Server::{JavaBlocking, JavaNio, Postgres};
        [
            Self { server: Postgres, library: Nowhere },
            Self { server: Postgres, library: AtTheClient },
            Self { server: Postgres, library: AtTheServer },
            Self { server: JavaBlocking, library: Nowhere },
            Self { server: JavaBlocking, library: AtTheClient },
            Self { server: JavaBlocking, library: AtTheServer },
            Self { server: JavaNio, library: Nowhere },
            Self { server: JavaNio, library: AtTheClient },
            Self { server: JavaNio, library: AtTheServer },
        ]
    };

    pub const TABLE: &[&str] =
        &["ends", "library", "the request after 15 s", "packets that the firewall dropped"];

    pub fn run(self) -> Timeline {
        let (server, port) = (self.server, self.server.port());
        let (place, at_client, at_server) = match self.library {
            Library::Nowhere => ("nowhere", None, None),
            Library::AtTheClient => ("at the client", KEEP_ALIVE, None),
            Library::AtTheServer => ("at the server", None, KEEP_ALIVE),
        };
        let ends = format!("{} – {}", server.client_name(), server.name());
        let bed = Bed::new();
        let _server = server.start(&bed.server, at_server);
        let mut client = server.start_client(&bed.client, at_client);
        client.ask_and_be_answered();

        let mut timeline = Timeline::begin(format!("{ends}; the library: {place}"));
        timeline.event(server.client_name(), "a request is answered; now idle");
        if wait_until(FORGETS_AFTER * 3, || !bed.firewall_knows_one(port)) {
            timeline.event("firewall", "has forgotten the connection");
            std::thread::sleep((FORGETS_AFTER * 3).saturating_sub(timeline.elapsed()));
        } else {
            timeline.event("firewall", "still knows the connection");
        }
        client.ask();
        let answered = client.is_answered(ANSWER);
        let dropped = bed.dropped();
        let outcome = if answered { "is answered" } else { "hangs" };
        timeline.event(server.client_name(), format!("the next request {outcome}"));
        if !answered {
            timeline.event("firewall", format!("has dropped {dropped} packets"));
            let alive = [&bed.client, &bed.server].map(|end| end.connections(port).len());
            assert_eq!(alive, [1, 1], "{timeline}");
            timeline.event("both ends", "still ESTABLISHED");
        }
        let should_live = !matches!(self.library, Library::Nowhere);
        assert_eq!(answered, should_live, "{timeline}");
        assert_eq!(dropped == 0, should_live, "{dropped} dropped\n{timeline}");

        timeline.row = vec![ends, place.into(), outcome.into(), dropped.to_string()];
        timeline
    }
}

/// Two ZooKeeper servers, one on each side of the firewall. The connection by which they elect a
/// leader is idle once they have one. Both turn keepalive off on it (unless they are told
/// otherwise, zookeeper.tcpKeepAlive): who connects does before, who accepts after.
#[derive(Clone, Copy)]
pub struct Election {
    library: &'static str,
    at_connecting: Settings<'static>,
    at_accepting: Settings<'static>,
    /// What the end with the library should have.
    lives: bool,
}

impl Election {
    pub const ALL: [Self; 4] = {
        const NOWHERE: Election =
            Election { library: "nowhere", at_connecting: None, at_accepting: None, lives: false };
        const FORCE: Settings = Some(&[
            ("KEEPALIVE", "force"),
            ("KEEPIDLE", "2"),
            ("KEEPINTVL", "2"),
            ("KEEPCNT", "3"),
        ]);
        [
            NOWHERE,
            Self { library: "accepts, `on`", at_accepting: KEEP_ALIVE, ..NOWHERE },
            // An explicit "off" cannot be told from the default at connect().
            Self { library: "connects, `on`", at_connecting: KEEP_ALIVE, lives: true, ..NOWHERE },
            Self { library: "accepts, `force`", at_accepting: FORCE, lives: true, ..NOWHERE },
        ]
    };

    pub const TABLE: &[&str] =
        &["library at the server that", "keepalive", "after 15 s the firewall"];

    pub fn run(self) -> Timeline {
        let bed = Bed::new();
        // The one with the higher number connects.
        let _accepts = zookeeper::start(&bed.client, 1, self.at_accepting);
        let _connects = zookeeper::start(&bed.server, 2, self.at_connecting);
        let election = |end: &End| end.connections(zookeeper::ELECTION_PORT);
        let is_connected = || [&bed.client, &bed.server].map(|end| election(end).len()) == [1, 1];
        let has_leader = || bed.server.connections(zookeeper::QUORUM_PORT).len() == 1;
        assert!(wait_until(zookeeper::PATIENCE, || has_leader() && is_connected()), "no leader");

        let mut timeline =
            Timeline::begin(format!("two zookeepers; the library: {}", self.library));
        timeline.event("zookeeper", "both servers agree on a leader; now idle");
        let knows = || bed.firewall_knows_one(zookeeper::ELECTION_PORT);
        let forgotten = wait_until(FORGETS_AFTER * 3, || !knows());
        let outcome = if forgotten { "has forgotten" } else { "still knows" };
        timeline.event("firewall", format!("{outcome} the connection for elections"));
        assert!(is_connected(), "{timeline}");
        timeline.event("both servers", "still ESTABLISHED");
        assert_eq!(forgotten, !self.lives, "{timeline}");
        let end = if self.at_accepting.is_some() { &bed.client } else { &bed.server };
        let keepalive = election(end)[0].values.keepalive;
        assert_eq!(keepalive, self.lives, "{timeline}");

        let keepalive = if keepalive { "on" } else { "off" };
        let cells = [self.library, keepalive, &format!("{outcome} the connection")];
        timeline.row = cells.map(String::from).into();
        timeline
    }
}

/// Clients that lose the network and are never heard of again.
#[derive(Clone, Copy)]
pub struct Vanished {
    server: Server,
    library: bool,
}

impl Vanished {
    pub const ALL: [Self; 6] = [
        Self { server: Server::Postgres, library: false },
        Self { server: Server::Postgres, library: true },
        Self { server: Server::JavaBlocking, library: false },
        Self { server: Server::JavaBlocking, library: true },
        Self { server: Server::JavaNio, library: false },
        Self { server: Server::JavaNio, library: true },
    ];

    pub const TABLE: &[&str] = &["server", "library", "of 20 dead connections it keeps", "after"];

    const CLIENTS: usize = 20;

    /// For the server: 2 + 1 × 3 seconds.
    const SETTINGS: Settings<'static> =
        Some(&[("KEEPIDLE", "2"), ("KEEPINTVL", "1"), ("KEEPCNT", "3")]);
    const REAPED_AFTER: Duration = Duration::from_secs(5);

    pub fn run(self) -> Timeline {
        let (server, port) = (self.server, self.server.port());
        let (place, settings) =
            if self.library { ("at the server", Self::SETTINGS) } else { ("nowhere", None) };
        let bed = Bed::new();
        let program = server.start(&bed.server, settings);
        let mut clients: Vec<_> =
            (0..Self::CLIENTS).map(|_| server.start_client(&bed.client, None)).collect();
        clients.iter_mut().for_each(|client| client.ask_and_be_answered());
        // Once more, all at the same time: idle time begins with the last packet.
        clients.iter_mut().for_each(|client| client.ask());
        assert!(clients.iter().all(|client| client.is_answered(ANSWER)));
        // The answers have come; now their acknowledgements, which may be delayed. (A client that
        // vanishes before leaves the server with data in flight.)
        std::thread::sleep(DELAYED_ACKNOWLEDGEMENT);

        let title = format!("{} clients of {}; the library: {place}", clients.len(), server.name());
        let mut timeline = Timeline::begin(title);
        bed.client.vanish();
        let kept = || bed.server.connections(port).len();
        timeline.event("clients", "are off the network");
        assert_eq!(kept(), Self::CLIENTS, "{timeline}");
        timeline.event(server.name(), format!("{} ESTABLISHED connections", kept()));
        let patience = Self::REAPED_AFTER * 3;
        if wait_until(patience, || kept() < Self::CLIENTS) {
            timeline.event(server.name(), "the first is gone");
            wait_until(patience, || kept() == 0);
        }
        timeline.event(server.name(), format!("{} ESTABLISHED connections", kept()));
        let time = timeline.elapsed();
        if let (true, Some(line)) = (kept() == 0, program.hear(LATENESS)) {
            timeline.event(server.name(), format!("says: {line}"));
        }
        if self.library {
            assert_eq!(kept(), 0, "{timeline}");
            assert_time(time, Self::REAPED_AFTER, &timeline);
        } else {
            assert_eq!(kept(), Self::CLIENTS, "{timeline}");
        }

        let left = kept().to_string();
        timeline.row = vec![server.name().into(), place.into(), left, show(time)];
        timeline
    }
}

/// The server vanishes; when does its client know?
#[derive(Clone, Copy)]
pub struct Ending {
    /// KEEPIDLE, KEEPINTVL, KEEPCNT.
    keepalive: Option<[u16; 3]>,
    /// TCP_USER_TIMEOUT, in milliseconds.
    user_timeout: Option<u16>,
    /// TCP_RTO_MAX_MS.
    rto_max: Option<u16>,
    /// Whether the client sends something to the server that is no more there.
    data_in_flight: bool,
    /// When the kernel should end the connection, in seconds; never, as far as this test waits.
    ends_after: Option<u64>,
    why: &'static str,
}

impl Ending {
    pub const ALL: [Self; 13] = [
        Self::idle([2, 1, 3], None, Some(5), "2 + 1 × 3"),
        Self::idle([3, 2, 2], None, Some(7), "3 + 2 × 2"),
        Self::idle([1, 1, 6], None, Some(7), "1 + 1 × 6"),
        Self::in_flight(Some([2, 1, 3]), None, None, "no probe while data is unacknowledged"),
        Self {
            rto_max: Some(1000),
            ..Self::in_flight(Some([2, 1, 3]), None, Some(15), "TCP_RTO_MAX_MS")
        },
        Self::in_flight(None, Some(5000), Some(5), "TCP_USER_TIMEOUT"),
        Self::in_flight(Some([2, 1, 3]), Some(5000), Some(5), "TCP_USER_TIMEOUT"),
        // Under the library alone the first probe is due after the system's two hours.
        Self { keepalive: None, ..Self::idle([0; 3], Some(5000), None, "no probe yet") },
        Self::idle([2, 1, 3], Some(5000), Some(5), "both agree"),
        Self::idle([2, 1, 3], Some(10000), Some(10), "TCP_USER_TIMEOUT replaces KEEPCNT"),
        Self::idle([2, 1, 20], Some(6000), Some(6), "TCP_USER_TIMEOUT replaces KEEPCNT"),
        Self::idle([2, 3, 20], Some(1000), Some(5), "seen when the second probe is due: 2 + 3"),
        Self::idle([2, 4, 20], Some(7000), Some(10), "seen when a probe is due: 2 + 4 + 4"),
    ];

    const fn idle(
        keepalive: [u16; 3],
        user_timeout: Option<u16>,
        ends_after: Option<u64>,
        why: &'static str,
    ) -> Self {
        Self {
            keepalive: Some(keepalive),
            user_timeout,
            rto_max: None,
            data_in_flight: false,
            ends_after,
            why,
        }
    }

    const fn in_flight(
        keepalive: Option<[u16; 3]>,
        user_timeout: Option<u16>,
        ends_after: Option<u64>,
        why: &'static str,
    ) -> Self {
        Self { keepalive, user_timeout, rto_max: None, data_in_flight: true, ends_after, why }
    }

    pub const TABLE: &[&str] = &[
        "KEEPIDLE / KEEPINTVL / KEEPCNT",
        "TCP_RTO_MAX_MS",
        "TCP_USER_TIMEOUT",
        "data in flight",
        "should end after",
        "ended after",
        "because",
    ];

    /// How long a connection is watched that should not end.
    const WATCHED: Duration = Duration::from_secs(20);

    pub fn run(self) -> Timeline {
        let server = Server::Socat;
        let mut settings = Vec::new();
        if let Some(keepalive) = self.keepalive {
            let names = ["KEEPIDLE", "KEEPINTVL", "KEEPCNT"];
            settings.extend(names.into_iter().zip(keepalive.map(|value| value.to_string())));
        }
        for (name, value) in
            [("TCP_RTO_MAX_MS", self.rto_max), ("TCP_USER_TIMEOUT", self.user_timeout)]
        {
            settings.extend(value.map(|value| (name, value.to_string())));
        }
        let variables: Vec<_> =
            settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let shown: Vec<_> =
            settings.iter().map(|(name, value)| format!("{name}={value}")).collect();

        let bed = Bed::new();
        let _server = server.start(&bed.server, None);
        let mut client = server.start_client(&bed.client, Some(&variables));
        client.ask_and_be_answered();

        let in_flight = if self.data_in_flight { "yes" } else { "no" };
        let title = format!("{}; data in flight: {in_flight}", shown.join(" "));
        let mut timeline = Timeline::begin(title);
        bed.server.vanish();
        timeline.event("server", "is off the network");
        if self.data_in_flight {
            client.ask();
            timeline.event("client", "sends a request");
        }
        let alive = || bed.client.connections(server.port()).len() == 1;
        assert!(alive(), "{timeline}");
        let ended = wait_until(Self::WATCHED, || !alive());
        let time = timeline.elapsed();
        if ended {
            timeline.event("client's kernel", "the connection is over");
            let program_ended = wait_until(LATENESS, || client.program.ended().is_some());
            assert!(program_ended, "nc hears of it\n{timeline}");
            timeline.event("client", "ends, as its connection has");
        } else {
            timeline.event("client's kernel", "still ESTABLISHED");
        }
        assert_eq!(ended, self.ends_after.is_some(), "{timeline}");
        if let Some(after) = self.ends_after {
            assert_time(time, Duration::from_secs(after), &timeline);
        }

        let keepalive =
            self.keepalive.map(|values| values.map(|value| value.to_string()).join(" / "));
        timeline.row = vec![
            keepalive.unwrap_or_else(|| "–".into()),
            self.rto_max.map_or_else(|| "–".into(), |bound| bound.to_string()),
            self.user_timeout.map_or_else(|| "–".into(), |timeout| timeout.to_string()),
            in_flight.into(),
            self.ends_after.map_or_else(|| "never".into(), |after| format!("{after} s")),
            if ended { show(time) } else { format!("not within {}", show(Self::WATCHED)) },
            self.why.into(),
        ];
        timeline
    }
}

#[track_caller]
fn assert_time(found: Duration, expected: Duration, timeline: &Timeline) {
    // The last packet was a little before time began.
    let earliest = expected - Duration::from_millis(500);
    let latest = expected + LATENESS;
    assert!((earliest..=latest).contains(&found), "{found:?} for {expected:?}\n{timeline}");
}

fn show(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
