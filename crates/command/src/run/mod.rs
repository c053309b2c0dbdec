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
use std::path::Path;

use nix::errno::Errno;
use options::SYNCNT;

use crate::judge::too_late;
use crate::process::yama_hides_children;
use crate::request::Run;
use crate::settings::keep_connect_patient;
use crate::sys::kernel::Kernel;
use crate::sys::{Status, startup};
use crate::text::{error, printable, report_error};
use environment::Environment;
use way::Way;

/// A failure: the exit status, and what is said about it.
struct Failure(Status, String);

/// Turns into the program; returns only if that failed.
pub fn run(request: &Run) -> Status {
    let Err(Failure(status, message)) = start(request);
    report_error(message);
    status
}

fn start(request: &Run) -> Result<Infallible, Failure> {
    let name = Path::new(&request.command[0]);
    let program = program::find(name.as_os_str()).map_err(|error| {
        let status = if error.kind() == std::io::ErrorKind::NotFound {
            Status::NotFound
        } else {
            Status::CannotStart
        };
        Failure(status, format!("{}: {}", printed(name), reason(name.as_os_str(), &error)))
    })?;
    let way = Way::find(request, name, &program)?;

    let debug = request.is_debug;
    let mut environment = Environment::inherited();
    let kernel = Kernel::own();
    let mut settings = environment.resolve(&request.settings, &kernel);
    environment.take_unusable(&settings, debug).iter().for_each(report_error);
    request.settings.warning().iter().for_each(report_error);
    // The follower sets the bound on retransmissions on established connections only.
    let mut effective = environment.effective(&settings, &kernel);
    let follower = way.is_followed.then(|| follower::start(&effective.requested())).transpose();
    let follower = follower.map_err(|why| way.without_follower(&program, &why))?;
    if way.library.is_some() && !environment.chooses(&SYNCNT) {
        keep_connect_patient(&mut settings, &kernel);
        effective = environment.effective(&settings, &kernel);
    }
    if follower.is_some() && debug {
        report_error(
            "--debug: the follower reports no sockets; `keepalive show` tells what they have",
        );
    }
    if request.is_verbose {
        let mut said = vec![effective.describe(&kernel)];
        said.extend(way.library.iter().map(|it| format!("library {}", printed(&it.path))));
        said.extend(way.obstacle);
        said.extend(follower.map(|it| format!("process {it} follows it")));
        report_error(said.join("; "));
        too_late(effective.values.map(|_, it| it.map(|it| it.value))).iter().for_each(report_error);
    }
    let asked = request.is_verbose || request.is_followed;
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
    exec(&program, &request.command, environment.entries())
}

/// Undoes what the Rust runtime changed, and starts the program as execvpe(3) does. (The shell
/// runs a file that is neither a program nor begins with `#!`.)
fn exec(
    program: &Path,
    arguments: &[OsString],
    environment: &[CString],
) -> Result<Infallible, Failure> {
    let text = |text: &OsStr| {
        let has_nul =
            |_| Failure(Status::RunFailed, format!("{}: a NUL byte in it", printed(text)));
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
    let status = if error == Errno::ENOENT { Status::NotFound } else { Status::CannotStart };
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
