//! One TCP socket of another process, through a duplicate of its descriptor: pidfd_getfd(2).
//!
//! A duplicate is held only for the few calls on it: while it is open, the process's own close(2)
//! does not end the connection.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use libc::c_int;
use options::TcpOption;
use rustix::io::{self, Errno};
use rustix::net::{SocketType, ipproto, sockopt};
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};
use serde::{Deserialize, Serialize};

use super::OpenProcess;
use crate::values::Values;
use crate::worker::{Lock, Watched, watch};

/// The options of a socket that concern keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// `SO_KEEPALIVE`.
    pub keepalive: bool,
    /// The options of tcp(7); None where the socket has no such option (MPTCP has no
    /// `TCP_USER_TIMEOUT`).
    #[serde(with = "crate::values::as_list")]
    pub values: Values<Option<u32>>,
}

/// Which protocol a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP itself.
    Tcp,
    /// Multipath TCP.
    Mptcp,
}

/// The state of a connection; the numbers are the kernel's (include/net/tcp_states.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State(pub u8);

impl State {
    pub const ESTABLISHED: Self = Self(1);
    pub const SYN_SENT: Self = Self(2);
    pub const SYN_RECV: Self = Self(3);
    pub const FIN_WAIT_2: Self = Self(5);
    pub const CLOSED: Self = Self(7);
    pub const CLOSE_WAIT: Self = Self(8);
    pub const LISTEN: Self = Self(10);
    pub const NEW_SYN_RECV: Self = Self(12);

    /// ss(8)'s abbreviation, and tcp(7)'s name in lower case.
    fn names(self) -> (&'static str, &'static str) {
        match self.0 {
            1 => ("ESTAB", "established"),
            2 => ("SYN-SENT", "syn-sent"),
            3 | 12 => ("SYN-RECV", "syn-recv"),
            4 => ("FIN-WAIT-1", "fin-wait-1"),
            5 => ("FIN-WAIT-2", "fin-wait-2"),
            6 => ("TIME-WAIT", "time-wait"),
            7 => ("UNCONN", "closed"),
            8 => ("CLOSE-WAIT", "close-wait"),
            9 => ("LAST-ACK", "last-ack"),
            10 => ("LISTEN", "listen"),
            11 => ("CLOSING", "closing"),
            _ => ("?", "unknown"),
        }
    }

    /// As ss(8) abbreviates it.
    pub fn short(self) -> &'static str {
        self.names().0
    }

    /// As RFC 9293 names it, in lower case.
    pub fn name(self) -> &'static str {
        self.names().1
    }

    /// Whether the handshake is over, so that data can be in flight.
    pub fn is_synchronized(self) -> bool {
        let in_handshake = [Self::SYN_SENT, Self::SYN_RECV, Self::NEW_SYN_RECV].contains(&self);
        self.is_connection() && !in_handshake
    }

    /// Whether there is a peer that could be gone.
    pub fn is_connection(self) -> bool {
        self != Self::LISTEN && self != Self::CLOSED
    }
}

/// The state of a connection (TCP_INFO, tcp(7)).
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Info {
    /// Its state.
    pub state: State,
    /// Probes since the peer was last heard.
    pub unanswered_probes: u8,
    /// How long ago the peer last sent data or an acknowledgment.
    pub silent_for: Duration,
    /// Segments sent and not yet acknowledged.
    pub unacknowledged: u32,
}

/// A duplicate of another process's socket.
pub struct Duplicate {
    /// Closed while the parent still watches.
    socket: OwnedFd,
    _watched: Watched,
}

impl Duplicate {
    /// The socket that is descriptor `fd` of the process, where this inode was seen. EBADF says that
    /// it is closed, or something else by now: the process may have changed it since it was listed.
    /// Only calls that no other file can hold up are made before that is known.
    pub fn open(process: &OpenProcess, fd: i32, inode: u64) -> io::Result<Self> {
        let _watched = watch(process.id, Lock::Socket { fd, inode });
        let socket = pidfd_getfd(&process.handle, fd, PidfdGetfdFlags::empty())?;
        if sockopt::socket_type(&socket).is_ok() {
            Ok(Self { socket, _watched })
        } else {
            // Another file: closing it could take for ever (worker/child.rs).
            std::mem::forget(socket);
            Err(Errno::BADF)
        }
    }

