#![doc = include_str!("../README.md")]
#![no_std]

// A development build unwinds and so needs std; what ships (the release profile) has neither.
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
    /// Everything that is not safe in a signal handler or costs time is done here, once:
    /// the environment is read (nginx empties its own later), the next definitions are looked
    /// up (dlsym takes the loader's lock).
    #[ctor(unsafe)]
    fn load() {
        // In this order: a page fault less. The first access to our memory is a write; a read
        // would map the page of zeros, and the write after it replace that.
        next::look_up_all();
        settings::Settings::load();
    }
}

/// The release library has no panic path: this handler calls a function that does not exist,
/// so a path that the optimiser could not remove fails at the link (`-z defs` in build.rs).
#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        safe fn libkeepalive_has_a_panic_path() -> !;
    }
    libkeepalive_has_a_panic_path()
}
