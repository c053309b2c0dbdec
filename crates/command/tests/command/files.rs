//! What `run` looks into before it starts a program may be anything: it neither waits nor grows.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::stat::Mode;

use crate::run::unfollowed;
use crate::support;
use crate::{failure, keepalive, keepalive_run};

/// A FIFO that nobody writes to, and that looks executable.
fn fifo() -> PathBuf {
    let path = support::scratch("fifo");
    nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o755)).expect("a FIFO");
    path
}

/// The command, killed after ten seconds.
fn in_time(command: &Command) -> Command {
    let mut timeout = support::bare("timeout");
    timeout.args(["-s", "KILL", "10"]).arg(command.get_program()).args(command.get_args());
    timeout
}

#[test]
fn a_fifo_is_not_waited_for() {
    let fifo = fifo();
    let (status, stderr) = failure(&mut in_time(keepalive_run("").arg(&fifo)));
    assert_eq!(status, 126, "{stderr}");

    let script = support::scratch("through-fifo");
    fs::write(&script, format!("#!{}\n", fifo.display())).expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("its mode");
    let (status, stderr) = failure(&mut in_time(keepalive_run("").arg(&script)));
    assert_eq!(status, 126, "{stderr}");

    for path in [&fifo, Path::new("/dev/zero")] {
        let (status, stderr) =
            failure(&mut in_time(keepalive("run --library").arg(path).arg("true")));
        assert_eq!(status, 125, "{stderr}");
        assert!(stderr.contains(": not a regular file"), "{stderr}");
    }
}

#[test]
fn a_device_is_not_opened() {
    // To open a tape rewinds it, to open a watchdog starts it.
    let mut command = support::bare("strace");
    command.args(["-f", "-e", "trace=open,openat"]).arg(keepalive_run("").get_program());
    command.args(keepalive_run("").get_args()).arg("/dev/zero");
    let (status, stderr) = failure(&mut command);
    assert_eq!(status, 126, "{stderr}");
    assert!(stderr.contains("libkeepalive.so"), "nothing is traced: {stderr}");
    assert!(!stderr.contains("open(\"/dev/zero") && !stderr.contains(", \"/dev/zero"), "{stderr}");
}

/// An ELF file that a test changes.
struct Patched {
    path: PathBuf,
    file: File,
    bytes: Vec<u8>,
}

/// An offset beyond everything in these files; and as much as none of them needs.
const FAR: u64 = 1 << 20;
const HUGE: u64 = 512 << 20;

impl Patched {
    /// A copy, followed by a hole.
    fn new(original: &Path) -> Self {
        let path = support::scratch("patched");
        fs::copy(original, &path).expect("a copy");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
        let bytes = fs::read(&path).expect("its bytes");
        assert!(bytes.len() < FAR as usize && bytes[4] == 2, "a small file of 64 bits");
        let file = File::options().write(true).open(&path).expect("writable");
        file.set_len(FAR + 2 * HUGE).expect("a hole");
        Self { path, file, bytes }
    }

    fn number(&self, offset: u64, size: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes[..size].copy_from_slice(&self.bytes[offset as usize..][..size]);
        u64::from_le_bytes(bytes)
    }

    fn set(&mut self, offset: u64, size: usize, value: u64) {
        self.file.seek(SeekFrom::Start(offset)).expect("an offset");
        self.file.write_all(&value.to_le_bytes()[..size]).expect("written");
    }

    /// Where the first header of this type is: of the program's, or of the sections.
    fn header(&self, table: u64, size: u64, kind: u64, kind_at: u64) -> u64 {
        let first = self.number(table, 8);
        let mut headers = (0..).map(|index| first + index * size);
        headers.find(|at| self.number(at + kind_at, 4) == kind).expect("such a header")
    }
}

/// Runs a command; the most memory that its process had, in MiB.
fn memory(command: &Command) -> i64 {
    let child = in_time(command)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("timeout(1)");
    let mut status = 0;
    // SAFETY: a `rusage` may be all zeros.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let pid = i32::try_from(child.id()).expect("a number");
    // What it leaves to wait for is waited for below.
    drop(child);
    // SAFETY: `status` and `usage` outlive the call; the child is waited for here alone. What
    // timeout(1) waited for is counted in its own usage.
    let waited = unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
    assert_eq!(waited, pid);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) != 137, "{command:?}: {status:x}");
    usage.ru_maxrss / 1024
}

