//! Tables that list what there is have all of it, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use crate::markdown::{self, entries, quoted, read, root, rows};

/// The paths in back quotes of a cell. Those behind the first may be beside it.
fn paths(cell: &str) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    for (_, name) in quoted(cell) {
        let directory = paths.first().and_then(|first| Path::new(first).parent());
        let beside = directory.map(|it| it.join(&name)).filter(|it| root().join(it).exists());
        paths.push(beside.map_or(name, |it| it.to_str().expect("UTF-8").into()));
    }
    paths
}

/// What is in a directory, by its path in the repository.
fn inside(directory: &str) -> impl Iterator<Item = String> {
    entries(directory).into_iter().map(move |name| format!("{directory}/{name}"))
}

fn set<T: Into<String>>(names: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    names.into_iter().map(Into::into).collect()
}

/// CONTRIBUTING.md, *Where things are*.
#[test]
fn contributing_says_where_everything_is() {
    let table = rows("CONTRIBUTING.md", "## Where things are", "where");
    let named: Vec<_> = table.iter().flat_map(|row| paths(&row[0])).collect();
    for path in &named {
        assert!(root().join(path).exists(), "there is no {path}");
    }
    let is_named = |path: &str| named.iter().any(|it| Path::new(it).starts_with(path));
    // The head of a package needs no row, and scripts have a table of their own.
    let is_known = |path: &str| ["/lib.rs", "/main.rs", ".sh"].iter().any(|it| path.ends_with(it));
    for path in ["src", "crates", "crates/command/src", "tests"].into_iter().flat_map(inside) {
        assert!(is_known(&path) || is_named(&path), "CONTRIBUTING.md does not have {path}");
    }
}

/// CONTRIBUTING.md, *Build and test*: what is started as root, or takes long.
#[test]
fn contributing_has_every_script_and_only_tests_that_exist() {
    let text = read("CONTRIBUTING.md").expect("the document");
    let commands: Vec<_> = rows("CONTRIBUTING.md", "## Build and test", "as root, on Debian 12")
        .iter()
        .flat_map(|row| quoted(&row[0]))
        .map(|(_, command)| command)
        .collect();
    for path in ["tests", "tests/systems", "tests/third_party"].into_iter().flat_map(inside) {
        let is_script = read(&path).is_some_and(|text| text.starts_with("#!"));
        let is_named = commands.iter().any(|it| it.split(' ').next() == Some(&path));
        let is_in_text = text.contains(&format!("`{path}`"));
        assert!(!is_script || is_named || is_in_text, "CONTRIBUTING.md does not have {path}");
    }
    let writers = rows("CONTRIBUTING.md", "## Build and test", "document");
    let writers = writers.iter().flat_map(|row| quoted(&row[1])).map(|(_, command)| command);
    for command in commands.into_iter().chain(writers) {
        let mut words = command.split(' ').skip_while(|word| *word != "--test");
        if let Some(test) = words.nth(1) {
            let places = [format!("tests/{test}"), format!("crates/command/tests/{test}")];
            assert!(places.iter().any(|it| root().join(it).is_dir()), "there is no test {test}");
        }
    }
}

/// CONTRIBUTING.md has who writes what is written, and what each document is for.
#[test]
fn contributing_has_every_document() {
    let all = rows("CONTRIBUTING.md", "## Build and test", "document");
    let firsts: Vec<_> = all.iter().map(|row| &*row[0]).collect();
    for document in markdown::documents().iter().filter(|it| it.starts_with("docs/")) {
        let named = firsts.iter().filter(|it| it.split(", ").any(|it| it == document)).count();
        let is_written = read(document).is_some_and(|it| it.contains("\n<!-- Written by "));
        let expected = if is_written { 2 } else { 1 };
        assert!(named >= expected, "CONTRIBUTING.md has {document} {named} times, not {expected}");
    }
}

/// CONTRIBUTING.md, *The packages that the command uses*.
#[test]
fn contributing_has_a_reason_for_every_package() {
    let manifest = read("crates/command/Cargo.toml").expect("the manifest");
    let dependencies = ["dependencies", "dev-dependencies"].map(|kind| {
        let (_, rest) = manifest.split_once(&format!("\n[{kind}]\n")).expect("the section");
        let lines = rest.split("\n[").next().unwrap_or_default().lines();
        lines.filter_map(|line| Some(line.split_once(" = ")?.0)).collect::<Vec<_>>()
    });
    let mut listed: Vec<String> = Vec::new();
    for row in rows("CONTRIBUTING.md", "## The packages that the command uses", "package") {
        let names = row[0].strip_suffix(" (tests)").unwrap_or(&row[0]);
        listed.extend(names.split(", ").map(str::to_owned));
    }
    // Of the project itself.
    let dependencies = dependencies.concat().into_iter().filter(|name| *name != "options");
    assert_eq!(set(listed), set(dependencies));
}

