//! Why this process may not look into another. The kernel only says EPERM or EACCES, for each of
//! ptrace(2)'s many conditions.

use std::{fmt, io};

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use rustix::thread::CapabilitySet;
use serde::{Deserialize, Serialize};

use super::proc::Proc;
use super::user::user_name;
use super::{Error, Process, is_denied};

/// What decides about access (kernel/ptrace.c, `__ptrace_may_access` with
/// PTRACE_MODE_ATTACH_REALCREDS; security/commoncap.c; security/yama/yama_lsm.c).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    /// /proc/sys/kernel/yama/ptrace_scope; None without Yama.
    yama: Option<u8>,
    /// Whether this process has CAP_SYS_PTRACE, in its own user namespace at least.
    may_trace: bool,
    /// Whether this process may read other users' directories.
    may_search: bool,
    /// Whether this process is in another user namespace than the first.
    in_user_namespace: bool,
    /// Whether all user and group identifiers of the process are this process's real ones.
    same_user: bool,
    /// The user that the process runs as.
    owner: u32,
    /// Whether the process holds capabilities that this process does not.
    has_more_capabilities: bool,
    /// Whether the process is dumpable, prctl(2).
    is_dumpable: bool,
    /// Whether this process may not even duplicate a descriptor of its own.
    filtered: bool,
}

/// Why access was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Denied {
    /// It runs as somebody else.
    OtherUser(u32),
    /// It runs with capabilities that the caller does not have.
    Capabilities,
    /// It made itself, or the kernel made it, not dumpable.
    NotDumpable,
    /// The caller has CAP_SYS_PTRACE, but may not read another user's /proc/PID/fd.
    ListingDescriptors,
    /// It is outside of the caller's user namespace.
    UserNamespace,
    /// The Yama security module, at this level.
    Yama(u8),
    /// A seccomp filter of the caller's.
    Filter,
    /// None of the above: another security module.
    SecurityModule,
}

impl Denied {
    /// Why access to the process was refused.
    pub fn from_pid(pid: i32) -> Self {
        match Proc::open(pid).and_then(|proc| facts(&proc)) {
            Ok(facts) => explain(&facts),
            Err(_) => Self::SecurityModule,
        }
    }
}

/// The condition that was not met. The order is the kernel's where it matters: the conditions
/// that root lifts come before those that it does not.
fn explain(facts: &Facts) -> Denied {
    if facts.filtered {
        return Denied::Filter;
    }
    // Refuses everybody.
    if facts.yama == Some(3) {
        return Denied::Yama(3);
    }
    if facts.may_trace {
        let is_own = facts.same_user && facts.is_dumpable;
        if !(facts.may_search || is_own) {
            return Denied::ListingDescriptors;
        }
        // The capability counts inside of its own user namespace.
        let refuser =
            if facts.in_user_namespace { Denied::UserNamespace } else { Denied::SecurityModule };
        return refuser;
    }
    if !facts.same_user {
        Denied::OtherUser(facts.owner)
    } else if facts.has_more_capabilities {
        Denied::Capabilities
    } else if !facts.is_dumpable {
        Denied::NotDumpable
    } else if facts.in_user_namespace {
        Denied::UserNamespace
    } else if let Some(level @ 1..=2) = facts.yama {
        Denied::Yama(level)
    } else {
        Denied::SecurityModule
    }
}

