//! Control groups that a test makes, and removes again. Needs root and a cgroup v2 tree.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::time::Duration;

const PREFIX: &str = "keepalive-";

/// A directory of the cgroup v2 tree; removed when dropped, after its processes have ended.
pub struct Group(pub PathBuf);

impl Group {
    /// Makes one.
    pub fn new(below: &Path, name: &str) -> Self {
        static SWEEP: Once = Once::new();

        SWEEP.call_once(|| remove_left_overs(&root()));
        let path = below.join(name);
        std::fs::create_dir(&path).expect("root, and a cgroup v2 tree");
        Self(path)
    }

    /// Moves a process into it.
    pub fn take(&self, pid: u32) {
        std::fs::write(self.0.join("cgroup.procs"), pid.to_string()).expect("it moves");
    }

    pub fn name(&self) -> String {
        self.0.file_name().expect("a name").to_string_lossy().into_owned()
    }

    /// The same command, which begins in the group.
    pub fn with(&self, command: &Command) -> Command {
        let mut inside = super::bare("sh");
        inside.args(["-c", "echo $$ >\"$0\" && exec \"$@\""]).arg(self.0.join("cgroup.procs"));
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            inside.current_dir(directory);
        }
        inside
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that was killed may still be about to leave it.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.0).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Where the cgroup v2 tree is mounted.
pub fn root() -> PathBuf {
    let mounts = std::fs::read_to_string("/proc/mounts").expect("text");
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"));
    mount.expect("a cgroup v2 tree").split(' ').nth(1).expect("a path").into()
}

/// A name that no other test process uses, and by which what one left behind is known.
pub fn unique(name: &str) -> String {
    format!("{PREFIX}{}-{name}", std::process::id())
}

/// Removes what a test that was killed could not.
fn remove_left_overs(root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let pid = pid.filter(|pid| pid.parse::<u32>().is_ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // One with processes or other groups in it stays.
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}
