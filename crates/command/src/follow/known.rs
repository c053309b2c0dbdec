//! The sockets of one process that have been seen, by inode: what need not be looked at again.

use std::collections::{HashMap, HashSet};

use crate::apply::{LeftAlone, Outcome};
use crate::process::State;

/// What is known of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// It need not be looked at again.
    Settled,
    /// It has been seen, and has to be looked at again.
    Again,
}

/// The sockets that have been seen.
#[derive(Debug, Default)]
pub struct Known(HashMap<u64, Knowledge>);

impl Known {
    /// Those of the sockets, given by descriptor and inode, that are to be looked at; each once.
    /// What is not among the sockets is forgotten.
    pub fn fresh(&mut self, sockets: Vec<(i32, u64)>) -> Vec<(i32, u64)> {
        let mut listed = HashSet::with_capacity(sockets.len());
        let mut fresh = sockets;
        fresh.retain(|(_, inode)| {
            listed.insert(*inode) && self.0.get(inode) != Some(&Knowledge::Settled)
        });
        if self.0.len() > listed.len() || self.0.keys().any(|inode| !listed.contains(inode)) {
            self.0.retain(|inode, _| listed.contains(inode));
            self.0.shrink_to(2 * listed.len());
        }
        fresh
    }

    /// How many sockets it remembers.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Remembers a socket. Whether it had not been seen before.
    pub fn learn(&mut self, inode: u64, knowledge: Knowledge) -> bool {
        self.0.insert(inode, knowledge).is_none()
    }
}

/// What is known of a socket after this came of it.
pub fn knowledge(outcome: &Outcome, state: State, is_forced: bool) -> Knowledge {
    let is_settled = match outcome {
        // A refusal is reported once.
        Outcome::NotTcp | Outcome::Failed(_) => true,
        // The program may change them.
        _ if is_forced => false,
        Outcome::LeftAlone(LeftAlone::OwnTimes) => true,
        // The user timeout waits until the peer was heard.
        Outcome::Changed(change) if change.silent.is_some() => false,
        // Before it is connected it has no remote address, and does not get all that is wanted.
        Outcome::NotChosen | Outcome::LeftAlone(LeftAlone::SetAlready) | Outcome::Changed(_) => {
            state.is_synchronized() || state == State::LISTEN
        }
    };
    if is_settled { Knowledge::Settled } else { Knowledge::Again }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::Refused;

    #[test]
    fn a_socket_is_looked_at_until_it_is_settled() {
        let mut known = Known::default();
        assert_eq!(known.fresh(vec![(3, 30), (4, 40), (5, 30)]), [(3, 30), (4, 40)]);
        assert!(known.learn(30, Knowledge::Settled));
        assert!(known.learn(40, Knowledge::Again));
        // 30 at another descriptor, another socket at its old one.
        assert_eq!(known.fresh(vec![(3, 31), (4, 40), (6, 30)]), [(3, 31), (4, 40)]);
        assert!(!known.learn(40, Knowledge::Settled));
        assert_eq!(known.fresh(vec![(4, 40), (6, 30)]), []);
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut known = Known::default();
        for inode in 0..100_000 {
            known.fresh(vec![(3, inode)]);
            known.learn(inode, Knowledge::Settled);
        }
        assert!(known.0.len() <= 2 && known.0.capacity() < 100, "{}", known.0.capacity());
        // The number may come again.
        assert_eq!(known.fresh(vec![(3, 7)]), [(3, 7)]);
    }

    #[test]
    fn each_outcome_in_each_state() {
        use Knowledge::{Again, Settled};

        let not_tcp = |state| knowledge(&Outcome::NotTcp, state, false);
        let set = |state| knowledge(&Outcome::LeftAlone(LeftAlone::SetAlready), state, false);
        let own = |state| knowledge(&Outcome::LeftAlone(LeftAlone::OwnTimes), state, false);
        let not_chosen = |state| knowledge(&Outcome::NotChosen, state, false);
        for state in (1..=12).map(State) {
            let is_final = state.is_synchronized() || state == State::LISTEN;
            let expected = if is_final { Settled } else { Again };
            assert_eq!(not_tcp(state), Settled, "{state:?}");
            assert_eq!(own(state), Settled, "{state:?}");
            assert_eq!(set(state), expected, "{state:?}");
            assert_eq!(not_chosen(state), expected, "{state:?}");
            for outcome in [Outcome::LeftAlone(LeftAlone::OwnTimes), Outcome::NotChosen] {
                assert_eq!(knowledge(&outcome, state, true), Again, "{state:?}");
            }
            assert_eq!(knowledge(&Outcome::NotTcp, state, true), Settled, "{state:?}");
        }
        assert_eq!(set(State::ESTABLISHED), Settled);
        assert_eq!(set(State::LISTEN), Settled);
        assert_eq!(set(State::CLOSED), Again);
        assert_eq!(set(State::SYN_SENT), Again);
        assert_eq!(knowledge(&Outcome::Failed(Refused::Get(1)), State::CLOSED, true), Settled);
    }
}
