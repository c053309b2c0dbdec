//! Why there is no cover, and what to do.

use std::path::PathBuf;
use std::{fmt, io};

use rustix::thread::CapabilitySet;

use crate::text::{error, printable};

/// Why there is no cover.
#[derive(Debug)]
pub enum Refusal {
    /// This is an ordinary user's process.
    NotRoot,
    /// This is root's process, but inside of a user namespace.
    UserNamespace,
    /// This is root's process, without these capabilities.
    Capabilities(String),
    /// bpf(2) itself is forbidden.
    Forbidden,
    /// The directory is none of cgroup v2.
    NotVersion2,
    /// The kernel's BTF cannot be read.
    NoBtf(io::Error),
    /// The kernel's BTF lacks something.
    StrangeBtf(String),
    /// The kernel has no bpf(2), or not this part of it.
    OldKernel,
    /// The kernel's verifier does not take a program; its last words.
    Verifier(String),
    /// Somebody's program stands no other beside it.
    Exclusive { cgroup: PathBuf, id: u32, name: String },
    /// The cgroup is covered by this process.
    Foreground(u32),
    /// The cgroup is covered already.
    Covered,
    /// The cgroup is no longer there.
    Ended,
    /// Something else, by the call.
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
pub fn check_rights() -> Result<(), Refusal> {
    let has = rustix::thread::capabilities(None).map_or(CapabilitySet::empty(), |it| it.effective);
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    rights(rustix::process::geteuid().is_root(), has, &map)
}

fn rights(is_root: bool, has: CapabilitySet, uid_map: &str) -> Result<(), Refusal> {
    let lacking: Vec<_> =
        NEEDED.iter().filter(|(_, it)| !has.contains(*it)).map(|(name, _)| *name).collect();
    if lacking.is_empty() && uid_map.split_ascii_whitespace().eq(["0", "0", "4294967295"]) {
        Ok(())
    } else if lacking.is_empty() {
        Err(Refusal::UserNamespace)
    } else if is_root {
        Err(Refusal::Capabilities(lacking.join(", ")))
    } else {
        Err(Refusal::NotRoot)
    }
}

impl Refusal {
    /// No map can be created.
    pub fn of_map(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM) => Self::Forbidden,
            Some(libc::ENOSYS | libc::EINVAL) => Self::OldKernel,
            _ => Self::Other("bpf(2), MAP_CREATE", error),
        }
    }

    /// A program is not taken, and the verifier's log is this.
    pub fn of_program(error: io::Error, log: &[u8]) -> Self {
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

    /// A program cannot be attached.
    pub fn of_attach(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EBADF) => Self::NotVersion2,
            Some(libc::EINVAL) => Self::OldKernel,
            _ => Self::Other("bpf(2), PROG_ATTACH", error),
        }
    }

    /// The programs of a cgroup cannot be listed.
    pub fn of_query(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM) => Self::Forbidden,
            Some(libc::EBADF) => Self::NotVersion2,
            Some(libc::ENOENT) => Self::Ended,
            Some(libc::ENOSYS | libc::EINVAL) => Self::OldKernel,
            _ => Self::Other("bpf(2), PROG_QUERY", error),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRoot => f.write_str(
                "this takes root (sudo keepalive cover ...); your own processes are set without \
                 it by `keepalive attach --follow`",
            ),
            Self::UserNamespace => f.write_str(
                "this is a user namespace (a container without root, unshare -r), whose root may \
                 not do this: do it outside, on the host",
            ),
            Self::Capabilities(lacking) => write!(
                f,
                "this root has not all of its rights: {lacking} missing. In a container: do this \
                 on the host, where the container is a target too, or start this one with all \
                 rights (--privileged)"
            ),
            Self::Forbidden => f.write_str(
                "bpf(2) is forbidden here: by a seccomp filter (containers have one, and services \
                 with SystemCallFilter=) or a security module; do this on the host",
            ),
            Self::NotVersion2 => f.write_str(
                "not a directory of cgroup v2: those of version 1 cannot be covered, \
                 `keepalive attach --follow` works there too",
            ),
            Self::NoBtf(error) => write!(
                f,
                "{}: {}: the kernel was built without CONFIG_DEBUG_INFO_BTF, so what programs \
                 choose cannot be seen; --force does without it",
                super::BTF,
                error::describe(error)
            ),
            Self::StrangeBtf(what) => write!(
                f,
                "{}: {what}, so what programs choose cannot be seen; --force does without it",
                super::BTF
            ),
            Self::OldKernel => f.write_str(
                "this kernel is too old (Linux 5.10 has all that is needed): `keepalive attach \
                 --follow` does without",
            ),
            Self::Verifier(reason) => write!(
                f,
                "the kernel does not take the program: {reason}; please report it, with uname -r"
            ),
            Self::Exclusive { cgroup, id, name } => write!(
                f,
                "program {id} ({}) is attached to {} so that no other may be beside or below it \
                 (`bpftool cgroup tree` shows it): its owner must attach it with \
                 BPF_F_ALLOW_MULTI; `keepalive attach --follow` does without",
                printable(name),
                printable(&cgroup.to_string_lossy())
            ),
            Self::Foreground(process) => write!(
                f,
                "process {process} covers it with --foreground: end that first (kill {process})"
            ),
            Self::Ended => f.write_str("it has ended meanwhile"),
            Self::Covered => f.write_str("it is covered already: --remove that first"),
            Self::Other(call, error) => write!(f, "{call}: {}", error::describe(error)),
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
        assert!(matches!(rights(false, CapabilitySet::empty(), WHOLE), Err(Refusal::NotRoot)));
        assert!(matches!(rights(true, all, "0 1000 1\n"), Err(Refusal::UserNamespace)));
        let error = rights(true, all - CapabilitySet::BPF, WHOLE).expect_err("one is missing");
        assert!(error.to_string().contains("rights: CAP_BPF missing"), "{error}");
        let error = rights(true, CapabilitySet::empty(), WHOLE).expect_err("all are missing");
        assert!(error.to_string().contains("CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON"));
    }

    #[test]
    fn each_error_of_the_kernel_is_told_in_words() {
        let error = io::Error::from_raw_os_error;
        let log = |text: &str| [text.as_bytes(), &[0; 9]].concat();
        for (refusal, words) in [
            (Refusal::of_map(error(libc::EPERM)), "bpf(2) is forbidden here"),
            (Refusal::of_map(error(libc::ENOSYS)), "too old (Linux 5.10"),
            (Refusal::of_program(error(libc::EPERM), &[]), "bpf(2) is forbidden here"),
            (Refusal::of_program(error(libc::EINVAL), &[]), "too old"),
            (
                Refusal::of_program(
                    error(libc::EINVAL),
                    &log("0: (85) call unknown#137\ninvalid func unknown#137\nprocessed 6 insns\n"),
                ),
                "too old",
            ),
            (
                Refusal::of_program(error(libc::EACCES), &log("R1 invalid mem access\n\n")),
                "does not take the program: R1 invalid mem access; please report",
            ),
            (Refusal::of_attach(error(libc::EBADF)), "not a directory of cgroup v2"),
            (Refusal::of_query(error(libc::EBADF)), "not a directory of cgroup v2"),
            (Refusal::of_query(error(libc::ENOENT)), "it has ended meanwhile"),
            (
                // A user can have made it.
                Refusal::Exclusive { cgroup: "/a\x1b[2J".into(), id: 7, name: "x\x07".into() },
                "program 7 (x\\u{7}) is attached to /a\\u{1b}[2J so",
            ),
            (Refusal::of_query(error(libc::EIO)), "bpf(2), PROG_QUERY: input/output error"),
            (
                Refusal::NoBtf(error(libc::ENOENT)),
                "/sys/kernel/btf/vmlinux: no such file or directory: the kernel was \
                 built without CONFIG_DEBUG_INFO_BTF",
            ),
            (
                Refusal::StrangeBtf("struct tcp_sock has no member x".into()),
                "vmlinux: struct tcp_sock has no member x, so",
            ),
            (Refusal::Foreground(7), "process 7 covers it with --foreground: end that first"),
        ] {
            assert!(refusal.to_string().contains(words), "{refusal}");
        }
    }
}
