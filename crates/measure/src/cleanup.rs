//! Leaves nothing behind. What lives is closed, and watched until the other end has closed too. What
//! the path has forgotten is still there at the server, which no packet of it reaches: it is reset
//! here, and a new connection is opened from the same port. The server answers that with what it
//! remembers of the old one (RFC 9293, 3.10.7.4: a challenge acknowledgment), to which our kernel
//! answers with a reset, which the path lets through now. When the new connection is
//! established, the old one is gone.

use std::net::SocketAddr;

use rustix::io::Errno;

use crate::clock::Clock;
use crate::connection::{Connection, Seen, wait};
use crate::timing::{BETWEEN_RESETS, CLOSING, LOOK, REOPENING, REOPENING_FOR_EACH};

/// Ends connections.
pub struct Cleanup<'a> {
    pub clock: &'a Clock,
    pub server: SocketAddr,
    /// How often a reset is sent, of which one has to arrive.
    pub resets: usize,
    /// Asked now and then; false ends it.
    pub goes_on: &'a mut dyn FnMut() -> bool,
}

impl Cleanup<'_> {
    /// Ends those that live, and those that the path has forgotten, by our own address. The number
    /// of connections of which it is not known that they have ended at the server; None if it was
    /// abandoned.
    pub fn run(&mut self, living: Vec<Connection>, forgotten: Vec<SocketAddr>) -> Option<usize> {
        let mut tried_again = self.close(living)?;
        let (established, left) = self.reopen(forgotten)?;
        tried_again.extend(self.close(established)?);
        tried_again.extend(left.iter().copied());
        self.reset_again(&tried_again)?;
        Some(left.len())
    }

    fn wait<'b>(
        &mut self,
        time: f64,
        connections: impl Iterator<Item = &'b Connection>,
    ) -> Option<()> {
        wait(time, connections);
        (self.goes_on)().then_some(())
    }

    /// Closes connections. Those that the other end does not close in time are reset: our own
    /// addresses of these.
    fn close(&mut self, mut connections: Vec<Connection>) -> Option<Vec<SocketAddr>> {
        connections.iter().for_each(Connection::close);
        let until = self.clock.now() + CLOSING;
        while !connections.is_empty() && self.clock.now() < until {
            self.wait(LOOK, connections.iter())?;
            connections
                .retain_mut(|connection| !matches!(connection.look(), Seen::Closed | Seen::Reset));
        }
        let locals = connections.iter().filter_map(|connection| connection.local).collect();
        connections.into_iter().for_each(Connection::reset);
        Some(locals)
    }

    /// Opens connections from these ports. Those that are established, and the ports from which
    /// none could be.
    fn reopen(&mut self, locals: Vec<SocketAddr>) -> Option<(Vec<Connection>, Vec<SocketAddr>)> {
        let (mut opening, mut established, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for local in locals {
            match Connection::open(self.server, Some(local)) {
                Ok(connection) => opening.push(connection),
                Err(_) => left.push(local),
            }
        }
        let until = self.clock.now() + REOPENING.max(REOPENING_FOR_EACH * self.resets as f64);
        while !opening.is_empty() && self.clock.now() < until {
            self.wait(LOOK, opening.iter())?;
            for mut connection in std::mem::take(&mut opening) {
                match connection.look() {
                    Seen::Nothing => opening.push(connection),
                    Seen::Opened => established.push(connection),
                    // Nobody listens any more. What answers that knows nothing of the old one.
                    Seen::Failed(Errno::CONNREFUSED) => {}
                    _ => left.extend(connection.local),
                }
            }
        }
        left.extend(opening.into_iter().filter_map(|connection| connection.local));
        Some((established, left))
    }

    /// Has the server told again that these have ended: a reset could be lost. Whatever the server
    /// answers to the SYN of a connection of which we know nothing any more, our kernel answers with
    /// a reset. What the server takes for a new connection is reset, not closed: a server that does
    /// not close its side would keep it.
    fn reset_again(&mut self, locals: &[SocketAddr]) -> Option<()> {
        for _ in 0..if locals.is_empty() { 0 } else { self.resets } {
            for local in locals {
                if let Ok(connection) = Connection::open(self.server, Some(*local)) {
                    connection.reset();
                }
            }
            self.wait(BETWEEN_RESETS, std::iter::empty())?;
        }
        Some(())
    }
}
