//! Three network namespaces: client – firewall – server. The firewall forgets a connection that
//! is idle for [`FORGETS_AFTER`], and from then on drops its packets without a word.

use std::process::Command;
use std::time::Duration;

use crate::support;
use crate::support::namespace::{Namespace, ip};
use crate::support::outside::{self, TcpSocket};

/// `nf_conntrack_tcp_timeout_established` of the firewall.
pub const FORGETS_AFTER: Duration = Duration::from_secs(5);

/// The client's address.
pub const CLIENT: &str = "10.77.1.2";

/// The server's address.
pub const SERVER: &str = "10.77.2.2";

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
    pub firewall: Namespace,
}

impl Bed {
    /// Makes one.
    pub fn new() -> Self {
        Self::that_forgets_after(FORGETS_AFTER)
    }

    /// Makes one with another time.
    pub fn that_forgets_after(time: Duration) -> Self {
        let bed = Self {
            client: End { namespace: Namespace::named("client") },
            server: End { namespace: Namespace::named("server") },
            firewall: Namespace::named("firewall"),
        };
        // The command's tests use this file too, from another directory.
        let functions = include_str!("../support/firewall.sh");
        let names = [&bed.client.namespace, &bed.firewall, &bed.server.namespace];
        let mut make = Command::new("bash");
        make.args(["-ec", &format!("{functions}\nmake_firewall \"$@\""), "bash"]);
        make.args(names.map(Namespace::name)).arg(time.as_secs().to_string());
        support::run(&mut make);
        bed
    }

    /// Whether the firewall knows a connection to a port.
    pub fn firewall_knows_one(&self, port: u16) -> bool {
        let port = port.to_string();
        let list = ["--dump", "--proto", "tcp", "--orig-port-dst", &port];
        self.in_firewall("conntrack", &list).contains("ESTABLISHED")
    }

    /// How many packets it has dropped.
    pub fn dropped(&self) -> u64 {
        let text = self.in_firewall("nft", &["list", "counter", "inet", "firewall", "dropped"]);
        let mut words = text.split_whitespace().skip_while(|word| *word != "packets");
        words.nth(1).and_then(|word| word.parse().ok()).expect("nft(8) shows the counter")
    }

    fn in_firewall(&self, program: &str, arguments: &[&str]) -> String {
        let (stdout, _) = support::run(self.firewall.command(program, None).args(arguments));
        stdout
    }
}
