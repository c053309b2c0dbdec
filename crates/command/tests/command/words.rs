//! What `show` and `attach` say is true: nothing is invented, and each case has its own words.

use serde_json::Value;

use crate::support::namespace::ran_in_user_namespace;
use crate::support::{self, bare, stdout, texts};
use crate::{PublicDirectory, Target, as_ordinary_user, c_target, keepalive, sockets};

#[test]
#[ignore = "needs root: becomes another user"]
fn what_may_not_be_looked_at_is_not_said_to_be_absent() {
    let directory = PublicDirectory::new("unknown");
    let program = directory.copy(env!("CARGO_BIN_EXE_keepalive"));
    let target = c_target();
    let show = |arguments: &[&str]| {
        let mut command = bare(&program);
        as_ordinary_user(&mut command).arg("show").args(arguments).arg(target.pid().to_string());
        let output = support::finish(&mut command);
        assert_eq!(output.status.code(), Some(1));
        texts(&output)
    };
    let (page, stderr) = show(&[]);
    assert!(stderr.contains("it runs as root"), "{stderr}");
    let head = format!("\ntarget ({}): ", target.pid());
    assert!(page.contains(&head) && page.contains("its TCP sockets are unknown\n"), "{page}");
    assert!(page.contains("whether libkeepalive is loaded is unknown\n"), "{page}");
    assert!(page.starts_with("0 connections; those of 1 process unknown\n"), "{page}");

    let (document, stderr) = show(&["--json"]);
    assert_eq!(stderr, "");
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let process = &document["processes"][0];
    assert!(process["sockets"].is_null() && process["library"].is_null(), "{process}");
    assert_eq!(process["library_known"], false);
    assert!(process["trouble"].as_str().expect("why").contains("it runs as root"), "{process}");

    // Nor is it fine. At this port nobody has a connection: other tests run programs as nobody, too.
    let mut command = bare(&program);
    let check = ["show", "--check", "--port", "1"];
    let output = support::finish(as_ordinary_user(&mut command).args(check));
    assert_eq!(output.status.code(), Some(1));
    let (said, _) = texts(&output);
    assert!(said.lines().next().is_some_and(|it| it.ends_with(" not looked into")), "{said}");

    // What is known to be absent.
    let document = stdout(&mut keepalive(&format!("show --json {}", std::process::id())));
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let process = &document["processes"][0];
    assert_eq!(
        (process["sockets"].to_string(), &process["library_known"]),
        ("[]".into(), &Value::Bool(true))
    );
}

#[test]
fn a_connection_that_only_the_peer_has_closed() {
    let mut target = c_target();
    drop(target.connect());
    let half_open = target.connect();
    half_open.shutdown(std::net::Shutdown::Write).expect("half of it");
    for set in ["", "attach --idle 60"] {
        if !set.is_empty() {
            stdout(&mut keepalive(&format!("{set} {}", target.pid())));
        }
        let page = stdout(&mut keepalive(&format!("show {}", target.pid())));
        let finding = ": the peer has closed, the program has not: keepalive does not help, only";
        let line = page.lines().find(|line| line.contains(finding));
        let line = line.unwrap_or_else(|| panic!("{page}"));
        // Two descriptors, whose numbers depend on what was inherited.
        assert_eq!(line.split(": ").next().map(|fds| fds.matches(',').count()), Some(1), "{page}");
    }
}

/// A connection in CLOSE-WAIT whose peer is forgotten: keepalive ends it in the kernel, and the
/// descriptor stays. And one in FIN-WAIT-2: keepalive asks there too.
const STATES: &str = "
import socket, time
def pair():
    listener = socket.socket()
    listener.bind(('127.0.0.1', 0))
    listener.listen()
    client = socket.create_connection(listener.getsockname())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 3):
        client.setsockopt(socket.IPPROTO_TCP, option, value)
    return client, listener.accept()[0]
def state(connection):
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
(waiting, peer), (closing, other) = pair(), pair()
peer.close()
closing.shutdown(socket.SHUT_WR)
time.sleep(0.5)
print(state(waiting), state(closing), flush=True)
time.sleep(4)
print(state(waiting), state(closing), waiting.fileno() >= 0, flush=True)
";

#[test]
#[ignore = "needs user namespaces, and /usr/bin/python3"]
fn what_keepalive_does_when_one_side_has_closed() {
    if ran_in_user_namespace() {
        return;
    }
    let mut command = bare("unshare");
    let script =
        "ip link set lo up; sysctl -qw net.ipv4.tcp_fin_timeout=2; exec /usr/bin/python3 -c \"$0\"";
    let said = stdout(command.args(["--net", "sh", "-c", script, STATES]));
    // CLOSE-WAIT and FIN-WAIT-2; then closed by the reset that answers a probe, while the other
    // is answered.
    assert_eq!(said, "8 5\n7 5 True\n");
}

/// A listener that speaks IPv6 and IPv4, and a connection by IPv4.
const BOTH: &str = "
import socket, time
listener = socket.socket(socket.AF_INET6)
listener.bind(('::', 0))
listener.listen()
client = socket.create_connection(('127.0.0.1', listener.getsockname()[1]))
server = listener.accept()[0]
print('ready', listener.getsockname()[1], flush=True)
time.sleep(99)
";

#[test]
#[ignore = "needs /usr/bin/python3"]
fn ipv4_within_ipv6_is_shown_and_selected_as_ipv4() {
    let target = Target::start(bare("/usr/bin/python3").args(["-c", BOTH]));
    let pid = target.pid();
    for socket in sockets(pid).iter().filter(|socket| socket["state"] == "established") {
        for end in ["local", "remote"] {
            let address = socket[end].as_str().expect("an address");
            assert!(address.starts_with("127.0.0.1:"), "{address}");
        }
    }
    for remote in
        ["::ffff:127.0.0.1", "127.0.0.1", "::ffff:127.0.0.0/104", "127.0.0.0/8", "::ffff:0:0/96"]
    {
        let said =
            stdout(&mut keepalive(&format!("attach --dry-run --idle 9 --remote {remote} {pid}")));
        assert!(said.contains(": 2 sockets would be changed (2 connected)"), "{remote}: {said}");
    }
}

#[test]
#[ignore = "needs user namespaces"]
fn root_is_not_sent_to_root() {
    // Outside of the namespace, so that even this root may not look into it.
    let _target = c_target();
    let said = stdout(bare("unshare").args([
        "--user",
        "--map-root-user",
        env!("CARGO_BIN_EXE_keepalive"),
        "show",
    ]));
    assert!(said.contains("Not looked into: ") && !said.contains("root may"), "{said}");
    assert!(said.contains("`keepalive show PID` says why"), "{said}");
}
