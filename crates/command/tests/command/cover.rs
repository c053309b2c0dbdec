//! `cover`: what the processes of a control group open or accept has the settings when connect(2)
//! sends its SYN and when accept(2) returns. The tests make cgroups, as systemd and the container
//! engines do, and remove them again.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::follow::eventually;
use crate::groups::{Group, root, unique};
use crate::support::markdown::read;
use crate::support::{self, bare, run, stdout};
use crate::{Target, failure, keepalive, sockets};

/// A cgroup of the test's own; removed when dropped, and its cover with it.
pub struct Covered {
    pub group: Group,
}

impl Covered {
    pub fn new(name: &str, settings: &str) -> Self {
        let covered = Self { group: Group::new(&root(), &unique(name)) };
        stdout(&mut covered.keepalive(&format!("cover {settings}")));
        covered
    }

    pub fn path(&self) -> PathBuf {
        self.group.0.clone()
    }

    /// The command, with the cgroup as its last argument.
    pub fn keepalive(&self, arguments: &str) -> Command {
        let mut command = keepalive(arguments);
        command.arg(self.path());
        command
    }

    /// A program that starts inside.
    pub fn inside(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = bare("sh");
        command.args(["-c", "echo $$ >\"$0\"/cgroup.procs && exec \"$@\""]).arg(self.path());
        command.arg(program).stdin(Stdio::null());
        command
    }

    /// What tests/hosts/covered.c prints, in this way.
    pub fn says(&self, how: &str) -> String {
        stdout(self.inside(program()).args(how.split(' ')))
    }

    /// Its entry of `--list --json`.
    pub fn entry(&self) -> Value {
        let document = stdout(&mut self.keepalive("cover --list --json"));
        let document: Value = serde_json::from_str(&document).expect("JSON");
        assert_eq!(document["version"], 1);
        let path = self.path();
        let covers = document["covers"].as_array().expect("an array");
        let own = covers.iter().find(|cover| cover["cgroup"] == *path.to_string_lossy());
        own.cloned().unwrap_or_default()
    }

    /// The numbers of what the kernel keeps for the cover: programs and maps, as bpftool(8) has them.
    pub fn kept(&self) -> Vec<(&'static str, u64)> {
        let mut kept = Vec::new();
        for attached in bpftool(&["cgroup", "show", &self.path().to_string_lossy()]) {
            let id = attached["id"].as_u64().expect("a number");
            kept.push(("prog", id));
            for program in bpftool(&["prog", "show", "id", &id.to_string()]) {
                let maps = program["map_ids"].as_array().expect("an array");
                kept.extend(maps.iter().map(|id| ("map", id.as_u64().expect("a number"))));
            }
        }
        kept.sort_unstable();
        kept.dedup();
        kept
    }
}

/// tests/hosts/covered.c, linked statically.
pub fn program() -> PathBuf {
    support::compile("covered", &["-static"])
}

pub fn bpftool(arguments: &[&str]) -> Vec<Value> {
    let text = stdout(bare("bpftool").arg("--json").args(arguments));
    if text.trim().is_empty() {
        return Vec::new();
    }
    match serde_json::from_str(&text).expect("JSON") {
        Value::Array(all) => all,
        one => vec![one],
    }
}

/// Waits until the kernel has removed it all, which it does some time after the last use.
#[track_caller]
pub fn is_gone(kept: &[(&str, u64)]) {
    for (kind, id) in kept {
        eventually(&format!("{kind} {id} is removed"), || {
            let show = support::finish(bare("bpftool").args([kind, "show", "id", &id.to_string()]));
            !show.status.success()
        });
    }
}

/// TCP_RTO_MAX_MS, where nobody set it, or as `SETTINGS` do: -1 where the kernel has none.
fn bound(is_set: bool) -> i32 {
    match std::fs::exists("/proc/sys/net/ipv4/tcp_rto_max_ms").expect("/proc") {
        true if is_set => 9600,
        true => 120_000,
        false => -1,
    }
}

/// The settings of most tests.
const SETTINGS: &str = "--dead-after 2m --rto-max 9600ms";

/// The options of both ends, under `SETTINGS`.
fn set() -> (String, String) {
    let options = format!("1 56 10 5 0 6 {}", bound(true));
    (format!("client {options}\n"), format!("server {options}\n"))
}

