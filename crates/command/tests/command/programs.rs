//! What the sockets of programs end up with that no preload reaches, under `run` and `attach --follow`.
//! The table is the second of docs/programs.md, and the test fails when that differs.
//! `KEEPALIVE_TEST_WRITE_DOCUMENTS=1` writes it.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::follow::Follower;
use crate::support::document::{self, Part};
use crate::support::outside::{State, Values, tcp_sockets};
use crate::support::{self, bare, host};
use crate::targets::go_program;
use crate::{PublicDirectory, Target, as_ordinary_user, musl_program};

const PART: Part = Part { document: "programs.md", by: "the test programs" };

/// As in the first table.
const SETTINGS: &str = "--idle 180 --interval 60 --count 20 --user-timeout 23m";

/// Longer than a look and the pause before it.
const A_LOOK: Duration = Duration::from_secs(3);

/// How long a busy machine may take for the rest.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is done so that the sockets get what they get.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Nothing,
    Run(&'static str),
    Attach(&'static str),
}

/// The columns.
const WAYS: [(&str, By); 5] = [
    ("nothing", By::Nothing),
    ("`run`", By::Run("")),
    ("`run --follow`", By::Run("--follow")),
    ("`attach --follow`", By::Attach("")),
    ("`attach --follow --force`", By::Attach("--force")),
];

/// A row: a program like tests/hosts/target.c.
struct Row {
    name: &'static str,
    program: PathBuf,
    arguments: &'static [&'static str],
    /// Whether an ordinary user starts it. The follower is root's.
    is_nobodys: bool,
    /// Whether it is there before the command.
    runs_already: bool,
}

fn rows(directory: &PublicDirectory) -> Vec<Row> {
    let musl = musl_program("target");
    let go = go_program();
    let setuid = directory.copy(host("target"));
    // (Root owns the copy.)
    std::fs::set_permissions(&setuid, Permissions::from_mode(0o4755)).expect("its mode");
    let row = |name, program: &Path, arguments| Row {
        name,
        program: program.into(),
        arguments,
        is_nobodys: false,
        runs_already: false,
    };
    vec![
        row("C, static (musl)", &musl, &[]),
        row("Go, static, keepalive off in its Dialer", &go, &[]),
        row("Go, static, its default Dialer", &go, &["default"]),
        row("C, sockets made and connected by io_uring", &host("io_uring"), &[]),
        Row { runs_already: true, ..row("C, running already", &host("target"), &[]) },
        Row { is_nobodys: true, ..row("C, setuid root, started by another user", &setuid, &[]) },
    ]
}

/// Starts the program; the cell of the table. What it has at once and what it opens later is to
/// end up with the same. `expected` is what the cell had before.
fn cell(row: &Row, by: By, command: &Path, library: &Path, expected: &str) -> String {
    let mut start = match by {
        By::Run(_) if row.runs_already => return "–".into(),
        By::Run(more) => {
            let mut run = bare(command);
            run.arg("run").args(more.split_whitespace()).args(SETTINGS.split(' '));
            run.arg("--library").arg(library).arg(&row.program);
            run
        }
        By::Nothing | By::Attach(_) => bare(&row.program),
    };
    start.args(row.arguments);
    if row.is_nobodys {
        as_ordinary_user(&mut start);
    }
    if matches!(by, By::Run(_)) && is_refused(&mut start) {
        return "refused".into();
    }
    let mut target = Target::start(&mut start);
    let _follower = match by {
        By::Attach(more) => {
            let mut follow = bare(command);
            follow.args(["attach", "--follow"]).args(more.split_whitespace());
            follow.args(SETTINGS.split(' ')).arg(target.pid().to_string());
            Some(Follower::start(&mut follow))
        }
        _ => None,
    };
    std::thread::sleep(A_LOOK);
    target.ask("connect");
    std::thread::sleep(A_LOOK);
    let until = Instant::now() + PATIENCE;
    loop {
        let found =
            clients(&target).iter().map(Values::to_string).collect::<Vec<_>>().join(" and ");
        if found == expected
            || Instant::now() > until
            || expected.is_empty() && !found.contains(" and ")
        {
            return found;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Whether `run` refuses to start this.
fn is_refused(run: &mut Command) -> bool {
    // At the end of its input a program ends.
    let output = run.stdin(Stdio::null()).output().expect("it starts");
    output.status.code() == Some(125)
}

/// What its sockets have that are connected to its port.
fn clients(target: &Target) -> BTreeSet<Values> {
    let is_client = |address: std::net::SocketAddr| address.port() == target.port;
    let mut sockets = tcp_sockets(target.pid());
    sockets.retain(|it| it.state == State::Established && it.remote.is_some_and(is_client));
    assert_eq!(sockets.len(), 2);
    sockets.into_iter().map(|socket| socket.values).collect()
}

/// A line of the table.
fn line(cells: impl IntoIterator<Item = String>) -> String {
    format!("| {} |\n", cells.into_iter().collect::<Vec<_>>().join(" | "))
}

#[test]
#[ignore = "needs root, go and musl-gcc (Debian: golang-go musl-tools)"]
fn the_table_of_programs_that_no_preload_reaches_is_up_to_date() {
    let directory = PublicDirectory::new("programs");
    let command = directory.copy(env!("CARGO_BIN_EXE_keepalive"));
    let library = directory.copy(support::built_library());
    let documented = if document::is_to_be_written() { String::new() } else { PART.read() };
    let expected = |row: &Row, column: usize| {
        let line = documented.lines().find(|line| line.starts_with(&format!("| {} |", row.name)));
        let cell = line.and_then(|line| line.split(" | ").nth(1 + column));
        cell.map_or(String::new(), |cell| cell.trim_end_matches(" |").into())
    };
    let head = ["program"].into_iter().chain(WAYS.map(|(name, _)| name));
    let mut found = line(head.map(String::from)) + &line(vec!["---".into(); 1 + WAYS.len()]);
    let rows = rows(&directory);
    // Most of it is waiting.
    std::thread::scope(|scope| {
        let cells: Vec<Vec<_>> = rows
            .iter()
            .map(|row| {
                let run = |(column, (_, by)): (usize, (_, By))| {
                    let (expected, command, library) = (expected(row, column), &command, &library);
                    scope.spawn(move || cell(row, by, command, library, &expected))
                };
                WAYS.into_iter().enumerate().map(run).collect()
            })
            .collect();
        for (row, cells) in rows.iter().zip(cells) {
            let cells = cells.into_iter().map(|cell| cell.join().expect("no panic"));
            found += &line([row.name.to_owned()].into_iter().chain(cells));
        }
    });
    println!("{found}");
    if document::is_to_be_written() {
        PART.write(&found);
    }
    let documented = PART.read();
    let changed = document::diff(&documented, &found);
    assert!(documented == found, "docs/programs.md differs (- it has, + was seen):\n{changed}");
}
