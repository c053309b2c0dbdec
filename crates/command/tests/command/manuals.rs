//! The generated manual pages and completions, and the manual page that is written by hand.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{self, run};

/// A directory with what is generated.
pub fn generated() -> PathBuf {
    let directory = support::scratch("manuals");
    run(Command::new(env!("CARGO"))
        .args([
            "run",
            "--quiet",
            "--package",
            "libkeepalive-command",
            "--example",
            "generate_manuals",
        ])
        .arg(&directory));
    directory
}

#[test]
fn every_option_is_in_the_manual_pages_and_completions() {
    let directory = generated();
    let read = |name: &str| {
        std::fs::read_to_string(directory.join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    for (command, option) in [
        ("run", "anyway"),
        ("run", "follow"),
        ("show", "json"),
        ("attach", "remote"),
        ("attach", "follow"),
        ("cover", "foreground"),
        ("measure", "resolution"),
    ] {
        let page = read(&format!("keepalive-{command}.1"));
        // In bold and by itself: at the head of an entry, not in an example.
        assert!(page.contains(&format!("\\fB\\-\\-{option}\\fR")), "{command}: {page}");
        for file in ["keepalive.bash", "_keepalive", "keepalive.fish"] {
            assert!(read(file).contains(option), "{file}: {option}");
        }
    }
    assert!(read("keepalive.1").contains("keepalive\\-attach"));
}

/// What is used most comes first, and `-h` fits a screen, with the prompt below it.
#[test]
fn the_short_help_fits_a_screen() {
    for (command, first) in [
        ("", "--help"),
        ("run", "--dead-after"),
        ("show", "--all"),
        ("attach", "--dead-after"),
        ("cover", "--dead-after"),
        ("measure", "--max"),
    ] {
        let help = support::stdout(crate::keepalive(command).arg("-h").env("COLUMNS", "80"));
        let lines: Vec<_> = help.lines().collect();
        assert!(lines.len() < 24, "{}: {help}", lines.len());
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{help}");
        let options = lines.iter().skip_while(|line| **line != "Options:").nth(1);
        assert!(options.is_some_and(|line| line.contains(first)), "{command}: {help}");
    }
}

/// What is laid out by hand below the options is not broken anew at 80 columns.
#[test]
fn the_lines_below_the_options_fit_a_terminal() {
    for command in ["", "run", "show", "attach", "cover", "measure"] {
        let [narrow, wide] = ["80", "100"].map(|columns| {
            support::stdout(crate::keepalive(command).arg("--help").env("COLUMNS", columns))
        });
        let below = |help: &str| {
            let begin = help.find("\nExit status:").or_else(|| help.find("\nExamples:"));
            help[begin.expect("a heading")..].to_owned()
        };
        assert_eq!(below(&narrow), below(&wide), "{command}");
    }
}

/// Where `--help` says that a manual page describes the JSON, it does: every field.
#[test]
fn the_pages_describe_the_json() {
    let directory = generated();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fields = |file: &str, structs: &[&str]| -> Vec<String> {
        let source = std::fs::read_to_string(root.join("src").join(file)).expect("a file");
        let body = |name: &&str| {
            let (_, body) = source.split_once(&format!("struct {name} {{\n")).expect("a struct");
            body.split("\n}").next().expect("its fields").to_owned()
        };
        let fields = structs.iter().map(body).collect::<Vec<_>>().join("\n");
        let names = fields.lines().filter_map(|line| line.trim().split_once(": "));
        names.map(|(name, _)| name.to_owned()).collect()
    };
    for (command, file, structs, least) in [
        ("measure", "measure/json.rs", &["Document", "Settings"][..], 18),
        ("cover", "bpf/entry.rs", &["Entry"], 15),
    ] {
        let help = support::stdout(&mut crate::keepalive(&format!("{command} --help")));
        assert!(help.contains(&format!("keepalive-{command}(1)")), "{help}");
        let page = directory.join(format!("keepalive-{command}.1"));
        let page = std::fs::read_to_string(page).expect("a page");
        let (_, section) = page.split_once(".SH JSON\n").expect("a section");
        let (section, _) = section.split_once(".SH ").expect("another one");
        let section = section.replace("\\fB", "").replace("\\fR", "");
        let fields = fields(file, structs);
        assert!(fields.len() >= least, "{fields:?}");
        for field in fields {
            let field = field.trim_start_matches("pub ");
            let words = || section.split(|it: char| !(it.is_alphanumeric() || it == '_'));
            assert!(words().any(|word| word == field), "{command}: {field}: {section}");
        }
    }
}

/// The text below the options of `--help` becomes sections, and every page refers to the others.
#[test]
fn the_pages_have_the_sections_of_a_manual_page() {
    let directory = generated();
    let middle = "NAME SYNOPSIS DESCRIPTION OPTIONS";
    for (name, sections) in [
        ("keepalive", format!("{middle} COMMANDS EXAMPLES SEE_ALSO")),
        ("keepalive-run", format!("{middle} SETTINGS EXIT_STATUS ENVIRONMENT EXAMPLES SEE_ALSO")),
        (
            "keepalive-show",
            format!(
                "{middle} PROCESSES COLUMNS FINDINGS JSON METRICS EXIT_STATUS ENVIRONMENT EXAMPLES SEE_ALSO"
            ),
        ),
        ("keepalive-attach", format!("{middle} SETTINGS EXIT_STATUS EXAMPLES SEE_ALSO")),
        (
            "keepalive-cover",
            format!("{middle} SETTINGS DATA_IN_FLIGHT JSON EXIT_STATUS EXAMPLES SEE_ALSO"),
        ),
        ("keepalive-measure", format!("{middle} JSON EXIT_STATUS EXAMPLES SEE_ALSO")),
    ] {
        let page = std::fs::read_to_string(directory.join(format!("{name}.1"))).expect("a page");
        let headings = page.lines().filter_map(|line| line.strip_prefix(".SH "));
        let headings: Vec<_> =
            headings.map(|heading| heading.trim_matches('"').replace(' ', "_")).collect();
        assert_eq!(headings.join(" "), sections, "{name}");
        let (_, see_also) = page.split_once("SEE ALSO").expect("it is the last one");
        for other in [
            "keepalive",
            "keepalive-run",
            "keepalive-show",
            "keepalive-attach",
            "keepalive-cover",
            "keepalive-measure",
        ] {
            let link = format!("\\fB{}\\fR(1)", other.replace('-', "\\-"));
            assert_eq!(see_also.contains(&link), other != name, "{name}: {other}");
        }
        assert!(see_also.contains("\\fBlibkeepalive\\fR(8)"), "{name}");
    }
}

/// The same source gives the same packages.
#[test]
fn what_is_generated_is_the_same_every_time() {
    let (first, second) = (generated(), generated());
    let mut count = 0;
    for file in std::fs::read_dir(&first).expect("a directory") {
        let name = file.expect("a file").file_name();
        let read = |directory: &Path| std::fs::read(directory.join(&name)).expect("a file");
        assert!(read(&first) == read(&second), "{}", name.display());
        count += 1;
    }
    assert_eq!(count, 9, "six pages and three completions");
}

/// As lintian(1) calls man(1).
#[test]
#[ignore = "needs mandoc, and man and lexgrog (Debian: man-db)"]
fn the_pages_render_without_warnings() {
    let directory = generated();
    let by_hand = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../man/libkeepalive.8");
    let pages = [
        "keepalive",
        "keepalive-run",
        "keepalive-show",
        "keepalive-attach",
        "keepalive-cover",
        "keepalive-measure",
    ];
    let pages = pages.map(|name| directory.join(format!("{name}.1")));
    for page in pages.iter().chain([&by_hand]) {
        let lint = support::finish(Command::new("mandoc").args(["-Tlint", "-Wwarning"]).arg(page));
        let (complaints, errors) = support::texts(&lint);
        assert_eq!(complaints + &errors, "", "mandoc");
        assert!(lint.status.success(), "mandoc: {}", page.display());

        let mut man = Command::new("man");
        man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(page);
        let (rendered, complaints) = run(man.env("LC_ALL", "C.UTF-8").env("MANROFFSEQ", ""));
        assert_eq!(complaints, "", "man: {}", page.display());
        assert!(!rendered.is_empty(), "man: {}", page.display());

        // What apropos(1) will find.
        let (entry, _) = run(Command::new("lexgrog").arg(page));
        let name = page.file_stem().expect("a name").display();
        assert!(entry.contains(&format!(": \"{name} - ")), "{entry}");
    }
}
