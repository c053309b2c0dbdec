//! `--port` and `--remote`.

use std::net::IpAddr;

use clap::Args;
use ipnet::{IpNet, Ipv4Net};

use crate::find::Selection;
use crate::values;

/// The length of `::ffff:0:0/96`, the IPv4 addresses within IPv6.
const MAPPED_PREFIX: u8 = 96;

/// Which sockets are selected; without arguments every one.
#[derive(Debug, Default, Args)]
pub struct SelectionArgs {
    /// Only sockets with this port, local or remote
    ///
    /// May be repeated.
    #[arg(long, value_name = "PORT", allow_hyphen_values = true, value_parser = port)]
    port: Vec<u16>,

    /// Only connections to this network or address
    ///
    /// May be repeated.
    #[arg(long, value_name = "CIDR", value_parser = network)]
    remote: Vec<IpNet>,
}

impl From<SelectionArgs> for Selection {
    fn from(arguments: SelectionArgs) -> Self {
        Self { ports: arguments.port, remotes: arguments.remote }
    }
}

fn port(text: &str) -> Result<u16, String> {
    values::number(text, 1..=u16::MAX.into()).map(|number| number as u16)
}

/// A network, or one address. IPv4 within IPv6 (`::ffff:10.0.0.1`, `::ffff:10.0.0.0/104`) is IPv4,
/// as the addresses of the sockets are.
fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    let network = text.parse::<IpNet>().or_else(|_| address());
    let network =
        network.map_err(|_| "not an address like 10.0.0.1, or a network like 10.0.0.0/8")?;
    let within_ipv4 = match network {
        IpNet::V6(network) if network.prefix_len() >= MAPPED_PREFIX => {
            let address = network.addr().to_ipv4_mapped();
            address.and_then(|address| {
                Ipv4Net::new(address, network.prefix_len() - MAPPED_PREFIX).ok()
            })
        }
        _ => None,
    };
    Ok(within_ipv4.map_or(network, IpNet::V4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_is_a_network_or_an_address() {
        for (text, network_text) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("::1", "::1/128"),
            ("::/0", "::/0"),
            ("::ffff:127.0.0.1", "127.0.0.1/32"),
            ("::ffff:7f00:1", "127.0.0.1/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(network(text).map(|net| net.to_string()), Ok(network_text.into()));
        }
        assert!(network("10.0.0.0/33").is_err());
        assert!(network("example").is_err());
    }
}
