#![doc = include_str!("../docs/library.md")]
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
