//! What the library costs, in figures that neither a clock nor another program disturbs: they are
//! compared with the table that is committed, docs/counts.md, so that none grows unnoticed.
//!
//!     cargo test --test counts -- --ignored
//!
//! With `KEEPALIVE_WRITE_COUNTS=1` the table is brought up to date instead.

// Instructions and bytes are those of one architecture.
#![cfg(target_arch = "x86_64")]

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use object::elf;
use object::read::elf::{ElfFile64, ProgramHeader, SectionHeader};
use object::{Endianness, Object, ObjectSegment, ObjectSymbol};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/counts.md");

const SETTINGS: [(&str, &str); 4] =
    [("KEEPCNT", "20"), ("KEEPIDLE", "180"), ("KEEPINTVL", "60"), ("TCP_USER_TIMEOUT", "12345")];

/// A call that is counted.
struct Call {
    what: &'static str,
    /// `KEEPALIVE`, if not the default.
    mode: Option<&'static str>,
    /// What tests/hosts/probe.c does before it.
    before: &'static str,
    /// The call itself, in its words.
    call: &'static str,
}

const fn call(what: &'static str, before: &'static str, call: &'static str) -> Call {
    Call { what, mode: None, before, call }
}

const fn call_under(
    mode: &'static str,
    what: &'static str,
    before: &'static str,
    call: &'static str,
) -> Call {
    Call { what, mode: Some(mode), before, call }
}

const CALLS: [Call; 14] = [
    call("TCP socket()", "", "socket AF_INET SOCK_STREAM 0"),
    call("UDP socket()", "", "socket AF_INET SOCK_DGRAM 0"),
    call("UNIX socket()", "", "socket AF_UNIX SOCK_STREAM 0"),
    call("socket() that fails", "", "socket AF_INET SOCK_STREAM IPPROTO_UDP"),
    call_under("off", "TCP socket(), off", "", "socket AF_INET SOCK_STREAM 0"),
    call("TCP connect()", TCP_LISTENER, "connect"),
    call("TCP connect(), second chance", RAW_LISTENER, "connect"),
    call("UNIX connect()", UNIX_LISTENER, "connect"),
    call("TCP accept()", TCP_CONNECTION, "accept"),
    call("TCP accept4()", TCP_CONNECTION, "accept4"),
    call("TCP accept(), second chance", RAW_CONNECTION, "accept"),
    call("setsockopt()", TCP_SOCKET, "set TCP_KEEPIDLE 5"),
    call_under("force", "setsockopt(), force", TCP_SOCKET, "set TCP_KEEPIDLE 5"),
    call_under("force", "setsockopt() of another option, force", TCP_SOCKET, "set TCP_NODELAY 1"),
];

const TCP_SOCKET: &str = "socket AF_INET SOCK_STREAM 0";
const TCP_LISTENER: &str = "socket AF_INET SOCK_STREAM 0 listen socket AF_INET SOCK_STREAM 0";
const TCP_CONNECTION: &str =
    "socket AF_INET SOCK_STREAM 0 listen socket AF_INET SOCK_STREAM 0 connect";
const RAW_LISTENER: &str =
    "raw_socket AF_INET SOCK_STREAM 0 listen raw_socket AF_INET SOCK_STREAM 0";
const RAW_CONNECTION: &str =
    "raw_socket AF_INET SOCK_STREAM 0 listen raw_socket AF_INET SOCK_STREAM 0 connect";
const UNIX_LISTENER: &str = "socket AF_UNIX SOCK_STREAM 0 listen socket AF_UNIX SOCK_STREAM 0";