/// docs/promises.md, *Situations*: the programs are there and a test runs each.
#[test]
fn every_situation_has_its_program() {
    let table = rows("docs/promises.md", "## Situations", "situation");
    let names = table.iter().flat_map(|row| quoted(&row[0])).map(|(_, name)| name);
    let named = set(names.filter(|name| name.ends_with(".c") || name.ends_with(".cc")));
    let suites = ["tests/black_box", "tests/hostile"].into_iter().flat_map(inside);
    let tests: String = suites.filter_map(|file| read(&file)).collect();
    for program in &named {
        assert!(root().join("tests/hosts").join(program).exists(), "there is no {program}");
        let stem = program.split('.').next().unwrap_or_default();
        assert!(tests.contains(&format!("\"{stem}\"")), "no test runs {program}");
    }
    assert!(named.len() > 12, "{named:?}");
}

/// docs/promises.md, *Where*: the systems are those that the scripts make.
#[test]
fn the_systems_are_those_of_the_scripts() {
    let script = read("tests/systems/everywhere.sh").expect("the script");
    let says = |name: &str, what: &str| {
        let line = script.lines().find(|line| line.starts_with(&format!("#   {name} ")));
        line.is_some_and(|line| line.contains(what))
    };
    for row in rows("docs/promises.md", "## Where", "system") {
        let (system, library) = (&row[0], &row[1]);
        let found = match &**system {
            "Debian 12, x86-64" => says("native", "this machine"),
            "Debian 12, x86-64, musl-tools" => says("musl", "musl"),
            "Debian 11, x86-64" => says("bullseye", &format!("Debian 11, {library}")),
            "Debian 13, x86-64" => says("trixie", &format!("Debian 13, {library}")),
            "Debian 12, i386" => says("i386", "on Debian 12"),
            "Debian 12, aarch64 under qemu-user 7.2" => says("aarch64", "on Debian 12 under qemu"),
            other => panic!("{other}: no script makes it"),
        };
        assert!(found, "tests/systems/everywhere.sh has not {system}, {library}");
    }
}

/// docs/promises.md: the commands, and other projects' suites.
#[test]
fn the_commands_and_the_suites_of_the_promises_are_there() {
    for row in rows("docs/promises.md", "## The commands", "command") {
        let command = &quoted(&row[0])[0].1;
        let (script, arguments) = command.split_once(' ').unwrap_or((command, ""));
        let text = read(script).unwrap_or_else(|| panic!("there is no {script}"));
        for argument in arguments.split_whitespace() {
            assert!(text.contains(&format!(" {argument}")), "{script} has no {argument}");
        }
    }
    let script = read("tests/third_party/compare.py").expect("the script");
    let suites = rows("docs/promises.md", "## Other projects' suites", "suite");
    for (row, words) in suites.iter().zip(["libpython3.11-testsuite", "tokio"]) {
        assert!(script.contains(words), "{}", row[0]);
    }
    let expected = script.matches("    (\"tokio\", ").count();
    assert_eq!((expected, &*suites[0][1], &*suites[1][1]), (1, "none", "one, expected"));
}

/// docs/recipes.md: the first table has every recipe, in their order, and what each says to type.
#[test]
fn every_recipe_is_in_the_first_table() {
    let text = read("docs/recipes.md").expect("the document");
    let table = &markdown::tables(&text)[0];
    let (recipes, _) = text.split_once("\n## How to see that it works\n").expect("what follows");
    let recipes: Vec<_> = recipes.split("\n## ").skip(1).collect();
    assert_eq!(table.lines.len(), 2 + recipes.len());
    for (row, recipe) in table.lines[2..].iter().zip(recipes) {
        let (_, link) = row[0].split_once("](#").expect("a link");
        let heading = recipe.lines().next().unwrap_or_default();
        assert_eq!(link.split(')').next(), Some(&*crate::links::anchor(heading)));
        for (_, command) in quoted(&row[1]) {
            assert!(recipe.contains(&command), "{heading}: it does not say {command}");
        }
    }
}

/// examples/monitoring/README.md has every file beside it.
#[test]
fn every_example_for_monitoring_is_listed() {
    let document = "examples/monitoring/README.md";
    let table = &markdown::tables(&read(document).expect("the document"))[0];
    let cells = table.lines[2..].iter().flat_map(|row| row[0].split(", "));
    let listed = cells.map(|cell| cell.split(['[', ']']).nth(1).expect("a link"));
    let mut there = set(entries("examples/monitoring"));
    there.remove("README.md");
    assert_eq!(set(listed), there);
}
