//! Does what the search asks for, on real connections, and tells it what comes.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use super::cleanup::clean_up;
use super::clock::Clock;
use super::connection::{Connection, Seen};
use super::flow::State;
use super::search::{Action, Event, Found, Id, Search};

/// How often to look for what comes unasked, and for an answer, in seconds.
const LOOK: f64 = 0.25;
const LOOK_FOR_ANSWER: f64 = 0.05;
/// A sleep of the machine that is too short to change anything, in seconds.
const SLEEP: f64 = 1.0;

/// One connection of the search's.
enum Line {
    Opening(Connection),
    /// Whether it was asked and has not been answered.
    Open(Connection, bool),
    /// Not open any more at this end: our address there, if the server may still have it.
    Gone(Option<SocketAddr>),
}

/// The measurement.
pub struct Engine<'a> {
    clock: &'a Clock,
    server: SocketAddr,
    greeting: &'a [u8],
    lines: Vec<Line>,
    /// Connections that are not needed any more.
    living: Vec<Connection>,
    /// Why the last connection could not be opened.
    pub trouble: Option<rustix::io::Errno>,
}

impl<'a> Engine<'a> {
    /// For a server, to which each connection sends this first.
    pub fn new(clock: &'a Clock, server: SocketAddr, greeting: &'a [u8]) -> Self {
        Self { clock, server, greeting, lines: Vec::new(), living: Vec::new(), trouble: None }
    }

    /// Runs until the search has ended, and tells `watch` of its state now and then.
    pub fn run(&mut self, search: &mut Search, mut watch: impl FnMut(&Search, f64)) {
        while search.found().is_none() {
            if self.has_slept(search) {
                break;
            }
            self.look(search);
            let now = self.clock.now();
            let (actions, wake) = search.act(now);
            let events: Vec<_> =
                actions.into_iter().filter_map(|action| self.act(action)).collect();
            for event in events {
                search.event(now, event);
            }
            // It may have slept only now.
            self.has_slept(search);
            watch(search, now);
            let is_pending = |line: &Line| matches!(line, Line::Opening(_) | Line::Open(_, true));
            let look = if self.lines.iter().any(is_pending) { LOOK_FOR_ANSWER } else { LOOK };
            let fds = self.lines.iter().filter_map(|line| match line {
                Line::Opening(connection) => Some((connection as &dyn AsFd, true)),
                Line::Open(connection, _) => Some((connection as &dyn AsFd, false)),
                Line::Gone(_) => None,
            });
            if search.found().is_none() && self.clock.wait((wake - now).min(look), fds) {
                search.interrupt();
            }
        }
    }

    /// Whether the machine has slept: then it is over.
    fn has_slept(&self, search: &mut Search) -> bool {
        let slept = self.clock.slept();
        let has_slept = slept >= SLEEP;
        if has_slept {
            search.sleep(slept);
        }
        has_slept
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Open(id) => {
                self.lines.resize_with(self.lines.len().max(id + 1), || Line::Gone(None));
                match Connection::open(self.server, None) {
                    Ok(connection) => self.lines[id] = Line::Opening(connection),
                    Err(error) => {
                        self.trouble = Some(error);
                        return Some(Event::Failed(id));
                    }
                }
            }
            Action::Ask(id) => {
                if let Line::Open(connection, is_pending) = &mut self.lines[id] {
                    *is_pending = true;
                    // It may have ended in this moment, which the next look tells.
                    let _ = connection.ask();
                }
            }
            Action::Close(id) => match std::mem::replace(&mut self.lines[id], Line::Gone(None)) {
                Line::Open(connection, _) => {
                    connection.finish();
                    self.living.push(connection);
                }
                // Nothing of it is left here; what the server may have sent is answered with a
                // reset.
                Line::Opening(_) | Line::Gone(_) => {}
            },
        }
        None
    }

    /// Tells the search what has come.
    fn look(&mut self, search: &mut Search) {
        for id in 0..self.lines.len() {
            let now = self.clock.now();
            if let Some((time, event)) = self.look_at(id, now) {
                search.event(time, event);
            }
        }
        self.living.retain_mut(|connection| connection.look() != Seen::Closed);
    }

    fn look_at(&mut self, id: Id, now: f64) -> Option<(f64, Event)> {
        let line = std::mem::replace(&mut self.lines[id], Line::Gone(None));
        let (line, event) = match line {
            Line::Opening(mut connection) => match connection.is_established() {
                None => (Line::Opening(connection), None),
                Some(Ok(())) => {
                    if !self.greeting.is_empty() {
                        // Whether it arrives is seen by what comes.
                        let _ = connection.send(self.greeting);
                    }
                    (Line::Open(connection, false), Some((now, Event::Connected(id))))
                }
                Some(Err(error)) => {
                    self.trouble = Some(error);
                    (Line::Gone(None), Some((now, Event::Failed(id))))
                }
            },
            Line::Open(mut connection, is_pending) => match connection.look() {
                Seen::Nothing => (Line::Open(connection, is_pending), None),
                Seen::Segments { ago, .. } if is_pending => {
                    let _ = connection.rest();
                    let time = now - ago.as_secs_f64().min(LOOK_FOR_ANSWER);
                    (Line::Open(connection, false), Some((time, Event::Answered(id))))
                }
                Seen::Segments { has_data, .. } => {
                    // Somebody may have turned keepalive on here: `attach --follow`, `cover`.
                    let _ = connection.rest();
                    (Line::Open(connection, false), Some((now, Event::Heard(id, has_data))))
                }
                Seen::Closed => {
                    // The other end has closed it: closing it here ends it.
                    (Line::Gone(None), Some((now, Event::Ended(id, false))))
                }
                // Who sent the reset is not known: the server may still have it.
                Seen::Reset => (Line::Gone(connection.local), Some((now, Event::Ended(id, true)))),
            },
            gone => (gone, None),
        };
        self.lines[id] = line;
        event
    }

    /// Closes everything. How many connections may be left at the server; None if a signal came.
    pub fn end(self, search: &Search) -> Option<usize> {
        let (mut living, mut forgotten) = (self.living, Vec::new());
        let now = self.clock.now();
        let is_over = matches!(search.found(), Some(Found::EndsIdle(_)));
        for (id, line) in self.lines.into_iter().enumerate() {
            match line {
                Line::Open(connection, _)
                    if search.state(id) == State::Forgotten || search.is_doubtful(id, now) =>
                {
                    forgotten.extend(connection.local);
                    connection.reset();
                }
                Line::Open(connection, _) => living.push(connection),
                // Who ends idle connections has ended it.
                Line::Gone(local) if !is_over => forgotten.extend(local),
                // Nobody has accepted it yet.
                Line::Gone(_) | Line::Opening(_) => {}
            }
        }
        let resets = search.evidence.asks_for_arrival();
        clean_up(self.clock, self.server, living, forgotten, resets)
    }
}
