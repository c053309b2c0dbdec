//! Services of a real systemd, covered in each of the ways that the project offers. The systemd is
//! that of tests/systemd: this machine's own, as PID 1 of a container. The tests look from outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::follow::eventually;
use crate::support::{self, bare, run, scratch};
use crate::targets::options;
use crate::units::container::{Container, SHARED};
use crate::{sockets, support::finish};

/// A statically linked program, which has a connection to itself.
const SERVICE: &str = "\
[Service]
Restart=always
RestartSec=100ms
ExecStart=/bin/sh -c 'sleep infinity | exec /run/keepalive/target_static'
";

/// A service that accepts from systemd's listener.
const ACCEPTS: &str = "\
[Service]
ExecStart=/usr/bin/python3 -c 'import socket; \
it = socket.socket(fileno=3).accept()[0]; it.recv(1)'
";

/// A service that systemd gives a connection.
const IS_GIVEN: &str = "\
[Service]
ExecStart=/usr/bin/cat
StandardInput=socket
";

const FIRST_PORT: u16 = 7100;

/// Where a listener of systemd's is covered.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    /// With the slice that it is in, as the service is.
    Slice,
    /// By a drop-in of the .socket unit.
    Socket,
    /// Not at all: the drop-in is the service's.
    Service,
}

/// What systemd listens for; whether it accepts as well.
const ACTIVATED: [(&str, Where, bool); 6] = [
    ("accepts-slice", Where::Slice, false),
    ("accepts-socket", Where::Socket, false),
    ("accepts-service", Where::Service, false),
    ("given-slice", Where::Slice, true),
    ("given-socket", Where::Socket, true),
    ("given-service", Where::Service, true),
];

/// What the drop-in asks for.
const SET: (bool, u64, u64, u64, u64) = (true, 56, 10, 5, 0);

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(path, text).expect("a file");
}

/// A file of the repository, with the command where it is in the container.
fn repository(path: &str, command: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join(path)).expect(path);
    assert!(text.contains(command), "{path}");
    text.replace(command, &format!("{SHARED}/keepalive cover"))
}

/// The program of a unit, once there is one, and another than `before`.
#[track_caller]
fn program(container: &Container, unit: &str, before: Option<u32>) -> u32 {
    let mut found = None;
    eventually(&format!("{unit} runs:\n{}", container.said()), || {
        let is_it = |pid: &u32| {
            let text = |file| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
            text("comm").trim_end() == "target_static"
                && text("cgroup").contains(&format!("/{unit}"))
                && Some(*pid) != before
        };
        found = container.pids().into_iter().find(is_it);
        found.is_some_and(|pid| established(pid).len() == 2)
    });
    found.expect("it runs")
}

fn established(pid: u32) -> Vec<(bool, u64, u64, u64, u64)> {
    let text = support::finish(&mut crate::keepalive(&format!("show --json {pid}")));
    if !text.status.success() {
        return Vec::new();
    }
    sockets(pid).iter().filter(|it| it["state"] == "established").map(options).collect()
}

/// A command in the container; what it says.
fn inside(container: &Container, line: &str) -> String {
    let is_first = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"))
    };
    let first = container.pids().into_iter().find(is_first).expect("PID 1").to_string();
    let mut command = bare("nsenter");
    command.args(["--target", &first, "--all"]).args(line.split(' '));
    run(&mut command).0
}

fn systemctl(container: &Container, arguments: &str) {
    inside(container, &format!("systemctl {arguments}"));
}

