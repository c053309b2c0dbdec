//! What surrounds a process: descriptors, signals, the service manager, the
//! system's log, what was inherited, and how it ends.

pub mod descriptors;
pub mod sd_notify;
pub mod signals;
pub mod startup;
mod status;
pub mod syslog;

pub use status::Status;
