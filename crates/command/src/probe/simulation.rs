//! The search against simulated paths and servers, with a virtual clock: every timeout, every loss,
//! every habit of a server. A table of docs/probe.md comes from here.

#[path = "../../../../tests/support/document.rs"]
#[allow(dead_code, reason = "other tests use all of it")]
mod document;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::evidence::How;
use super::search::{Action, Event, Found, Options, Search};

/// How a path forgets.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Forgets {
    Silently,
    WithReset,
    WithResetUnasked,
    /// Connections of this age, though they are probed.
    ByAge,
}

/// What a server does by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Habit {
    None,
    /// Sends a greeting.
    Greets,
    /// Closes connections that carry no data.
    Closes(f64),
    Resets(f64),
    /// Sends a keepalive probe of its own.
    Probes(f64),
    /// Sends its part of the handshake again until this age.
    DefersAccept(f64),
    /// Takes only so many connections.
    FullBacklog(usize),
    /// Takes more, and closes them at once.
    TakesFew(usize),
    /// Ends every tenth connection, whatever it does.
    EndsSome(f64),
}

/// A path and the server at its end.
#[derive(Clone, Debug)]
struct World {
    /// After how much idle time a connection is forgotten: every one, or every second one.
    limit: f64,
    other_limit: f64,
    forgets: Forgets,
    /// Each way.
    loss: f64,
    round_trip: f64,
    habit: Habit,
    outage: (f64, f64),
}

impl World {
    fn new(limit: f64, loss: f64) -> Self {
        Self {
            limit,
            other_limit: limit,
            forgets: Forgets::Silently,
            loss,
            round_trip: 0.02,
            habit: Habit::None,
            outage: (0.0, 0.0),
        }
    }
}

/// What happens at some time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Happening {
    Connected,
    /// The server sends its part of the handshake again, for this many seconds' pause.
    Handshake(f64),
    /// Something comes, with data or without.
    Arrives(bool),
    Ends(bool),
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

struct Simulation {
    world: World,
    connections: Vec<Connection>,
    /// Times in microseconds, so that they have an order.
    queue: BinaryHeap<Reverse<(u64, u64, usize)>>,
    happenings: Vec<Happening>,
    random: u64,
}

/// What came of it.
#[derive(Debug)]
struct Result {
    found: Found,
    low: Option<f64>,
    high: Option<f64>,
    took: f64,
    connections: usize,
    confirmed: usize,
}

impl Simulation {
    /// From 0 to 1 (splitmix64).
    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn passes(&mut self, now: f64) -> bool {
        let is_out = now >= self.world.outage.0 && now < self.world.outage.1;
        self.random() >= self.world.loss && !is_out
    }

    fn at(&mut self, time: f64, id: usize, happening: Happening) {
        let number = self.happenings.len() as u64;
        self.happenings.push(happening);
        self.queue.push(Reverse(((time * 1e6).round() as u64, number, id)));
    }

    fn limit(&self, id: usize) -> f64 {
        // As by chance.
        let is_usual = (id * 40_503 / 1024).is_multiple_of(2);
        if is_usual { self.world.limit } else { self.world.other_limit }
    }

    fn is_known(&self, now: f64, id: usize) -> bool {
        let connection = &self.connections[id];
        let since =
            if self.world.forgets == Forgets::ByAge { connection.opened } else { connection.seen };
        now - since <= self.limit(id)
    }

