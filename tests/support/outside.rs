//! The values of another process's sockets, without its help: pidfd_getfd(2) duplicates them,
//! and what getsockopt(2) says of a duplicate holds for the socket. (ss(8) shows the running
//! timer, but neither `TCP_KEEPINTVL` nor `TCP_KEEPCNT`.) It needs the rights of a debugger: its user, or root.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use libc::{c_int, c_long, pid_t};
use socket2::{Domain, Protocol, Socket, Type};

/// The five options, as the kernel has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Values {
    /// `SO_KEEPALIVE`
    pub keepalive: bool,
    /// `TCP_KEEPIDLE`, seconds
    pub idle: c_int,
    /// `TCP_KEEPINTVL`, seconds
    pub interval: c_int,
    /// `TCP_KEEPCNT`
    pub count: c_int,
    /// `TCP_USER_TIMEOUT`, milliseconds
    pub user_timeout: c_int,
}

/// `off`, or KEEPIDLE/KEEPINTVL/KEEPCNT; and TCP_USER_TIMEOUT where there is one.
impl std::fmt::Display for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { keepalive, idle, interval, count, user_timeout } = self;
        if *keepalive {
            write!(f, "{idle}/{interval}/{count}")?;
        } else {
            f.write_str("off")?;
        }
        if *user_timeout != 0 {
            write!(f, ", {user_timeout} ms")?;
        }
        Ok(())
    }
}

/// A connection's state, of the names that tcp(7) and netstat(8) use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Neither end has ended the connection, as far as this end knows.
    Established,
    /// Waiting for connections.
    Listen,
    /// Opening, closing or over.
    Other(u8),
}

/// A TCP socket that a process has open.
#[derive(Clone, Debug)]
pub struct TcpSocket {
    /// Of the process.
    pub descriptor: c_int,
    pub state: State,
    pub local: Option<SocketAddr>,
    pub remote: Option<SocketAddr>,
    pub values: Values,
}

impl TcpSocket {
    /// Whether it is a live connection from this end's port, or to that of the other end.
    pub fn is_connection_of_port(&self, port: u16) -> bool {
        let has_port = |address: Option<SocketAddr>| address.is_some_and(|it| it.port() == port);
        self.state == State::Established && (has_port(self.local) || has_port(self.remote))
    }
}

/// Every TCP socket that a process has open; none if it is no more.
pub fn tcp_sockets(pid: u32) -> Vec<TcpSocket> {
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let Ok(process) = pidfd_open(pid) else { return Vec::new() };
    let mut sockets: Vec<_> = descriptors
        .flatten()
        .filter(|entry| {
            let target = std::fs::read_link(entry.path());
            target.is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
        })
        .filter_map(|entry| descriptor(&entry.path()))
        .filter_map(|descriptor| tcp_socket(&process, descriptor))
        .collect();
    sockets.sort_by_key(|socket| socket.descriptor);
    sockets
}

fn descriptor(path: &Path) -> Option<c_int> {
    path.file_name()?.to_str()?.parse().ok()
}

/// What a descriptor of a process is, if it is TCP and still open.
fn tcp_socket(process: &OwnedFd, descriptor: c_int) -> Option<TcpSocket> {
    let socket = Socket::from(pidfd_getfd(process, descriptor).ok()?);
    let is_tcp = matches!(socket.domain(), Ok(Domain::IPV4 | Domain::IPV6))
        && socket.r#type().ok()? == Type::STREAM
        && matches!(socket.protocol(), Ok(Some(Protocol::TCP | Protocol::MPTCP)));
    if !is_tcp {
        return None;
    }
    Some(TcpSocket {
        descriptor,
        state: state(&socket),
        local: socket.local_addr().ok().and_then(|address| address.as_socket()),
        remote: socket.peer_addr().ok().and_then(|address| address.as_socket()),
        values: values(&socket).expect("the options of a TCP socket"),
    })
}

fn values(socket: &Socket) -> std::io::Result<Values> {
    Ok(Values {
        keepalive: socket.keepalive()?,
        idle: socket.tcp_keepalive_time()?.as_secs() as c_int,
        interval: socket.tcp_keepalive_interval()?.as_secs() as c_int,
        count: socket.tcp_keepalive_retries()? as c_int,
        // MPTCP has no such option.
        user_timeout: match socket.tcp_user_timeout() {
            Ok(Some(timeout)) => timeout.as_millis() as c_int,
            Ok(None) | Err(_) => 0,
        },
    })
}

/// The first byte of `TCP_INFO` is the state (linux/tcp.h: `tcpi_state`).
fn state(socket: &Socket) -> State {
    let mut state = 0_u8;
    let mut length = 1;
    // SAFETY: `state` has room for `length` bytes; both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut state).cast(),
            &raw mut length,
        )
    };
    assert_eq!(result, 0, "TCP_INFO: {}", std::io::Error::last_os_error());
    match state {
        1 => State::Established,
        10 => State::Listen,
        other => State::Other(other),
    }
}

fn pidfd_open(pid: u32) -> std::io::Result<OwnedFd> {
    // SAFETY: takes two numbers.
    own(unsafe { libc::syscall(libc::SYS_pidfd_open, pid as pid_t, 0) })
}

fn pidfd_getfd(process: &OwnedFd, descriptor: c_int) -> std::io::Result<OwnedFd> {
    // SAFETY: takes three numbers.
    own(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), descriptor, 0) })
}

fn own(result: c_long) -> std::io::Result<OwnedFd> {
    if result < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: a descriptor that the kernel has just made for us.
    Ok(unsafe { OwnedFd::from_raw_fd(result as c_int) })
}
