//! The file itself: found but not loadable, it would kill every program.

use object::LittleEndian;
use object::elf;
use object::read::elf::{Dyn, ElfFile64, ProgramHeader, SectionHeader, Sym};

use crate::support;

/// The version of glibc's first release on the architecture.
const BASE_VERSION: &str = if cfg!(target_arch = "x86_64") { "GLIBC_2.2.5" } else { "GLIBC_2.17" };

struct File(Vec<u8>);

impl File {
    fn read() -> Self {
        Self(std::fs::read(support::built_library()).expect("the library"))
    }

    fn elf(&self) -> ElfFile64<'_, LittleEndian> {
        ElfFile64::parse(&*self.0).expect("an ELF file")
    }

    /// The values of a tag in the dynamic section.
    fn dynamic(&self, tag: elf::DynamicTag) -> Vec<u64> {
        let elf = self.elf();
        let entries = elf
            .elf_program_headers()
            .iter()
            .find_map(|header| header.dynamic(LittleEndian, &*self.0).ok().flatten())
            .expect("a dynamic section");
        let with_tag = entries.iter().filter(|entry| entry.tag(LittleEndian) == tag);
        with_tag.map(|entry| entry.val(LittleEndian)).collect()
    }

    fn string(&self, offset: u64) -> String {
        let elf = self.elf();
        let table = elf.elf_dynamic_symbol_table();
        let bytes = table.strings().get(offset as u32).expect("a string");
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// The names of the dynamic symbols that are defined here, or that are not.
    fn symbols(&self, defined: bool) -> Vec<String> {
        let elf = self.elf();
        let table = elf.elf_dynamic_symbol_table();
        let mut names: Vec<_> = table
            .iter()
            .skip(1)
            .filter(|symbol| symbol.is_undefined(LittleEndian) != defined)
            .map(|symbol| symbol.name(LittleEndian, table.strings()).expect("a name"))
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        names.sort();
        names
    }

    fn segments(&self, kind: elf::ProgramType) -> Vec<elf::ProgramHeader64<LittleEndian>> {
        let elf = self.elf();
        let headers = elf.elf_program_headers().iter();
        headers.filter(|header| header.p_type(LittleEndian) == kind).copied().collect()
    }
}

#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the limit is for x86-64")]
fn it_is_at_most_11264_bytes() {
    let size = File::read().0.len();
    assert!(size <= 11_264, "{size}");
}

#[test]
fn it_is_stripped() {
    let file = File::read();
    assert!(file.elf().elf_section_table().section_by_name(LittleEndian, b".symtab").is_none());
}

#[test]
fn it_needs_the_c_library_alone() {
    let file = File::read();
    let needed: Vec<_> =
        file.dynamic(elf::DT_NEEDED).into_iter().map(|offset| file.string(offset)).collect();
    assert_eq!(needed, ["libc.so.6"]);
}

#[test]
fn it_needs_no_symbol_version_but_the_first() {
    let file = File::read();
    let elf = file.elf();
    let sections = elf.elf_section_table();
    let (mut needed, strings) =
        sections.gnu_verneed(LittleEndian, &*file.0).expect("readable").expect("versions");
    let strings = sections.strings(LittleEndian, &*file.0, strings).expect("strings");
    let mut versions = Vec::new();
    while let Some((_, mut of_file)) = needed.next().expect("readable") {
        while let Some(version) = of_file.next().expect("readable") {
            let name = version.name(LittleEndian, strings).expect("a name");
            versions.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    assert_eq!(versions, [BASE_VERSION]);
}

#[test]
fn it_exports_the_hooks_and_nothing_else() {
    let exports = File::read().symbols(true);
    assert_eq!(exports, ["accept", "accept4", "connect", "setsockopt", "socket"]);
}

/// A panic path would show as `libkeepalive_has_a_panic_path` (and fail the link before), the
/// unwinder as `_Unwind_*`, an allocation as `malloc`, a large copy as `memcpy` (which is
/// GLIBC_2.14).
#[test]
fn it_imports_nothing_that_panics_unwinds_allocates_or_locks() {
    let imports = File::read().symbols(false);
    assert_eq!(
        imports,
        ["__errno_location", "dlsym", "getenv", "pthread_setcanceltype", "syscall"]
    );
}

#[test]
fn dlsym_is_weak() {
    let file = File::read();
    let elf = file.elf();
    let table = elf.elf_dynamic_symbol_table();
    let dlsym = table
        .iter()
        .find(|symbol| symbol.name(LittleEndian, table.strings()) == Ok(b"dlsym"))
        .expect("dlsym");
    assert_eq!(dlsym.st_bind(), elf::STB_WEAK);
}

#[test]
fn no_text_of_a_panic_is_left() {
    let bytes = File::read().0;
    for trace in ["panicked", "src/", ".rs", "unwrap", "overflow", "rust_eh_personality"] {
        let found = bytes.windows(trace.len()).any(|window| window == trace.as_bytes());
        assert!(!found, "{trace}");
    }
}

#[test]
fn its_soname_is_that_of_libkeepalive_0_3() {
    let file = File::read();
    let names: Vec<_> =
        file.dynamic(elf::DT_SONAME).into_iter().map(|offset| file.string(offset)).collect();
    assert_eq!(names, ["libkeepalive.so.0"]);
}

#[test]
fn relocations_are_done_at_load_and_their_page_is_read_only_afterwards() {
    let file = File::read();
    assert_ne!(file.dynamic(elf::DT_FLAGS_1)[0] & elf::DF_1_NOW.0, 0);
    let relro = file.segments(elf::PT_GNU_RELRO);
    let [relro] = &relro[..] else { panic!("{relro:?}") };
    // The loader protects whole pages only, from the one it begins in to the last that it fills.
    let end = relro.p_vaddr(LittleEndian) + relro.p_memsz(LittleEndian);
    assert_eq!(end % 4096, 0, "the last page of RELRO is not protected");
    let elf = file.elf();
    let sections = elf.elf_section_table();
    for (_, section) in sections.enumerate() {
        let name = sections.section_name(LittleEndian, section).expect("a name");
        let address = section.sh_addr(LittleEndian);
        let writable = section.sh_flags(LittleEndian).0 & elf::SHF_WRITE.0 != 0;
        if writable && name != b".bss" {
            let protected = relro.p_vaddr(LittleEndian)..end;
            assert!(protected.contains(&address), "{}", String::from_utf8_lossy(name));
        }
    }
}

#[test]
fn its_stack_is_not_executable_and_its_text_is_not_written() {
    let file = File::read();
    let stack = file.segments(elf::PT_GNU_STACK);
    assert_eq!(stack.len(), 1);
    assert_eq!(stack[0].p_flags(LittleEndian).0 & elf::PF_X.0, 0);
    assert!(file.dynamic(elf::DT_TEXTREL).is_empty());
    for segment in file.segments(elf::PT_LOAD) {
        let flags = segment.p_flags(LittleEndian).0;
        assert!(flags & elf::PF_W.0 == 0 || flags & elf::PF_X.0 == 0, "{flags}");
    }
}

/// pthread_cancel(3) unwinds through accept().
#[test]
fn it_has_unwind_tables() {
    let tables = File::read().segments(elf::PT_GNU_EH_FRAME);
    assert_eq!(tables.len(), 1);
    assert_ne!(tables[0].p_filesz(LittleEndian), 0);
}

#[test]
fn it_has_no_thread_local_storage() {
    assert!(File::read().segments(elf::PT_TLS).is_empty());
}
