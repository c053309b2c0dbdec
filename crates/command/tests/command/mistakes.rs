//! What the command says about arguments that it cannot use: each answer says what to do.

use std::path::Path;
use std::process::Command;

use crate::support;
use crate::{failure, keepalive, keepalive_run};

/// What is said about these arguments, on a terminal or not.
#[track_caller]
fn said(arguments: &str) -> String {
    let (status, stderr) = failure(&mut keepalive(arguments));
    assert_eq!(status, if arguments.starts_with("run") { 125 } else { 2 }, "{stderr}");
    stderr
}

#[test]
fn a_month_is_not_a_minute() {
    for (arguments, written) in [
        ("run --dead-after 2M true", "2m"),
        ("run --idle 1M true", "1m"),
        ("attach --user-timeout 1M x", "1m"),
        ("run --interval 1h30M true", "1h30m"),
    ] {
        let said = said(arguments);
        assert!(said.contains(&format!("M is months, minutes are written {written}")), "{said}");
    }
}

#[test]
fn a_port_is_a_number() {
    for port in ["http", "0", "65536", "-1", ""] {
        let mut command = keepalive("attach x");
        let (status, stderr) = failure(command.arg(format!("--port={port}")));
        assert!(status == 2 && stderr.contains("not a number from 1 to 65535"), "{stderr}");
    }
}

#[test]
fn what_probe_cannot_use_is_refused_by_its_name() {
    for (arguments, accepted) in [
        ("probe example.com", "the port is missing, as in example.com:443"),
        ("probe 2001:db8::1:443", "an IPv6 address is written [2001:db8::1]:443"),
        ("probe ::1:80", "an IPv6 address is written [2001:db8::1]:443"),
        ("probe [::1:80", "an IPv6 address is written [2001:db8::1]:443"),
        ("probe [::1]", "the port is missing, as in example.com:443"),
        ("probe a:http", "invalid value 'a:http' for '[HOST:PORT]': not a port from 1 to 65535"),
        ("probe a:65536", "not a port from 1 to 65535"),
        ("probe a:0", "not a port from 1 to 65535"),
        ("probe --max 4s a:1", "not from 5 s to 24 h"),
        ("probe --max 2M a:1", "minutes are written 2m"),
        ("probe --resolution 0 a:1", "0 is not in 1..=50"),
        ("probe --parallel 5 a:1", "5 is not in 6..=100"),
        ("probe --send \\q a:1", "after a backslash stands r, n, t, a backslash or xNN"),
        ("probe --listen host:1", "not [ADDRESS:]PORT with an IP address"),
        ("probe --listen 1 a:1", "cannot be used with"),
        ("probe", "<HOST:PORT>"),
    ] {
        let said = said(arguments);
        assert!(said.contains(accepted), "{arguments}: {said}");
    }
}

#[test]
fn a_long_option_with_one_dash_is_recognised() {
    for (arguments, option) in [
        ("run -dead-after 2m true", "--dead-after"),
        ("run -dead-after=2m true", "--dead-after"),
        ("run -idle 5 true", "--idle"),
        ("run -verbose true", "--verbose"),
        ("attach -dead-after 2m x", "--dead-after"),
        ("attach -port 80 x", "--port"),
        ("show -json", "--json"),
    ] {
        let said = said(arguments);
        assert!(said.contains(&format!("tip: write '{option}'")), "{said}");
        assert!(!said.contains("-- -"), "{said}");
    }
    // What is no option of ours gets no such advice, nor do options of the program.
    assert!(!said("run -nonsense true").contains("tip: write"));
    assert!(!said("run --nonsense true -idle").contains("tip: write"));
}

#[test]
fn a_shell_s_command_line_gets_a_hint() {
    for line in ["a | b", "echo hello", "a;b", "a&&b", "A=1", "$HOME/x", "ls *", "~/x", "a>b"] {
        let (status, stderr) = failure(keepalive_run("").arg(line));
        assert_eq!(status, 127, "{stderr}");
        assert!(stderr.contains(": no such program\n"), "{stderr}");
        assert!(stderr.contains("keepalive run sh -c 'COMMAND LINE'"), "{line}: {stderr}");
    }
    let (_, stderr) = failure(keepalive_run("").arg("no-such_program+1.2"));
    assert!(!stderr.contains("sh -c"), "{stderr}");
}

#[test]
fn a_library_that_is_not_this_one_is_refused() {
    // It has all the functions.
    let text = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let libc = text.lines().filter_map(|line| line.split_whitespace().last());
    let libc = libc.into_iter().find(|path| path.ends_with("/libc.so.6")).expect("glibc");
    let (status, stderr) = failure(keepalive("run --library").arg(libc).arg("true"));
    assert_eq!(status, 125, "{stderr}");
    assert!(stderr.contains(&format!("{libc}: another library")), "{stderr}");
    // Nor is one of the name that has only some of them: libkeepalive 0.3 hooks socket(2) alone.
    let directory = support::scratch("older");
    std::fs::create_dir(&directory).expect("a directory");
    let library = directory.join("libkeepalive.so");
    let source = directory.join("older.c");
    std::fs::write(&source, "int socket(int a, int b, int c) { return a + b + c; }\n")
        .expect("written");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-Wl,-soname,libkeepalive.so.0", "-o"]).arg(&library).arg(source);
    support::run(&mut cc);
    let (status, stderr) = failure(keepalive("run --library").arg(&library).arg("true"));
    assert_eq!(status, 125, "{stderr}");
    assert!(stderr.contains("another release: libkeepalive 0.3"), "{stderr}");
}

#[test]
fn what_is_echoed_cannot_command_a_terminal() {
    let command = env!("CARGO_BIN_EXE_keepalive");
    let library = support::built_library();
    for line in [
        r"run --$'\e[31m\x9b31m' true",
        r"run --idle $'5\e[31m' true",
        r"attach --remote $'\e[31m' x",
        r"$'\e[31m'",
        r"run $'-\e[31m' true",
        r"run --library $'/\e[31m' true",
        r"run --library LIBRARY $'\e[31m'",
    ] {
        let line = line.replace("LIBRARY", library.to_str().expect("UTF-8"));
        assert!(Path::new("/bin/bash").exists());
        // script(1) gives it a terminal.
        let mut script = support::bare("script");
        script.args([
            "-qec",
            &format!("exec bash -c \"{command} {}\"", line.replace('$', "\\$")),
            "/dev/null",
        ]);
        script.env("SHELL", "/bin/bash").env("TERM", "xterm");
        for name in ["CI", "NO_COLOR", "CLICOLOR"] {
            script.env_remove(name);
        }
        let (stdout, _) = support::texts(&support::finish(&mut script));
        assert!(stdout.contains("[31m"), "nothing is echoed: {stdout:?}");
        let plain = stdout.replace("\u{1b}[1m\u{1b}[31merror:\u{1b}[0m", "error:");
        assert!(!plain.contains("\u{1b}[31m"), "{line}: {stdout:?}");
    }
}
