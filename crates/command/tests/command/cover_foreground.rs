//! `cover --foreground`: the cover ends with the process, however that ends.

use nix::sys::signal::Signal;

use crate::cover::{Covered, is_gone};
use crate::follow::{Follower, eventually};
use crate::groups::{Group, root, unique};
use crate::support::stdout;
use crate::{failure, keepalive};

#[test]
#[ignore = "needs root: attaches BPF programs, and bpftool"]
fn in_the_foreground_it_ends_with_the_process_however_that_ends() {
    let group = Covered { group: Group::new(&root(), &unique("foreground")) };
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let mut command = group.keepalive("cover --foreground --force --idle 60");
        let follower = Follower::start(&mut command);
        eventually("it is covered", || group.kept().len() == 3);
        let kept = group.kept();
        let process = group.entry()["foreground_pid"].as_u64().expect("a number");
        for other in ["cover --idle 61", "cover --remove"] {
            let (status, stderr) = failure(&mut group.keepalive(other));
            let expected =
                format!("process {process} covers it with --foreground: end that process first");
            assert!(status == 1 && stderr.contains(&expected), "{stderr}");
        }
        let (_, stderr) = failure(&mut group.keepalive("cover --foreground"));
        assert!(stderr.contains("it is covered already"), "{stderr}");
        assert!(group.says("own").starts_with("client 1 60 "));
        if signal == Signal::SIGTERM {
            let (status, said, complained) = follower.end_by(signal);
            assert_eq!((status, &*complained), (Some(0), ""));
            assert!(said.contains(&format!("Until this process, {process}, ends.\n")), "{said}");
        } else {
            drop(follower);
        }
        is_gone(&kept);
        assert_eq!(group.kept(), []);
        assert!(group.says("plain").starts_with("client 0 "));
    }
}

#[test]
#[ignore = "needs root: attaches BPF programs"]
fn in_the_foreground_it_ends_when_nothing_is_left_to_cover() {
    let group = Group::new(&root(), &unique("left"));
    let mut command = keepalive("cover --foreground");
    let follower = Follower::start(command.arg(&group.0));
    eventually("it is covered", || {
        let listed = stdout(keepalive("cover --list --json").arg(&group.0));
        listed.contains("foreground_pid\": ")
    });
    let path = group.0.display().to_string();
    drop(group);
    let (status, _, complained) = follower.end();
    assert_eq!(status, Some(1));
    assert!(
        complained.contains(&format!("{path}: has ended, and its cover with it")),
        "{complained}"
    );
}
