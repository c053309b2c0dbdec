//! docs/recipes.md: each recipe is played again, and does what the page says.

use std::process::Command;

use crate::support;

#[test]
#[ignore = "needs root: network namespaces, attaches BPF programs; nft, perl, postgres, \
            prometheus-node-exporter, python3, tcpdump"]
fn the_recipes_do_what_the_page_says() {
    let mut record = Command::new("../../docs/record_recipes.sh");
    record.arg(env!("CARGO_BIN_EXE_keepalive")).arg(support::built_library());
    support::run(&mut record);
}
