//! Peers that have been silent for long, and the user timeout.
//!
//! The kernel counts the user timeout from when the peer was last heard, so with it a single lost
//! probe would end a living connection: it is set only once the peer has answered the probe that
//! keepalive sends at once.

use std::time::{Duration, Instant};

use options::USER_TIMEOUT;

use crate::process::{Duplicate, Process, Target, vanished};

/// How long living peers are given to answer.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// A socket whose peer has been silent for longer than the idle time.
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
    /// Whether the peer was heard, and the user timeout is set now; also if the socket is gone.
    fn answered(&self, target: &Target) -> bool {
        let Ok(socket) = Duplicate::of(target, self.fd, self.inode) else { return true };
        if socket.inode().ok() != Some(self.inode) {
            return true;
        }
        let heard = socket.info().is_ok_and(|info| info.silent_for < self.idle);
        heard && socket.set(&USER_TIMEOUT, self.user_timeout).is_ok()
    }
}

/// Sets the user timeouts that wait, on the sockets whose peers answer in time. The others are left.
pub fn wait_for_answers(waiting: &mut [(&Process, &mut Vec<Silent>)]) {
    let end = Instant::now() + ANSWER_TIME;
    while waiting.iter().any(|(_, sockets)| !sockets.is_empty()) && Instant::now() < end {
        std::thread::sleep(ANSWER_TIME / 10);
        for (process, sockets) in waiting.iter_mut().filter(|(_, sockets)| !sockets.is_empty()) {
            let asked = process.with(|target| {
                sockets.retain(|socket| !socket.answered(target));
                Ok(())
            });
            if asked.is_err_and(|error| vanished(&error)) {
                sockets.clear();
            }
        }
    }
}
