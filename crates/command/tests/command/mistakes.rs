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

/// What is said about this value of an option, which stands behind a blank, or an equals sign.
#[track_caller]
fn said_of(arguments: &str, value: &str) -> String {
    let mut command = keepalive(arguments);
    if arguments.ends_with('=') {
        let (before, option) = arguments.rsplit_once(' ').expect("a verb");
        command = keepalive(before);
        command.arg(format!("{option}{value}"));
    } else {
        command.arg(value);
    }
    let (status, stderr) = failure(command.arg("x"));
    assert_eq!(status, if arguments.starts_with("run") { 125 } else { 2 }, "{stderr}");
    stderr
}

/// Every argument that is a TIME, and which ones it takes.
const TIMES: [(&str, &str, &str); 10] = [
    ("run --dead-after", "--dead-after <TIME>", "from 3s to 20h"),
    ("run --idle", "--idle <TIME>", "from 1s to 32767s"),
    ("attach --interval", "--interval <TIME>", "from 1s to 32767s"),
    ("attach --rto-max", "--rto-max <TIME>", "from 1s to 2m"),
    ("cover --user-timeout", "--user-timeout <TIME>", "from 0s to 2147483647ms"),
    ("cover --user-timeout=", "--user-timeout <TIME>", "from 0s to 2147483647ms"),
    ("show --path-timeout", "--path-timeout <TIME>", "from 1ms to 8760h"),
    ("show --watch=", "--watch[=<TIME>]", "from 100ms to 24h"),
    ("measure --max", "--max <TIME>", "from 5s to 24h"),
    ("measure --max=", "--max <TIME>", "from 5s to 24h"),
];

#[test]
fn a_time_is_refused_in_the_same_words_everywhere() {
    for (arguments, option, accepted) in TIMES {
        let refused = |value: &str, why: &str| {
            let expected = format!(
                "error: invalid value '{value}' for '{option}': {why}\n\n\
                 For more information, try '--help'.\n"
            );
            assert_eq!(said_of(arguments, value), expected, "{arguments}");
        };
        for value in ["5x", "-1", "-1s", "+5", "1h30", "5 5", "m", "abc"] {
            refused(value, "not a time, which is written 90, 90s, 5m or 1h30m");
        }
        refused("", "not a time, which is written 90, 90s, 5m or 1h30m");
        for value in ["99999999999", "99999999999999999999", "99999999999999999h"] {
            refused(value, &format!("not a time {accepted}"));
        }
    }
    // The kernel counts seconds there, and milliseconds.
    for (arguments, value, unit) in [
        ("run --idle", "1500ms", "seconds"),
        ("run --interval", "2s 1ms", "seconds"),
        ("run --rto-max", "1500ms 1us", "milliseconds"),
        ("run --user-timeout", "1001us", "milliseconds"),
    ] {
        let said = said_of(arguments, value);
        assert!(said.contains(&format!("': not a time in whole {unit}\n")), "{said}");
    }
}

/// Every argument that is a number.
#[test]
fn a_number_is_refused_in_the_same_words_everywhere() {
    for (arguments, option, accepted) in [
        ("run --count", "--count <N>", "from 1 to 127"),
        ("cover --syn-count", "--syn-count <N>", "from 1 to 127"),
        ("attach --port", "--port <PORT>", "from 1 to 65535"),
        ("show --port=", "--port <PORT>", "from 1 to 65535"),
        ("measure --resolution", "--resolution <PERCENT>", "from 1 to 50"),
        ("measure --parallel", "--parallel <N>", "from 6 to 100"),
        ("measure --listen", "--listen <[ADDRESS:]PORT>", "from 1 to 65535"),
    ] {
        for value in ["0", "-1", "+9", "9.5", "70000", "99999999999999999999", "http", "9 "] {
            let expected = format!(
                "error: invalid value '{value}' for '{option}': not a whole number {accepted}\n\n\
                 For more information, try '--help'.\n"
            );
            assert_eq!(said_of(arguments, value), expected, "{arguments}");
        }
    }
}

#[test]
fn what_measure_cannot_use_is_refused_by_its_name() {
    for (arguments, accepted) in [
        ("measure example.com", "the port is missing, as in example.com:443"),
        ("measure 2001:db8::1:443", "an IPv6 address is written [2001:db8::1]:443"),
        ("measure ::1:80", "an IPv6 address is written [2001:db8::1]:443"),
        ("measure [::1:80", "an IPv6 address is written [2001:db8::1]:443"),
        ("measure [::1]", "the port is missing, as in example.com:443"),
        ("measure a:http", "'[HOST:PORT]': the port is not a whole number from 1 to 65535"),
        ("measure a:65536", "the port is not a whole number from 1 to 65535"),
        ("measure a:0", "the port is not a whole number from 1 to 65535"),
        ("measure --max 4s a:1", "not a time from 5s to 24h"),
        ("measure --max 2M a:1", "minutes are written 2m"),
        ("measure --send \\q a:1", "after a backslash stands r, n, t, a backslash or xNN"),
        ("measure --listen host:1", "not [ADDRESS:]PORT with an IP address"),
        ("measure --listen 1 a:1", "cannot be used with"),
        ("measure", "<HOST:PORT>"),
    ] {
        let said = said(arguments);
        assert!(said.contains(accepted), "{arguments}: {said}");
    }
}

/// No number of an error stands in what is said: that is for programs.
#[test]
fn an_error_of_the_system_is_told_in_words() {
    let full = || std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let mut show = keepalive("show");
    show.stdout(full());
    let mut help = keepalive("--help");
    help.stdout(full());
    for (command, words) in [
        (&mut keepalive("measure --listen 192.0.2.1:7"), ": 192.0.2.1:7: Cannot assign requested"),
        (&mut keepalive("measure no-such-host.invalid:7"), ": no-such-host.invalid:7: "),
        (&mut show, "keepalive: stdout: No space left on device\n"),
        (&mut help, "keepalive: stdout: No space left on device\n"),
        (&mut keepalive("run --library / true"), "keepalive: the library /: not a regular file\n"),
        (&mut keepalive("run --library Cargo.toml/x true"), "Cargo.toml/x: Not a directory\n"),
        (&mut keepalive_run("Cargo.toml/x"), "keepalive: Cargo.toml/x: Not a directory\n"),
    ] {
        let (_, stderr) = failure(command);
        assert!(stderr.contains(words), "{stderr}");
        assert!(!stderr.contains("os error") && !stderr.contains("lookup address"), "{stderr}");
    }
    // Nobody listens on a port that was somebody's a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let output = support::finish(&mut keepalive(&format!("measure {address}")));
    let (stdout, _) = support::texts(&output);
    assert_eq!(stdout, format!("{address}: cannot be reached: Connection refused\n"));
}

/// What would be ignored is refused.
#[test]
fn settings_are_not_given_to_what_sets_nothing() {
    for how in ["--remove", "--list"] {
        for setting in [
            "--dead-after 2m",
            "--idle 60",
            "--interval 60",
            "--count 5",
            "--rto-max 2s",
            "--syn-count 5",
            "--user-timeout 5s",
            "--force",
            "--skip",
        ] {
            let said = said(&format!("cover {how} {setting} x.service"));
            let option = setting.split(' ').next().expect("a name");
            let [first, second] = [how, option].map(|option| said.find(&format!("'{option}")));
            assert!(first.is_some() && second.is_some(), "{said}");
            assert!(said.contains("' cannot be used with '--"), "{said}");
        }
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
