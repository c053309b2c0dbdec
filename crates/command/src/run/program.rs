//! Programs: where they are, and what keeps a preload from working in them.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfsMountFlags, access, getxattr, statvfs};
use rustix::io::Errno;

use super::elf::{self, Machine, Program};

/// The file that execvp(3) would start.
pub fn find(name: &OsStr) -> io::Result<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Ok(name.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    let mut refused = None;
    for directory in std::env::split_paths(&path) {
        let file = directory.join(name);
        if !file.is_file() {
            continue;
        }
        match access(&file, Access::EXEC_OK) {
            Ok(()) => return Ok(file),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or(Errno::NOENT).into())
}

/// Why a preload cannot work in a program.
#[derive(Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// No dynamic loader ever runs in it.
    Static,
    /// Its system calls do not go through the C library.
    Go,
    /// The kernel starts it in secure mode.
    Secure(&'static str),
    /// The loader would refuse the library.
    Machine {
        /// What the program was compiled for.
        program: Machine,
        /// What the library was compiled for.
        library: Machine,
    },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static => f.write_str(
                "is statically linked: no loader runs in it that could load the library",
            ),
            Self::Go => f.write_str(
                "is written in Go, which makes its system calls itself, past every library",
            ),
            Self::Secure(what) => write!(
                f,
                "is {what}: the loader ignores preloads outside the system's library directories"
            ),
            Self::Machine { program, library } => write!(
                f,
                "is a program for {program}, the library is for {library}: --library PATH names \
                 one that fits"
            ),
        }
    }
}

/// The deepest nesting of interpreters that the kernel follows (fs/exec.c).
const INTERPRETERS_MAX: usize = 5;

/// What keeps a preload from working in the program at `path`, and the file where that was found: the program itself, the interpreter that its `#!` line names, or the one that
/// env(1) is to start there. `library` is what the preload was compiled for, if there is one. A file
/// that cannot be read is left to the kernel.
pub fn obstacle(path: &Path, library: Option<Machine>) -> Option<(PathBuf, Obstacle)> {
    let mut path = path.to_owned();
    for _ in 0..=INTERPRETERS_MAX {
        if let Ok(Some(program)) = Program::read(&path) {
            return elf_obstacle(&path, &program, library).map(|obstacle| (path, obstacle));
        }
        let (interpreter, argument) = read_shebang(&path)?;
        path = interpreter;
        if path.file_name() == Some(OsStr::new("env")) {
            path = find(&program_of_env(&argument)?).ok()?;
        }
    }
    None
}

fn elf_obstacle(path: &Path, program: &Program, library: Option<Machine>) -> Option<Obstacle> {
    // First, for this also keeps it from being followed.
    if let Some(what) = secure_mode(path) {
        return Some(Obstacle::Secure(what));
    }
    if let Some(library) = library.filter(|library| *library != program.machine) {
        return Some(Obstacle::Machine { program: program.machine, library });
    }
    if program.is_go {
        return Some(Obstacle::Go);
    }
    if !program.is_dynamic && !is_loader(path) {
        return Some(Obstacle::Static);
    }
    None
}

/// The dynamic loader itself, started as a program, honours LD_PRELOAD though it names no loader.
fn is_loader(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    name.starts_with(b"ld") && name.windows(3).any(|window| window == b".so")
}

/// Whether the kernel would start a file in secure mode (AT_SECURE, getauxval(3)), and why.
fn secure_mode(path: &Path) -> Option<&'static str> {
    let file = path.metadata().ok()?;
    let ignored = statvfs(path)
        .is_ok_and(|system| system.f_flag.contains(StatVfsMountFlags::NOSUID))
        || rustix::thread::no_new_privs().unwrap_or(false);
    if ignored {
        return None;
    }
    let mode = file.permissions().mode();
    if mode & libc::S_ISUID != 0 && file.uid() != rustix::process::getuid().as_raw() {
        return Some("setuid");
    }
    let runs_as_group = libc::S_ISGID | libc::S_IXGRP;
    if mode & runs_as_group == runs_as_group && file.gid() != rustix::process::getgid().as_raw() {
        return Some("setgid");
    }
    let mut capabilities = [0; 64];
    let has_capabilities = getxattr(path, c"security.capability", &mut capabilities).is_ok();
    // Root gains nothing by them.
    (has_capabilities && !rustix::process::getuid().is_root()).then_some("given file capabilities")
}

/// How much of a file the kernel looks at (BINPRM_BUF_SIZE).
const START_MAX: usize = 256;

/// The interpreter that a script names in its `#!` line, and the rest of that line.
fn read_shebang(path: &Path) -> Option<(PathBuf, Vec<u8>)> {
    let mut start = Vec::new();
    elf::open(path).ok()?.take(START_MAX as u64).read_to_end(&mut start).ok()?;
    parse_shebang(&start)
}

/// As fs/binfmt_script.c does it, so a carriage return is a part of the path.
fn parse_shebang(start: &[u8]) -> Option<(PathBuf, Vec<u8>)> {
    let rest = start.strip_prefix(b"#!")?;
    let line = rest.split(|byte| matches!(byte, b'\n' | 0)).next()?;
    let is_cut = start.len() >= START_MAX && line.len() == rest.len();
    let words = without_blanks(line);
    let end = match words.iter().position(is_blank) {
        // There may be more of its path.
        None if is_cut && line.ends_with(words) => return None,
        end => end.unwrap_or(words.len()),
    };
    let (interpreter, argument) = words.split_at(end);
    if interpreter.is_empty() {
        return None;
    }
    let argument = without_blanks(argument).to_vec();
    Some((OsString::from_vec(interpreter.to_vec()).into(), argument))
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn without_blanks(text: &[u8]) -> &[u8] {
    let begin = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_blank(byte)).map_or(begin, |last| last + 1);
    &text[begin..end]
}

