#![doc = include_str!("../README.md")]
// What can be set, how it is written in the environment, and how a value that cannot be used is
// explained: everything about the options that needs no system call. The preload library may
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
