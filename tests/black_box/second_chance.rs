//! Sockets that the library did not see being made: created by a system call of the program's
//! own, or accepted from a listener that was inherited.

use crate::{SET, SETTINGS, default, only_on, preloaded, probe, settings_and};

/// A socket made behind the library's back, connected to a listener made likewise.
const CONNECTED: &str = "raw_socket AF_INET SOCK_STREAM 0 listen \
                         raw_socket AF_INET SOCK_STREAM 0 connect show";

#[test]
fn a_socket_made_by_a_raw_system_call_gets_the_settings_at_connect() {
    assert_eq!(probe(CONNECTED).lines().last(), Some(&*default()));
    assert_eq!(preloaded(&SETTINGS, CONNECTED).lines().last(), Some(SET));
}

#[test]
#[ignore = "needs IPv6 on the loopback interface"]
fn an_ipv6_socket_made_by_a_raw_system_call_gets_the_settings_at_connect() {
    let script = CONNECTED.replace("AF_INET", "AF_INET6");
    assert_ne!(probe(&script).lines().last(), Some(SET));
    assert_eq!(preloaded(&SETTINGS, &script).lines().last(), Some(SET));
}

#[test]
fn a_connection_accepted_from_an_unseen_listener_gets_the_settings() {
    for call in ["accept", "accept4"] {
        let script = format!("{CONNECTED} {call} show");
        assert_eq!(probe(&script).lines().last(), Some(&*default()), "{call}");
        assert_eq!(preloaded(&SETTINGS, &script).lines().last(), Some(SET), "{call}");
    }
}

#[test]
fn a_connection_accepted_from_a_seen_listener_inherits_the_settings() {
    let script = "socket AF_INET SOCK_STREAM 0 listen raw_socket AF_INET SOCK_STREAM 0 connect \
                  accept show";
    assert_eq!(probe(script).lines().last(), Some(&*default()));
    assert_eq!(preloaded(&SETTINGS, script).lines().last(), Some(SET));
}

/// As systemd's `KeepAlive=` and `KeepAliveTimeSec=` do with the listener of a socket unit.
#[test]
fn a_listener_that_was_given_other_values_keeps_them() {
    let script = "raw_socket AF_INET SOCK_STREAM 0 set SO_KEEPALIVE 1 set TCP_KEEPIDLE 99 listen \
                  socket AF_INET SOCK_STREAM 0 connect accept show";
    let expected = probe(script).lines().last().map(str::to_owned);
    assert!(expected.as_ref().is_some_and(|shown| shown.contains("TCP_KEEPIDLE=99 ")));
    assert_eq!(preloaded(&SETTINGS, script).lines().last(), expected.as_deref());
}

#[test]
fn a_socket_whose_keepalive_the_program_turned_on_itself_is_left_alone() {
    let script = "raw_socket AF_INET SOCK_STREAM 0 listen raw_socket AF_INET SOCK_STREAM 0 \
                  set SO_KEEPALIVE 1 connect show";
    assert_eq!(preloaded(&SETTINGS, script).lines().last(), Some(&*only_on()));
}

#[test]
fn skip_and_off_give_no_second_chance() {
    for mode in ["skip", "off"] {
        let variables = settings_and(&[("KEEPALIVE", mode)]);
        let shown = preloaded(&variables, &format!("{CONNECTED} accept show"));
        assert_eq!(shown.matches(&default()).count(), 2, "{mode}: {shown}");
    }
}

#[test]
fn under_force_the_values_are_set_at_connect_and_accept_whatever_was_there() {
    let script = "raw_socket AF_INET SOCK_STREAM 0 set SO_KEEPALIVE 1 listen \
                  raw_socket AF_INET SOCK_STREAM 0 set SO_KEEPALIVE 1 connect show accept show";
    let variables = settings_and(&[("KEEPALIVE", "force")]);
    assert_eq!(preloaded(&SETTINGS, script).matches(&only_on()).count(), 2);
    assert_eq!(preloaded(&variables, script).matches(SET).count(), 2);
}
