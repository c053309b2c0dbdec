//! Errors, errno and descriptors are what the program would have seen without the library.

use crate::{SETTINGS, preloaded, probe, settings_and};

/// Runs the calls without the library and in every mode, and expects the same of each.
#[track_caller]
fn same_in_every_mode(script: &str, expected: &str) {
    let bare = probe(script);
    assert!(bare.contains(expected), "without the library: {bare}");
    for mode in ["on", "skip", "off", "force"] {
        let variables = settings_and(&[("KEEPALIVE", mode)]);
        assert_eq!(preloaded(&variables, script), bare, "{mode}");
    }
}

#[test]
fn an_invalid_address_given_to_connect_comes_back_as_efault() {
    same_in_every_mode("socket AF_INET SOCK_STREAM 0 connect_to_bad_address", "-1 EFAULT");
    same_in_every_mode("raw_socket AF_INET SOCK_STREAM 0 connect_to_bad_address", "-1 EFAULT");
}

#[test]
fn an_invalid_address_given_to_accept_comes_back_as_efault() {
    let script = "socket AF_INET SOCK_STREAM 0 listen socket AF_INET SOCK_STREAM 0 connect \
                  socket AF_INET SOCK_STREAM 0 connect accept_to_bad_address accept4_to_bad_address";
    same_in_every_mode(script, "accept_to_bad_address = -1 EFAULT");
    same_in_every_mode(script, "accept4_to_bad_address = -1 EFAULT");
}

#[test]
fn an_invalid_descriptor_comes_back_as_ebadf() {
    same_in_every_mode(
        "connect_of_bad_descriptor accept accept4",
        "connect_of_bad_descriptor = -1 EBADF",
    );
}

#[test]
fn a_descriptor_that_is_no_socket_comes_back_as_enotsock() {
    same_in_every_mode("use 0 connect", "connect = -1 ENOTSOCK");
}

#[test]
fn a_refused_connection_comes_back_as_econnrefused() {
    same_in_every_mode("socket AF_INET SOCK_STREAM 0 connect", "connect = -1 ECONNREFUSED");
    same_in_every_mode("raw_socket AF_INET SOCK_STREAM 0 connect", "connect = -1 ECONNREFUSED");
}

#[test]
fn a_nonblocking_connect_comes_back_as_einprogress() {
    let script = "socket AF_INET SOCK_STREAM 0 listen raw_socket AF_INET SOCK_STREAM|SOCK_NONBLOCK 0 \
                  connect";
    same_in_every_mode(script, "connect = -1 EINPROGRESS");
}

#[test]
fn a_nonblocking_accept_with_nothing_to_accept_comes_back_as_eagain() {
    let script = "socket AF_INET SOCK_STREAM|SOCK_NONBLOCK 0 listen accept accept4";
    same_in_every_mode(script, "accept = -1 EAGAIN");
}

#[test]
fn an_impossible_socket_fails_as_before() {
    same_in_every_mode("socket 99 SOCK_STREAM 0", "socket = -1 EAFNOSUPPORT");
    same_in_every_mode("socket AF_INET SOCK_STREAM IPPROTO_UDP", "socket = -1 EPROTONOSUPPORT");
}

/// The probe prints `(errno became ...)` behind a call that succeeded and changed errno.
#[test]
fn a_call_that_succeeds_leaves_errno_alone() {
    let script = "socket AF_INET SOCK_STREAM 0 listen raw_socket AF_INET SOCK_STREAM 0 connect \
                  accept socket AF_INET SOCK_STREAM 0 connect accept4 set TCP_KEEPIDLE 9 \
                  set SO_KEEPALIVE 0 socket AF_INET SOCK_DGRAM 0 connect";
    same_in_every_mode(script, "accept4 = ");
}

#[test]
fn the_flags_given_to_accept4_arrive() {
    for domain in ["AF_INET", "AF_UNIX"] {
        let script = format!(
            "socket {domain} SOCK_STREAM 0 listen socket {domain} SOCK_STREAM 0 connect accept4 flags \
             socket {domain} SOCK_STREAM 0 connect accept flags"
        );
        same_in_every_mode(&script, "FD_CLOEXEC=1 O_NONBLOCK=1\n");
        same_in_every_mode(&script, "FD_CLOEXEC=0 O_NONBLOCK=0\n");
    }
}

/// MPTCP refuses TCP_USER_TIMEOUT: a failure of the library's own, on the way of a call that
/// succeeds.
#[test]
#[ignore = "needs a kernel with MPTCP (5.19 for the keepalive options)"]
fn an_option_that_is_refused_to_the_library_does_not_show_in_errno() {
    let shown = preloaded(&SETTINGS, "socket AF_INET SOCK_STREAM IPPROTO_MPTCP");
    assert_eq!(shown, "socket = 3\n");
}