#[test]
#[ignore = "needs root: attaches BPF programs"]
fn a_static_program_however_it_connects() {
    let covered = Covered::new("static", SETTINGS);
    let (client, server) = set();
    for how in ["plain", "v6", "mapped", "ring", "on"] {
        assert_eq!(covered.says(how), format!("{client}{server}"), "{how}");
    }
    assert_eq!(covered.says("fastopen"), format!("{client}{server}1 by fast open\n"));
    let entry = covered.entry();
    assert_eq!((&entry["opened"], &entry["accepted"]), (&6.into(), &6.into()), "{entry}");
    assert_eq!((&entry["left_alone"], &entry["refused"]), (&0.into(), &0.into()), "{entry}");
}

/// It loses what a program sent before close(2): only who asks for a bound gets one.
#[test]
#[ignore = "needs root: attaches BPF programs"]
fn dead_after_bounds_no_retransmissions() {
    let covered = Covered::new("unbounded", "--dead-after 2m");
    let options = format!("1 56 10 5 0 6 {}", bound(false));
    assert_eq!(covered.says("plain"), format!("client {options}\nserver {options}\n"));
}

#[test]
#[ignore = "needs root: attaches BPF programs"]
fn no_connection_is_without_when_accept_returns() {
    let covered = Covered::new("crowd", "--dead-after 2m");
    assert_eq!(covered.says("crowd 2000"), "2000 connections, 0 without\n");
    let said = covered.says("cookies 1000");
    assert_eq!(said, "1000 connections, 0 without\n1000 by cookies\n");
}

#[test]
#[ignore = "needs root: attaches BPF programs"]
fn what_the_program_chose_stands() {
    let covered = Covered::new("own", SETTINGS);
    let (_, server) = set();
    let (bound, default) = (bound(true), bound(false));
    // With keepalive on and a time of its own nothing is touched.
    assert_eq!(covered.says("own"), format!("client 1 300 75 9 0 6 {default}\n{server}"));
    assert_eq!(covered.entry()["left_alone"], 1);
    // A time alone stands, and keepalive is turned on.
    let said = covered.says("own-time");
    assert!(said.starts_with("client 1 300 10 5 0 6 "), "{said}");
    // What is set while a connection is made stands as well.
    let said = covered.says("nonblocking");
    assert!(said.starts_with("during 1 301 10 3 0 6 "), "{said}");
    assert!(said.contains("\nclient 1 301 10 3 0 6 "), "{said}");
    if default > 0 {
        let said = covered.says("bounded");
        assert_eq!(said, format!("client 1 56 10 5 0 6 60000\n{server}"));
    }
    // And what is set afterwards.
    let said = covered.says("after");
    let after = said.lines().skip(2).take(2).collect::<Vec<_>>().join("\n");
    let expected = format!("client 0 56 10 5 0 6 {bound}\nserver 1 15 15 9 0 6 {bound}");
    assert_eq!(after, expected, "{said}");
}

#[test]
#[ignore = "needs root: attaches BPF programs"]
fn force_has_the_last_word() {
    let settings = "--force --idle 60 --interval 9 --count 3 --user-timeout 90";
    let covered = Covered::new("force", settings);
    let default = bound(false);
    let both = format!("client 1 60 9 3 90000 6 {default}\nserver 1 60 9 3 90000 6 {default}\n");
    for how in ["plain", "own", "own-time"] {
        assert_eq!(covered.says(how), both, "{how}");
    }
    for how in ["after", "after v6"] {
        // Errors are the kernel's own: EINVAL is 22. Other sockets are the program's.
        let errors = "wrong -1 22\nshort -1 22\nlong 0 60\nother 0 1\nudp 0 unix 0\n";
        assert_eq!(covered.says(how), format!("{both}{both}{errors}"), "{how}");
    }
    assert!(covered.entry()["replaced"].as_u64() > Some(4), "{}", covered.entry());
    let said = covered.says("mptcp");
    assert!(said.starts_with("client "), "{said}");
}

#[test]
#[ignore = "needs root: attaches BPF programs"]
fn skip_sets_the_times_alone() {
    let covered = Covered::new("skip", &format!("--skip {SETTINGS}"));
    let bound = bound(true);
    let said = covered.says("plain");
    assert_eq!(said, format!("client 0 56 10 5 0 6 {bound}\nserver 0 56 10 5 0 6 {bound}\n"));
    let said = covered.says("on");
    assert_eq!(said, format!("client 1 56 10 5 0 6 {bound}\nserver 0 56 10 5 0 6 {bound}\n"));
}

