//! docs/timeouts.md and README.md have the figures of the command's own table: every place in the one,
//! those that share a limit in the other.

// A module that stands alone in a package that needs a later Rust than the library.
#[allow(dead_code, clippy::incompatible_msrv)]
#[path = "../../crates/command/src/timeouts.rs"]
mod table;

use crate::markdown::{read, rows};
use table::{DATA, Limit, PACKETS, Place, SAFE, describe};

fn limits(place: &Place) -> String {
    place.limits.iter().map(Limit::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn the_document_has_the_same_places_and_figures() {
    for (section, places) in
        [("## Where a probe counts", PACKETS), ("## Where only data counts", DATA)]
    {
        let found = rows("docs/timeouts.md", section, "where");
        let found: Vec<_> = found.iter().map(|row| (&*row[0], row[1].clone())).collect();
        let expected: Vec<_> = places.iter().map(|place| (place.name, limits(place))).collect();
        assert_eq!(found, expected);
    }
    let document = read("docs/timeouts.md").expect("the document");
    assert!(document.contains(&format!("after at most **{}**", describe(SAFE))));
}

#[test]
fn the_readme_has_the_same_figures() {
    for (section, places) in
        [("### Where keepalive holds it", PACKETS), ("### Where keepalive cannot help", DATA)]
    {
        let rows = rows("README.md", section, "on the path");
        assert!(rows.len() > 3, "{section}");
        // Places with the same limits share a row.
        for row in rows {
            for name in row[0].split("; ") {
                let place = places.iter().find(|place| place.name == name);
                assert_eq!(row[1], limits(place.expect(name)), "{name}");
            }
        }
    }
    let readme = read("README.md").expect("the README");
    assert!(readme.contains(&format!("first probe after at most {}", describe(SAFE))));
}
