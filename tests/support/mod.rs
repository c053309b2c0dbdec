//! What every suite needs: the library that ships, programs to put it in front of, and runs of
//! them whose output is looked at.
//!
//! `KEEPALIVE_TEST_SYSTEM` chooses where the programs are built and run: unset, this machine;
//! `musl`, this machine with musl (Debian: musl-tools); or the root directory of another system
//! that has a C compiler (root only; Debian: debootstrap --include=g++,libc6-dev). There,
//! `KEEPALIVE_TEST_TARGET` names another architecture to compile for (`aarch64-linux-gnu`), and
//! `KEEPALIVE_TEST_EMULATOR` what runs the programs then (`/usr/bin/qemu-aarch64-static`).
//! `KEEPALIVE_TEST_LIBRARY` names another library file to test than the one built here: how a
//! test is seen to fail.

// Each suite is a crate of its own and uses what it needs.
#![allow(dead_code)]

pub mod document;
pub mod group;
pub mod markdown;
pub mod namespace;
pub mod outside;
pub mod postgres;
pub mod running;

use std::env::consts::ARCH;
use std::ffi::{OsStr, OsString};
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

/// Whether the programs run on musl.
pub fn is_musl() -> bool {
    matches!(*SYSTEM, System::Musl)
}

/// What runs the programs of another architecture.
fn emulator() -> Option<OsString> {
    std::env::var_os("KEEPALIVE_TEST_EMULATOR")
}

/// Whether the programs are of another architecture than the system's own.
pub fn is_foreign() -> bool {
    std::env::var_os("KEEPALIVE_TEST_TARGET").is_some()
}

/// Whether the programs run under an emulator, which knows no seccomp.
pub fn is_emulated() -> bool {
    emulator().is_some()
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

/// A path of the programs', as this process sees it.
pub fn outside(path: &Path) -> PathBuf {
    match &*SYSTEM {
        System::Root(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
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

/// The command, built once for the suite that asks for it. (The command's own tests have theirs.)
pub fn built_command() -> PathBuf {
    static COMMAND: LazyLock<()> = LazyLock::new(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--release", "--package", "libkeepalive-command", "--quiet"]);
        cargo.arg("--target-dir").arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("shipped"));
        run(cargo.current_dir(env!("CARGO_MANIFEST_DIR")));
    });
    LazyLock::force(&COMMAND);
    BUILD.join("keepalive")
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
        copy_program(file, &part);
        std::fs::rename(&part, &copy).expect("a copy inside the root");
    }
    inside(&copy)
}

/// Copies a program by cp(1). A descriptor of this process's own would be inherited by whatever
/// other tests start at that moment, and meanwhile the copy could not be executed (ETXTBSY).
pub fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    run(Command::new("cp").arg(from.as_ref()).arg(to.as_ref()));
}

/// Compiles `tests/hosts/NAME.c` (once per suite), as a real host would be; its path as the
/// programs see it.
pub fn host(name: &str) -> PathBuf {
    compile(name, &[])
}

/// As [`host`], with more arguments for the compiler. A name `DIRECTORY/NAME` keeps it apart from
/// what is compiled with other arguments.
pub fn compile(name: &str, arguments: &[&str]) -> PathBuf {
    let (directory, name) = name.rsplit_once('/').unwrap_or((".", name));
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts");
    let source = ["c", "cc"]
        .map(|extension| PathBuf::from(name).with_extension(extension))
        .into_iter()
        .find(|file| sources.join(file).exists())
        .unwrap_or_else(|| panic!("tests/hosts/{name}.c does not exist"));
    let is_cpp = source.extension() == Some(OsStr::new("cc"));
    let directory = DIRECTORY.join(directory);
    std::fs::create_dir_all(&directory).expect("a directory for test programs");
    let program = directory.join(name);
    if program.exists() {
        return inside(&program);
    }
    let mut compiler = match &*SYSTEM {
        System::Native => Command::new(if is_cpp { "c++" } else { "cc" }),
        System::Musl => {
            let mut compiler = Command::new("musl-gcc");
            // The kernel's headers, which musl does not bring, after its own.
            compiler.args(["-idirafter", "/usr/include"]);
            compiler.arg("-idirafter").arg(format!("/usr/include/{ARCH}-linux-gnu"));
            compiler
        }
        System::Root(root) => {
            let compiler = match std::env::var("KEEPALIVE_TEST_TARGET") {
                Err(_) => if is_cpp { "c++" } else { "cc" }.to_string(),
                Ok(target) => format!("{target}-{}", if is_cpp { "g++" } else { "gcc" }),
            };
            in_root(Path::new("/usr/bin").join(compiler), root)
        }
    };
    let source = in_system(&sources).join(source);
    // Built under a name of its own and renamed: tests run side by side and share programs.
    let part = scratch(name);
    let output = compiler
        .args(["-O1", "-Wall", "-Werror", "-pthread", "-o"])
        .arg(inside(&part))
        .arg(source)
        .args(arguments)
        // Where dlsym is not in the C library itself, whoever needs it has libdl, and no other.
        .args(["-Wl,--as-needed", "-ldl"])
        .output()
        .expect("a C compiler (Debian: gcc libc6-dev)");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(&part, &program).expect("the program");
    inside(&program)
}

/// Copies the programs' sources into a foreign root, where there is one; their directory as the
/// compiler sees it.
fn in_system(sources: &Path) -> PathBuf {
    if !matches!(*SYSTEM, System::Root(_)) {
        return sources.to_owned();
    }
    for file in std::fs::read_dir(sources).expect("tests/hosts") {
        into_system(&file.expect("tests/hosts").path());
    }
    inside(&DIRECTORY)
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
    let started = emulator().unwrap_or_else(|| program.as_ref().to_owned());
    let mut command = match &*SYSTEM {
        System::Root(root) => in_root(started, root),
        _ => Command::new(started),
    };
    if is_emulated() {
        command.arg(program);
    }
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

/// Whether the tests run as root.
pub fn is_root() -> bool {
    // SAFETY: takes nothing, and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Lets every process of its user look into the program. Where Yama's level is 1, as on Ubuntu, only
/// its ancestors may. It lasts beyond execve(2), but children are asked themselves.
pub fn allow_inspection(command: &mut Command) -> &mut Command {
    let allow = || {
        // SAFETY: takes numbers. Without Yama it fails, and nobody is refused.
        unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0) };
        Ok(())
    };
    // SAFETY: between fork and exec there is one system call.
    unsafe { command.pre_exec(allow) }
}

/// Every variable that the library reads.
pub const VARIABLES: [&str; 11] = [
    "KEEPALIVE",
    "KEEPCNT",
    "TCP_KEEPCNT",
    "KEEPIDLE",
    "TCP_KEEPIDLE",
    "KEEPINTVL",
    "TCP_KEEPINTVL",
    "TCP_USER_TIMEOUT",
    "TCP_RTO_MAX_MS",
    "TCP_SYNCNT",
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

/// The system calls of a command, which must succeed, a line each: strace(1) of all or of some.
/// The variables are set for the program alone.
#[track_caller]
pub fn trace(command: Command, which: &str) -> String {
    let file = scratch("trace");
    let mut strace = bare("strace");
    strace.arg("-o").arg(inside(&file)).args(["-e", &format!("trace={which}")]);
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
            strace.args(["-E", &format!("{name}={value}")]);
        }
    }
    strace.arg(command.get_program()).args(command.get_args());
    run(&mut strace);
    std::fs::read_to_string(file).expect("a trace")
}
