//! Looks again and again at the sockets of processes, and sets what is new.
//!
//! The follower itself only reads /proc. What is new is duplicated and set by a child that lives for
//! that look (worker/). Names, too, are looked for by a child. A signal ends the follower at once,
//! whatever the child does. The follower reports each event to its caller, which prints it.

mod event;
mod follower;
mod known;
mod members;
mod pace;

pub use event::Event;
pub use follower::Follower;
pub use members::Members;
