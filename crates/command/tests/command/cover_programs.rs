//! `cover`: real programs, of the kinds that no preload reaches.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cover::{Covered, program};
use crate::support::{self, bare, run, stdout};
use crate::targets::{Redis, go_program, options, ping};
use crate::{PublicDirectory, Target, sockets, source};

/// The options of its connections that are established.
fn established(pid: u32) -> Vec<(bool, u64, u64, u64, u64)> {
    let sockets = sockets(pid);
    sockets.iter().filter(|socket| socket["state"] == "established").map(options).collect()
}

const SET: (bool, u64, u64, u64, u64) = (true, 56, 10, 5, 0);

#[test]
#[ignore = "needs root: attaches BPF programs, and go (Debian: golang-go)"]
fn go() {
    let program = go_program();
    let covered = Covered::new("go", "--dead-after 2m");
    let mut quiet = Target::start(&mut covered.inside(&program));
    quiet.ask("echo");
    assert_eq!(established(quiet.pid()), [SET; 2]);
    // Go sets 15 s by itself, after connect(2) and accept(2).
    let own = Target::start(covered.inside(&program).arg("default"));
    let found = established(own.pid());
    assert!(found.iter().all(|it| it.0 && it.1 == 15 && it.2 == 15), "{found:?}");
    stdout(&mut covered.keepalive("cover --new-only --force --dead-after 2m"));
    let mut forced = Target::start(covered.inside(&program).arg("default"));
    forced.ask("echo");
    assert_eq!(established(forced.pid()), [SET; 2]);
}

/// tests/hosts/target.rs, linked statically: against musl, where Rust's target for it is installed
/// (rustup target add), or else against glibc.
fn rust_program() -> PathBuf {
    let program = support::scratch("target-rust");
    let musl = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let (libraries, _) =
        run(Command::new("rustc").args(["--print=target-libdir", "--target", &musl]));
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "-C", "target-feature=+crt-static"]);
    if Path::new(libraries.trim()).exists() {
        rustc.args(["--target", &musl]);
    }
    run(rustc.arg("-o").arg(&program).arg(source("target.rs")));
    program
}

#[test]
#[ignore = "needs root: attaches BPF programs"]
fn static_rust() {
    let covered = Covered::new("rust", "--dead-after 2m");
    let mut target = Target::start(&mut covered.inside(rust_program()));
    assert_eq!(established(target.pid()), [SET; 2]);
    target.ask("connect");
    assert_eq!(established(target.pid()), [SET; 4]);
}

#[test]
#[ignore = "needs root: attaches BPF programs, and musl-gcc (Debian: musl-tools)"]
fn static_c_of_musl() {
    let program = support::scratch("covered-musl");
    let mut compiler = Command::new("musl-gcc");
    // The kernel's headers, which musl does not bring, after its own.
    compiler.args(["-static", "-idirafter", "/usr/include", "-idirafter"]);
    compiler.arg(format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH));
    run(compiler.arg("-o").arg(&program).arg(source("covered.c")));
    let covered = Covered::new("musl", "--dead-after 2m");
    let said = stdout(covered.inside(program).arg("plain"));
    assert_eq!(said.matches(" 1 56 10 5 0 6 ").count(), 2, "{said}");
}

#[test]
#[ignore = "needs root: attaches BPF programs, and java (Debian: openjdk-17-jdk-headless)"]
fn java() {
    let covered = Covered::new("java", "--dead-after 2m");
    // Sockets that block, and channels that do not: each takes a second to start.
    std::thread::scope(|scope| {
        for style in [&[][..], &["nio"]] {
            let mut command = covered.inside("java");
            command.arg(source("Target.java")).args(style);
            scope.spawn(move || {
                let mut target = Target::start(&mut command);
                assert_eq!(established(target.pid()), [SET; 2], "{style:?}");
                // From outside, where nothing is covered.
                let _client = target.connect();
                assert_eq!(established(target.pid()), [SET; 3], "{style:?}");
            });
        }
    });
}

#[test]
#[ignore = "needs root: attaches BPF programs, and redis-server"]
fn redis_chose_times_of_its_own_which_stand_unless_forced() {
    let covered = Covered::new("redis", "--dead-after 2m");
    let redis = Redis::start_by(covered.inside("redis-server"));
    let served = || -> (TcpStream, Vec<_>) {
        let mut connection = redis.connect();
        ping(&mut connection);
        (connection, established(redis.child.id()))
    };
    let (_first, found) = served();
    assert_eq!(found, [(true, 300, 100, 3, 0)]);
    stdout(&mut covered.keepalive("cover --new-only --force --dead-after 2m"));
    let (_second, found) = served();
    assert_eq!(found.iter().filter(|it| **it == SET).count(), 1, "{found:?}");
}

#[test]
#[ignore = "needs root: attaches BPF programs, and setpriv (Debian: util-linux)"]
fn a_setuid_program() {
    let directory = PublicDirectory::new("cover-setuid");
    let copy = directory.copy(program());
    run(Command::new("chmod").arg("4755").arg(&copy));
    let covered = Covered::new("setuid", "--dead-after 2m");
    let mut command = covered.inside("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copy).arg("plain");
    assert!(stdout(&mut command).starts_with("client 1 56 10 5 0 "));
}

/// sshd drops the environment, and with it every preload.
#[test]
#[ignore = "needs root: attaches BPF programs, and sshd and ssh (Debian: openssh-server openssh-client)"]
fn a_program_that_sshd_starts() {
    let keys = support::scratch("cover-ssh");
    std::fs::create_dir(&keys).expect("a directory");
    for name in ["host", "user"] {
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(keys.join(name)));
    }
    let keys = keys.display();
    let program = program();
    let covered = Covered::new("sshd", "--dead-after 2m");
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    let port = port.expect("a port").port();
    let sshd = format!(
        "mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec /usr/sbin/sshd -De -f /dev/null \
         -p {port} -o ListenAddress=127.0.0.1 -o HostKey={keys}/host -o PidFile=none \
         -o StrictModes=no -o PermitRootLogin=yes -o AuthorizedKeysFile={keys}/user.pub"
    );
    let mut command = covered.inside("unshare");
    let mut server = command
        .args(["--mount", "sh", "-c", &sshd])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("unshare");
    crate::follow::eventually("sshd listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let output = support::finish(
        bare("ssh")
            .args(["-F", "/dev/null", "-p", &port.to_string(), "-i"])
            .arg(format!("{keys}/user"))
            .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
            .args(["-n", "root@127.0.0.1"])
            .arg(format!("{} plain", program.display())),
    );
    let _ = server.kill();
    let _ = server.wait();
    let (said, complained) = support::texts(&output);
    assert!(said.starts_with("client 1 56 10 5 0 "), "{said}{complained}");
}
