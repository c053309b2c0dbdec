#![doc = include_str!("../README.md")]
// Which options there are, how the environment sets them, and how a value that cannot be used is
// reported: everything about the options that needs no system call. The preload library may
// neither allocate nor panic, so nothing here does.
#![no_std]
#![forbid(unsafe_code)]

pub mod env;
mod message;
mod mode;
mod option;
mod values;

pub use env::Unusable;
pub use message::{LINE_MAX, Line};
pub use mode::Mode;
pub use option::{
    KEEPCNT, KEEPIDLE, KEEPINTVL, OPTIONS, RTO_MAX, SYNCNT, TcpOption, USER_TIMEOUT, Unit,
};
pub use values::{Settings, Values};
