//! What the library writes, and where it must not.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use crate::support;
use crate::{SETTINGS, preloaded, preloaded_command, probe, settings_and};

const DEBUG: (&str, &str) = ("KEEPALIVE_DEBUG", "1");

/// What is reported of these calls, with `PID` for the number of the process.
#[track_caller]
fn reported(variables: &[(&str, &str)], script: &str) -> String {
    crate::reported(variables, script, "PID")
}

/// Runs a command that must succeed, with this for its stderr.
#[track_caller]
fn run_with_stderr(mut command: Command, stderr: impl Into<OwnedFd>) {
    let output = support::finish(command.stderr(Stdio::from(stderr.into())));
    assert!(output.status.success(), "{command:?}: {}", output.status);
}

#[test]
fn nothing_is_written_when_there_is_nothing_to_report() {
    for mode in ["on", "skip", "off", "force"] {
        let script = "socket AF_INET SOCK_STREAM 0 listen socket AF_INET SOCK_STREAM 0 connect \
                      accept set TCP_KEEPIDLE 5 socket AF_INET SOCK_DGRAM 0 connect";
        assert_eq!(reported(&settings_and(&[("KEEPALIVE", mode)]), script), "");
    }
}

#[test]
fn a_value_cannot_forge_a_second_line_nor_move_the_cursor() {
    let value = "5\nlibkeepalive: all is well\r\t\u{1b}[2J\u{7f}\\";
    assert_eq!(
        reported(&[("KEEPIDLE", value)], ""),
        "libkeepalive: KEEPIDLE=5\\x0alibkeepalive: all is well\\x0d\\x09\\x1b[2J\\x7f\\x5c: not a \
         whole number from 1 to 32767 (seconds); the system default stays\n"
    );
}

#[test]
fn a_long_value_is_cut() {
    assert_eq!(
        reported(&[("KEEPALIVE", &"x".repeat(100_000))], ""),
        format!(
            "libkeepalive: KEEPALIVE={}...: not on, off, skip or force; on applies\n",
            "x".repeat(40)
        )
    );
}

#[test]
fn debug_says_of_each_socket_what_was_set_or_why_not() {
    let script = "socket AF_INET SOCK_STREAM 0 socket AF_INET6 SOCK_DGRAM 0 socket 99 1 0 \
                  socket AF_UNIX SOCK_STREAM 0";
    assert_eq!(
        reported(&settings_and(&[DEBUG]), script),
        "libkeepalive[PID]: socket() = 3: SO_KEEPALIVE=1 TCP_KEEPCNT=20 TCP_KEEPIDLE=180 \
         TCP_KEEPINTVL=60 TCP_USER_TIMEOUT=12345\n\
         libkeepalive[PID]: socket() = 4: not TCP, left alone\n\
         libkeepalive[PID]: socket() = 5: not TCP, left alone\n"
    );
}

#[test]
fn debug_says_what_happened_at_connect_and_accept() {
    let script = "raw_socket AF_INET SOCK_STREAM 0 listen raw_socket AF_INET SOCK_STREAM 0 \
                  connect accept raw_socket AF_INET SOCK_STREAM 0 set SO_KEEPALIVE 1 connect \
                  accept4 socket AF_UNIX SOCK_STREAM 0 listen socket AF_UNIX SOCK_STREAM 0 \
                  connect accept";
    assert_eq!(
        reported(&[DEBUG, ("KEEPIDLE", "9")], script),
        "libkeepalive[PID]: connect() of 4: SO_KEEPALIVE=1 TCP_KEEPIDLE=9\n\
         libkeepalive[PID]: accept() = 5: SO_KEEPALIVE=1 TCP_KEEPIDLE=9\n\
         libkeepalive[PID]: accept4() = 7: SO_KEEPALIVE=1 TCP_KEEPIDLE=9\n\
         libkeepalive[PID]: socket() = 8: not TCP, left alone\n\
         libkeepalive[PID]: socket() = 9: not TCP, left alone\n\
         libkeepalive[PID]: accept() = 10: not TCP, left alone\n"
    );
    let script = "socket AF_INET SOCK_STREAM 0 listen socket AF_INET SOCK_STREAM 0 connect accept";
    assert_eq!(
        reported(&[DEBUG, ("KEEPIDLE", "9")], script),
        "libkeepalive[PID]: socket() = 3: SO_KEEPALIVE=1 TCP_KEEPIDLE=9\n\
         libkeepalive[PID]: socket() = 4: SO_KEEPALIVE=1 TCP_KEEPIDLE=9\n\
         libkeepalive[PID]: accept() = 5: on already, TCP_KEEPIDLE=9\n"
    );
    // A UNIX socket can have it on as well.
    let script = "socket AF_UNIX SOCK_STREAM 0 set SO_KEEPALIVE 1 listen \
                  socket AF_UNIX SOCK_STREAM 0 connect accept";
    let last = "libkeepalive[PID]: accept() = 5: not TCP, left alone\n";
    assert!(reported(&[DEBUG], script).ends_with(last));
}

