//! Network namespaces: the kernel's own values in each, and its TCP sockets.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::sock_diag::{Entry, SockDiag, Timer};
use super::{Error, OpenProcess};
use crate::sys::kernel::Kernel;
use crate::text::error::describe;

/// Network namespaces, each looked into once.
#[derive(Default)]
pub struct Namespaces(HashMap<u64, Rc<Namespace>>);

impl Namespaces {
    /// The network namespace of a process.
    pub fn get(&mut self, process: &OpenProcess) -> io::Result<Rc<Namespace>> {
        let (file, inode) = process.network_namespace()?;
        if let Some(known) = self.0.get(&inode) {
            return Ok(known.clone());
        }
        let own = rustix::fs::stat("/proc/thread-self/ns/net")?.st_ino;
        let namespace =
            if inode == own { Namespace::own() } else { Namespace::enter(file.as_fd()) };
        Ok(self.0.entry(inode).or_insert(Rc::new(namespace)).clone())
    }
}

/// A network namespace.
pub struct Namespace {
    /// The kernel's own values, if the namespace may be entered.
    pub kernel: Result<Kernel, Error>,
    /// Opened in the namespace, it can be asked from outside of it.
    sock_diag: Result<SockDiag, Error>,
    sockets: OnceCell<Result<HashMap<u64, Entry>, Error>>,
}

impl Namespace {
    /// This process's own.
    pub fn own() -> Self {
        Self {
            kernel: Kernel::new().map_err(Error::from),
            sock_diag: SockDiag::open().map_err(no_timers),
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
        entered.unwrap_or_else(|error: io::Error| {
            let error = exhaustion(&error).unwrap_or(Error::NoNamespace(describe(&error)));
            Self { kernel: Err(error.clone()), sock_diag: Err(error), sockets: OnceCell::new() }
        })
    }

    /// Every TCP socket that is bound, listens or is connected, by inode; asked for once.
    pub fn sockets(&self) -> Result<&HashMap<u64, Entry>, &Error> {
        let ask = || self.sock_diag.as_ref().map_err(Error::clone)?.sockets().map_err(no_timers);
        self.sockets.get_or_init(ask).as_ref()
    }

    /// The timer that runs for one connection now; None if none runs, or if it cannot be asked.
    pub fn timer(&self, inode: u64, local: SocketAddr, remote: SocketAddr) -> Option<Timer> {
        self.sock_diag.as_ref().ok()?.timer(inode, local, remote)
    }
}

/// What an error of sock_diag(7) means.
fn no_timers(error: io::Error) -> Error {
    exhaustion(&error).unwrap_or(Error::NoTimers(describe(&error)))
}

/// The error, if it means that this process, or the machine, has run out of something.
fn exhaustion(error: &io::Error) -> Option<Error> {
    Some(Error::from(error)).filter(Error::is_exhaustion)
}
