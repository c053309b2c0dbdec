//! Peers that have been silent for long, and the user timeout.
//!
//! The kernel counts the user timeout from when the peer was last heard, so with it a single lost
//! probe would end a living connection: it is set only once the peer has answered the probe that
//! keepalive sends at once.

use std::time::Duration;

use options::USER_TIMEOUT;
use serde::{Deserialize, Serialize};

use super::plan::Refused;
use crate::process::{Duplicate, OpenProcess};

/// A socket whose peer has been silent for longer than the idle time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Silent {
    /// Its descriptor in the process.
    pub fd: i32,
    /// Its inode: the descriptor may have become another socket's.
    pub inode: u64,
    /// A peer that was heard more recently has answered.
    pub idle: Duration,
    /// The timeout that waits, in milliseconds.
    pub user_timeout: u32,
}

impl Silent {
    /// Sets the user timeout if the peer was heard. False while it was not.
    pub fn set_if_heard(&self, process: &OpenProcess) -> Result<bool, Refused> {
        let Ok(socket) = Duplicate::open(process, self.fd, self.inode) else { return Ok(true) };
        if socket.inode().ok() != Some(self.inode) {
            // Closed meanwhile.
            return Ok(true);
        }
        let is_heard = socket.info().is_ok_and(|info| info.silent_for < self.idle);
        if is_heard {
            let set = socket.set(&USER_TIMEOUT, self.user_timeout);
            set.map_err(|error| Refused::set(&USER_TIMEOUT, self.user_timeout, error))?;
        }
        Ok(is_heard)
    }
}
