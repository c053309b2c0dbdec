//! One process in /proc. An open directory stays that process's: if another process gets the number,
//! reading fails with ESRCH. Every read has a bound, since the process decides how much there is.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use procfs::process::{Stat, Status};
use procfs::{FromRead, ProcError};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::Errno;

use super::cgroup::Place;
use super::command_line::CommandLine;
use super::error::{Error, is_gone};

/// At most this many bytes are read of a file with a few lines. (`Groups:` of status can be long.)
const FILE_MAX: u64 = 1 << 20;
/// At most this many bytes are read of the arguments and of the environment. (A class path can be
/// long.)
const ARGUMENTS_MAX: u64 = 128 << 10;
/// The longest line of maps that is read: a path with every byte escaped is shorter.
const LINE_MAX: u64 = 32 << 10;

/// `/proc/PID`, or `/proc/PID/task/TID`.
pub struct Proc(OwnedFd);

impl Proc {
    /// Of the process with this number.
    pub fn open(pid: i32) -> io::Result<Self> {
        Ok(Self(rustix::fs::open(format!("/proc/{pid}"), path_flags(), Mode::empty())?))
    }

    /// Of one of the process's threads.
    fn thread(&self, tid: i32) -> io::Result<Self> {
        Ok(Self(openat(&self.0, format!("task/{tid}"), path_flags(), Mode::empty())?))
    }

