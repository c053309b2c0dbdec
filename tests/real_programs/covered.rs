//! A control group that `keepalive cover` has covered, with the same settings as the library's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support;
use crate::support::running::wait_until;

/// The command; built once.
static COMMAND: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "libkeepalive-command", "--target-dir"]);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory");
    support::run(cargo.arg(target).current_dir(root));
    target.join("debug/keepalive")
});

/// A covered control group; removed when dropped, after its processes were.
pub struct Group(PathBuf);

impl Group {
    /// Makes one, with more arguments for `cover`.
    pub fn new(arguments: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);

        let mounts = std::fs::read_to_string("/proc/mounts").expect("text");
        let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"));
        let root = mount.and_then(|mount| mount.split(' ').nth(1)).expect("a cgroup v2 tree");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("keepalive-programs-{}-{number}", std::process::id());
        let group = Self(Path::new(root).join(name));
        std::fs::create_dir(&group.0).expect("root");
        let mut cover = Command::new(&*COMMAND);
        cover.args("cover --idle 180 --interval 60 --count 20 --user-timeout 1380".split(' '));
        support::run(cover.args(arguments.split_whitespace()).arg(&group.0));
        group
    }

    /// The same command, which starts inside.
    pub fn inside(&self, command: &Command) -> Command {
        let mut shell = support::bare("sh");
        shell.args(["-c", "echo $$ >\"$0\"/cgroup.procs && exec \"$@\""]).arg(&self.0);
        shell.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that was killed may still be about to leave it.
        wait_until(std::time::Duration::from_secs(2), || std::fs::remove_dir(&self.0).is_ok());
    }
}
