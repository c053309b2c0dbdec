//! Network namespaces that a test makes, runs programs in, and removes again with all that runs
//! there. Needs root, if only that of a user namespace, and ip(8) (Debian: iproute2).

use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Variables for the library; without any list there is no library.
pub type Settings<'a> = Option<&'a [(&'a str, &'a str)]>;

const PREFIX: &str = "keepalive-test-";

/// Lets an ordinary user make namespaces: runs the calling test once more, as root of a user namespace
/// with mounts and a network of its own, and returns true. For root it returns false: the test goes on.
#[track_caller]
#[must_use]
pub fn ran_in_user_namespace() -> bool {
    // ip(8) keeps its namespaces in /run.
    const SCRIPT: &str = "mount -t tmpfs tmpfs /run && ip link set lo up && exec \"$0\" \"$@\"";

    if super::is_root() {
        return false;
    }
    let test = std::thread::current();
    let mut again = Command::new("unshare");
    again.args(["--user", "--map-root-user", "--mount", "--net", "sh", "-c", SCRIPT]);
    again.arg(std::env::current_exe().expect("the suite"));
    again.args(["--include-ignored", "--nocapture", "--exact", test.name().expect("the test")]);
    let (stdout, _) = super::run(&mut again);
    assert!(stdout.contains("test result: ok. 1 passed"), "{stdout}");
    true
}

/// A network namespace of this test's own. Loopback is up; nothing leads out of it.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one.
    pub fn new(role: &str) -> Self {
        let namespace = Self::named(role);
        ip(&["netns", "add", namespace.name()]);
        ip(&["-n", namespace.name(), "link", "set", "lo", "up"]);
        namespace
    }

    /// A name of its own, for one that something else makes.
    pub fn named(role: &str) -> Self {
        static SWEEP: Once = Once::new();
        static COUNT: AtomicUsize = AtomicUsize::new(0);

        SWEEP.call_once(remove_left_overs);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{role}", std::process::id());
        Self { name }
    }

    /// As `ip -n` wants it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A program inside, with the library in front of it or without.
    pub fn command(&self, program: &str, settings: Settings) -> Command {
        let mut command = match settings {
            Some(variables) => {
                let mut command = super::preloaded("ip");
                command.envs(variables.iter().copied());
                command
            }
            None => super::bare("ip"),
        };
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Ends every process inside.
    pub fn end_programs(&self) {
        end_programs(&self.name);
    }

    /// Every process inside, children that left their parents included.
    pub fn pids(&self) -> Vec<u32> {
        pids(&self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Ends what runs in a namespace, and removes it.
fn remove(name: &str) {
    end_programs(name);
    // In a drop nothing can be done about a failure, but it is seen.
    let _ = Command::new("ip").args(["netns", "delete", name]).status();
}

fn end_programs(name: &str) {
    for _ in 0..100 {
        let pids = pids(name);
        if pids.is_empty() {
            break;
        }
        for pid in pids {
            // SAFETY: takes two numbers. A process of the namespace was started by the test.
            unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) };
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn pids(name: &str) -> Vec<u32> {
    let output = Command::new("ip").args(["netns", "pids", name]).output().expect("ip(8) runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

/// Removes what a test that was killed could not.
fn remove_left_overs() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let pid = rest.split('-').next().unwrap_or_default();
        if !std::path::Path::new("/proc").join(pid).exists() {
            remove(&name);
        }
    }
}

/// ip(8), which must succeed.
#[track_caller]
pub fn ip(arguments: &[&str]) {
    let output = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("ip(8) (Debian: iproute2)");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {}: {stderr} (root?)", arguments.join(" "));
}
