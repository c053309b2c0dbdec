//! examples/show_keepalive: its output is, to the letter, that of the founding story.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::support;

const OFF: &str = "SO_KEEPALIVE is OFF\n";
const ON: &str =
    "SO_KEEPALIVE is ON\nTCP_KEEPCNT   = 20\nTCP_KEEPIDLE  = 180\nTCP_KEEPINTVL = 60\n";

fn show_keepalive(arguments: &[&str]) -> Command {
    let mut command = Command::new(support::show_keepalive());
    support::VARIABLES.iter().for_each(|name| {
        command.env_remove(name);
    });
    command.args(arguments);
    command
}

fn preloaded(mut command: Command) -> Command {
    command.env("LD_PRELOAD", support::built_library());
    command.envs([("KEEPCNT", "20"), ("KEEPIDLE", "180"), ("KEEPINTVL", "60")]);
    command
}

#[test]
fn the_transcript_of_the_founding_story() {
    assert_eq!(support::stdout(&mut show_keepalive(&[])), OFF);
    assert_eq!(support::stdout(&mut preloaded(show_keepalive(&[]))), ON);
}

#[test]
fn minus_6_shows_an_ipv6_socket() {
    assert_eq!(support::stdout(&mut show_keepalive(&["-6"])), OFF);
    assert_eq!(support::stdout(&mut preloaded(show_keepalive(&["-6"]))), ON);
}

/// Starts a listener; its process, and the port it names.
fn listening(mut command: Command) -> (std::process::Child, String) {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stderr.take().expect("stderr")).read_line(&mut line).expect("a line");
    let port = line.trim().strip_prefix("listening on port ").expect("a port").to_owned();
    (child, port)
}

/// Connects to a listener that these arguments start, and expects it to show that connection.
#[track_caller]
fn shows_the_first_connection(arguments: &[&str], host: &str) {
    for (command, expected) in
        [(show_keepalive(arguments), OFF), (preloaded(show_keepalive(arguments)), ON)]
    {
        let (child, port) = listening(command);
        let port = port.parse().expect("a number");
        let _connection = TcpStream::connect((host, port)).expect("a connection");
        let output = child.wait_with_output().expect("its end");
        assert_eq!(support::texts(&output).0, expected);
    }
}

#[test]
fn listen_shows_the_first_connection_accepted() {
    shows_the_first_connection(&["--listen", "0"], "127.0.0.1");
}

#[test]
#[ignore = "needs IPv6 on the loopback interface"]
fn listen_shows_the_first_connection_accepted_over_ipv6() {
    shows_the_first_connection(&["-6", "--listen", "0"], "::1");
}

#[test]
fn connect_shows_the_socket_after_connecting() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("its address").to_string();
    let arguments = ["--connect", &address];
    assert_eq!(support::stdout(&mut show_keepalive(&arguments)), OFF);
    assert_eq!(support::stdout(&mut preloaded(show_keepalive(&arguments))), ON);
}

#[test]
fn an_error_names_the_call_and_the_reason_and_the_exit_status_is_1() {
    for (arguments, error) in [
        (
            ["--connect", "127.0.0.1:1"],
            "show_keepalive: connect to 127.0.0.1:1: Connection refused",
        ),
        (["--connect", "127.0.0.1"], "show_keepalive: getaddrinfo 127.0.0.1: "),
        (["--listen", "nought"], "show_keepalive: cannot parse argument \"nought\""),
        (["--lisen", "1"], "show_keepalive: invalid option '--lisen'"),
    ] {
        let output = support::finish(&mut show_keepalive(&arguments));
        let (stdout, stderr) = support::texts(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_eq!(stdout, "");
        assert!(stderr.starts_with(error), "{stderr}");
    }
}
