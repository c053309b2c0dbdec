//! `keepalive measure --listen`: a server for the other end of a path. It accepts, says nothing, and
//! closes what the other end closes.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SocketFlags, SocketType, sockopt};

use crate::sys::Status;
use crate::sys::signals::Signals;
use crate::text::{error, print, report_error};

/// No more connections than these at a time, so that nobody can take all descriptors: the others wait
/// in the queue.
const MOST: usize = 512;
/// One measurement is over by then: a connection that was forgotten goes.
const OLDEST: Duration = Duration::from_secs(48 * 60 * 60);
/// How often to look for such.
const LOOK: Duration = Duration::from_secs(60);
/// How long to wait after a connection could not be accepted: it stays in the queue, so poll(2)
/// would return at once.
const PAUSE: Duration = Duration::from_secs(1);

/// Listens until a signal comes.
pub fn listen(address: SocketAddr, signals: &Signals) -> Result<Status, String> {
    let why = |error| format!("{address}: {}", error::describe(&error));
    let listener = bind(address).map_err(why)?;
    let bound = listener.local_addr().map_err(why)?;
    let port = bound.port();
    print(&format!("Listening at {bound}. At the other end: keepalive measure HOST:{port}\n"))
        .map_err(|error| format!("stdout: {}", error::describe(&error)))?;
    let mut connections: Vec<(TcpStream, Instant)> = Vec::new();
    // Why the last connection was not taken.
    let mut refusal = None;
    while signals.read().is_none() {
        let mut fds = vec![PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
        fds.extend(connections.iter().map(|(it, _)| PollFd::new(it, PollFlags::IN)));
        if refusal.is_none() {
            fds.push(PollFd::new(&listener, PollFlags::IN));
        }
        let time = if refusal.is_some() { PAUSE } else { LOOK };
        // An error is EINTR: it waits again.
        let _ = poll(&mut fds, Timespec::try_from(time).ok().as_ref());
        connections.retain(|(it, since)| since.elapsed() < OLDEST && is_open(it));
        let new_refusal = accept(&listener, &mut connections);
        if let Some(why) = new_refusal.as_ref().filter(|_| new_refusal != refusal) {
            report_error(format!("{why}; trying again every second"));
        }
        refusal = new_refusal;
    }
    Ok(Status::Success)
}

/// Accepts all that wait, and says why not, if one cannot be.
fn accept(listener: &TcpListener, connections: &mut Vec<(TcpStream, Instant)>) -> Option<String> {
    loop {
        if connections.len() >= MOST {
            return Some(format!("there are {MOST} connections already"));
        }
        match listener.accept() {
            Ok((connection, _)) => {
                if connection.set_nonblocking(true).is_ok() {
                    connections.push((connection, Instant::now()));
                }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return None,
                // It was reset before it was accepted.
                io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                _ => return Some(format!("accept(2): {}", error::describe(&error))),
            },
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
