//! The files that `run` looks into, most of them ELF. Such a path may be anything, so only regular
//! files are opened, without waiting, and only a limited part of each is read.

use std::cell::Cell;
use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionTable, Sym};
use object::{Endianness, FileKind, ReadCache, ReadRef};

/// At most this many bytes of a file are read: many times what is in the headers, notes, sections
/// and dynamic symbols of real programs.
const BYTES_MAX: u64 = 16 << 20;

/// Opens a regular file, and nothing else: a FIFO would make the opener wait, and a device may act
/// on it.
pub fn open(path: &Path) -> io::Result<File> {
    let regular = |file: &Metadata| {
        if file.is_file() { Ok(()) } else { Err(io::Error::other("not a regular file")) }
    };
    regular(&path.metadata()?)?;
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    // The path may have become another file's.
    regular(&file.metadata()?)?;
    Ok(file)
}

/// The bytes of a file, of which a limited part is read.
struct Contents {
    cache: ReadCache<File>,
    left: Cell<u64>,
}

impl Contents {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { cache: ReadCache::new(open(path)?), left: Cell::new(BYTES_MAX) })
    }

    /// Counts bytes that are read.
    fn take(&self, bytes: u64) -> Result<(), ()> {
        self.left.set(self.left.get().checked_sub(bytes).ok_or(())?);
        Ok(())
    }
}

impl<'a> ReadRef<'a> for &'a Contents {
    fn len(self) -> Result<u64, ()> {
        (&self.cache).len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        self.take(size)?;
        (&self.cache).read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        let bytes = (&self.cache).read_bytes_at_until(range, delimiter)?;
        self.take(bytes.len() as u64)?;
        Ok(bytes)
    }
}

/// What an ELF file was compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// `e_machine`.
    pub number: elf::Machine,
    /// Its class.
    pub is_64: bool,
    /// Its byte order.
    pub is_big_endian: bool,
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match (self.number, self.is_64) {
            (elf::EM_X86_64, true) => "x86-64",
            (elf::EM_X86_64, false) => "x32",
            (elf::EM_386, _) => "i386",
            (elf::EM_AARCH64, _) => "arm64",
            (elf::EM_ARM, _) => "arm",
            (elf::EM_RISCV, true) => "riscv64",
            (elf::EM_PPC64, _) => "ppc64",
            (elf::EM_S390, true) => "s390x",
            _ => {
                return write!(
                    f,
                    "machine {:?}, {} bits",
                    self.number,
                    if self.is_64 { 64 } else { 32 }
                );
            }
        };
        f.write_str(name)
    }
}

fn machine<H: FileHeader<Endian = Endianness>>(header: &H, endian: Endianness) -> Machine {
    Machine {
        number: header.e_machine(endian),
        is_64: header.is_class_64(),
        is_big_endian: header.is_big_endian(),
    }
}

/// The facts about a program that matter here.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// What it was compiled for.
    pub machine: Machine,
    /// Whether it names a dynamic loader.
    pub is_dynamic: bool,
    /// Whether Go built it.
    pub is_go: bool,
}

impl Program {
    /// The ELF file at `path`; None if it is another kind of file.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let data = &Contents::open(path)?;
        let program = match FileKind::parse(data) {
            Ok(FileKind::Elf32) => Self::parse::<FileHeader32<Endianness>>(data),
            Ok(FileKind::Elf64) => Self::parse::<FileHeader64<Endianness>>(data),
            _ => return Ok(None),
        };
        program.map(Some).map_err(io::Error::other)
    }

    fn parse<H: FileHeader<Endian = Endianness>>(data: &Contents) -> object::Result<Self> {
        let header = H::parse(data)?;
        let endian = header.endian()?;
        let mut program =
            Self { machine: machine(header, endian), is_dynamic: false, is_go: false };
        for segment in header.program_headers(endian, data)? {
            program.is_dynamic |= segment.p_type(endian) == elf::PT_INTERP;
            // The build identifier, which survives strip(1).
            if let Ok(Some(mut notes)) = segment.notes(endian, data) {
                while let Ok(Some(note)) = notes.next() {
                    program.is_go |= note.name() == b"Go";
                }
            }
        }
        // A program needs no sections.
        program.is_go |= header
            .sections(endian, data)
            .is_ok_and(|sections| sections.section_by_name(endian, b".go.buildinfo").is_some());
        Ok(program)
    }
}

/// The facts about a shared library that matter here.
#[derive(Debug)]
pub struct Library {
    /// What it was compiled for.
    pub machine: Machine,
    /// Its SONAME, if it has one.
    pub name: Vec<u8>,
    /// What it defines for others.
    pub definitions: Vec<Vec<u8>>,
}

impl Library {
    /// The ELF file at `path`; None if it is another kind of file.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let data = &Contents::open(path)?;
        let library = match FileKind::parse(data) {
            Ok(FileKind::Elf32) => Self::parse::<FileHeader32<Endianness>>(data),
            Ok(FileKind::Elf64) => Self::parse::<FileHeader64<Endianness>>(data),
            _ => return Ok(None),
        };
        library.map(Some).map_err(io::Error::other)
    }

    fn parse<H: FileHeader<Endian = Endianness>>(data: &Contents) -> object::Result<Self> {
        let header = H::parse(data)?;
        let endian = header.endian()?;
        let sections = header.sections(endian, data)?;
        let symbols = sections.symbols(endian, data, elf::SHT_DYNSYM)?;
        let defined = symbols.iter().filter(|symbol| !symbol.is_undefined(endian));
        let definitions = defined.map(|symbol| Ok(symbols.symbol_name(endian, symbol)?.to_vec()));
        Ok(Self {
            machine: machine(header, endian),
            name: soname::<H>(&sections, endian, data)?.unwrap_or_default().to_vec(),
            definitions: definitions.collect::<object::Result<_>>()?,
        })
    }
}

