//! What goes wrong with the follower of `run` after the start stands in the system's log: the
//! program's own stderr is the program's.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::beside::static_target;
use crate::follow::eventually;
use crate::support::namespace::ran_in_user_namespace;
use crate::support::{self, bare};
use crate::{PublicDirectory, Target};

/// Longer than it takes until a follower has given up, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A /dev with a log that the test reads.
struct Log {
    directory: PublicDirectory,
    socket: UnixDatagram,
    command: PathBuf,
}

impl Log {
    fn new(name: &str) -> Self {
        let directory = PublicDirectory::new(name);
        let path = directory.0.join("log");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        std::fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("its mode");
        socket.set_read_timeout(Some(PATIENCE)).expect("an option");
        for device in ["null", "fuse"] {
            File::create(directory.0.join(device)).expect("a file");
        }
        let command = directory.copy(env!("CARGO_BIN_EXE_keepalive"));
        Self { directory, socket, command }
    }

    /// `keepalive run`, through a command, where this is the log.
    fn keepalive_run(&self, through: &[&str]) -> Command {
        const MOUNT: &str = "for device in null fuse; do mount --bind /dev/$device $0/$device; done \
                             && mount --rbind $0 /dev && exec \"$@\"";

        let mut command = bare("unshare");
        command.args(["--mount", "sh", "-c", MOUNT]).arg(&self.directory.0).args(through);
        command.arg(&self.command).arg("run");
        command
    }

    #[track_caller]
    fn hears(&self) -> String {
        let mut text = [0; 1000];
        let length = self.socket.recv(&mut text).expect("a message");
        String::from_utf8_lossy(&text[..length]).into_owned()
    }

    /// Fills it, so that it takes nothing more.
    fn fill(&self) {
        let socket = UnixDatagram::unbound().expect("a socket");
        socket.set_nonblocking(true).expect("an option");
        let log = self.directory.0.join("log");
        while socket.send_to(b"full", &log).is_ok() {}
    }
}

const AS_NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

#[test]
#[ignore = "needs root: makes a mount namespace, becomes another user"]
fn a_program_that_lets_nobody_look_into_it_any_more() {
    let log = Log::new("undumpable");
    let program = log.directory.copy(static_target());
    let start = || {
        let mut command = log.keepalive_run(&AS_NOBODY);
        Target::start(command.args(["--idle", "60"]).arg(&program).arg("undumpable"))
    };
    let target = start();
    let said = format!("<28>keepalive: target_static ({}): it is not dumpable (", target.pid());
    let heard = log.hears();
    assert!(heard.starts_with(&said) && !heard.ends_with('\n'), "{heard:?}");

    // Nor does it wait for a log that takes nothing.
    log.fill();
    let target = start();
    let title = format!("keepalive follows {}\0", target.pid());
    let is_there = || {
        let all = std::fs::read_dir("/proc").expect("/proc").flatten();
        all.map(|it| std::fs::read(it.path().join("cmdline")).unwrap_or_default())
            .any(|line| line.starts_with(title.as_bytes()))
    };
    assert!(is_there());
    // It has something to say by then.
    std::thread::sleep(Duration::from_secs(2));
    drop(target);
    eventually("the follower's end", || !is_there());
}

#[test]
#[ignore = "needs user namespaces"]
fn no_descriptor_is_left() {
    if ran_in_user_namespace() {
        return;
    }
    let log = Log::new("descriptors");
    let mut command = log.keepalive_run(&["prlimit", "--nofile=10:10"]);
    let mut target = Target::start(command.args(["--idle", "60"]).arg(static_target()));
    target.ask("fork");
    target.ask("fork");
    let heard = log.hears();
    assert!(heard.starts_with("<28>keepalive: "), "{heard:?}");
    assert!(heard.ends_with("no descriptor is left for this command (ulimit -n)"), "{heard:?}");
}

#[test]
#[ignore = "needs user namespaces, and /dev/fuse"]
fn a_socket_that_is_left_out() {
    if ran_in_user_namespace() {
        return;
    }
    let log = Log::new("left-out");
    let directory = support::scratch("left-out");
    std::fs::create_dir(&directory).expect("a directory");
    let mut command = log.keepalive_run(&[]);
    command.arg("--library").arg(support::built_library()).args(["--follow", "--idle", "60"]);
    command.arg(support::host("fuse")).arg(&directory).arg("locked");
    let mut server = Target::start(&mut command);
    let said = format!("<28>keepalive: fuse ({}): left out: the program holds", server.answer());
    let heard = log.hears();
    assert!(heard.starts_with(&said), "{heard:?}");
}
