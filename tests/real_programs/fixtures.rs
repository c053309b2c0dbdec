//! What the programs need before any of them runs: keys, compiled clients, data.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{self, postgres};

/// Files by name, next to what is made by programs.
const FILES: &[(&str, &str)] = &[
    (
        "nginx.conf",
        "daemon off; master_process on; user root; worker_processes 1; pid nginx.pid;
        error_log stderr;
        events { }
        http {
            access_log off;
            server { listen 127.0.0.1:7000; location / { proxy_pass http://127.0.0.1:7001; } }
        }",
    ),
    (
        "nginx-keepalive.conf",
        "daemon off; master_process on; user root; worker_processes 1; pid nginx.pid;
        error_log stderr;
        events { }
        http {
            access_log off;
            server {
                listen 127.0.0.1:7000 so_keepalive=300:30:5;
                location / { proxy_pass http://127.0.0.1:7001; proxy_socket_keepalive on; }
            }
        }",
    ),
    (
        "haproxy.cfg",
        "defaults
            mode tcp
            timeout connect 60s
            timeout client 60s
            timeout server 60s
        listen relay
            bind 127.0.0.1:7000
            server backend 127.0.0.1:7001\n",
    ),
    ("rsyncd.conf", "use chroot = no\n[files]\n    path = .\n"),
    (
        "inherited.py",
        "import socket\nconnection, _ = socket.socket(fileno=3).accept()\nconnection.recv(1)\n",
    ),
    (
        "asyncio_client.py",
        "import asyncio\n\nasync def main():\n    \
            reader, writer = await asyncio.open_connection('127.0.0.1', 7000)\n    \
            await reader.read()\n\nasyncio.run(main())\n",
    ),
];

/// Makes them, in a directory that ends with the suite's.
pub fn fixtures() -> PathBuf {
    let fixtures = support::scratch("fixtures");
    std::fs::create_dir(&fixtures).expect("a directory");
    for (name, content) in FILES {
        std::fs::write(fixtures.join(name), content).expect("a file");
    }
    for name in ["host_key", "user_key"] {
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(fixtures.join(name));
        support::run(&mut command);
    }
    std::os::unix::fs::symlink(postgres::cluster(), fixtures.join("cluster")).expect("a link");
    std::os::unix::fs::symlink(postgres::program("postgres"), fixtures.join("postgres"))
        .expect("a link");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut javac = Command::new("javac");
    javac.arg("-d").arg(&fixtures).arg(sources.join("real_programs/Client.java"));
    support::run(javac.arg(sources.join("firewall/EchoServer.java")));
    for (name, cgo) in [("go-static", "0"), ("go-cgo", "1")] {
        let mut go = Command::new("go");
        go.env("CGO_ENABLED", cgo)
            .env("GOCACHE", fixtures.join("go-cache"))
            .env("GOTOOLCHAIN", "local");
        go.args(["build", "-o"])
            .arg(fixtures.join(name))
            .arg(sources.join("real_programs/client.go"));
        support::run(&mut go);
    }
    fixtures
}
