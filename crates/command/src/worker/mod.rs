//! Work in a child process, since other processes can hold it up: a socket that its program keeps
//! locked, memory that cannot be read. The command itself goes on without these.
//!
//! The child begins with all that its parent knows, and sends what it finds. Where it hangs, the
//! parent keeps what has come, and another child goes on from there: nothing is done twice.

mod child;
mod hang;
mod message;
mod patience;

pub use child::{End, Error, Worker, is_own, processor_time};
pub use hang::{Hang, Lock, ProcessId, Watched, reading_memory, watch};
pub use message::Sender;
pub use patience::{is_put_off, is_unasked, put_hung_socket_last, why_left_out};
