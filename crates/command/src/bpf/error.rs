//! Why a cover cannot be made, changed or read, and what to do.

use std::io;
use std::path::PathBuf;

use rustix::thread::CapabilitySet;

use super::BTF;
use super::btf::BtfError;
use crate::text::error::describe;
use crate::text::printable;

/// Why a cover cannot be made, changed or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This is an ordinary user's process.
    #[error(
        "this needs root (sudo keepalive cover ...); for your own processes there is `keepalive \
         attach --follow`, which does not"
    )]
    NotRoot,
    /// This is root's process, but inside of a user namespace.
    #[error(
        "root of a user namespace may not do this (a container without root, unshare -r): do it on \
         the host"
    )]
    UserNamespace,
    /// This is root's process, without these capabilities.
    #[error(
        "this root lacks capabilities: {0}. In a container: do this on the host, where the \
         container can be a TARGET, or start the container with all of them (--privileged)"
    )]
    Capabilities(String),
    /// bpf(2) itself is forbidden.
    #[error(
        "bpf(2) is forbidden here: by a seccomp filter (containers have one, and services with \
         SystemCallFilter=) or a security module; do this on the host"
    )]
    Forbidden,
    /// The directory is none of cgroup v2.
    #[error("not a directory of cgroup v2; for version 1 there is `keepalive attach --follow`")]
    NotVersion2,
    /// The kernel's BTF cannot be read.
    #[error(
        "{BTF}: {}: the kernel was built without CONFIG_DEBUG_INFO_BTF, so what programs choose \
         cannot be seen; --force does without it",
        describe(.0)
    )]
    NoBtf(io::Error),
    /// The kernel's BTF lacks something.
    #[error("{BTF}: {0}, so what programs choose cannot be seen; --force does without it")]
    UnusableBtf(BtfError),
    /// The kernel has no bpf(2), or not this part of it.
    #[error(
        "this kernel is too old: a cover needs Linux 5.10; `keepalive attach --follow` does not"
    )]
    OldKernel,
    /// The kernel's verifier does not take a program; its last words.
    #[error("the kernel refuses the program: {0}; please report it, with uname -r")]
    Verifier(String),
    /// Somebody's program stands no other beside it.
    #[error(
        "program {id} ({}) is attached to {} and allows no other beside or below it (`bpftool \
         cgroup tree` shows it): its owner must attach it with BPF_F_ALLOW_MULTI; `keepalive attach \
         --follow` does not need that",
        printable(.name),
        printable(&.cgroup.to_string_lossy())
    )]
    Exclusive { cgroup: PathBuf, id: u32, name: String },
    /// The cgroup is covered by this process.
    #[error("process {0} covers it with --foreground: end that process first (kill {0})")]
    Foreground(u32),
    /// The cgroup is covered already.
    #[error("it is covered already: remove that cover first (--remove)")]
    Covered,
    /// The cgroup is no longer there.
    #[error("it has ended")]
    Ended,
    /// Something else, by the call.
    #[error("{}: {}", .0, describe(.1))]
    Other(&'static str, io::Error),
}

/// What a cover needs (capabilities(7)).
const NEEDED: [(&str, CapabilitySet); 4] = [
    ("CAP_SYS_ADMIN", CapabilitySet::SYS_ADMIN),
    ("CAP_NET_ADMIN", CapabilitySet::NET_ADMIN),
    ("CAP_BPF", CapabilitySet::BPF),
    ("CAP_PERFMON", CapabilitySet::PERFMON),
];

/// Whether this process may make covers: anything less than all rights fails half-way.
pub fn check_rights() -> Result<(), Error> {
    let has = rustix::thread::capabilities(None).map_or(CapabilitySet::empty(), |it| it.effective);
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    rights(rustix::process::geteuid().is_root(), has, &map)
}

fn rights(is_root: bool, has: CapabilitySet, uid_map: &str) -> Result<(), Error> {
    let lacking: Vec<_> =
        NEEDED.iter().filter(|(_, it)| !has.contains(*it)).map(|(name, _)| *name).collect();
    if lacking.is_empty() && uid_map.split_ascii_whitespace().eq(["0", "0", "4294967295"]) {
        Ok(())
    } else if lacking.is_empty() {
        Err(Error::UserNamespace)
    } else if is_root {
        Err(Error::Capabilities(lacking.join(", ")))
    } else {
        Err(Error::NotRoot)
    }
}