/// The program that env(1) starts when a `#!` line gives it this argument: the first word that
/// is neither an option (`-S`, `-i`) nor an assignment.
fn program_of_env(argument: &[u8]) -> Option<OsString> {
    let mut words = argument.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let program = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='))?;
    Some(OsString::from_vec(program.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_interpreter_is_the_first_word_of_the_line() {
        let parse = |text: &str| {
            parse_shebang(text.as_bytes())
                .map(|(path, rest)| (path, String::from_utf8(rest).expect("UTF-8")))
        };
        assert_eq!(parse("#!/bin/sh\nx"), Some(("/bin/sh".into(), "".into())));
        assert_eq!(parse("#! /bin/sh -e \n"), Some(("/bin/sh".into(), "-e".into())));
        assert_eq!(parse("#!/bin/sh"), Some(("/bin/sh".into(), "".into())));
        assert_eq!(parse("#!\n"), None);
        assert_eq!(parse("echo"), None);
    }

    #[test]
    fn env_s_program_is_past_its_options() {
        let program = |text: &str| program_of_env(text.as_bytes());
        assert_eq!(program("python3"), Some("python3".into()));
        assert_eq!(program("-S perl -w"), Some("perl".into()));
        assert_eq!(program("-S -i A=b node --x"), Some("node".into()));
        assert_eq!(program(""), None);
    }

    #[test]
    fn this_very_program_can_be_preloaded_into() {
        let program = std::env::current_exe().expect("a path");
        let machine = Program::read(&program).expect("readable").expect("ELF").machine;
        assert_eq!(obstacle(&program, Some(machine)), None);
        assert_eq!(obstacle(&program, None), None);
        let other = Machine { number: object::elf::EM_S390, ..machine };
        let found = obstacle(&program, Some(other)).map(|(_, obstacle)| obstacle);
        assert_eq!(found, Some(Obstacle::Machine { program: machine, library: other }));
    }

    /// The start of a script: blanks, and what is none, around an interpreter that exists.
    fn script() -> impl Strategy<Value = Vec<u8>> {
        let blanks = || vec(prop::sample::select(b"  \t\t\r\x0b\x0c\0".to_vec()), 0..3);
        let long = || vec(prop::sample::select(b" \ta".to_vec()), 200..300);
        // As far as the kernel looks.
        let far = vec(Just(b' '), START_MAX - 16..START_MAX);
        let argument = vec(prop::sample::select(b"a- \t\r\0\n".to_vec()), 0..9);
        let line = (
            prop_oneof![8 => blanks(), 1 => long(), 2 => far],
            blanks(),
            prop_oneof![9 => argument, 1 => long()],
        );
        (line, any::<bool>()).prop_map(|((before, behind, argument), is_line)| {
            let end: &[u8] = if is_line { b"\nrest" } else { b"" };
            [b"#!", &before[..], b"/bin/echo", &behind, &argument, end].concat()
        })
    }

    /// What the kernel gives the interpreter /bin/echo as its argument; None if it starts none.
    fn kernel_s_argument(script: &Path) -> Option<Vec<u8>> {
        loop {
            match Command::new(script).arg0("script").output() {
                Ok(output) => {
                    let end = format!("{}\n", script.display());
                    let argument = output.stdout.strip_suffix(end.as_bytes()).expect("echo");
                    break Some(argument.strip_suffix(b" ").unwrap_or_default().to_vec());
                }
                // A child of another test's has it open.
                Err(error) if error.raw_os_error() == Some(libc::ETXTBSY) => {}
                Err(_) => break None,
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn the_interpreter_is_the_one_that_the_kernel_starts(text in script()) {
            let script = std::env::temp_dir().join(format!("keepalive-{}", std::process::id()));
            std::fs::write(&script, &text).expect("a file");
            std::fs::set_permissions(&script, Permissions::from_mode(0o700)).expect("its mode");
            let argument = kernel_s_argument(&script);
            let read = read_shebang(&script);
            std::fs::remove_file(&script).expect("it is there");
            let read = read.filter(|(path, _)| path == Path::new("/bin/echo"));
            let read = read.map(|(_, argument)| argument);
            prop_assert_eq!(read.is_some(), argument.is_some());
            let (read, argument) = (read.unwrap_or_default(), argument.unwrap_or_default());
            // The kernel keeps blanks at the end of a file, and drops the last byte it looks at.
            let argument = without_blanks(&argument);
            let is_short = text.len() >= START_MAX
                && read.split_last().is_some_and(|(_, read)| without_blanks(read) == argument);
            prop_assert!(read == argument || is_short, "{:?} {:?}", read, argument);
        }

        #[test]
        fn no_script_is_too_strange(start in vec(any::<u8>(), 0..300)) {
            let with_mark = [b"#!", &start[..]].concat();
            for start in [&start, &with_mark] {
                if let Some((path, argument)) = parse_shebang(start) {
                    prop_assert!(!path.as_os_str().is_empty());
                    let program = program_of_env(&argument);
                    let Some(word) = program.as_ref().map(|program| program.as_bytes()) else { continue };
                    prop_assert!(argument.split(u8::is_ascii_whitespace).any(|part| part == word));
                }
            }
        }
    }
}