#[test]
#[ignore = "needs root: systemd-nspawn (Debian: systemd-container), ip"]
fn services_of_a_real_systemd_are_covered_at_each_start() {
    let (units, shared): (PathBuf, PathBuf) = (scratch("units"), scratch("shared"));
    fs::create_dir(&shared).expect("a directory");
    let program_file = support::compile("target_static", &["-static"]);
    support::copy_program(program_file, shared.join("target_static"));
    support::copy_program(env!("CARGO_BIN_EXE_keepalive"), shared.join("keepalive"));

    let drop_in = repository("examples/systemd/cover.conf", "/usr/bin/keepalive cover");
    let template = repository("packaging/systemd/keepalive-cover@.service", "keepalive cover");
    let template = template.replace("=keepalive cover", &format!("={SHARED}/keepalive cover"));
    write(&units.join("keepalive-cover@.service"), &template);
    let with_options = "[Service]\nEnvironment=\"OPTIONS=--dead-after 2m\"\n";
    write(&units.join("keepalive-cover@.service.d/options.conf"), with_options);
    let name = |name: &str| format!("keepalive-{}-{name}", std::process::id());
    let slice = name("s.slice").replace('-', "_");
    let covered = [
        ("plain.service", ""),
        ("user.service", "User=daemon\n"),
        ("dynamic.service", "DynamicUser=yes\nProtectSystem=strict\nPrivateDevices=yes\n"),
        ("delegate.service", "Delegate=yes\nUser=daemon\n"),
    ]
    .map(|(short, more)| {
        let unit = name(short);
        write(&units.join(&unit), &format!("{SERVICE}{more}"));
        write(&units.join(format!("{unit}.d/cover.conf")), &drop_in);
        unit
    });
    let (in_slice, bare) = (name("slice.service"), name("bare.service"));
    write(&units.join(&in_slice), &format!("{SERVICE}Slice={slice}\n"));
    write(&units.join(&bare), SERVICE);
    let cover = format!("keepalive-cover@{slice}.service");
    let mut sockets = Vec::new();
    for ((short, place, is_given), port) in ACTIVATED.iter().zip(FIRST_PORT..) {
        let unit = name(short);
        let more = if *place == Where::Slice { format!("Slice={slice}\n") } else { String::new() };
        let socket = format!("[Socket]\nListenStream=127.0.0.1:{port}\nAccept={is_given}\n{more}");
        write(&units.join(format!("{unit}.socket")), &socket);
        let (service, text) = if *is_given { ("@", IS_GIVEN) } else { ("", ACCEPTS) };
        write(&units.join(format!("{unit}{service}.service")), &format!("{text}{more}"));
        match place {
            Where::Slice => {}
            Where::Socket => {
                let drop_in = drop_in.replace("[Service]", "[Socket]");
                write(&units.join(format!("{unit}.socket.d/cover.conf")), &drop_in);
            }
            Where::Service => {
                write(&units.join(format!("{unit}{service}.service.d/cover.conf")), &drop_in);
            }
        }
        sockets.push(format!("{unit}.socket"));
    }
    let wanted = format!("{} {in_slice} {bare} {cover} {}", covered.join(" "), sockets.join(" "));
    write(&units.join("test.target"), &format!("[Unit]\nWants={wanted}\n"));

    let container = Container::boot("test.target", &units, &shared);
    let mut now: Vec<_> = covered
        .iter()
        .chain([&in_slice])
        .map(|unit| (unit, program(&container, unit, None)))
        .collect();
    let all_are_set = |now: &[(&String, u32)]| {
        for (unit, pid) in now {
            eventually(&format!("{unit} is set:\n{}", container.said()), || {
                established(*pid) == [SET; 2]
            });
        }
    };
    all_are_set(&now);
    let is_covered = |port: u16, short: &str, is_set: bool| {
        let found = container.values_of_a_connection_to(port);
        let expected = if is_set { (true, 56, 5) } else { (false, 7200, 9) };
        assert_eq!((found.keepalive, found.idle, found.count), expected, "{short}");
    };
    for ((short, place, _), port) in ACTIVATED.iter().zip(FIRST_PORT..) {
        is_covered(port, short, *place != Where::Service);
        if *place == Where::Service {
            let socket = name(&format!("{short}.socket"));
            inside(&container, &format!("{SHARED}/keepalive cover --dead-after 2m {socket}"));
            is_covered(port, short, true);
        }
    }
    // A crash, and a restart after a reload.
    for (unit, pid) in &mut now {
        let first = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let parent = first.lines().find_map(|line| line.strip_prefix("PPid:\t"));
        let parent: i32 = parent.and_then(|pid| pid.parse().ok()).expect("its shell");
        kill(Pid::from_raw(parent), Signal::SIGKILL).expect("it runs");
        *pid = program(&container, unit, Some(*pid));
    }
    all_are_set(&now);
    systemctl(&container, "daemon-reload");
    for (unit, pid) in &mut now {
        systemctl(&container, &format!("restart {unit}"));
        *pid = program(&container, unit, Some(*pid));
    }
    all_are_set(&now);
    let alone = program(&container, &bare, None);
    assert!(established(alone).iter().all(|options| !options.0));
    let said = inside(&container, &format!("{SHARED}/keepalive cover --dead-after 2m {bare}"));
    assert!(said.contains(&format!("{bare}: until it stops or restarts. Permanently")), "{said}");
    assert_eq!(established(alone), [SET; 2]);
    // The cover of the slice goes with its unit.
    systemctl(&container, &format!("stop {cover}"));
    systemctl(&container, &format!("restart {in_slice}"));
    let pid = program(&container, &in_slice, Some(now[4].1));
    assert!(established(pid).iter().all(|options| !options.0));
    // The whole system: all that this container sees.
    inside(&container, &format!("{SHARED}/keepalive cover --all --idle 61"));
    assert!(established(pid).iter().all(|options| options.0 && options.1 == 61));
    systemctl(&container, &format!("restart {in_slice}"));
    let pid = program(&container, &in_slice, Some(pid));
    assert!(established(pid).iter().all(|options| options.0 && options.1 == 61));
    inside(&container, &format!("{SHARED}/keepalive cover --remove --all"));
}

#[test]
#[ignore = "needs systemd-analyze (Debian: systemd)"]
fn systemd_analyze_finds_the_units_right() {
    let directory = scratch("cover-template");
    let text = |path: &str| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        fs::read_to_string(root.join(path)).expect(path)
    };
    let template = text("packaging/systemd/keepalive-cover@.service")
        .replace("=keepalive cover", "=/bin/true cover");
    let drop_in = text("examples/systemd/cover.conf").replace("/usr/bin/keepalive", "/bin/true");
    for instance in ["system.slice", "-.slice"] {
        let file = directory.join(format!("keepalive-cover@{instance}.service"));
        write(&file, &template);
        write(&directory.join("a.service"), "[Service]\nExecStart=/bin/true\n");
        write(&directory.join("a.service.d/cover.conf"), &drop_in);
        write(&directory.join("a.socket"), "[Socket]\nListenStream=7000\n");
        let of_a_socket = drop_in.replace("[Service]", "[Socket]");
        write(&directory.join("a.socket.d/cover.conf"), &of_a_socket);
        let mut command = Command::new("systemd-analyze");
        command.args(["verify", "--man=no"]).arg(&file);
        command.args(["a.service", "a.socket"].map(|unit| directory.join(unit)));
        let output = finish(&mut command);
        let (_, complaints) = support::texts(&output);
        assert_eq!((output.status.success(), &*complaints), (true, ""), "{instance}");
    }
}
