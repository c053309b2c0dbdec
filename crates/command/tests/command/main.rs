//! The command as people use it: with real programs, whose sockets the tests look at from outside,
//! and real refusals.

#[path = "../../../../tests/support/mod.rs"]
mod support;

#[path = "../../../../tests/firewall/bed.rs"]
#[allow(dead_code, reason = "tests/firewall uses all of it")]
mod bed;
mod beside;
mod completions;
mod cover;
mod cover_container;
mod cover_flight;
mod cover_foreground;
mod cover_groups;
mod cover_programs;
mod cover_refusals;
mod cover_storm;
mod cover_units;
mod dead_peers;
mod defaults;
mod documents;
mod environment;
mod files;
mod firewall;
mod follow;
mod groups;
mod hostile;
mod load;
mod log;
mod manuals;
mod measure;
mod measure_here;
mod memory;
mod metrics;
mod mistakes;
mod monitoring;
mod names;
mod output;
mod podman;
mod programs;
mod recipes;
mod refusals;
mod run;
mod scenarios;
mod sessions;
mod storm;
mod sysctls;
mod targets;
mod terminal;
mod units;
mod unnoticed;
mod watch;
mod words;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

/// The command, with nothing of ours in its environment.
fn keepalive(arguments: &str) -> Command {
    let mut command = support::bare(env!("CARGO_BIN_EXE_keepalive"));
    command.args(arguments.split_whitespace());
    command
}

/// `keepalive run`, with the library that ships.
fn keepalive_run(arguments: &str) -> Command {
    let mut command = keepalive("run --library");
    command.arg(support::built_library()).args(arguments.split_whitespace());
    command
}

/// What is started from here hears SIGHUP, though the tests themselves may run under nohup(1).
fn without_nohup() {
    // SAFETY: the default action runs no code.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_DFL) };
}

/// The source file of a program to look into.
fn source(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts").join(name)
}

/// A program of tests/hosts, linked statically with musl.
fn musl_program(name: &str) -> std::path::PathBuf {
    let program = support::scratch(name);
    let mut compiler = support::bare("musl-gcc");
    compiler.arg("-static").arg("-o").arg(&program).arg(source(&format!("{name}.c")));
    support::run(&mut compiler);
    program
}

/// A program like tests/hosts/target.c, running; killed when dropped.
struct Target {
    child: Child,
    answers: BufReader<ChildStdout>,
    port: u16,
}

impl Target {
    #[track_caller]
    fn start(command: &mut Command) -> Self {
        let mut child = support::allow_inspection(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut target = Self { child, answers, port: 0 };
        let ready = target.answer();
        let port = ready.strip_prefix("ready ").and_then(|port| port.parse().ok());
        target.port = port.unwrap_or_else(|| panic!("{command:?}: {ready:?}"));
        target
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("text");
        line.trim_end().into()
    }

    /// A line on its stdin, and its answer.
    #[track_caller]
    fn ask(&mut self, what: &str) {
        let stdin = self.child.stdin.as_mut().expect("a pipe");
        writeln!(stdin, "{what}").expect("it lives");
        assert_eq!(self.answer(), format!("{what} ok"));
    }

    /// One more connection, which it accepts.
    fn connect(&mut self) -> TcpStream {
        let connection = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        self.ask("accept");
        connection
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// tests/hosts/target.c.
fn c_target() -> Target {
    Target::start(&mut support::bare(support::host("target")))
}

/// A process's sockets, from `show --all --json`.
#[track_caller]
fn sockets(pid: u32) -> Vec<Value> {
    let text = support::stdout(&mut keepalive(&format!("show --all --json {pid}")));
    let document: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(document["version"], 1);
    let sockets = document["processes"][0]["sockets"].as_array().expect("an array").clone();
    assert!(!sockets.is_empty(), "{text}");
    sockets
}

/// Runs a command that must fail: its exit status and what it said.
#[track_caller]
fn failure(command: &mut Command) -> (i32, String) {
    let output = support::finish(command);
    let (stdout, stderr) = support::texts(&output);
    assert!(!output.status.success(), "{command:?}: {stdout}{stderr}");
    (output.status.code().unwrap_or(-1), stderr)
}

/// Nobody: an ordinary user.
const NOBODY: u32 = 65534;

/// As an ordinary user: nobody where the tests run as root, with none of its groups, and else the same.
fn as_ordinary_user(command: &mut Command) -> &mut Command {
    match support::is_root() {
        true => command.uid(NOBODY).gid(NOBODY).current_dir("/"),
        false => command.current_dir("/"),
    }
}

/// A directory that every user can reach, removed when dropped.
struct PublicDirectory(std::path::PathBuf);

impl PublicDirectory {
    fn new(name: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;

        let path = format!("/tmp/keepalive-test-{}-{name}", std::process::id()).into();
        std::fs::create_dir(&path).expect("a directory");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("its mode");
        Self(path)
    }

    /// A copy of a file in it.
    fn copy(&self, file: impl AsRef<Path>) -> std::path::PathBuf {
        let copy = self.0.join(file.as_ref().file_name().expect("a file"));
        support::copy_program(file, &copy);
        copy
    }
}

impl Drop for PublicDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
