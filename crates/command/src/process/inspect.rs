//! Looking into processes: everything that can be found out about their TCP sockets.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustix::io::Errno;

use super::cgroup::Place;
use super::findings::findings;
use super::held::{locked, reading_memory};
use super::network::{Entry, Networks, Timer, copy};
use super::refusal::{Refusal, why};
use super::socket::{Duplicate, Info, Options, Protocol, State};
use super::{Process, Target, is_own_trouble, is_refused, vanished};

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
    pub process: Process,
    /// Its unit and its container.
    pub place: Place,
    /// The preload library that is loaded in it.
    pub library: Library,
    /// None if they are not known.
    pub sockets: Option<Vec<Socket>>,
    /// Why something is missing.
    pub trouble: Option<String>,
}

/// Whether the preload library is loaded in a process.
pub enum Library {
    Loaded(PathBuf),
    NotLoaded,
    Unknown,
}

/// Looks into processes, and remembers what they have in common.
#[derive(Default)]
pub struct Inspector {
    networks: Networks,
}

impl Inspector {
    /// Everything about a process; None if it has ended. An error is this command's own: it cannot
    /// go on.
    pub fn inspect(&mut self, process: Process) -> Result<Option<Inspected>, String> {
        let look = |target: &Target| {
            let place = target.place().unwrap_or_default();
            let maps = match locked(process.pid) {
                Some(_) => Err(Errno::ACCESS.into()),
                None => reading_memory(process.pid, || target.library()),
            };
            let library = match maps {
                Ok(Some(path)) => Library::Loaded(path),
                Ok(None) => Library::NotLoaded,
                Err(error) if is_refused(&error) => Library::Unknown,
                Err(error) => return Err(error),
            };
            let sockets = match self.sockets(&process, target) {
                Err(error) if is_refused(&error) => Err(error),
                sockets => Ok(sockets?),
            };
            Ok((place, library, sockets))
        };
        let (place, library, sockets) = match process.with(look) {
            Ok(found) => found,
            Err(error) if vanished(&error) => return Ok(None),
            Err(error) if is_own_trouble(&error) => return Err(why(&process, &error)),
            Err(error) => (Place::default(), Library::Unknown, Err(error)),
        };
        let (sockets, trouble) = match sockets {
            Ok((sockets, trouble)) => (Some(sockets), trouble),
            Err(error) => (None, Some(why(&process, &error))),
        };
        Ok(Some(Inspected { process, place, library, sockets, trouble }))
    }

    fn sockets(
        &mut self,
        process: &Process,
        target: &Target,
    ) -> io::Result<(Vec<Socket>, Option<String>)> {
        let fds = target.sockets()?;
        if fds.is_empty() {
            return Ok((Vec::new(), None));
        }
        let network = self.networks.of(target)?;
        let entries = match network.sockets() {
            Err(error) if is_own_trouble(error) => return Err(copy(error)),
            entries => entries,
        };
        let mut trouble = entries.err().map(|error| match network.kernel {
            Ok(_) => format!("its timers are unknown: sock_diag(7): {error}"),
            Err(_) => format!(
                "its network namespace cannot be entered, so its timers are unknown: {error}"
            ),
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
            let entry = |inode| entries.ok().and_then(|entries| entries.get(&inode));
            let (inode, socket) = match Duplicate::of(target, fd, inode) {
                Ok(duplicate) => {
                    // The descriptor may have become another socket's.
                    let inode = duplicate.inode()?;
                    (inode, look(&duplicate, fd, inode, entry(inode)))
                }
                Err(Errno::PERM | Errno::ACCESS) if entries.is_ok() => {
                    trouble = Some(format!("options unknown: {}", Refusal::of(process.pid)));
                    (inode, entry(inode).map(|entry| without_options(fd, inode, entry)))
                }
                // Closed meanwhile.
                Err(Errno::BADF) => continue,
                Err(error) => return Err(error.into()),
            };
            match by_inode.entry(inode) {
                Vacant(entry) => {
                    entry.insert(sockets.len());
                    sockets.push(socket);
                }
                Occupied(entry) => {
                    if let Some(known) = &mut sockets[*entry.get()] {
                        known.fds.push(fd);
                    }
                }
            }
        }
        Ok((sockets.into_iter().flatten().collect(), trouble))
    }
}

/// Everything about a socket; None if it does not speak TCP.
fn look(duplicate: &Duplicate, fd: i32, inode: u64, entry: Option<&Entry>) -> Option<Socket> {
    let protocol = duplicate.protocol()?;
    let options = duplicate.options().ok();
    let info = duplicate.info().ok();
    let state = entry
        .map_or_else(|| info.map_or(State::CLOSED, |info: Info| info.state), |entry| entry.state);
    let info = info.filter(|_| state.is_connection());
    let timer = entry.and_then(|entry| entry.timer);
    Some(Socket {
        fds: vec![fd],
        inode,
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

/// A socket as sock_diag alone shows it.
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
