//! Network namespaces: the kernel's own values in each, and its TCP sockets.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::OpenProcess;
use super::sock_diag::{Entry, SockDiag, Timer};
use crate::sys::kernel::Kernel;

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
    pub kernel: io::Result<Kernel>,
    /// Opened in the namespace, it can be asked from outside of it.
    sock_diag: io::Result<SockDiag>,
    sockets: OnceCell<io::Result<HashMap<u64, Entry>>>,
}

impl Namespace {
    /// This process's own.
    pub fn own() -> Self {
        Self { kernel: Kernel::new(), sock_diag: SockDiag::open(), sockets: OnceCell::new() }
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
            sock_diag: Err(copy(&error)),
            kernel: Err(error),
            sockets: OnceCell::new(),
        })
    }

    /// Every TCP socket that is bound, listens or is connected, by inode; asked for once.
    pub fn sockets(&self) -> Result<&HashMap<u64, Entry>, &io::Error> {
        let ask = || self.sock_diag.as_ref().map_err(copy)?.sockets();
        self.sockets.get_or_init(ask).as_ref()
    }

    /// The timer that runs for one connection now; None if none runs, or if it cannot be asked.
    pub fn timer(&self, inode: u64, local: SocketAddr, remote: SocketAddr) -> Option<Timer> {
        self.sock_diag.as_ref().ok()?.timer(inode, local, remote)
    }
}

/// An error once more, which [`io::Error`] itself does not offer.
pub fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(
        || io::Error::new(error.kind(), error.to_string()),
        io::Error::from_raw_os_error,
    )
}
