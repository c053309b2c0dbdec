//! The next definition of each function that the library uses: the C library's, or that of another
//! preload behind ours.
//!
//! dlsym(3) finds it, by `RTLD_NEXT`. Where there is none, or no dlsym (before glibc 2.34 a
//! program that does not load libdl has none), the system call itself is made. That skips no other
//! preload: a preload that hooks functions needs dlsym too, and brings it.

use core::mem::transmute;
use core::num::NonZeroUsize;
use core::ptr::with_exposed_provenance;

use libc::{
    SYS_accept4, SYS_connect, SYS_getsockopt, SYS_setsockopt, SYS_socket, c_int, c_long, c_void,
    sockaddr, socklen_t, syscall,
};
use once_cell::race::OnceNonZeroUsize;

use crate::arch;
use crate::errno::ErrnoGuard;

/// Turns each row into a function that calls the next definition, and a [`Function`] to look it up.
macro_rules! next_definitions {
    ($(
        $(#[doc = $doc:literal])*
        $(#[cfg($where:meta)])?
        fn $name:ident($($argument:ident: $type:ty),*) else $system_call:expr;
    )*) => {
        /// A function, by its name.
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy)]
        enum Function {
            $($(#[cfg($where)])? $name,)*
        }

        /// All of them.
        const FUNCTIONS: &[Function] = &[$($(#[cfg($where)])? Function::$name,)*];

        impl Function {
            /// The name, with the NUL that dlsym(3) needs, and the address of `system_call`. (In
            /// one place for all: the compiler makes a table of it, without relocations.)
            fn name_and_system_call(self) -> (&'static str, usize) {
                match self {
                    $(
                        $(#[cfg($where)])?
                        Self::$name => (
                            concat!(stringify!($name), "\0"),
                            $name::system_call as $name::Type as usize,
                        ),
                    )*
                }
            }
        }

        $(
            $(#[doc = $doc])*
            ///
            /// # Safety
            ///
            /// As for the function itself.
            $(#[cfg($where)])?
            pub unsafe fn $name($($argument: $type),*) -> c_int {
                let address = with_exposed_provenance::<()>(address(Function::$name));
                // SAFETY: the address is that of a function of this name, or of `system_call`, and
                // never 0. Its provenance was exposed when `find` got a number for it.
                let function = unsafe { transmute::<*const (), $name::Type>(address) };
                // SAFETY: the caller's own arguments.
                unsafe { function($($argument),*) }
            }

            $(#[cfg($where)])?
            mod $name {
                use super::*;

                pub(super) type Type = unsafe extern "C" fn($($type),*) -> c_int;

                pub(super) unsafe extern "C" fn system_call($($argument: $type),*) -> c_int {
                    // SAFETY: the caller's own arguments, for the system call of that name.
                    unsafe { $system_call as c_int }
                }
            }
        )*
    };
}

next_definitions! {
    /// The next socket(2).
    fn socket(domain: c_int, kind: c_int, protocol: c_int)
        else syscall(SYS_socket, domain, kind, protocol);

    /// The next connect(2).
    fn connect(fd: c_int, address: *const sockaddr, length: socklen_t)
        else cancellable(SYS_connect, fd, address, length as usize, 0);

    /// The next accept(2). (i386 has no system call of that name.)
    fn accept(fd: c_int, address: *mut sockaddr, length: *mut socklen_t)
        else cancellable(SYS_accept4, fd, address, length as usize, 0);

    /// The next accept4(2).
    fn accept4(fd: c_int, address: *mut sockaddr, length: *mut socklen_t, flags: c_int)
        else cancellable(SYS_accept4, fd, address, length as usize, flags);

    /// The next getsockopt(2).
    fn getsockopt(fd: c_int, level: c_int, name: c_int, value: *mut c_void, length: *mut socklen_t)
        else syscall(SYS_getsockopt, fd, level, name, value, length);

    /// The next setsockopt(2).
    fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, length: socklen_t)
        else syscall(SYS_setsockopt, fd, level, name, value, length);

    /// The next `__setsockopt64`, or setsockopt(2) where the C library has none.
    #[cfg(all(target_pointer_width = "32", target_env = "gnu"))]
    fn __setsockopt64(fd: c_int, level: c_int, name: c_int, value: *const c_void, length: socklen_t)
        else setsockopt(fd, level, name, value, length);
}

/// The address of each function's next definition, once that has been looked up.
static ADDRESSES: [OnceNonZeroUsize; FUNCTIONS.len()] =
    [const { OnceNonZeroUsize::new() }; FUNCTIONS.len()];

/// Looks all of them up, so that no call has to: dlsym takes the loader's lock and may allocate,
/// which must not happen in a signal handler.
pub fn look_up_all() {
    for function in FUNCTIONS {
        find(*function);
    }
}

fn address(function: Function) -> usize {
    ADDRESSES[function as usize].get().map_or_else(|| find(function), NonZeroUsize::get)
}

/// Looks up the next definition of a function; where there is none, takes its `system_call`.
/// Before our constructor several threads may do so at once: they all find the same.
#[cold]
#[inline(never)]
fn find(function: Function) -> usize {
    let _errno = ErrnoGuard::new();
    let (name, system_call) = function.name_and_system_call();
    let found = arch::dlsym().map_or(0, |dlsym| {
        // SAFETY: each name ends in NUL. The call comes from this library, which is what
        // `RTLD_NEXT` is relative to.
        unsafe { dlsym(libc::RTLD_NEXT, name.as_ptr().cast()) }.expose_provenance()
    });
    // It is ours where another preload hooks dlsym: `RTLD_NEXT` was relative to that preload.
    let found = if found == 0 || arch::is_ours(found) { system_call } else { found };
    // Fails where another thread was first.
    let _ = ADDRESSES[function as usize].set(NonZeroUsize::new(found).unwrap_or(NonZeroUsize::MIN));
    found
}

/// Makes a blocking system call of up to four arguments a cancellation point, like the C library's
/// function. glibc did it the same way until dlsym moved, so this is no worse than without us.
///
/// # Safety
///
/// As for the system call.
#[inline(never)]
unsafe fn cancellable(
    number: c_long,
    fd: c_int,
    address: *const sockaddr,
    length: usize,
    flags: c_int,
) -> c_long {
    const PTHREAD_CANCEL_ASYNCHRONOUS: c_int = 1;
    unsafe extern "C" {
        fn pthread_setcanceltype(kind: c_int, old: *mut c_int) -> c_int;
    }

    let mut old = 0;
    // SAFETY: `old` outlives the call. Up to the second call there is nothing but the system
    // call: being cancelled between the two leaves no lock and no state, though a connection
    // accepted in that very moment is lost, as it was in glibc.
    unsafe { pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &raw mut old) };
    // SAFETY: the caller's promise.
    let result = unsafe { syscall(number, fd, address, length, flags) };
    // SAFETY: a null pointer says that nobody asks for the type of before.
    unsafe { pthread_setcanceltype(old, core::ptr::null_mut()) };
    result
}
