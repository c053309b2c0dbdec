//! Everything that depends on the architecture.

use core::arch::global_asm;

#[cfg(target_pointer_width = "64")]
use libc::{SYS_fstat, stat};
#[cfg(target_pointer_width = "32")]
use libc::{SYS_fstat64 as SYS_fstat, stat64 as stat};
use libc::{c_char, c_int, c_void, syscall};

// One file serves every glibc and musl. dlsym(3) moved from libdl to libc in glibc 2.34 and got a
// new version there; an older glibc lacks that version, and no program would start. So the
// reference is weak, and has the version of the architecture's first glibc, which all later ones
// keep (glibc: sysdeps/unix/sysv/linux/*/libdl.abilist, since 2.34 libc.abilist).
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
global_asm!(".symver dlsym, dlsym@GLIBC_2.2.5");
#[cfg(target_arch = "x86")]
global_asm!(".symver dlsym, dlsym@GLIBC_2.0");
#[cfg(target_arch = "arm")]
global_asm!(".symver dlsym, dlsym@GLIBC_2.4");
#[cfg(target_arch = "aarch64")]
global_asm!(".symver dlsym, dlsym@GLIBC_2.17");
#[cfg(target_arch = "riscv64")]
global_asm!(".symver dlsym, dlsym@GLIBC_2.27");
#[cfg(not(any(
    all(target_arch = "x86_64", target_pointer_width = "64"),
    target_arch = "x86",
    target_arch = "arm",
    target_arch = "aarch64",
    target_arch = "riscv64"
)))]
compile_error!("the version of this architecture's first glibc is not known: src/arch.rs");

// The compiler assumes that a function is never null. So a word of our own holds the address: the
// loader fills it in, with null where the program has no dlsym.
global_asm!(
    ".weak dlsym",
    ".pushsection .data.rel.ro.libkeepalive_dlsym, \"aw\"",
    ".hidden libkeepalive_dlsym",
    ".globl libkeepalive_dlsym",
    ".balign {word}",
    "libkeepalive_dlsym: .dc.a dlsym",
    ".popsection",
    word = const size_of::<usize>(),
);

/// dlsym(3).
type Dlsym = unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void;

/// dlsym(3), if this program has it: before glibc 2.34 only where libdl is loaded.
pub fn dlsym() -> Option<Dlsym> {
    unsafe extern "C" {
        #[link_name = "libkeepalive_dlsym"]
        static DLSYM: Option<Dlsym>;
    }
    // SAFETY: the word above; nobody but the loader writes to it.
    unsafe { DLSYM }
}

/// Whether an address lies in this library's own text: after its ELF header, which the linker
/// names, and before the word above, which is in its data.
pub fn is_ours(address: usize) -> bool {
    unsafe extern "C" {
        static __ehdr_start: u8;
        #[link_name = "libkeepalive_dlsym"]
        static DLSYM: u8;
    }
    ((&raw const __ehdr_start) as usize..(&raw const DLSYM) as usize).contains(&address)
}

/// fstat(2) by the system call: glibc had no function of that name before 2.33.
pub fn fstat(fd: c_int) -> Option<stat> {
    let mut status = core::mem::MaybeUninit::<stat>::uninit();
    // SAFETY: the kernel writes one `stat`, for which there is room.
    let result = unsafe { syscall(SYS_fstat, fd, status.as_mut_ptr()) };
    // SAFETY: the kernel has written it where the call succeeded.
    (result == 0).then(|| unsafe { status.assume_init() })
}
