//! A PostgreSQL server in a namespace (Debian: postgresql).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use super::namespace::{Namespace, Settings};
use super::running::Running;

/// Where it listens.
pub const PORT: u16 = 5432;

/// It refuses to run as root.
const AS_POSTGRES: [&str; 3] = ["--reuid=postgres", "--regid=postgres", "--clear-groups"];

/// Starts one that lets everybody in, and waits until it listens.
pub fn start(namespace: &Namespace, settings: Settings) -> Running {
    let data = super::scratch("postgres");
    super::run(Command::new("cp").arg("--archive").arg(&*CLUSTER).arg(&data));
    let mut command = namespace.command("setpriv", settings);
    command.args(AS_POSTGRES).arg(program("postgres")).arg("-D").arg(data).args([
        "--listen_addresses=*",
        "--unix_socket_directories=",
        "--fsync=off",
        "--shared_buffers=8MB",
        "--autovacuum=off",
    ]);
    let server = Running::start(&mut command);
    server.hear_text("ready to accept connections", Duration::from_secs(40));
    server
}

/// A data directory to copy, made once for the suite.
pub fn cluster() -> &'static Path {
    &CLUSTER
}

static CLUSTER: LazyLock<PathBuf> = LazyLock::new(|| {
    let cluster = super::scratch("cluster");
    std::fs::create_dir(&cluster).expect("a directory");
    std::os::unix::fs::chown(&cluster, Some(postgres_uid()), None).expect("given to postgres");
    let mut initdb = super::bare("setpriv");
    initdb.args(AS_POSTGRES).arg(program("initdb")).arg("-D").arg(&cluster);
    super::run(initdb.args(["--no-sync", "--auth=trust", "--username=postgres"]));
    let rules = cluster.join("pg_hba.conf");
    std::fs::write(rules, "host all all all trust\n").expect("the rules");
    cluster
});

fn postgres_uid() -> u32 {
    let (uid, _) = super::run(Command::new("id").args(["--user", "postgres"]));
    uid.trim().parse().expect("a number")
}

/// Debian has them out of PATH, one directory for each version.
pub fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("Debian: postgresql");
    let mut found: Vec<_> = versions.flatten().map(|it| it.path().join("bin").join(name)).collect();
    found.sort();
    found.pop().filter(|path: &PathBuf| Path::new(path).exists()).expect("Debian: postgresql")
}
