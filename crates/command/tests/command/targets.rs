//! Real programs: what `show` says about their sockets, and what `attach` changes on them.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::support::namespace::ran_in_user_namespace;
use crate::support::{self, bare, run, stdout};
use crate::{Target, c_target, failure, keepalive, sockets, source};

/// Keepalive, and a bound that is for some states of a connection only.
const SETTINGS: &str = "--dead-after 2m --rto-max 9600ms";

/// What `--dead-after 2m` sets: no user timeout, which would end a living peer.
pub const SET: (bool, u64, u64, u64, u64) = (true, 56, 10, 5, 0);

/// Keepalive and its times.
pub fn options(socket: &Value) -> (bool, u64, u64, u64, u64) {
    let number = |name: &str| socket[name].as_u64().unwrap_or_else(|| panic!("{name}: {socket}"));
    (
        socket["keepalive"].as_bool().expect("known"),
        number("idle_s"),
        number("interval_s"),
        number("count"),
        number("user_timeout_ms"),
    )
}

/// Before, nothing is set. `attach` sets everything, also on connections accepted afterwards, and
/// the program does not notice.
pub fn is_attached_to_while_it_runs(mut target: Target) {
    let mut early = target.connect();
    target.ask("echo");
    let before = sockets(target.pid());
    assert_eq!(before.len(), 4, "{before:#?}");
    for socket in &before {
        assert!(!options(socket).0, "before: {socket}");
        assert_eq!(options(socket).1, 7200, "before: {socket}");
    }

    let said = stdout(&mut keepalive(&format!("attach {SETTINGS} {}", target.pid())));
    assert!(said.contains(": 4 sockets changed (3 connected, 1 listening)\n"), "{said}");

    target.ask("echo");
    let mut late = target.connect();
    let after = sockets(target.pid());
    assert_eq!(after.len(), 5, "{after:#?}");
    for socket in &after {
        assert_eq!(options(socket), SET, "after: {socket}");
    }
    // The bound is for connections that are established, not for their handshakes.
    let bounded = after.iter().filter(|socket| socket["rto_max_ms"] == 9600);
    assert_eq!(bounded.count(), 3, "{after:#?}");
    assert!(after.iter().all(|it| it["state"] != "listen" || it["rto_max_ms"] == 120_000));
    for connection in [&mut early, &mut late] {
        connection.set_nonblocking(true).expect("an option");
        let end = connection.read(&mut [0]).expect_err("no data, no end");
        assert_eq!(end.kind(), std::io::ErrorKind::WouldBlock);
    }
    let again = stdout(&mut keepalive(&format!("attach {SETTINGS} {}", target.pid())));
    assert!(
        again.contains(": 1 socket changed (1 connected); left alone: 4 set already\n"),
        "{again}"
    );
}

#[test]
fn a_c_program() {
    is_attached_to_while_it_runs(c_target());
}

#[test]
fn a_statically_linked_c_program() {
    let program = support::compile("target_static", &["-static"]);
    is_attached_to_while_it_runs(Target::start(&mut bare(program)));
}

#[test]
#[ignore = "needs /usr/bin/python3"]
fn a_python_program() {
    let mut command = bare("/usr/bin/python3");
    is_attached_to_while_it_runs(Target::start(command.arg(source("target.py"))));
}

#[test]
#[ignore = "needs java (Debian: openjdk-17-jdk-headless)"]
fn a_java_program_that_blocks() {
    is_attached_to_while_it_runs(Target::start(bare("java").arg(source("Target.java"))));
}

#[test]
#[ignore = "needs java (Debian: openjdk-17-jdk-headless)"]
fn a_java_program_that_selects() {
    let mut command = bare("java");
    is_attached_to_while_it_runs(Target::start(command.arg(source("Target.java")).arg("nio")));
}

