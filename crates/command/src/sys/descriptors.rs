//! The descriptors of this process.

use std::io;

use rustix::fs::{Dir, Mode, OFlags};
use rustix::process::Resource;

/// Lets this process open as many descriptors as it may.
pub fn raise_limit() {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is refused, EMFILE tells if it was needed.
    let _ = rustix::process::setrlimit(Resource::Nofile, limit);
}

/// The descriptors that are open. (One is the directory that was read, and closed already.)
pub fn open() -> io::Result<Vec<i32>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut open = Vec::new();
    for entry in Dir::read_from(rustix::fs::open("/proc/self/fd", flags, Mode::empty())?)? {
        open.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(open)
}