    fn act(&mut self, now: f64, action: Action) {
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
                        return self.at(time + self.world.round_trip, id, Happening::Connected);
                    }
                }
            }
            Action::Close(id) => {
                self.connections.resize(self.connections.len().max(id + 1), Connection::default());
                self.connections[id].is_alive = false;
            }
            Action::Ask(id) => self.ask(now, id),
        }
    }

    fn ask(&mut self, now: f64, id: usize) {
        assert!(self.connections[id].is_alive, "{id} is asked, but closed");
        self.connections[id].is_pending = true;
        if !self.passes(now) {
            return;
        }
        let back = now + self.world.round_trip;
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

    /// What the search gets to know of it.
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

/// Lets the search run.
fn run(world: &World, max: f64, parallel: usize, seed: u64) -> Result {
    let mut simulation = Simulation {
        world: world.clone(),
        connections: Vec::new(),
        queue: BinaryHeap::new(),
        happenings: Vec::new(),
        random: seed,
    };
    let mut search = Search::new(Options { max, resolution: 0.05, parallel });
    let mut now = 0.0;
    loop {
        let (actions, wake) = search.act(now);
        for action in actions {
            simulation.act(now, action);
        }
        if let Some(found) = search.found() {
            return Result {
                found,
                low: search.evidence.low(),
                high: search.evidence.high(),
                took: now,
                connections: search.connections(),
                confirmed: search.confirmed(),
            };
        }
        assert!(now < 60_000.0, "{world:?}: no end");
        let next = simulation.queue.peek().map_or(f64::INFINITY, |next| next.0.0 as f64 / 1e6);
        if next > wake {
            now = wake;
            continue;
        }
        let Some(Reverse((_, number, id))) = simulation.queue.pop() else { continue };
        now = next.max(now);
        if let Some(event) = simulation.happens(now, id, simulation.happenings[number as usize]) {
            search.event(now, event);
        }
    }
}

const MAX: f64 = 7500.0;
const PARALLEL: usize = 26;

/// Whether the limit is between what was found.
fn is_right(result: &Result, limit: f64) -> bool {
    let low = result.low.unwrap_or(0.0);
    result.high.is_some_and(|high| low <= limit && limit <= high)
}

/// Timeouts from 1 s to 2 h, so many.
fn limits(number: i32) -> impl Iterator<Item = f64> {
    (0..number).map(move |step| 7200_f64.powf(f64::from(step) / f64::from(number - 1)))
}

/// Those that products come with, up to 2 h (docs/timeouts.md).
const USUAL: [f64; 11] =
    [60.0, 240.0, 300.0, 350.0, 360.0, 600.0, 900.0, 1200.0, 1800.0, 3600.0, 7200.0];

/// The middle one and the largest.
fn median_and_worst(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[values.len() - 1])
}

/// Of these limits each is found, whatever is lost: a row of the table.
fn row(what: &str, loss: f64, limits: impl Iterator<Item = f64>) -> String {
    let (mut widths, mut times, mut connections) = (Vec::new(), Vec::new(), Vec::new());
    let mut runs = 0;
    for (limit, seed) in limits.flat_map(|limit| [(limit, 1), (limit, 2)]) {
        let result = run(&World::new(limit, loss), MAX, PARALLEL, seed ^ limit.to_bits());
        let is_right = result.found == Found::Forgotten(How::Silence) && is_right(&result, limit);
        assert!(is_right, "{limit} s, {loss}: {result:?}");
        runs += 1;
        // Below, a few seconds are a large share.
        if limit > 20.0 {
            let low = result.low.unwrap_or(0.0);
            widths.push((result.high.unwrap_or(0.0) - low) / limit * 100.0);
            times.push(result.took / limit);
            connections.push(result.connections as f64);
        }
    }
    let [width, time, number] = [widths, times, connections].map(median_and_worst);
    format!(
        "| {what} | {:.0} % | {runs} of {runs} | {:.0} % ({:.0} %) | {:.1} T ({:.1} T) | {:.0} \
         ({:.0}) |\n",
        loss * 100.0,
        width.0,
        width.1,
        time.0,
        time.1,
        number.0,
        number.1
    )
}

#[test]
fn every_limit_is_found_whatever_is_lost() {
    let mut table = String::from(
        "| limits | loss each way | right | width, median (worst) | time, median (worst) | \
         connections, median (worst) |\n|---|---|---|---|---|---|\n",
    );
    for loss in [0.0, 0.01, 0.05, 0.1, 0.2, 0.3] {
        table += &row("any", loss, limits(40));
    }
    for loss in [0.0, 0.01] {
        table += &row("usual", loss, USUAL.into_iter());
    }
    println!("{table}");
    let part = document::Part { document: "probe.md", by: "the test simulation" };
    if document::is_to_be_written() {
        part.write(&table);
    }
    assert_eq!(part.read(), table);
}

/// Runs with several limits, losses and random numbers: those that are not as they should be.
fn wrong(change: impl Fn(&mut World), check: impl Fn(&World, &Result) -> bool) -> Vec<String> {
    let limits = [30.0, 61.0, 200.0, 350.0, 1000.0].into_iter();
    let mut wrong = Vec::new();
    for (limit, loss, seed) in limits
        .flat_map(|limit| [(limit, 0.0, 1), (limit, 0.01, 2), (limit, 0.05, 3), (limit, 0.2, 4)])
    {
        let mut world = World::new(limit, loss);
        change(&mut world);
        let result = run(&world, MAX, PARALLEL, seed);
        if !check(&world, &result) {
            wrong.push(format!("{world:?}: {result:?}"));
        }
    }
    wrong
}

/// None of them is wrong.
#[track_caller]
fn each(change: impl Fn(&mut World), check: impl Fn(&World, &Result) -> bool) {
    assert_eq!(wrong(change, check), Vec::<String>::new());
}

