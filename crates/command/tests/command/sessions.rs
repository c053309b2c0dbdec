//! Programs in the sessions of sshd(8), which gives them an environment of its own: no LD_PRELOAD
//! of sshd's reaches them.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::Target;
use crate::follow::{Follower, all_are_set};
use crate::groups::{Group, root, unique};
use crate::support::namespace::Namespace;
use crate::support::running::{Running, wait_until};
use crate::support::{self, outside, run, scratch};

/// How long sshd may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// sshd wants a directory that Debian's service makes. (`ip netns exec` gives each program mounts
/// of its own.)
const SSHD: &str = "mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec /usr/sbin/sshd -De \
    -f /dev/null -p 7000 -o ListenAddress=127.0.0.1 -o HostKey=$0/host -o PidFile=none \
    -o StrictModes=no -o PermitRootLogin=yes -o AuthorizedKeysFile=$0/user.pub";
const SSH: &str = "exec ssh -F /dev/null -p 7000 -i $0/user -o StrictHostKeyChecking=no \
    -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR root@127.0.0.1 exec $1";

#[test]
#[ignore = "needs root, a cgroup v2 tree, ip, and sshd and ssh (Debian: openssh-server, openssh-client)"]
fn programs_in_sessions_of_sshd_are_followed_by_its_unit_and_by_its_number() {
    let keys = scratch("keys");
    fs::create_dir(&keys).expect("a directory");
    for name in ["host", "user"] {
        let mut command = support::bare("ssh-keygen");
        run(command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(keys.join(name)));
    }
    let network = Namespace::new("sshd");
    // Removed before the group: its processes are in there.
    let unit = Group::new(&root(), &unique("ssh.service"));
    let mut command = network.command("sh", None);
    let sshd = Running::start(command.args(["-c", SSHD]).arg(&keys));
    unit.take(sshd.pid());
    let listens =
        || outside::tcp_sockets(sshd.pid()).iter().any(|it| it.state == outside::State::Listen);
    assert!(wait_until(PATIENCE, listens), "{:?}", sshd.hear(Duration::ZERO));

    for followed in [unit.name(), sshd.pid().to_string()] {
        let follower = Follower::of(&format!("--dead-after 2m {followed}"));
        let mut command = network.command("sh", None);
        let program = support::host("target");
        let mut session = Target::start(command.args(["-c", SSH]).arg(&keys).arg(&program));
        let is_program =
            |pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program);
        let pid = network.pids().into_iter().find(is_program).expect("the program");
        let environment = fs::read(format!("/proc/{pid}/environ")).expect("an environment");
        assert!(!String::from_utf8_lossy(&environment).contains("LD_PRELOAD"));
        all_are_set(pid, 3);
        session.ask("connect");
        all_are_set(pid, 5);
        drop(session);
        let (status, said, _) = follower.end_by(Signal::SIGTERM);
        assert_eq!(status, Some(0), "{followed}: {said}");
    }
    network.end_programs();
}
