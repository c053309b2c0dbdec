//! The paths and servers that `keepalive measure` is tried with.

use std::process::Command;
use std::time::Duration;

use crate::bed::{Bed, SERVER};
use crate::source;
use crate::support::namespace::ip;
use crate::support::running::Running;
use crate::support::{self};

/// What is to come out.
pub enum Expected {
    /// The path forgets, in this way.
    Forgotten(&'static str),
    Mixed,
    EndsIdle,
    NotIdle,
    Nothing,
}

/// Who listens.
pub enum Server {
    /// `keepalive measure --listen`.
    Ours,
    /// tests/hosts/habits.py, with two thirds of the limit as its time, or this number.
    Habit(&'static str, Option<u32>),
    Nginx,
    Haproxy,
    Sshd,
}

/// A path and a server.
pub struct Scenario {
    pub name: &'static str,
    /// For nft(8) in the firewall; `LIMIT` is its limit, `SHORT` two thirds of it.
    rules: &'static str,
    /// Each way, in thousandths.
    loss: u32,
    sysctls: &'static [&'static str],
    server: Server,
    pub arguments: &'static [&'static str],
    pub expected: Expected,
    /// Takes too long for every run of the tests.
    pub is_long: bool,
}

const PLAIN: Scenario = Scenario {
    name: "a firewall that drops",
    rules: "",
    loss: 0,
    sysctls: &[],
    server: Server::Ours,
    arguments: &[],
    expected: Expected::Forgotten("silence"),
    is_long: false,
};

const NO_LIMIT: &str = "net.netfilter.nf_conntrack_tcp_timeout_established=432000";

pub const SCENARIOS: &[Scenario] = &[
    PLAIN,
    Scenario {
        name: "NAT",
        rules: "table ip nat { chain after { type nat hook postrouting priority srcnat;
                    oifname to-2 masquerade; }
                }",
        ..PLAIN
    },
    Scenario {
        name: "answers with a reset",
        rules:
            "add chain inet firewall output { type filter hook output priority 0; policy accept; }
                add rule inet firewall forward meta l4proto tcp reject with tcp reset",
        expected: Expected::Forgotten("reset"),
        ..PLAIN
    },
    Scenario {
        name: "answers with ICMP",
        rules:
            "add chain inet firewall output { type filter hook output priority 0; policy accept; }
                add rule inet firewall forward reject",
        ..PLAIN
    },
    Scenario {
        name: "`ct timeout` policy",
        rules: "table ip ages {
                    ct timeout usual { protocol tcp; policy = { established: LIMIT }; }
                    chain before { type filter hook prerouting priority -150;
                        ct state new ct timeout set \"usual\"; }
                }",
        sysctls: &[NO_LIMIT],
        ..PLAIN
    },
    Scenario {
        name: "half of the connections a third shorter",
        rules: "table ip ages {
                    ct timeout fewer { protocol tcp; policy = { established: SHORT }; }
                    chain before { type filter hook prerouting priority -150;
                        ct state new tcp sport & 2 == 2 ct timeout set \"fewer\"; }
                }",
        expected: Expected::Mixed,
        ..PLAIN
    },
    Scenario { name: "1 % loss each way", loss: 10, ..PLAIN },
    Scenario { name: "5 % loss each way", loss: 50, ..PLAIN },
    Scenario { name: "20 % loss each way", loss: 200, is_long: true, ..PLAIN },
    Scenario { name: "200 ms delay each way", ..PLAIN },
    Scenario { name: "outage for half of the limit", is_long: true, ..PLAIN },
    Scenario {
        name: "IPv6, `ct timeout` policy",
        rules: "add rule inet firewall output icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
                table ip6 ages {
                    ct timeout usual { protocol tcp; l3proto ip6; policy = { established: LIMIT }; }
                    chain before { type filter hook prerouting priority -150;
                        ct state new ct timeout set \"usual\"; }
                }",
        sysctls: &[NO_LIMIT, "net.ipv6.conf.all.forwarding=1"],
        ..PLAIN
    },
    Scenario {
        name: "SYN proxy",
        rules:
            "add chain inet firewall output { type filter hook output priority 0; policy accept; }
                table ip proxy {
                    chain before { type filter hook prerouting priority raw;
                        tcp dport 7000 tcp flags & (fin | syn | rst | ack) == syn notrack
                    }
                    chain between { type filter hook forward priority -1;
                        tcp dport 7000 ct state invalid,untracked \\
                            synproxy mss 1460 wscale 7 timestamp sack-perm
                    }
                }",
        ..PLAIN
    },
    Scenario {
        name: "takes connections midway (`tcp_loose=1`)",
        rules: "add rule inet firewall forward ct state new accept",
        sysctls: &["net.netfilter.nf_conntrack_tcp_loose=1"],
        expected: Expected::Nothing,
        ..PLAIN
    },
    Scenario { name: "no limit", sysctls: &[NO_LIMIT], expected: Expected::Nothing, ..PLAIN },
    Scenario {
        name: "no limit, the interface here is down for a while",
        sysctls: &[NO_LIMIT],
        expected: Expected::Nothing,
        ..PLAIN
    },
    Scenario {
        name: "the server closes",
        server: Server::Habit("close", None),
        expected: Expected::EndsIdle,
        ..PLAIN
    },
    Scenario {
        name: "the server resets",
        server: Server::Habit("reset", None),
        expected: Expected::EndsIdle,
        ..PLAIN
    },
    Scenario { name: "nginx", server: Server::Nginx, expected: Expected::EndsIdle, ..PLAIN },
    Scenario {
        name: "nginx, after a request",
        server: Server::Nginx,
        arguments: &["--send", "GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"],
        ..PLAIN
    },
    Scenario { name: "haproxy", server: Server::Haproxy, expected: Expected::EndsIdle, ..PLAIN },
    Scenario { name: "sshd", server: Server::Sshd, expected: Expected::EndsIdle, ..PLAIN },
    Scenario {
        name: "the server probes",
        server: Server::Habit("probe", Some(7)),
        expected: Expected::NotIdle,
        ..PLAIN
    },
    Scenario { name: "deferred accept", server: Server::Habit("defer", Some(5)), ..PLAIN },
    Scenario {
        name: "the server restarts",
        server: Server::Habit("restart", Some(8)),
        ..PLAIN
    },
    Scenario { name: "full backlog", server: Server::Habit("full", Some(9)), ..PLAIN },
];

