//! Which of a process's sockets are selected: by port and by remote network.

use std::net::SocketAddr;

use ipnet::IpNet;

/// Which sockets are selected; by default every one.
#[derive(Debug, Default)]
pub struct Selection {
    /// Sockets with one of these ports, local or remote; all if there are none.
    pub ports: Vec<u16>,
    /// Connections to one of these networks; all if there are none.
    pub remotes: Vec<IpNet>,
}

impl Selection {
    /// Whether every socket is selected.
    pub fn is_everything(&self) -> bool {
        self.ports.is_empty() && self.remotes.is_empty()
    }

    /// Whether a socket with these addresses is selected.
    pub fn contains(&self, local: Option<SocketAddr>, remote: Option<SocketAddr>) -> bool {
        let Self { ports, remotes: networks } = self;
        let has_port = ports.is_empty()
            || [local, remote].iter().flatten().any(|address| ports.contains(&address.port()));
        let is_within =
            |network: &IpNet| remote.is_some_and(|address| network.contains(&address.ip()));
        has_port && (networks.is_empty() || networks.iter().any(is_within))
    }
}
