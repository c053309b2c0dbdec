//! Three network namespaces: client – firewall – server. The firewall forgets a connection that
//! is idle for [`FORGETS_AFTER`], and from then on drops its packets without a word.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::namespace::{Namespace, ip};
use crate::support::outside::{self, TcpSocket};

/// `nf_conntrack_tcp_timeout_established` of the firewall.
pub const FORGETS_AFTER: Duration = Duration::from_secs(5);

/// The client's address.
pub const CLIENT: &str = "10.9.1.2";

/// The server's address.
pub const SERVER: &str = "10.9.2.2";

/// What it knows passes, and so does the first packet of a connection; the rest it drops. It
/// sends nothing itself: an ICMP message would tell an end that something is wrong.
const RULES: &str = "
table inet firewall {
    counter dropped { }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ct state new tcp flags & (fin | syn | rst | ack) == syn accept
        counter name dropped
    }
    chain output {
        type filter hook output priority filter; policy drop;
    }
}
";

/// One of the two ends.
pub struct End {
    pub namespace: Namespace,
}

impl End {
    /// Its live connections of a port.
    pub fn connections(&self, port: u16) -> Vec<TcpSocket> {
        let pids = self.namespace.pids();
        pids.into_iter()
            .flat_map(outside::tcp_sockets)
            .filter(|socket| socket.is_connection_of_port(port))
            .collect()
    }

    /// Takes it off the network, as a power failure does: nobody is told.
    pub fn vanish(&self) {
        ip(&["-n", self.namespace.name(), "link", "set", "eth0", "down"]);
    }
}

/// The three, removed when this goes out of scope.
pub struct Bed {
    pub client: End,
    pub server: End,
    firewall: Namespace,
}

impl Bed {
    /// Makes one.
    pub fn new() -> Self {
        let bed = Self {
            client: End { namespace: Namespace::new("client") },
            server: End { namespace: Namespace::new("server") },
            firewall: Namespace::new("firewall"),
        };
        bed.connect(&bed.client, "client", "10.9.1");
        bed.connect(&bed.server, "server", "10.9.2");
        let timeout = FORGETS_AFTER.as_secs();
        bed.in_firewall(
            &[
                "sysctl",
                "--quiet",
                "--write",
                "net.ipv4.ip_forward=1",
                "net.netfilter.nf_conntrack_tcp_loose=0",
                &format!("net.netfilter.nf_conntrack_tcp_timeout_established={timeout}"),
            ],
            "",
        );
        bed.in_firewall(&["nft", "--file", "-"], RULES);
        bed
    }

    /// A cable between an end and the firewall.
    fn connect(&self, end: &End, name: &str, network: &str) {
        let (end, firewall) = (end.namespace.name(), self.firewall.name());
        let (near, far) = (format!("{network}.2/24"), format!("{network}.1/24"));
        ip(&[
            "link", "add", "eth0", "netns", end, "type", "veth", "peer", "name", name, "netns",
            firewall,
        ]);
        ip(&["-n", end, "address", "add", &near, "dev", "eth0"]);
        ip(&["-n", firewall, "address", "add", &far, "dev", name]);
        ip(&["-n", end, "link", "set", "eth0", "up"]);
        ip(&["-n", firewall, "link", "set", name, "up"]);
        ip(&["-n", end, "route", "add", "default", "via", &format!("{network}.1")]);
    }

    /// Whether the firewall knows a connection to a port.
    pub fn firewall_knows_one(&self, port: u16) -> bool {
        let port = port.to_string();
        let list = ["conntrack", "--dump", "--proto", "tcp", "--orig-port-dst", &port];
        self.in_firewall(&list, "").contains("ESTABLISHED")
    }

    /// How many packets it has dropped.
    pub fn dropped(&self) -> u64 {
        let text = self.in_firewall(&["nft", "list", "counter", "inet", "firewall", "dropped"], "");
        let mut words = text.split_whitespace().skip_while(|word| *word != "packets");
        words.nth(1).and_then(|word| word.parse().ok()).expect("nft(8) shows the counter")
    }

    fn in_firewall(&self, arguments: &[&str], stdin: &str) -> String {
        let mut child = Command::new("ip")
            .args(["netns", "exec", self.firewall.name()])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ip(8)");
        let mut pipe = child.stdin.take().expect("a pipe");
        pipe.write_all(stdin.as_bytes()).expect("the program reads it");
        drop(pipe);
        let output = child.wait_with_output().expect("our own child");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
