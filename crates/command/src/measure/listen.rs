//! `keepalive measure --listen`: a server for the other end of a path. It accepts, says nothing, and
//! closes what the other end closes.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::ExitCode;

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SocketFlags, SocketType, sockopt};

use super::clock::Clock;
use crate::text::{error, print, report_error};

/// More connections than these are closed at once, so that nobody can have all descriptors.
const MOST: usize = 512;
/// One measurement is over by then, in seconds: a connection that was forgotten goes.
const OLDEST: f64 = 48.0 * 60.0 * 60.0;
/// How often to look for such, in seconds.
const LOOK: f64 = 60.0;
/// How long to wait after a connection could not be accepted, in seconds: it stays in the queue, so
/// poll(2) would return at once.
const PAUSE: f64 = 1.0;

/// Listens until a signal comes.
pub fn listen(address: SocketAddr) -> Result<ExitCode, String> {
    let clock = Clock::new()
        .map_err(|error| format!("signalfd(2), clock_gettime(2): {}", error::describe(&error)))?;
    let why = |error| format!("{address}: {}", error::describe(&error));
    let listener = bind(address).map_err(why)?;
    let bound = listener.local_addr().map_err(why)?;
    let port = bound.port();
    print(&format!("Listening at {bound}. At the other end: keepalive measure HOST:{port}\n"))
        .map_err(|error| format!("stdout: {}", error::describe(&error)))?;
    let mut connections: Vec<(TcpStream, f64)> = Vec::new();
    // Why the last connection could not be accepted.
    let mut refused: Option<io::ErrorKind> = None;
    loop {
        let fds = connections.iter().map(|(connection, _)| (connection as &dyn AsFd, false));
        let waiting = refused.is_none().then_some((&listener as &dyn AsFd, false));
        if clock.wait(if refused.is_some() { PAUSE } else { LOOK }, fds.chain(waiting)) {
            return Ok(ExitCode::SUCCESS);
        }
        let now = clock.now();
        connections.retain(|(connection, since)| now < since + OLDEST && is_open(connection));
        loop {
            match listener.accept() {
                Ok((_, peer)) if connections.len() >= MOST => {
                    report_error(format!("{peer}: there are {MOST} connections already"));
                }
                Ok((connection, _)) => {
                    if connection.set_nonblocking(true).is_ok() {
                        connections.push((connection, now));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    refused = None;
                    break;
                }
                // It was reset before it was accepted.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if refused.replace(error.kind()) != Some(error.kind()) {
                        let why = error::describe(&error);
                        report_error(format!("accept(2): {why}; trying again every second"));
                    }
                    break;
                }
            }
        }
    }
}

/// Listens without waiting. All addresses of IPv6 are all of IPv4, too, whatever
/// net.ipv6.bindv6only says (ipv6(7)).
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    net::bind(&socket, &address)?;
    net::listen(&socket, MOST as i32)?;
    Ok(socket.into())
}

/// Whether the other end has not closed it. What it sends is thrown away.
fn is_open(connection: &TcpStream) -> bool {
    let mut buffer = [0; 4096];
    match net::recv(connection, &mut buffer[..], RecvFlags::DONTWAIT) {
        Ok((length, _)) => length > 0,
        Err(error) => error == Errno::AGAIN || error == Errno::INTR,
    }
}
