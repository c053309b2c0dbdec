//! `cover`: every reason for which there is no cover, provoked for real: the command names it, and
//! says what to do. (Old kernels are not among them: src/bpf/refusal.rs has unit tests of those.)

use std::process::Command;

use crate::cover::Covered;
use crate::groups::{Group, root, unique};
use crate::support::{self, bare, stdout};
use crate::{PublicDirectory, as_ordinary_user, failure, keepalive};

#[track_caller]
fn is_refused(command: &mut Command, status: i32, reason: &str) {
    let (found, stderr) = failure(command);
    assert_eq!(found, status, "{stderr}");
    assert!(stderr.contains(reason), "{stderr}");
}

/// A shell's commands in a mount namespace of its own, with the command as `$0`.
fn with_mounts(script: &str) -> Command {
    let mut command = bare("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(env!("CARGO_BIN_EXE_keepalive"));
    command
}

#[test]
fn what_is_no_control_group() {
    for target in ["1", "nginx", "0123456789a"] {
        is_refused(
            &mut keepalive(&format!("cover {target}")),
            2,
            "for processes by number or name there is `keepalive attach --follow`",
        );
    }
    is_refused(&mut keepalive("cover"), 2, "<TARGET>");
    is_refused(&mut keepalive("cover --all a.service"), 2, "cannot be used with");
    is_refused(&mut keepalive("cover --json a.service"), 2, "--list");
}

#[test]
fn an_ordinary_user() {
    let directory = PublicDirectory::new("cover-user");
    let command = directory.copy(env!("CARGO_BIN_EXE_keepalive"));
    for arguments in
        [&["cover", "--all"][..], &["cover", "--list"], &["cover", "--remove", "--all"]]
    {
        let mut command = bare(&command);
        is_refused(
            as_ordinary_user(command.args(arguments)),
            1,
            "this needs root (sudo keepalive cover",
        );
    }
}

#[test]
#[ignore = "needs root: drops capabilities, makes a user namespace, and setpriv (Debian: util-linux)"]
fn root_without_all_rights() {
    let keepalive = env!("CARGO_BIN_EXE_keepalive");
    let mut command = bare("setpriv");
    command.args(["--bounding-set=-net_admin,-perfmon", keepalive, "cover", "--all"]);
    is_refused(&mut command, 1, "this root lacks capabilities: CAP_NET_ADMIN, CAP_PERFMON. In a");
    let mut command = bare("unshare");
    command.args(["--user", "--map-root-user", keepalive, "cover", "--all"]);
    is_refused(&mut command, 1, "root of a user namespace may not do this (a container");
    let filter = support::compile("bpf/without_pidfd_getfd", &["-DFORBIDDEN=SYS_bpf"]);
    is_refused(
        bare(filter).args([keepalive, "cover", "--all"]),
        1,
        "bpf(2) is forbidden here: by a seccomp filter",
    );
}

#[test]
#[ignore = "needs root: looks for cgroups"]
fn what_is_not_there() {
    for (target, reason) in [
        (unique("x.service"), "no such unit is running"),
        ("0123456789abcdef".into(), "no such container is running"),
        (root().join("nothing").display().to_string(), "there is no such cgroup"),
        ("/etc".into(), "not a cgroup: those are below"),
    ] {
        let (status, stderr) = failure(&mut keepalive(&format!("cover {target}")));
        assert_eq!(
            (status, stderr.starts_with(&format!("keepalive: {target}: {reason}"))),
            (1, true),
            "{stderr}"
        );
    }
}

#[test]
#[ignore = "needs root: mounts a cgroup v1 tree in a namespace of its own"]
fn a_cgroup_of_version_1() {
    let mount = "mount -t tmpfs none /mnt && mkdir /mnt/1 && \
                 mount -t cgroup -o none,name=keepalive-test none /mnt/1 && ";
    let mut command = with_mounts(&format!("{mount}\"$0\" cover /mnt/1"));
    is_refused(&mut command, 1, "/mnt/1: a cgroup of version 1, which cannot be covered; those of");
    // Nothing but version 1.
    let none = "grep -v ' - cgroup2 ' /proc/self/mountinfo >/tmp/$$ && \
                mount --bind /tmp/$$ /proc/$$/mountinfo; rm /tmp/$$; exec \"$0\" cover --all";
    is_refused(
        &mut with_mounts(none),
        1,
        "no cgroup v2 tree is mounted: there is nothing to cover",
    );
}

#[test]
#[ignore = "needs root: mounts over the kernel's BTF in a namespace of its own"]
fn a_kernel_without_btf() {
    let group = Group::new(&root(), &unique("btf"));
    let hidden = "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" cover";
    let group_path = group.0.display();
    let mut command = with_mounts(&format!("{hidden} {group_path}"));
    is_refused(
        &mut command,
        1,
        "/sys/kernel/btf/vmlinux: No such file or directory: the kernel was built without CONFIG_DEBUG_INFO_BTF",
    );
    let mut command = with_mounts(&format!("{hidden} --force {group_path}"));
    let said = stdout(&mut command);
    assert!(said.contains(": covered: "), "{said}");
    let strange = "mount -t tmpfs none /sys/kernel/btf && head -c 9999 /bin/sh \
                   >/sys/kernel/btf/vmlinux && exec \"$0\" cover";
    let mut command = with_mounts(&format!("{strange} {group_path}"));
    is_refused(&mut command, 1, "vmlinux: it is not BTF of this byte order");
}

#[test]
#[ignore = "needs root: attaches BPF programs, and bpftool"]
fn somebody_s_program_that_stands_no_other() {
    // Any program will do: here it is a cover's.
    let covered = Covered::new("exclusive-source", "--idle 60");
    let shown = stdout(bare("bpftool").args(["--json", "cgroup", "show"]).arg(covered.path()));
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let id = shown[0]["id"].as_u64().expect("a number").to_string();
    let group = Group::new(&root(), &unique("exclusive"));
    let below = Group::new(&group.0, "below");
    support::run(
        bare("bpftool").args(["cgroup", "attach"]).arg(&group.0).args(["sock_ops", "id", &id]),
    );
    let reason = format!(
        "program {id} (keepalive_cover) is attached to {} and allows no other beside or below",
        group.0.display()
    );
    for path in [&below.0, &group.0] {
        for settings in ["--idle 60", "--force", "--foreground"] {
            let mut command = keepalive(&format!("cover {settings}"));
            let (status, stderr) = failure(command.arg(path));
            assert_eq!(status, 1);
            assert!(stderr.contains(&reason) || stderr.contains("covered already"), "{stderr}");
        }
    }
    drop(below);
}
