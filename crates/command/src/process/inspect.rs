//! Looking into processes: everything that can be found out about their TCP sockets.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::cgroup::{Place, mounted_at};
use super::command_line::CommandLine;
use super::denied::Denied;
use super::error::{Error, is_denied};
use super::library::library_values;
use super::namespace::{Namespace, Namespaces};
use super::sock_diag::{Entry, Timer};
use super::socket::{Duplicate, Info, Options, Protocol, State};
use super::timer::{is_older_than_options, longest_pause};
use super::user::user_name;
use super::{OpenProcess, Process};
use crate::sys::kernel::Kernel;
use crate::values::Values;
use crate::worker::{reading_memory, why_left_out};

/// A TCP socket of a process.
#[derive(Serialize, Deserialize)]
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
}

/// What may be seen of a process.
#[derive(Serialize, Deserialize)]
pub struct Inspected {
    pub process: Process,
    /// Its unit and its container.
    pub place: Place,
    /// The user that it runs as, by name if there is one.
    pub user: Option<String>,
    /// What it was started as.
    pub command_line: CommandLine,
    /// The same in one line, which tells it from others.
    pub described: String,
    /// The directory of its cgroup in the v2 tree, if that is known.
    pub cgroup: Option<PathBuf>,
    /// The preload library that is loaded in it.
    pub library: Library,
    /// The values that the library sets in it.
    #[serde(with = "crate::values::as_list")]
    pub library_values: Values<Option<u32>>,
    /// The kernel's defaults in the network namespace of its sockets, if they are known.
    pub kernel: Option<Kernel>,
    /// None if they are not known.
    pub sockets: Option<Vec<Socket>>,
    /// Why something is missing.
    pub trouble: Option<Error>,
}

/// Whether the preload library is loaded in a process.
#[derive(Serialize, Deserialize)]
pub enum Library {
    Loaded(String),
    NotLoaded,
    Unknown,
}

/// Looks into processes, and remembers what they have in common.
#[derive(Default)]
pub struct Inspector {
    namespaces: Namespaces,
    /// Whether nothing else is asked of a process without TCP sockets: most of a host's have none.
    is_for_sockets: bool,
    /// Where the cgroup v2 tree is mounted.
    cgroup_root: OnceCell<Option<PathBuf>>,
    /// Users' names, by number.
    users: HashMap<u32, String>,
}

impl Inspector {
    /// `is_for_sockets`: of a process without TCP sockets nothing else is asked.
    pub fn new(is_for_sockets: bool) -> Self {
        Self { is_for_sockets, ..Self::default() }
    }

    /// Everything about a process; None if it has ended. An error means that this command cannot go
    /// on.
    pub fn inspect(&mut self, process: Process) -> Result<Option<Inspected>, Error> {
        let mut seen = Inspected {
            place: Place::default(),
            user: None,
            command_line: CommandLine::default(),
            described: String::new(),
            cgroup: None,
            library: Library::Unknown,
            library_values: Values::default(),
            kernel: None,
            sockets: None,
            trouble: None,
            process: process.clone(),
        };
        let look = |opened: &OpenProcess| {
            match self.find_sockets(&mut seen, opened) {
                Err(error) if is_denied(&error) => {
                    (seen.sockets, seen.trouble) = (None, Some(Error::new(process.pid, &error)));
                }
                result => result?,
            }
            if !self.is_for_sockets || seen.sockets.as_ref().is_none_or(|it| !it.is_empty()) {
                self.identify(&mut seen, opened)?;
            }
            Ok(())
        };
        match process.with(look) {
            Ok(()) => {}
            Err(Error::Ended) => return Ok(None),
            Err(error) if error.is_exhaustion() => return Err(error),
            Err(error) => seen.trouble = Some(error),
        }
        Ok(Some(seen))
    }

    /// Adds which process it is, and the values that the library sets in it.
    fn identify(&mut self, seen: &mut Inspected, opened: &OpenProcess) -> io::Result<()> {
        seen.place = opened.place().unwrap_or_default();
        let root = self.cgroup_root.get_or_init(|| mounted_at().ok());
        let root = root.as_ref().filter(|root| root.to_str().is_some());
        seen.cgroup = root.zip(seen.place.path.as_ref()).map(|(root, path)| root.join(path));
        // Its directory belongs to root where it is not dumpable.
        let uid = opened.status().map(|status| status.euid).ok();
        seen.user = uid.map(|uid| {
            let name = || user_name(uid).unwrap_or_else(|| uid.to_string());
            self.users.entry(uid).or_insert_with(name).clone()
        });
        let id = seen.process.id();
        if why_left_out(id).is_some() {
            return Ok(());
        }
        let (line, library) = reading_memory(id, || (opened.command_line(), opened.library()));
        let program = opened.program().ok();
        let program = program.as_ref().map(|path| path.to_string_lossy());
        seen.command_line = line.unwrap_or_default();
        seen.described = seen.command_line.describe(program.as_deref());
        seen.library = match library {
            // Bytes that are no text cannot be sent, nor shown.
            Ok(Some(path)) => Library::Loaded(path.to_string_lossy().into_owned()),
            Ok(None) => Library::NotLoaded,
            Err(error) if is_denied(&error) => Library::Unknown,
            Err(error) => return Err(error),
        };
        if let Library::Loaded(_) = seen.library {
            let environment = reading_memory(id, || opened.environment());
            seen.library_values = library_values(&environment.unwrap_or_default());
        }
        Ok(())
    }

