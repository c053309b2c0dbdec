//! `--port` and `--remote`: which of a process's sockets are selected.

use std::net::IpAddr;

use clap::Args;
use ipnet::IpNet;

use super::Duplicate;

/// Which sockets are selected; without arguments every one.
#[derive(Debug, Args)]
pub struct SelectionArgs {
    /// Only sockets with this local or remote port; may be repeated
    #[arg(long, value_name = "PORT", value_parser = port)]
    port: Vec<u16>,

    /// Only connections to this network or address; may be repeated
    #[arg(long, value_name = "CIDR", value_parser = network)]
    remote: Vec<IpNet>,
}

impl SelectionArgs {
    /// Whether a socket is selected.
    pub fn contains(&self, socket: &Duplicate) -> bool {
        let Self { port: ports, remote: networks } = self;
        if ports.is_empty() && networks.is_empty() {
            return true;
        }
        let remote = socket.remote();
        let has_port = ports.is_empty()
            || [socket.local(), remote]
                .iter()
                .flatten()
                .any(|address| ports.contains(&address.port()));
        // The IPv4 peer of an IPv6 socket is selected by its IPv4 address.
        let is_within = |network: &IpNet| {
            remote.is_some_and(|address| network.contains(&address.ip().to_canonical()))
        };
        has_port && (networks.is_empty() || networks.iter().any(is_within))
    }
}

fn port(text: &str) -> Result<u16, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "not a number from 1 to 65535".into())
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    let network = text.parse().or_else(|_| address());
    network.map_err(|_| "not an address like 10.0.0.1, or a network like 10.0.0.0/8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_is_a_network_or_an_address() {
        for (text, network_text) in
            [("10.0.0.0/8", "10.0.0.0/8"), ("10.1.2.3", "10.1.2.3/32"), ("::1", "::1/128")]
        {
            assert_eq!(network(text).map(|net| net.to_string()), Ok(network_text.into()));
        }
        assert!(network("10.0.0.0/33").is_err());
        assert!(network("example").is_err());
    }
}