/// tests/hosts/target.go, linked statically as Go links: compiled once, each time a copy.
pub fn go_program() -> PathBuf {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| go_build("target.go"));
    let copy = support::scratch("target-go");
    support::copy_program(&*PROGRAM, &copy);
    copy
}

/// A program of tests/hosts, linked statically as Go links.
pub fn go_build(name: &str) -> std::path::PathBuf {
    static CACHE: LazyLock<std::path::PathBuf> = LazyLock::new(|| support::scratch("go-cache"));
    let program = support::scratch(name).with_extension("");
    let mut build = Command::new("go");
    build.arg("build").arg("-o").arg(&program).arg(source(name));
    build.env("CGO_ENABLED", "0").env("GOPROXY", "off").env("GO111MODULE", "off");
    support::run(build.env("GOCACHE", &*CACHE));
    program
}

#[test]
#[ignore = "needs go (Debian: golang-go)"]
fn a_go_program() {
    is_attached_to_while_it_runs(Target::start(&mut bare(go_program())));
}

/// redis-server; killed when dropped.
pub struct Redis {
    pub child: std::process::Child,
    port: u16,
}

impl Redis {
    pub fn start() -> Self {
        Self::start_by(bare("redis-server"))
    }

    /// By a command that becomes redis-server.
    pub fn start_by(mut command: Command) -> Self {
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        command.args(["--bind", "127.0.0.1", "--save", "", "--port"]).arg(port.to_string());
        let child = command.stdout(std::process::Stdio::null()).spawn().expect("redis-server");
        Self { child, port }
    }