/// How long a program may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

impl Scenario {
    /// What is true, in words.
    pub fn truth(&self, limit: u32) -> String {
        match self.expected {
            Expected::Forgotten(_) => format!("forgets after {limit} s"),
            Expected::Mixed => format!("{} s, others {limit} s", limit * 2 / 3),
            Expected::EndsIdle => format!("ends after {} s", limit * 2 / 3),
            Expected::NotIdle => "not idle".into(),
            Expected::Nothing => format!("none within {} s", limit * 5 / 2),
        }
    }

    /// The server's address, as a URL has it.
    pub fn host(&self) -> &'static str {
        if self.is_ipv6() { "[fd77:2::2]" } else { SERVER }
    }

    fn is_ipv6(&self) -> bool {
        self.name.starts_with("IPv6")
    }

    /// Whether the server takes no more connections.
    pub fn is_full(&self) -> bool {
        matches!(self.server, Server::Habit("full", _))
    }

    /// Makes the path so, and starts the server: what has to go on running, and the port.
    pub fn set_up(&self, bed: &Bed, limit: u32) -> (Vec<Running>, u16) {
        let mut running = Vec::new();
        if !self.sysctls.is_empty() {
            support::run(bed.firewall.command("sysctl", None).arg("-qw").args(self.sysctls));
        }
        let short = (limit * 2 / 3).to_string();
        let rules = self.rules.replace("LIMIT", &limit.to_string()).replace("SHORT", &short);
        nft(bed, &rules);
        if self.loss > 0 {
            nft(
                bed,
                &format!(
                    "table inet loss {{ chain forward {{ type filter hook forward priority -300;
                     numgen random mod 1000 < {} drop; }}
 }}",
                    self.loss
                ),
            );
        }
        if self.is_ipv6() {
            for (number, end) in [&bed.client, &bed.server].into_iter().enumerate() {
                add_ipv6(end.namespace.name(), bed.firewall.name(), number + 1);
            }
        }
        if self.name.contains("delay") {
            running.push(delay(bed));
        }
        let mut start = |command: &mut Command, said: &str| {
            let server = Running::start(command);
            if !said.is_empty() {
                server.hear_text(said, PATIENCE);
            }
            running.push(server);
        };
        let server = &bed.server.namespace;
        let port = match self.server {
            Server::Ours => {
                let mut listen = server.command(env!("CARGO_BIN_EXE_keepalive"), None);
                start(listen.args(["measure", "--listen", "7000"]), "Listening");
                7000
            }
            Server::Habit(habit, number) => {
                let number = number.map_or(short, |number| number.to_string());
                let mut habits = server.command("python3", None);
                habits.arg(source("habits.py")).args(["7000", habit, &number]);
                start(&mut habits, "listening");
                7000
            }
            Server::Nginx => {
                let file = support::scratch("nginx.conf");
                let text = format!(
                    "daemon off; error_log stderr; pid {file}.pid; events {{ }}
                     http {{ access_log off; client_header_timeout {short}s; keepalive_timeout 1d;
                     server {{ listen 7000; return 204; }}
 }}",
                    file = file.display()
                );
                std::fs::write(&file, text).expect("a file");
                start(server.command("nginx", None).arg("-c").arg(file), "");
                7000
            }
            Server::Haproxy => {
                let mut listen = server.command(env!("CARGO_BIN_EXE_keepalive"), None);
                start(listen.args(["measure", "--listen", "7001"]), "Listening");
                let file = support::scratch("haproxy.cfg");
                let text = format!(
                    "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client {short}s\n  \
                     timeout server {short}s\nlisten a\n  bind :7000\n  server b 127.0.0.1:7001\n"
                );
                std::fs::write(&file, text).expect("a file");
                start(server.command("haproxy", None).arg("-f").arg(file), "");
                7000
            }
            Server::Sshd => {
                let key = support::scratch("key");
                let mut keygen = Command::new("ssh-keygen");
                support::run(keygen.args(["-q", "-N", "", "-t", "ed25519", "-f"]).arg(&key));
                std::fs::create_dir_all("/run/sshd").expect("where sshd separates privileges");
                let mut sshd = server.command("/usr/sbin/sshd", None);
                sshd.args(["-D", "-e", "-f", "/dev/null", "-h"]).arg(key);
                start(sshd.args(["-o", &format!("LoginGraceTime={short}")]), "listening");
                22
            }
        };
        let listens = || {
            let mut list = server.command("ss", None);
            let (stdout, _) = support::run(list.args(["-H", "-t", "-l", "-n"]));
            stdout.contains(&format!(":{port} "))
        };
        assert!(support::running::wait_until(PATIENCE, listens), "{}: nobody listens", self.name);
        (running, port)
    }

    /// What happens while it is measured.
    pub fn meanwhile(&self, bed: &Bed, limit: u32) {
        let half = || std::thread::sleep(Duration::from_secs((limit / 2).into()));
        if self.name.contains("outage") {
            half();
            nft(
                bed,
                "table inet outage { chain forward { type filter hook forward priority -300;
                 policy drop; }
                }",
            );
            half();
            nft(bed, "delete table inet outage");
        }
        if self.name.contains("interface") {
            let client = bed.client.namespace.name();
            half();
            bed.client.vanish();
            // For longer than silence takes to be sure of.
            std::thread::sleep(Duration::from_secs(limit.into()));
            ip(&["-n", client, "link", "set", "eth0", "up"]);
            ip(&["-n", client, "route", "add", "default", "via", "10.77.1.1"]);
        }
    }
}

