//! What a worker has left out, in words.

use super::Process;
use super::user::user_name;
use crate::text;
use crate::worker::{Hang, Lock, Worker};

/// A line for each process whose memory is left out, and for each user of whom processes are left out
/// unasked. (Where the sockets of a process are left out, its own outcome says so.)
pub fn left_out(worker: &Worker) -> Vec<String> {
    let hangs = worker.left_out().filter(|hang| hang.lock == Lock::Memory);
    let mut lines: Vec<_> = hangs.map(|hang| describe_hang(&hang)).collect();
    lines.sort();
    let users = worker.unasked().into_iter();
    lines.extend(users.map(|(user, number)| describe_unasked(user, Some(number))));
    lines
}

/// Which process holds up this command, and how.
pub fn describe_hang(Hang { process, lock }: &Hang) -> String {
    match Process::from_pid(process.pid) {
        Ok(process) => format!("{process}: {lock}"),
        Err(_) => format!("{}: {lock}", process.pid),
    }
}

/// Of whom processes are left out, and how many if that stays the same.
pub fn describe_unasked(user: u32, number: Option<usize>) -> String {
    let name = user_name(user).unwrap_or_else(|| user.to_string());
    let what = number.map_or("processes".into(), |number| text::count(number, "process"));
    format!("user {name}: {what} left out, since others of this user hold up this command")
}
