//! A simulated path with a server at its end: what they do with what the search asks for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use libkeepalive_measure::search::{Action, Event};

use crate::world::{Forgets, Habit, World};

/// What happens at some time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Happening {
    Connected,
    /// The server sends its part of the handshake again, for this many seconds' pause.
    Handshake(f64),
    /// Something comes, with data or without.
    Arrives(bool),
    Ends(bool),
    /// Nobody listens.
    Refused,
    /// The time at which the server or the path would do something if nothing came meanwhile.
    Looks,
}

#[derive(Clone, Debug, Default)]
struct Connection {
    opened: f64,
    is_alive: bool,
    /// When the path saw its last packet.
    seen: f64,
    /// When the server heard the last.
    heard: f64,
    answered: f64,
    is_pending: bool,
}

/// splitmix64, from which random numbers are made.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The path and the server.
pub struct Simulation {
    world: World,
    connections: Vec<Connection>,
    /// Times in microseconds, so that they have an order.
    queue: BinaryHeap<Reverse<(u64, u64, usize)>>,
    happenings: Vec<Happening>,
    seed: u64,
    random: u64,
}

impl Simulation {
    pub fn new(world: &World, seed: u64) -> Self {
        Self {
            world: world.clone(),
            connections: Vec::new(),
            queue: BinaryHeap::new(),
            happenings: Vec::new(),
            seed,
            random: seed,
        }
    }

    /// When something happens next, in seconds.
    pub fn next(&self) -> f64 {
        self.queue.peek().map_or(f64::INFINITY, |next| next.0.0 as f64 / 1e6)
    }

    /// Has it happen: what the search gets to know of it.
    pub fn happen(&mut self, now: f64) -> Option<Event> {
        let Reverse((_, number, id)) = self.queue.pop()?;
        self.happens(now, id, self.happenings[number as usize])
    }

