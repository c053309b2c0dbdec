//! What surrounds a process: descriptors, the kernel's own values, signals, the service manager, the
//! system's log, what was inherited, how it ends.

pub mod descriptors;
pub mod kernel;
pub mod sd_notify;
pub mod signals;
pub mod startup;
mod status;
pub mod syslog;

pub use status::Status;
