//! `keepalive run`: turn into a program with the library in front of it, or a follower beside it.

mod elf;
mod environment;
mod follower;
mod library;
mod program;
mod way;

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use nix::errno::Errno;
use options::SYNCNT;

use crate::judge::too_late;
use crate::kernel::Kernel;
use crate::process::yama_hides_children;
use crate::settings::{Settings, SettingsArgs};
use crate::sys::startup;
use crate::text::{error, printable, report_error};
use environment::Environment;
use way::Way;

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit status:
  125  This command failed, or PROGRAM can be neither preloaded nor followed
       (setuid, file capabilities, a container without CAP_SYS_PTRACE) and
       --anyway is not given
  126  PROGRAM cannot be started
  127  PROGRAM is not found
  Any other
       PROGRAM's own

Environment:
  KEEPALIVE, KEEPIDLE, KEEPINTVL, KEEPCNT, TCP_RTO_MAX_MS, TCP_SYNCNT,
  TCP_USER_TIMEOUT, KEEPALIVE_DEBUG
       What the library reads, libkeepalive(8): set for PROGRAM as the options
       say, else passed on; only KEEPALIVE=off becomes KEEPALIVE=on, and a value
       that the library could not use is reported and left out. Where PROGRAM
       is only followed, its environment stays as it is, and the follower sets
       what the library would
  LD_PRELOAD
       Set for PROGRAM: the library, and then what was there
  PATH
       Where PROGRAM is looked for

Examples:
  keepalive run --dead-after 2m some-program
       A peer that is gone is noticed within two minutes
  keepalive run --idle 180 --interval 60 --count 20 --force redis-server
       Also over the values that the program sets itself
  keepalive run --dead-after 2m --verbose ./static-program
       Where no preload works a follower sets the sockets; --verbose says so
  keepalive run --follow --dead-after 2m ./some-script.sh
       Also the statically linked programs that a script starts
  keepalive run --debug curl https://example.org/
       See which sockets get what")]
pub struct RunArgs {
    /// What to set.
    #[command(flatten)]
    settings: SettingsArgs,

    /// Follow PROGRAM and what it starts, beside the preload
    ///
    /// A follower is a process that looks at the sockets of PROGRAM and its descendants now and
    /// then, most often every second, and sets those that are new, as `keepalive attach --follow`
    /// does. Where the preload cannot work in PROGRAM (statically linked, Go, another
    /// architecture, a script for such an interpreter) it is started without this option. This
    /// option is for a program that the preload reaches but that starts others which it does not,
    /// such as a shell script. PROGRAM does not notice the follower, which ends with PROGRAM and
    /// its descendants. What goes wrong later the follower says in the system's log (journalctl -t
    /// keepalive). Where Yama's ptrace_scope is 1 (Ubuntu) the descendants are followed by root
    /// only.
    #[arg(long, conflicts_with = "anyway")]
    follow: bool,

    /// Start PROGRAM even where the preload cannot work
    ///
    /// With the preload alone, and with a warning.
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
    report_error(message);
    ExitCode::from(status)
}

