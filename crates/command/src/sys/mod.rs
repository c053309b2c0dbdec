//! What surrounds a process: descriptors, signals, the service manager, the system's log, what was inherited.

pub mod descriptors;
pub mod sd_notify;
pub mod signals;
pub mod startup;
pub mod syslog;