    /// A thread that runs, with its number: the first may have ended before the others
    /// (pthread_exit(3)), and then has neither descriptors nor memory.
    pub fn live_thread(&self) -> io::Result<Option<(Self, i32)>> {
        for tid in self.numeric_entries("task")? {
            let thread = self.thread(tid).and_then(|thread| Ok((thread.stat()?, thread)));
            match thread {
                Ok((stat, thread)) if !has_ended(&stat) => return Ok(Some((thread, tid))),
                Err(error) if !is_gone(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(None)
    }

    /// The numbers of the process's children, which are those of its threads.
    pub fn children(&self) -> io::Result<Vec<i32>> {
        let mut children = Vec::new();
        for tid in self.numeric_entries("task")? {
            match self.read(&format!("task/{tid}/children"), FILE_MAX) {
                Ok(text) => {
                    let text = String::from_utf8_lossy(&text);
                    children.extend(text.split_ascii_whitespace().flat_map(str::parse::<i32>));
                }
                // The thread has ended meanwhile.
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(children)
    }

    /// Its state, name, start time.
    pub fn stat(&self) -> io::Result<Stat> {
        Stat::from_read(&*self.read("stat", FILE_MAX)?).map_err(io_error)
    }

    /// Its credentials.
    pub fn status(&self) -> io::Result<Status> {
        let text = self.read("status", FILE_MAX)?;
        // Its name may be any bytes, such as half of a character.
        Status::from_read(String::from_utf8_lossy(&text).as_bytes()).map_err(io_error)
    }

    /// What it was started as. (The program may write something else there.)
    pub fn command_line(&self) -> io::Result<CommandLine> {
        Ok(CommandLine::parse(&self.read("cmdline", ARGUMENTS_MAX)?))
    }

    /// The environment with which it was started: entries that end in a zero.
    pub fn environment(&self) -> io::Result<Vec<u8>> {
        self.read("environ", ARGUMENTS_MAX)
    }

    /// Its program's file.
    pub fn program(&self) -> io::Result<PathBuf> {
        Ok(path(readlinkat(&self.0, "exe", Vec::new())?.into_bytes()))
    }

    /// The descriptors of its sockets of every kind, each with the socket's inode. (Duplicating
    /// anything else could have effects when the duplicate is closed: a device may act on that.)
    pub fn sockets(&self) -> io::Result<Vec<(i32, u64)>> {
        let directory = openat(&self.0, "fd", list_flags(), Mode::empty())?;
        let mut sockets = Vec::new();
        let mut link = Vec::with_capacity(64);
        for entry in Dir::read_from(&directory)? {
            let name = entry?.file_name().to_owned();
            let Ok(fd) = name.to_string_lossy().parse() else { continue };
            link = match readlinkat(&directory, &name, link) {
                Ok(link) => link.into_bytes(),
                // Closed since the directory was read.
                Err(Errno::NOENT) => Vec::with_capacity(64),
                // The directory may be listed, but not what is in it.
                Err(error) => return Err(error.into()),
            };
            sockets.extend(socket_inode(&link).map(|inode| (fd, inode)));
        }
        Ok(sockets)
    }

    /// The preload library that is loaded in it, if one is.
    pub fn library(&self) -> io::Result<Option<PathBuf>> {
        find_library(BufReader::new(self.file("maps")?))
    }

    /// Its control groups.
    pub fn place(&self) -> io::Result<Place> {
        Ok(Place::parse(&String::from_utf8_lossy(&self.read("cgroup", FILE_MAX)?)))
    }

    /// Its network namespace, and the inode that tells it from others.
    pub fn network_namespace(&self) -> io::Result<(File, u64)> {
        let file = self.file("ns/net")?;
        let inode = file.metadata()?.ino();
        Ok((file, inode))
    }

    /// The owner of its descriptors' directory: root if the process is not dumpable.
    pub fn owner_of_descriptors(&self) -> io::Result<u32> {
        Ok(statat(&self.0, "fd", AtFlags::empty())?.st_uid)
    }

    fn file(&self, name: &str) -> io::Result<File> {
        Ok(openat(&self.0, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into())
    }

    /// The first `max` bytes of a file.
    fn read(&self, name: &str, max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file(name)?.take(max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The entries of a directory that are numbers.
    fn numeric_entries(&self, name: &str) -> io::Result<Vec<i32>> {
        numbers(openat(&self.0, name, list_flags(), Mode::empty())?)
    }
}

/// The numbers of all processes.
pub fn all_pids() -> io::Result<Vec<i32>> {
    numbers(rustix::fs::open("/proc", list_flags(), Mode::empty())?)
}

/// PROC_SUPER_MAGIC of statfs(2).
const PROC_SUPER_MAGIC: rustix::fs::FsWord = 0x9fa0;

/// Whether /proc is there, and shows the processes that this one can name.
pub fn check_proc() -> Result<(), Error> {
    let is_proc = rustix::fs::statfs("/proc").is_ok_and(|found| found.f_type == PROC_SUPER_MAGIC);
    if !is_proc {
        return Err(Error::NoProc);
    }
    match std::fs::read_link("/proc/self") {
        Ok(own) if own.as_os_str() == &*std::process::id().to_string() => Ok(()),
        _ => Err(Error::PidNamespace),
    }
}

/// Whether /proc shows other users' processes. (Number 1 is always there.)
pub fn check_others_visible() -> Result<(), Error> {
    match Proc::open(1).and_then(|proc| proc.stat()) {
        Err(error) if is_gone(&error) => Err(Error::OthersHidden),
        _ => Ok(()),
    }
}

fn numbers(directory: OwnedFd) -> io::Result<Vec<i32>> {
    let mut numbers = Vec::new();
    for entry in Dir::read_from(directory)? {
        numbers.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(numbers)
}

/// Whether it has ended: a zombie, or killed, and about to be one. (A child of this command that hangs
/// at a socket has been killed, and holds that socket.)
pub fn has_ended(stat: &Stat) -> bool {
    let is_killed = stat.signal & 1 << (libc::SIGKILL - 1) != 0;
    is_killed || matches!(stat.state, 'Z' | 'X' | 'x')
}

fn path_flags() -> OFlags {
    OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC
}

fn list_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC
}

fn path(bytes: Vec<u8>) -> PathBuf {
    std::ffi::OsString::from_vec(bytes).into()
}

/// The path of the preload library in the lines of maps. Only one line is in memory at a time.
fn find_library(mut maps: impl BufRead) -> io::Result<Option<PathBuf>> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if maps.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        line.pop_if(|last| *last == b'\n');
        if let Some(found) = mapped_file(&line).filter(|path| is_library(path)) {
            return Ok(Some(path(found.to_vec())));
        }
    }
}

/// The path after the five fields of a line of maps, if there is one.
fn mapped_file(line: &[u8]) -> Option<&[u8]> {
    let mut rest = line;
    for _ in 0..5 {
        let end = rest.iter().position(|byte| *byte == b' ')?;
        rest = rest[end..].trim_ascii_start();
    }
    rest.starts_with(b"/").then_some(rest)
}

fn is_library(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name.starts_with(b"libkeepalive.so")
}

/// The inode in `socket:[123]`, which is what a descriptor of a socket links to.
fn socket_inode(link: &[u8]) -> Option<u64> {
    let inode = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(inode).ok()?.parse().ok()
}

/// An error of procfs, as the system's.
fn io_error(error: ProcError) -> io::Error {
    match error {
        ProcError::PermissionDenied(_) => Errno::ACCESS.into(),
        ProcError::NotFound(_) => Errno::SRCH.into(),
        ProcError::Io(error, _) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    const LINE: &str = "7f00-7f01 r-xp 00000000 fd:01 42      ";

    #[test]
    fn the_library_is_found_among_the_mappings() {
        let found = |path: &str| {
            let maps =
                format!("7f-80 rw-p 0 00:00 0 \n7f-80 rw-p 0 00:00 0 [heap]\n{LINE}{path}\n");
            find_library(maps.as_bytes()).expect("text")
        };
        let name = "/usr/lib/a b/libkeepalive.so.0";
        assert_eq!(found(name), Some(name.into()));
        assert_eq!(
            found("/usr/lib/libkeepalive.so (deleted)"),
            Some("/usr/lib/libkeepalive.so (deleted)".into())
        );
        assert_eq!(found("/usr/lib/libkeepalive.so/other"), None);
        // PR_SET_VMA_ANON_NAME.
        assert_eq!(found("[anon:/usr/lib/libkeepalive.so]"), None);
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let endless =
            io::repeat(b'x').take(10 * LINE_MAX).chain(&b"\n7f-80 r 0 0 0 /libkeepalive.so\n"[..]);
        assert_eq!(
            find_library(BufReader::new(endless)).expect("text"),
            Some("/libkeepalive.so".into())
        );
    }

    #[test]
    fn a_socket_is_known_by_its_link() {
        assert_eq!(socket_inode(b"socket:[123]"), Some(123));
        for other in
            [&b"pipe:[123]"[..], b"socket:[]", b"socket:[-1]", b"/socket:[1]", b"socket:[1] "]
        {
            assert_eq!(socket_inode(other), None);
        }
    }

    /// What may be mapped: paths, some of them the library's, names that are none, and nothing.
    fn mapped() -> impl Strategy<Value = String> {
        prop_oneof![
            "",
            r"\[(heap|anon:/usr/lib/libkeepalive\.so|anon: x)\]",
            r"(/[ -.0-~é]{0,9}){1,4}",
            r"(/[ -.0-~é]{0,9}){0,4}/libkeepalive\.so[ -.0-~]{0,9}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        /// The kernel writes the path after blanks, and a newline in it as `\012`.
        #[test]
        fn the_library_is_the_first_mapped_file_of_its_name(
            all in vec((any::<u32>(), any::<u64>(), mapped()), 0..9),
        ) {
            let mut maps = String::new();
            for (address, inode, what) in &all {
                let fields = format!(
                    "{address:08x}-{:08x} r-xp {:08x} fd:01 {inode} ", u64::from(*address) + 1, 0
                );
                maps += &format!("{fields:73}{what}\n");
            }
            let expected = all.iter().map(|(_, _, what)| PathBuf::from(what)).find(|path| {
                let name = path.to_str().and_then(|path| path.rsplit_once('/'));
                path.is_absolute() && name.is_some_and(|(_, name)| name.starts_with("libkeepalive.so"))
            });
            prop_assert_eq!(find_library(maps.as_bytes()).expect("read"), expected);
        }

        #[test]
        fn no_maps_are_too_strange(
            all in vec(mapped(), 0..4),
            changes in vec((any::<Index>(), prop_oneof![Just(b' '), Just(b'\n'), any::<u8>()]), 0..6),
        ) {
            let mut maps = all.iter().map(|what| format!("{LINE}{what}\n")).collect::<String>().into_bytes();
            for (place, byte) in changes {
                if !maps.is_empty() {
                    let place = place.index(maps.len());
                    maps[place] = byte;
                }
            }
            if let Some(found) = find_library(&maps[..]).expect("read") {
                let found = found.into_os_string().into_vec();
                prop_assert!(is_library(&found) && found.starts_with(b"/"));
                prop_assert!(maps.windows(found.len()).any(|part| part == found));
            }
        }

        #[test]
        fn a_link_to_a_socket_is_what_the_kernel_writes_and_nothing_else(
            inode: u64,
            other in r"(socket|pipe|/):?\[?[0-9 \-x]{0,21}\]?.?",
        ) {
            let link = |inode: u64| format!("socket:[{inode}]");
            prop_assert_eq!(socket_inode(link(inode).as_bytes()), Some(inode));
            if let Some(inode) = socket_inode(other.as_bytes()) {
                let digits = other.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
                let digits = digits.expect("a link").trim_start_matches('0');
                let inode = inode.to_string();
                prop_assert_eq!(digits, inode.trim_start_matches('0'));
            }
        }

        /// Its name is all that a process chooses in stat and status: here this very thread's.
        #[test]
        fn a_process_may_have_any_name(name in vec(1..=255_u8, 0..16)) {
            rustix::thread::set_name(&CString::new(&name[..]).expect("no zero")).expect("a name");
            let own = rustix::fs::open("/proc/thread-self", path_flags(), Mode::empty());
            let own = Proc(own.expect("/proc"));
            let name = &name[..name.len().min(15)];
            prop_assert_eq!(own.stat().expect("stat").comm, String::from_utf8_lossy(name));
            let tid = rustix::thread::gettid().as_raw_nonzero().get();
            prop_assert_eq!(own.status().expect("status").pid, tid);
        }
    }
}
