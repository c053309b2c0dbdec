//! What every suite needs: the library that ships, programs to put it in front of, and runs of
//! them whose output is looked at.
//!
//! `KEEPALIVE_TEST_SYSTEM` chooses where the programs are built and run: unset, this machine;
//! `musl`, this machine with musl (Debian: musl-tools); or the root directory of another system
//! that has a C compiler (root only; Debian: debootstrap --include=gcc,libc6-dev).
//! `KEEPALIVE_TEST_LIBRARY` names another library file to test than the one built here: how a
//! test is seen to fail.

// Each suite is a crate of its own and uses what it needs.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where the programs are built and run.
enum System {
    Native,
    Musl,
    Root(PathBuf),
}

static SYSTEM: LazyLock<System> =
    LazyLock::new(|| match std::env::var("KEEPALIVE_TEST_SYSTEM").as_deref() {
        Err(_) => System::Native,
        Ok("musl") => System::Musl,
        Ok(root) => System::Root(root.into()),
    });

/// Whether the programs run on this machine's own C library. Some suites look at this machine's
/// programs, which other systems need not have.
pub fn is_native() -> bool {
    matches!(*SYSTEM, System::Native)
}

/// A directory of this process's, inside the system that is tested. Removed when it ends.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let parent = match &*SYSTEM {
        System::Root(root) => root.join("tmp"),
        _ => PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
    };
    let directory = parent.join(format!("programs-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for test programs");
    extern "C" fn clean_up() {
        // Nobody is left to be told.
        let _ = std::fs::remove_dir_all(&*DIRECTORY);
    }
    // SAFETY: the handler runs once, when every test has ended.
    unsafe { libc::atexit(clean_up) };
    directory
});

/// A path as the programs see it.
pub fn inside(path: &Path) -> PathBuf {
    match &*SYSTEM {
        System::Root(root) => Path::new("/").join(path.strip_prefix(root).unwrap_or(path)),
        _ => path.to_owned(),
    }
}

/// A scratch file that no other test uses: its path outside. (Inside a foreign root programs
/// know it by another.)
pub fn scratch(name: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    DIRECTORY.join(format!("{}-{name}", COUNT.fetch_add(1, Ordering::Relaxed)))
}

/// `cargo build` of the very files that ship, once per suite: cargo test itself builds no cdylib.
static BUILD: LazyLock<PathBuf> = LazyLock::new(|| {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shipped");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--package", "libkeepalive", "--lib", "--examples"])
        .args(["--quiet", "--target-dir"])
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the release build failed");
    target.join("release")
});

/// The library, as it ships: the file that was built.
pub fn built_library() -> PathBuf {
    match std::env::var_os("KEEPALIVE_TEST_LIBRARY") {
        Some(path) => path.into(),
        None => BUILD.join("libkeepalive.so"),
    }
}

/// The library, as the programs see it.
pub fn library() -> PathBuf {
    into_system(&built_library())
}

/// The preload of examples/trace_sockopts, or its stand-in where std does not load.
pub fn tracer() -> PathBuf {
    match *SYSTEM {
        System::Native => BUILD.join("examples/libtrace_sockopts.so"),
        _ => compile("trace_sockopts", &["-shared", "-fPIC", "-ldl"]),
    }
}

/// The program of examples/show_keepalive.
pub fn show_keepalive() -> PathBuf {
    BUILD.join("examples/show_keepalive")
}

/// Copies a file into a foreign root, where there is one; its path as the programs see it.
fn into_system(file: &Path) -> PathBuf {
    if !matches!(*SYSTEM, System::Root(_)) {
        return file.to_owned();
    }
    let copy = DIRECTORY.join(file.file_name().expect("a file"));
    if !copy.exists() {
        // Renamed into place, so that no other test's thread sees half of it.
        let part = scratch("part");
        std::fs::copy(file, &part).expect("a copy inside the root");
        std::fs::rename(&part, &copy).expect("a copy inside the root");
    }
    inside(&copy)
}

/// Compiles `tests/hosts/NAME.c` (once per suite), as a real host would be; its path as the
/// programs see it.
pub fn host(name: &str) -> PathBuf {
    compile(name, &[])
}

/// As [`host`], with more arguments for the compiler, always the same for one name.
pub fn compile(name: &str, arguments: &[&str]) -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts");
    let source = ["c", "cc"]
        .map(|extension| sources.join(name).with_extension(extension))
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("tests/hosts/{name}.c does not exist"));
    let program = DIRECTORY.join(name);
    if program.exists() {
        return inside(&program);
    }
    let (mut compiler, source) = match &*SYSTEM {
        System::Native if source.extension() == Some(OsStr::new("cc")) => {
            (Command::new("c++"), source)
        }
        System::Native => (Command::new("cc"), source),
        System::Musl => (Command::new("musl-gcc"), source),
        System::Root(root) => (in_root("/usr/bin/cc", root), into_system(&source)),
    };
    // Built under a name of its own and renamed: tests run side by side and share programs.
    let part = scratch(name);
    let output = compiler
        .args(["-O1", "-Wall", "-Werror", "-pthread", "-o"])
        .arg(inside(&part))
        .arg(source)
        .args(arguments)
        .output()
        .expect("a C compiler (Debian: gcc libc6-dev)");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(&part, &program).expect("the program");
    inside(&program)
}

/// A command that runs below another root directory.
fn in_root(program: impl AsRef<OsStr>, root: &Path) -> Command {
    let mut command = Command::new(program);
    let root = root.to_owned();
    // SAFETY: between fork and exec there are two system calls, with short paths that are made
    // into C strings on the stack.
    unsafe {
        command.pre_exec(move || {
            std::os::unix::fs::chroot(&root)?;
            std::env::set_current_dir("/")
        });
    }
    command
}

/// A program with nothing of ours in its environment.
pub fn bare(program: impl AsRef<OsStr>) -> Command {
    let mut command = match &*SYSTEM {
        System::Root(root) => in_root(program, root),
        _ => Command::new(program),
    };
    for name in VARIABLES.iter().chain(&["LD_PRELOAD"]) {
        command.env_remove(name);
    }
    command
}

/// A program with the library in front of it.
pub fn preloaded(program: impl AsRef<OsStr>) -> Command {
    let mut command = bare(program);
    command.env("LD_PRELOAD", library());
    command
}

/// Every variable that the library reads.
pub const VARIABLES: [&str; 9] = [
    "KEEPALIVE",
    "KEEPCNT",
    "TCP_KEEPCNT",
    "KEEPIDLE",
    "TCP_KEEPIDLE",
    "KEEPINTVL",
    "TCP_KEEPINTVL",
    "TCP_USER_TIMEOUT",
    "KEEPALIVE_DEBUG",
];

/// What a program that ran to its end printed on stdout and on stderr. It must have succeeded.
#[track_caller]
pub fn run(command: &mut Command) -> (String, String) {
    let output = finish(command);
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    (stdout, stderr)
}

/// What a program printed on stdout, if it succeeded and printed nothing on stderr.
#[track_caller]
pub fn stdout(command: &mut Command) -> String {
    let (stdout, stderr) = run(command);
    assert_eq!(stderr, "", "{command:?}");
    stdout
}

/// Runs a program to its end.
#[track_caller]
pub fn finish(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Both outputs as text.
pub fn texts(output: &Output) -> (String, String) {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
