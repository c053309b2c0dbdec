//! The programs at the two ends.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use crate::bed::{End, SERVER};
use crate::support::namespace::Settings;
use crate::support::running::Running;
use crate::support::{self, postgres};

/// How long a program may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// A server, together with the client that talks to it.
#[derive(Clone, Copy)]
pub enum Server {
    /// postgres(1), and psql(1).
    Postgres,
    /// A Java program with a thread for each connection, and nc(1).
    JavaBlocking,
    /// A Java program with one thread for all connections, and nc(1).
    JavaNio,
    /// socat(1), and nc(1).
    Socat,
}

impl Server {
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::JavaBlocking => "java (blocking)",
            Self::JavaNio => "java (NIO)",
            Self::Socat => "socat",
        }
    }

    pub fn client_name(self) -> &'static str {
        if matches!(self, Self::Postgres) { "psql" } else { "nc" }
    }

    pub fn port(self) -> u16 {
        if matches!(self, Self::Postgres) { postgres::PORT } else { 7 }
    }

    /// Starts it, and waits until it listens.
    pub fn start(self, end: &End, settings: Settings) -> Running {
        let namespace = &end.namespace;
        match self {
            Self::Postgres => postgres::start(namespace, settings),
            Self::JavaBlocking | Self::JavaNio => {
                let kind = if matches!(self, Self::JavaNio) { "nio" } else { "blocking" };
                let mut java = namespace.command("java", settings);
                java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"]);
                java.arg(&*JAVA_CLASSES).args(["EchoServer", kind, "7"]);
                let server = Running::start(&mut java);
                server.hear_text("listening", PATIENCE);
                server
            }
            Self::Socat => {
                let mut socat = namespace.command("socat", settings);
                socat.args(["-d", "-d", "TCP4-LISTEN:7,fork", "PIPE"]);
                let server = Running::start(&mut socat);
                server.hear_text("listening", PATIENCE);
                server
            }
        }
    }

    /// Starts a client that is connected to it.
    pub fn start_client(self, end: &End, settings: Settings) -> Client {
        let mut command = end.namespace.command(self.client_name(), settings);
        let (request, answer) = if matches!(self, Self::Postgres) {
            command.args(["--host", SERVER, "--username=postgres", "--no-align", "--tuples-only"]);
            ("select 6 * 7;", "42")
        } else {
            command.args([SERVER, "7"]);
            ("Are you there?", "Are you there?")
        };
        Client { program: Running::start(&mut command), request, answer }
    }
}

/// A program that asks a server.
pub struct Client {
    pub program: Running,
    request: &'static str,
    answer: &'static str,
}

impl Client {
    /// Sends a request.
    pub fn ask(&mut self) {
        self.program.say(self.request);
    }

    /// Whether the answer comes in time.
    pub fn is_answered(&self, patience: Duration) -> bool {
        self.program.hear(patience).as_deref() == Some(self.answer)
    }

    /// The first request and its answer.
    #[track_caller]
    pub fn ask_and_be_answered(&mut self) {
        self.ask();
        self.program.hear_text(self.answer, PATIENCE);
    }
}

/// tests/firewall/EchoServer.java, compiled.
static JAVA_CLASSES: LazyLock<PathBuf> = LazyLock::new(|| {
    let classes = support::scratch("classes");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/firewall/EchoServer.java");
    support::run(Command::new("javac").arg("-d").arg(&classes).arg(source));
    classes
});
