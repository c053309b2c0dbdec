//! Processes by the names that an operator would try; what matches nothing gets a hint.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::support::markdown::{quoted, read, rows};
use crate::support::{self, bare, run, stdout};
use crate::{Target, c_target, failure, keepalive, source};

/// Which of these processes are found by a name.
fn found(name: &str, targets: &[&Target]) -> Vec<usize> {
    let output = support::finish(&mut keepalive(&format!("attach --dry-run --idle 60 {name}")));
    let (said, _) = support::texts(&output);
    let is_found = |index: &usize| said.contains(&format!("({}): ", targets[*index].pid()));
    (0..targets.len()).filter(is_found).collect()
}

/// tests/hosts/Target.java as a class, and in a jar.
fn classes() -> std::path::PathBuf {
    let directory = support::scratch("classes");
    std::fs::create_dir(&directory).expect("a directory");
    run(Command::new("javac").arg("-d").arg(&directory).arg(source("Target.java")));
    let mut jar = Command::new("jar");
    jar.current_dir(&directory).args([
        "--create",
        "--file=some-app.jar",
        "--main-class=Target",
        ".",
    ]);
    run(&mut jar);
    directory
}

#[test]
#[ignore = "needs java, javac and jar (Debian: openjdk-17-jdk-headless)"]
fn two_java_programs_are_told_apart() {
    let directory = classes();
    let java = |arguments: &[&str]| {
        let mut command = bare("java");
        command.current_dir(&directory).args(["-Xmx32m"]).args(arguments);
        Target::start(&mut command)
    };
    let long = format!("{}:.", "/a/class/path/that/is/long.jar:".repeat(300));
    let class = java(&["-cp", &long, "Target"]);
    let jar = java(&["-jar", "some-app.jar", "nio"]);
    let targets = [&class, &jar];
    for (name, expected) in
        [("Target", vec![0]), ("some-app.jar", vec![1]), ("java", vec![0, 1]), ("nio", vec![])]
    {
        assert_eq!(found(name, &targets), expected, "{name}");
    }
    let text = stdout(&mut keepalive("show"));
    let line = |target: &Target| {
        let pid = target.pid().to_string();
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(&pid));
        line.unwrap_or_else(|| panic!("{text}"))
    };
    assert!(line(&class).ends_with("  java … Target"), "{text}");
    assert!(line(&jar).ends_with("  java … some-app.jar nio"), "{text}");
}

#[test]
#[ignore = "needs /usr/bin/python3"]
fn a_script_is_found_by_its_name_and_so_is_a_module() {
    let directory = support::scratch("scripts");
    std::fs::create_dir(&directory).expect("a directory");
    for name in ["some-broker.py", "some_module.py"] {
        std::fs::copy(source("target.py"), directory.join(name)).expect("a copy");
    }
    let python = |arguments: &[&str]| {
        let mut command = bare("/usr/bin/python3");
        command.current_dir(&directory).args(["-u", "-W", "ignore"]).args(arguments);
        Target::start(&mut command)
    };
    let script = python(&["./some-broker.py"]);
    let module = python(&["-m", "some_module"]);
    let targets = [&script, &module];
    for (name, expected) in [
        ("some-broker.py", vec![0]),
        ("some_module", vec![1]),
        ("python3", vec![0, 1]),
        ("ignore", vec![]),
        ("some-broker", vec![]),
    ] {
        assert_eq!(found(name, &targets), expected, "{name}");
    }
    // By the kernel's name, if it is started as a program.
    let program = directory.join("some-program");
    std::fs::write(
        &program,
        ["#!/usr/bin/python3\n".into(), std::fs::read(source("target.py")).expect("it")].concat(),
    )
    .expect("written");
    support::run(Command::new("chmod").arg("+x").arg(&program));
    let program = Target::start(&mut bare(program));
    assert_eq!(found("some-program", &[&program]), [0]);
}

#[test]
fn what_matches_nothing_gets_the_nearest_name() {
    let directory = support::scratch("nearest");
    std::fs::create_dir(&directory).expect("a directory");
    let program = directory.join("quizzical-daemon");
    support::copy_program(support::host("target"), &program);
    let _target = Target::start(&mut bare(&program));
    for name in ["quizical-daemon", "quizzical", "Quizzical-Daemon"] {
        for verb in ["show", "attach --idle 60"] {
            let (status, stderr) = failure(&mut keepalive(&format!("{verb} {name}")));
            let hint = format!(
                "keepalive: {name}: no process has this name; the nearest is quizzical-daemon \
                 (`keepalive show` alone shows what there is)\n"
            );
            assert_eq!((status, stderr), (1, hint));
        }
    }
}

