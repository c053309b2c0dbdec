//! Link settings of the library.

fn main() {
    println!("cargo:rerun-if-changed=layout.ld");
    let link = |argument: &str| println!("cargo:rustc-link-arg-cdylib={argument}");

    // libkeepalive 0.3's, so that a program linked against that one finds ours.
    link("-Wl,-soname,libkeepalive.so.0");
    // Only what ships is laid out by hand: a development build unwinds, and has std in it.
    if std::env::var("PROFILE").as_deref() == Ok("release") {
        // Neither crtbegin's clean-up at exit nor its relocations: there is nothing to clean up.
        link("-nostartfiles");
        link("-Wl,-T,layout.ld");
        link("-Wl,--build-id=none,--hash-style=gnu");
        // Full RELRO; and whatever has no definition is an error here, not in somebody's
        // program: above all the function that a panic would call (src/lib.rs).
        link("-Wl,-z,relro,-z,now,-z,defs");
        // By name, since libc's feature `std`, which any crate of the workspace may switch on,
        // leaves it to std to link the C library.
        link("-lc");
    }
}
