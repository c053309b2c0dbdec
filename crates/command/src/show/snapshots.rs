//! Every view of made-up sockets, at several widths, as the files in snapshots/ have it. After a
//! change that is meant: `SNAPSHOTS=overwrite cargo test -p libkeepalive-command --lib snapshots`.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anstream::adapter::strip_str;
use snapbox::{Assert, Data};
use unicode_width::UnicodeWidthStr;

use super::collect::Collected;
use super::view::View;
use super::{check, json, overview, page, table, text};
use crate::judge::PATH_TIMEOUT;
use crate::process::{
    CommandLine, Info, Inspected, Library, Options, Place, Process, Protocol, Socket, State, Timer,
    TimerKind,
};
use crate::request::Show;
use crate::sys::kernel::Kernel;
use crate::values::Values;

const WIDTHS: [Option<usize>; 5] = [Some(60), Some(80), Some(120), Some(200), None];

/// What a command line asks for.
fn request(line: &str) -> Show {
    let mut words = line.split_whitespace();
    let mut request = Show { path_timeout: PATH_TIMEOUT, ..Show::default() };
    while let Some(word) = words.next() {
        match word {
            "--all" => request.all = true,
            "--listen" => request.listen = true,
            "--problems" => request.problems = true,
            "--check" => request.check = true,
            "--remote" => {
                let address: IpAddr = words.next().expect("an address").parse().expect(line);
                request.selection.remotes.push(address.into());
            }
            target => request.targets.push(target.into()),
        }
    }
    request
}

/// A socket as nobody has touched it.
fn socket(fd: i32, state: State, local: &str, remote: &str) -> Socket {
    let address = |text: &str| text.parse::<SocketAddr>().ok();
    let values = Kernel::default().assumed_defaults().map(|_, value| Some(value));
    let info = Info {
        state,
        unanswered_probes: 0,
        silent_for: Duration::from_secs(fd as u64),
        unacknowledged: 0,
    };
    Socket {
        fds: vec![fd],
        inode: 1000 + fd as u64,
        protocol: Protocol::Tcp,
        state,
        local: address(local),
        remote: address(remote),
        options: Some(Options { keepalive: false, values }),
        timer: None,
        info: state.is_connection().then_some(info),
    }
}

impl Socket {
    /// With keepalive on, and these times.
    fn on(mut self, idle: u32, interval: u32, count: u32) -> Self {
        let values = Values {
            idle: Some(idle),
            interval: Some(interval),
            count: Some(count),
            ..self.options.expect("known").values
        };
        self.options = Some(Options { keepalive: true, values });
        self.timer(TimerKind::Keepalive, 0)
    }

    fn timer(mut self, kind: TimerKind, retransmissions: u8) -> Self {
        self.timer = Some(Timer { kind, expires_in: Duration::from_millis(4200), retransmissions });
        self
    }

    fn unanswered(mut self, probes: u8) -> Self {
        self.info.as_mut().expect("connected").unanswered_probes = probes;
        self
    }
}

/// A server's connections to clients, most of them with keepalive.
fn crowd(number: i32) -> Vec<Socket> {
    let connection = |fd: i32| {
        let remote = format!("10.0.{}.{}:{}", fd / 250, 1 + fd % 250, 40_000 + fd % 20_000);
        let socket = socket(fd, State::ESTABLISHED, "10.77.2.2:5672", &remote);
        if fd % 30 == 4 { socket } else { socket.on(56, 10, 5) }
    };
    let listening = socket(3, State::LISTEN, "0.0.0.0:5672", "").on(56, 10, 5);
    let listening = Socket { timer: None, ..listening };
    std::iter::once(listening).chain((4..4 + number).map(connection)).collect()
}

