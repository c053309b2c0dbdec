//! `keepalive measure`: after how much idle time the path to a host forgets a TCP connection. The
//! package libkeepalive-measure does it.

mod json;
mod listen;
mod progress;
mod report;

use std::error::Error;

use libkeepalive_measure::Options;
use nix::sys::signal::Signal;

use crate::request::{Measure, MeasurePath, Server};
use crate::sys::Status;
use crate::sys::signals::Signals;
use crate::text::{clear_status, error, print, print_json, printable, report_error};
use progress::Observer;
use report::Report;

/// They end a measurement, and a server.
const ENDING: [Signal; 3] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];
/// Where a server may block whoever connects often: OpenSSH's MaxStartups and MySQL's
/// max_connect_errors. So many connections are opened there.
const WITH_CARE: [u16; 2] = [22, 3306];
const PARALLEL_WITH_CARE: usize = 8;

/// Measures a path, or runs the server for `--listen`.
pub fn measure(request: &Measure) -> Status {
    let done = Signals::block_unless_ignored(ENDING)
        .map_err(|error| format!("signalfd(2): {}", error::describe(&error)))
        .and_then(|signals| match request {
            Measure::Listen(address) => listen::listen(*address, &signals),
            Measure::Path(request) => measure_path(request, &signals),
        });
    match done {
        Ok(status) => status,
        Err(message) => {
            report_error(message);
            Status::Failure
        }
    }
}

fn measure_path(request: &MeasurePath, signals: &Signals) -> Result<Status, String> {
    let server = &request.server;
    let addresses = server
        .addresses()
        .map_err(|error| format!("{}: {}", printable(&server.text), error::describe(&error)))?;
    let options = Options {
        max: request.max,
        resolution: request.resolution,
        parallel: request.parallel.unwrap_or_else(|| usual(server)),
        greeting: request.greeting.clone(),
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
        let report = report.insert(Report { server, address, outcome });
        if !report.is_unreachable() {
            break;
        }
    }
    let report = report.ok_or_else(|| format!("{}: no address", printable(&server.text)))?;
    let printed = if request.is_json {
        print_json(&json::document(&report))
    } else {
        print(&report.render())
    };
    printed.map_err(|error| format!("stdout: {}", error::describe(&error)))?;
    Ok(Status::from_complete(report.outcome.finding.is_answer()))
}

/// An error of the library, with the system's reason.
fn describe(error: &libkeepalive_measure::Error) -> String {
    match error.source().and_then(|reason| reason.downcast_ref()) {
        Some(reason) => format!("{error}: {}", error::describe(reason)),
        None => error.to_string(),
    }
}

/// How many connections to have where nobody says it.
fn usual(server: &Server) -> usize {
    let usual = Options::default().parallel;
    if !WITH_CARE.contains(&server.port) {
        return usual;
    }
    report_error(format!(
        "port {}: the server may block a host that connects often; opening {PARALLEL_WITH_CARE} \
         connections instead of {usual} (--parallel changes this)",
        server.port
    ));
    PARALLEL_WITH_CARE
}
