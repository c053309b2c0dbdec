//! What surrounds a process: signals, the service manager, the system's log, what was inherited.

pub mod sd_notify;
pub mod signals;
pub mod startup;
pub mod syslog;
