//! Two ZooKeeper servers that make up an ensemble.

use std::time::Duration;

use crate::bed::{CLIENT, End, SERVER};
use crate::support;
use crate::support::namespace::Settings;
use crate::support::running::Running;

/// Where the leader is followed; there is something every second.
pub const QUORUM_PORT: u16 = 2888;

/// Where the leader is elected; used when there is none.
pub const ELECTION_PORT: u16 = 3888;

/// How long both may take to start and elect on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Starts one of the two.
pub fn start(end: &End, number: u8, settings: Settings) -> Running {
    let directory = support::scratch("zookeeper");
    std::fs::create_dir(&directory).expect("a directory");
    let server =
        |number, address| format!("server.{number}={address}:{QUORUM_PORT}:{ELECTION_PORT}\n");
    let configuration = format!(
        "dataDir={}\nclientPort=2181\nadmin.enableServer=false\n\
        tickTime=2000\ninitLimit=30\nsyncLimit=10\n{}{}",
        directory.display(),
        server(1, CLIENT),
        server(2, SERVER)
    );
    let file = directory.join("zoo.cfg");
    std::fs::write(&file, configuration).expect("a file");
    std::fs::write(directory.join("myid"), number.to_string()).expect("a file");
    let mut java = end.namespace.command("java", settings);
    java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
    java.args(["-cp", "/usr/share/java/zookeeper.jar"]);
    java.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain").arg(file);
    Running::start(&mut java)
}