#[test]
#[ignore = "needs strace and valgrind"]
fn nothing_has_grown_unnoticed() {
    let mut counts = BTreeMap::new();
    let mut count =
        |what: &str, count: usize| assert_eq!(counts.insert(what.to_owned(), count), None);
    count_in_file(&mut count);
    count_at_start(&mut count);
    count_in_calls(&mut count);

    let mut unlike = Vec::new();
    let mut written = String::new();
    for line in std::fs::read_to_string(TABLE).expect("the table").lines() {
        match Row::parse(line) {
            Some(mut row) => {
                let counted =
                    counts.remove(row.what).unwrap_or_else(|| panic!("{line}: not counted"));
                if !row.holds(counted) {
                    unlike.push(format!("{line}: {counted} now"));
                }
                row.count = counted;
                written += &row.line();
            }
            None => written += line,
        }
        written.push('\n');
    }
    assert!(counts.is_empty(), "docs/counts.md does not have {counts:?}");
    if std::env::var_os("KEEPALIVE_WRITE_COUNTS").is_some() {
        std::fs::write(TABLE, written).expect("the table");
    } else {
        assert!(unlike.is_empty(), "unlike docs/counts.md:\n{}", unlike.join("\n"));
    }
}

/// A line of the table: `| what | count | may differ by |`.
struct Row<'a> {
    what: &'a str,
    count: usize,
    /// In percent; none means that it must be exact.
    margin: Option<usize>,
}

impl<'a> Row<'a> {
    /// None for a line that has no count.
    fn parse(line: &'a str) -> Option<Self> {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let (what, count, margin) = (cells.next()?, cells.next()?.parse().ok()?, cells.next()?);
        let margin = match margin {
            "exact" => None,
            percent => Some(percent.strip_suffix(" %")?.parse().ok()?),
        };
        Some(Self { what, count, margin })
    }

    fn line(&self) -> String {
        let margin = self.margin.map_or("exact".to_owned(), |percent| format!("{percent} %"));
        format!("| {} | {} | {margin} |", self.what, self.count)
    }

    /// Shrinking is not an error of the library's, but then the table says too much.
    fn holds(&self, counted: usize) -> bool {
        counted.abs_diff(self.count) * 100 <= self.count * self.margin.unwrap_or(0)
    }
}

/// What the loader has to do for the file.
fn count_in_file(count: &mut impl FnMut(&str, usize)) {
    let bytes = std::fs::read(support::built_library()).expect("the library");
    let file = ElfFile64::<Endianness>::parse(&*bytes).expect("an ELF file");
    let endian = file.endian();
    let headers = file.elf_program_headers().iter();
    let relocations: usize = file
        .elf_section_table()
        .iter()
        .filter_map(|section| section.rela(endian, &*bytes).expect("relocations"))
        .map(|(relocations, _)| relocations.len())
        .sum();
    count("bytes", bytes.len());
    count(
        "segments that are mapped",
        headers.filter(|header| header.p_type(endian) == elf::PT_LOAD).count(),
    );
    count("relocations", relocations);
    count(
        "symbols that are looked up",
        file.dynamic_symbols().filter(|symbol| symbol.is_undefined()).count(),
    );
}

/// What a start of /bin/true costs more behind the library.
fn count_at_start(count: &mut impl FnMut(&str, usize)) {
    let [bare, preloaded] =
        [support::bare("/bin/true"), with_settings(support::preloaded("/bin/true"), &[])];
    let calls = |command| support::trace(command, "all").lines().count();
    count("system calls, all the loader's", calls(preloaded) - calls(bare));

    let preloaded = instructions("/bin/true", Some(&[]), "");
    let bare = instructions("/bin/true", None, "");
    count("instructions of the library's", preloaded.library);
    count("instructions altogether, most of them the loader's", preloaded.all - bare.all);

    count("KiB of memory that no other process shares", private_memory());
}

/// What one call costs, in a program that has made others before.
fn count_in_calls(count: &mut impl FnMut(&str, usize)) {
    let probe = support::host("probe").into_os_string().into_string().expect("a path in UTF-8");
    for Call { what, mode, before, call } in CALLS {
        let mode = mode.map(|mode| ("KEEPALIVE", mode));
        let variables = mode.as_slice();
        let after = format!("{before} {call}");
        let own = |script: &str| instructions(&probe, Some(variables), script).library;
        count(&format!("{what}: instructions"), own(&after) - own(before));

        let made = |preload: bool, script: &str| {
            let mut command =
                if preload { support::preloaded(&probe) } else { support::bare(&probe) };
            command.args(script.split_whitespace());
            support::trace(with_settings(command, variables), NETWORK).lines().count()
        };
        let of_call = |preload: bool| made(preload, &after) - made(preload, before);
        count(&format!("{what}: system calls"), of_call(true) - of_call(false));
    }
}

