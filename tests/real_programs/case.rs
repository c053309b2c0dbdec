//! What a case is: programs, and a connection to look at.

// Each suite uses what it needs.
#![allow(dead_code)]

use crate::support::outside::TcpSocket;

/// One row of the table.
pub struct Case {
    pub program: &'static str,
    /// Which of its sockets.
    pub socket: &'static str,
    /// In the order in which they are started.
    pub parties: &'static [Party],
    pub watched: Watched,
}

/// A program of a case.
pub struct Party {
    pub role: Role,
    /// For the shell. `$FIXTURES` is what [`crate::fixtures`] makes; the run's own directory is
    /// the current one, and `$DIRECTORY`.
    pub command: &'static str,
    /// The port that it listens at, before the next party is started.
    pub listens: Option<u16>,
    /// What it reads on stdin.
    pub says: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Role {
    /// The program in question, with the library in front.
    Subject,
    /// The other end, always without.
    Peer,
}

/// The socket in question.
#[derive(Clone, Copy)]
pub struct Watched {
    /// The process's name, as in /proc/PID/comm.
    pub name: &'static str,
    pub end: End,
    /// The server's.
    pub port: u16,
}

#[derive(Clone, Copy)]
pub enum End {
    Accepts,
    Connects,
}

impl Watched {
    pub fn is_this(&self, socket: &TcpSocket) -> bool {
        let address = match self.end {
            End::Accepts => socket.local,
            End::Connects => socket.remote,
        };
        address.is_some_and(|address| address.port() == self.port)
    }
}

/// Where the server of a case listens.
pub const PORT: u16 = 7000;

pub const fn party(role: Role, command: &'static str, listens: Option<u16>) -> Party {
    Party { role, command, listens, says: "" }
}

/// The program in question connects.
pub const fn connects(command: &'static str) -> Party {
    party(Role::Subject, command, None)
}

/// The program in question listens.
pub const fn listens(command: &'static str) -> Party {
    party(Role::Subject, command, Some(PORT))
}

pub const fn peer_listens(command: &'static str) -> Party {
    party(Role::Peer, command, Some(PORT))
}

pub const fn connected(name: &'static str) -> Watched {
    Watched { name, end: End::Connects, port: PORT }
}

pub const fn case(
    program: &'static str,
    socket: &'static str,
    parties: &'static [Party],
    watched: Watched,
) -> Case {
    Case { program, socket, parties, watched }
}
