//! Services of a real systemd, followed in each of the ways that the project offers. The systemd is
//! that of tests/systemd: this machine's own, as PID 1 of a container. The tests look from outside.

#[path = "../../../../tests/systemd/container.rs"]
#[allow(dead_code, reason = "tests/systemd uses all of it")]
pub mod container;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, mkfifo};

use crate::follow::{Follower, all_are_set};
use crate::support::{self, run, scratch};
use crate::targets::options;
use crate::{sockets, support::finish};
use container::{Container, SHARED};

/// Longer than it takes a service to start again, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The capabilities of keepalive-follow@.service, as proc(5) shows them: CAP_DAC_READ_SEARCH and
/// CAP_SYS_PTRACE.
const CAPABILITIES: &str = "0000000000080004";

/// The user `daemon`, whom every system has.
const DAEMON: &str = "1";

/// A statically linked program, which opens a connection for each line in NAME.fifo.
const SERVICE: &str = "\
[Service]
Type=exec
User=daemon
Restart=always
RestartSec=100ms
ExecStart=/run/keepalive/target_static
StandardInput=file:/run/keepalive/NAME.fifo
";

/// A file of the repository.
fn repository(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).expect(path)
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(path, text).expect("a file");
}

/// The template of the packages, with the command where it is in the container.
fn template(command: &str) -> String {
    let text = repository("packaging/systemd/keepalive-follow@.service");
    let bare = "\nExecStart=keepalive attach";
    assert!(text.contains(bare));
    text.replace(bare, &format!("\nExecStart={command} attach"))
}

/// Services for a container, in a directory that is the root of a system for systemctl(1).
struct System {
    root: PathBuf,
    shared: PathBuf,
    /// What the services read.
    inputs: Vec<(String, File)>,
}

impl System {
    fn new() -> Self {
        let (root, shared) = (scratch("system"), scratch("shared"));
        fs::create_dir(&shared).expect("a directory");
        let program = support::compile("target_static", &["-static"]);
        support::copy_program(program, shared.join("target_static"));
        support::copy_program(env!("CARGO_BIN_EXE_keepalive"), shared.join("keepalive"));
        Self { root, shared, inputs: Vec::new() }
    }

    fn units(&self) -> PathBuf {
        self.root.join("etc/systemd/system")
    }

    fn write(&self, unit: &str, text: &str) {
        write(&self.units().join(unit), text);
    }

    /// A service of SERVICE, by its unit's name without suffix and instance.
    fn add(&mut self, name: &str, instance: &str) {
        let input = name.replace('\\', "");
        let fifo = self.shared.join(format!("{input}.fifo"));
        mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o666)).expect("a FIFO");
        let file = File::options().read(true).write(true).open(fifo).expect("a FIFO");
        let template = if instance.is_empty() { "" } else { "@" };
        self.write(&format!("{name}{template}.service"), &SERVICE.replace("NAME", &input));
        self.inputs.push((format!("{name}{template}{instance}.service"), file));
    }

    fn boot(&self) -> Container {
        let wanted: Vec<_> = self.inputs.iter().map(|(unit, _)| unit.as_str()).collect();
        self.write("test.target", &format!("[Unit]\nWants={}\n", wanted.join(" ")));
        Container::boot("test.target", &self.units(), &self.shared)
    }

    /// Makes the program of a service open one more connection.
    fn connect(&mut self, unit: &str) {
        let input = self.inputs.iter_mut().find(|(name, _)| name == unit);
        input.expect(unit).1.write_all(b"connect\n").expect("it reads");
    }
}

/// The processes of this name in a unit.
fn processes(container: &Container, unit: &str, name: &str) -> Vec<u32> {
    let is_there = |pid: &u32| {
        let text = |file| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        text("comm").trim_end() == name && text("cgroup").contains(&format!("/{unit}"))
    };
    container.pids().into_iter().filter(is_there).collect()
}

