//! Systemd units, containers and other control groups as targets. The tests make directories as
//! systemd and the container engines name them.

use serde_json::Value;

use crate::follow::{Follower, all_are_set};
use crate::podman::Podman;
pub use crate::support::group::{Group, root, unique};
use crate::support::{self, stdout};
use crate::targets::options;
use crate::{Target, c_target, failure, keepalive, sockets};

fn on(target: &Target) -> usize {
    sockets(target.pid()).iter().filter(|socket| options(socket).0).count()
}

#[test]
#[ignore = "needs root, and a cgroup v2 tree: makes cgroups"]
fn a_unit_a_slice_and_a_path() {
    let (slice_name, unit_name) = (unique("a.slice"), unique("b.service"));
    let slice = Group::new(&root(), &slice_name);
    let unit = Group::new(&slice.0, &unit_name);
    let below = Group::new(&unit.0, "below");
    let (inside, deeper, outside) = (c_target(), c_target(), c_target());
    unit.take(inside.pid());
    below.take(deeper.pid());

    let without_service = unit_name.strip_suffix(".service").expect("a service");
    for name in [&*slice_name, &*unit_name, &*unit.0.to_string_lossy(), without_service] {
        let said = stdout(&mut keepalive(&format!("attach --force --idle 60 {name}")));
        assert_eq!(said.matches(": 3 sockets").count() + said.matches(": 0 sockets").count(), 2);
        for target in [&inside, &deeper] {
            assert!(said.contains(&format!("({})", target.pid())), "{name}: {said}");
        }
    }
    assert_eq!([on(&inside), on(&deeper), on(&outside)], [3, 3, 0]);

    let page = stdout(&mut keepalive(&format!("show {unit_name}")));
    assert_eq!(page.matches(&format!(", unit {unit_name}, ")).count(), 2, "{page}");
    let document = stdout(&mut keepalive(&format!("show --json {}", deeper.pid())));
    let document: Value = serde_json::from_str(&document).expect("JSON");
    assert_eq!(document["processes"][0]["unit"], *unit_name);
    assert_eq!(document["processes"][0]["container"], Value::Null);
    drop((inside, deeper));
}

#[test]
#[ignore = "needs root, and a cgroup v2 tree: makes cgroups"]
fn a_unit_that_is_not_there_gets_the_nearest() {
    let name = unique("quizzical.service");
    let unit = Group::new(&root(), &name);
    let inside = c_target();
    unit.take(inside.pid());
    let slip = name.replace("zz", "z");
    let ending = name.replace("service", "servce");
    for (verb, wanted, said) in [
        ("attach --idle 60", &slip, "no process runs in a unit of this name"),
        ("attach --idle 60", &ending, "no process has this name"),
        ("show", &slip, "no process runs in a unit of this name"),
        ("cover", &slip, "no such unit is running"),
        ("cover --remove", &slip, "no such unit is running"),
    ] {
        let (status, stderr) = failure(&mut keepalive(&format!("{verb} {wanted}")));
        let hint = format!("keepalive: {wanted}: {said}; the nearest is {name} (`keepalive show`");
        assert!(status == 1 && stderr.starts_with(&hint), "{verb}: {stderr}");
    }
    drop(inside);
}

#[test]
#[ignore = "needs root, and a cgroup v2 tree: makes cgroups"]
fn a_container_by_the_begin_of_its_id() {
    let id = format!("{:064x}", 0xfeed_0000_0000_u64 + u64::from(std::process::id()));
    // Not those of its monitor.
    let monitor = Group::new(&root(), &format!("libpod-conmon-{id}.scope"));
    let container = Group::new(&root(), &format!("libpod-{id}.scope"));
    let (inside, other) = (c_target(), c_target());
    container.take(inside.pid());
    monitor.take(other.pid());
    for name in [&id[..], &id[..60]] {
        let said = stdout(&mut keepalive(&format!("attach --idle 60 {name}")));
        assert!(said.contains(&format!("({})", inside.pid())), "{said}");
    }
    assert_eq!([on(&inside), on(&other)], [3, 0]);
    let page = stdout(&mut keepalive(&format!("show {}", inside.pid())));
    assert!(page.contains(&format!(", container {}, ", &id[..12])), "{page}");
    let document = stdout(&mut keepalive(&format!("show --json {}", inside.pid())));
    let document: Value = serde_json::from_str(&document).expect("JSON");
    assert_eq!(document["processes"][0]["container"], *id);
    drop((inside, other));
}