fn soname<'data, H: FileHeader<Endian = Endianness>>(
    sections: &SectionTable<'data, H, &'data Contents>,
    endian: Endianness,
    data: &'data Contents,
) -> object::Result<Option<&'data [u8]>> {
    let Some((entries, strings)) = sections.dynamic(endian, data)? else { return Ok(None) };
    let Some(entry) = entries.iter().find(|entry| entry.tag(endian) == elf::DT_SONAME) else {
        return Ok(None);
    };
    entry.string(endian, sections.strings(endian, data, strings)?).map(Some)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::time::{Duration, Instant};

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    /// A file in memory, and its path.
    struct InMemory(File);

    impl InMemory {
        /// With these bytes, and zeros up to a length.
        fn new(bytes: &[u8], length: u64) -> Self {
            let mut file = File::from(memfd_create("elf", MemfdFlags::CLOEXEC).expect("a file"));
            file.write_all(bytes).expect("room");
            file.set_len(length.max(bytes.len() as u64)).expect("a hole");
            Self(file)
        }

        fn path(&self) -> std::path::PathBuf {
            format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
        }
    }

    /// The first small program that is there.
    fn real_program() -> Vec<u8> {
        let candidates = ["/usr/bin/true", "/bin/true", "/bin/busybox"];
        candidates.iter().find_map(|path| std::fs::read(path).ok()).expect("a program")
    }

    /// A real program with some of its numbers changed, most of them in the header of the file or
    /// those of its parts, and most of them to an edge.
    fn changed_program() -> impl Strategy<Value = Vec<u8>> {
        let program = real_program();
        // e_shoff, in a file of 64 bits.
        let sections = program[40..48].try_into().map_or(0, u64::from_ne_bytes) as usize;
        let place = prop_oneof![
            (0..200_usize).prop_map(|word| 4 * word),
            (0..500_usize).prop_map(move |word| sections.saturating_add(4 * word)),
            0..program.len(),
        ];
        let edges = [0, 1, 24, 56, 64, 4096, 0xffff, 1 << 24, 1 << 28, 1 << 40, u64::MAX];
        let number = prop_oneof![4 => prop::sample::select(edges.to_vec()), 1 => any::<u64>()];
        let size = prop::sample::select(vec![1, 2, 4, 8]);
        let notes = prop::option::weighted(0.1, 0..40_u32);
        (vec((place, number, size), 0..9), notes).prop_map(move |(changes, notes)| {
            let mut bytes = program.clone();
            let mut put = |place: usize, number: &[u8]| {
                if let Some(there) = bytes.get_mut(place..place.saturating_add(number.len())) {
                    there.copy_from_slice(number);
                }
            };
            for (place, number, size) in changes {
                put(place, &number.to_ne_bytes()[..size]);
            }
            // The first parts become notes of this size: p_type, p_filesz.
            if let Some(size) = notes {
                for header in (64..512).step_by(56) {
                    put(header, &4_u32.to_ne_bytes());
                    put(header + 32, &(1_u64 << size).to_ne_bytes());
                }
            }
            bytes
        })
    }

    /// What elf(5) says where, for little-endian files of 64 bits: the machine, and whether a
    /// program header is PT_INTERP.
    fn by_hand(bytes: &[u8]) -> Option<(u16, bool)> {
        let number = |place: u64, size: usize| {
            let place = usize::try_from(place).ok()?;
            let mut number = [0; 8];
            number[..size].copy_from_slice(bytes.get(place..place.checked_add(size)?)?);
            Some(u64::from_le_bytes(number))
        };
        if !bytes.starts_with(b"\x7fELF\x02\x01\x01") {
            return None;
        }
        let (headers, count) = (number(32, 8)?, number(56, 2)?);
        let mut is_dynamic = false;
        for index in 0..count {
            is_dynamic |= number(headers.checked_add(56 * index)?, 4)? == 3;
        }
        Some((number(18, 2)? as u16, is_dynamic))
    }

    /// The most memory that this process had, in KiB.
    fn most_memory() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("text");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).expect("a number")
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        /// However large the file is, and whatever its headers say.
        #[test]
        fn no_file_is_too_strange(
            bytes in prop_oneof![
                1 => vec(any::<u8>(), 0..200),
                9 => changed_program(),
            ],
            cut in prop_oneof![4 => Just(None), 1 => any::<Index>().prop_map(Some)],
            length in prop::sample::select(vec![0, 1 << 20, 1 << 40]),
        ) {
            let bytes = &bytes[..cut.map_or(bytes.len(), |cut| cut.index(bytes.len() + 1))];
            let file = InMemory::new(bytes, length);
            let begin = Instant::now();
            let program = Program::read(&file.path());
            let _ = Library::read(&file.path());
            prop_assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
            prop_assert!(most_memory() < 200 << 10, "{} KiB", most_memory());
            if let (Ok(Some(program)), Some((machine, is_dynamic))) = (program, by_hand(bytes)) {
                prop_assert_eq!(program.machine.number.0, machine);
                prop_assert_eq!(program.is_dynamic, is_dynamic);
            }
        }
    }
}
