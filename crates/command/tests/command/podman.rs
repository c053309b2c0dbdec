//! Real containers, of podman's.

use std::path::PathBuf;
use std::process::Command;

use crate::PublicDirectory;

/// The settings that all tests of podman share.
const CONTAINERS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/systems/containers.conf");

/// podman(1) with a directory of its own for everything, so that the machine's own containers are not
/// touched. It takes no path of more than 50 characters, so a test's scratch directory does not do.
pub struct Podman(PublicDirectory);

impl Podman {
    pub fn new(name: &str) -> Self {
        Self(PublicDirectory::new(name))
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", CONTAINERS);
        // Without mounts.
        command.arg("--storage-driver=vfs");
        for name in ["root", "runroot", "tmpdir"] {
            command.arg(format!("--{name}={}", self.0.0.join(name).display()));
        }
        command
    }

    pub fn end_all(&self) {
        let _ = self.command().args(["rm", "--all", "--force", "--time=0"]).output();
    }

    /// A directory for the root of a container, with what the runtime mounts on.
    pub fn root(&self, name: &str) -> PathBuf {
        let root = self.0.0.join(name);
        for directory in ["proc", "sys", "dev", "etc", "run", "tmp"] {
            std::fs::create_dir_all(root.join(directory)).expect("a directory");
        }
        root
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.end_all();
        // Its helpers clean up by themselves, and know the directory by their arguments.
        let directory = self.0.0.to_string_lossy().into_owned();
        let is_helper = |process: std::io::Result<std::fs::DirEntry>| {
            let arguments = process.and_then(|it| std::fs::read(it.path().join("cmdline")));
            arguments.is_ok_and(|it| String::from_utf8_lossy(&it).contains(&directory))
        };
        for _ in 0..100 {
            if !std::fs::read_dir("/proc").expect("/proc").any(is_helper) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        // It leaves its empty groups; rmdir(1) takes no others.
        let groups = "find /sys/fs/cgroup -depth -type d \\( -name libpod_parent -o \
                      -path '*/libpod_parent/*' \\) -exec rmdir {} +";
        let _ = Command::new("sh").args(["-c", groups]).output();
    }
}
