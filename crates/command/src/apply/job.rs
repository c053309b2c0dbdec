//! Sets the sockets of processes in children (worker/): what came of each socket is known as soon as
//! it is set, so where a child hangs another goes on after that socket.

use std::collections::HashSet;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Applier, Outcome, Refused, Seen, Tally};
use crate::find::Selection;
use crate::process::{self, Process};
use crate::settings::{RequestedSettings, Settings};
use crate::worker::{self, Sender, Worker, is_put_off, is_unasked, put_hung_socket_last};

/// How long living peers are given to answer.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// What to set.
pub struct Job<'a> {
    pub settings: &'a RequestedSettings,
    /// On which sockets.
    pub selection: &'a Selection,
    /// Whether nothing is to be changed.
    pub is_dry_run: bool,
    /// What was set here before: values of these are not the program's own.
    pub previous: Option<Settings>,
    /// Whether to wait a moment for peers that have been silent for long.
    pub waits_for_answers: bool,
}

impl<'a> Job<'a> {
    /// That of a follower, which looks again.
    pub fn to_follow(settings: &'a RequestedSettings, selection: &'a Selection) -> Self {
        let (is_dry_run, previous, waits_for_answers) = (false, None, false);
        Self { settings, selection, is_dry_run, previous, waits_for_answers }
    }
}

/// A process, and those of its sockets that are to be set, by descriptor and inode: None for all.
pub type ProcessSockets = (Process, Option<Vec<(i32, u64)>>);

/// What is done, one thing after the other.
#[derive(Serialize, Deserialize)]
pub enum Step {
    /// The process has so many sockets.
    Sockets(usize),
    /// This came of a socket.
    Socket(Seen, Outcome),
    /// The peer of a socket, known by its inode, was heard, and its user timeout is set or refused.
    Answered(u64, Option<Refused>),
    /// All sockets of the process are done, or the process cannot be looked into.
    End(Option<process::Error>),
}

/// What came of a process.
#[derive(Default)]
pub struct Applied {
    pub tally: Tally,
    /// None if it was left out because others of its user hang.
    pub end: Option<Result<(), process::Error>>,
    /// How many sockets it has.
    sockets: usize,
    /// The sockets that are done, by inode.
    pub(super) done: HashSet<u64>,
}

impl Applied {
    fn add(&mut self, step: Step) {
        match step {
            Step::Sockets(number) => self.sockets = number,
            Step::Socket(seen, outcome) => {
                self.done.insert(seen.inode);
                self.tally.add(seen.fd, outcome);
            }
            Step::Answered(inode, refused) => self.tally.answered(inode, refused),
            Step::End(error) => self.end = Some(error.map_or(Ok(()), Err)),
        }
    }
}

/// Does the job on these processes, and tells `observe` of each step. Ends early if `stop` can be
/// read.
pub fn apply(
    worker: &mut Worker,
    job: &Job,
    targets: &[ProcessSockets],
    stop: Option<BorrowedFd<'_>>,
    mut observe: impl FnMut(&Process, &Step),
) -> Result<Vec<Applied>, worker::Error> {
    let mut applied: Vec<_> = targets.iter().map(|_| Applied::default()).collect();
    let receive = |applied: &mut Vec<Applied>, (index, step): (usize, Step)| {
        observe(&targets[index].0, &step);
        applied[index].add(step);
    };
    worker.run(
        &mut applied,
        stop,
        |applied, sender| work(job, targets, applied, sender),
        receive,
    )?;
    Ok(applied)
}

/// In a child: does what earlier children have not done.
fn work(
    job: &Job,
    targets: &[ProcessSockets],
    applied: &mut [Applied],
    sender: &Sender<(usize, Step)>,
) {
    let mut applier = Applier::new(job);
    let mut left: Vec<_> = targets.iter().zip(&mut *applied).enumerate().collect();
    left.retain(|(_, (_, applied))| applied.end.is_none());
    left.sort_by_key(|(_, ((process, _), _))| is_put_off(process.pid));
    for (index, ((process, sockets), applied)) in left {
        if is_unasked(process.id()) {
            continue;
        }
        let step = |applied: &mut Applied, step| {
            let message = (index, step);
            sender.send(&message);
            applied.add(message.1);
        };
        let result = process.with(|target| {
            let mut sockets = sockets.clone().map_or_else(|| target.sockets(), Ok)?;
            let inodes: HashSet<_> = sockets.iter().map(|(_, inode)| inode).collect();
            if applied.sockets == 0 {
                step(applied, Step::Sockets(inodes.len()));
            }
            put_hung_socket_last(process.id(), &mut sockets);
            applier.process(target, &sockets, applied, step)
        });
        step(applied, Step::End(result.err()));
    }
    if job.waits_for_answers && !job.is_dry_run {
        wait_for_answers(targets, applied, |applied, index, step| {
            let message = (index, step);
            sender.send(&message);
            applied.add(message.1);
        });
    }
}

/// Sets the user timeouts that wait, on the sockets whose peers answer in time. The others are left.
fn wait_for_answers(
    targets: &[ProcessSockets],
    applied: &mut [Applied],
    mut step: impl FnMut(&mut Applied, usize, Step),
) {
    let end = Instant::now() + ANSWER_TIME;
    let is_waiting =
        |applied: &Applied| !applied.tally.silent.is_empty() && matches!(applied.end, Some(Ok(())));
    while applied.iter().any(is_waiting) && Instant::now() < end {
        std::thread::sleep(ANSWER_TIME / 10);
        let all = targets.iter().zip(&mut *applied).enumerate();
        for (index, ((process, _), applied)) in all.filter(|(_, (_, it))| is_waiting(it)) {
            let asked = process.with(|target| {
                for silent in applied.tally.silent.clone() {
                    match silent.set_if_heard(target) {
                        Ok(false) => {}
                        result => step(applied, index, Step::Answered(silent.inode, result.err())),
                    }
                }
                Ok(())
            });
            if asked == Err(process::Error::Ended) {
                for silent in applied.tally.silent.clone() {
                    step(applied, index, Step::Answered(silent.inode, None));
                }
            }
        }
    }
}
