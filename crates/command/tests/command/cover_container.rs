//! `cover` of a container of podman's, whose program is static and knows nothing of it: from outside,
//! and by another container, as in examples/kubernetes/cover.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::follow::eventually;
use crate::support::{self, bare, run, scratch, stdout};
use crate::targets::go_program;
use crate::{keepalive, sockets};

/// podman(1) with a directory of its own, so that the machine's own containers are not touched. All
/// that it made is removed when this is dropped.
struct Podman {
    directory: PathBuf,
    running: Vec<Child>,
}

impl Podman {
    fn new() -> Self {
        let directory = scratch("podman");
        std::fs::create_dir(&directory).expect("a directory");
        Self { directory, running: Vec::new() }
    }

    fn command(&self) -> Command {
        let mut command = bare("podman");
        for (option, name) in [("--root", "images"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            command.arg(option).arg(self.directory.join(name));
        }
        command.args(["--storage-driver=vfs", "--events-backend=none"]);
        command.args(["--cgroup-manager=cgroupfs", "--runtime=runc"]);
        command
    }

    /// Starts a container with this directory as its root.
    fn start(&mut self, name: &str, root: &Path, options: &[&str], arguments: &[&str]) {
        let mut command = self.command();
        command.args(["run", "--rm", "--interactive", "--network=none", "--log-driver=none"]);
        // No more than every system grants.
        command.args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--pids-limit=0"]);
        command.arg(format!("--name={name}")).args(options).arg("--rootfs").arg(root);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null());
        self.running.push(command.spawn().expect("podman (Debian: podman runc)"));
    }

    /// What `podman inspect` knows of a container.
    fn inspect(&self, name: &str, what: &str) -> String {
        let mut command = self.command();
        command.args(["inspect", "--format", what, name]);
        support::texts(&support::finish(&mut command)).0.trim().into()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.command().args(["rm", "--all", "--force", "--time=0"]).output();
        for child in &mut self.running {
            let _ = child.wait();
        }
        // podman leaves its empty parent groups; rmdir takes no other.
        let parents = "find /sys/fs/cgroup -depth -type d \\( -name libpod_parent -o \
                       -path '*/libpod_parent/*' \\) -exec rmdir {} + 2>/dev/null";
        let _ = Command::new("sh").args(["-c", parents]).status();
        let _ = std::fs::remove_dir_all(&self.directory);
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
    let mut podman = Podman::new();
    let root = podman.directory.join("root");
    for directory in ["proc", "sys", "dev", "etc", "run", "tmp"] {
        std::fs::create_dir_all(root.join(directory)).expect("a directory");
    }
    support::copy_program(go_program(), root.join("program"));
    podman.start("program", &root, &[], &["/program"]);
    eventually("the container runs", || podman.inspect("program", "{{.State.Running}}") == "true");
    let pid = podman.inspect("program", "{{.State.Pid}}");
    let id = podman.inspect("program", "{{.Id}}");
    eventually("it is connected", || sockets(pid.parse().expect("a number")).len() == 3);
    assert_eq!(on(&pid), 0);

    let said = stdout(&mut keepalive(&format!("cover --dead-after 2m {}", &id[..12])));
    assert!(said.contains("1 process: 3 sockets changed"), "{said}");
    assert_eq!(on(&pid), 3);
    let connect = |podman: &mut Podman| {
        use std::io::Write;
        let stdin = podman.running[0].stdin.as_mut().expect("a pipe");
        stdin.write_all(b"connect\n").expect("it reads");
    };
    connect(&mut podman);
    eventually("another connection is set", || on(&pid) == 5);
    run(&mut keepalive(&format!("cover --remove {id}")));

    // This machine's libraries, for a command that is not linked statically here.
    let command = podman.directory.join("command");
    for directory in ["proc", "sys", "dev", "etc", "run", "tmp", "usr", "lib", "lib64"] {
        std::fs::create_dir_all(command.join(directory)).expect("a directory");
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
    podman.start("cover", &command, &options, &arguments);
    let listed = || stdout(&mut keepalive(&format!("cover --list {id}")));
    eventually("it is covered", || listed().contains(" ends "));
    connect(&mut podman);
    eventually("a connection is set by the other container", || on(&pid) == 7);
    // The accepted one has what the listening socket has, from the first cover.
    let idle: Vec<_> = sockets(pid.parse().expect("a number"))
        .iter()
        .skip(5)
        .map(|socket| socket["idle_s"].as_u64())
        .collect();
    assert_eq!(idle, [Some(61), Some(56)]);
    run(podman.command().args(["rm", "--force", "--time=0", "cover"]));
    eventually("the cover has ended with its container", || {
        listed().contains("nothing is covered")
    });
}