/// One of each kind.
fn sockets_of_each_kind() -> Vec<Socket> {
    const LONG: [&str; 2] = [
        "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535",
        "[2001:db8:1111:2222:3333:4444:5555:6666]:65534",
    ];
    let established = |fd| socket(fd, State::ESTABLISHED, "192.0.2.10:41234", "198.51.100.7:5432");
    let mut bounded = established(11).on(56, 10, 5);
    let values = &mut bounded.options.as_mut().expect("known").values;
    (values.rto_max, values.user_timeout) = (Some(9600), Some(90_000));
    let mut multipath = established(12);
    multipath.protocol = Protocol::Mptcp;
    let values = &mut multipath.options.as_mut().expect("known").values;
    (values.rto_max, values.user_timeout) = (None, None);
    let mut unknown = established(13);
    (unknown.options, unknown.info) = (None, None);
    let mut many = established(14).on(7200, 75, 9);
    many.fds = (14..40).collect();
    vec![
        socket(3, State::LISTEN, "[::]:8080", ""),
        socket(4, State::LISTEN, "127.0.0.1:9000", ""),
        socket(5, State::ESTABLISHED, LONG[0], LONG[1]).on(60, 75, 9),
        socket(6, State::CLOSE_WAIT, "192.0.2.10:8080", "198.51.100.9:50000"),
        socket(7, State::SYN_SENT, "192.0.2.10:41236", "198.51.100.8:5432"),
        socket(8, State::FIN_WAIT_2, "192.0.2.10:41238", "198.51.100.8:5432"),
        established(9).on(15, 15, 9).unanswered(2),
        established(10).timer(TimerKind::Retransmission, 6),
        bounded,
        multipath,
        unknown,
        many,
    ]
}

fn process(pid: i32, command: &str, unit: &str, sockets: Vec<Socket>) -> Inspected {
    let command_line = CommandLine::parse(command.replace(' ', "\0").as_bytes());
    let name = command.split(' ').next().expect("a name").rsplit('/').next();
    let unit = (!unit.is_empty()).then(|| unit.to_owned());
    Inspected {
        process: Process::fake(pid, name.expect("a name")),
        place: Place { unit, ..Place::default() },
        user: Some("www-data".into()),
        described: command_line.describe(None),
        command_line,
        cgroup: None,
        library: Library::NotLoaded,
        library_values: Values::default(),
        kernel: Some(Kernel::default()),
        sockets: Some(sockets),
        trouble: None,
    }
}

/// A process with one socket of each kind, one of them set by the library.
fn motley(pid: i32, command: &str, unit: &str) -> Inspected {
    let library_values = Values {
        count: Some(5),
        idle: Some(56),
        interval: Some(10),
        rto_max: Some(9600),
        user_timeout: Some(90_000),
        ..Values::default()
    };
    Inspected { library_values, ..process(pid, command, unit, sockets_of_each_kind()) }
}

fn found(processes: Vec<Inspected>) -> Collected {
    let defaults = Some(Kernel::default().assumed_defaults());
    Collected { processes, defaults, is_complete: true, ..Collected::default() }
}

fn host() -> Collected {
    let class_path = "/opt/kafka/libs/*:".repeat(200);
    let kafka = format!("/usr/bin/java -Xmx1g -cp {class_path} kafka.Kafka server.properties");
    let zookeeper =
        format!("/usr/bin/java -Xmx1g -cp {class_path} org.apache.zookeeper.server.Main zoo.cfg");
    let mut contained = motley(905, "/usr/sbin/日本語のサービス --port 8080", "");
    contained.place.container = Some("4c01db0b339c".repeat(6));
    let listening = vec![socket(3, State::LISTEN, "[::]:22", "")];
    let long = "app-org.example.AVeryLongNameIndeed@0123456789abcdef.service";
    let mut processes = vec![
        process(1204, &kafka, "kafka.service", crowd(60)),
        process(1377, &zookeeper, "zookeeper.service", crowd(4).split_off(2)),
        process(612, "sshd: /usr/sbin/sshd -D", "ssh.service", listening),
        process(30_077, "python3 -u /srv/broker.py --verbose", long, crowd(0)),
        contained,
    ];
    processes[1].library = Library::Loaded("/usr/lib/libkeepalive.so".into());
    Collected { not_inspected: 3, ..found(processes) }
}

/// Compares a text with the file of this name.
#[track_caller]
fn is_as_before(name: &str, text: String) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/show/snapshots");
    let before = Data::read_from(&directory.join(name).with_extension("txt"), None).raw();
    Assert::new().action_env("SNAPSHOTS").eq(text, before);
}

