//! Looking into processes: everything that can be found out about their TCP sockets.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustix::io::Errno;

use super::cgroup::{Place, mounted_at};
use super::command_line::CommandLine;
use super::denied::Denied;
use super::error::{Error, is_denied};
use super::library::library_values;
use super::namespace::{Namespace, Namespaces, copy};
use super::sock_diag::{Entry, Timer};
use super::socket::{Duplicate, Info, Options, Protocol, State};
use super::timer::{is_older_than_options, longest_pause};
use super::user::user_name;
use super::{OpenProcess, Process};
use crate::sys::kernel::Kernel;
use crate::text::error::describe;
use crate::values::Values;
use crate::worker::hang::{left_out, reading_memory};

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
}

/// What may be seen of a process.
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
    pub library_values: Values<Option<u32>>,
    /// The kernel's defaults in the network namespace of its sockets, if they are known.
    pub kernel: Option<Kernel>,
    /// None if they are not known.
    pub sockets: Option<Vec<Socket>>,
    /// Why something is missing.
    pub trouble: Option<Error>,
}

/// Whether the preload library is loaded in a process.
pub enum Library {
    Loaded(PathBuf),
    NotLoaded,
    Unknown,
}

/// The sockets of a process.
#[derive(Default)]
struct Found {
    sockets: Vec<Socket>,
    /// The values of their network namespace.
    kernel: Option<Kernel>,
    /// Why something is missing.
    trouble: Option<Error>,
}

/// Looks into processes, and remembers what they have in common.
#[derive(Default)]
pub struct Inspector {
    namespaces: Namespaces,
    /// Whether nothing else is looked at where a process has no TCP sockets: most of those of a
    /// host have none.
    is_for_sockets: bool,
    /// Where the cgroup v2 tree is mounted.
    cgroup_root: OnceCell<Option<PathBuf>>,
    /// Users' names, by number.
    users: HashMap<u32, String>,
}

impl Inspector {
    /// `is_for_sockets`: processes without TCP sockets need not be told apart.
    pub fn new(is_for_sockets: bool) -> Self {
        Self { is_for_sockets, ..Self::default() }
    }

    /// Everything about a process; None if it has ended. An error is this command's own: it cannot
    /// go on.
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
            match self.sockets(&process, opened) {
                Err(error) if is_denied(&error) => {
                    seen.trouble = Some(Error::new(process.pid, &error));
                    seen.sockets = None;
                }
                found => {
                    let found = found?;
                    (seen.trouble, seen.kernel) = (found.trouble, found.kernel);
                    seen.sockets = Some(found.sockets);
                }
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
        seen.cgroup =
            root.as_ref().zip(seen.place.path.as_ref()).map(|(root, path)| root.join(path));
        // Its directory belongs to root where it is not dumpable.
        let uid = opened.status().map(|status| status.euid).ok();
        seen.user = uid.map(|uid| {
            let name = || user_name(uid).unwrap_or_else(|| uid.to_string());
            self.users.entry(uid).or_insert_with(name).clone()
        });
        let pid = seen.process.pid;
        if left_out(pid).is_some() {
            return Ok(());
        }
        let (line, library) = reading_memory(pid, || (opened.command_line(), opened.library()));
        let program = opened.program().ok();
        let program = program.as_ref().map(|path| path.to_string_lossy());
        seen.command_line = line.unwrap_or_default();
        seen.described = seen.command_line.describe(program.as_deref());
        seen.library = match library {
            Ok(Some(path)) => Library::Loaded(path),
            Ok(None) => Library::NotLoaded,
            Err(error) if is_denied(&error) => Library::Unknown,
            Err(error) => return Err(error),
        };
        if let Library::Loaded(_) = seen.library {
            let environment = reading_memory(pid, || opened.environment());
            seen.library_values = library_values(&environment.unwrap_or_default());
        }
        Ok(())
    }

    fn sockets(&mut self, process: &Process, opened: &OpenProcess) -> io::Result<Found> {
        let fds = opened.sockets()?;
        if fds.is_empty() {
            return Ok(Found::default());
        }
        let namespace = self.namespaces.get(opened)?;
        let entries = match namespace.sockets() {
            Err(error) if Error::from(error).is_exhaustion() => return Err(copy(error)),
            entries => entries,
        };
        let mut trouble = entries.err().map(|error| match namespace.kernel {
            Ok(_) => Error::NoTimers(describe(error)),
            Err(_) => Error::NoNamespace(describe(error)),
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
            let (inode, socket) = match Duplicate::open(opened, fd, inode) {
                Ok(duplicate) => {
                    // The descriptor may have become another socket's.
                    let inode = duplicate.inode()?;
                    let mut socket = look(&duplicate, fd, inode, entry(inode));
                    socket.iter_mut().for_each(|socket| ask_again(socket, &namespace));
                    (inode, socket)
                }
                Err(Errno::PERM | Errno::ACCESS) if entries.is_ok() => {
                    trouble = Some(Error::OptionsDenied(Denied::from_pid(process.pid)));
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
        let kernel = namespace.kernel.as_ref().ok().copied();
        Ok(Found { sockets: sockets.into_iter().flatten().collect(), kernel, trouble })
    }
}

/// What can be seen of a socket; None if it does not speak TCP.
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
        // Known without two more calls.
        local: entry.map_or_else(|| duplicate.local(), |entry| Some(entry.local)),
        remote: entry.map_or_else(|| duplicate.remote(), |entry| entry.remote),
        options,
        timer,
        info,
    })
}

/// Asks again for a timer that seems to be older than the options: the program may have set them
/// after all timers were asked for.
fn ask_again(socket: &mut Socket, namespace: &Namespace) {
    let pause = socket.options.and_then(|options| longest_pause(&options.values));
    let seems_old = |(timer, pause): (Timer, u32)| is_older_than_options(&timer, pause);
    if socket.timer.zip(pause).is_some_and(seems_old) {
        let addresses = socket.local.zip(socket.remote);
        socket.timer =
            addresses.and_then(|(local, remote)| namespace.timer(socket.inode, local, remote));
    }
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
    }
}
