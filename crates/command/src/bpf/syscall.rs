//! bpf(2), as much of it as a cover needs. Everything that is unsafe is here.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::assembler::Instruction;
use super::record::{LENGTH, Words};

/// Commands (include/uapi/linux/bpf.h, `enum bpf_cmd`).
mod command {
    pub const MAP_CREATE: i32 = 0;
    pub const MAP_LOOKUP_ELEM: i32 = 1;
    pub const MAP_UPDATE_ELEM: i32 = 2;
    pub const PROG_LOAD: i32 = 5;
    pub const PROG_ATTACH: i32 = 8;
    pub const PROG_DETACH: i32 = 9;
    pub const PROG_GET_FD_BY_ID: i32 = 13;
    pub const MAP_GET_FD_BY_ID: i32 = 14;
    pub const OBJ_GET_INFO_BY_FD: i32 = 15;
    pub const PROG_QUERY: i32 = 16;
    pub const LINK_CREATE: i32 = 28;
}

/// BPF_MAP_TYPE_ARRAY
const ARRAY: u32 = 2;
/// BPF_F_ALLOW_MULTI: beside other programs.
pub const ALLOW_MULTI: u32 = 2;
/// BPF_F_REPLACE
const REPLACE: u32 = 4;

/// The name of everything that belongs to a cover.
pub const NAME: Name = *b"keepalive_cover\0";
/// Names end with a zero.
pub type Name = [u8; 16];

/// With this licence, MODULE_LICENSE() of the kernel, a program may call every function.
const LICENSE: &CStr = c"Dual MIT/GPL";

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// New connections.
    SockOps,
    /// setsockopt(2).
    Setsockopt,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::SockOps, Self::Setsockopt];

    /// BPF_PROG_TYPE_SOCK_OPS, BPF_PROG_TYPE_CGROUP_SOCKOPT
    fn program_type(self) -> u32 {
        match self {
            Self::SockOps => 13,
            Self::Setsockopt => 25,
        }
    }

    /// BPF_CGROUP_SOCK_OPS, BPF_CGROUP_SETSOCKOPT
    fn attach_type(self) -> u32 {
        match self {
            Self::SockOps => 3,
            Self::Setsockopt => 22,
        }
    }
}

/// The arguments of a command: a part of `union bpf_attr`.
///
/// # Safety
///
/// Integers only, without padding, in the order of the kernel's. An address among them must be that
/// of as much memory as the command reads or writes, during [`bpf`].
unsafe trait Arguments {}

