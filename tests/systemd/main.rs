//! The drop-ins of examples/systemd: systemd takes them, and the sockets of services that a real
//! systemd started with them have their values.
//!
//! The systemd is this machine's own, as PID 1 of a container with this machine's /usr and
//! nothing else of it, in a network namespace from which nothing leads out.
//!
//!     cargo test --test systemd -- --ignored

#[path = "../support/mod.rs"]
mod support;

mod container;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use container::{Container, SHARED};
use support::outside::Values;

/// What the drop-ins ask for.
const ASKED_FOR: Values = on(180, 60, 20);

/// What a socket has if nobody asks for anything.
const OFF: Values = Values { keepalive: false, ..on(7200, 75, 9) };

const fn on(idle: i32, interval: i32, count: i32) -> Values {
    Values { keepalive: true, idle, interval, count, user_timeout: 0 }
}

/// A service that listens by itself.
const LISTENS: &str = "[Service]\nExecStart=/usr/bin/socat TCP4-LISTEN:PORT,fork PIPE\n";

/// A service that accepts from systemd's listener.
const ACCEPTS: &str = "[Service]\nExecStart=/usr/bin/python3 /run/keepalive/accept.py\n";

/// A service that systemd gives a connection.
const IS_GIVEN: &str = "[Service]\nExecStart=/usr/bin/cat\nStandardInput=socket\n";

const ACCEPT: &str = "\
import socket
connection, _ = socket.socket(fileno=3).accept()
connection.recv(1)
";

/// A listener.
const SOCKET: &str = "[Socket]\nListenStream=127.0.0.1:PORT\n";
const ACCEPTING_SOCKET: &str = "[Socket]\nListenStream=127.0.0.1:PORT\nAccept=yes\n";
const SOCKET_WITH_OWN_TIME: &str =
    "[Socket]\nListenStream=127.0.0.1:PORT\nKeepAlive=yes\nKeepAliveTimeSec=300\n";

/// A service, and what the connections that reach it should have.
struct Service {
    name: &'static str,
    service: &'static str,
    /// The .socket unit, where there is one.
    socket: Option<&'static str>,
    service_drop_in: bool,
    socket_drop_in: bool,
    expected: Values,
}

const SERVICES: [Service; 8] = {
    const BARE: Service = Service {
        name: "",
        service: LISTENS,
        socket: None,
        service_drop_in: false,
        socket_drop_in: false,
        expected: OFF,
    };
    const ACTIVATED: Service = Service { service: ACCEPTS, socket: Some(SOCKET), ..BARE };
    const INETD: Service = Service { service: IS_GIVEN, socket: Some(ACCEPTING_SOCKET), ..BARE };
    [
        Service { name: "listens-bare", ..BARE },
        Service { name: "listens", service_drop_in: true, expected: ASKED_FOR, ..BARE },
        Service { name: "activated-bare", ..ACTIVATED },
        Service { name: "activated", service_drop_in: true, expected: ASKED_FOR, ..ACTIVATED },
        // What the .socket unit says stands.
        Service {
            name: "activated-own-time",
            socket: Some(SOCKET_WITH_OWN_TIME),
            service_drop_in: true,
            expected: on(300, 75, 9),
            ..ACTIVATED
        },
        Service {
            name: "activated-by-socket",
            socket_drop_in: true,
            expected: ASKED_FOR,
            ..ACTIVATED
        },
        // The service never calls accept(): only the .socket unit can do it.
        Service { name: "inetd", service_drop_in: true, ..INETD },
        Service { name: "inetd-by-socket", socket_drop_in: true, expected: ASKED_FOR, ..INETD },
    ]
};

const FIRST_PORT: u16 = 7000;

#[test]
#[ignore = "needs systemd-analyze (Debian: systemd)"]
fn systemd_analyze_finds_nothing_wrong_with_the_drop_ins() {
    let directory = support::scratch("units");
    write(&directory.join("any.service"), "[Service]\nExecStart=/bin/true\n");
    write(&directory.join("any.socket"), "[Socket]\nListenStream=7000\n");
    copy_example("keepalive.conf", &directory.join("any.service.d"));
    copy_example("follow.conf", &directory.join("any.service.d"));
    copy_example("keepalive-socket.conf", &directory.join("any.socket.d"));
    let verify = || {
        let units = ["any.service", "any.socket"].map(|name| directory.join(name));
        support::run(Command::new("systemd-analyze").arg("verify").args(units))
    };

    let (_, complaints) = verify();
    assert_eq!(complaints, "");
    // It does look at them: it complains of others.
    write(&directory.join("any.service.d/wrong.conf"), "[Service]\nEnvironments=A=1\n");
    write(&directory.join("any.socket.d/wrong.conf"), "[Socket]\nKeepAliveTime=1\n");
    let (_, complaints) = verify();
    assert!(complaints.contains("'Environments'"), "{complaints}");
    assert!(complaints.contains("'KeepAliveTime'"), "{complaints}");
}

#[test]
#[ignore = "needs root: systemd-nspawn (Debian: systemd-container), socat, python3, nc, ip"]
fn services_of_a_real_systemd_have_the_values_of_the_drop_ins() {
    let units = support::scratch("units");
    let shared = support::scratch("shared");
    write(&shared.join("accept.py"), ACCEPT);
    fs::copy(support::library(), shared.join("libkeepalive.so")).expect("the library");
    write_units(&units);

    let container = Container::boot("test.target", &units, &shared);
    for (service, port) in SERVICES.iter().zip(FIRST_PORT..) {
        let found = container.values_of_a_connection_to(port);
        assert_eq!(found, service.expected, "{}", service.name);
    }
}

/// The units of all services with their drop-ins, and a target that wants them.
fn write_units(directory: &Path) {
    let mut wanted = Vec::new();
    for (service, port) in SERVICES.iter().zip(FIRST_PORT..) {
        let name = service.name;
        let unit = |text: &str| text.replace("PORT", &port.to_string());
        // With Accept=yes there is one service for each connection.
        let instances = if service.service == IS_GIVEN { "@" } else { "" };
        let file = format!("{name}{instances}.service");
        write(&directory.join(&file), &unit(service.service));
        let drop_ins = directory.join(format!("{file}.d"));
        if service.service_drop_in {
            copy_example("keepalive.conf", &drop_ins);
            // The library is not installed here.
            let place = format!("[Service]\nEnvironment=LD_LIBRARY_PATH={SHARED}\n");
            write(&drop_ins.join("place.conf"), &place);
        }
        match service.socket {
            Some(text) => {
                write(&directory.join(format!("{name}.socket")), &unit(text));
                wanted.push(format!("{name}.socket"));
            }
            None => wanted.push(file),
        }
        if service.socket_drop_in {
            copy_example("keepalive-socket.conf", &directory.join(format!("{name}.socket.d")));
        }
    }
    write(&directory.join("test.target"), &format!("[Unit]\nWants={}\n", wanted.join(" ")));
}

fn copy_example(name: &str, directory: &Path) {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/systemd");
    let text = fs::read_to_string(examples.join(name)).expect("the example");
    write(&directory.join(name), &text);
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(path, text).expect("a file");
}