/// A real one, whose engine gives it its id.
#[test]
#[ignore = "needs root, podman and runc: runs a container"]
fn a_container_of_podman() {
    let podman = Podman::new("podman");
    let tree = podman.root("tree");
    support::copy_program(support::compile("target_static", &["-static"]), tree.join("in_podman"));
    let mut run = podman.command();
    run.args(["run", "--rm", "--interactive", "--network=none", "--name=target", "--rootfs"]);
    let _target = Target::start(run.arg(&tree).arg("/in_podman"));

    let mut inspect = podman.command();
    inspect.args(["inspect", "--format={{.Id}} {{.State.Pid}}", "target"]);
    let known = stdout(&mut inspect);
    let (id, pid) = known.trim().split_once(' ').expect("an id and a number");
    for target in [id, &id[..12], pid, "in_podman"] {
        let said = stdout(&mut keepalive(&format!("show --json {target}")));
        let document: Value = serde_json::from_str(&said).expect("JSON");
        let processes = document["processes"].as_array().expect("processes");
        let found = processes.iter().find(|process| process["pid"].as_i64() == pid.parse().ok());
        let found = found.unwrap_or_else(|| panic!("{target}: {said}"));
        assert_eq!(found["container"], id, "{target}");
        assert_eq!(found["sockets"].as_array().map(Vec::len), Some(2), "{target}");
    }
    let overview = stdout(&mut keepalive("show"));
    let line = format!(" container {} ", &id[..12]);
    assert!(overview.lines().any(|it| it.contains(&line) && it.contains(pid)), "{overview}");
}

#[test]
#[ignore = "needs root, and a cgroup v2 tree: makes cgroups"]
fn what_is_not_there_and_what_is_there_twice() {
    let name = unique("c.service");
    for (target, complaint) in [
        (&*name, "no process runs in a unit of this name"),
        ("0123456789abcdef", "no process runs in a container with this id"),
        ("/etc", "not a cgroup: those are below /sys/fs/cgroup"),
        (&*root().join("../../../../etc").to_string_lossy(), "not a cgroup"),
        (&*root().join("nothing").to_string_lossy(), "no process runs in this cgroup"),
    ] {
        for verb in ["show", "attach --idle 60"] {
            let (status, stderr) = failure(&mut keepalive(&format!("{verb} {target}")));
            assert_eq!(status, 1, "{stderr}");
            assert!(stderr.contains(complaint), "{verb} {target}: {stderr}");
        }
    }
    let slices = [unique("d.slice"), unique("e.slice")].map(|name| Group::new(&root(), &name));
    let units = slices.each_ref().map(|slice| Group::new(&slice.0, &name));
    let (status, stderr) = failure(&mut keepalive(&format!("show {name}")));
    assert_eq!(status, 1);
    let [first, second] = units.each_ref().map(|unit| unit.0.display().to_string());
    let expected = format!("{name}: there are several, name one by its path: {first}, {second}\n");
    assert!(stderr.ends_with(&expected), "{stderr}");
    drop(units);
}

#[test]
#[ignore = "needs root, and a cgroup v2 tree: makes cgroups"]
fn a_unit_that_restarts_is_followed() {
    let name = unique("f.service");
    let follower = Follower::of(&format!("--dead-after 2m {name}"));
    for _ in 0..2 {
        let unit = Group::new(&root(), &name);
        let mut target = c_target();
        unit.take(target.pid());
        all_are_set(target.pid(), 3);
        target.ask("connect");
        all_are_set(target.pid(), 5);
        drop(target);
    }
    let (status, said, complained) = follower.end_by(nix::sys::signal::Signal::SIGTERM);
    let waits = format!("keepalive: {name}: no process yet; waiting for one\n");
    assert_eq!((status, complained), (Some(0), waits), "{said}");
    assert!(said.starts_with("8 sockets of 2 processes changed in "), "{said}");
}