impl Error {
    /// Why a map cannot be created.
    pub fn creating_map(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM) => Self::Forbidden,
            Some(libc::ENOSYS | libc::EINVAL) => Self::OldKernel,
            _ => Self::Other("bpf(2), MAP_CREATE", error),
        }
    }

    /// Why a program is refused; `log` is the verifier's.
    pub fn loading_program(error: io::Error, log: &[u8]) -> Self {
        let log = String::from_utf8_lossy(log);
        let lines = log.trim_end_matches('\0').lines();
        // The last lines are statistics.
        let mut reasons = lines.rev().filter(|line| !line.starts_with("processed "));
        match (error.raw_os_error(), reasons.find(|line| !line.trim().is_empty())) {
            (Some(libc::EPERM), None) => Self::Forbidden,
            // Functions and program types that came before 5.10.
            (Some(libc::EINVAL), Some(reason)) if reason.contains("invalid func unknown") => {
                Self::OldKernel
            }
            (Some(libc::EINVAL), None) => Self::OldKernel,
            (_, Some(reason)) => Self::Verifier(reason.trim().into()),
            (_, None) => Self::Other("bpf(2), PROG_LOAD", error),
        }
    }

    /// Why a program cannot be attached.
    pub fn attaching(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EBADF) => Self::NotVersion2,
            Some(libc::EINVAL) => Self::OldKernel,
            _ => Self::Other("bpf(2), PROG_ATTACH", error),
        }
    }

    /// Why the programs of a cgroup cannot be listed.
    pub fn querying(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM) => Self::Forbidden,
            Some(libc::EBADF) => Self::NotVersion2,
            Some(libc::ENOENT) => Self::Ended,
            Some(libc::ENOSYS | libc::EINVAL) => Self::OldKernel,
            _ => Self::Other("bpf(2), PROG_QUERY", error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "         0          0 4294967295\n";

    #[test]
    fn all_rights_are_needed() {
        let all = NEEDED.iter().fold(CapabilitySet::empty(), |all, (_, it)| all | *it);
        assert!(rights(true, all, WHOLE).is_ok());
        assert!(matches!(rights(false, CapabilitySet::empty(), WHOLE), Err(Error::NotRoot)));
        assert!(matches!(rights(true, all, "0 1000 1\n"), Err(Error::UserNamespace)));
        let error = rights(true, all - CapabilitySet::BPF, WHOLE).expect_err("one is missing");
        assert!(error.to_string().contains("capabilities: CAP_BPF."), "{error}");
        let error = rights(true, CapabilitySet::empty(), WHOLE).expect_err("all are missing");
        assert!(error.to_string().contains("CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON"));
    }

    #[test]
    fn each_error_of_the_kernel_is_told_in_words() {
        let error = io::Error::from_raw_os_error;
        let log = |text: &str| [text.as_bytes(), &[0; 9]].concat();
        for (refusal, expected) in [
            (Error::creating_map(error(libc::EPERM)), "bpf(2) is forbidden here"),
            (Error::creating_map(error(libc::ENOSYS)), "a cover needs Linux 5.10"),
            (Error::loading_program(error(libc::EPERM), &[]), "bpf(2) is forbidden here"),
            (Error::loading_program(error(libc::EINVAL), &[]), "too old"),
            (
                Error::loading_program(
                    error(libc::EINVAL),
                    &log("0: (85) call unknown#137\ninvalid func unknown#137\nprocessed 6 insns\n"),
                ),
                "too old",
            ),
            (
                Error::loading_program(error(libc::EACCES), &log("R1 invalid mem access\n\n")),
                "refuses the program: R1 invalid mem access; please report",
            ),
            (Error::attaching(error(libc::EBADF)), "not a directory of cgroup v2"),
            (Error::querying(error(libc::EBADF)), "not a directory of cgroup v2"),
            (Error::querying(error(libc::ENOENT)), "it has ended"),
            (
                // A user can have made it.
                Error::Exclusive { cgroup: "/a\x1b[2J".into(), id: 7, name: "x\x07".into() },
                "program 7 (x\\u{7}) is attached to /a\\u{1b}[2J and",
            ),
            (Error::querying(error(libc::EIO)), "bpf(2), PROG_QUERY: Input/output error"),
            (
                Error::NoBtf(error(libc::ENOENT)),
                "/sys/kernel/btf/vmlinux: No such file or directory: the kernel was \
                 built without CONFIG_DEBUG_INFO_BTF",
            ),
            (
                Error::UnusableBtf(BtfError::NoMember { structure: "tcp_sock", path: "x" }),
                "vmlinux: struct tcp_sock has no member x, so",
            ),
            (Error::Foreground(7), "process 7 covers it with --foreground: end that process first"),
        ] {
            assert!(refusal.to_string().contains(expected), "{refusal}");
        }
    }
}