    pub fn connect(&self) -> TcpStream {
        for _ in 0..100 {
            if let Ok(connection) = TcpStream::connect(("127.0.0.1", self.port)) {
                return connection;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("redis-server does not listen");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn ping(connection: &mut TcpStream) {
    connection.write_all(b"PING\r\n").expect("sent");
    let mut answer = [0; 7];
    connection.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"+PONG\r\n");
}

#[test]
#[ignore = "needs redis-server"]
fn redis_chose_times_of_its_own_which_stand_unless_forced() {
    let redis = Redis::start();
    let mut connection = redis.connect();
    ping(&mut connection);
    let pid = redis.child.id();
    let connected = || {
        let sockets = sockets(pid);
        let connected = sockets.iter().find(|socket| socket["state"] == "established");
        options(connected.expect("a connection"))
    };
    assert_eq!(connected(), (true, 300, 100, 3, 0), "what redis sets itself");
    let said = stdout(&mut keepalive(&format!("attach --dead-after 2m {pid}")));
    assert!(said.contains(": 1 socket changed (1 listening)"), "{said}");
    assert!(
        said.contains(
            "left alone: 1 with times that the program or an earlier attach set (--force"
        ),
        "{said}"
    );
    assert_eq!(connected(), (true, 300, 100, 3, 0));
    stdout(&mut keepalive(&format!("attach --force --dead-after 2m {pid}")));
    assert_eq!(connected(), SET);
    ping(&mut connection);
    // By its name, too.
    let said = stdout(&mut keepalive("attach --dry-run --force --idle 60 redis-server"));
    assert!(said.contains(&format!("redis-server ({pid}): 2 sockets would be changed")), "{said}");
    assert_eq!(connected(), SET, "a dry run");
}

#[test]
fn only_the_sockets_chosen_are_changed() {
    let mut target = c_target();
    let peer = target.connect();
    let ports = [target.port, peer.local_addr().expect("an address").port()];
    let on = |target: &Target| {
        let sockets = sockets(target.pid());
        let mut on: Vec<_> = sockets
            .iter()
            .filter(|socket| options(socket).0)
            .map(|s| s["descriptors"][0].clone())
            .collect();
        on.sort_by_key(Value::as_i64);
        on
    };
    let pid = target.pid();
    let attach = |arguments: &str| stdout(&mut keepalive(&format!("attach {arguments} {pid}")));
    attach("--idle 9 --remote 10.0.0.0/8 --remote ::/0");
    assert_eq!(on(&target), Vec::<Value>::new());
    attach("--idle 9 --port 1");
    assert_eq!(on(&target), Vec::<Value>::new());
    attach(&format!("--idle 9 --port {} --remote 127.0.0.0/8", ports[1]));
    assert_eq!(on(&target), [6], "the connection from that port");
    attach("--idle 9 --remote 127.0.0.1");
    assert_eq!(on(&target), [4, 5, 6], "not the listening socket");
    attach(&format!("--idle 9 --port {}", ports[0]));
    assert_eq!(on(&target), [3, 4, 5, 6]);
}

#[test]
fn skip_sets_the_times_only_and_debug_says_what_is_set() {
    let target = c_target();
    let mut attach =
        keepalive(&format!("attach --skip --debug --idle 9 --count 3 {}", target.pid()));
    let (_, stderr) = support::run(&mut attach);
    let line = format!(
        "keepalive: target ({}): fd 4: TCP_KEEPCNT=3 TCP_KEEPIDLE=9 TCP_KEEPINTVL=45\n",
        target.pid()
    );
    assert!(stderr.contains(&line), "{stderr}");
    for socket in sockets(target.pid()) {
        assert_eq!(options(&socket), (false, 9, 45, 3, 0));
    }
}

/// A process's TCP sockets, from ss(8): the words of each line, by inode.
fn ss(pid: u32) -> HashMap<u64, Vec<String>> {
    let text = stdout(Command::new("ss").args(["-H", "-O", "-tanoiep"]));
    let mut lines = HashMap::new();
    for line in text.lines().filter(|line| line.contains(&format!("pid={pid},"))) {
        let words: Vec<String> = line.split_whitespace().map(Into::into).collect();
        let inode = words.iter().find_map(|word| word.strip_prefix("ino:")?.parse().ok());
        lines.insert(inode.expect("an inode"), words);
    }
    lines
}

/// A duration as ss(8) writes it (`119min`, `1min58sec`, `4.9sec`, `876ms`), in milliseconds, and
/// how far it may be off by its rounding.
fn ss_duration(text: &str) -> (f64, f64) {
    let number = |text: &str| text.parse::<f64>().unwrap_or_else(|_| panic!("{text}"));
    if let Some((minutes, seconds)) = text.split_once("min") {
        let seconds = seconds.trim_end_matches("sec");
        if seconds.is_empty() {
            return (number(minutes) * 60e3, 60e3);
        }
        return ((number(minutes) * 60.0 + number(seconds)) * 1e3, 1e3);
    }
    match text.strip_suffix("ms") {
        Some(milliseconds) => (number(milliseconds), 1.0),
        None => (number(text.trim_end_matches("sec")) * 1e3, 1e3),
    }
}

/// At most this much time passes between the two looks at a socket, in milliseconds.
const BETWEEN: f64 = 1500.0;

fn is_as_ss_says(socket: &Value, words: &[String]) {
    let names = [
        ("ESTAB", "established"),
        ("LISTEN", "listen"),
        ("FIN-WAIT-2", "fin-wait-2"),
        ("CLOSE-WAIT", "close-wait"),
    ];
    let state = names.iter().find(|(short, _)| *short == words[0]).expect("a state").1;
    assert_eq!(socket["state"], state, "{words:?}");
    assert_eq!(socket["local"], words[3], "{words:?}");
    if state != "listen" {
        assert_eq!(socket["remote"], words[4], "{words:?}");
    }
    let value = |name: &str| {
        words.iter().find_map(|word| word.strip_prefix(name)?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let timer = words.iter().find_map(|word| word.strip_prefix("timer:(")?.strip_suffix(")"));
    match timer {
        None => assert!(socket["timer"].is_null(), "{socket} {words:?}"),
        Some(timer) => {
            let [kind, expires, count] = timer.split(',').collect::<Vec<_>>()[..] else {
                panic!("{timer}");
            };
            let kinds = [
                ("on", "retransmission"),
                ("keepalive", "keepalive"),
                ("persist", "zero-window-probe"),
            ];
            let kind = kinds.iter().find(|(short, _)| *short == kind).expect("a timer").1;
            assert_eq!(socket["timer"]["kind"], kind, "{words:?}");
            let (expires, rounding) = ss_duration(expires);
            let shown = socket["timer"]["expires_in_ms"].as_f64().expect("a number");
            assert!((shown - expires).abs() <= rounding + BETWEEN, "{shown} {timer}");
            let counted = match kind {
                "retransmission" => &socket["timer"]["retransmissions"],
                _ => &socket["unanswered_probes"],
            };
            assert_eq!(counted.to_string(), count, "{words:?}");
        }
    }
    if state != "listen" {
        let silent = value("lastrcv:").min(value("lastack:"));
        let shown = socket["silent_for_ms"].as_f64().expect("a number");
        assert!((shown - silent).abs() <= BETWEEN, "{shown} {words:?}");
        let unacknowledged = socket["unacknowledged_segments"].as_f64();
        assert_eq!(unacknowledged, Some(value("unacked:")), "{words:?}");
    }
}

#[test]
#[ignore = "needs ss (Debian: iproute2)"]
fn show_says_what_ss_says_socket_by_socket() {
    let mut target = c_target();
    let _peers: Vec<_> = (0..20).map(|_| target.connect()).collect();
    drop(target.connect());
    stdout(&mut keepalive(&format!("attach --idle 100 {}", target.pid())));
    run(&mut keepalive(&format!(
        "attach --force --idle 3000 --port {} {}",
        _peers[3].local_addr().expect("one").port(),
        target.pid()
    )));
    // The times since the peer was heard then differ from zero.
    std::thread::sleep(std::time::Duration::from_secs(2));
    target.ask("echo");
    let shown = sockets(target.pid());
    let told = ss(target.pid());
    assert_eq!(shown.len(), 24, "a listener, a connection to itself, 20 others, one half closed");
    assert_eq!(shown.len(), told.len());
    for socket in &shown {
        let words = &told[&socket["inode"].as_u64().expect("a number")];
        is_as_ss_says(socket, words);
    }
    let with_timer = |idle: u64| {
        shown.iter().filter(|socket| socket["idle_s"] == idle && !socket["timer"].is_null()).count()
    };
    assert_eq!((with_timer(100), with_timer(3000)), (22, 1));
}

/// The name of the user who runs the tests, or the number of one who has none: id(1) complains of that.
fn own_user() -> String {
    support::texts(&support::finish(bare("id").arg("-un"))).0.trim().into()
}

#[test]
fn show_tells_what_is_wrong_in_words_and_whether_the_library_is_loaded() {
    let target = c_target();
    let page = stdout(&mut keepalive(&format!("show {}", target.pid())));
    let verdict = "2 connections: all off\n";
    assert!(page.starts_with(verdict) && page.ends_with(verdict), "{page}");
    let head = format!("\ntarget ({}): user {}, ", target.pid(), own_user());
    assert!(page.contains(&head), "{page}");
    assert!(page.contains(&format!("listens on 127.0.0.1:{}; ", target.port)), "{page}");
    assert!(page.contains("libkeepalive is not loaded"), "{page}");
    assert!(page.contains("\n! fd 4, 5: keepalive off"), "{page}");
    assert!(!page.contains('\x1b'), "colour without a terminal: {page}");
    run(&mut keepalive(&format!("attach --idle 2h {}", target.pid())));
    let page = stdout(&mut keepalive(&format!("show --listen {}", target.pid())));
    assert!(page.contains("LISTEN") && !page.contains("ESTAB"), "{page}");
    let late =
        "! fd 3: keepalive on, but first probe only after 2h; many firewalls forget after 5–30 min";
    assert!(page.contains(late), "{page}");

    let library = support::built_library();
    let mut command = crate::keepalive_run("--dead-after 2m");
    let target = Target::start(command.arg(support::host("target")));
    let page = stdout(&mut keepalive(&format!("show --all {}", target.pid())));
    assert!(page.contains(&format!("{} is loaded", library.display())), "{page}");
    assert!(!page.contains('!'), "nothing is wrong: {page}");
    for socket in sockets(target.pid()) {
        assert_eq!(options(&socket), SET);
    }
}

#[test]
fn without_arguments_the_defaults_and_every_process_are_shown() {
    let target = c_target();
    let text = stdout(&mut keepalive("show"));
    let time = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_keepalive_time").expect("a sysctl");
    assert!(text.contains(&format!("net.ipv4.tcp_keepalive_time = {}", time.trim())), "{text}");
    let row = text.lines().find(|line| line.trim_start().starts_with(&target.pid().to_string()));
    let row: Vec<_> = row.unwrap_or_else(|| panic!("{text}")).split_whitespace().collect();
    let listens = format!("127.0.0.1:{}", target.port);
    assert_eq!(row[1..3], ["target", &own_user()], "{text}");
    let listens = row.iter().position(|cell| *cell == listens).expect("where it listens");
    assert_eq!(row[listens + 1..listens + 5], ["2", "0", "2", "off"], "{text}");
    assert_eq!(row.last(), Some(&"target"), "its command line: {text}");
}

/// A socket of each other kind for which SO_KEEPALIVE exists, and a Multipath TCP connection.
const KINDS: &str = "
import socket, sys
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
unix, other = socket.socketpair()
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
listener.bind(('127.0.0.1', 0))
listener.listen()
client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
client.connect(listener.getsockname())
server = listener.accept()[0]
print('ready', listener.getsockname()[1], flush=True)
for line in sys.stdin:
    print(line.strip(), 'ok', [s.getsockopt(1, 9) for s in (udp, raw, unix, other)], flush=True)
";

#[test]
#[ignore = "needs user namespaces, /usr/bin/python3, and a kernel with MPTCP"]
fn other_sockets_are_untouched_and_multipath_tcp_gets_what_it_has() {
    if ran_in_user_namespace() {
        return;
    }
    let mut command = bare("/usr/bin/python3");
    let mut target = Target::start(command.args(["-c", KINDS]));
    let said = stdout(&mut keepalive(&format!("attach {SETTINGS} {}", target.pid())));
    assert!(
        said.contains(
            "3 sockets changed (2 connected, 1 listening); without TCP_RTO_MAX_MS, which Multipath \
             TCP and older kernels do not have: 2\n"
        ),
        "{said}"
    );
    let sockets = sockets(target.pid());
    assert_eq!(sockets.len(), 3);
    for socket in sockets {
        assert_eq!(socket["protocol"], "mptcp");
        let set = ["keepalive", "idle_s", "interval_s", "count", "user_timeout_ms"]
            .map(|name| socket[name].to_string());
        assert_eq!(set, ["true", "56", "10", "5", "null"]);
    }
    writeln!(target.child.stdin.as_mut().expect("a pipe"), "others").expect("it lives");
    assert_eq!(target.answer(), "others ok [0, 0, 0, 0]");
}

/// A program in a network namespace with this default for the idle time.
fn target_whose_kernel_waits(idle: u32) -> Target {
    let mut command = bare("unshare");
    let script =
        format!("ip link set lo up; sysctl -qw net.ipv4.tcp_keepalive_time={idle}; exec \"$0\"");
    command.args(["--net", "sh", "-c", &script]);
    Target::start(command.arg(support::host("target")))
}

/// 45 s hold every path that is known; the kernel's own time stands where it is shorter.
#[test]
#[ignore = "needs user namespaces"]
fn without_values_the_first_probe_comes_after_45_seconds_or_sooner() {
    if ran_in_user_namespace() {
        return;
    }
    for (kernel, idle) in [(600, 45), (30, 30)] {
        let target = target_whose_kernel_waits(kernel);
        stdout(&mut keepalive(&format!("attach {}", target.pid())));
        for socket in sockets(target.pid()) {
            assert_eq!(options(&socket), (true, idle, 45, 127, 0));
        }
    }
}

#[test]
#[ignore = "needs user namespaces"]
fn a_process_in_another_network_namespace() {
    if ran_in_user_namespace() {
        return;
    }
    let mut target = target_whose_kernel_waits(600);
    assert_eq!(options(&sockets(target.pid())[1]), (false, 600, 75, 9, 0));
    // Its 600 s are the default there: nobody chose them.
    let said = stdout(&mut keepalive(&format!("attach --count 9 {}", target.pid())));
    assert!(said.contains("3 sockets changed"), "{said}");
    let said = stdout(&mut keepalive(&format!("attach --force --idle 60 {}", target.pid())));
    assert!(said.contains("3 sockets changed"), "{said}");
    target.ask("echo");
    let connected = &sockets(target.pid())[1];
    assert_eq!(connected["timer"]["kind"], "keepalive", "{connected}");
}

/// A timer that runs is wound up for the time that the kernel had then.
#[test]
#[ignore = "needs user namespaces, and /usr/bin/python3"]
fn a_timer_that_is_older_than_its_time_is_pointed_out_and_wound_up_anew() {
    if ran_in_user_namespace() {
        return;
    }
    const CONNECTION: &str = "
import socket, sys, time
listener = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(listener.getsockname())
server = listener.accept()[0]
for connection in client, server:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
print('ready 0', flush=True)
sys.stdin.read()
";
    let script = "ip link set lo up; sysctl -qw net.ipv4.tcp_keepalive_time=7200; \
                  exec /usr/bin/python3 -c \"$0\"";
    let target = Target::start(bare("unshare").args(["--net", "sh", "-c", script, CONNECTION]));
    let pid = target.pid();
    let check = || {
        let output = support::finish(&mut keepalive(&format!("show --check {pid}")));
        (output.status.code(), support::texts(&output).0)
    };
    let attach = |options: &str| stdout(&mut keepalive(&format!("attach {options} {pid}")));
    let (status, said) = check();
    assert!(status == Some(3) && said.contains("first probe only after 2h"), "{said}");
    let mut sysctl = bare("nsenter");
    sysctl.args(["-t", &pid.to_string(), "--net", "sysctl", "-qw"]);
    stdout(sysctl.arg("net.ipv4.tcp_keepalive_time=60"));
    let (status, said) = check();
    assert_eq!(status, Some(3), "{said}");
    assert!(said.starts_with("2 connections: all on, first probe after 60s, too late\n"), "{said}");
    let old = ": keepalive on, but the running timer still uses the old time: next probe in 1h 59m";
    assert!(said.contains(old) && said.contains("; many firewalls forget"), "{said}");
    let metrics = stdout(&mut keepalive(&format!("show --openmetrics {pid}")));
    assert!(metrics.contains("keepalive=\"late\"} 2\n"), "{metrics}");
    let said = attach("--port 1 --idle 60");
    assert!(said.contains("0 sockets changed"), "{said}");
    let said = attach("--idle 60 --remote 127.0.0.1");
    assert!(said.contains("2 sockets changed (2 connected)"), "{said}");
    assert_eq!(check(), (Some(0), "2 connections: all on, first probe after 60s\n".into()));
    for socket in sockets(pid).iter().filter(|socket| socket["state"] == "established") {
        let runs = socket["timer"]["expires_in_ms"].as_u64().expect("a number");
        assert!(runs <= 60_000, "{socket}");
    }
    let said = attach("--idle 60 --remote 127.0.0.1");
    assert!(said.contains("left alone: 2 set already"), "{said}");
}

#[test]
fn a_process_that_is_not_there_is_an_error() {
    let pid = i32::MAX;
    for what in ["show", "attach"] {
        let (status, stderr) = failure(&mut keepalive(&format!("{what} {pid}")));
        assert_eq!(
            (status, &*stderr),
            (1, &*format!("keepalive: {pid}: there is no such process\n"))
        );
        let (status, stderr) = failure(&mut keepalive(&format!("{what} no-such-name")));
        assert_eq!(status, 1);
        assert!(
            stderr.starts_with("keepalive: no-such-name: no process has this name"),
            "{stderr}"
        );
        assert!(stderr.ends_with("(`keepalive show` alone shows what there is)\n"), "{stderr}");
    }
}

#[test]
fn mistakes_in_the_arguments_are_2() {
    for arguments in [
        "",
        "nonsense",
        "show --nonsense",
        "attach",
        "attach --idle 0 1",
        "attach --dead-after 1m --idle 5 1",
    ] {
        assert_eq!(failure(&mut keepalive(arguments)).0, 2, "{arguments}");
    }
}

/// A user chooses the name of a process, and root looks at it on a terminal.
#[test]
fn no_name_forges_a_line_or_reaches_the_terminal_as_an_escape() {
    let directory = support::scratch("names");
    std::fs::create_dir_all(&directory).expect("a directory");
    let program = directory.join("a\x1b[31m\nb");
    support::copy_program(support::host("target"), &program);
    let target = Target::start(&mut bare(&program));

    for arguments in ["show --all", "attach --dry-run --idle 5s"] {
        let mut command = keepalive(&format!("{arguments} {}", target.pid()));
        let said = stdout(command.env("CLICOLOR_FORCE", "1"));
        assert!(said.contains("a\\u{1b}[31m\\nb ("), "{arguments}: {said:?}");
    }
    let said = stdout(keepalive("show").env("CLICOLOR_FORCE", "1"));
    assert!(said.contains(" a\\u{1b}[31m\\nb "), "show: {said:?}");
}

#[test]
fn attach_says_what_it_sets_and_what_may_be_too_late() {
    let target = c_target();
    let attach =
        |arguments: &str| run(&mut keepalive(&format!("attach {arguments} {}", target.pid())));
    let (stdout, stderr) = attach("--dry-run --idle 2h --interval 75 --count 9");
    let settings = "Settings: first probe after 2h idle, then every 75s, dead after 9 unanswered, ";
    assert!(stdout.starts_with(settings), "{stdout}");
    let remark = "keepalive: a first probe after 2h may be too late: many firewalls forget after \
                  5–30 min\n";
    assert_eq!(stderr, remark);
    let (_, stderr) = attach("--dry-run --interval 30m");
    assert!(stderr.contains("one probe only every 30m may be too late"), "{stderr}");
    let (stdout, stderr) = attach("--skip --idle 60");
    let settings = "Settings: times only, the program decides whether keepalive is on, first probe \
                    after 60s idle, ";
    assert!(stdout.starts_with(settings), "{stdout}");
    assert_eq!(stderr, "");
}

#[test]
fn what_an_earlier_attach_set_is_not_called_the_program_s() {
    let target = c_target();
    let attach =
        |arguments: &str| run(&mut keepalive(&format!("attach {arguments} {}", target.pid())));
    attach("--idle 60");
    let (stdout, stderr) = attach("--debug --idle 300");
    let left = "0 sockets changed; left alone: 3 with times that the program or an earlier attach \
                set (--force changes them)\n";
    assert!(stdout.contains(left), "{stdout}");
    assert!(stderr.contains("left alone: the program, or an earlier attach, set its times\n"));
    let (stdout, _) = attach("--force --idle 300");
    assert!(stdout.contains(": 3 sockets changed"), "{stdout}");
}