/// A view at every width. No line is wider, but for what cannot be broken.
#[track_caller]
fn at_every_width(name: &str, line: &str, found: &Collected) {
    let request = request(line);
    let view = View::new(&request, found);
    let mut all = String::new();
    for width in WIDTHS {
        let text = strip_str(&text(&request, &view, width)).to_string();
        let ruler = width.map_or("no terminal".into(), |width| format!("{:->width$}", width));
        writeln!(all, "{ruler}\n{text}").expect("memory");
        let is_too_wide = |line: &&str| {
            width.is_some_and(|width| line.width() > width) && line.trim().contains(' ')
        };
        assert_eq!(text.lines().find(is_too_wide), None, "{width:?}");
    }
    is_as_before(name, all);
}

#[test]
fn connections() {
    for (name, number) in [("none", 0), ("one", 1), ("sixty", 60), ("ten_thousand", 10_000)] {
        let found =
            found(vec![process(1204, "/usr/bin/broker -v", "broker.service", crowd(number))]);
        at_every_width(name, "broker", &found);
    }
}

#[test]
fn one_of_each_kind() {
    let found = found(vec![motley(905, "/usr/sbin/motley", "")]);
    for (name, line) in [
        ("motley", "x"),
        ("motley_all", "--all x"),
        ("motley_listening", "--listen x"),
        ("motley_problems", "--problems x"),
        ("motley_selected", "--remote 198.51.100.8 x"),
    ] {
        at_every_width(name, line, &found);
    }
}

#[test]
fn a_host() {
    at_every_width("host", "", &host());
    at_every_width("host_problems", "--problems", &host());
    at_every_width("several_processes", "x", &host());
}

#[test]
fn without_a_terminal() {
    let host = host();
    for (name, line) in [("check", "--check"), ("check_listening", "--check --listen")] {
        is_as_before(name, check::lines(&View::new(&request(line), &host)));
    }
    let mut found = found(vec![motley(905, "/usr/sbin/motley", "a.service")]);
    found.processes[0].command_line = CommandLine::parse(b"/usr/sbin/motley\0-x");
    is_as_before("json", json::document(&View::new(&request("--all"), &found)));
}

/// 60 connections that are alike, at 80 columns, fit two screens of 24 lines.
#[test]
fn what_is_alike_fits_two_screens() {
    let found = found(vec![process(1204, "/usr/bin/broker", "broker.service", crowd(60))]);
    let request = request("broker");
    let text = page::between_verdicts(
        &View::new(&request, &found),
        &page::Layout { width: Some(80), ..page::Layout::default() },
    );
    let text = strip_str(&text).to_string();
    assert!(text.lines().count() <= 2 * 24, "{text}");
    assert_eq!(text.lines().next(), text.lines().last());
    assert_eq!(text.lines().next(), Some("60 connections: 58 on, first probe after 56s; 2 off"));
}

/// The manual page explains every column and every finding, and says in which order columns are
/// lost.
#[test]
fn the_manual_has_every_column_and_every_finding() {
    let manual = include_str!("manual.txt");
    let page = manual.split_whitespace().collect::<Vec<_>>().join(" ");
    for found in [host(), found(vec![motley(905, "/usr/sbin/motley", "")])] {
        for line in ["", "--all x"] {
            let request = request(line);
            let view = View::new(&request, &found);
            let shown = text(&request, &view, None);
            let shown = strip_str(&shown).to_string();
            for header in shown
                .lines()
                .filter(|it| it.trim().starts_with("FD ") || it.trim().starts_with("PID "))
            {
                for column in header.split("  ").map(str::trim).filter(|it| !it.is_empty()) {
                    assert!(manual.contains(&format!("\n  {column}  ")), "{column}");
                }
            }
            for socket in view.sockets() {
                for finding in &socket.findings {
                    let words = finding.to_string();
                    // Without the numbers.
                    let longest =
                        words.split(|it: char| it.is_ascii_digit()).max_by_key(|it| it.len());
                    let longest = longest.expect("words");
                    let begin = longest.find(' ').unwrap_or(0);
                    let end = longest.rfind(' ').unwrap_or(longest.len());
                    assert!(
                        page.contains(&longest[begin..end]),
                        "{words}: {:?}",
                        &longest[begin..end]
                    );
                }
            }
        }
    }
    for lost in [table::DROPPED.join(", "), overview::DROPPED.join(", ")] {
        assert!(page.contains(&lost), "{lost}");
    }
}
