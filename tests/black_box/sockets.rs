//! Which sockets get the settings: TCP, and nothing else.

use crate::support;
use crate::support::namespace::ran_in_user_namespace;
use crate::{SET, SETTINGS, default, last_line, preloaded, probe};

#[test]
fn a_tcp_socket_over_ipv4_has_the_settings_when_socket_returns() {
    let script = "socket AF_INET SOCK_STREAM 0 show";
    assert_ne!(last_line(&probe(script)), SET);
    assert_eq!(preloaded(&SETTINGS, script), format!("socket = 3\n{SET}\n"));
}

#[test]
fn a_tcp_socket_over_ipv6_has_the_settings_when_socket_returns() {
    let script = "socket AF_INET6 SOCK_STREAM IPPROTO_TCP show";
    assert_ne!(last_line(&probe(script)), SET);
    assert_eq!(preloaded(&SETTINGS, script), format!("socket = 3\n{SET}\n"));
}

#[test]
fn the_flags_in_the_type_are_understood_and_kept() {
    for flags in ["SOCK_NONBLOCK", "SOCK_CLOEXEC", "SOCK_NONBLOCK|SOCK_CLOEXEC"] {
        let script = format!("socket AF_INET SOCK_STREAM|{flags} 0 flags show");
        let bare = probe(&script);
        let expected = bare.replace(&last_line(&bare), SET);
        assert_ne!(bare, expected);
        assert_eq!(preloaded(&SETTINGS, &script), expected, "{flags}");
    }
}

/// MPTCP takes everything but TCP_USER_TIMEOUT, which it refuses with ENOPROTOOPT.
#[test]
#[ignore = "needs a kernel with MPTCP (5.19 for the keepalive options)"]
fn an_mptcp_socket_has_all_settings_that_mptcp_knows() {
    let script = "socket AF_INET SOCK_STREAM IPPROTO_MPTCP show";
    let expected = SET.replace("TCP_USER_TIMEOUT=12345", "TCP_USER_TIMEOUT=EOPNOTSUPP");
    assert_ne!(last_line(&probe(script)), expected);
    assert_eq!(preloaded(&SETTINGS, script), format!("socket = 3\n{expected}\n"));
}

/// Every domain, type and protocol that could be mistaken for TCP: result, errno, descriptor
/// flags and options of each, as without the library except where it is TCP.
#[test]
fn no_other_socket_differs_from_one_made_without_the_library() {
    let mut host = support::bare(support::host("combinations"));
    let bare = support::stdout(&mut host);
    let mut host = support::preloaded(support::host("combinations"));
    let preloaded = support::stdout(host.envs(SETTINGS));
    assert_eq!(bare.lines().count(), preloaded.lines().count());

    let mut tcp = 0;
    for (bare, preloaded) in bare.lines().zip(preloaded.lines()) {
        let made_tcp = bare.starts_with("TCP ") && bare.contains(" fd ");
        if !made_tcp {
            assert_eq!(bare, preloaded);
        } else if !bare.contains("protocol=262") {
            let (call, options) = bare.split_once(" SO_").expect("options");
            assert_eq!(format!("SO_{options}"), default());
            assert_eq!(preloaded, format!("{call} {SET}"));
            tcp += 1;
        }
    }
    // Two domains, two protocols, four sets of flags.
    assert_eq!(tcp, 16, "{preloaded}");
}

#[test]
fn a_udp_socket_is_untouched_through_connect() {
    let script = "socket AF_INET SOCK_DGRAM 0 show connect show";
    assert_eq!(preloaded(&SETTINGS, script), probe(script));
    let script = script.replace("socket", "raw_socket");
    assert_eq!(preloaded(&SETTINGS, &script), probe(&script));
}

#[test]
fn a_unix_socket_is_untouched_through_connect_and_accept() {
    let script = "socket AF_UNIX SOCK_STREAM 0 listen show socket AF_UNIX SOCK_STREAM 0 \
                  connect show accept show socket AF_UNIX SOCK_STREAM 0 connect accept4 show";
    let bare = probe(script);
    assert!(!bare.contains("SO_KEEPALIVE=1") && bare.contains("accept4 = "), "{bare}");
    assert_eq!(preloaded(&SETTINGS, script), bare);
}

#[test]
#[ignore = "needs user namespaces"]
fn a_raw_socket_is_untouched_through_connect_even_one_for_the_tcp_protocol() {
    if ran_in_user_namespace() {
        return;
    }
    for protocol in ["IPPROTO_TCP", "IPPROTO_UDP"] {
        for domain in ["AF_INET", "AF_INET6"] {
            let script = format!("socket {domain} SOCK_RAW {protocol} show connect show");
            let bare = probe(&script);
            assert!(bare.contains("socket = 3\nSO_KEEPALIVE=0"), "{bare}");
            assert_eq!(preloaded(&SETTINGS, &script), bare);
        }
    }
}
