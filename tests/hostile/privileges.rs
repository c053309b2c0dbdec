//! Secure execution, ld.so(8): programs that run with more rights than their user has. The
//! loader leaves out preloads there; nothing of the library may show.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, id};

use crate::support::{
    self, built_library, copy_program, host, inside, is_foreign, outside, stdout,
};
use crate::{SERVED, VALUES, probed, unserved};

/// A program in a directory that every user can reach, with a copy of the library.
struct Program {
    directory: PathBuf,
}

impl Program {
    fn new(name: &str) -> Self {
        let directory = outside(Path::new("/tmp")).join(format!("keepalive-{}-{name}", id()));
        std::fs::create_dir(&directory).expect("a directory in /tmp");
        let program = Self { directory };
        copy_program(outside(&host("probe")), program.file("probe"));
        std::fs::copy(built_library(), program.file("libkeepalive.so")).expect("a copy");
        program
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// What a socket of the program gets when nobody runs it under the library.
    fn socket_of_nobody(&self) -> String {
        // chroot(1) to where it is: it can change the user, too.
        let mut command = support::bare("chroot");
        command
            .args(["--userspec=65534:65534", "--groups=", "/"])
            .arg(inside(&self.file("probe")))
            .args(["socket", "AF_INET", "SOCK_STREAM", "0", "show"])
            .env("LD_PRELOAD", inside(&self.file("libkeepalive.so")))
            .envs(VALUES);
        stdout(&mut command)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[test]
#[ignore = "needs root: setuid programs"]
fn a_setuid_program_ignores_the_library_silently() {
    // chroot(1) is the system's own, in front of which a foreign library is of no use.
    if is_foreign() {
        return;
    }
    let program = Program::new("setuid");
    assert_eq!(program.socket_of_nobody(), probed(SERVED));

    let setuid = std::fs::Permissions::from_mode(0o4755);
    std::fs::set_permissions(program.file("probe"), setuid).expect("setuid");
    assert_eq!(program.socket_of_nobody(), probed(&unserved()));
}

#[test]
#[ignore = "needs root and setcap (Debian: libcap2-bin)"]
fn a_program_with_file_capabilities_ignores_the_library_silently() {
    // chroot(1) is the system's own, in front of which a foreign library is of no use.
    if is_foreign() {
        return;
    }
    let program = Program::new("capabilities");
    assert_eq!(program.socket_of_nobody(), probed(SERVED));

    let mut setcap = Command::new("setcap");
    support::run(setcap.arg("cap_net_bind_service+ep").arg(program.file("probe")));
    assert_eq!(program.socket_of_nobody(), probed(&unserved()));
}
