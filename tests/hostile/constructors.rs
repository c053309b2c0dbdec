//! Sockets before the library's own constructor has run, and after the program's end.

use std::path::Path;

use crate::support::{compile, host, is_musl, library, run, stdout};
use crate::{SERVED, UNSERVED, with, without};

/// What tests/hosts/constructor.c prints when every socket has these options.
fn report(options: &str) -> String {
    let line = |when, which| format!("{when}, {which}: {options}\n");
    ["constructor", "destructor"]
        .map(|when| ["created", "connected", "accepted"].map(|which| line(when, which)).concat())
        .concat()
}

fn shared_library() -> std::path::PathBuf {
    compile("constructor", &["-shared", "-fPIC"])
}

/// Two preloads, in the order in which the loader runs the second one's constructor first: glibc
/// from the last to the first, musl from the first to the last.
pub fn second_first(first: &Path, second: &Path) -> String {
    let order = if is_musl() { [second, first] } else { [first, second] };
    order.map(|path| path.display().to_string()).join(":")
}

#[test]
fn sockets_of_an_earlier_constructor_have_the_settings() {
    let program = host("probe");
    let constructor = shared_library();
    let expected = report(UNSERVED);
    assert_eq!(run(without(&program).env("LD_PRELOAD", &constructor)).0, expected);

    let preloads = second_first(&library(), &constructor);
    assert_eq!(run(with(&program).env("LD_PRELOAD", preloads)).0, report(SERVED));
}

#[test]
fn an_earlier_constructor_runs_before_the_library_has_read_the_environment() {
    let preloads = second_first(&library(), &shared_library());
    let (_, stderr) = run(with(host("probe")).env("LD_PRELOAD", preloads).env("KEEPCNT", "0"));
    let mut lines = stderr.lines();
    assert_eq!(lines.next(), Some("constructor begins"));
    assert_eq!(
        lines.next(),
        Some(
            "libkeepalive: KEEPCNT=0: not a whole number from 1 to 127 (probes); \
             the system default stays"
        )
    );
    assert_eq!(lines.collect::<Vec<_>>(), ["destructor begins"]);
}

#[test]
fn sockets_of_a_later_constructor_have_the_settings() {
    let preloads = second_first(&shared_library(), &library());
    assert_eq!(run(with(host("probe")).env("LD_PRELOAD", preloads)).0, report(SERVED));
}

#[test]
fn sockets_of_a_constructor_of_the_programs_own_library_have_the_settings() {
    let constructor = shared_library();
    let linked = constructor.to_str().expect("a path of ours");
    let program = compile("linked/trivial", &["-Wl,--no-as-needed", linked]);
    assert_eq!(run(&mut without(&program)).0, report(UNSERVED));
    assert_eq!(run(&mut with(&program)).0, report(SERVED));
}

/// In glibc, whose environment is not there yet, a socket of DT_PREINIT_ARRAY gets what an empty
/// environment asks for. The sockets that come later have the settings all the same. (musl calls
/// no such function.)
#[test]
fn a_socket_before_every_constructor_takes_nothing_from_the_later_ones() {
    if is_musl() {
        return;
    }
    let program = host("preinit");
    assert_eq!(stdout(&mut without(&program)), format!("preinit: {UNSERVED}\nmain: {UNSERVED}\n"));
    let (report, stderr) = run(with(&program).env("TCP_USER_TIMEOUT", "never"));
    let (preinit, main) = report.split_once('\n').expect("two lines");
    assert!(preinit.starts_with("preinit: SO_KEEPALIVE=1 "), "{report}");
    assert_eq!(main, format!("main: {SERVED}\n"));
    assert_eq!(
        stderr,
        "libkeepalive: TCP_USER_TIMEOUT=never: not a whole number from 0 to 2147483647 \
         (milliseconds); the system default stays\n"
    );
}
