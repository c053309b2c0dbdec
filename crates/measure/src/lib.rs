#![doc = include_str!("../README.md")]
// The layers, from below: timing, outcome | evidence and paths, plan | search, which decides
// without clock or socket | clock, connection | cleanup, engine, which do it.

mod cleanup;
mod clock;
mod connection;
mod engine;
mod evidence;
mod options;
mod outcome;
mod paths;
mod plan;
// For the simulation in tests/. Not a part of the interface.
#[doc(hidden)]
pub mod search;
mod timing;

use std::net::SocketAddr;
use std::time::Duration;

pub use options::{Error, Options};
pub use outcome::{Activity, Finding, How, Next, Outcome, Progress, Recommended};

use clock::Clock;
use engine::Engine;
use search::Search;

/// A first probe after at most this much idle time holds every path that is known to forget within
/// minutes (the shortest default limit of a product is four minutes), and leaves time for a second
/// probe where the first is lost.
pub const SAFE_IDLE: Duration = Duration::from_secs(timing::SAFE_IDLE as u64);

/// Measures after how much idle time the path to `address` forgets a TCP connection.
///
/// Takes one to three times as long as the path remembers a connection, longer where packets are
/// lost, and up to 2.5 hours with the default [`Options`]. Blocks meanwhile. At the end it closes all
/// connections, also those that the path has forgotten.
///
/// `observe` is called several times a second, also while the connections are closed, and says
/// whether to go on.
///
/// # Errors
///
/// [`Error`] if an option is out of its range, or if the kernel refuses a call without which nothing
/// can be measured. A server that cannot be reached is no error but a [`Finding`].
pub fn measure(
    address: SocketAddr,
    options: &Options,
    mut observe: impl FnMut(&Progress) -> Next,
) -> Result<Outcome, Error> {
    options.check()?;
    let mut search = Search::new(options);
    let clock = Clock::start().map_err(Error::Clock)?;
    let mut engine = Engine::new(&clock, address, &options.greeting);
    let result = engine.run(&mut search, &mut observe);
    let took = clock.now();
    let error = engine.error.take().map(Into::into);
    let left_at_server = engine.end(&search, &mut observe);
    result?;
    Ok(Outcome { left_at_server, error, ..search.outcome(took) })
}
