//! Network namespaces, as sock_diag(7) and sysctl(8) show them: the timer of every TCP socket, and
//! the kernel's defaults.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags, Timer as RawTimer,
};
use netlink_sys::{Socket as Netlink, SocketAddr as NetlinkAddress, protocols::NETLINK_SOCK_DIAG};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::socket::as_ipv4;
use super::{State, Target};
use crate::kernel::Kernel;

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

/// A socket, as sock_diag shows it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub state: State,
    pub local: SocketAddr,
    pub remote: Option<SocketAddr>,
    pub timer: Option<Timer>,
}

/// Network namespaces, each looked into once.
#[derive(Default)]
pub struct Networks(HashMap<u64, Rc<Network>>);

impl Networks {
    /// The network namespace of a process.
    pub fn of(&mut self, target: &Target) -> io::Result<Rc<Network>> {
        let (file, inode) = target.network()?;
        if let Some(known) = self.0.get(&inode) {
            return Ok(known.clone());
        }
        let own = rustix::fs::stat("/proc/thread-self/ns/net")?.st_ino;
        let network = if inode == own { Network::own() } else { Network::enter(file.as_fd()) };
        Ok(self.0.entry(inode).or_insert(Rc::new(network)).clone())
    }
}

/// A network namespace.
pub struct Network {
    /// The kernel's own values, if the namespace may be entered.
    pub kernel: io::Result<Kernel>,
    /// A socket of the namespace, which can be asked from outside of it.
    netlink: io::Result<Netlink>,
    sockets: OnceCell<io::Result<HashMap<u64, Entry>>>,
}

impl Network {
    /// This process's own.
    pub fn own() -> Self {
        Self {
            kernel: Kernel::new(),
            netlink: Netlink::new(NETLINK_SOCK_DIAG)
                .and_then(|netlink| netlink.connect(&NetlinkAddress::new(0, 0)).map(|()| netlink)),
            sockets: OnceCell::new(),
        }
    }

    /// The one of `/proc/PID/ns/net`; only root may enter it.
    fn enter(namespace: BorrowedFd<'_>) -> Self {
        // In a thread of its own, since there is not always a way back.
        let entered = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, || {
                move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?;
                Ok(Self::own())
            });
            thread?.join().expect("a thread that does not panic")
        });
        entered.unwrap_or_else(|error: io::Error| Self {
            netlink: Err(copy(&error)),
            kernel: Err(error),
            sockets: OnceCell::new(),
        })
    }

    /// Every TCP socket that is bound, listens or is connected, by inode; asked for once.
    pub fn sockets(&self) -> Result<&HashMap<u64, Entry>, &io::Error> {
        let ask = || sockets(self.netlink.as_ref().map_err(copy)?);
        self.sockets.get_or_init(ask).as_ref()
    }

    /// The timer that runs for one connection now; None if none runs, or if it cannot be asked.
    pub fn timer(&self, inode: u64, local: SocketAddr, remote: SocketAddr) -> Option<Timer> {
        let id = SocketId {
            source_port: local.port(),
            destination_port: remote.port(),
            source_address: local.ip(),
            destination_address: remote.ip(),
            interface_id: match remote {
                SocketAddr::V6(address) => address.scope_id(),
                SocketAddr::V4(_) => 0,
            },
            // INET_DIAG_NOCOOKIE.
            cookie: [0xff; 8],
        };
        let family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
        let netlink = self.netlink.as_ref().ok()?;
        send(netlink, family, NLM_F_REQUEST, id).ok()?;
        let mut answer = Vec::with_capacity(4096);
        netlink.recv(&mut answer, 0).ok()?;
        let mut timer = None;
        // The address may have become another socket's.
        let take = |header: &InetResponseHeader| {
            timer = entry(header).timer.filter(|_| u64::from(header.inode) == inode);
        };
        read(&answer, take).ok()?;
        timer
    }
}

/// An error once more, which [`io::Error`] itself does not offer.
pub fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(
        || io::Error::new(error.kind(), error.to_string()),
        io::Error::from_raw_os_error,
    )
}

fn sockets(netlink: &Netlink) -> io::Result<HashMap<u64, Entry>> {
    let mut sockets = HashMap::new();
    for (family, id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
        dump(netlink, family, id, |header| {
            sockets.insert(header.inode.into(), entry(header));
        })?;
    }
    Ok(sockets)
}

fn entry(header: &InetResponseHeader) -> Entry {
    let id = &header.socket_id;
    let timer = |kind, expires_in, retransmissions| Timer { kind, expires_in, retransmissions };
    Entry {
        state: State(header.state),
        local: as_ipv4(SocketAddr::new(id.source_address, id.source_port)),
        remote: (id.destination_port != 0)
            .then(|| as_ipv4(SocketAddr::new(id.destination_address, id.destination_port))),
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
    netlink: &Netlink,
    family: u8,
    socket_id: SocketId,
    mut each: impl FnMut(&InetResponseHeader),
) -> io::Result<()> {
    send(netlink, family, NLM_F_REQUEST | NLM_F_DUMP, socket_id)?;
    // The kernel fills at most 32 KiB at a time (net/netlink/af_netlink.c, netlink_dump).
    let mut buffer = Vec::with_capacity(64 * 1024);
    loop {
        buffer.clear();
        netlink.recv(&mut buffer, 0)?;
        if read(&buffer, &mut each)? {
            return Ok(());
        }
    }
}

/// Sends a question.
fn send(netlink: &Netlink, family: u8, flags: u16, socket_id: SocketId) -> io::Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
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
    netlink.send(&bytes, 0).map(|_| ())
}

/// Reads the messages of an answer; whether it is the last.
fn read(answer: &[u8], mut each: impl FnMut(&InetResponseHeader)) -> io::Result<bool> {
    let mut rest = answer;
    while !rest.is_empty() {
        let message =
            NetlinkMessage::<SockDiagMessage>::deserialize(rest).map_err(io::Error::other)?;
        match message.payload {
            NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                each(&response.header);
            }
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) => return Err(error.to_io()),
            _ => {}
        }
        // Each message begins at a multiple of four bytes.
        let length = (message.header.length as usize).next_multiple_of(4);
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