/// The idle time is the socket's own, whoever chose it.
#[test]
fn debug_says_of_an_accepted_socket_that_keepalive_is_on_already() {
    let script = "raw_socket AF_INET SOCK_STREAM 0 set SO_KEEPALIVE 1 set TCP_KEEPIDLE 99 listen \
                  raw_socket AF_INET SOCK_STREAM 0 connect accept4";
    assert_eq!(
        reported(&[DEBUG, ("KEEPIDLE", "180")], script).lines().last(),
        Some("libkeepalive[PID]: accept4() = 5: on already, TCP_KEEPIDLE=99")
    );
}

#[test]
fn debug_says_what_force_put_back() {
    let script = "socket AF_INET SOCK_STREAM 0 set SO_KEEPALIVE 0 set SO_KEEPALIVE 1 \
                  set TCP_KEEPIDLE 30 set TCP_KEEPIDLE 180 set TCP_KEEPCNT 5 set TCP_NODELAY 1 \
                  socket AF_UNIX SOCK_STREAM 0 set SO_KEEPALIVE 0";
    let variables = [DEBUG, ("KEEPIDLE", "180"), ("KEEPALIVE", "force")];
    assert_eq!(
        reported(&variables, script),
        "libkeepalive[PID]: socket() = 3: SO_KEEPALIVE=1 TCP_KEEPIDLE=180\n\
         libkeepalive[PID]: setsockopt() of 3: put back SO_KEEPALIVE=1 in place of 0\n\
         libkeepalive[PID]: setsockopt() of 3: put back TCP_KEEPIDLE=180 in place of 30\n\
         libkeepalive[PID]: socket() = 4: not TCP, left alone\n"
    );
    assert_eq!(reported(&variables[..2], script).matches("put back").count(), 0);
    assert_eq!(reported(&variables[1..], script), "");
}

/// Not the number of the process that loaded the library.
#[test]
fn debug_gives_each_process_its_own_number() {
    let script = "socket AF_INET SOCK_STREAM 0 fork socket AF_INET SOCK_STREAM 0";
    let (stdout, stderr) = support::run(&mut preloaded_command(&[DEBUG], script));
    let child = stdout.lines().find_map(|line| line.strip_prefix("fork = ")).expect("a child");
    let [first, second] = stderr.lines().collect::<Vec<_>>()[..] else { panic!("{stderr}") };
    assert_eq!(second, format!("libkeepalive[{child}]: socket() = 4: SO_KEEPALIVE=1"));
    assert!(
        !first.contains(&format!("[{child}]"))
            && first.ends_with("]: socket() = 3: SO_KEEPALIVE=1")
    );
}

#[test]
fn debug_under_skip_without_values_says_that_there_is_nothing_to_set() {
    assert_eq!(
        reported(&[DEBUG, ("KEEPALIVE", "skip")], "socket AF_INET SOCK_STREAM 0"),
        "libkeepalive[PID]: socket() = 3: nothing to set\n"
    );
}

#[test]
#[ignore = "needs a kernel with MPTCP (5.19 for the keepalive options)"]
fn debug_says_which_option_was_refused_and_why() {
    let script = "socket AF_INET SOCK_STREAM IPPROTO_MPTCP";
    assert_eq!(
        reported(&[DEBUG, ("KEEPIDLE", "9"), ("TCP_USER_TIMEOUT", "9")], script),
        "libkeepalive[PID]: socket() = 3: SO_KEEPALIVE=1 TCP_KEEPIDLE=9 \
         TCP_USER_TIMEOUT=9 (refused, errno 92)\n"
    );
}

/// Runs a program whose stderr is a TCP connection to this address; what arrives at the peer.
fn written_to_a_connection(address: &str) -> String {
    let listener = TcpListener::bind(address).expect("a listener");
    let stderr = TcpStream::connect(listener.local_addr().expect("its address")).expect("a peer");
    let (mut peer, _) = listener.accept().expect("a connection");
    let variables = [DEBUG, ("KEEPCNT", "bad")];
    run_with_stderr(preloaded_command(&variables, "socket AF_INET SOCK_STREAM 0"), stderr);
    let mut received = String::new();
    peer.read_to_string(&mut received).expect("the end");
    received
}

