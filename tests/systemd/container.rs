//! A container whose PID 1 is this machine's systemd, booted from this machine's /usr, read-only,
//! with everything else in memory: systemd-nspawn(1) `--volatile=yes`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support;
use crate::support::namespace::Namespace;
use crate::support::outside::{self, State, TcpSocket, Values};
use crate::support::running::{Running, wait_until};

/// Where a directory of this machine is inside.
pub const SHARED: &str = "/run/keepalive";

const PREFIX: &str = "keepalive-test-";

const PATIENCE: Duration = Duration::from_secs(30);

/// A running container. It ends, and what it needed is removed, when this goes out of scope.
pub struct Container {
    // In this order: the network namespace and the control groups go last.
    nspawn: Running,
    network: Namespace,
    _groups: ControlGroups,
}

impl Container {
    /// Boots into a target, with `units` as its /etc/systemd/system.
    pub fn boot(target: &str, units: &Path, shared: &Path) -> Self {
        let network = Namespace::new("container");
        let groups = ControlGroups::new();
        // A shell that enters the groups and becomes systemd-nspawn.
        let mut command = support::bare("sh");
        command.args([
            "-c",
            "for group in $GROUPS_TO_ENTER; do echo $$ >$group/cgroup.procs; done; exec \"$@\"",
            "sh",
        ]);
        command.env("GROUPS_TO_ENTER", groups.to_string());
        command.args(["systemd-nspawn", "--quiet", "--directory=/", "--volatile=yes", "--boot"]);
        // For covers.
        command
            .args(["--capability=CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON", "--system-call-filter=bpf"]);
        command.arg(format!("--network-namespace-path=/run/netns/{}", network.name()));
        command.arg(format!("--machine={}", network.name()));
        command.args(["--register=no", "--keep-unit", "--console=pipe"]);
        // What followers and the metrics need, and systemd-nspawn by itself forbids.
        command.args(["--system-call-filter=pidfd_getfd", "--capability=CAP_NET_ADMIN"]);
        command.arg(format!("--bind-ro={}:/etc/systemd/system", units.display()));
        command.arg(format!("--bind-ro={}:{SHARED}", shared.display()));
        command.arg(format!("systemd.unit={target}"));
        Self { nspawn: Running::start(&mut command), network, _groups: groups }
    }

    /// Every process inside.
    pub fn pids(&self) -> Vec<u32> {
        self.network.pids()
    }

    /// What systemd has said so far, a line each.
    pub fn said(&self) -> String {
        let lines: Vec<_> = std::iter::from_fn(|| self.nspawn.hear(Duration::ZERO)).collect();
        lines.join("\n")
    }

    /// Connects to a port of a service: the values of the connection's other end.
    #[track_caller]
    pub fn values_of_a_connection_to(&self, port: u16) -> Values {
        let is_at_port =
            |socket: &TcpSocket| socket.local.is_some_and(|address| address.port() == port);
        let find = |state: State| {
            let mut sockets = self.pids().into_iter().flat_map(outside::tcp_sockets);
            sockets.find(|socket| is_at_port(socket) && socket.state == state)
        };
        if !wait_until(PATIENCE, || find(State::Listen).is_some()) {
            panic!("nobody listens at {port}:\n{}", self.said());
        }
        let mut nc = self.network.command("nc", None);
        let _client = Running::start(nc.args(["127.0.0.1", &port.to_string()]));
        assert!(wait_until(PATIENCE, || find(State::Established).is_some()), "{port}: no service");
        // A service accepts first, and its socket is given values then.
        std::thread::sleep(Duration::from_millis(300));
        find(State::Established).expect("a connection").values
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // With its PID 1 the container ends, and then systemd-nspawn clears up.
        self.network.end_programs();
        wait_until(PATIENCE, || self.nspawn.ended().is_some());
    }
}

/// A control group of our own in each hierarchy that systemd uses. In it systemd-nspawn makes
/// those of the container, which it leaves behind.
struct ControlGroups(Vec<PathBuf>);

impl ControlGroups {
    fn new() -> Self {
        let root = Path::new("/sys/fs/cgroup");
        let hierarchies = if root.join("cgroup.controllers").exists() {
            vec![root.to_owned()]
        } else {
            let old = ["systemd", "unified"].map(|name| root.join(name));
            old.into_iter().filter(|path| path.exists()).collect()
        };
        static COUNT: AtomicUsize = AtomicUsize::new(0);

        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        hierarchies.iter().for_each(|path| remove_all(&left_overs(path)));
        let groups: Vec<_> = hierarchies.iter().map(|path| path.join(&name)).collect();
        groups.iter().for_each(|group| fs::create_dir(group).expect("a control group (root?)"));
        Self(groups)
    }
}

impl std::fmt::Display for ControlGroups {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|group| write!(to, "{} ", group.display()))
    }
}

impl Drop for ControlGroups {
    fn drop(&mut self) {
        remove_all(&self.0);
    }
}

/// Those of a test that was killed. (Its processes have ended with its namespace.)
fn left_overs(hierarchy: &Path) -> Vec<PathBuf> {
    let is_left = |entry: &fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(PREFIX).and_then(|name| name.split('-').next());
        pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
    };
    let entries = fs::read_dir(hierarchy).into_iter().flatten().flatten();
    entries.filter(is_left).map(|entry| entry.path()).collect()
}

/// Removes groups. One can be removed only some time after its last process has ended.
fn remove_all(groups: &[PathBuf]) {
    wait_until(PATIENCE, || {
        groups.iter().for_each(|group| remove(group));
        !groups.iter().any(|group| group.exists())
    });
}

/// Removes a group and all below it, as far as they are empty. (Their files go with them.)
fn remove(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    // The caller looks whether it is gone.
    let _ = fs::remove_dir(group);
}