fn start(arguments: &RunArgs) -> Result<Infallible, Failure> {
    let name = Path::new(&arguments.command[0]);
    let program = program::find(name.as_os_str()).map_err(|error| {
        let status =
            if error.kind() == std::io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_START };
        Failure(status, format!("{}: {}", printed(name), reason(name.as_os_str(), &error)))
    })?;
    let way = Way::find(arguments, name, &program)?;

    let debug = arguments.settings.debug;
    let mut environment = Environment::inherited();
    let kernel = Kernel::new().unwrap_or_default();
    let mut settings = Settings::new(&arguments.settings);
    if !environment.chooses_values() {
        settings = settings.or_default(&kernel);
    }
    environment.take_unusable(&settings, debug).iter().for_each(report_error);
    arguments.settings.remark().iter().for_each(report_error);
    // The follower sets the bound on retransmissions on established connections only.
    let mut held = environment.held(&settings, &kernel);
    let follower = way.is_followed.then(|| follower::start(&held.arguments())).transpose();
    let follower = follower.map_err(|why| way.without_follower(&program, &why))?;
    if way.library.is_some() && !environment.chooses(&SYNCNT) {
        settings = settings.with_patient_connect(&kernel);
        held = environment.held(&settings, &kernel);
    }
    if follower.is_some() && debug {
        report_error(
            "--debug: the follower reports no sockets; `keepalive show` tells what they have",
        );
    }
    if arguments.settings.verbose {
        let mut said = vec![held.describe(&kernel)];
        said.extend(way.library.iter().map(|it| format!("library {}", printed(&it.path))));
        said.extend(way.obstacle);
        said.extend(follower.map(|it| format!("process {it} follows it")));
        report_error(said.join("; "));
        too_late(held.values.map(|_, it| it.map(|it| it.value))).iter().for_each(report_error);
    }
    let asked = arguments.settings.verbose || arguments.follow;
    if follower.is_some() && asked && yama_hides_children() {
        report_error(
            "the programs that it starts are followed by root only: Yama \
             (/proc/sys/kernel/yama/ptrace_scope is 1)",
        );
    }
    match way.library {
        Some(library) => environment.prepare(&settings, debug, &library),
        // Nobody in the program reads it.
        None => environment = Environment::inherited(),
    }
    exec(&program, &arguments.command, environment.entries())
}

/// Undoes what the Rust runtime changed, and starts the program as execvpe(3) does. (The shell
/// runs a file that is neither a program nor begins with `#!`.)
fn exec(
    program: &Path,
    arguments: &[OsString],
    environment: &[CString],
) -> Result<Infallible, Failure> {
    let text = |text: &OsStr| {
        let has_nul = |_| Failure(FAILED, format!("{}: a NUL byte in it", printed(text)));
        CString::new(text.as_bytes()).map_err(has_nul)
    };
    let path = text(program.as_os_str())?;
    let arguments =
        arguments.iter().map(|argument| text(argument)).collect::<Result<Vec<_>, _>>()?;

    startup::restore();
    let Err(mut error) = nix::unistd::execve(&path, &arguments, environment);
    if error == Errno::ENOEXEC {
        let mut through_shell = vec![c"/bin/sh".to_owned(), path];
        through_shell.extend(arguments.into_iter().skip(1));
        let Err(shell_error) = nix::unistd::execve(c"/bin/sh", &through_shell, environment);
        error = shell_error;
    }
    startup::ignore_sigpipe();
    let status = if error == Errno::ENOENT { NOT_FOUND } else { CANNOT_START };
    let what = if error == Errno::ENOENT && program.exists() {
        "the interpreter or loader that it names does not exist".into()
    } else {
        reason(program.as_os_str(), &error.into())
    };
    Err(Failure(status, format!("{}: {what}", printed(program))))
}

/// A path or an argument, for a terminal.
fn printed(text: impl AsRef<OsStr>) -> String {
    printable(&text.as_ref().to_string_lossy()).to_string()
}

/// Whether a name looks like something that a shell would take apart or replace.
fn is_command_line(name: &OsStr) -> bool {
    let is_special = |byte: &u8| byte.is_ascii_whitespace() || b"|&;<>()$`\"'*?[~=".contains(byte);
    name.as_bytes().iter().any(is_special)
}

/// Why a program cannot be started, in the words that shells use.
fn reason(name: &OsStr, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound if is_command_line(name) => "no such program\n\
             A shell reads a command line: keepalive run sh -c 'COMMAND LINE'"
            .into(),
        std::io::ErrorKind::NotFound => "no such program".into(),
        std::io::ErrorKind::PermissionDenied => {
            "not an executable file, or you may not execute it".into()
        }
        _ => error::describe(error),
    }
}