/// Multipath TCP: a limit that the documents state.
#[test]
#[ignore = "needs root: attaches BPF programs"]
fn multipath_tcp_is_covered_below_what_the_program_sees() {
    let covered = Covered::new("mptcp", "--dead-after 2m");
    let said = covered.says("mptcp");
    assert!(said.starts_with("client 0 7200 75 9 -1 -1 -1\n"), "{said}");
    let entry = covered.entry();
    assert_eq!((&entry["opened"], &entry["accepted"]), (&1.into(), &1.into()), "{entry}");
}

#[test]
#[ignore = "needs root: attaches BPF programs"]
fn the_open_sockets_are_set_too_unless_they_shall_not() {
    let group = Covered { group: Group::new(&root(), &unique("open")) };
    let mut target = Target::start(&mut group.inside(program_that_is_asked()));
    let said = stdout(&mut group.keepalive("cover --new-only --dead-after 2m"));
    assert!(said.contains("open sockets left as they are"), "{said}");
    let on = |target: &Target| {
        sockets(target.pid()).iter().filter(|socket| socket["keepalive"] == true).count()
    };
    assert_eq!(on(&target), 0);
    let said = stdout(&mut group.keepalive("cover --dry-run --dead-after 2m"));
    assert!(said.contains("3 sockets would be changed"), "{said}");
    assert_eq!(on(&target), 0);
    let said = stdout(&mut group.keepalive(&format!("cover {SETTINGS}")));
    assert!(
        said.contains("open now, in 1 process: 3 sockets changed (2 connected, 1 listening)"),
        "{said}"
    );
    assert_eq!(on(&target), 3);
    target.ask("connect");
    assert_eq!(on(&target), 5);
    // What a listening socket hands on is no choice of the program's.
    assert_eq!(group.entry()["left_alone"], 0);
    for socket in sockets(target.pid()).iter().filter(|socket| socket["state"] == "established") {
        assert_eq!(socket["idle_s"], 56, "{socket}");
        if bound(true) > 0 {
            assert_eq!(socket["rto_max_ms"], 9600, "{socket}");
        }
    }
    // Nor is what an earlier cover has set.
    let said = stdout(&mut group.keepalive("cover --dead-after 3m"));
    assert!(said.contains("5 sockets changed (4 connected, 1 listening)\n"), "{said}");
    target.ask("connect");
    let idle: Vec<_> =
        sockets(target.pid()).iter().map(|socket| socket["idle_s"].as_u64()).collect();
    assert_eq!(idle, [Some(84); 7]);
}

fn program_that_is_asked() -> PathBuf {
    support::compile("target_static", &["-static"])
}

#[test]
#[ignore = "needs root: attaches BPF programs, and bpftool"]
fn a_second_call_replaces_and_remove_leaves_nothing() {
    let covered = Covered::new("replace", "--dead-after 2m");
    let first = covered.kept();
    assert_eq!(first.len(), 2, "{first:?}");
    stdout(&mut covered.keepalive("cover --force --idle 61"));
    let second = covered.kept();
    assert_eq!(second.len(), 3, "{second:?}");
    is_gone(&first);
    assert_eq!(covered.entry()["mode"], "force");
    assert!(covered.says("own").starts_with("client 1 61 "));
    stdout(&mut covered.keepalive("cover --idle 62"));
    let third = covered.kept();
    assert_eq!(third.len(), 2, "{third:?}");
    is_gone(&second);
    assert!(covered.says("own").starts_with("client 1 300 "));
    // A dry run loads programs, and changes nothing.
    stdout(&mut covered.keepalive("cover --dry-run --force"));
    assert_eq!(covered.kept(), third);

    stdout(&mut covered.keepalive("cover --force"));
    let fourth = covered.kept();
    assert_eq!(fourth.len(), 3, "{fourth:?}");
    let said = stdout(&mut covered.keepalive("cover --remove"));
    assert!(said.contains("no longer covered; connections that are open keep"), "{said}");
    assert_eq!(covered.kept(), []);
    is_gone(&third);
    is_gone(&fourth);
    assert!(covered.says("plain").starts_with("client 0 7200 "));
    let (status, stderr) = failure(&mut covered.keepalive("cover --remove"));
    let path = covered.path().display().to_string();
    let said = format!(
        "keepalive: {path}: it has no cover of its own; `keepalive cover --list {path}` lists those \
         above and below it\n"
    );
    assert_eq!((status, stderr), (1, said));
    assert_eq!(covered.entry(), Value::Null);
}

#[test]
#[ignore = "needs root: attaches BPF programs, and bpftool"]
fn a_cover_ends_with_its_cgroup() {
    let covered = Covered::new("ends", "--force");
    let kept = covered.kept();
    assert_eq!(kept.len(), 3, "{kept:?}");
    drop(covered);
    is_gone(&kept);
}

