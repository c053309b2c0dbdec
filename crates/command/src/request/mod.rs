//! What the operator asked for.

mod server;
mod target;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::find::Selection;
use crate::settings::RequestedSettings;
pub use server::{Server, parse_port};
pub use target::{CoverTarget, Lifetime};

/// What the operator asked for.
#[derive(Debug)]
pub enum Request {
    Run(Run),
    Show(Show),
    Attach(Attach),
    Cover(Cover),
    Measure(Measure),
}

/// Of `run`: start a program.
#[derive(Debug)]
pub struct Run {
    pub settings: RequestedSettings,
    /// Whether the library reports each socket.
    pub is_debug: bool,
    pub is_verbose: bool,
    /// Whether it is followed although a preload reaches it.
    pub is_followed: bool,
    /// Whether it is started even where no preload works.
    pub anyway: bool,
    pub library: Option<PathBuf>,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

/// Of `show`: the sockets of processes.
#[derive(Debug, Default)]
pub struct Show {
    pub all: bool,
    pub listen: bool,
    pub problems: bool,
    /// How often to look again.
    pub watch: Option<Duration>,
    pub check: bool,
    pub path_timeout: Duration,
    pub json: bool,
    pub openmetrics: bool,
    pub selection: Selection,
    pub targets: Vec<String>,
}

impl Show {
    /// Whether it is about every process.
    pub fn is_overview(&self) -> bool {
        self.targets.is_empty()
    }
}

/// Of `attach`: set the sockets of processes.
#[derive(Debug)]
pub struct Attach {
    pub settings: RequestedSettings,
    /// Whether each socket is reported.
    pub is_debug: bool,
    pub is_verbose: bool,
    pub is_dry_run: bool,
    pub is_followed: bool,
    pub selection: Selection,
    pub targets: Vec<String>,
}

/// Of `cover`.
#[derive(Debug)]
pub enum Cover {
    List { targets: Vec<CoverTarget>, is_json: bool },
    Remove(Vec<CoverTarget>),
    Set(CoverSettings),
}

/// Of `cover`: set every connection of control groups.
#[derive(Debug)]
pub struct CoverSettings {
    pub targets: Vec<CoverTarget>,
    pub settings: RequestedSettings,
    /// Within which time a silent peer is given up.
    pub dead_after: Option<Duration>,
    /// The settings as they are written on a command line.
    pub arguments: String,
    /// Whether each open socket is reported.
    pub is_debug: bool,
    /// Whether open sockets are left as they are.
    pub is_new_only: bool,
    /// Whether the cover ends with this process.
    pub is_foreground: bool,
    pub is_dry_run: bool,
}

/// Of `measure`.
#[derive(Debug)]
pub enum Measure {
    /// Be the server at the other end of a path.
    Listen(SocketAddr),
    Path(MeasurePath),
}

/// Of `measure`: measure a path.
#[derive(Debug)]
pub struct MeasurePath {
    pub server: Server,
    /// The longest idle time to try.
    pub max: Duration,
    /// How wide the answer may be, as a share of it.
    pub resolution: f64,
    /// How many connections to have at a time, at most.
    pub parallel: Option<usize>,
    /// What each connection sends first.
    pub greeting: Vec<u8>,
    pub is_json: bool,
}
