//! Work in a child process, which another process may hold up: the command goes on without it.

mod child;
pub mod hang;

pub use child::{
    End, Sender, Word, Worker, forget_children, in_child, is_own, leave_open, processor_time,
    receive, run_child,
};
pub use hang::Hang;
