//! The arguments of `measure`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;

use crate::request::{self, MeasurePath, Server, parse_port};
use crate::text::time;
use crate::values;

/// Arguments of `measure`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit status:
  0  The limit was found, or there is none within --max
  1  It was not found, and the output says why; or stdout cannot be written
  2  A mistake in the arguments

Examples:
  keepalive measure example.com:443
     After how much idle time the path to a server forgets a connection
  keepalive measure --max 10m --json example.com:443
     Whether it forgets within ten minutes, for programs to read
  keepalive measure --listen 7000
     Be the server, at a host whose own servers close idle connections
  keepalive measure --send 'GET / HTTP/1.0\\r\\n\\r\\n' example.com:80
     A server that waits for data first, or closes connections without any")]
pub struct MeasureArgs {
    /// The longest idle time to try
    ///
    /// From 5 s to 24 h.
    #[arg(long, value_name = "TIME", default_value = "125m", allow_hyphen_values = true,
        value_parser = max)]
    max: Duration,

    /// How wide the answer may be
    ///
    /// From 1 to 50 percent.
    #[arg(long, value_name = "PERCENT", default_value = "5", allow_hyphen_values = true,
        value_parser = |text: &str| values::number(text, 1..=50))]
    resolution: u32,

    /// The most connections at a time
    ///
    /// From 6 to 100. 26 unless given, and 8 on ports 22 and 3306, where servers may block a host
    /// that connects often. With fewer it takes longer.
    #[arg(long, value_name = "N", allow_hyphen_values = true,
        value_parser = |text: &str| values::number(text, 6..=100))]
    parallel: Option<u32>,

    /// What each connection sends first
    ///
    /// \r, \n, \t, \\ and \xNN are understood.
    #[arg(long, value_name = "STRING", value_parser = greeting)]
    send: Option<Greeting>,

    /// JSON, described in keepalive-measure(1)
    #[arg(long)]
    json: bool,

    /// Be the server, at the other end
    ///
    /// Until SIGINT or SIGTERM.
    #[arg(long, value_name = "[ADDRESS:]PORT", allow_hyphen_values = true, value_parser = listener,
        conflicts_with_all = ["max", "resolution", "parallel", "send", "json", "server"])]
    listen: Option<SocketAddr>,

    /// The server, which needs no change
    #[arg(value_name = "HOST:PORT", value_parser = Server::parse, required_unless_present = "listen")]
    server: Option<Server>,
}

impl From<MeasureArgs> for request::Measure {
    fn from(arguments: MeasureArgs) -> Self {
        match (arguments.listen, arguments.server) {
            (Some(address), _) => Self::Listen(address),
            (None, Some(server)) => Self::Path(MeasurePath {
                server,
                max: arguments.max,
                resolution: f64::from(arguments.resolution) / 100.0,
                parallel: arguments.parallel.map(|number| number as usize),
                greeting: arguments.send.map_or(Vec::new(), |greeting| greeting.0),
                is_json: arguments.json,
            }),
            (None, None) => unreachable!("clap requires one of them"),
        }
    }
}

fn max(text: &str) -> Result<Duration, String> {
    time::parse_in_range(text, Duration::from_secs(5)..=Duration::from_secs(24 * 60 * 60))
}

/// `7000` (every address), `192.0.2.1:7000`, `[::1]:7000`.
fn listener(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    if text.contains(':') {
        return Err("not [ADDRESS:]PORT with an IP address".into());
    }
    // IPv4, too (ipv6(7), IPV6_V6ONLY).
    Ok(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), parse_port(text)?))
}

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Greeting(Vec<u8>);

/// What to send: the text, with the escapes that shells do not know.
fn greeting(text: &str) -> Result<Greeting, String> {
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
