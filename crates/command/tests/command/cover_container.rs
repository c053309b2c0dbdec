//! `cover` of a container of podman's, whose program is static and knows nothing of it: from outside,
//! and by another container, as in examples/kubernetes/cover.

use std::path::Path;
use std::process::{Child, Stdio};

use crate::follow::eventually;
use crate::podman::Podman;
use crate::support::{self, run, stdout};
use crate::targets::go_program;
use crate::{keepalive, sockets};

/// podman's containers that run.
struct Containers {
    podman: Podman,
    running: Vec<Child>,
}

impl Containers {
    /// Starts one with this directory as its root.
    fn start(&mut self, name: &str, root: &Path, options: &[&str], arguments: &[&str]) {
        let mut command = self.podman.command();
        command.args(["run", "--rm", "--interactive", "--network=none", "--pids-limit=0"]);
        command.arg(format!("--name={name}")).args(options).arg("--rootfs").arg(root);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null());
        self.running.push(command.spawn().expect("podman (Debian: podman runc)"));
    }

    /// What `podman inspect` knows of one.
    fn inspect(&self, name: &str, what: &str) -> String {
        let mut command = self.podman.command();
        command.args(["inspect", "--format", what, name]);
        support::texts(&support::finish(&mut command)).0.trim().into()
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        self.podman.end_all();
        for child in &mut self.running {
            let _ = child.wait();
        }
    }
}

/// How many of a process's sockets have keepalive on.
fn on(pid: &str) -> usize {
    let sockets = sockets(pid.parse().expect("a number"));
    sockets.iter().filter(|socket| socket["keepalive"] == true).count()
}

#[test]
#[ignore = "needs root, podman and runc, and go (Debian: podman runc golang-go)"]
fn a_container_is_covered_from_outside_and_by_another_container() {
    let mut containers = Containers { podman: Podman::new("covered"), running: Vec::new() };
    let root = containers.podman.root("root");
    support::copy_program(go_program(), root.join("program"));
    containers.start("program", &root, &[], &["/program"]);
    eventually("the container runs", || {
        containers.inspect("program", "{{.State.Running}}") == "true"
    });
    let pid = containers.inspect("program", "{{.State.Pid}}");
    let id = containers.inspect("program", "{{.Id}}");
    eventually("it is connected", || sockets(pid.parse().expect("a number")).len() == 3);
    assert_eq!(on(&pid), 0);

    let said = stdout(&mut keepalive(&format!("cover --dead-after 2m {}", &id[..12])));
    assert!(said.contains("1 process: 3 sockets changed"), "{said}");
    assert_eq!(on(&pid), 3);
    let connect = |containers: &mut Containers| {
        use std::io::Write;
        let stdin = containers.running[0].stdin.as_mut().expect("a pipe");
        stdin.write_all(b"connect\n").expect("it reads");
    };
    connect(&mut containers);
    eventually("another connection is set", || on(&pid) == 5);
    run(&mut keepalive(&format!("cover --remove {id}")));

    // This machine's libraries, for a command that is not linked statically here.
    let command = containers.podman.root("command");
    for directory in ["usr", "lib", "lib64"] {
        std::fs::create_dir(command.join(directory)).expect("a directory");
    }
    support::copy_program(env!("CARGO_BIN_EXE_keepalive"), command.join("keepalive"));
    let options = [
        "--privileged",
        "--pid=host",
        "--cgroupns=host",
        "--volume=/sys/fs/cgroup:/sys/fs/cgroup:ro",
        "--volume=/usr:/usr:ro",
        "--volume=/lib:/lib:ro",
        "--volume=/lib64:/lib64:ro",
    ];
    let arguments =
        ["/keepalive", "cover", "--foreground", "--new-only", "--idle", "61", &id[..12]];
    containers.start("cover", &command, &options, &arguments);
    let listed = || stdout(&mut keepalive(&format!("cover --list {id}")));
    eventually("it is covered", || listed().contains(" ends "));
    connect(&mut containers);
    eventually("a connection is set by the other container", || on(&pid) == 7);
    // The accepted one has what the listening socket has, from the first cover.
    let idle: Vec<_> = sockets(pid.parse().expect("a number"))
        .iter()
        .skip(5)
        .map(|socket| socket["idle_s"].as_u64())
        .collect();
    assert_eq!(idle, [Some(61), Some(56)]);
    run(containers.podman.command().args(["rm", "--force", "--time=0", "cover"]));
    eventually("the cover has ended with its container", || {
        listed().contains("nothing is covered")
    });
}
