//! Leaves nothing behind. What lives is closed, and watched until the other end has closed too. What
//! the path has forgotten is still there at the server, which cannot be reached by it: it is reset
//! here, and a new connection is opened from the same port. The server answers that with what it
//! remembers of the old one (RFC 9293, 3.10.7.4: a challenge acknowledgment), to which our kernel
//! answers with a reset, which the path lets through now. When the new connection is
//! established, the old one is gone.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use super::clock::Clock;
use super::connection::{Connection, Seen};

/// How long the other end may take to close what we have closed, in seconds.
const CLOSING: f64 = 3.0;
/// How long the new connection may take, at least, and for each reset that is sent where packets
/// are lost.
const OPENING: f64 = 12.0;
const OPENING_FOR_EACH: f64 = 4.0;
/// Between resets that may be lost: a kernel answers at most every 0.5 s.
const BETWEEN_RESETS: f64 = 0.6;

/// Ends connections: those that live, and those that the path has forgotten, by our own address.
/// `resets` says how often a reset is sent, of which one has to arrive. The number of connections
/// of which it is not known that they have ended at the server; None if a signal came.
pub fn clean_up(
    clock: &Clock,
    server: SocketAddr,
    living: Vec<Connection>,
    forgotten: Vec<SocketAddr>,
    resets: usize,
) -> Option<usize> {
    let mut tried_again = close(clock, living)?;
    let mut new = Vec::new();
    let mut left = Vec::new();
    for local in forgotten {
        match Connection::open(server, Some(local)) {
            Ok(connection) => new.push((local, connection)),
            Err(_) => left.push(local),
        }
    }
    let until = clock.now() + OPENING.max(OPENING_FOR_EACH * resets as f64);
    let mut established = Vec::new();
    while !new.is_empty() && clock.now() < until {
        if clock.wait(0.25, new.iter().map(|(_, connection)| (connection as &dyn AsFd, true))) {
            return None;
        }
        for (local, mut connection) in std::mem::take(&mut new) {
            match connection.is_established() {
                None => new.push((local, connection)),
                Some(Ok(())) => established.push(connection),
                // Nobody listens any more. What answers that knows nothing of the old one.
                Some(Err(rustix::io::Errno::CONNREFUSED)) => {}
                Some(Err(_)) => left.push(local),
            }
        }
    }
    left.extend(new.into_iter().map(|(local, _)| local));
    tried_again.extend(close(clock, established)?);
    tried_again.extend(left.iter().copied());
    knock(clock, server, &tried_again, resets)?;
    Some(left.len())
}

/// Closes connections. Those that the other end does not close in time are reset: our own
/// addresses of these.
fn close(clock: &Clock, mut connections: Vec<Connection>) -> Option<Vec<SocketAddr>> {
    connections.iter().for_each(Connection::finish);
    let until = clock.now() + CLOSING;
    while !connections.is_empty() && clock.now() < until {
        if clock.wait(0.25, connections.iter().map(|connection| (connection as &dyn AsFd, false))) {
            return None;
        }
        connections
            .retain_mut(|connection| !matches!(connection.look(), Seen::Closed | Seen::Reset));
    }
    let locals = connections.iter().filter_map(|connection| connection.local).collect();
    connections.into_iter().for_each(Connection::reset);
    Some(locals)
}

/// Has the server told again that these have ended: a reset could be lost. Whatever the server
/// answers to the begin of a connection of which we know nothing any more, our kernel answers with
/// a reset. What the server takes for a new connection is reset, not closed: a server that does not
/// close its side would keep it.
fn knock(clock: &Clock, server: SocketAddr, locals: &[SocketAddr], times: usize) -> Option<()> {
    for _ in 0..if locals.is_empty() { 0 } else { times } {
        for local in locals {
            if let Ok(connection) = Connection::open(server, Some(*local)) {
                connection.reset();
            }
        }
        if clock.wait(BETWEEN_RESETS, std::iter::empty()) {
            return None;
        }
    }
    Some(())
}
