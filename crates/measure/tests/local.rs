//! Measurements of a server on this machine, by the public interface.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use libkeepalive_measure::{Activity, Error, Finding, Next, Options, measure};

/// A server that says nothing, and closes what the other end closes.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.expect("a connection");
            std::thread::spawn(move || connection.read(&mut [0]));
        }
    });
    address
}

#[test]
fn a_path_that_remembers() {
    let options = Options { max: Duration::from_secs(5), ..Options::default() };
    let mut activities = Vec::new();
    let outcome = measure(server(), &options, |progress| {
        activities.push(progress.activity);
        Next::Continue
    });
    let outcome = outcome.expect("an outcome");
    assert_eq!(outcome.finding, Finding::NotForgotten);
    assert!(outcome.answered_after >= Some(options.max) && outcome.forgotten_after.is_none());
    assert!(outcome.took >= options.max && outcome.took < options.max * 4, "{outcome:?}");
    assert_eq!((outcome.loss, outcome.left_at_server), (Some(0.0), Some(0)));
    assert!(outcome.recommended.is_none() && outcome.error.is_none(), "{outcome:?}");
    let waits = |it: &Activity| matches!(it, Activity::Waiting { .. });
    assert!(activities.iter().any(waits), "{activities:?}");
    assert_eq!(activities.last(), Some(&Activity::Closing(Finding::NotForgotten)));
}

#[test]
fn the_observer_ends_it() {
    for (next, left) in [(Next::Finish, Some(0)), (Next::Abandon, None)] {
        let outcome = measure(server(), &Options::default(), |progress| {
            if progress.answered_after.is_some() { next } else { Next::Continue }
        });
        let outcome = outcome.expect("an outcome");
        assert_eq!((outcome.finding, outcome.left_at_server), (Finding::Interrupted, left));
        assert!(outcome.answered_after.is_some() && outcome.took < Duration::from_secs(10));
    }
}

#[test]
fn where_nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let outcome = measure(free, &Options::default(), |_| Next::Continue).expect("an outcome");
    assert_eq!(outcome.finding, Finding::Unreachable);
    assert_eq!(outcome.error.expect("a reason").kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn an_option_out_of_its_range() {
    let options = Options { parallel: 1000, ..Options::default() };
    let error = measure(server(), &options, |_| Next::Continue).expect_err("out of range");
    assert!(matches!(error, Error::OutOfRange { option: "parallel", .. }), "{error}");
}
