//! What is new and what has changed since the last look.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::view::View;
use crate::process::Socket;

/// A socket, or with 0 in place of the inode a process. (No socket has the inode 0.)
pub type Key = (i32, u64);

/// What a look has seen: a hash of each socket's and each process's state, but for what passes
/// with time.
pub type Seen = HashMap<Key, u64>;

/// What is new or has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    New,
    Changed,
}

impl Mark {
    pub fn sign(self) -> &'static str {
        match self {
            Self::New => "+",
            Self::Changed => "~",
        }
    }
}

/// The marks of a look.
#[derive(Debug, Default)]
pub struct Marks(HashMap<Key, Mark>);

impl Marks {
    /// From the look before, if there was one.
    pub fn new(before: Option<&Seen>, now: &Seen) -> Self {
        let Some(before) = before else { return Self::default() };
        let mark = |key| match before.get(key) {
            None => Some(Mark::New),
            Some(hash) if now[key] != *hash => Some(Mark::Changed),
            Some(_) => None,
        };
        Self(now.keys().filter_map(|key| Some((*key, mark(key)?))).collect())
    }

    pub fn socket(&self, pid: i32, socket: &Socket) -> Option<Mark> {
        self.0.get(&(pid, socket.inode)).copied()
    }

    /// How many sockets are new, and how many have changed.
    pub fn sockets(&self) -> (usize, usize) {
        let number = |wanted| {
            self.0.iter().filter(|((_, inode), mark)| *inode != 0 && **mark == wanted).count()
        };
        (number(Mark::New), number(Mark::Changed))
    }

    pub fn process(&self, pid: i32) -> Option<Mark> {
        self.0.get(&(pid, 0)).copied()
    }
}

/// What is there now.
pub fn seen(view: &View) -> Seen {
    let mut seen = Seen::new();
    for shown in &view.processes {
        let mut process = 0;
        for socket in shown.sockets() {
            let hash = hash(&(
                socket.state.0,
                socket.options.map(|it| {
                    (it.keepalive, it.values.iter().map(|(_, value)| value).collect::<Vec<_>>())
                }),
                socket.findings.iter().map(|finding| finding.kind()).collect::<Vec<_>>(),
            ));
            seen.insert((shown.process.process.pid, socket.inode), hash);
            // In any order.
            process ^= self::hash(&(socket.inode, hash));
        }
        seen.insert((shown.process.process.pid, 0), process);
    }
    seen
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_and_what_has_changed_is_marked_and_the_first_look_is_not() {
        let before: Seen = [((1, 10), 1), ((1, 11), 1), ((1, 0), 1)].into();
        let now: Seen = [((1, 10), 1), ((1, 11), 2), ((1, 12), 1), ((1, 0), 2)].into();
        let Marks(mut marks) = Marks::new(Some(&before), &now);
        assert_eq!(marks.remove(&(1, 11)), Some(Mark::Changed));
        assert_eq!(marks.remove(&(1, 12)), Some(Mark::New));
        assert_eq!(marks.remove(&(1, 0)), Some(Mark::Changed));
        assert!(marks.is_empty());
        assert!(Marks::new(None, &now).0.is_empty());
    }
}
