//! docs/dependencies.md has each package that the workspace depends on, and no other.

use std::collections::BTreeSet;

use crate::markdown::{entries, read, rows};

/// The packages of a manifest, for the build and for the tests, but for the workspace's own.
fn dependencies(manifest: &str) -> Vec<String> {
    let sections = manifest.split("\n[").filter(|section| {
        ["dependencies]", "dev-dependencies]"].iter().any(|name| section.starts_with(name))
    });
    let lines = sections.flat_map(str::lines);
    let others = lines.filter(|line| !line.starts_with('#') && !line.contains("path = "));
    others.filter_map(|line| Some(line.split_once([' ', '.'])?.0.to_owned())).collect()
}

#[test]
fn every_package_is_explained() {
    let members = entries("crates").into_iter().map(|name| format!("crates/{name}/Cargo.toml"));
    let manifests = members.chain(["Cargo.toml".into()]).filter_map(|name| read(&name));
    let used: BTreeSet<_> = manifests.flat_map(|manifest| dependencies(&manifest)).collect();
    let rows = rows("docs/dependencies.md", "# Dependencies", "package");
    let names = rows.iter().flat_map(|row| row[0].split(", ").map(str::to_owned));
    assert_eq!(names.collect::<BTreeSet<_>>(), used);
}
