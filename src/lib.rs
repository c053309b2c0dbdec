//! TCP keepalive for programs whose source nobody can change: a library to preload.
//!
//! ```sh
//! LD_PRELOAD=libkeepalive.so KEEPCNT=20 KEEPIDLE=180 KEEPINTVL=60 some-program
//! ```
//!
//! It has no interface for Rust. It exports `socket`, `connect`, `accept`, `accept4` and
//! `setsockopt`, and variables of the environment say what these do to a socket. The package has
//! them in `docs/library.md`, with the modes, the limits and where to put the file.
//!
//! A call goes from `hooks` to `apply`, which asks `settings` what to set. Below these: `next`
//! (the functions that would be called without us), `report` (messages), `errno` and `arch`.
#![no_std]

// A development build unwinds, so it needs std; the release build, which ships, does neither.
#[cfg(panic = "unwind")]
extern crate std;

mod apply;
mod arch;
mod errno;
mod hooks;
mod next;
mod report;
mod settings;

ctor::declarative::ctor! {
    /// Does once what costs time or is not safe in a signal handler: looks up the next
    /// definitions (dlsym takes the loader's lock) and reads the environment (nginx empties its
    /// own later).
    #[ctor(unsafe)]
    fn load() {
        // This order saves a page fault: the first access to our memory is a write. A read would
        // map the page of zeros, and the write after it would replace that.
        next::look_up_all();
        settings::Settings::load();
    }
}

/// The release library has no panic path: this handler calls a function that does not exist, so
/// the link fails if the optimiser leaves such a path (`-z defs` in build.rs).
#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        safe fn libkeepalive_has_a_panic_path() -> !;
    }
    libkeepalive_has_a_panic_path()
}
