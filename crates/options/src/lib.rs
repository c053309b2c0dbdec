#![doc = include_str!("../README.md")]
// Which options there are, how the environment sets them, and how a value that cannot be used is
// reported: everything about the options that needs no system call. The preload library may
// neither allocate nor panic, so nothing here does.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod line;
mod mode;
mod option;
mod variable;

pub use line::{LINE_MAX, Line};
pub use mode::Mode;
pub use option::{KEEPCNT, KEEPIDLE, KEEPINTVL, OPTIONS, RTO_MAX, SYNCNT, TcpOption, USER_TIMEOUT};
pub use variable::given;