/// Whether the path's limit was found, in this way.
fn forgotten(how: How) -> impl Fn(&World, &Result) -> bool {
    move |world, result| {
        result.found == Found::Forgotten(how)
            && is_right(result, world.limit)
            && result.confirmed >= 4
    }
}

#[test]
fn every_way_to_forget_is_told() {
    each(|world| world.forgets = Forgets::WithReset, forgotten(How::Reset));
    each(
        |world| world.forgets = Forgets::WithResetUnasked,
        |world, result| {
            // The times at which connections end are seen, not asked for.
            result.found == Found::Forgotten(How::ResetUnasked)
                && result.high.is_some_and(|high| (high - world.limit).abs() < 0.02 * world.limit)
        },
    );
    each(
        |world| world.forgets = Forgets::ByAge,
        |_, result| result.found == Found::DespiteKeepalive,
    );
    each(
        |world| (world.limit, world.other_limit) = (1e9, 1e9),
        |_, result| result.found == Found::Nothing && result.low.is_some_and(|low| low >= MAX),
    );
}

#[test]
fn connections_that_are_remembered_for_longer_than_others_are_noticed() {
    let is_mixed = |world: &World, result: &Result| {
        result.found == Found::Mixed && result.high.is_some_and(|high| high >= world.limit)
    };
    // It is chance which connections are asked: of 20 runs at least 15 notice.
    for factor in [1.5, 2.0] {
        let wrong = wrong(|world| world.other_limit = world.limit * factor, is_mixed);
        assert!(wrong.len() <= 5, "{wrong:#?}");
    }
}

#[test]
fn an_outage_is_not_taken_for_a_limit() {
    // One that is longer than the limit cannot be told from it.
    let shorter = |world: &mut World| world.outage = (9.0, 9.0 + (world.limit * 0.7).min(200.0));
    each(shorter, |world, result| is_right(result, world.limit));
    let later = |world: &mut World| {
        world.outage = (world.limit * 0.6, (world.limit * 1.1).min(world.limit * 0.6 + 200.0));
    };
    each(later, |world, result| is_right(result, world.limit));
    each(|world| world.outage = (20.0, 1e9), |_, result| result.found == Found::Lost);
    each(|world| world.outage = (0.0, 1e9), |_, result| result.found == Found::Unreachable);
}

#[test]
fn what_servers_do_is_not_taken_for_the_path() {
    let right = || forgotten(How::Silence);
    each(|world| world.habit = Habit::Greets, right());
    each(|world| world.habit = Habit::DefersAccept(5.0), right());
    each(
        |world| world.habit = Habit::DefersAccept(30.0),
        |world, result| {
            // Connections that begin late are idle late.
            is_right(result, world.limit)
        },
    );
    each(
        |world| world.habit = Habit::FullBacklog(9),
        |world, result| {
            result.found == Found::Forgotten(How::Silence) && is_right(result, world.limit)
        },
    );
    each(
        |world| world.habit = Habit::Probes(world.limit * 0.7),
        |world, result| {
            let every = world.limit * 0.7;
            let is_told = matches!(result.found, Found::NotIdle(found) if (found - every).abs() < 0.2 * every);
            // Where its probes are lost, the limit may be found.
            is_told || is_right(result, world.limit)
        },
    );
    each(
        |world| world.habit = Habit::TakesFew(9),
        |world, result| {
            result.found == Found::Forgotten(How::Silence) && is_right(result, world.limit)
        },
    );
    each(|world| world.habit = Habit::EndsSome(12.0), right());
    for after in [12.0, 60.0, 120.0] {
        for habit in [Habit::Closes(after), Habit::Resets(after)] {
            let change = |world: &mut World| {
                (world.habit, world.limit, world.other_limit) = (habit, 1e9, 1e9);
            };
            each(
                change,
                |_, result| matches!(result.found, Found::EndsIdle(found) if (found - after).abs() < 1.0),
            );
        }
    }
    // The path forgets before the server closes.
    each(
        |world| world.habit = Habit::Closes(world.limit * 3.0),
        |world, result| {
            result.found == Found::Forgotten(How::Silence) && is_right(result, world.limit)
        },
    );
}

#[test]
fn fewer_connections_are_enough() {
    for parallel in [6, 8, 12] {
        for limit in [30.0, 350.0, 3000.0] {
            let result = run(&World::new(limit, 0.0), MAX, parallel, 1);
            assert!(is_right(&result, limit), "{parallel}, {limit}: {result:?}");
            assert!(result.connections <= 3 * parallel, "{parallel}: {result:?}");
        }
    }
}