    /// From 0 to 1.
    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(STEP);
        (mixed(self.random) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn passes(&mut self, now: f64) -> bool {
        let (from, to) = match self.world.habit {
            Habit::Reboots(at, down) => (at, at + down),
            _ => self.world.outage,
        };
        let is_out = now >= from && now < to;
        self.random() >= self.world.loss && !is_out
    }

    fn at(&mut self, time: f64, id: usize, happening: Happening) {
        let number = self.happenings.len() as u64;
        self.happenings.push(happening);
        self.queue.push(Reverse(((time * 1e6).round() as u64, number, id)));
    }

    fn limit(&self, id: usize) -> f64 {
        // As by chance.
        let number = mixed(self.seed ^ STEP.wrapping_mul(id as u64 + 1));
        if number.is_multiple_of(2) { self.world.limit } else { self.world.other_limit }
    }

    fn is_known(&self, now: f64, id: usize) -> bool {
        let connection = &self.connections[id];
        let since =
            if self.world.forgets == Forgets::ByAge { connection.opened } else { connection.seen };
        now - since <= self.limit(id)
    }

    /// Does what the search decides.
    pub fn act(&mut self, now: f64, action: Action) {
        match action {
            Action::Open(id) => {
                self.connections.resize(self.connections.len().max(id + 1), Connection::default());
                let taken = self.connections.iter().filter(|it| it.is_alive).count();
                if matches!(self.world.habit, Habit::FullBacklog(number) if taken >= number) {
                    return;
                }
                // The SYN is sent again after 1, 2, 3 and 4 s (net.ipv4.tcp_syn_linear_timeouts).
                for delay in 0..10 {
                    let time = now + f64::from(delay);
                    if self.passes(time) && self.passes(time) {
                        self.connections[id].is_alive = true;
                        if let Habit::Restarts(at, down) = self.world.habit
                            && (at..at + down).contains(&time)
                        {
                            return self.at(time + self.world.round_trip, id, Happening::Refused);
                        }
                        return self.at(time + self.world.round_trip, id, Happening::Connected);
                    }
                }
            }
            Action::Close(id) => {
                self.connections.resize(self.connections.len().max(id + 1), Connection::default());
                self.connections[id].is_alive = false;
            }
            Action::Probe(id) => self.probe(now, id),
        }
    }

    fn probe(&mut self, now: f64, id: usize) {
        assert!(self.connections[id].is_alive, "{id} is probed, but closed");
        self.connections[id].is_pending = true;
        if !self.passes(now) {
            return;
        }
        let back = now + self.world.round_trip;
        if let Habit::Reboots(at, down) = self.world.habit
            && now > at + down
            && self.connections[id].opened < at
        {
            if self.passes(now) {
                self.at(back, id, Happening::Ends(true));
            }
            return;
        }
        if !self.is_known(now, id) {
            if self.world.forgets == Forgets::WithReset && self.passes(now) {
                self.at(back, id, Happening::Ends(true));
            }
            return;
        }
        self.seen(now, id);
        if now - self.connections[id].answered < 0.5 {
            return;
        }
        self.connections[id].answered = now;
        if self.passes(now) {
            self.at(back, id, Happening::Arrives(false));
        }
    }

    /// A packet of ours came as far as the server.
    fn seen(&mut self, now: f64, id: usize) {
        (self.connections[id].seen, self.connections[id].heard) = (now, now);
        if self.world.forgets == Forgets::WithResetUnasked {
            self.at(now + self.limit(id) + 1e-4, id, Happening::Looks);
        }
        if let Habit::Probes(every) = self.world.habit {
            self.at(now + every, id, Happening::Looks);
        }
    }

    fn happens(&mut self, now: f64, id: usize, happening: Happening) -> Option<Event> {
        if !self.connections[id].is_alive {
            return None;
        }
        match happening {
            Happening::Connected => {
                self.connections[id].opened = now;
                self.seen(now, id);
                match self.world.habit {
                    Habit::Greets => self.at(now + 0.001, id, Happening::Arrives(true)),
                    Habit::Closes(after) | Habit::Resets(after) => {
                        self.at(now + after, id, Happening::Looks);
                    }
                    Habit::Restarts(at, _) if now < at => self.at(at, id, Happening::Looks),
                    Habit::TakesFew(number) if id >= number => {
                        self.at(now + 0.05, id, Happening::Ends(false));
                    }
                    Habit::EndsSome(after) if id % 10 == 7 => {
                        self.at(now + after, id, Happening::Ends(true));
                    }
                    _ => {}
                }
                let is_deferred = matches!(self.world.habit, Habit::DefersAccept(_));
                if is_deferred || !self.passes(now) {
                    self.at(now + 1.0, id, Happening::Handshake(1.0));
                }
                Some(Event::Connected(id))
            }
            Happening::Handshake(pause) => {
                let age = now - self.connections[id].opened;
                let is_deferred =
                    matches!(self.world.habit, Habit::DefersAccept(until) if age < until);
                let arrives = self.passes(now) && self.is_known(now, id);
                if is_deferred || !arrives || !self.passes(now) {
                    self.at(now + 2.0 * pause, id, Happening::Handshake(2.0 * pause));
                }
                arrives.then(|| {
                    self.seen(now, id);
                    self.arrives(id, false)
                })
            }
            Happening::Arrives(has_data) => Some(self.arrives(id, has_data)),
            Happening::Refused => {
                self.connections[id].is_alive = false;
                Some(Event::Failed(id))
            }
            Happening::Ends(is_reset) => {
                self.connections[id].is_alive = false;
                Some(Event::Ended(id, is_reset))
            }
            Happening::Looks => self.looks(now, id),
        }
    }

    fn arrives(&mut self, id: usize, has_data: bool) -> Event {
        if std::mem::take(&mut self.connections[id].is_pending) {
            Event::Answered(id)
        } else {
            Event::Heard(id, has_data)
        }
    }

    fn looks(&mut self, now: f64, id: usize) -> Option<Event> {
        let is_known = self.is_known(now, id);
        let connection = &mut self.connections[id];
        match self.world.habit {
            Habit::Closes(after) | Habit::Resets(after) if now >= connection.opened + after => {
                connection.is_alive = !is_known;
                let is_reset = matches!(self.world.habit, Habit::Resets(_));
                return is_known.then_some(Event::Ended(id, is_reset));
            }
            Habit::Restarts(at, _) if connection.opened < at && now >= at => {
                // What was lost is sent again, as long as the path knows the connection.
                let arrives = is_known && self.passes(now);
                if is_known && !arrives {
                    self.at(now + 0.2, id, Happening::Looks);
                }
                self.connections[id].is_alive &= !arrives;
                return arrives.then_some(Event::Ended(id, false));
            }
            Habit::Probes(every) if now >= connection.heard + every - 1e-5 => {
                connection.heard = now;
                if is_known && self.passes(now) {
                    self.seen(now, id);
                    return Some(self.arrives(id, false));
                }
                self.at(now + every, id, Happening::Looks);
                return None;
            }
            _ => {}
        }
        if self.world.forgets == Forgets::WithResetUnasked && !is_known {
            connection.is_alive = false;
            return Some(Event::Ended(id, true));
        }
        None
    }
}
