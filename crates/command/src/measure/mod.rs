//! `keepalive measure`: after how much idle time the path to a host forgets a TCP connection.
//!
//! `search` decides, from what came so far, what to do next; `engine` does it.

mod anew;
mod asking;
mod cleanup;
mod clock;
mod connection;
mod deciding;
mod engine;
mod events;
mod evidence;
mod flow;
mod json;
mod listen;
mod outage;
mod paths;
mod plan;
mod progress;
mod report;
mod search;
#[cfg(test)]
mod simulation;
mod target;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::text::{clear_status, error, print, print_json, printable, report_error, time};
use crate::values;
use clock::Clock;
use engine::Engine;
use progress::Progress;
use report::Report;
use search::{Found, Options, Search};
use target::{Greeting, Target};

/// Connections at most: one for each rung of the ladder, the control connection and four to confirm
/// the result.
const PARALLEL: usize = 26;
/// Where a server may block whoever connects often.
const PARALLEL_WITH_CARE: usize = 8;
/// OpenSSH's MaxStartups and MySQL's max_connect_errors.
const WITH_CARE: [u16; 2] = [22, 3306];

/// Arguments of `measure`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit status:
  0  The answer was found: the path forgets after so long, or not at all within
     --max
  1  It could not be found, and why is said; or stdout cannot be written
  2  A mistake in the arguments

Examples:
  keepalive measure example.com:443
     After how much idle time the path to a server forgets a connection
  keepalive measure --max 10m --json example.com:443
     Whether it forgets within ten minutes, for programs to read
  keepalive measure --listen 7000
     At a host whose servers end idle connections: something to ask
  keepalive measure --send 'GET / HTTP/1.0\\r\\n\\r\\n' example.com:80
     A server that waits for data first, or ends connections that say nothing")]
pub struct MeasureArgs {
    /// The longest idle time to try
    ///
    /// From 5 s to 24 h.
    #[arg(long, value_name = "TIME", default_value = "125m", allow_hyphen_values = true,
        value_parser = max)]
    max: Duration,

    /// How narrow the answer is to be
    ///
    /// From 1 to 50 percent.
    #[arg(long, value_name = "PERCENT", default_value = "5", allow_hyphen_values = true,
        value_parser = |text: &str| values::number(text, 1..=50))]
    resolution: u32,

    /// How many connections to have at a time, at most
    ///
    /// From 6 to 100. 26 unless given, and 8 on ports 22 and 3306, where servers may block a host
    /// that connects often. With fewer it takes longer.
    #[arg(long, value_name = "N", allow_hyphen_values = true,
        value_parser = |text: &str| values::number(text, 6..=100))]
    parallel: Option<u32>,

    /// What each connection sends first
    ///
    /// \r, \n, \t, \\ and \xNN are understood.
    #[arg(long, value_name = "STRING", value_parser = target::greeting)]
    send: Option<Greeting>,

    /// JSON, described in keepalive-measure(1)
    #[arg(long)]
    json: bool,

    /// Be the server to ask, at the other end
    ///
    /// Until SIGINT or SIGTERM.
    #[arg(long, value_name = "[ADDRESS:]PORT", allow_hyphen_values = true, value_parser = target::listener,
        conflicts_with_all = ["max", "resolution", "parallel", "send", "json", "target"])]
    listen: Option<SocketAddr>,

    /// The server, which need not know that it is asked
    #[arg(value_name = "HOST:PORT", value_parser = Target::parse, required_unless_present = "listen")]
    target: Option<Target>,
}

fn max(text: &str) -> Result<Duration, String> {
    time::parse_in_range(text, Duration::from_secs(5)..=Duration::from_secs(24 * 60 * 60))
}

/// Measures, or is what is measured with.
pub fn measure(arguments: &MeasureArgs) -> ExitCode {
    let done = match (arguments.listen, &arguments.target) {
        (Some(address), _) => listen::listen(address),
        (None, Some(target)) => measure_path(arguments, target),
        (None, None) => Err("HOST:PORT is missing".into()),
    };
    match done {
        Ok(status) => status,
        Err(message) => {
            report_error(message);
            ExitCode::FAILURE
        }
    }
}

fn measure_path(arguments: &MeasureArgs, target: &Target) -> Result<ExitCode, String> {
    let addresses = target.addresses()?;
    let parallel = arguments.parallel.map_or_else(|| usual(target), |number| number as usize);
    let greeting = arguments.send.as_ref().map_or(&[][..], |greeting| &greeting.0);
    let mut report: Option<Report> = None;
    // All connections go to one address: paths differ.
    for address in addresses {
        if let Some(before) = &report {
            report_error(format!(
                "{}: cannot be reached: {}",
                before.address,
                before.why_unreachable()
            ));
        }
        // The search counts from 0.
        let clock = Clock::new().map_err(|error| {
            format!("signalfd(2), clock_gettime(2): {}", error::describe(&error))
        })?;
        let mut search = Search::new(Options {
            max: arguments.max.as_secs_f64(),
            resolution: f64::from(arguments.resolution) / 100.0,
            parallel,
        });
        let mut engine = Engine::new(&clock, address, greeting);
        let mut progress = Progress::default();
        engine.run(&mut search, |search, now| progress.watch(search, now));
        clear_status();
        if let Some(Found::Interrupted | Found::Slept(_)) = search.found() {
            report_error("interrupted: closing the connections; a second signal leaves at once");
        }
        let took = clock.now();
        let trouble = engine.trouble;
        let left = engine.end(&search);
        report = Some(Report { target, address, search, took, left, trouble });
        if !report.as_ref().is_some_and(Report::is_unreachable) {
            break;
        }
    }
    let report = report.ok_or_else(|| format!("{}: no address", printable(&target.text)))?;
    let printed =
        if arguments.json { print_json(&json::document(&report)) } else { print(&report.words()) };
    printed.map_err(|error| format!("stdout: {}", error::describe(&error)))?;
    Ok(if report.is_answer() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How many connections to have where nobody says it.
fn usual(target: &Target) -> usize {
    if !WITH_CARE.contains(&target.port) {
        return PARALLEL;
    }
    report_error(format!(
        "port {}: the server may block a host that connects often, so {PARALLEL_WITH_CARE} \
         connections are opened in place of {PARALLEL} (--parallel)",
        target.port
    ));
    PARALLEL_WITH_CARE
}
