//! Other preloads before and behind the library: examples/trace_sockopts, which hooks the same
//! calls and prints what reaches it.

use crate::support;
use crate::{SET, default, last_line, preloaded_command, settings_and};

/// What the tracer printed of setsockopt(2), and what the probe printed, with both preloaded.
#[track_caller]
fn with_tracer(
    tracer_first: bool,
    variables: &[(&str, &str)],
    script: &str,
) -> (Vec<String>, String) {
    let (library, tracer) = (support::library(), support::tracer());
    let (first, second) = if tracer_first { (tracer, library) } else { (library, tracer) };
    let mut command = preloaded_command(variables, script);
    command.env("LD_PRELOAD", format!("{}:{}", first.display(), second.display()));
    let (stdout, stderr) = support::run(&mut command);
    let set = stderr.lines().filter(|line| line.starts_with("setsockopt")).map(str::to_owned);
    (set.collect(), stdout)
}

const SCRIPT: &str = "socket AF_INET SOCK_STREAM 0 show set TCP_KEEPIDLE 5 show";

#[test]
fn a_preload_behind_the_library_sees_what_the_library_sets() {
    let (set, shown) = with_tracer(false, &settings_and(&[("KEEPALIVE", "force")]), SCRIPT);
    assert_eq!(
        set,
        [
            "setsockopt(3, SOL_SOCKET, SO_KEEPALIVE, 1) = 0",
            "setsockopt(3, IPPROTO_TCP, TCP_KEEPCNT, 20) = 0",
            "setsockopt(3, IPPROTO_TCP, TCP_KEEPIDLE, 180) = 0",
            "setsockopt(3, IPPROTO_TCP, TCP_KEEPINTVL, 60) = 0",
            "setsockopt(3, IPPROTO_TCP, TCP_USER_TIMEOUT, 12345) = 0",
            "setsockopt(3, IPPROTO_TCP, TCP_KEEPIDLE, 5) = 0",
            "setsockopt(3, IPPROTO_TCP, TCP_KEEPIDLE, 180) = 0",
        ]
    );
    assert_eq!(last_line(&shown), SET);
}

#[test]
fn a_preload_in_front_of_the_library_sees_what_the_program_sets() {
    let (set, shown) = with_tracer(true, &settings_and(&[("KEEPALIVE", "force")]), SCRIPT);
    assert_eq!(set, ["setsockopt(3, IPPROTO_TCP, TCP_KEEPIDLE, 5) = 0"]);
    assert_eq!(last_line(&shown), SET);
}

/// Not every kernel has another protocol than TCP for SOCK_STREAM: a preload stands in for it.
#[test]
fn a_stream_of_another_protocol_is_left_alone() {
    let another = support::compile("any_protocol", &["-shared", "-fPIC", "-ldl"]);
    let mut command = preloaded_command(&settings_and(&[]), "socket AF_INET SOCK_STREAM 132 show");
    command.env("LD_PRELOAD", format!("{}:{}", support::library().display(), another.display()));
    assert_eq!(last_line(&support::stdout(&mut command)), default());
}

/// Programs that look at graphics calls do so: `RTLD_NEXT` is then relative to them, and the next
/// definition that the library is told is its own. (On musl, which has no dlvsym(3), a preload
/// cannot do so.)
#[test]
fn a_preload_that_hooks_dlsym_and_passes_it_on_does_no_harm() {
    if support::is_musl() {
        return;
    }
    let hooking = support::compile("hooks_dlsym", &["-shared", "-fPIC"]);
    for order in [[hooking.clone(), support::library()], [support::library(), hooking]] {
        let script = "socket AF_INET SOCK_STREAM 0 show";
        let mut command = preloaded_command(&settings_and(&[]), script);
        command.env("LD_PRELOAD", order.map(|path| path.display().to_string()).join(":"));
        assert_eq!(last_line(&support::stdout(&mut command)), SET);
    }
}

/// dlsym takes the loader's lock and may allocate: nothing for a signal handler.
#[test]
fn no_call_looks_anything_up_once_the_program_runs() {
    // The program's own dlsym stands before every other, if the program exports it.
    let program = support::compile("counts_dlsym", &["-rdynamic"]);
    let mut command = support::preloaded(&program);
    assert_eq!(support::stdout(command.env("KEEPALIVE", "force")), "0 lookups\n");
}

/// As an unprivileged container image might: both ways of naming it at once.
#[test]
fn the_library_loaded_twice_does_its_work() {
    let library = support::library();
    let copy = support::scratch("copy.so");
    std::fs::copy(support::built_library(), &copy).expect("a copy");
    let mut command = preloaded_command(&settings_and(&[]), "socket AF_INET SOCK_STREAM 0 show");
    let both = format!("{}:{}", library.display(), support::inside(&copy).display());
    command.env("LD_PRELOAD", both);
    assert_eq!(last_line(&support::stdout(&mut command)), SET);
}
