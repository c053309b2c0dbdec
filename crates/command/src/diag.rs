//! A network namespace, as sock_diag(7) and sysctl(8) show it: the timer of every TCP socket, and
//! what the kernel's defaults are.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags, Timer as RawTimer,
};
use netlink_sys::{Socket, SocketAddr as NetlinkAddress, protocols::NETLINK_SOCK_DIAG};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::settings::{KEEPCNT, KEEPIDLE, KEEPINTVL, KNOWN};
use crate::socket::State;

/// The value that each of the [`KNOWN`] options has where nobody set it.
pub type Defaults = [u32; KNOWN];

/// Which timer of a socket runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerKind {
    /// Sent data waits for its acknowledgment.
    Retransmission,
    /// The next keepalive probe, or the next look at how long the connection is idle.
    Keepalive,
    /// The peer's window is closed; or the connection waits to be accepted or forgotten.
    ZeroWindowProbe,
}

/// A timer that runs.
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    /// Which one.
    pub kind: TimerKind,
    /// When it fires, counted from now.
    pub expires_in: Duration,
    /// How often data has been sent again.
    pub retransmissions: u8,
}

/// What sock_diag tells of a socket.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub state: State,
    pub local: SocketAddr,
    pub remote: Option<SocketAddr>,
    pub timer: Option<Timer>,
}

/// A network namespace that has been entered.
pub struct Namespace {
    netlink: io::Result<Socket>,
    /// The defaults.
    pub defaults: Defaults,
}

impl Namespace {
    /// This process's own, or the one of `/proc/PID/ns/net`, if it may be entered (root only).
    pub fn open(other: Option<BorrowedFd<'_>>) -> io::Result<Self> {
        let Some(namespace) = other else { return Self::of_this_thread() };
        // A thread of its own, for it cannot go back everywhere.
        std::thread::scope(|scope| {
            let entered = scope.spawn(|| {
                move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?;
                Self::of_this_thread()
            });
            entered.join().expect("a thread that does not panic")
        })
    }

    fn of_this_thread() -> io::Result<Self> {
        let sysctl = |name: &str| -> io::Result<u32> {
            // The kernel shows the namespace of the thread that opens the file.
            let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}"))?;
            text.trim().parse().map_err(io::Error::other)
        };
        let mut defaults = [0; KNOWN];
        defaults[KEEPCNT] = sysctl("tcp_keepalive_probes")?;
        defaults[KEEPIDLE] = sysctl("tcp_keepalive_time")?;
        defaults[KEEPINTVL] = sysctl("tcp_keepalive_intvl")?;
        Ok(Self { netlink: Socket::new(NETLINK_SOCK_DIAG), defaults })
    }

    /// Every TCP socket that is bound, listens or is connected, by inode.
    pub fn sockets(&self) -> io::Result<HashMap<u64, Entry>> {
        let netlink = match &self.netlink {
            Ok(netlink) => netlink,
            Err(error) => return Err(io::Error::new(error.kind(), error.to_string())),
        };
        netlink.connect(&NetlinkAddress::new(0, 0))?;
        let mut sockets = HashMap::new();
        for (family, id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
            dump(netlink, family, id, |header| {
                sockets.insert(header.inode.into(), entry(header));
            })?;
        }
        Ok(sockets)
    }
}

fn entry(header: &InetResponseHeader) -> Entry {
    let id = &header.socket_id;
    let timer = |kind, expires_in, retransmissions| Timer { kind, expires_in, retransmissions };
    Entry {
        state: State(header.state),
        local: SocketAddr::new(id.source_address, id.source_port),
        remote: (id.destination_port != 0)
            .then(|| SocketAddr::new(id.destination_address, id.destination_port)),
        timer: match header.timer {
            Some(RawTimer::Retransmit(expires, count)) => {
                Some(timer(TimerKind::Retransmission, expires, count))
            }
            Some(RawTimer::KeepAlive(expires)) => Some(timer(TimerKind::Keepalive, expires, 0)),
            Some(RawTimer::Probe(expires)) => Some(timer(TimerKind::ZeroWindowProbe, expires, 0)),
            Some(RawTimer::TimeWait) | None => None,
        },
    }
}

/// Asks for every socket of a family.
fn dump(
    netlink: &Socket,
    family: u8,
    socket_id: SocketId,
    mut each: impl FnMut(&InetResponseHeader),
) -> io::Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id,
    };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    netlink.send(&bytes, 0)?;

    // The kernel fills at most 32 KiB at a time (net/netlink/af_netlink.c, netlink_dump).
    let mut buffer = Vec::with_capacity(64 * 1024);
    loop {
        buffer.clear();
        netlink.recv(&mut buffer, 0)?;
        let mut rest = &buffer[..];
        while !rest.is_empty() {
            let message =
                NetlinkMessage::<SockDiagMessage>::deserialize(rest).map_err(io::Error::other)?;
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    each(&response.header);
                }
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => {}
            }
            // Each message begins at a multiple of four bytes.
            let length = (message.header.length as usize).next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}