const NETWORK: &str = "socket,connect,accept,accept4,getsockopt,setsockopt";

fn with_settings(mut command: Command, more: &[(&str, &str)]) -> Command {
    command.envs(SETTINGS).envs(more.iter().copied());
    command
}

/// Instructions in user space.
struct Instructions {
    /// In the library itself.
    library: usize,
    /// In the whole process.
    all: usize,
}

/// Counts the instructions of a program by callgrind, behind the library with [`SETTINGS`] and
/// these variables, or without it.
fn instructions(program: &str, preload: Option<&[(&str, &str)]>, script: &str) -> Instructions {
    let library = support::built_library();
    let (directory, name) =
        (library.parent().expect("a directory"), library.file_name().expect("a name"));
    let counted = support::scratch("callgrind");
    let mut valgrind = Command::new("valgrind");
    // The same environment and the same path for everybody: the loader reads both.
    valgrind.env_clear().current_dir(directory).envs(SETTINGS);
    if let Some(variables) = preload {
        valgrind.env("LD_PRELOAD", Path::new(".").join(name)).envs(variables.iter().copied());
    }
    valgrind
        .args(["--quiet", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", counted.display()))
        .arg(program)
        .args(script.split_whitespace());
    support::run(&mut valgrind);
    sum(&std::fs::read_to_string(counted).expect("the counts"), &name.to_string_lossy())
}

/// Adds up a file of callgrind's: lines of `position cost` below the `ob=` that they belong to. The
/// line after a `calls=` counts what was called, which has lines of its own.
fn sum(profile: &str, library: &str) -> Instructions {
    let mut sum = Instructions { library: 0, all: 0 };
    let mut in_library = false;
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        if let Some(object) = line.strip_prefix("ob=") {
            in_library = object.ends_with(library);
        } else if line.starts_with("calls=") {
            lines.next();
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            let cost: usize =
                line.split(' ').nth(1).and_then(|cost| cost.parse().ok()).expect("a cost");
            sum.all += cost;
            if in_library {
                sum.library += cost;
            }
        }
    }
    sum
}

/// The pages of the library in a process that has come as far as main(), which were copied or
/// filled for this process alone, in KiB: proc_pid_pagemap(5). (smaps would not do: .bss may be
/// merged there with a neighbour, and pages of a file that is not written back count as private.)
fn private_memory() -> usize {
    const PAGE: u64 = 4096;
    const PRESENT: u64 = 1 << 63;
    const OF_A_FILE: u64 = 1 << 61;

    let mut cat = support::preloaded("cat");
    let mut cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("cat");
    let (mut input, mut output) =
        (cat.stdin.take().expect("a pipe"), cat.stdout.take().expect("a pipe"));
    input.write_all(b"?").expect("cat reads");
    output.read_exact(&mut [0]).expect("cat writes");
    let proc = PathBuf::from(format!("/proc/{}", cat.id()));
    let maps = std::fs::read_to_string(proc.join("maps")).expect("maps");
    let first = maps.lines().find(|line| line.ends_with("/libkeepalive.so")).expect("the library");
    let (start, _) = first.split_once('-').expect("an address");
    let start = u64::from_str_radix(start, 16).expect("an address");
    let pagemap = std::fs::File::open(proc.join("pagemap")).expect("pagemap");
    let private = (0..size_in_memory().div_ceil(PAGE)).filter(|page| {
        let mut entry = [0; 8];
        pagemap.read_exact_at(&mut entry, (start / PAGE + page) * 8).expect("an entry");
        u64::from_ne_bytes(entry) & (PRESENT | OF_A_FILE) == PRESENT
    });
    let kilobytes = private.count() * PAGE as usize / 1024;
    drop(input);
    cat.wait().expect("cat ends");
    kilobytes
}

/// Where the last segment ends.
fn size_in_memory() -> u64 {
    let bytes = std::fs::read(support::built_library()).expect("the library");
    let file = ElfFile64::<Endianness>::parse(&*bytes).expect("an ELF file");
    file.segments().map(|segment| segment.address() + segment.size()).max().expect("a segment")
}
