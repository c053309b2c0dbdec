//! The founding story in miniature: real programs at the ends of a connection through a firewall
//! that forgets it, peers that vanish, and what the kernel then makes of the settings. What was
//! seen is printed, and kept in docs/firewall.md.
//!
//! Needs root, and Debian's packages conntrack, default-jdk-headless, iproute2, netcat-openbsd,
//! nftables, postgresql, procps, socat, zookeeper:
//!
//!     cargo test --test firewall -- --ignored --nocapture
//!
//! `KEEPALIVE_TEST_WRITE_DOCUMENTS=1` writes the document. Its times differ from run to run, so
//! it is not compared: each run is held to what the settings promise.

#[path = "../support/mod.rs"]
mod support;

mod bed;
mod ends;
mod report;
mod stories;
mod zookeeper;

use std::fmt::Write;

use report::Timeline;
use stories::{Election, Ending, Idle, Vanished};
use support::document::{self, Part};

const PART: Part = Part { document: "firewall.md", by: "the test firewall" };

#[test]
#[ignore = "needs root: network namespaces; nft, conntrack, postgres, java, nc, socat, zookeeper"]
fn the_firewall_and_the_vanished_peers() {
    let (idle, elections, vanished, endings) = std::thread::scope(|scope| {
        let idle: Vec<_> = Idle::ALL.map(|story| scope.spawn(move || story.run())).into();
        let elections: Vec<_> = Election::ALL.map(|story| scope.spawn(move || story.run())).into();
        let vanished: Vec<_> = Vanished::ALL.map(|story| scope.spawn(move || story.run())).into();
        let endings: Vec<_> = Ending::ALL.map(|story| scope.spawn(move || story.run())).into();
        (join(idle), join(elections), join(vanished), join(endings))
    });

    let mut found = String::new();
    section(&mut found, "A connection that is idle for too long", Idle::TABLE, &idle);
    section(&mut found, "ZooKeeper's idle connection", Election::TABLE, &elections);
    section(&mut found, "Clients that vanish", Vanished::TABLE, &vanished);
    section(&mut found, "What ends a connection, and when", Ending::TABLE, &endings);
    println!("{found}");
    if document::is_to_be_written() {
        PART.write(&found);
    }
}

/// The results of all threads; of one that failed the panic, after all have cleaned up.
fn join(threads: Vec<std::thread::ScopedJoinHandle<'_, Timeline>>) -> Vec<Timeline> {
    let results: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
    results
        .into_iter()
        .map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        .collect()
}

/// A table with a line for each run, and then what happened in each.
fn section(to: &mut String, title: &str, head: &[&str], runs: &[Timeline]) {
    let mut write = |text: String| writeln!(to, "{text}").expect("memory");
    write(format!("## {title}\n"));
    write(format!("| {} |", head.join(" | ")));
    write(format!("|{}", "---|".repeat(head.len())));
    for run in runs {
        write(format!("| {} |", run.row.join(" | ")));
    }
    write("\n```text".into());
    for run in runs {
        write(run.to_string());
    }
    write("```\n".into());
}
