//! `/etc/ld.so.preload`: the library in front of every program of a system, here a small one of
//! a shell and a few commands in a directory of its own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::namespace::ran_in_user_namespace;
use crate::support::{self, host, inside, is_foreign, is_musl, library, run};
use crate::{SERVED, VALUES, probed, unserved};

const PROBE: &str = "/usr/bin/probe socket AF_INET SOCK_STREAM 0 show";

struct SmallSystem {
    root: PathBuf,
}

impl SmallSystem {
    fn new() -> Self {
        let system = Self { root: support::scratch("system") };
        let probe = host("probe");
        for program in ["/bin/sh", "/bin/ls", "/usr/bin/env", "/usr/sbin/chroot"] {
            system.install(Path::new(program), program);
        }
        system.install(&probe, "/usr/bin/probe");
        system.install(&probe, "/usr/bin/setuid-probe");
        let setuid = std::fs::Permissions::from_mode(0o4755);
        std::fs::set_permissions(system.root.join("usr/bin/setuid-probe"), setuid).expect("setuid");
        system
    }

    /// Copies a program to a place in this system, and what it is linked with.
    fn install(&self, program: &Path, place: &str) {
        self.copy(program, place);
        let (list, _) = run(support::bare("ldd").arg(program));
        for needed in list.split_whitespace().filter(|word| word.starts_with('/')) {
            self.copy(Path::new(needed), needed);
        }
    }

    /// By cp(1), which knows what a link means below another root.
    fn copy(&self, file: &Path, place: &str) {
        let place = self.root.join(place.trim_start_matches('/'));
        std::fs::create_dir_all(place.parent().expect("a directory")).expect("a directory");
        run(support::bare("cp").arg(file).arg(inside(&place)));
    }

    /// Puts the library in front of everything.
    fn preload(&self) {
        self.copy(&library(), "/usr/lib/libkeepalive.so");
        std::fs::create_dir_all(self.root.join("etc")).expect("a directory");
        std::fs::write(self.root.join("etc/ld.so.preload"), "/usr/lib/libkeepalive.so\n")
            .expect("ld.so.preload");
    }

    /// What a line of shell prints here.
    fn shell(&self, line: &str) -> String {
        let mut command: Command = support::bare("chroot");
        command.arg(inside(&self.root)).args(["/bin/sh", "-c", line]).envs(VALUES);
        support::stdout(&mut command)
    }
}

#[test]
#[ignore = "needs user namespaces"]
fn every_program_is_served_and_one_command_can_be_left_out() {
    if ran_in_user_namespace() {
        return;
    }
    // musl has no ld.so.preload; in front of the shell a foreign library is of no use.
    if is_musl() || is_foreign() {
        return;
    }
    let system = SmallSystem::new();
    let others = "ls /usr/bin; env; echo $((6 * 7)) | { read number; echo $number; }";
    assert_eq!(system.shell(PROBE), probed(&unserved()));
    let before = system.shell(others);

    system.preload();
    assert_eq!(system.shell(PROBE), probed(SERVED));
    assert_eq!(system.shell(&format!("KEEPALIVE=off {PROBE}")), probed(&unserved()));
    assert_eq!(
        system.shell(&format!("KEEPALIVE=off {PROBE}; {PROBE}")),
        probed(&unserved()) + &probed(SERVED)
    );
    assert_eq!(system.shell(others), before);
}

/// Unlike LD_PRELOAD, which is the user's, this file is root's: the loader obeys it in secure
/// execution too, and the settings are then those of the user's environment.
#[test]
#[ignore = "needs root: chroot(2), setuid programs"]
fn setuid_programs_are_served() {
    if is_musl() || is_foreign() {
        return;
    }
    let system = SmallSystem::new();
    let line = PROBE.replace(
        "/usr/bin/probe",
        "/usr/sbin/chroot --userspec=65534:65534 --groups= / /usr/bin/setuid-probe",
    );
    assert_eq!(system.shell(&line), probed(&unserved()));
    system.preload();
    assert_eq!(system.shell(&line), probed(SERVED));
    assert_eq!(system.shell(&format!("KEEPALIVE=off {line}")), probed(&unserved()));
}