/// The one process of this name in a unit, once it is there and no other than `before`.
#[track_caller]
fn process(container: &Container, unit: &str, name: &str, before: u32) -> u32 {
    let until = Instant::now() + PATIENCE;
    loop {
        match processes(container, unit, name)[..] {
            [pid] if pid != before => return pid,
            _ if Instant::now() > until => panic!("{unit}: no {name}:\n{}", container.said()),
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// A line of /proc/PID/status.
fn status(pid: u32, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
    line.expect(field).split('\t').next().expect("a value").into()
}

#[test]
#[ignore = "needs root: systemd-nspawn (Debian: systemd-container), ip"]
fn services_of_a_real_systemd_are_followed_and_found_again_after_a_restart() {
    let name = |name| format!("keepalive-{}-{name}", std::process::id());
    let mut system = System::new();
    // By the template, under the hardest kind of name.
    let (template_name, instance) = (name("a\\x2db"), "15-main");
    system.add(&template_name, instance);
    let by_template = format!("{template_name}@{instance}.service");
    system.write("keepalive-follow@.service", &template(&format!("{SHARED}/keepalive")));
    system.write(
        "keepalive-follow@.service.d/options.conf",
        "[Service]\nEnvironment=\"OPTIONS=--dead-after 2m\"\n",
    );
    let follower_unit = format!("keepalive-follow@{by_template}");
    let mut enable = Command::new("systemctl");
    run(enable.arg("--root").arg(&system.root).args(["--quiet", "enable", &follower_unit]));
    // By the drop-in.
    system.add(&name("drop-in"), "");
    let by_drop_in = name("drop-in.service");
    let drop_ins = format!("{by_drop_in}.d");
    system.write(&format!("{drop_ins}/follow.conf"), &repository("examples/systemd/follow.conf"));
    let place = format!("[Service]\nEnvironment=PATH={SHARED}:/usr/bin:/bin\n");
    system.write(&format!("{drop_ins}/place.conf"), &place);
    // By one follower that runs all the time; and by nobody.
    system.add(&name("outside"), "");
    let from_outside = name("outside.service");
    system.add(&name("nobody"), "");
    let by_nobody = name("nobody.service");

    let container = system.boot();
    let follower = Follower::of(&format!("--dead-after 2m {from_outside}"));
    let (mut before, mut followers) = ([0; 3], [0; 2]);
    for _ in 0..2 {
        let units = [&*by_template, &*by_drop_in, &*from_outside];
        let mut now = [0; 3];
        for (index, unit) in units.into_iter().enumerate() {
            now[index] = process(&container, unit, "target_static", before[index]);
            all_are_set(now[index], 3);
            system.connect(unit);
        }
        for pid in now {
            all_are_set(pid, 5);
        }
        followers = [
            process(&container, &follower_unit, "keepalive", followers[0]),
            process(&container, &by_drop_in, "keepalive", followers[1]),
        ];
        assert_ne!(status(followers[0], "Uid"), "0");
        assert_eq!(status(followers[0], "CapEff"), CAPABILITIES);
        assert_eq!(status(followers[0], "CapBnd"), CAPABILITIES);
        assert_eq!(status(followers[0], "Seccomp"), "2");
        assert_eq!(status(followers[1], "Uid"), DAEMON);
        assert_eq!(status(followers[1], "CapEff"), "0000000000000000");
        for pid in now {
            let pid = Pid::from_raw(pid.try_into().expect("a number"));
            kill(pid, Signal::SIGKILL).expect("it runs");
        }
        before = now;
    }
    let nobody_s = process(&container, &by_nobody, "target_static", 0);
    assert!(sockets(nobody_s).iter().all(|socket| !options(socket).0));

    let (status, said, _) = follower.end_by(Signal::SIGTERM);
    assert_eq!(status, Some(0));
    assert!(said.starts_with("8 sockets of 2 processes changed in "), "{said}");
}

#[test]
#[ignore = "needs systemd-analyze (Debian: systemd)"]
fn systemd_analyze_finds_the_template_right_and_hardened() {
    let directory = scratch("template");
    let file = directory.join("keepalive-follow@kafka.service");
    write(&file, &template("/bin/true"));
    write(&directory.join("kafka.service"), "[Service]\nExecStart=/bin/true\n");
    let analyze = |what: &str| {
        let mut command = Command::new("systemd-analyze");
        let output = finish(command.args(what.split(' ')).arg(&file));
        (output.status.success(), support::texts(&output))
    };
    let (is_right, (_, complaints)) = analyze("verify --man=no");
    assert_eq!((is_right, &*complaints), (true, ""));
    let (is_hardened, (page, complaints)) = analyze("security --offline=yes --threshold=20");
    assert!(is_hardened, "{page}{complaints}");
    let (is_harder, _) = analyze("security --offline=yes --threshold=15");
    assert!(!is_harder, "the threshold is not looked at");
    // It does look at it.
    write(&file, &(template("/bin/true") + "\n[Service]\nDynamicUsers=yes\n"));
    let (_, (_, complaints)) = analyze("verify --man=no");
    assert!(complaints.contains("'DynamicUsers'"), "{complaints}");
}
