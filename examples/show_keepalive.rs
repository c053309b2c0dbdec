//! The test program of the founding story: opens a TCP socket and prints what it got.
//!
//! Run it with and without the library: it sets no option itself.

use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::process::ExitCode;

use lexopt::prelude::*;
use socket2::{Domain, Socket, Type};

const USAGE: &str = "\
Usage: show_keepalive [-6] [--connect HOST:PORT | --listen PORT]

Prints the keepalive options of a new TCP socket; with --connect of one that has been connected,
with --listen of the first connection accepted (PORT 0: any free one, named on stderr).
-6 uses IPv6.";

enum Action {
    Open,
    Connect(String),
    Listen(u16),
    Help,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("show_keepalive: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let (domain, action) = arguments().map_err(|error| format!("{error}\n{USAGE}"))?;
    let socket = match action {
        Action::Open => new_socket(domain)?,
        Action::Connect(address) => connect(domain, &address)?,
        Action::Listen(port) => accept(domain, port)?,
        Action::Help => {
            println!("{USAGE}");
            return Ok(());
        }
    };
    show(&socket).map_err(failed("getsockopt"))
}

fn arguments() -> Result<(Domain, Action), lexopt::Error> {
    let mut domain = Domain::IPV4;
    let mut action = Action::Open;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('6') => domain = Domain::IPV6,
            Short('h') | Long("help") => action = Action::Help,
            Long("connect") => action = Action::Connect(parser.value()?.string()?),
            Long("listen") => action = Action::Listen(parser.value()?.parse()?),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok((domain, action))
}

/// Turns a system's error into a message that names the call.
fn failed<E: Display>(call: impl Display) -> impl FnOnce(E) -> String {
    move |error| format!("{call}: {error}")
}

fn new_socket(domain: Domain) -> Result<Socket, String> {
    Socket::new(domain, Type::STREAM, None).map_err(failed("socket"))
}

fn connect(domain: Domain, address: &str) -> Result<Socket, String> {
    let is_wanted = |found: &SocketAddr| Domain::for_address(*found) == domain;
    let found = address
        .to_socket_addrs()
        .map_err(failed(format!("getaddrinfo {address}")))?
        .find(is_wanted)
        .ok_or_else(|| format!("getaddrinfo {address}: no address of the wanted family"))?;
    let socket = new_socket(domain)?;
    socket.connect(&found.into()).map_err(failed(format!("connect to {found}")))?;
    Ok(socket)
}

fn accept(domain: Domain, port: u16) -> Result<Socket, String> {
    let any: SocketAddr = if domain == Domain::IPV6 {
        (Ipv6Addr::UNSPECIFIED, port).into()
    } else {
        (Ipv4Addr::UNSPECIFIED, port).into()
    };
    let listener = new_socket(domain)?;
    listener.set_reuse_address(true).map_err(failed("setsockopt SO_REUSEADDR"))?;
    listener.bind(&any.into()).map_err(failed(format!("bind to {any}")))?;
    listener.listen(1).map_err(failed("listen"))?;
    if port == 0 {
        let bound = listener.local_addr().map_err(failed("getsockname"))?;
        let port = bound.as_socket().map_or(0, |address| address.port());
        eprintln!("listening on port {port}");
    }
    Ok(listener.accept().map_err(failed("accept"))?.0)
}

fn show(socket: &Socket) -> std::io::Result<()> {
    if socket.keepalive()? {
        println!("SO_KEEPALIVE is ON");
        println!("TCP_KEEPCNT   = {}", socket.tcp_keepalive_retries()?);
        println!("TCP_KEEPIDLE  = {}", socket.tcp_keepalive_time()?.as_secs());
        println!("TCP_KEEPINTVL = {}", socket.tcp_keepalive_interval()?.as_secs());
    } else {
        println!("SO_KEEPALIVE is OFF");
    }
    Ok(())
}
