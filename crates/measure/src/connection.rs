//! One TCP connection of our own: opened without waiting, left alone, probed, looked at, closed.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, sockopt,
};

use crate::timing::{AT_ONCE, MAX_READS, NEVER, PROBE_COUNT, PROBE_INTERVAL};

// States of include/net/tcp_states.h.
const SYN_SENT: u8 = 2;
const SYN_RECV: u8 = 3;
const CLOSED: u8 = 7;

/// What a look at a connection shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Nothing,
    /// It is established.
    Opened,
    /// It cannot be established.
    Failed(Errno),
    /// Something came after a probe, so long ago.
    Answered(Duration),
    /// Something came unasked, with data or without.
    Heard {
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
    /// Whether it was established.
    pub is_open: bool,
    /// Whether it was probed, and nothing has come since.
    is_probed: bool,
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
            Ok(()) | Err(Errno::INPROGRESS) => {
                let (is_open, is_probed) = (false, false);
                Ok(Self { socket, segments: 0, bytes: 0, is_open, is_probed, local })
            }
            Err(error) => Err(error),
        }
    }

    /// What has come since the last look.
    pub fn look(&mut self) -> Seen {
        if self.is_open {
            return self.received();
        }
        match self.opened() {
            Ok(true) => Seen::Opened,
            Ok(false) => Seen::Nothing,
            Err(error) => Seen::Failed(error),
        }
    }

    /// Whether it is established by now.
    fn opened(&mut self) -> Result<bool, Errno> {
        sockopt::socket_error(&self.socket)??;
        let info = self.info()?;
        match info.tcpi_state {
            SYN_SENT | SYN_RECV => return Ok(false),
            CLOSED => return Err(Errno::CONNREFUSED),
            // The other end may have closed it already.
            _ => {}
        }
        // Whatever a preload or a cover did: it is to be idle.
        self.stop_probing()?;
        self.local = net::getsockname(&self.socket).ok().and_then(|name| name.try_into().ok());
        (self.segments, self.bytes) = (info.tcpi_segs_in, info.tcpi_bytes_received);
        self.is_open = true;
        Ok(true)
    }

    /// What has come. Data is thrown away.
    fn received(&mut self) -> Seen {
        let mut buffer = [0; 4096];
        for _ in 0..MAX_READS {
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
        // Also unasked: `keepalive attach` or `cover` may have turned keepalive on.
        let _ = self.stop_probing();
        if !std::mem::take(&mut self.is_probed) {
            return Seen::Heard { has_data };
        }
        // A segment out of the window is counted only.
        let ago = info.tcpi_last_ack_recv.min(info.tcpi_last_data_recv);
        Seen::Answered(Duration::from_millis(ago.into()))
    }

    /// Whether something is to come soon.
    pub fn is_pending(&self) -> bool {
        !self.is_open || self.is_probed
    }

    /// Sends data, as far as the kernel takes it at once.
    pub fn send(&self, data: &[u8]) -> Result<(), Errno> {
        net::send(&self.socket, data, SendFlags::NOSIGNAL).map(|_| ())
    }

    /// Has the kernel send a keepalive probe at once: the timer starts again when the idle time is
    /// set on a socket that has keepalive (tcp_sock_set_keepidle in net/ipv4/tcp.c).
    pub fn probe(&mut self) -> Result<(), Errno> {
        self.is_probed = true;
        self.stop_probing()?;
        sockopt::set_tcp_keepidle(&self.socket, NEVER)?;
        sockopt::set_socket_keepalive(&self.socket, true)?;
        sockopt::set_tcp_keepidle(&self.socket, AT_ONCE)
    }

    fn stop_probing(&self) -> Result<(), Errno> {
        sockopt::set_socket_keepalive(&self.socket, false)
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
        let (socket, level, name) = (self.socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO);
        // SAFETY: a structure of integers, for which zeros are a value.
        let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
        let mut length = size_of_val(&info) as libc::socklen_t;
        let pointer = (&raw mut info).cast();
        // SAFETY: the kernel writes at most `length` bytes of integers (older ones know fewer).
        match unsafe { libc::getsockopt(socket, level, name, pointer, &raw mut length) } {
            0 => Ok(info),
            _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
        }
    }
}

/// Waits for so many seconds, or until something happens on one of these.
pub fn wait<'a>(seconds: f64, connections: impl Iterator<Item = &'a Connection>) {
    let mut polled: Vec<_> = connections
        .map(|it| PollFd::new(&it.socket, if it.is_open { PollFlags::IN } else { PollFlags::OUT }))
        .collect();
    let time = Timespec::try_from(Duration::from_secs_f64(seconds.clamp(0.001, 60.0))).ok();
    // An error is EINTR: the caller waits again.
    let _ = poll(&mut polled, time.as_ref());
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_that_closes_at_once_was_reached() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut connection = Connection::open(address, None).expect("a connection");
        drop(listener.accept());
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!([connection.look(), connection.look()], [Seen::Opened, Seen::Closed]);
    }
}
