//! Does what the search decides, on real connections, and tells it what comes.

use std::net::SocketAddr;

use rustix::io::Errno;

use crate::Error;
use crate::cleanup::Cleanup;
use crate::clock::Clock;
use crate::connection::{Connection, Seen, wait};
use crate::outcome::{Finding, Next, Progress};
use crate::search::{Action, Event, Id, Search};
use crate::timing::{LOOK, LOOK_FOR_ANSWER, SLEEP};

/// One connection of the search; or, if it is not open any more at this end, our address there, if
/// the server may still have it.
type Slot = Result<Connection, Option<SocketAddr>>;

/// The measurement.
pub struct Engine<'a> {
    clock: &'a Clock,
    server: SocketAddr,
    greeting: &'a [u8],
    slots: Vec<Slot>,
    /// Connections that are not needed any more.
    closing: Vec<Connection>,
    is_abandoned: bool,
    /// Why the last connection that could not be opened could not be.
    pub error: Option<Errno>,
}

impl<'a> Engine<'a> {
    /// For a server, to which each connection sends this first.
    pub fn new(clock: &'a Clock, server: SocketAddr, greeting: &'a [u8]) -> Self {
        let (slots, closing) = (Vec::new(), Vec::new());
        Self { clock, server, greeting, slots, closing, is_abandoned: false, error: None }
    }

    /// Runs until the search has ended.
    pub fn run(
        &mut self,
        search: &mut Search,
        mut observe: impl FnMut(&Progress) -> Next,
    ) -> Result<(), Error> {
        while search.finding().is_none() {
            if self.has_slept(search) {
                break;
            }
            self.look(search);
            let now = self.clock.now();
            let (actions, wake) = search.act(now);
            for action in actions {
                if let Some(event) = self.act(action)? {
                    search.event(now, event);
                }
            }
            // It may have slept only now.
            self.has_slept(search);
            match observe(&search.progress(now)) {
                Next::Continue => {}
                Next::Finish => search.interrupt(),
                Next::Abandon => {
                    search.interrupt();
                    self.is_abandoned = true;
                }
            }
            if search.finding().is_none() {
                self.wait(wake - now);
            }
        }
        Ok(())
    }

    fn wait(&self, time: f64) {
        let connections = || self.slots.iter().filter_map(|slot| slot.as_ref().ok());
        let is_pending = connections().any(Connection::is_pending);
        wait(time.min(if is_pending { LOOK_FOR_ANSWER } else { LOOK }), connections());
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

    fn act(&mut self, action: Action) -> Result<Option<Event>, Error> {
        match action {
            Action::Open(id) => {
                self.slots.resize_with(self.slots.len().max(id + 1), || Err(None));
                self.slots[id] = Connection::open(self.server, None).map_err(|error| {
                    self.error = Some(error);
                    None
                });
                return Ok(self.slots[id].is_err().then_some(Event::Failed(id)));
            }
            Action::Probe(id) => {
                if let Ok(connection) = &mut self.slots[id] {
                    connection.probe().map_err(|error| Error::Probe(error.into()))?;
                }
            }
            Action::Close(id) => {
                // Of one that is not open nothing is left here; what the server may have sent is
                // answered with a reset.
                let connection = std::mem::replace(&mut self.slots[id], Err(None)).ok();
                if let Some(connection) = connection.filter(|it| it.is_open) {
                    connection.close();
                    self.closing.push(connection);
                }
            }
        }
        Ok(None)
    }

    /// Tells the search what has come.
    fn look(&mut self, search: &mut Search) {
        for id in 0..self.slots.len() {
            let now = self.clock.now();
            if let Some((time, event)) = self.look_at(id, now) {
                search.event(time, event);
            }
        }
        self.closing.retain_mut(|connection| connection.look() != Seen::Closed);
    }

    fn look_at(&mut self, id: Id, now: f64) -> Option<(f64, Event)> {
        let Ok(connection) = &mut self.slots[id] else { return None };
        let event = match connection.look() {
            Seen::Nothing => return None,
            Seen::Opened => {
                if !self.greeting.is_empty() {
                    // Whether it arrives is seen by what comes.
                    let _ = connection.send(self.greeting);
                }
                Event::Connected(id)
            }
            Seen::Failed(error) => {
                self.error = Some(error);
                self.slots[id] = Err(None);
                Event::Failed(id)
            }
            Seen::Answered(ago) => {
                let time = now - ago.as_secs_f64().min(LOOK_FOR_ANSWER);
                return Some((time, Event::Answered(id)));
            }
            Seen::Heard { has_data } => Event::Heard(id, has_data),
            Seen::Closed => {
                // Closing it here ends it.
                self.slots[id] = Err(None);
                Event::Ended(id, false)
            }
            Seen::Reset => {
                // Who sent the reset is not known: the server may still have it.
                self.slots[id] = Err(connection.local);
                Event::Ended(id, true)
            }
        };
        Some((now, event))
    }

    /// Closes everything. How many connections may be left at the server; None if the observer
    /// abandons them.
    pub fn end(self, search: &Search, mut observe: impl FnMut(&Progress) -> Next) -> Option<usize> {
        let (mut living, mut forgotten) = (self.closing, Vec::new());
        let now = self.clock.now();
        let is_over = matches!(search.finding(), Some(Finding::EndsIdle(_)));
        for (id, slot) in self.slots.into_iter().enumerate() {
            match slot {
                // Nobody has accepted it yet.
                Ok(connection) if !connection.is_open => {}
                Ok(connection) if search.may_be_forgotten(id, now) => {
                    forgotten.extend(connection.local);
                    connection.reset();
                }
                Ok(connection) => living.push(connection),
                // Who ends idle connections has ended it.
                Err(local) => forgotten.extend(local.filter(|_| !is_over)),
            }
        }
        let mut goes_on = || observe(&search.progress(self.clock.now())) != Next::Abandon;
        if self.is_abandoned || !goes_on() {
            return None;
        }
        let resets = search.evidence().probes_for_arrival();
        let mut cleanup =
            Cleanup { clock: self.clock, server: self.server, resets, goes_on: &mut goes_on };
        cleanup.run(living, forgotten)
    }
}