impl Denied {
    /// The reason, and what to do instead.
    fn reason_and_advice(&self) -> (String, String) {
        const AS_ROOT: &str = "do this as root (sudo keepalive ...)";
        let (reason, advice) = match self {
            Self::OtherUser(owner) => {
                let name = user_name(*owner).unwrap_or_else(|| format!("user {owner}"));
                let or_root = if *owner == 0 { "" } else { ", or as root" };
                return (
                    format!("it runs as {name}"),
                    format!("do this as {name}{or_root} (sudo keepalive ...)"),
                );
            }
            Self::Capabilities => (
                "it has capabilities that you do not have (getpcaps(8) lists them)",
                // Who may be without them too: CapabilityBoundingSet= of systemd.
                if rustix::process::getuid().is_root() {
                    "do this with CAP_SYS_PTRACE"
                } else {
                    AS_ROOT
                },
            ),
            Self::NotDumpable => (
                "it is not dumpable (prctl(2), PR_SET_DUMPABLE: ssh-agent and other keepers of \
                 secrets, programs that changed their user)",
                AS_ROOT,
            ),
            Self::ListingDescriptors => (
                "CAP_SYS_PTRACE alone does not let you list its descriptors",
                "this needs CAP_DAC_READ_SEARCH too (setcap cap_sys_ptrace,cap_dac_read_search+ep)",
            ),
            Self::UserNamespace => (
                "it is outside of this user namespace",
                "do this outside of the container, as the process's user or as root",
            ),
            Self::Yama(1) => (
                "Yama lets only ancestors look into a process \
                 (/proc/sys/kernel/yama/ptrace_scope is 1)",
                AS_ROOT,
            ),
            Self::Yama(3) => (
                "Yama lets nobody look into a process, not even root, until the next boot \
                 (/proc/sys/kernel/yama/ptrace_scope is 3)",
                "only `keepalive run`, at the program's next start, is left, and `keepalive cover` for \
                 what it opens later",
            ),
            Self::Yama(level) => {
                let reason = format!(
                    "Yama lets only root look into a process \
                     (/proc/sys/kernel/yama/ptrace_scope is {level})"
                );
                return (reason, AS_ROOT.into());
            }
            Self::Filter => (
                "a seccomp filter forbids pidfd_getfd(2) to this command (containers have one, \
                 and services with SystemCallFilter=)",
                "do this outside, or give the container CAP_SYS_PTRACE",
            ),
            Self::SecurityModule => (
                "a security module (AppArmor, SELinux) or the container's settings forbid it",
                "the kernel's log (dmesg, ausearch) may say which; do this outside of the \
                 container, or as root",
            ),
        };
        (reason.into(), advice.into())
    }
}

impl std::error::Error for Denied {}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reason, advice) = self.reason_and_advice();
        write!(f, "{reason}: {advice}")
    }
}

/// Why a program cannot be followed from its start on.
#[derive(Debug)]
pub struct NotFollowed {
    /// The reason, in words.
    pub reason: String,
    /// What to do instead, if anything can be done.
    pub advice: Option<&'static str>,
}

impl NotFollowed {
    /// What other users can do.
    pub const ADVICE: &str = "start it without this command, then: sudo keepalive attach --follow \
                              NAME (or, for all of its service or container: sudo keepalive cover)";

    /// For a reason that no longer exists once the program runs.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), advice: Some(Self::ADVICE) }
    }

    /// For the error with which a process that has this one's rights tried to look into this one.
    pub fn from_error(own: &Process, error: &io::Error) -> Self {
        match Error::from(error) {
            _ if is_denied(error) => {
                let facts = Proc::open(own.pid).and_then(|proc| facts(&proc));
                // It is not outside of its own user namespace.
                let facts = facts.map(|facts| Facts { in_user_namespace: false, ..facts });
                Self::denied(&facts.map_or(Denied::SecurityModule, |facts| explain(&facts)))
            }
            error @ Error::NoPidfdGetfd => Self { reason: error.to_string(), advice: None },
            error => Self::new(error),
        }
    }

    fn denied(denied: &Denied) -> Self {
        let advice = match denied {
            Denied::Yama(3) => {
                "start it without this command, and cover its service: sudo keepalive cover \
                 --new-only SERVICE"
            }
            Denied::Filter => {
                "give the container CAP_SYS_PTRACE, or start it without this command and follow \
                 it from outside: sudo keepalive attach --follow NAME, or sudo keepalive cover ID"
            }
            _ => Self::ADVICE,
        };
        Self { reason: denied.reason_and_advice().0, advice: Some(advice) }
    }
}

/// Whether this process may look into a program that asks for it, but not into the program's
/// children (security/yama/yama_lsm.c, YAMA_SCOPE_RELATIONAL).
pub fn yama_hides_children() -> bool {
    let own = rustix::thread::capabilities(None);
    let may_trace = own.is_ok_and(|own| own.effective.contains(CapabilitySet::SYS_PTRACE));
    yama_level() == Some(1) && !may_trace
}

/// What Yama allows; None where it is not there.
fn yama_level() -> Option<u8> {
    let level = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok();
    level.and_then(|level| level.trim().parse().ok())
}

