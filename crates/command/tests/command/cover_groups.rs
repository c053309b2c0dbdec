//! `cover`: control groups of every kind and name, and those of other users.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::chown;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cover::{Covered, bpftool, has_open};
use crate::follow::eventually;
use crate::groups::{Group, root, unique};
use crate::support::{self, bare, run, stdout};
use crate::{NOBODY, Target, as_ordinary_user, failure, keepalive};

#[test]
#[ignore = "needs root: attaches BPF programs"]
fn a_group_of_any_name() {
    for (name, shown) in [
        ("with a blank", "with a blank"),
        ("\u{fc}n\u{ef}c\u{f6}de \u{65e5}\u{672c}", "\u{fc}n\u{ef}c\u{f6}de \u{65e5}\u{672c}"),
        ("quotes'\"$(x)", "quotes'\"$(x)"),
        ("a\\x2db", "a\\\\x2db"),
        ("red\u{1b}[31m", "red\\u{1b}[31m"),
    ] {
        let covered = Covered::new(name, "--idle 60");
        assert!(covered.says("plain").starts_with("client 1 60 "), "{name}");
        // The JSON has the name as it is.
        assert_eq!(covered.entry()["opened"], 1, "{name}");
        let table = stdout(&mut covered.keepalive("cover --list"));
        assert!(table.contains(&unique(shown)), "{table}");
        let said = stdout(&mut covered.keepalive("cover --remove"));
        assert!(said.contains(&unique(shown)), "{said}");
    }
}

/// A socket stays in the control group in which it was made.
#[test]
#[ignore = "needs root: attaches BPF programs"]
fn a_process_that_moves() {
    let covered = Covered::new("from", "--idle 60");
    let other = Covered { group: Group::new(&root(), &unique("to")) };
    let moves_to = |group: &Covered| format!("moved {}/cgroup.procs", group.path().display());
    let said = covered.says(&moves_to(&other));
    assert_eq!(said.matches(" 1 60 ").count(), 2, "{said}");
    let said = other.says(&moves_to(&covered));
    assert_eq!(said.matches(" 0 7200 ").count(), 2, "{said}");
}

#[test]
#[ignore = "needs root: attaches BPF programs"]
fn a_group_of_threads() {
    let above = Group::new(&root(), &unique("threads"));
    let threads = Covered { group: Group::new(&above.0, "threaded") };
    std::fs::write(threads.path().join("cgroup.type"), "threaded").expect("it becomes one");
    let (_, complained) = run(&mut threads.keepalive("cover --idle 60"));
    assert!(complained.contains("a threaded cgroup: what is open belongs to"), "{complained}");
    assert!(threads.says("plain").starts_with("client 1 60 "));
    drop(threads);
}

#[test]
#[ignore = "needs root: attaches BPF programs"]
fn a_group_that_ends_meanwhile() {
    let group = Group::new(&root(), &unique("meanwhile"));
    let held = std::fs::File::open(&group.0).expect("a directory");
    held.lock().expect("nobody has it");
    let mut cover = keepalive("cover --idle 60");
    let cover = cover.arg(&group.0).stderr(Stdio::piped()).spawn().expect("it starts");
    eventually("it waits", || has_open(cover.id(), &group.0));
    drop(group);
    drop(held);
    let output = cover.wait_with_output().expect("a child");
    let (_, complained) = support::texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(complained.ends_with(": it has ended\n"), "{complained}");
}

/// A user to whom a part of the tree is delegated can make directories of any name in it.
#[test]
#[ignore = "needs root: attaches BPF programs, becomes another user"]
fn what_a_user_makes_does_not_pass_for_the_system_s() {
    let users = Group::new(&root(), &unique("user@65534\u{1b}[2J.service"));
    chown(&users.0, Some(NOBODY), Some(NOBODY)).expect("root");
    let id = format!("{:064x}", 0xc0fe_0000_0000_u64 + u64::from(std::process::id()));
    let unit = unique("mine.service");
    for (target, name) in [(&*unit, &*unit), (&id[..], &*format!("docker-{id}.scope"))] {
        let made = users.0.join(name);
        run(as_ordinary_user(bare("mkdir").arg(&made)));
        let made = Group(made);
        let real = Group::new(&root(), name);
        let said = stdout(&mut keepalive(&format!("cover --idle 60 {target}")));
        assert!(said.contains(&format!("\n{target}: covered: ")), "{said}");
        let is_covered = |group: &Group| {
            let document = stdout(keepalive("cover --list --json").arg(&group.0));
            let document: Value = serde_json::from_str(&document).expect("JSON");
            document["covers"] != Value::Array(Vec::new())
        };
        assert_eq!((is_covered(&real), is_covered(&made)), (true, false), "{target}");
        drop(real);
        if target == unit {
            let (status, stderr) = failure(&mut keepalive(&format!("cover --idle 60 {target}")));
            assert_eq!(status, 1);
            let path = users.0.display().to_string().replace('\u{1b}', "\\u{1b}");
            let expected = format!(
                "the system has no such unit running, but a user has created {path}/{unit}: "
            );
            assert!(stderr.contains(&expected), "{stderr}");
            // By its path it can be covered all the same.
            stdout(keepalive("cover --idle 60").arg(&made.0));
            assert!(is_covered(&made));
        }
    }
}