#[test]
#[cfg(all(target_pointer_width = "64", target_endian = "little"))]
fn memory_is_bounded_whatever_a_file_says_of_itself() {
    let program = support::host("environment");
    let note = {
        let mut file = Patched::new(&program);
        let note = file.header(32, 56, 4, 0);
        file.set(note + 8, 8, FAR);
        file.set(note + 32, 8, HUGE);
        file
    };
    let program_headers = {
        let mut file = Patched::new(&program);
        let sections = file.number(40, 8);
        file.set(32, 8, FAR);
        file.set(56, 2, 0xffff);
        file.set(sections + 44, 4, HUGE / 56);
        file
    };
    let sections = {
        let mut file = Patched::new(&program);
        file.set(40, 8, FAR);
        file.set(60, 2, 0);
        file.set(FAR + 32, 8, HUGE / 64);
        file
    };
    for (what, file) in [("note", note), ("headers", program_headers), ("sections", sections)] {
        let mut command = keepalive_run("");
        command.arg(&file.path);
        let used = memory(&command);
        assert!(used < 100, "{what}: {used} MiB");
    }
    let symbols = {
        let mut file = Patched::new(&support::built_library());
        let symbols = file.header(40, 64, 11, 4);
        file.set(symbols + 24, 8, FAR);
        file.set(symbols + 32, 8, HUGE);
        file
    };
    let mut command = keepalive("run --library");
    command.arg(&symbols.path).arg("true");
    let used = memory(&command);
    assert!(used < 100, "symbols: {used} MiB");
}

#[test]
#[cfg(all(target_pointer_width = "64", target_endian = "little"))]
fn a_program_with_a_strange_table_is_still_judged_by_the_rest() {
    let mut file = Patched::new(&support::compile("target_static", &["-static"]));
    file.set(40, 8, FAR);
    file.set(60, 2, 0);
    file.set(FAR + 32, 8, HUGE / 64);
    let (status, stderr) = failure(unfollowed("").arg(&file.path));
    assert_eq!(status, 125, "{stderr}");
    assert!(stderr.contains("statically linked"), "{stderr}");
}

#[test]
fn names_of_files_cannot_command_a_terminal() {
    let directory = support::scratch("names");
    fs::create_dir(&directory).expect("a directory");
    let bad = "a\u{1b}[31mb\u{9b}31mc\nd";
    let interpreter = directory.join(bad);
    fs::copy(support::compile("target_static", &["-static"]), &interpreter).expect("a copy");
    // The line of a script ends at the newline.
    let link = directory.join("e\u{1b}[32m");
    std::os::unix::fs::symlink(&interpreter, &link).expect("a link");
    let script = directory.join("script");
    fs::write(&script, format!("#!{}\n", link.display())).expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("its mode");
    let is_clean = |text: &str| {
        let bad = |character: char| character.is_control() && character != '\n';
        assert!(!text.contains(bad) && text.contains(r"\u{1b}["), "{text:?}");
    };
    for program in [&interpreter, &link, &script] {
        let (status, stderr) = failure(unfollowed("").arg(program));
        assert!(status == 125 && stderr.contains("statically linked"), "{stderr}");
        is_clean(&stderr);
        assert_eq!(stderr.lines().count(), 3, "{stderr:?}");
    }
    for program in [bad, "/nonexistent/\u{1b}[31m"] {
        let (status, stderr) = failure(keepalive_run("").arg(program));
        assert_eq!(status, 127);
        is_clean(&stderr);
    }
    for library in [&interpreter, &directory.join("none\u{1b}[31m"), &directory.join(" \u{1b}[31m")]
    {
        let (status, stderr) = failure(keepalive("run --library").arg(library).arg("true"));
        assert_eq!(status, 125);
        is_clean(&stderr);
    }
    let library = directory.join("\u{1b}[31m.so");
    fs::copy(support::built_library(), &library).expect("a copy");
    let (_, stderr) = support::run(keepalive("run -v --library").arg(library).arg("true"));
    is_clean(&stderr);
}
