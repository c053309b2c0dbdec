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
    fn of(path: &Path) -> io::Result<Self> {
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
        let data = &Contents::of(path)?;
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
        let data = &Contents::of(path)?;
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
