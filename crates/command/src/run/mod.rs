//! `keepalive run`: turn into a program with the library in front of it.

mod library;
mod program;
mod startup;

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use nix::errno::Errno;
use options::Mode;

use crate::kernel::Kernel;
use crate::settings::{Settings, SettingsArgs};
use crate::terminal::complain;
use library::Library;

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit status:
  125  This command failed, or the preload cannot work in PROGRAM (statically
       linked, Go, setuid, another architecture) and --anyway is not given
  126  PROGRAM cannot be started
  127  PROGRAM is not found
  Any other
       PROGRAM's own

Environment:
  KEEPALIVE, KEEPIDLE, KEEPINTVL, KEEPCNT, TCP_USER_TIMEOUT, KEEPALIVE_DEBUG
       What the library reads, libkeepalive(8): set for PROGRAM as the options
       say, else passed on; only KEEPALIVE=off becomes KEEPALIVE=on
  LD_PRELOAD
       Set for PROGRAM: the library, and then what was there
  PATH
       Where PROGRAM is looked for

Examples:
  keepalive run --dead-after 2m some-program
       A peer that is gone is noticed within two minutes
  keepalive run --idle 180 --interval 60 --count 20 --force redis-server
       Also over the values that the program sets itself
  keepalive run --debug curl https://example.org/
       See which sockets get what")]
pub struct RunArgs {
    /// What to set.
    #[command(flatten)]
    settings: SettingsArgs,

    /// Start PROGRAM even where the preload cannot work in it, with a warning
    #[arg(long)]
    anyway: bool,

    /// The library to put in front
    ///
    /// Without it: libkeepalive.so beside this command, in ../lib of it, or in the system's
    /// library directories.
    #[arg(long, value_name = "PATH")]
    library: Option<PathBuf>,

    /// The program to start, and its arguments
    #[arg(value_names = ["PROGRAM", "ARG"], required = true, num_args = 1.., trailing_var_arg = true,
        value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

/// The command itself has failed, not the program: as env(1).
pub const FAILED: u8 = 125;

/// The program is there but cannot be started: as env(1).
const CANNOT_START: u8 = 126;
/// The program is not there: as env(1).
const NOT_FOUND: u8 = 127;

/// A failure: the exit status, and what is said about it.
struct Failure(u8, String);

/// Turns into the program; returns only if that failed.
pub fn run(arguments: &RunArgs) -> ExitCode {
    let Err(Failure(status, message)) = start(arguments);
    complain(message);
    ExitCode::from(status)
}

fn start(arguments: &RunArgs) -> Result<Infallible, Failure> {
    let name = Path::new(&arguments.command[0]);
    let kernel = Kernel::new().unwrap_or_default();
    let settings = Settings::new(&arguments.settings, &kernel).with_patient_connect(&kernel);
    let library =
        Library::find(arguments.library.as_deref()).map_err(|message| Failure(FAILED, message))?;
    let program = program::find(name.as_os_str()).map_err(|error| {
        let status =
            if error.kind() == std::io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_START };
        Failure(status, format!("{}: {}", name.display(), reason(&error)))
    })?;
    if let Some((file, obstacle)) = program::obstacle(&program, library.machine) {
        let through = if file == program {
            String::new()
        } else {
            format!("{}: its interpreter ", name.display())
        };
        let what = format!("{through}{} {obstacle}", file.display());
        if !arguments.anyway {
            return Err(Failure(
                FAILED,
                format!(
                    "{what}\nStart it without this command, then `keepalive attach` can set its \
                     open and listening sockets; --anyway starts it, for the \
                     programs that it starts itself."
                ),
            ));
        }
        complain(format!("{what}; starting it anyway"));
    }
    if arguments.settings.verbose {
        complain(format!("{}; library {}", settings.describe(), library.path.display()));
    }
    let environment =
        environment(std::env::vars_os(), &settings, arguments.settings.debug, &library);
    exec(&program, &arguments.command, &environment)
}

/// The environment, with what the library is to read.
fn environment(
    inherited: impl Iterator<Item = (OsString, OsString)>,
    settings: &Settings,
    debug: bool,
    library: &Library,
) -> Vec<(OsString, OsString)> {
    let mut environment: Vec<_> = inherited.collect();
    let mut set = |name: &str, value: OsString| {
        environment.retain(|(inherited, _)| inherited != name);
        environment.push((name.into(), value));
    };
    for (option, value) in settings.values.iter() {
        // The short name wins, where there is one.
        let name = option.short_name.unwrap_or(option.name).to_string_lossy();
        if let Some(value) = value {
            set(&name, value.to_string().into());
        }
    }
    match settings.mode {
        Mode::Force => set("KEEPALIVE", "force".into()),
        Mode::Skip => set("KEEPALIVE", "skip".into()),
        // An `off` in the environment is overruled: somebody asks for keepalive now.
        _ if is_off(std::env::var_os("KEEPALIVE")) => set("KEEPALIVE", "on".into()),
        _ => {}
    }
    if debug {
        set("KEEPALIVE_DEBUG", "1".into());
    }
    set("LD_PRELOAD", library.in_front_of(std::env::var_os("LD_PRELOAD").as_deref()));
    environment
}

fn is_off(value: Option<OsString>) -> bool {
    value.is_some_and(|value| Mode::parse(value.as_bytes()) == Some(Mode::Off))
}

/// Undoes what the Rust runtime changed, and starts the program as execvpe(3) does. (The shell
/// runs a file that is neither a program nor begins with `#!`.)
fn exec(
    program: &Path,
    arguments: &[OsString],
    environment: &[(OsString, OsString)],
) -> Result<Infallible, Failure> {
    let text = |text: &OsStr| {
        let has_nul =
            |_| Failure(FAILED, format!("{}: a NUL byte in it", Path::new(text).display()));
        CString::new(text.as_bytes()).map_err(has_nul)
    };
    let path = text(program.as_os_str())?;
    let arguments =
        arguments.iter().map(|argument| text(argument)).collect::<Result<Vec<_>, _>>()?;
    let variable = |(name, value): &(OsString, OsString)| {
        let mut both = name.clone().into_vec();
        both.push(b'=');
        both.extend(value.as_bytes());
        text(OsStr::from_bytes(&both))
    };
    let environment = environment.iter().map(variable).collect::<Result<Vec<_>, _>>()?;

    startup::restore();
    let Err(mut error) = nix::unistd::execve(&path, &arguments, &environment);
    if error == Errno::ENOEXEC {
        let mut through_shell = vec![c"/bin/sh".to_owned(), path];
        through_shell.extend(arguments.into_iter().skip(1));
        let Err(shell_error) = nix::unistd::execve(c"/bin/sh", &through_shell, &environment);
        error = shell_error;
    }
    let status = if error == Errno::ENOENT { NOT_FOUND } else { CANNOT_START };
    let what = if error == Errno::ENOENT && program.exists() {
        "the interpreter or loader that it names does not exist".into()
    } else {
        reason(&error.into())
    };
    Err(Failure(status, format!("{}: {what}", program.display())))
}

/// An error in the words that shells use.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such program".into(),
        std::io::ErrorKind::PermissionDenied => {
            "not an executable file, or you may not execute it".into()
        }
        _ => error.to_string(),
    }
}
