//! Looking into processes: everything that can be found out about their TCP sockets.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustix::io::Errno;

use super::findings::findings;
use super::network::{Entry, Networks, Timer};
use super::refusal::{Refusal, why};
use super::socket::{Duplicate, Info, Options, Protocol, State};
use super::{Target, vanished};

/// A TCP socket of a process.
pub struct Socket {
    /// The descriptors that refer to it, at least one.
    pub fds: Vec<i32>,
    pub inode: u64,
    pub protocol: Protocol,
    pub state: State,
    pub local: Option<SocketAddr>,
    pub remote: Option<SocketAddr>,
    /// None where the socket may not be duplicated.
    pub options: Option<Options>,
    pub timer: Option<Timer>,
    pub info: Option<Info>,
    /// What is wrong with it, in words.
    pub findings: Vec<String>,
}

/// What may be seen of a process.
pub struct Inspected {
    pub target: Target,
    /// The preload library that is loaded in it, if that can be seen.
    pub library: Option<PathBuf>,
    pub sockets: Vec<Socket>,
    /// Why something is missing.
    pub trouble: Option<String>,
}

/// Looks into processes, and remembers what they have in common.
#[derive(Default)]
pub struct Inspector {
    networks: Networks,
}

impl Inspector {
    /// Everything about a process; None if it has ended.
    pub fn inspect(&mut self, target: Target) -> Option<Inspected> {
        let (sockets, trouble) = match self.sockets(&target) {
            Ok(found) => found,
            Err(error) if vanished(&error) => return None,
            Err(error) => (Vec::new(), Some(why(&target, &error))),
        };
        let library = target.library().ok().flatten();
        Some(Inspected { target, library, sockets, trouble })
    }

    fn sockets(&mut self, target: &Target) -> io::Result<(Vec<Socket>, Option<String>)> {
        let fds = target.sockets()?;
        if fds.is_empty() {
            return Ok((Vec::new(), None));
        }
        let network = self.networks.of(target)?;
        let entries = network.sockets();
        let mut trouble = entries.err().map(|error| {
            format!("its network namespace cannot be entered, so its timers are unknown: {error}")
        });
        let mut sockets: Vec<Option<Socket>> = Vec::new();
        let mut by_inode: HashMap<u64, usize> = HashMap::new();
        for (fd, inode) in fds {
            if let Some(index) = by_inode.get(&inode) {
                if let Some(socket) = &mut sockets[*index] {
                    socket.fds.push(fd);
                }
                continue;
            }
            let entry = entries.ok().and_then(|entries| entries.get(&inode));
            let socket = match Duplicate::of(target.handle(), fd) {
                Ok(duplicate) => look(&duplicate, fd, entry),
                Err(Errno::PERM | Errno::ACCESS) => {
                    trouble = Some(format!("options unknown: {}", Refusal::of(target)));
                    entry.map(|entry| without_options(fd, inode, entry))
                }
                // Closed meanwhile.
                Err(Errno::BADF) => None,
                Err(error) => return Err(error.into()),
            };
            by_inode.insert(inode, sockets.len());
            sockets.push(socket);
        }
        Ok((sockets.into_iter().flatten().collect(), trouble))
    }
}

/// Everything about a socket; None if it does not speak TCP.
fn look(duplicate: &Duplicate, fd: i32, entry: Option<&Entry>) -> Option<Socket> {
    let protocol = duplicate.protocol()?;
    let options = duplicate.options().ok();
    let info = duplicate.info().ok();
    let state = entry
        .map_or_else(|| info.map_or(State::CLOSED, |info: Info| info.state), |entry| entry.state);
    let info = info.filter(|_| state.is_connection());
    let timer = entry.and_then(|entry| entry.timer);
    Some(Socket {
        fds: vec![fd],
        inode: duplicate.inode().ok()?,
        protocol,
        state,
        local: duplicate.local(),
        remote: duplicate.remote(),
        findings: findings(state, options.as_ref(), info.as_ref(), timer.as_ref()),
        options,
        timer,
        info,
    })
}

/// What sock_diag alone tells of a socket.
fn without_options(fd: i32, inode: u64, entry: &Entry) -> Socket {
    Socket {
        fds: vec![fd],
        inode,
        protocol: Protocol::Tcp,
        state: entry.state,
        local: Some(entry.local),
        remote: entry.remote,
        options: None,
        timer: entry.timer,
        info: None,
        findings: Vec::new(),
    }
}