/// Under inetd, descriptor 2 is the connection.
#[test]
fn nothing_is_written_to_an_inet_socket() {
    assert_eq!(written_to_a_connection("127.0.0.1:0"), "");
}

#[test]
#[ignore = "needs IPv6 on the loopback interface"]
fn nothing_is_written_to_an_inet6_socket() {
    assert_eq!(written_to_a_connection("[::1]:0"), "");
}

/// Under systemd, descriptor 2 is the journal's socket.
#[test]
fn a_unix_socket_gets_the_report() {
    let (mut journal, stderr) = UnixStream::pair().expect("a pair");
    run_with_stderr(preloaded_command(&[("KEEPALIVE", "bad")], ""), stderr);
    let mut received = String::new();
    journal.read_to_string(&mut received).expect("the end");
    assert_eq!(received, "libkeepalive: KEEPALIVE=bad: not on, off, skip or force; on applies\n");
}

/// The reading and the writing end of a pipe.
fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [-1; 2];
    // SAFETY: there is room for two descriptors.
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    // SAFETY: both are new and nobody else's.
    let own = |fd| unsafe { OwnedFd::from_raw_fd(fd) };
    (own(ends[0]), own(ends[1]))
}

fn set_status_flags(file: &impl AsRawFd, flags: libc::c_int) {
    // SAFETY: no memory is involved.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags) }, 0);
}

#[test]
fn a_pipe_that_nobody_reads_kills_nobody() {
    let (reader, writer) = pipe();
    drop(reader);
    let variables = [DEBUG, ("KEEPCNT", "bad")];
    run_with_stderr(preloaded_command(&variables, "socket AF_INET SOCK_STREAM 0"), writer);
    let (journal, stderr) = UnixStream::pair().expect("a pair");
    drop(journal);
    run_with_stderr(preloaded_command(&variables, "socket AF_INET SOCK_STREAM 0"), stderr);
}

#[test]
fn a_pipe_that_is_full_blocks_nobody() {
    let (_reader, writer) = pipe();
    // Both ends of the full pipe block: it is the fill alone that must not.
    set_status_flags(&writer, libc::O_NONBLOCK);
    let mut writer = File::from(writer);
    while writer.write(&[b' '; 4096]).is_ok() {}
    set_status_flags(&writer, 0);
    let variables = [DEBUG, ("KEEPCNT", "bad")];
    // Set behind timeout(1): with the library in front of it, it would hang as well.
    let mut command = support::bare("timeout");
    command.args(["10", "env"]).args(variables.map(|(name, value)| format!("{name}={value}")));
    command.arg(format!("LD_PRELOAD={}", support::library().display()));
    command.arg(support::host("probe")).args(["socket", "AF_INET", "SOCK_STREAM", "0"]);
    run_with_stderr(command, writer);
}

/// With stderr closed, the first socket of the program *is* descriptor 2.
#[test]
fn nothing_is_written_to_a_socket_that_got_descriptor_2() {
    let listening = "socket AF_INET SOCK_STREAM 0 listen";
    let connecting = "close 2 socket AF_INET SOCK_STREAM 0 connect \
                      socket AF_INET SOCK_DGRAM 0 accept received";
    let script = format!("{listening} {connecting}");

    // Closed by the program itself, and closed before it was started.
    let (shown, _) = support::run(&mut preloaded_command(&settings_and(&[DEBUG]), &script));
    assert!(shown.contains("socket = 2\n") && shown.ends_with("received = 0 bytes\n"), "{shown}");
    let mut command = support::bare("sh");
    let program = support::host("probe");
    let words = format!("exec {} {script} 2>&-", program.display());
    command.args(["-c", &words]).env("LD_PRELOAD", support::library()).envs(settings_and(&[DEBUG]));
    command.env("KEEPCNT", "bad");
    let (shown, stderr) = support::run(&mut command);
    assert!(shown.contains("socket = 2\n") && shown.ends_with("received = 0 bytes\n"), "{shown}");
    // The shell itself was preloaded, and its stderr was open.
    assert_eq!(stderr.matches("KEEPCNT=bad").count(), 1, "{stderr}");
}

#[test]
fn nothing_is_written_to_a_file_that_the_program_put_in_place_of_stderr() {
    let file = support::scratch("stderr");
    let seen = support::inside(&file);
    let script = format!("close 2 open {} socket AF_INET SOCK_STREAM 0", seen.display());
    let shown = support::run(&mut preloaded_command(&settings_and(&[DEBUG]), &script)).0;
    assert!(shown.contains("socket = 3"), "{shown}");
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), "");
    assert_eq!(preloaded(&SETTINGS, &script), probe(&script));
}
