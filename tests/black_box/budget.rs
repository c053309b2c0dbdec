//! The system calls that the library makes, counted by strace(1): no more than the contract says.

use std::process::Command;

use crate::support;
use crate::{SETTINGS, preloaded_command, probe_command, settings_and};

const NETWORK: &str = "socket,connect,accept,accept4,getsockopt,setsockopt,bind,listen,getsockname";

/// How often each call in the script makes getsockopt(2) and setsockopt(2), under strace: what
/// the program does itself (without the library) taken off.
#[track_caller]
fn made(variables: &[(&str, &str)], script: &str) -> (usize, usize) {
    let bare = support::trace(probe_command(script), NETWORK);
    let preloaded = support::trace(preloaded_command(variables, script), NETWORK);
    let more = |name: &str| calls(&preloaded, name) - calls(&bare, name);
    // "accept" counts accept4(2) too, which is what is called where there is no dlsym.
    for other in ["socket(", "connect(", "accept", "bind(", "listen(", "getsockname("] {
        assert_eq!(more(other), 0, "{other}");
    }
    (more("getsockopt("), more("setsockopt("))
}

fn calls(trace: &str, prefix: &str) -> usize {
    trace.lines().filter(|line| line.starts_with(prefix)).count()
}

#[test]
#[ignore = "needs strace"]
fn a_tcp_socket_costs_one_setsockopt_and_one_for_each_value() {
    let script = "socket AF_INET SOCK_STREAM 0";
    assert_eq!(made(&[], script), (0, 1));
    assert_eq!(made(&[("KEEPIDLE", "9")], script), (0, 2));
    assert_eq!(made(&SETTINGS, script), (0, 5));
    assert_eq!(made(&settings_and(&[("KEEPALIVE", "force")]), script), (0, 5));
    assert_eq!(made(&settings_and(&[("KEEPALIVE", "skip")]), script), (0, 4));
    assert_eq!(made(&settings_and(&[("KEEPALIVE", "off")]), script), (0, 0));
}

#[test]
#[ignore = "needs strace"]
fn a_socket_that_is_not_tcp_costs_nothing() {
    for mode in ["on", "skip", "off", "force"] {
        let script = "socket AF_INET SOCK_DGRAM 0 socket AF_UNIX SOCK_STREAM 0 socket 16 3 0";
        for debug in ["0", "1"] {
            let variables = settings_and(&[("KEEPALIVE", mode), ("KEEPALIVE_DEBUG", debug)]);
            assert_eq!(made(&variables, script), (0, 0), "{mode} {debug}");
        }
    }
}

#[test]
#[ignore = "needs strace"]
fn connect_and_accept_on_a_socket_that_is_on_cost_one_getsockopt() {
    let sockets = "socket AF_INET SOCK_STREAM 0 listen socket AF_INET SOCK_STREAM 0";
    assert_eq!(made(&SETTINGS, sockets), (0, 10));
    assert_eq!(made(&SETTINGS, &format!("{sockets} connect")), (1, 10));
    for accept in ["accept", "accept4"] {
        assert_eq!(made(&SETTINGS, &format!("{sockets} connect {accept}")), (2, 10));
    }
}

#[test]
#[ignore = "needs strace"]
fn connect_and_accept_on_a_socket_that_is_not_tcp_cost_two_getsockopt_at_most() {
    let sockets = "socket AF_UNIX SOCK_STREAM 0 listen socket AF_UNIX SOCK_STREAM 0";
    assert_eq!(made(&SETTINGS, &format!("{sockets} connect")), (2, 0));
    assert_eq!(made(&SETTINGS, &format!("{sockets} connect accept")), (4, 0));
    let force = settings_and(&[("KEEPALIVE", "force")]);
    assert_eq!(made(&force, &format!("{sockets} connect accept")), (2, 0));
}

#[test]
#[ignore = "needs strace"]
fn the_second_chance_costs_two_getsockopt_and_the_settings() {
    let sockets = "raw_socket AF_INET SOCK_STREAM 0 listen raw_socket AF_INET SOCK_STREAM 0";
    assert_eq!(made(&SETTINGS, &format!("{sockets} connect")), (2, 5));
    assert_eq!(made(&SETTINGS, &format!("{sockets} connect accept")), (4, 10));
}

#[test]
#[ignore = "needs strace"]
fn skip_and_off_cost_nothing_at_connect_and_accept() {
    let script = "raw_socket AF_INET SOCK_STREAM 0 listen raw_socket AF_INET SOCK_STREAM 0 \
                  connect accept set TCP_KEEPIDLE 5";
    for mode in ["skip", "off"] {
        assert_eq!(made(&settings_and(&[("KEEPALIVE", mode)]), script), (0, 0), "{mode}");
    }
}

#[test]
#[ignore = "needs strace"]
fn setsockopt_costs_nothing_without_force_and_with_it_what_is_put_back() {
    let idle = "raw_socket AF_INET SOCK_STREAM 0 set TCP_KEEPIDLE 5";
    let keepalive = "raw_socket AF_INET SOCK_STREAM 0 set SO_KEEPALIVE 0";
    let other = "raw_socket AF_INET SOCK_STREAM 0 set TCP_NODELAY 1 set SO_REUSEADDR 1";
    for script in [idle, keepalive, other] {
        assert_eq!(made(&SETTINGS, script), (0, 0), "{script}");
    }
    let force = settings_and(&[("KEEPALIVE", "force")]);
    assert_eq!(made(&force, idle), (0, 1));
    assert_eq!(made(&force, keepalive), (1, 1));
    assert_eq!(made(&force, other), (0, 0));
}

#[test]
#[ignore = "needs strace"]
fn a_call_that_fails_costs_nothing_afterwards() {
    let listening = "socket AF_INET SOCK_STREAM|SOCK_NONBLOCK 0 listen";
    let force = settings_and(&[("KEEPALIVE", "force")]);
    let failing =
        format!("{listening} accept accept4 socket 99 1 0 set TCP_KEEPIDLE 0 set TCP_KEEPCNT 128");
    assert_eq!(made(&SETTINGS, &failing), made(&SETTINGS, listening));
    assert_eq!(made(&force, &failing), made(&force, listening));
}

/// A seccomp-sandboxed program may die on a system call that it does not expect.
#[test]
#[ignore = "needs strace"]
fn loading_costs_no_system_call_of_the_librarys_own() {
    // From where the loader is done with the last library.
    let after_loading = |command: Command| {
        let trace = support::trace(command, "all");
        let done = trace.rfind("munmap(").or(trace.rfind("mprotect(")).expect("a loader");
        let calls = trace[done..].lines().skip(1).filter_map(|line| line.split('(').next());
        calls.map(str::to_owned).collect::<Vec<_>>()
    };
    let program = "/bin/true";
    let bare = after_loading(support::bare(program));
    let preloaded = |variables: &[(&str, &str)]| {
        let mut command = support::preloaded(program);
        command.envs(variables.iter().copied());
        after_loading(command)
    };
    for mode in ["on", "skip", "off", "force"] {
        assert_eq!(preloaded(&settings_and(&[("KEEPALIVE", mode)])), bare, "{mode}");
    }
    let mut debug = preloaded(&[("KEEPALIVE_DEBUG", "1")]);
    assert_eq!(debug.remove(0), "fstat");
    assert_eq!(debug, bare);
}
