//! What a document refers to is there: files, headings, paths and tests.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use crate::markdown::{self, entries, prose, quoted, root};
use crate::nothing_is_wrong;

/// What a path in back quotes begins with.
const DIRECTORIES: [&str; 9] =
    ["benches/", "crates/", "docs/", "examples/", "man/", "packaging/", "src/", "tests/", ".ci/"];

/// The names of all tests: `module::test`, by the file in which they stand.
static TESTS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let files = [markdown::files("crates"), markdown::files("tests")].concat();
    let mut names = HashSet::new();
    for file in files.iter().filter(|file| file.ends_with(".rs")) {
        let module = Path::new(file).file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let text = markdown::read(file).expect("UTF-8");
        // Behind the attribute there may be others.
        for test in text.split("#[test]\n").skip(1) {
            let (_, name) = test.split_once("fn ").expect("a function");
            let name = name.split('(').next().unwrap_or_default();
            names.insert(format!("{module}::{name}"));
        }
    }
    names
});

/// Whether there is a test of this name.
pub fn is_test(name: &str) -> bool {
    TESTS.contains(name)
}

/// How GitHub and rustdoc call a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
    kept.flat_map(char::to_lowercase).map(|it| if it == ' ' { '-' } else { it }).collect()
}

/// The headings of a document, as links call them.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).filter_map(|(_, line)| line.strip_prefix('#'));
    headings.map(|heading| anchor(heading.trim_start_matches('#').trim())).collect()
}

/// What the links of a document lead to, and in which lines.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(number, line)| {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        targets.map(move |target| (number, target))
    })
}

/// A path beside a document, by its path in the repository.
fn beside(document: &str, path: &str) -> String {
    let directory = Path::new(document).parent().unwrap_or(Path::new(""));
    let mut found = PathBuf::new();
    for component in directory.join(path).components() {
        match component {
            Component::ParentDir => drop(found.pop()),
            other => found.push(other),
        }
    }
    found.to_str().expect("UTF-8").into()
}

/// What a document links to and is not there.
fn broken_links(document: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (line, target) in links(text).filter(|(_, target)| !target.contains("://")) {
        let (path, heading) = target.split_once('#').unwrap_or((target, ""));
        let path = if path.is_empty() { document.into() } else { beside(document, path) };
        let is_there = root().join(&path).exists();
        if !is_there {
            complaints.push(format!("{line}: there is no {path}"));
        } else if !heading.is_empty() {
            let there = if path == document { Some(text.into()) } else { markdown::read(&path) };
            if !anchors(&there.unwrap_or_default()).iter().any(|it| it == heading) {
                complaints.push(format!("{line}: {path} has no heading #{heading}"));
            }
        }
    }
    complaints
}

/// The paths and the tests of which a document speaks in back quotes, and which are not there.
fn lost_names(document: &str, text: &str) -> Vec<String> {
    let is_name = |it: &str| !it.contains(|it: char| !(it.is_alphanumeric() || "_:".contains(it)));
    let lost = quoted(text).into_iter().filter_map(|(line, words)| {
        let is_path = DIRECTORIES.iter().any(|it| words.starts_with(it));
        let lost = if is_path {
            // From the root of the repository or of the package.
            let path = words.split(' ').next().unwrap_or_default();
            !root().join(path).exists() && !root().join(beside(document, path)).exists()
        } else {
            words.contains("::") && is_name(&words) && !is_test(&words)
        };
        lost.then(|| format!("{line}: there is no {words}"))
    });
    lost.collect()
}

/// Whether a test in any module has this name.
fn is_unit_test(name: &str) -> bool {
    TESTS.iter().any(|test| test.split_once("::").is_some_and(|(_, test)| test == name))
}

#[test]
fn every_link_leads_somewhere() {
    nothing_is_wrong(broken_links);
}

#[test]
fn every_path_and_test_is_there() {
    nothing_is_wrong(lost_names);
}

/// The documentation of a crate, as docs.rs shows it.
fn crate_documentation(root: &str) -> String {
    let source = markdown::read(root).expect("a source");
    let lines = source.lines().filter_map(|line| {
        if let Some((_, name)) = line.split_once("#![doc = include_str!(\"") {
            let (name, _) = name.split_once('"').expect("a closing quote");
            return markdown::read(&beside(root, name));
        }
        Some(line.strip_prefix("//!")?.trim_start().into())
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// docs.rs has the documentation alone, and no file of the repository beside it.
#[test]
fn the_documentation_of_a_crate_links_to_no_file() {
    let packages = entries("crates").into_iter().map(|name| format!("crates/{name}/src/lib.rs"));
    for root in packages.chain(["src/lib.rs".into()]) {
        let text = crate_documentation(&root);
        assert!(text.len() > 100, "{root}");
        let files: Vec<_> = links(&text)
            .map(|(_, target)| target)
            .filter(|target| !target.contains("://") && !target.starts_with('#'))
            .collect();
        assert_eq!(files, [""; 0], "{root}");
    }
}

/// README.md, *More*; and the other documents of the repository's root.
#[test]
fn every_document_is_reached_from_the_readme() {
    let readme = markdown::read("README.md").expect("the README");
    let (_, more) = readme.split_once("\n## More\n").expect("the section");
    let linked: Vec<_> = links(more).map(|(_, target)| target).collect();
    // The changelog is for packages, the manual pages and crates.io.
    let others = markdown::documents();
    let others = others.iter().filter(|it| !["README.md", "CHANGELOG.md"].contains(&&***it));
    for document in others.filter(|it| !it.starts_with("crates/")) {
        let directory = document.strip_suffix("/README.md").unwrap_or(document);
        let is_linked = linked.iter().any(|it| it == document || directory.starts_with(it));
        assert!(is_linked, "README.md, More, has no link to {document}");
    }
}

/// docs/promises.md: what a promise is tested by.
#[test]
fn every_promise_has_tests() {
    for row in markdown::rows("docs/promises.md", "## The command", "promise") {
        let tests = quoted(&row[1]);
        assert!(!tests.is_empty(), "{}", row[0]);
        for (_, name) in tests {
            // The others are looked for in every document.
            let is_other = name.contains("::") || name.contains('/');
            assert!(is_other || is_unit_test(&name), "there is no {name}: {}", row[0]);
        }
    }
}

#[test]
fn headings_are_called_as_in_links() {
    let headings = "# One\n```sh\n# two\n```\n## A `cover`, and what (it) does_\n";
    assert_eq!(anchors(headings), ["one", "a-cover-and-what-it-does_"]);
    assert_eq!(
        anchor("docker swarm: \"connection reset\" – 15"),
        "docker-swarm-connection-reset--15"
    );
}

#[test]
fn what_leads_nowhere_is_seen() {
    let broken = |text: &str| broken_links("docs/command.md", text);
    assert_eq!(broken("[a](lost.md) ![b](../src)"), ["1: there is no docs/lost.md"]);
    assert_eq!(broken("# One\n[a](#one) [b](#two)"), ["2: docs/command.md has no heading #two"]);
    assert_eq!(broken("[a](measure.md#lost)"), ["1: docs/measure.md has no heading #lost"]);
    assert_eq!(broken("[a](measure.md#how-well) [b](https://example.com/lost)"), [""; 0]);
    let lost = |text: &str| lost_names("docs/command.md", text).len();
    assert_eq!(lost("`src/lost.rs`, `src/lib.rs`, `std::fs::read` and `links::lost`"), 3);
    assert_eq!(lost("`links::what_leads_nowhere_is_seen`, `tests/breaks.sh one`"), 0);
}