/// What is below a cover is covered; the inner one comes first.
#[test]
#[ignore = "needs root: attaches BPF programs"]
fn what_is_below_is_covered_too() {
    let outer = Covered::new("outer.slice", "--idle 60");
    let inner = Covered { group: Group::new(&outer.path(), &unique("inner.service")) };
    assert!(inner.says("plain").starts_with("client 1 60 45 127 "));
    let name = inner.path().file_name().expect("a name").to_string_lossy().into_owned();
    let said = stdout(&mut keepalive(&format!("cover --dead-after 2m {name}")));
    let line = "ExecStartPre=+-/usr/bin/keepalive cover --dead-after 2m %n\n";
    assert!(said.contains(&format!("(systemctl edit {name}):\n  [Service]\n  {line}")), "{said}");
    assert!(inner.says("plain").starts_with("client 1 56 10 5 "));
    let table = stdout(&mut keepalive(&format!("cover --list {name}")));
    assert_eq!(table.lines().filter(|line| line.starts_with('/')).count(), 2, "{table}");
    stdout(&mut outer.keepalive("cover --force --idle 61"));
    assert!(inner.says("plain").starts_with("client 1 61 "));
    drop(inner);
}

#[test]
#[ignore = "needs root: attaches BPF programs"]
fn show_says_who_is_covered() {
    let covered = Covered::new("show", "--dead-after 2m");
    let below = Covered { group: Group::new(&covered.path(), "below") };
    let target = Target::start(&mut below.inside(program_that_is_asked()));
    let pid = target.pid();
    let show = |arguments: &str| stdout(&mut keepalive(&format!("{arguments} {pid}")));
    let path = covered.path().display().to_string();
    let page = show("show");
    assert!(page.contains(&format!("\ncovered by {path}: first probe after 56s idle, ")), "{page}");
    let document: Value = serde_json::from_str(&show("show --json")).expect("JSON");
    let covers = &document["processes"][0]["covers"];
    assert_eq!((&covers[0]["cgroup"], &covers[0]["idle_s"]), (&Value::from(path), &56.into()));
    let fields = |cover: &Value| cover.as_object().map(|it| it.keys().cloned().collect::<Vec<_>>());
    let schema = read("docs/show.schema.json").expect("text");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    assert_eq!(fields(&covers[0]), fields(&schema["$defs"]["cover"]["properties"]));
    assert_eq!(fields(&covers[0]), fields(&covered.entry()));
    // Who set the options, as long as the cover is there to tell.
    let set_by = || {
        let connected = sockets(pid).into_iter().filter(|it| it["state"] == "established");
        connected.map(|it| it["set_by"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(set_by(), ["cover"; 2]);
    stdout(&mut covered.keepalive("cover --remove"));
    assert_eq!(set_by(), ["program"; 2]);
    assert!(!show("show").contains("covered"));
    let document: Value = serde_json::from_str(&show("show --json")).expect("JSON");
    assert_eq!(document["processes"][0]["covers"], Value::Array(Vec::new()));
    drop(target);
    drop(below);
}

/// Whether a process has opened a file.
pub fn has_open(pid: u32, file: &Path) -> bool {
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").flatten();
    fds.filter_map(|fd| fd.path().read_link().ok()).any(|path| path == file)
}

/// Two calls at the same time do not leave two covers: each waits until it is alone.
#[test]
#[ignore = "needs root: attaches BPF programs, and bpftool"]
fn calls_at_the_same_time_leave_one_cover() {
    let group = Covered { group: Group::new(&root(), &unique("race")) };
    let held = std::fs::File::open(group.path()).expect("a directory");
    held.lock().expect("nobody has it");
    let calls: Vec<_> = (0..8)
        .map(|number| {
            let mut command = group.keepalive(&format!("cover --idle {}", 60 + number));
            command.stdout(Stdio::null()).spawn().expect("it starts")
        })
        .collect();
    // All that it does with the directory before it has the lock is to open it.
    eventually("they wait", || calls.iter().all(|call| has_open(call.id(), &group.path())));
    assert_eq!(group.kept(), []);
    drop(held);
    for mut call in calls {
        assert!(call.wait().expect("a child").success());
    }
    assert_eq!(group.kept().len(), 2, "{:?}", group.kept());
    run(&mut group.keepalive("cover --remove"));
    assert_eq!(group.kept(), []);
}
