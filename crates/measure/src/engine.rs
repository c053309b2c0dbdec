//! Does what the search decides, on real connections, and tells it what comes.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use rustix::io::Errno;

use crate::Error;
use crate::cleanup::Cleanup;
use crate::clock::{Clock, wait};
use crate::connection::{Connection, Seen};
use crate::outcome::{Finding, Next, Progress};
use crate::search::{Action, Event, Id, Search};
use crate::timing::{LOOK, LOOK_FOR_ANSWER, SLEEP};

/// One connection of the search.
enum Slot {
    Opening(Connection),
    /// Whether it was probed and has not been answered.
    Open(Connection, bool),
    /// Not open any more at this end: our address there, if the server may still have it.
    Gone(Option<SocketAddr>),
}

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
        let is_pending = |slot: &Slot| matches!(slot, Slot::Opening(_) | Slot::Open(_, true));
        let look = if self.slots.iter().any(is_pending) { LOOK_FOR_ANSWER } else { LOOK };
        let fds = self.slots.iter().filter_map(|slot| match slot {
            Slot::Opening(connection) => Some((connection as &dyn AsFd, true)),
            Slot::Open(connection, _) => Some((connection as &dyn AsFd, false)),
            Slot::Gone(_) => None,
        });
        wait(time.min(look), fds);
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
                self.slots.resize_with(self.slots.len().max(id + 1), || Slot::Gone(None));
                match Connection::open(self.server, None) {
                    Ok(connection) => self.slots[id] = Slot::Opening(connection),
                    Err(error) => {
                        self.error = Some(error);
                        return Ok(Some(Event::Failed(id)));
                    }
                }
            }
            Action::Probe(id) => {
                if let Slot::Open(connection, is_pending) = &mut self.slots[id] {
                    *is_pending = true;
                    connection.probe().map_err(|error| Error::Probe(error.into()))?;
                }
            }
            Action::Close(id) => match std::mem::replace(&mut self.slots[id], Slot::Gone(None)) {
                Slot::Open(connection, _) => {
                    connection.close();
                    self.closing.push(connection);
                }
                // Nothing of it is left here; what the server may have sent is answered with a
                // reset.
                Slot::Opening(_) | Slot::Gone(_) => {}
            },
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
        let slot = std::mem::replace(&mut self.slots[id], Slot::Gone(None));
        let (slot, event) = match slot {
            Slot::Opening(mut connection) => match connection.opened() {
                None => (Slot::Opening(connection), None),
                Some(Ok(())) => {
                    if !self.greeting.is_empty() {
                        // Whether it arrives is seen by what comes.
                        let _ = connection.send(self.greeting);
                    }
                    (Slot::Open(connection, false), Some((now, Event::Connected(id))))
                }
                Some(Err(error)) => {
                    self.error = Some(error);
                    (Slot::Gone(None), Some((now, Event::Failed(id))))
                }
            },
            Slot::Open(mut connection, is_pending) => match connection.look() {
                Seen::Nothing => (Slot::Open(connection, is_pending), None),
                Seen::Segments { ago, has_data } => {
                    // Also unasked: `keepalive attach` or `cover` may have turned keepalive on.
                    let _ = connection.stop_probing();
                    let event = if is_pending {
                        (now - ago.as_secs_f64().min(LOOK_FOR_ANSWER), Event::Answered(id))
                    } else {
                        (now, Event::Heard(id, has_data))
                    };
                    (Slot::Open(connection, false), Some(event))
                }
                // The other end has closed it: closing it here ends it.
                Seen::Closed => (Slot::Gone(None), Some((now, Event::Ended(id, false)))),
                // Who sent the reset is not known: the server may still have it.
                Seen::Reset => (Slot::Gone(connection.local), Some((now, Event::Ended(id, true)))),
            },
            gone => (gone, None),
        };
        self.slots[id] = slot;
        event
    }

    /// Closes everything. How many connections may be left at the server; None if the observer
    /// abandons them.
    pub fn end(self, search: &Search, mut observe: impl FnMut(&Progress) -> Next) -> Option<usize> {
        let (mut living, mut forgotten) = (self.closing, Vec::new());
        let now = self.clock.now();
        let is_over = matches!(search.finding(), Some(Finding::EndsIdle(_)));
        for (id, slot) in self.slots.into_iter().enumerate() {
            match slot {
                Slot::Open(connection, _) if search.may_be_forgotten(id, now) => {
                    forgotten.extend(connection.local);
                    connection.reset();
                }
                Slot::Open(connection, _) => living.push(connection),
                // Who ends idle connections has ended it.
                Slot::Gone(local) if !is_over => forgotten.extend(local),
                // Nobody has accepted it yet.
                Slot::Gone(_) | Slot::Opening(_) => {}
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
