//! Paths and servers, as they are described to the simulation.

/// How a path forgets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Forgets {
    Silently,
    WithReset,
    WithResetUnasked,
    /// Connections of this age, though they are probed.
    ByAge,
}

/// What a server does by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Habit {
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
    /// Ends all connections at this time, and takes none for so long.
    Restarts(f64, f64),
    /// Is off from this time on for so long, and then resets what it does not know any more.
    Reboots(f64, f64),
}

/// A path and the server at its end.
#[derive(Clone, Debug)]
pub struct World {
    /// After how much idle time a connection is forgotten: every one, or every second one.
    pub limit: f64,
    pub other_limit: f64,
    pub forgets: Forgets,
    /// Each way.
    pub loss: f64,
    pub round_trip: f64,
    pub habit: Habit,
    pub outage: (f64, f64),
}

impl World {
    pub fn new(limit: f64, loss: f64) -> Self {
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
