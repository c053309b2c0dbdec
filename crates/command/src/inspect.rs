//! Looking into processes: their TCP sockets, each with all that can be found out.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::rc::Rc;

use rustix::io::Errno;

use crate::diag::{Defaults, Entry, Namespace, Timer};
use crate::findings::findings;
use crate::process::{Target, vanished};
use crate::refusal::Refusal;
use crate::socket::{Duplicate, Info, Options, Protocol, State};

/// A TCP socket of a process.
pub struct Socket {
    /// The descriptors that stand for it, at least one.
    pub descriptors: Vec<i32>,
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

/// A process, as far as one may look into it.
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
    networks: HashMap<u64, Rc<Network>>,
}

/// A network namespace.
pub struct Network {
    /// The values that options have where nobody set them, if the namespace may be entered.
    pub defaults: io::Result<Defaults>,
    sockets: io::Result<HashMap<u64, Entry>>,
}

impl Inspector {
    /// The network namespace of a process.
    pub fn network(&mut self, target: &Target, with_sockets: bool) -> io::Result<Rc<Network>> {
        let (file, inode) = target.network()?;
        match self.networks.entry(inode) {
            MapEntry::Occupied(known) => Ok(known.get().clone()),
            MapEntry::Vacant(place) => {
                let own = rustix::fs::stat("/proc/thread-self/ns/net")?.st_ino;
                let other = (inode != own).then(|| file.as_fd());
                let network = match Namespace::open(other) {
                    Ok(namespace) => Network {
                        defaults: Ok(namespace.defaults),
                        sockets: if with_sockets {
                            namespace.sockets()
                        } else {
                            Ok(HashMap::new())
                        },
                    },
                    Err(error) => Network {
                        sockets: Err(io::Error::new(error.kind(), error.to_string())),
                        defaults: Err(error),
                    },
                };
                Ok(place.insert(Rc::new(network)).clone())
            }
        }
    }

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
        let numbers = target.sockets()?;
        if numbers.is_empty() {
            return Ok((Vec::new(), None));
        }
        let network = self.network(target, true)?;
        let mut trouble = match &network.sockets {
            Ok(_) => None,
            Err(error) => Some(format!(
                "its network namespace cannot be entered, so its timers are unknown: {error}"
            )),
        };
        let mut sockets: Vec<Option<Socket>> = Vec::new();
        let mut by_inode: HashMap<u64, usize> = HashMap::new();
        for (number, inode) in numbers {
            if let Some(index) = by_inode.get(&inode) {
                if let Some(socket) = &mut sockets[*index] {
                    socket.descriptors.push(number);
                }
                continue;
            }
            let entry = network.sockets.as_ref().ok().and_then(|entries| entries.get(&inode));
            let socket = match Duplicate::of(target.handle(), number) {
                Ok(duplicate) => look(&duplicate, number, entry),
                Err(Errno::PERM | Errno::ACCESS) => {
                    trouble = Some(format!("options unknown: {}", Refusal::of(target)));
                    entry.map(|entry| without_options(number, inode, entry))
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

/// All about a socket; None if it is no TCP socket.
fn look(duplicate: &Duplicate, number: i32, entry: Option<&Entry>) -> Option<Socket> {
    let protocol = duplicate.protocol()?;
    let options = duplicate.options().ok();
    let info = duplicate.info().ok();
    let state = entry
        .map_or_else(|| info.map_or(State::CLOSED, |info: Info| info.state), |entry| entry.state);
    let info = info.filter(|_| state.is_connection());
    let timer = entry.and_then(|entry| entry.timer);
    Some(Socket {
        descriptors: vec![number],
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
fn without_options(number: i32, inode: u64, entry: &Entry) -> Socket {
    Socket {
        descriptors: vec![number],
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

/// An error that came while looking into a process, in words.
pub fn why(target: &Target, error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Refusal::of(target).to_string(),
        Some(libc::ENOSYS) => {
            "this kernel has no pidfd_getfd(2) (Linux 5.6 does), or a seccomp filter hides it"
                .into()
        }
        Some(libc::EMFILE) => "no descriptor is left for this command (ulimit -n)".into(),
        _ => error.to_string(),
    }
}
