//! The TCP sockets of a network namespace and the timers that run for them: sock_diag(7).

use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags, Timer as RawTimer,
};
use netlink_sys::{Socket as Netlink, SocketAddr as NetlinkAddress, protocols::NETLINK_SOCK_DIAG};
use serde::{Deserialize, Serialize};

use super::State;
use super::socket::as_ipv4;

/// How often a list is asked for that the kernel could not read in one go.
const ATTEMPTS: usize = 3;

/// Which timer of a socket runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimerKind {
    /// Sent data waits for its acknowledgment.
    Retransmission,
    /// The next keepalive probe, or the next look at how long the connection is idle.
    Keepalive,
    /// The peer's window is closed; or the connection waits to be accepted or forgotten.
    ZeroWindowProbe,
}

/// A timer that runs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
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

/// Asks the kernel about the sockets of the namespace in which this was opened.
pub struct SockDiag {
    netlink: Netlink,
    /// The number of the last question.
    sequence: Cell<u32>,
}

impl SockDiag {
    /// For the network namespace of this thread.
    pub fn open() -> io::Result<Self> {
        let netlink = Netlink::new(NETLINK_SOCK_DIAG)?;
        netlink.connect(&NetlinkAddress::new(0, 0))?;
        Ok(Self { netlink, sequence: Cell::new(0) })
    }

    /// Every TCP socket that is bound, listens or is connected, by inode.
    pub fn sockets(&self) -> io::Result<HashMap<u64, Entry>> {
        let mut sockets = self.dump(AF_INET, &SocketId::new_v4())?;
        sockets.extend(self.dump(AF_INET6, &SocketId::new_v6())?);
        Ok(sockets)
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
        let mut timer = None;
        // The address may have become another socket's.
        let take = |header: &InetResponseHeader| {
            timer = entry(header).timer.filter(|_| u64::from(header.inode) == inode);
        };
        self.ask(family, 0, &id, take).ok()?;
        timer
    }

    /// Every socket of a family.
    fn dump(&self, family: u8, id: &SocketId) -> io::Result<HashMap<u64, Entry>> {
        for _ in 0..ATTEMPTS {
            let mut sockets = HashMap::new();
            let end = self.ask(family, NLM_F_DUMP, id, |header| {
                sockets.insert(header.inode.into(), entry(header));
            })?;
            if !end.is_interrupted {
                return Ok(sockets);
            }
        }
        Err(io::Error::other(format!("the sockets changed while they were read, {ATTEMPTS} times")))
    }

    /// Asks, and reads the answer to its end.
    fn ask(
        &self,
        family: u8,
        flags: u16,
        id: &SocketId,
        mut each: impl FnMut(&InetResponseHeader),
    ) -> io::Result<Answer> {
        let sequence = self.sequence.get().wrapping_add(1);
        self.sequence.set(sequence);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = sequence;
        let request = InetRequest {
            family,
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::empty(),
            states: StateFlags::all(),
            socket_id: id.clone(),
        };
        let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.netlink.send(&bytes, 0)?;

        let mut answer = Answer { sequence, is_over: false, is_interrupted: false };
        // The kernel fills at most 32 KiB at a time (net/netlink/af_netlink.c, netlink_dump).
        let mut buffer = Vec::with_capacity(64 * 1024);
        while !answer.is_over {
            buffer.clear();
            self.netlink.recv(&mut buffer, 0)?;
            answer.read(&buffer, &mut each)?;
        }
        Ok(answer)
    }
}

/// How far an answer has been read.
struct Answer {
    /// The number of its question.
    sequence: u32,
    is_over: bool,
    /// The sockets changed while the kernel read them, so some may be missing.
    is_interrupted: bool,
}

impl Answer {
    /// Reads some messages of it. Those that belong to an earlier question, which failed before its
    /// answer was read, are left out.
    fn read(&mut self, bytes: &[u8], mut each: impl FnMut(&InetResponseHeader)) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let NetlinkMessage { header, payload, .. } =
                NetlinkMessage::<SockDiagMessage>::deserialize(rest).map_err(io::Error::other)?;
            // Each message begins at a multiple of four bytes.
            let length = (header.length as usize).next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
            if header.sequence_number != self.sequence {
                continue;
            }
            self.is_interrupted |= header.flags & NLM_F_DUMP_INTR != 0;
            self.is_over |= header.flags & NLM_F_MULTIPART == 0;
            match payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    each(&response.header);
                }
                NetlinkPayload::Done(done) if done.code < 0 => {
                    return Err(io::Error::from_raw_os_error(-done.code));
                }
                NetlinkPayload::Done(_) => self.is_over = true,
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => {}
            }
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests;
