//! Peers that have been silent for long, and the user timeout.
//!
//! The kernel counts the user timeout from when the peer was last heard, so with it a single lost
//! probe would end a living connection: it is set only once the peer has answered the probe that
//! keepalive sends at once.

use std::time::{Duration, Instant};

use options::USER_TIMEOUT;
use rustix::io::Errno;

use super::plan::{assignment, refusal};
use super::tally::Tally;
use crate::process::{self, Duplicate, OpenProcess, Process};

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
    /// Sets the user timeout if the peer was heard. False while it was not.
    fn set_if_heard(&self, process: &OpenProcess) -> Result<bool, Errno> {
        let Ok(socket) = Duplicate::open(process, self.fd, self.inode) else { return Ok(true) };
        if socket.inode().ok() != Some(self.inode) {
            // Closed meanwhile.
            return Ok(true);
        }
        let is_heard = socket.info().is_ok_and(|info| info.silent_for < self.idle);
        if is_heard {
            socket.set(&USER_TIMEOUT, self.user_timeout)?;
        }
        Ok(is_heard)
    }
}

/// Sets the user timeouts that wait, on the sockets whose peers answer in time. The others are left.
pub fn wait_for_answers(waiting: &mut [(&Process, &mut Tally)]) {
    let end = Instant::now() + ANSWER_TIME;
    while waiting.iter().any(|(_, tally)| !tally.silent.is_empty()) && Instant::now() < end {
        std::thread::sleep(ANSWER_TIME / 10);
        for (process, tally) in waiting.iter_mut().filter(|(_, tally)| !tally.silent.is_empty()) {
            let asked = process.with(|target| {
                let Tally { silent, failures, .. } = &mut **tally;
                silent.retain(|socket| match socket.set_if_heard(target) {
                    Ok(is_heard) => !is_heard,
                    Err(error) => {
                        let what = refusal(&assignment(&USER_TIMEOUT, socket.user_timeout), error);
                        failures.push(format!("fd {}: {what}", socket.fd));
                        false
                    }
                });
                Ok(())
            });
            if asked == Err(process::Error::Ended) {
                tally.silent.clear();
            }
        }
    }
}