    /// The protocol, if this is a TCP socket. (`SO_KEEPALIVE` exists for every kind of socket. Raw
    /// and Bluetooth sockets can have TCP's protocol number too, but they are not streams.)
    pub fn protocol(&self) -> Option<Protocol> {
        let protocol = match sockopt::socket_protocol(&self.socket) {
            Ok(Some(ipproto::TCP)) => Protocol::Tcp,
            Ok(Some(ipproto::MPTCP)) => Protocol::Mptcp,
            _ => return None,
        };
        (sockopt::socket_type(&self.socket) == Ok(SocketType::STREAM)).then_some(protocol)
    }

    /// The inode by which the kernel's other interfaces know the socket.
    pub fn inode(&self) -> io::Result<u64> {
        rustix::fs::fstat(&self.socket).map(|file| file.st_ino)
    }

    /// The options.
    pub fn options(&self) -> io::Result<Options> {
        let keepalive = sockopt::socket_keepalive(&self.socket)?;
        let values = Values::try_new(|option| match self.get(option.number) {
            Ok(value) => Ok(Some(value)),
            Err(error) if does_not_exist(error) => Ok(None),
            Err(error) => Err(error),
        })?;
        Ok(Options { keepalive, values })
    }

    /// Sets an option.
    pub fn set(&self, option: &TcpOption, value: u32) -> io::Result<()> {
        self.set_number(option.number, value)
    }

    /// Sets the option of this number.
    pub fn set_number(&self, option: i32, value: u32) -> io::Result<()> {
        let length = size_of_val(&value) as libc::socklen_t;
        // SAFETY: the kernel reads `length` bytes of `value`.
        let result = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                option,
                (&raw const value).cast(),
                length,
            )
        };
        outcome(result)
    }

    /// Sets `SO_KEEPALIVE`.
    pub fn set_keepalive(&self) -> io::Result<()> {
        sockopt::set_socket_keepalive(&self.socket, true)
    }

    /// The local address.
    pub fn local(&self) -> Option<SocketAddr> {
        rustix::net::getsockname(&self.socket).ok()?.try_into().ok().map(as_ipv4)
    }

    /// The remote address, if there is one.
    pub fn remote(&self) -> Option<SocketAddr> {
        rustix::net::getpeername(&self.socket).ok()??.try_into().ok().map(as_ipv4)
    }

    /// The state of the connection.
    pub fn info(&self) -> io::Result<Info> {
        let raw: libc::tcp_info = self.get(libc::TCP_INFO)?;
        let silent_for = raw.tcpi_last_data_recv.min(raw.tcpi_last_ack_recv);
        Ok(Info {
            state: State(raw.tcpi_state),
            unanswered_probes: raw.tcpi_probes,
            silent_for: Duration::from_millis(silent_for.into()),
            unacknowledged: raw.tcpi_unacked,
        })
    }

    /// An option of tcp(7).
    fn get<T: Integers>(&self, number: c_int) -> io::Result<T> {
        // SAFETY: zeros are a value of every such type.
        let mut value: T = unsafe { std::mem::zeroed() };
        let mut length = size_of_val(&value) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes (older ones know fewer fields).
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                number,
                (&raw mut value).cast(),
                &raw mut length,
            )
        };
        outcome(result).map(|()| value)
    }
}

/// What the kernel writes for an option: integers only.
///
/// # Safety
///
/// Every pattern of bits must be a value.
unsafe trait Integers: Sized {}

// SAFETY: an integer.
unsafe impl Integers for u32 {}
// SAFETY: a structure of integers.
unsafe impl Integers for libc::tcp_info {}

/// The IPv4 address of an IPv6 socket that speaks IPv4 (ipv6(7), v4-mapped), as IPv4; any other as
/// it is.
pub fn as_ipv4(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    }
}

/// Whether an option does not exist for a kind of socket.
pub fn does_not_exist(error: Errno) -> bool {
    matches!(error, Errno::NOPROTOOPT | Errno::OPNOTSUPP)
}

/// The result of a call that returns -1 for an error.
fn outcome(result: c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
    }
}