/// `--port` and `--remote` select as those of `attach` do.
#[test]
fn the_sockets_shown_are_selected_by_port_and_network() {
    let mut target = c_target();
    let peer = target.connect();
    let port = peer.local_addr().expect("an address").port();
    let pid = target.pid();
    let fds = |arguments: &str| {
        let text = stdout(&mut keepalive(&format!("show --json {arguments} {pid}")));
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let sockets = document["processes"][0]["sockets"].as_array().expect("known").clone();
        sockets.iter().map(|socket| socket["descriptors"][0].as_i64()).collect::<Vec<_>>()
    };
    let all = fds("");
    assert_eq!(all.len(), 3);
    assert_eq!(fds(&format!("--port {port}")), [all[2]]);
    assert_eq!(fds(&format!("--all --port {}", target.port)).len(), 4);
    assert_eq!(fds("--all --remote 127.0.0.0/8").len(), 3);
    assert_eq!(fds("--remote 10.0.0.0/8").len(), 0);
    // A process that only listens on the port is in the overview, one with other ports is not.
    let other = c_target();
    let text = stdout(&mut keepalive(&format!("show --port {}", target.port)));
    let has = |target: &Target| {
        let pid = target.pid().to_string();
        text.lines().any(|line| line.split_whitespace().next() == Some(&pid))
    };
    assert!(has(&target) && !has(&other), "{text}");
}

/// A program that only listens.
#[test]
#[ignore = "needs /usr/bin/python3"]
fn a_process_that_only_listens_is_shown() {
    let program = "import socket, time; s = socket.create_server(('', 0)); \
                   print('ready', s.getsockname()[1], flush=True); time.sleep(99)";
    let target = Target::start(bare("/usr/bin/python3").args(["-c", program]));
    let text = stdout(&mut keepalive("show"));
    let pid = target.pid().to_string();
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(&pid));
    let port = format!(" {} ", target.port);
    assert!(line.is_some_and(|line| line.contains(&port)), "{text}");
}

/// docs/show.schema.json describes every document, and no other.
#[test]
#[ignore = "needs python3-jsonschema"]
fn json_is_what_its_schema_says() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/show.schema.json");
    let target = c_target();
    let directory = support::scratch("documents");
    std::fs::create_dir(&directory).expect("a directory");
    let snapshot = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/show/snapshots/json.txt");
    let made_up = std::fs::read_to_string(snapshot).expect("text");
    let mut documents = vec![made_up.clone()];
    for arguments in [String::new(), format!("--all {}", target.pid()), format!("{}", target.pid())]
    {
        documents.push(stdout(&mut keepalive(&format!("show --json {arguments}"))));
    }
    let is_valid = |document: &str| {
        let path = directory.join("document.json");
        std::fs::write(&path, document).expect("written");
        let check = "import json, sys, jsonschema; \
                     jsonschema.Draft202012Validator.check_schema(json.load(open(sys.argv[1]))); \
                     jsonschema.Draft202012Validator(json.load(open(sys.argv[1])))\
                     .validate(json.load(open(sys.argv[2])))";
        let mut python = bare("/usr/bin/python3");
        let output = support::finish(python.args(["-c", check]).arg(&schema).arg(path));
        let (_, stderr) = support::texts(&output);
        (output.status.success(), stderr)
    };
    for document in documents {
        let (is_valid, stderr) = is_valid(&document);
        assert!(is_valid, "{stderr}{document}");
    }
    for (from, to) in [
        ("\"inode\"", "\"other\""),
        ("\"tcp\"", "\"udp\""),
        ("\"version\": 1", "\"version\": 2"),
        ("\"count\": 9", "\"count\": -9"),
    ] {
        assert!(made_up.contains(from), "{from}");
        assert!(!is_valid(&made_up.replace(from, to)).0, "{from} as {to}");
    }
}

/// docs/command.md has the fields of the schema and no others, and the manual page has them, too.
#[test]
fn every_field_of_the_json_is_explained() {
    let schema = read("docs/show.schema.json").expect("text");
    let mut schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    let fields = |schema: &serde_json::Value| {
        let mut fields = Vec::new();
        properties(schema, &mut fields);
        fields.into_iter().collect::<BTreeSet<_>>()
    };
    let manual = read("crates/command/src/show/manual.txt").expect("text");
    let words = manual.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    let words: BTreeSet<_> = words.collect();
    for field in fields(&schema) {
        assert!(words.contains(&*field), "{field}");
    }
    let cover = schema["$defs"]["cover"].take();
    assert_eq!(explained("## JSON"), fields(&schema));
    let mut of_list = fields(&cover);
    of_list.insert("version".into());
    assert_eq!(explained("## Covering"), of_list);
}

/// The fields in a section of docs/command.md.
fn explained(section: &str) -> BTreeSet<String> {
    let rows = rows("docs/command.md", section, "field");
    let names = rows.iter().flat_map(|row| {
        // An object's own fields are in the cell beside it; what they may be is in brackets.
        let own = row[2].split_inclusive(['(', ')']).filter(|part| !part.ends_with(')'));
        let own = if row[1] == "object" { own.collect() } else { String::new() };
        [quoted(&row[0]), quoted(&own)].concat()
    });
    let last =
        |path: &str| path.trim_end_matches("[]").rsplit(['.', '…']).next().map(str::to_owned);
    names.filter_map(|(_, path)| last(&path)).collect()
}

/// The names of all properties in a schema.
fn properties(schema: &serde_json::Value, names: &mut Vec<String>) {
    if let Some(all) = schema["properties"].as_object() {
        names.extend(all.keys().cloned());
    }
    match schema {
        serde_json::Value::Object(all) => all.values().for_each(|it| properties(it, names)),
        serde_json::Value::Array(all) => all.iter().for_each(|it| properties(it, names)),
        _ => {}
    }
}
