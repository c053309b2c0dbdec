//! The outcome for each socket, and the count of the outcomes of a process, in words.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::plan::{LeftAlone, Plan, Refused};
use super::silent::Silent;
use crate::process::State;
use crate::values::Values;

/// The outcome for one socket.
#[derive(Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// It does not speak TCP.
    NotTcp,
    /// It is not one of those that `--port` and `--remote` select.
    NotChosen,
    /// It stays as it is.
    LeftAlone(LeftAlone),
    /// It has been changed, or would be.
    Changed(Change),
    /// The kernel refused a call.
    Failed(Refused),
}

/// A socket that has been changed, or would be.
#[derive(Debug, Serialize, Deserialize)]
pub struct Change {
    /// What was set, or will be once the peer answers.
    pub plan: Plan,
    /// The state of the connection.
    pub state: State,
    /// Which options it does not have, though they are to be set.
    #[serde(with = "crate::values::as_list")]
    pub lacking: Values<bool>,
    /// Set if the user timeout waits for an answer of the peer.
    pub silent: Option<Silent>,
}

impl Outcome {
    /// In words, for `--debug`; what was refused is reported at the end.
    pub fn describe(&self) -> Option<String> {
        match self {
            Self::NotTcp | Self::Failed(_) => None,
            Self::NotChosen => Some("not chosen by --port or --remote".into()),
            Self::LeftAlone(LeftAlone::SetAlready) => Some("set already".into()),
            Self::LeftAlone(LeftAlone::OwnTimes) => {
                Some("left alone: the program, or an earlier attach, set its times".into())
            }
            Self::Changed(change) => Some(change.plan.describe()),
        }
    }
}

/// The outcomes for the sockets of one process.
#[derive(Default)]
pub struct Tally {
    connections: usize,
    listening: usize,
    unconnected: usize,
    set_already: usize,
    own_times: usize,
    not_chosen: usize,
    /// How many of those that have been changed lack an option.
    lacking: Values<usize>,
    /// Those whose user timeout waits for an answer of the peer.
    pub silent: Vec<Silent>,
    /// What the kernel refused, with the descriptor.
    pub refused: Vec<(i32, Refused)>,
}

impl Tally {
    /// Counts a socket.
    pub fn add(&mut self, fd: i32, outcome: Outcome) {
        match outcome {
            Outcome::NotTcp => {}
            Outcome::NotChosen => self.not_chosen += 1,
            Outcome::LeftAlone(LeftAlone::SetAlready) => self.set_already += 1,
            Outcome::LeftAlone(LeftAlone::OwnTimes) => self.own_times += 1,
            Outcome::Failed(refused) => self.refused.push((fd, refused)),
            Outcome::Changed(change) => {
                match change.state {
                    State::LISTEN => self.listening += 1,
                    State::CLOSED => self.unconnected += 1,
                    _ => self.connections += 1,
                }
                let both = self.lacking.zip(change.lacking);
                self.lacking = both.map(|_, (number, lacks)| number + usize::from(lacks));
                self.silent.extend(change.silent);
            }
        }
    }

    /// The peer of a socket, known by its inode, was heard.
    pub fn answered(&mut self, inode: u64, refused: Option<Refused>) {
        let index = self.silent.iter().position(|silent| silent.inode == inode);
        let Some(silent) = index.map(|index| self.silent.swap_remove(index)) else { return };
        self.refused.extend(refused.map(|refused| (silent.fd, refused)));
    }

    /// Adds the outcomes for another process.
    pub fn add_all(&mut self, other: Self) {
        self.connections += other.connections;
        self.listening += other.listening;
        self.unconnected += other.unconnected;
        self.set_already += other.set_already;
        self.own_times += other.own_times;
        self.not_chosen += other.not_chosen;
        self.lacking = self.lacking.zip(other.lacking).map(|_, (own, others)| own + others);
        self.silent.extend(other.silent);
        self.refused.extend(other.refused);
    }

    /// Whether there was no socket.
    pub fn is_empty(&self) -> bool {
        let alone = self.set_already + self.own_times + self.not_chosen;
        self.changed() + alone + self.refused.len() == 0
    }

    /// How many sockets have been changed.
    pub fn changed(&self) -> usize {
        self.connections + self.listening + self.unconnected
    }

    /// Whether one of them is a listening socket.
    pub fn has_listening(&self) -> bool {
        self.listening > 0
    }

    /// In words.
    pub fn describe(&self, is_dry_run: bool) -> String {
        let left = listed(&[
            (self.set_already, "set already"),
            (
                self.own_times,
                "with times that the program or an earlier attach set (--force changes them)",
            ),
            (self.not_chosen, "not chosen by --port or --remote"),
        ]);
        if self.is_empty() {
            return "no TCP sockets".into();
        }
        let kinds = listed(&[
            (self.connections, "connected"),
            (self.listening, "listening"),
            (self.unconnected, "unconnected"),
        ]);
        let plural = if self.changed() == 1 { "" } else { "s" };
        let verb = if is_dry_run { "would be changed" } else { "changed" };
        let mut text = format!("{} socket{plural} {verb}", self.changed());
        if !kinds.is_empty() {
            let _ = write!(text, " ({kinds})");
        }
        if !left.is_empty() {
            let _ = write!(text, "; left alone: {left}");
        }
        if !self.refused.is_empty() {
            let _ = write!(text, "; refused: {}", self.refused.len());
        }
        for (option, number) in self.lacking.iter().filter(|(_, number)| *number > 0) {
            let _ = write!(
                text,
                "; without {}, which Multipath TCP and older kernels do not have: {number}",
                option.name.to_string_lossy()
            );
        }
        if !self.silent.is_empty() {
            let _ = write!(
                text,
                "; not answering so far, and so left to the count of probes without the user \
                 timeout: {}",
                self.silent.len()
            );
        }
        text
    }
}

/// `3 connected, 1 listening`: the numbers that are not 0.
fn listed(numbers: &[(usize, &str)]) -> String {
    let present = numbers.iter().filter(|(number, _)| *number > 0);
    present.map(|(number, what)| format!("{number} {what}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_names_what_was_left_alone_and_why() {
        let tally = Tally { connections: 3, listening: 1, own_times: 2, ..Tally::default() };
        assert_eq!(
            tally.describe(false),
            "4 sockets changed (3 connected, 1 listening); left alone: 2 with times that the \
             program or an earlier attach set (--force changes them)"
        );
        let tally = Tally { set_already: 1, ..Tally::default() };
        assert_eq!(tally.describe(true), "0 sockets would be changed; left alone: 1 set already");
        assert_eq!(Tally::default().describe(false), "no TCP sockets");
    }
}
