//! The manual pages and completions that are generated.

use std::process::Command;

use crate::support::{self, run};

#[test]
fn every_option_is_in_the_manual_pages_and_completions() {
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
    let read = |name: &str| {
        std::fs::read_to_string(directory.join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    for (command, option) in [("run", "anyway"), ("show", "json"), ("attach", "remote")] {
        let page = read(&format!("keepalive-{command}.1"));
        assert!(page.contains(&format!("\\-\\-{option}")), "{command}: {page}");
        for file in ["keepalive.bash", "_keepalive", "keepalive.fish"] {
            assert!(read(file).contains(option), "{file}: {option}");
        }
    }
    assert!(read("keepalive.1").contains("keepalive\\-attach"));
}