/// A command; its result is not negative.
fn bpf<T: Arguments>(command: i32, arguments: &mut T) -> io::Result<i32> {
    // SAFETY: the kernel reads and writes `arguments`, and what they point to.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *arguments, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}

/// A command that returns a new descriptor (which has FD_CLOEXEC).
fn bpf_descriptor<T: Arguments>(command: i32, arguments: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: nobody else has it.
    bpf(command, arguments).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The descriptor of an object, which has a number.
fn by_id(command: i32, id: u32) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct ById {
        id: u32,
        next_id: u32,
        open_flags: u32,
    }
    // SAFETY: integers, no address.
    unsafe impl Arguments for ById {}
    bpf_descriptor(command, &mut ById { id, next_id: 0, open_flags: 0 })
}

fn number(fd: impl AsFd) -> u32 {
    fd.as_fd().as_raw_fd() as u32
}

/// An array map with one value: the record of a cover.
pub struct Map(pub OwnedFd);

#[repr(C)]
struct Element {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}
// SAFETY: integers; the methods of `Map` say what the addresses are.
unsafe impl Arguments for Element {}

impl Map {
    /// A new one, with this value.
    pub fn new(words: &Words) -> io::Result<Self> {
        #[repr(C)]
        #[derive(Default)]
        struct Create {
            map_type: u32,
            key_size: u32,
            value_size: u32,
            max_entries: u32,
            map_flags: u32,
            inner_map_fd: u32,
            numa_node: u32,
            map_name: Name,
        }
        // SAFETY: integers, no address.
        unsafe impl Arguments for Create {}
        let (key_size, value_size) = (size_of::<u32>() as u32, size_of::<Words>() as u32);
        let mut create = Create {
            map_type: ARRAY,
            key_size,
            value_size,
            max_entries: 1,
            map_name: NAME,
            ..Create::default()
        };
        let map = Self(bpf_descriptor(command::MAP_CREATE, &mut create)?);
        let key = 0_u32;
        // The kernel reads a key and a value of the sizes above.
        bpf(command::MAP_UPDATE_ELEM, &mut map.element(&key, words.as_ptr()))?;
        Ok(map)
    }

    /// The one with this number. ENOENT if it is gone.
    pub fn of(id: u32) -> io::Result<Self> {
        by_id(command::MAP_GET_FD_BY_ID, id).map(Self)
    }

    /// Its value, if it is as long as a record.
    pub fn words(&self) -> io::Result<Option<Words>> {
        /// The begin of `struct bpf_map_info`.
        #[repr(C)]
        #[derive(Default)]
        struct MapInfo {
            map_type: u32,
            id: u32,
            key_size: u32,
            value_size: u32,
            max_entries: u32,
            map_flags: u32,
        }
        // SAFETY: integers without padding.
        let info = unsafe { info(&self.0, MapInfo::default()) }?;
        let lengths = (info.key_size as usize, info.value_size as usize);
        if info.map_type != ARRAY || lengths != (size_of::<u32>(), size_of::<Words>()) {
            return Ok(None);
        }
        let (key, mut words) = (0_u32, [0; LENGTH]);
        // The kernel reads a key and writes a value, whose sizes are known by now.
        bpf(command::MAP_LOOKUP_ELEM, &mut self.element(&key, words.as_mut_ptr()))?;
        Ok(Some(words))
    }

    fn element(&self, key: &u32, value: *const u64) -> Element {
        Element {
            map_fd: number(&self.0),
            padding: 0,
            key: &raw const *key as u64,
            value: value as u64,
            flags: 0,
        }
    }
}

/// What the kernel tells of an object.
///
/// # Safety
///
/// `T` must be the begin of the kernel's structure: integers without padding; an address among them
/// is that of as much memory as the number beside it says.
unsafe fn info<T>(object: &OwnedFd, mut found: T) -> io::Result<T> {
    #[repr(C)]
    struct Ask {
        fd: u32,
        length: u32,
        info: u64,
    }
    // SAFETY: integers; `info` is the address of `length` bytes.
    unsafe impl Arguments for Ask {}
    let mut ask =
        Ask { fd: number(object), length: size_of::<T>() as u32, info: &raw mut found as u64 };
    bpf(command::OBJ_GET_INFO_BY_FD, &mut ask)?;
    Ok(found)
}

/// A program in the kernel.
pub struct Program(OwnedFd);

/// What the kernel tells of a program.
pub struct ProgramInfo {
    /// That of a cover's is [`NAME`].
    pub name: Name,
    /// When it was loaded, in nanoseconds since the boot (CLOCK_BOOTTIME).
    pub loaded: u64,
    /// The number of its first map.
    pub map: Option<u32>,
}

impl Program {
    /// Gives a program to the kernel. `log` gets what its verifier says.
    pub fn load(kind: Kind, code: &[Instruction], log: &mut [u8]) -> io::Result<Self> {
        #[repr(C)]
        struct Load {
            prog_type: u32,
            insn_cnt: u32,
            insns: u64,
            license: u64,
            log_level: u32,
            log_size: u32,
            log_buf: u64,
            kern_version: u32,
            prog_flags: u32,
            prog_name: Name,
            prog_ifindex: u32,
            expected_attach_type: u32,
        }
        // SAFETY: integers. `insns` is the address of `insn_cnt` instructions, `license` that of a
        // text, `log_buf` that of `log_size` bytes, or 0 and 0.
        unsafe impl Arguments for Load {}
        let wants_log = !log.is_empty();
        let mut load = Load {
            prog_type: kind.program_type(),
            insn_cnt: code.len() as u32,
            insns: code.as_ptr() as u64,
            license: LICENSE.as_ptr() as u64,
            log_level: wants_log.into(),
            log_size: log.len() as u32,
            log_buf: if wants_log { log.as_mut_ptr() as u64 } else { 0 },
            kern_version: 0,
            prog_flags: 0,
            prog_name: NAME,
            prog_ifindex: 0,
            expected_attach_type: kind.attach_type(),
        };
        bpf_descriptor(command::PROG_LOAD, &mut load).map(Self)
    }

    /// The one with this number. ENOENT if it is gone.
    pub fn of(id: u32) -> io::Result<Self> {
        by_id(command::PROG_GET_FD_BY_ID, id).map(Self)
    }

    pub fn info(&self) -> io::Result<ProgramInfo> {
        /// The begin of `struct bpf_prog_info`.
        #[repr(C)]
        #[derive(Default)]
        struct Info {
            program_type: u32,
            id: u32,
            tag: [u8; 8],
            jited_prog_len: u32,
            xlated_prog_len: u32,
            jited_prog_insns: u64,
            xlated_prog_insns: u64,
            load_time: u64,
            created_by_uid: u32,
            nr_map_ids: u32,
            map_ids: u64,
            name: Name,
        }
        let mut map = 0_u32;
        let asked = Info { nr_map_ids: 1, map_ids: &raw mut map as u64, ..Info::default() };
        // SAFETY: integers without padding; `map_ids` is the address of one number, and the other
        // lengths are 0.
        let found = unsafe { info(&self.0, asked) }?;
        Ok(ProgramInfo {
            name: found.name,
            loaded: found.load_time,
            map: (found.nr_map_ids > 0).then_some(map),
        })
    }
}

/// The programs on a cgroup itself, by number, and with which flags they were attached.
pub struct Attached {
    pub flags: u32,
    pub programs: Vec<u32>,
}

/// The programs of a kind that were attached to a cgroup itself.
pub fn query(cgroup: BorrowedFd<'_>, kind: Kind) -> io::Result<Attached> {
    #[repr(C)]
    struct Query {
        target_fd: u32,
        attach_type: u32,
        query_flags: u32,
        attach_flags: u32,
        prog_ids: u64,
        prog_cnt: u32,
        padding: u32,
    }
    // SAFETY: integers; `prog_ids` is the address of `prog_cnt` numbers.
    unsafe impl Arguments for Query {}
    /// BPF_CGROUP_MAX_PROGS of kernel/bpf/cgroup.c: there can be no more.
    const MAX: usize = 64;
    let mut programs = vec![0_u32; MAX];
    let mut query = Query {
        target_fd: number(cgroup),
        attach_type: kind.attach_type(),
        query_flags: 0,
        attach_flags: 0,
        prog_ids: programs.as_mut_ptr() as u64,
        prog_cnt: MAX as u32,
        padding: 0,
    };
    bpf(command::PROG_QUERY, &mut query)?;
    programs.truncate(query.prog_cnt as usize);
    Ok(Attached { flags: query.attach_flags, programs })
}

#[repr(C)]
struct Attach {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}
// SAFETY: integers, no address.
unsafe impl Arguments for Attach {}

impl Attach {
    fn new(cgroup: BorrowedFd<'_>, kind: Kind, program: &Program) -> Self {
        Self {
            target_fd: number(cgroup),
            attach_bpf_fd: number(&program.0),
            attach_type: kind.attach_type(),
            attach_flags: 0,
            replace_bpf_fd: 0,
        }
    }
}

/// Attaches a program to a cgroup, beside those that are there or in place of one of them. It stays
/// until it is detached or the cgroup is removed.
pub fn attach(
    cgroup: BorrowedFd<'_>,
    kind: Kind,
    program: &Program,
    replaced: Option<&Program>,
) -> io::Result<()> {
    let mut attach = Attach::new(cgroup, kind, program);
    attach.attach_flags = ALLOW_MULTI | if replaced.is_some() { REPLACE } else { 0 };
    attach.replace_bpf_fd = replaced.map_or(0, |program| number(&program.0));
    bpf(command::PROG_ATTACH, &mut attach).map(|_| ())
}

/// Detaches a program from a cgroup.
pub fn detach(cgroup: BorrowedFd<'_>, kind: Kind, program: &Program) -> io::Result<()> {
    bpf(command::PROG_DETACH, &mut Attach::new(cgroup, kind, program)).map(|_| ())
}

/// Attaches a program to a cgroup until the descriptor is closed, by whatever end of this process.
pub fn link(cgroup: BorrowedFd<'_>, kind: Kind, program: &Program) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Link {
        prog_fd: u32,
        target_fd: u32,
        attach_type: u32,
        flags: u32,
    }
    // SAFETY: integers, no address.
    unsafe impl Arguments for Link {}
    let (prog_fd, target_fd) = (number(&program.0), number(cgroup));
    let mut link = Link { prog_fd, target_fd, attach_type: kind.attach_type(), flags: 0 };
    bpf_descriptor(command::LINK_CREATE, &mut link)
}
