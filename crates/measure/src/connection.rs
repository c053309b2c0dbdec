//! One TCP connection of our own: opened without waiting, left alone, probed, looked at, closed.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, sockopt,
};

use crate::timing::{AT_ONCE, NEVER, PROBE_COUNT, PROBE_INTERVAL};

/// TCP_ESTABLISHED (include/net/tcp_states.h).
const ESTABLISHED: u8 = 1;
/// TCP_CLOSE.
const CLOSED: u8 = 7;

/// What a look at a connection shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Nothing,
    /// Segments came: so long ago, and with data or without.
    Segments {
        ago: Duration,
        has_data: bool,
    },
    /// The other end has closed it.
    Closed,
    /// It was reset, or given up.
    Reset,
}

/// A connection.
pub struct Connection {
    socket: OwnedFd,
    segments: u32,
    bytes: u64,
    /// Our own address, once it is established.
    pub local: Option<SocketAddr>,
}

impl Connection {
    /// Starts to connect, from this address of our own if one is given.
    pub fn open(address: SocketAddr, local: Option<SocketAddr>) -> Result<Self, Errno> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
        sockopt::set_tcp_keepcnt(&socket, PROBE_COUNT)?;
        sockopt::set_tcp_keepintvl(&socket, PROBE_INTERVAL)?;
        if let Some(local) = local {
            sockopt::set_socket_reuseaddr(&socket, true)?;
            net::bind(&socket, &local)?;
        }
        match net::connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(Self { socket, segments: 0, bytes: 0, local }),
            Err(error) => Err(error),
        }
    }

    /// Whether it is established by now; None while that is not known.
    pub fn opened(&mut self) -> Option<Result<(), Errno>> {
        match sockopt::socket_error(&self.socket) {
            Ok(Ok(())) => {}
            Ok(Err(error)) | Err(error) => return Some(Err(error)),
        }
        let info = match self.info() {
            Ok(info) => info,
            Err(error) => return Some(Err(error)),
        };
        if info.tcpi_state != ESTABLISHED {
            return if info.tcpi_state == CLOSED { Some(Err(Errno::CONNREFUSED)) } else { None };
        }
        // Whatever a preload or a cover did: it is to be idle.
        let idle = sockopt::set_socket_keepalive(&self.socket, false);
        self.local = net::getsockname(&self.socket).ok().and_then(|name| name.try_into().ok());
        (self.segments, self.bytes) = (info.tcpi_segs_in, info.tcpi_bytes_received);
        Some(idle)
    }

    /// Sends data, as far as the kernel takes it at once.
    pub fn send(&self, data: &[u8]) -> Result<(), Errno> {
        net::send(&self.socket, data, SendFlags::NOSIGNAL).map(|_| ())
    }

    /// Has the kernel send a keepalive probe at once: the timer starts again when the idle time is
    /// set on a socket that has keepalive (tcp_sock_set_keepidle in net/ipv4/tcp.c).
    pub fn probe(&self) -> Result<(), Errno> {
        self.stop_probing()?;
        sockopt::set_tcp_keepidle(&self.socket, NEVER)?;
        sockopt::set_socket_keepalive(&self.socket, true)?;
        sockopt::set_tcp_keepidle(&self.socket, AT_ONCE)
    }

    /// Sends no more probes.
    pub fn stop_probing(&self) -> Result<(), Errno> {
        sockopt::set_socket_keepalive(&self.socket, false)
    }

    /// What has come since the last look. Data is thrown away.
    pub fn look(&mut self) -> Seen {
        let mut buffer = [0; 4096];
        loop {
            match net::recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Seen::Closed,
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return Seen::Reset,
            }
        }
        let Ok(info) = self.info() else { return Seen::Nothing };
        if info.tcpi_segs_in == self.segments {
            return Seen::Nothing;
        }
        let has_data = info.tcpi_bytes_received != self.bytes;
        (self.segments, self.bytes) = (info.tcpi_segs_in, info.tcpi_bytes_received);
        // A segment out of the window is counted only.
        let ago = info.tcpi_last_ack_recv.min(info.tcpi_last_data_recv);
        Seen::Segments { ago: Duration::from_millis(ago.into()), has_data }
    }

    /// Ends it in an orderly way: whatever is lost is sent again.
    pub fn close(&self) {
        // It may have ended already.
        let _ = net::shutdown(&self.socket, Shutdown::Write);
    }

    /// Ends it at once, and tells the other end by one reset.
    pub fn reset(self) {
        // On failure it is closed in the usual way.
        let _ = sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO));
    }

    fn info(&self) -> Result<libc::tcp_info, Errno> {
        // SAFETY: a structure of integers, for which zeros are a value.
        let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
        let mut length = size_of_val(&info) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes of integers (older ones know fewer).
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                (&raw mut info).cast(),
                &raw mut length,
            )
        };
        if result == 0 {
            return Ok(info);
        }
        let error = std::io::Error::last_os_error();
        Err(Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
