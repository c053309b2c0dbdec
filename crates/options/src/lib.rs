//! What libkeepalive can set, how it is written in the environment, and how a value that
//! cannot be used is explained: everything about the options that needs no system call.
//!
//! Shared by the preload library, which may neither allocate nor panic, and by its command.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod line;
mod mode;
mod option;

pub use line::{LINE_MAX, Line};
pub use mode::Mode;
pub use option::{OPTIONS, TcpOption};
