//! Link settings of the library.

fn main() {
    println!("cargo:rerun-if-changed=layout.ld");
    let link = |argument: &str| println!("cargo:rustc-link-arg-cdylib={argument}");

    // The same as libkeepalive 0.3: a program that is linked against that finds ours.
    link("-Wl,-soname,libkeepalive.so.0");
    // Only the release build is laid out by hand: a development build unwinds and contains std.
    if std::env::var("PROFILE").as_deref() == Ok("release") {
        // Neither crtbegin's clean-up at exit nor its relocations: there is nothing to clean up.
        link("-nostartfiles");
        link("-Wl,-T,layout.ld");
        link("-Wl,--build-id=none,--hash-style=gnu");
        // Full RELRO; and whatever has no definition is an error here, not in somebody's
        // program: above all the function that a panic would call (src/lib.rs).
        link("-Wl,-z,relro,-z,now,-z,defs");
        // Named here, because any crate of the workspace may switch on the feature `std` of the
        // crate libc, which then leaves linking the C library to std.
        link("-lc");
    }
}
