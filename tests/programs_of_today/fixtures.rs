//! What the programs need before any of them runs: the clients, and the databases' data.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{self, postgres};

/// Makes it, in a directory that ends with the suite's. The clients stay, for the next time.
pub fn fixtures() -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = project.join("tests/programs_of_today");
    let clients = project.join("target/programs-of-today");
    support::run(Command::new(sources.join("install.sh")).arg(&clients));

    let fixtures = support::scratch("fixtures");
    std::fs::create_dir(&fixtures).expect("a directory");
    let data = support::scratch("mariadb");
    let mut install = support::bare("mariadb-install-db");
    install.args(["--no-defaults", "--user=root", "--skip-test-db"]);
    support::run(install.arg(format!("--datadir={}", data.display())));
    for (name, to) in [
        ("python", clients.join("python")),
        ("node_modules", clients.join("node_modules")),
        ("client.js", clients.join("client.js")),
        ("package.json", clients.join("package.json")),
        ("java", clients.join("java")),
        ("rust_client", clients.join("rust/release/rust_client")),
        ("client.py", sources.join("client.py")),
        ("silent_server.py", sources.join("silent_server.py")),
        ("cluster", postgres::cluster().into()),
        ("postgres", postgres::program("postgres")),
        ("mariadb", data),
    ] {
        symlink(to, fixtures.join(name)).expect("a link");
    }
    fixtures
}