    /// Adds its sockets, and what is the same for all of them.
    fn find_sockets(&mut self, seen: &mut Inspected, opened: &OpenProcess) -> io::Result<()> {
        let fds = opened.sockets()?;
        (seen.sockets, seen.trouble) = (Some(Vec::new()), None);
        if fds.is_empty() {
            return Ok(());
        }
        let namespace = self.namespaces.get(opened)?;
        seen.kernel = namespace.kernel.as_ref().ok().copied();
        let entries = namespace.sockets();
        seen.trouble = entries.err().cloned();
        if let Some(error) = seen.trouble.as_ref().filter(|error| error.is_exhaustion()) {
            return Err(io::Error::other(error.clone()));
        }
        let entry = |inode| entries.ok().and_then(|entries| entries.get(&inode));
        // By inode, since several descriptors can refer to one socket. None is no TCP socket.
        let mut sockets: HashMap<u64, Option<Socket>> = HashMap::new();
        for (fd, listed) in fds {
            if let Some(known) = sockets.get_mut(&listed) {
                known.iter_mut().for_each(|socket| socket.fds.push(fd));
                continue;
            }
            let (inode, socket) = match Duplicate::open(opened, fd, listed) {
                Ok(duplicate) => {
                    // The descriptor may have become another socket's.
                    let inode = duplicate.inode()?;
                    (inode, look(&duplicate, inode, entry(inode), &namespace))
                }
                Err(Errno::PERM | Errno::ACCESS) if entries.is_ok() => {
                    let denied = || Error::OptionsDenied(Denied::from_pid(seen.process.pid));
                    seen.trouble.get_or_insert_with(denied);
                    (listed, entry(listed).map(|entry| without_options(listed, entry)))
                }
                // Closed meanwhile.
                Err(Errno::BADF) => continue,
                Err(error) => return Err(error.into()),
            };
            if let Some(socket) = sockets.entry(inode).or_insert(socket) {
                socket.fds.push(fd);
            }
        }
        let mut sockets: Vec<_> = sockets.into_values().flatten().collect();
        sockets.sort_by_key(|socket| socket.fds.first().copied());
        seen.sockets = Some(sockets);
        Ok(())
    }
}

/// What can be seen of a socket; None if it does not speak TCP.
fn look(
    duplicate: &Duplicate,
    inode: u64,
    entry: Option<&Entry>,
    namespace: &Namespace,
) -> Option<Socket> {
    let protocol = duplicate.protocol()?;
    let options = duplicate.options().ok();
    let info = duplicate.info().ok();
    let state = entry.map(|entry| entry.state).or(info.map(|info| info.state));
    let state = state.unwrap_or(State::CLOSED);
    // Known without two more calls.
    let local = entry.map_or_else(|| duplicate.local(), |entry| Some(entry.local));
    let remote = entry.map_or_else(|| duplicate.remote(), |entry| entry.remote);
    let mut timer = entry.and_then(|entry| entry.timer);
    let pause = options.and_then(|options| longest_pause(&options.values));
    // The program may have set the options after all timers were asked for.
    if timer.zip(pause).is_some_and(|(timer, pause)| is_older_than_options(&timer, pause)) {
        timer = local.zip(remote).and_then(|(local, remote)| namespace.timer(inode, local, remote));
    }
    let info = info.filter(|_| state.is_connection());
    Some(Socket { fds: Vec::new(), inode, protocol, state, local, remote, options, timer, info })
}

/// A socket as sock_diag alone shows it.
fn without_options(inode: u64, entry: &Entry) -> Socket {
    Socket {
        fds: Vec::new(),
        inode,
        protocol: Protocol::Tcp,
        state: entry.state,
        local: Some(entry.local),
        remote: entry.remote,
        options: None,
        timer: entry.timer,
        info: None,
    }
}
