//! What the library costs in time, compared with the other preloads:
//!
//!     cargo bench                         every table, and a plot (target/speed.svg)
//!     cargo bench -- start-up socket      some of them
//!     cargo bench -- cover                what `keepalive cover` costs (root, cgroup v2)
//!     cargo bench -- --quick              a few seconds, to see that it works
//!     cargo bench -- --plot FILE          where the plot goes
//!     cargo bench -- --starts N           more starts of a program, for smaller differences
//!     cargo bench -- --also NAME=FILE     another preload in the comparison
//!
//! The candidates are whole processes, so one harness serves all: in each round each candidate takes
//! a turn, in a new random order, so that other work on the machine hits all alike; then come the
//! medians. Only ratios within one run mean anything.

mod covered;
mod operations;
mod plot;
mod start_up;
#[path = "../../tests/support/mod.rs"]
mod support;
mod table;

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use lexopt::prelude::*;
use support::document::Part;

/// The settings in each preload's own variables; every candidate gets all of them.
const SETTINGS: [(&str, &str); 7] = [
    ("KEEPCNT", "20"),
    ("KEEPIDLE", "180"),
    ("KEEPINTVL", "60"),
    ("DD_TCP_KEEPALIVE_PROBES", "20"),
    ("DD_TCP_KEEPALIVE_TIME", "180"),
    ("DD_TCP_KEEPALIVE_INTVL", "60"),
    ("DD_EVAL_ENVIRONMENT_ONCE", "yes"),
];

/// The peers: name, Debian package, file.
const PEERS: [(&str, &str, &str); 2] = [
    ("libdontdie", "libdontdie0", "libdontdie.so.0"),
    ("libkeepalive 0.3", "libkeepalive0", "libkeepalive.so.0"),
];

/// The directory of their packages.
const PLACES: [&str; 3] = ["/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];

/// Where the tables are shown.
const PART: Part = Part { document: "speed.md", by: "cargo bench" };
const PART_OF_COVERS: Part = Part { document: "speed.md", by: "cargo bench -- cover" };

/// One candidate of a comparison.
struct Candidate {
    name: String,
    /// What is preloaded, if anything.
    preload: Option<PathBuf>,
}

impl Candidate {
    /// A copy of a library, in one directory with all the others: a longer path costs microseconds
    /// more to open.
    fn new(name: &str, library: &Path) -> io::Result<Self> {
        let preload = support::scratch("preload.so");
        std::fs::copy(library, &preload)?;
        Ok(Self { name: name.to_owned(), preload: Some(preload) })
    }

    fn nothing(name: &str) -> Self {
        Self { name: name.to_owned(), preload: None }
    }
}

/// How much is measured.
struct Effort {
    /// Starts of a program.
    starts: usize,
    /// How often new processes replace those that make calls.
    generations: usize,
    /// How often each of them takes a turn.
    rounds: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut effort = Effort { starts: 4000, generations: 20, rounds: 40 };
    let mut plot = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("speed.svg");
    let mut is_quick = false;
    let mut also = Vec::new();
    let mut parts = Vec::new();
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            // cargo bench itself passes this.
            Long("bench") => {}
            Long("quick") => {
                effort = Effort { starts: 40, generations: 1, rounds: 4 };
                is_quick = true;
            }
            Long("starts") => effort.starts = arguments.value()?.parse()?,
            Long("plot") => plot = arguments.value()?.into(),
            Long("also") => {
                let value = arguments.value()?.string()?;
                let (name, file) = value.split_once('=').ok_or("--also NAME=FILE")?;
                also.push(Candidate::new(name, Path::new(file))?);
            }
            Value(part) if part == operations::WORKER => return operations::work(&mut arguments),
            Value(part) => parts.push(part.string()?),
            _ => return Err(argument.unexpected().into()),
        }
    }
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);

    // Nothing that the document does not have.
    let is_usual = also.is_empty() && parts.is_empty();
    let mut preloads = vec![Candidate::new("libkeepalive", &support::built_library())?];
    preloads.append(&mut also);
    for (name, package, file) in PEERS {
        match PLACES.iter().map(|place| Path::new(place).join(file)).find(|file| file.exists()) {
            Some(file) => preloads.push(Candidate::new(name, &file)?),
            None => println!("{name}: not installed, skipped (Debian: {package})"),
        }
    }

    let (mut printed, mut printed_of_covers) = (String::new(), String::new());
    let mut panels = Vec::new();
    if wanted("start-up") {
        panels.push(start_up::compare(&mut printed, &preloads, &effort)?);
    }
    for operation in operations::ALL.iter().filter(|operation| wanted(operation.name)) {
        panels.extend(operations::compare(&mut printed, operation, &preloads, &effort)?);
    }
    if wanted("cover") {
        covered::compare(&mut printed_of_covers, &effort)?;
    }
    std::fs::write(&plot, plot::svg(&panels))?;
    println!("\nPlot: {}", plot.display());
    if is_usual && preloads.len() == 1 + PEERS.len() {
        table::document(&PART, &printed, is_quick)?;
    }
    if !printed_of_covers.is_empty() {
        table::document(&PART_OF_COVERS, &printed_of_covers, is_quick)?;
    }
    Ok(())
}
