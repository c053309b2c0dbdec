//! The server at the other end of a path.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};

use crate::values;

/// A server.
#[derive(Clone, Debug)]
pub struct Server {
    /// As it was given.
    pub text: String,
    /// Its name or address, without brackets.
    host: String,
    /// Its port.
    pub port: u16,
}

impl Server {
    /// `example.com:443`, `192.0.2.1:80`, `[2001:db8::1]:80`.
    pub fn parse(text: &str) -> Result<Self, String> {
        const MISSING: &str = "the port is missing, as in example.com:443";
        const OTHER: &str = "not HOST:PORT; an IPv6 address is written [2001:db8::1]:443";

        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once(']').ok_or(OTHER)?;
            let address = host.split_once('%').map_or(host, |(address, _)| address);
            address.parse::<Ipv6Addr>().map_err(|_| OTHER)?;
            (host, port.strip_prefix(':').ok_or(MISSING)?)
        } else {
            text.rsplit_once(':').ok_or(MISSING)?
        };
        let is_bare = host.contains(':') && !text.starts_with('[');
        if host.is_empty() || is_bare {
            return Err(OTHER.into());
        }
        let port = parse_port(port).map_err(|why| format!("the port is {why}"))?;
        Ok(Self { text: text.into(), host: host.into(), port })
    }

    /// Its addresses, as getaddrinfo(3) orders them.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        (self.host.as_str(), self.port).to_socket_addrs().map(Iterator::collect)
    }
}

/// A port of TCP.
pub fn parse_port(text: &str) -> Result<u16, String> {
    values::number(text, 1..=u16::MAX.into()).map(|port| port as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        for text in ["example.com:443", "192.0.2.1:443", "[2001:db8::1]:443", "[fe80::1%eth0]:443"]
        {
            assert_eq!(Server::parse(text).map(|server| server.port), Ok(443), "{text}");
        }
        for (text, why) in [
            ("example.com", "missing"),
            ("[::1]", "missing"),
            ("[::1]443", "missing"),
            ("", "missing"),
            (":443", "not HOST:PORT"),
            ("2001:db8::1:443", "not HOST:PORT"),
            ("[::1:443", "not HOST:PORT"),
            ("[example.com]:443", "not HOST:PORT"),
            ("[192.0.2.1]:443", "not HOST:PORT"),
            ("a:0", "the port is not a whole number"),
            ("a:65536", "the port is not a whole number"),
            ("a:http", "the port is not a whole number"),
            ("a:+1", "the port is not a whole number"),
            ("a:", "the port is not a whole number"),
            ("[::1]:-1", "the port is not a whole number"),
        ] {
            let error = Server::parse(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
