//! `keepalive measure`: after how much idle time the path to a host forgets a TCP connection. The
//! package libkeepalive-measure does it.

mod json;
mod listen;
mod progress;
mod report;
mod target;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use libkeepalive_measure::Options;
use nix::sys::signal::Signal;

use crate::sys::signals::Signals;
use crate::text::{clear_status, error, print, print_json, printable, report_error, time};
use crate::values;
use progress::Observer;
use report::Report;
use target::{Greeting, Target};

/// They end a measurement, and a server.
const ENDING: [Signal; 3] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];
/// Where a server may block whoever connects often: OpenSSH's MaxStartups and MySQL's
/// max_connect_errors. So many connections are opened there.
const WITH_CARE: [u16; 2] = [22, 3306];
const PARALLEL_WITH_CARE: usize = 8;

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

/// Measures a path, or runs the server for `--listen`.
pub fn measure(arguments: &MeasureArgs) -> ExitCode {
    let done = Signals::block_unless_ignored(ENDING)
        .map_err(|error| format!("signalfd(2): {}", error::describe(&error)))
        .and_then(|signals| match (arguments.listen, &arguments.target) {
            (Some(address), _) => listen::listen(address, &signals),
            (None, Some(target)) => measure_path(arguments, target, &signals),
            (None, None) => Err("HOST:PORT is missing".into()),
        });
    match done {
        Ok(status) => status,
        Err(message) => {
            report_error(message);
            ExitCode::FAILURE
        }
    }
}

fn measure_path(
    arguments: &MeasureArgs,
    target: &Target,
    signals: &Signals,
) -> Result<ExitCode, String> {
    let addresses = target.addresses()?;
    let options = Options {
        max: arguments.max,
        resolution: f64::from(arguments.resolution) / 100.0,
        parallel: arguments.parallel.map_or_else(|| usual(target), |number| number as usize),
        greeting: arguments.send.clone().map_or(Vec::new(), |greeting| greeting.0),
    };
    let mut report: Option<Report> = None;
    // All connections go to one address: paths differ.
    for address in addresses {
        if let Some(before) = &report {
            report_error(format!("{}: {}", before.address, before.unreachable()));
        }
        let mut observer = Observer::new(signals);
        let outcome = libkeepalive_measure::measure(address, &options, |it| observer.observe(it));
        clear_status();
        let outcome = outcome.map_err(|error| format!("{address}: {}", describe(&error)))?;
        let report = report.insert(Report { target, address, outcome });
        if !report.is_unreachable() {
            break;
        }
    }
    let report = report.ok_or_else(|| format!("{}: no address", printable(&target.text)))?;
    let printed =
        if arguments.json { print_json(&json::document(&report)) } else { print(&report.render()) };
    printed.map_err(|error| format!("stdout: {}", error::describe(&error)))?;
    Ok(ExitCode::from(u8::from(!report.outcome.finding.is_answer())))
}

/// An error of the library, with the system's reason.
fn describe(error: &libkeepalive_measure::Error) -> String {
    match error.source().and_then(|reason| reason.downcast_ref()) {
        Some(reason) => format!("{error}: {}", error::describe(reason)),
        None => error.to_string(),
    }
}

/// How many connections to have where nobody says it.
fn usual(target: &Target) -> usize {
    let usual = Options::default().parallel;
    if !WITH_CARE.contains(&target.port) {
        return usual;
    }
    report_error(format!(
        "port {}: the server may block a host that connects often; opening {PARALLEL_WITH_CARE} \
         connections instead of {usual} (--parallel changes this)",
        target.port
    ));
    PARALLEL_WITH_CARE
}