fn facts(proc: &Proc) -> io::Result<Facts> {
    let status = proc.status()?;
    let uid = rustix::process::getuid().as_raw();
    let gid = rustix::process::getgid().as_raw();
    let own = rustix::thread::capabilities(None)?;
    let effective = own.effective.bits();
    let whole = |map: String| map.split_ascii_whitespace().eq(["0", "0", "4294967295"]);
    Ok(Facts {
        yama: yama_level(),
        may_trace: own.effective.contains(CapabilitySet::SYS_PTRACE),
        may_search: own
            .effective
            .intersects(CapabilitySet::DAC_READ_SEARCH | CapabilitySet::DAC_OVERRIDE),
        in_user_namespace: !std::fs::read_to_string("/proc/self/uid_map").is_ok_and(whole),
        same_user: [status.ruid, status.euid, status.suid].iter().all(|id| *id == uid)
            && [status.rgid, status.egid, status.sgid].iter().all(|id| *id == gid),
        owner: status.euid,
        has_more_capabilities: status.capprm & !effective != 0,
        // Otherwise root owns it (proc(5)).
        is_dumpable: proc.owner_of_descriptors()? == status.euid,
        filtered: !may_duplicate_own(),
    })
}

/// Whether pidfd_getfd(2) works on this process itself, which needs no permission.
fn may_duplicate_own() -> bool {
    let Ok(own) = pidfd_open(getpid(), PidfdFlags::empty()) else { return false };
    // The handle itself is a descriptor that is there for certain.
    use std::os::fd::AsRawFd;
    pidfd_getfd(&own, own.as_raw_fd(), PidfdGetfdFlags::empty()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ordinary process of the same user, on a machine without Yama.
    const PLAIN: Facts = Facts {
        yama: None,
        may_trace: false,
        may_search: false,
        in_user_namespace: false,
        same_user: true,
        owner: 1000,
        has_more_capabilities: false,
        is_dumpable: true,
        filtered: false,
    };

    #[test]
    fn each_condition_by_itself() {
        let cases = [
            (Facts { same_user: false, owner: 7, ..PLAIN }, Denied::OtherUser(7)),
            (Facts { has_more_capabilities: true, ..PLAIN }, Denied::Capabilities),
            (Facts { is_dumpable: false, ..PLAIN }, Denied::NotDumpable),
            (Facts { in_user_namespace: true, ..PLAIN }, Denied::UserNamespace),
            (Facts { in_user_namespace: true, may_trace: true, ..PLAIN }, Denied::UserNamespace),
            (Facts { yama: Some(1), ..PLAIN }, Denied::Yama(1)),
            (Facts { yama: Some(2), ..PLAIN }, Denied::Yama(2)),
            (Facts { yama: Some(3), ..PLAIN }, Denied::Yama(3)),
            (Facts { yama: Some(3), may_trace: true, ..PLAIN }, Denied::Yama(3)),
            (Facts { yama: Some(3), same_user: false, ..PLAIN }, Denied::Yama(3)),
            (Facts { yama: Some(0), ..PLAIN }, Denied::SecurityModule),
            (Facts { yama: Some(2), may_trace: true, ..PLAIN }, Denied::SecurityModule),
            (Facts { may_trace: true, same_user: false, ..PLAIN }, Denied::ListingDescriptors),
            (Facts { may_trace: true, is_dumpable: false, ..PLAIN }, Denied::ListingDescriptors),
            (Facts { filtered: true, may_trace: true, ..PLAIN }, Denied::Filter),
            (PLAIN, Denied::SecurityModule),
        ];
        for (facts, refusal) in cases {
            assert_eq!(explain(&facts), refusal, "{facts:?}");
        }
    }

    #[test]
    fn a_setcap_program_is_not_dumpable_either_and_the_cause_is_named() {
        let facts = Facts { has_more_capabilities: true, is_dumpable: false, ..PLAIN };
        assert_eq!(explain(&facts), Denied::Capabilities);
    }

    #[test]
    fn what_is_left_where_a_program_cannot_be_followed() {
        let advice = |denied: Denied| NotFollowed::denied(&denied).advice;
        assert!(
            advice(Denied::Yama(2)).is_some_and(|advice| advice.contains("sudo keepalive attach"))
        );
        assert!(advice(Denied::Filter).is_some_and(|advice| advice.contains("CAP_SYS_PTRACE")));
        assert!(advice(Denied::Yama(3)).is_some_and(|advice| advice.contains("keepalive cover")));
        let reason = NotFollowed::denied(&Denied::Yama(2)).reason;
        assert!(reason.ends_with("ptrace_scope is 2)"), "{reason}");
    }

    #[test]
    fn yama_s_levels_say_what_to_do() {
        assert!(Denied::Yama(1).to_string().contains("ancestors"));
        assert!(Denied::Yama(2).to_string().contains("ptrace_scope is 2): do this as root"));
        assert!(Denied::Yama(3).to_string().contains("not even root"));
    }
}