/// A path that is longer than any that can be opened: nobody can cover that, but all else is listed.
#[test]
#[ignore = "needs root: attaches BPF programs, becomes another user, and perl"]
fn a_user_s_path_that_is_too_long_hides_no_cover() {
    let users = Group::new(&root(), &unique("long"));
    chown(&users.0, Some(NOBODY), Some(NOBODY)).expect("root");
    let covered = Covered { group: Group::new(&users.0, "z") };
    stdout(&mut covered.keepalive("cover --idle 60"));
    let nest = "$| = 1; my $name = 'a' x 250; chdir $ARGV[0] or die;
                for (1..20) { mkdir $name or die; chdir $name or die } print qq(made\n); <STDIN>;
                for (1..20) { chdir '..'; rmdir $name }";
    let mut maker = bare("perl");
    maker.args(["-e", nest]).arg(&users.0).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut maker = as_ordinary_user(&mut maker).spawn().expect("perl");
    let mut said = String::new();
    let answers = maker.stdout.as_mut().expect("a pipe");
    BufReader::new(answers).read_line(&mut said).expect("text");
    assert_eq!(said, "made\n");
    let table = stdout(keepalive("cover --list").arg(&users.0));
    assert!(table.contains(&covered.path().display().to_string()), "{table}");
    drop(covered);
    drop(maker.stdin.take());
    maker.wait().expect("a child");
}

/// Another user's process that keeps a cgroup locked until it is dropped. Every user may lock a
/// directory of the tree.
struct Locked(Child);

impl Locked {
    fn new(group: &Covered) -> Self {
        let mut flock = bare("flock");
        flock.arg(group.path()).args(["timeout", "20", "sh", "-c", "echo locked; read line"]);
        let mut holder = as_ordinary_user(&mut flock)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("flock(1)");
        let mut said = String::new();
        let answers = holder.stdout.as_mut().expect("a pipe");
        BufReader::new(answers).read_line(&mut said).expect("text");
        Self(holder)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("a child");
    }
}

#[test]
#[ignore = "needs root: attaches BPF programs, and flock (Debian: util-linux)"]
fn nobody_s_lock_keeps_root_from_covering() {
    let group = Covered { group: Group::new(&root(), &unique("locked")) };
    let locked = Locked::new(&group);
    let output = support::finish(&mut group.keepalive("cover --idle 60"));
    drop(locked);
    let (_, complained) = support::texts(&output);
    assert!(output.status.success(), "{complained}");
    let expected = "another process has held the lock for 3 s (flock(2)); continuing without it";
    assert!(complained.contains(expected), "{complained}");
    assert_eq!(group.entry()["idle_s"], 60);
}

/// Where a cover lacks a part, it is looked at again under the lock, if that can be had.
#[test]
#[ignore = "needs root: attaches BPF programs; bpftool, and flock (Debian: util-linux)"]
fn a_look_waits_for_no_lock() {
    let covered = Covered::new("look", "--force --idle 60");
    let target =
        Target::start(&mut covered.inside(support::compile("target_static", &["-static"])));
    let programs = bpftool(&["cgroup", "show", &covered.path().to_string_lossy()]);
    let is_it =
        |it: &&Value| it["attach_type"].as_str().is_some_and(|it| it.ends_with("setsockopt"));
    let id = programs.iter().find(is_it).expect("a program")["id"].to_string();
    let mut detach = bare("bpftool");
    detach.args(["cgroup", "detach"]).arg(covered.path()).args(["setsockopt", "id", &id]);
    support::run(&mut detach);
    let _locked = Locked::new(&covered);
    let begin = Instant::now();
    let shown = stdout(&mut keepalive(&format!("show --json {}", target.pid())));
    assert!(shown.contains(r#""mode": "force""#), "{shown}");
    let output = support::finish(&mut covered.keepalive("cover --list"));
    let (_, complained) = support::texts(&output);
    assert!(complained.contains("another process holds the lock (flock(2))"), "{complained}");
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
}
