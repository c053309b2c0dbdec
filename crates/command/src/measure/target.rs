//! What the arguments of `measure` name: a server, an address to listen at, what to send.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use crate::text::{error, printable};
use crate::values;

/// A server.
#[derive(Clone, Debug)]
pub struct Target {
    /// As it was given.
    pub text: String,
    /// Its name or address, without brackets.
    host: String,
    /// Its port.
    pub port: u16,
}

impl Target {
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
    pub fn addresses(&self) -> Result<Vec<SocketAddr>, String> {
        let addresses = (self.host.as_str(), self.port).to_socket_addrs();
        let addresses = addresses
            .map_err(|error| format!("{}: {}", printable(&self.text), error::describe(&error)))?;
        Ok(addresses.collect())
    }
}

/// `7000` (every address), `192.0.2.1:7000`, `[::1]:7000`.
pub fn listener(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    if text.contains(':') {
        return Err("not [ADDRESS:]PORT with an IP address".into());
    }
    // IPv4, too (ipv6(7), IPV6_V6ONLY).
    Ok(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), parse_port(text)?))
}

fn parse_port(text: &str) -> Result<u16, String> {
    values::number(text, 1..=u16::MAX.into()).map(|port| port as u16)
}

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting(pub Vec<u8>);

/// What to send: the text, with the escapes that shells do not know.
pub fn greeting(text: &str) -> Result<Greeting, String> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            bytes.extend(character.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        bytes.push(match rest.next() {
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('\\') => b'\\',
            Some('x') => {
                let digits: String = rest.by_ref().take(2).collect();
                let is_hexadecimal = digits.chars().all(|digit| digit.is_ascii_hexdigit());
                let byte = u8::from_str_radix(&digits, 16).ok().filter(|_| is_hexadecimal);
                byte.filter(|_| digits.len() == 2).ok_or("\\x needs two hexadecimal digits")?
            }
            _ => return Err("after a backslash stands r, n, t, a backslash or xNN".into()),
        });
    }
    Ok(Greeting(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        for text in ["example.com:443", "192.0.2.1:443", "[2001:db8::1]:443", "[fe80::1%eth0]:443"]
        {
            assert_eq!(Target::parse(text).map(|target| target.port), Ok(443), "{text}");
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
            let error = Target::parse(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn addresses_to_listen_at() {
        assert_eq!(listener("7000").map(|it| it.to_string()), Ok("[::]:7000".into()));
        for text in ["127.0.0.1:7000", "[::1]:7000"] {
            assert_eq!(listener(text).map(|it| it.to_string()), Ok(text.into()));
        }
        for text in ["", "0", "host:7000", "70000", "127.0.0.1"] {
            assert!(listener(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_to_send() {
        assert_eq!(
            greeting("GET / HTTP/1.0\\r\\n\\r\\n"),
            Ok(Greeting(b"GET / HTTP/1.0\r\n\r\n".to_vec()))
        );
        assert_eq!(
            greeting("\\x00\\xfF\\\\\\t\u{e9}"),
            Ok(Greeting(b"\x00\xff\\\t\xc3\xa9".to_vec()))
        );
        for text in ["\\", "\\q", "\\x1", "\\xg0", "\\x+1"] {
            assert!(greeting(text).is_err(), "{text}");
        }
    }
}