fn nft(bed: &Bed, rules: &str) {
    let file = support::scratch("rules.nft");
    std::fs::write(&file, format!("{rules}\n")).expect("a file");
    support::run(bed.firewall.command("nft", None).arg("-f").arg(file));
}

/// Gives both ends of a way to the firewall addresses of IPv6, fd77:NUMBER::2 to the end.
fn add_ipv6(end: &str, firewall: &str, number: usize) {
    let to = format!("to-{number}");
    let address = |last| format!("fd77:{number}::{last}/64");
    ip(&["-n", end, "address", "add", &address(2), "dev", "eth0", "nodad"]);
    ip(&["-n", firewall, "address", "add", &address(1), "dev", &to, "nodad"]);
    ip(&["-n", end, "route", "add", "default", "via", &format!("fd77:{number}::1")]);
}

/// A slow way between the client and the firewall.
fn delay(bed: &Bed) -> Running {
    let (client, firewall) = (bed.client.namespace.name(), bed.firewall.name());
    let mut delay = support::bare("python3");
    delay.arg(source("delay.py")).args([client, firewall, "0.2"]);
    let running = Running::start(&mut delay);
    running.hear_text("ready", PATIENCE);
    for namespace in [client, firewall] {
        ip(&["-n", namespace, "link", "set", "slow", "up"]);
    }
    let route = |namespace, to| {
        ip(&["-n", namespace, "route", "replace", to, "dev", "slow"]);
    };
    route(client, "10.77.2.0/24");
    route(firewall, "10.77.1.2/32");
    running
}
