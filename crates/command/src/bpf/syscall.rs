//! bpf(2), as much of it as a cover needs. Everything that is unsafe is here.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::assembler::Instruction;
use super::record::{LENGTH, RawRecord};

/// Commands (include/uapi/linux/bpf.h, `enum bpf_cmd`).
mod number {
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

/// A command with its arguments, a part of `union bpf_attr`. Each is a type, so that no command gets
/// the arguments of another.
///
/// # Safety
///
/// Integers only, without padding, in the order in which the kernel has those of `NUMBER`. An address
/// among them must be that of as much memory as the command reads or writes, during [`bpf`].
unsafe trait Command {
    const NUMBER: i32;
}

/// A command that returns a new descriptor.
///
/// # Safety
///
/// It must.
unsafe trait Opens: Command {}

/// Carries out a command; its result is not negative.
fn bpf<T: Command>(command: &mut T) -> io::Result<i32> {
    // SAFETY: the kernel reads and writes `command`, and what it points to.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, T::NUMBER, &raw mut *command, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}

/// Carries out a command that opens something (with FD_CLOEXEC).
fn open<T: Opens>(mut command: T) -> io::Result<OwnedFd> {
    // SAFETY: `Opens`: a new descriptor, which nobody else has.
    bpf(&mut command).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Opens the object with this number.
#[repr(C)]
struct OpenById<const NUMBER: i32> {
    id: u32,
    next_id: u32,
    open_flags: u32,
}
// SAFETY: integers, no address.
unsafe impl Command for OpenById<{ number::MAP_GET_FD_BY_ID }> {
    const NUMBER: i32 = number::MAP_GET_FD_BY_ID;
}
// SAFETY: integers, no address.
unsafe impl Command for OpenById<{ number::PROG_GET_FD_BY_ID }> {
    const NUMBER: i32 = number::PROG_GET_FD_BY_ID;
}
// SAFETY: bpf(2).
unsafe impl Opens for OpenById<{ number::MAP_GET_FD_BY_ID }> {}
// SAFETY: bpf(2).
unsafe impl Opens for OpenById<{ number::PROG_GET_FD_BY_ID }> {}

impl<const NUMBER: i32> OpenById<NUMBER> {
    fn new(id: u32) -> Self {
        Self { id, next_id: 0, open_flags: 0 }
    }
}

fn raw(fd: impl AsFd) -> u32 {
    fd.as_fd().as_raw_fd() as u32
}

/// An array map with one value: the record of a cover.
pub struct Map(pub OwnedFd);

/// Reads or writes a value.
#[repr(C)]
struct Element<const NUMBER: i32> {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}
// SAFETY: integers; the methods of `Map` say what the addresses are.
unsafe impl Command for Element<{ number::MAP_LOOKUP_ELEM }> {
    const NUMBER: i32 = number::MAP_LOOKUP_ELEM;
}
// SAFETY: as above.
unsafe impl Command for Element<{ number::MAP_UPDATE_ELEM }> {
    const NUMBER: i32 = number::MAP_UPDATE_ELEM;
}

impl Map {
    /// A new one, with this value.
    pub fn new(record: &RawRecord) -> io::Result<Self> {
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
        unsafe impl Command for Create {
            const NUMBER: i32 = number::MAP_CREATE;
        }
        // SAFETY: bpf(2).
        unsafe impl Opens for Create {}
        let (key_size, value_size) = (size_of::<u32>() as u32, size_of::<RawRecord>() as u32);
        let map = Self(open(Create {
            map_type: ARRAY,
            key_size,
            value_size,
            max_entries: 1,
            map_name: NAME,
            ..Create::default()
        })?);
        let key = 0_u32;
        // The kernel reads a key and a value of the sizes above.
        let mut update: Element<{ number::MAP_UPDATE_ELEM }> = map.element(&key, record.as_ptr());
        bpf(&mut update)?;
        Ok(map)
    }

    /// The one with this number. ENOENT if it is gone.
    pub fn open(id: u32) -> io::Result<Self> {
        open(OpenById::<{ number::MAP_GET_FD_BY_ID }>::new(id)).map(Self)
    }

    /// Its value, if it is as long as a record.
    pub fn read(&self) -> io::Result<Option<RawRecord>> {
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
        if info.map_type != ARRAY || lengths != (size_of::<u32>(), size_of::<RawRecord>()) {
            return Ok(None);
        }
        let (key, mut record) = (0_u32, [0; LENGTH]);
        // The kernel reads a key and writes a value, whose sizes are known by now.
        let mut lookup: Element<{ number::MAP_LOOKUP_ELEM }> =
            self.element(&key, record.as_mut_ptr());
        bpf(&mut lookup)?;
        Ok(Some(record))
    }

    fn element<const NUMBER: i32>(&self, key: &u32, value: *const u64) -> Element<NUMBER> {
        Element {
            map_fd: raw(&self.0),
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
    unsafe impl Command for Ask {
        const NUMBER: i32 = number::OBJ_GET_INFO_BY_FD;
    }
    let mut ask =
        Ask { fd: raw(object), length: size_of::<T>() as u32, info: &raw mut found as u64 };
    bpf(&mut ask)?;
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
        unsafe impl Command for Load {
            const NUMBER: i32 = number::PROG_LOAD;
        }
        // SAFETY: bpf(2).
        unsafe impl Opens for Load {}
        let wants_log = !log.is_empty();
        open(Load {
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
        })
        .map(Self)
    }

    /// The one with this number. ENOENT if it is gone.
    pub fn open(id: u32) -> io::Result<Self> {
        open(OpenById::<{ number::PROG_GET_FD_BY_ID }>::new(id)).map(Self)
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
    unsafe impl Command for Query {
        const NUMBER: i32 = number::PROG_QUERY;
    }
    /// BPF_CGROUP_MAX_PROGS of kernel/bpf/cgroup.c: there can be no more.
    const MAX: usize = 64;
    let mut programs = vec![0_u32; MAX];
    let mut query = Query {
        target_fd: raw(cgroup),
        attach_type: kind.attach_type(),
        query_flags: 0,
        attach_flags: 0,
        prog_ids: programs.as_mut_ptr() as u64,
        prog_cnt: MAX as u32,
        padding: 0,
    };
    bpf(&mut query)?;
    programs.truncate(query.prog_cnt as usize);
    Ok(Attached { flags: query.attach_flags, programs })
}

/// Attaches or detaches a program.
#[repr(C)]
struct Attach<const NUMBER: i32> {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}
// SAFETY: integers, no address.
unsafe impl Command for Attach<{ number::PROG_ATTACH }> {
    const NUMBER: i32 = number::PROG_ATTACH;
}
// SAFETY: as above.
unsafe impl Command for Attach<{ number::PROG_DETACH }> {
    const NUMBER: i32 = number::PROG_DETACH;
}

impl<const NUMBER: i32> Attach<NUMBER> {
    fn new(cgroup: BorrowedFd<'_>, kind: Kind, program: &Program) -> Self {
        Self {
            target_fd: raw(cgroup),
            attach_bpf_fd: raw(&program.0),
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
    let mut attach = Attach::<{ number::PROG_ATTACH }>::new(cgroup, kind, program);
    attach.attach_flags = ALLOW_MULTI | if replaced.is_some() { REPLACE } else { 0 };
    attach.replace_bpf_fd = replaced.map_or(0, |program| raw(&program.0));
    bpf(&mut attach).map(|_| ())
}

/// Detaches a program from a cgroup.
pub fn detach(cgroup: BorrowedFd<'_>, kind: Kind, program: &Program) -> io::Result<()> {
    bpf(&mut Attach::<{ number::PROG_DETACH }>::new(cgroup, kind, program)).map(|_| ())
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
    unsafe impl Command for Link {
        const NUMBER: i32 = number::LINK_CREATE;
    }
    // SAFETY: bpf(2).
    unsafe impl Opens for Link {}
    let (prog_fd, target_fd) = (raw(&program.0), raw(cgroup));
    open(Link { prog_fd, target_fd, attach_type: kind.attach_type(), flags: 0 })
}
