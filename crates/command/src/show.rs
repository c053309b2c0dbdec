//! `keepalive show`: the TCP sockets of processes, in a table or as JSON.

use std::io::Write;
use std::process::ExitCode;

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table};

use crate::cli::ShowArgs;
use crate::diag::{Defaults, Namespace, Timer, TimerKind};
use crate::inspect::{Inspected, Inspector, Socket};
use crate::settings::{KEEPCNT, KEEPIDLE, KEEPINTVL, USER_TIMEOUT};
use crate::socket::State;
use crate::{complain, json, process, time};

/// Of the descriptors that a finding is about, so many are listed.
const LISTED: usize = 6;

/// Shows what was asked for.
pub fn show(arguments: &ShowArgs) -> ExitCode {
    let is_summary = arguments.processes.is_empty();
    let (targets, failures) = if is_summary {
        match process::all() {
            Ok(all) => (all, Vec::new()),
            Err(error) => {
                complain(format!("/proc: {error}"));
                return ExitCode::FAILURE;
            }
        }
    } else {
        process::find_all(&arguments.processes)
    };
    let mut complete = failures.is_empty();
    failures.iter().for_each(complain);

    let mut inspector = Inspector::default();
    let mut inspected: Vec<_> =
        targets.into_iter().filter_map(|target| inspector.inspect(target)).collect();
    let mut not_inspected = 0;
    if is_summary {
        // Everybody else's processes are no news.
        let all = inspected.len();
        inspected.retain(|process| process.trouble.is_none() || !process.sockets.is_empty());
        not_inspected = all - inspected.len();
        inspected.retain(|process| !process.sockets.is_empty());
    } else if !arguments.json {
        for process in inspected.iter().filter(|process| process.trouble.is_some()) {
            complain(format!(
                "{}: {}",
                process.target,
                process.trouble.as_deref().unwrap_or_default()
            ));
        }
    }
    complete &= is_summary || inspected.iter().all(|process| process.trouble.is_none());

    let chosen: Vec<(&Inspected, Vec<&Socket>)> = inspected
        .iter()
        .map(|process| {
            let sockets = process.sockets.iter().filter(|socket| is_chosen(socket, arguments));
            (process, sockets.collect())
        })
        .collect();
    let defaults = Namespace::open(None).ok().map(|namespace| namespace.defaults);
    let text = if arguments.json {
        match json::document(defaults.as_ref(), &chosen, not_inspected) {
            Ok(document) => document + "\n",
            Err(error) => {
                complain(error);
                return ExitCode::FAILURE;
            }
        }
    } else if is_summary {
        summary(defaults.as_ref(), &chosen, not_inspected)
    } else {
        chosen
            .iter()
            .map(|(process, sockets)| page(process, sockets))
            .collect::<Vec<_>>()
            .join("\n")
    };
    // A closed pipe is the reader's choice: head(1), less(1).
    let written = anstream::stdout().write_all(text.as_bytes());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(format!("stdout: {error}"));
            ExitCode::FAILURE
        }
        _ if complete => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn is_chosen(socket: &Socket, arguments: &ShowArgs) -> bool {
    if arguments.listen {
        socket.state == State::LISTEN
    } else {
        arguments.all || socket.state.is_connection()
    }
}

/// Everything about one process.
fn page(process: &Inspected, sockets: &[&Socket]) -> String {
    let bold = Style::new().bold();
    let library = match &process.library {
        Some(path) => format!("{} is loaded", process::printable(&path.to_string_lossy())),
        None => "libkeepalive is not loaded".into(),
    };
    let shown = match (sockets.len(), process.sockets.len()) {
        (shown, all) if shown == all => count(all, "TCP socket"),
        (shown, all) => format!("{shown} of {} (--all shows every one)", count(all, "TCP socket")),
    };
    let mut text = format!("{bold}{}{bold:#}: {shown}; {library}\n", process.target);
    if !sockets.is_empty() {
        text += &table_of(sockets).trim_fmt();
        text.push('\n');
    }
    let yellow = AnsiColor::Yellow.on_default();
    for (finding, numbers) in group_findings(sockets) {
        text += &format!("{yellow}! {}: {finding}{yellow:#}\n", descriptors(&numbers));
    }
    text
}

/// The sockets of a process, one a line; on a terminal too narrow for that, the two addresses
/// one above the other.
fn table_of(sockets: &[&Socket]) -> Table {
    let table = table_with(sockets, false);
    let content: usize = table.column_max_content_widths().iter().map(|w| usize::from(*w)).sum();
    let padding = 2 * table.column_max_content_widths().len();
    match table.width() {
        Some(width) if content + padding > width.into() => table_with(sockets, true),
        _ => table,
    }
}

fn table_with(sockets: &[&Socket], is_narrow: bool) -> Table {
    let mut table = new_table();
    let header: &[&str] = if is_narrow {
        &["FD", "STATE", "LOCAL, REMOTE", "ON"]
    } else {
        &["FD", "STATE", "LOCAL", "REMOTE", "KEEPALIVE"]
    };
    let times = ["IDLE", "EVERY", "COUNT", "USER\nTIMEOUT", "SILENT", "TIMER"];
    table.set_header([header, &times].concat());
    for socket in sockets {
        let [local, remote] =
            [socket.local, socket.remote].map(|address| Some(address?.to_string()));
        let numbers: Vec<_> = socket.descriptors.iter().map(i32::to_string).collect();
        let mut cells = vec![Cell::new(numbers.join(",")), Cell::new(socket.state.short())];
        if is_narrow {
            let both: Vec<_> = local.into_iter().chain(remote).collect();
            cells.push(Cell::new(both.join("\n")));
        } else {
            cells.extend([local, remote].map(|address| Cell::new(address.unwrap_or("-".into()))));
        }
        cells.extend(option_cells(socket));
        let silent = socket.info.map_or("-".into(), |info| time::show(info.silent_for));
        let timer = socket.timer.as_ref().map_or("-".into(), |timer| describe(timer, socket));
        cells.extend([Cell::new(silent), Cell::new(timer)]);
        table.add_row(cells);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, if is_narrow { 1 } else { 2 }));
    }
    table
}

/// Keepalive and its times.
fn option_cells(socket: &Socket) -> [Cell; 5] {
    let value = |option: usize| socket.options.and_then(|options| options.values[option]);
    // A socket that can be looked into, but has no such option.
    let unknown = if socket.options.is_some() { "n/a" } else { "?" };
    let or_unknown = |text: Option<String>| Cell::new(text.unwrap_or(unknown.into()));
    [
        match socket.options.map(|options| options.keepalive) {
            Some(true) => Cell::new("on").fg(Color::Green),
            Some(false) => Cell::new("off").fg(Color::Red),
            None => Cell::new("?"),
        },
        or_unknown(value(KEEPIDLE).map(time::show_seconds)),
        or_unknown(value(KEEPINTVL).map(time::show_seconds)),
        or_unknown(value(KEEPCNT).map(|number| number.to_string())),
        or_unknown(value(USER_TIMEOUT).map(|limit| match limit {
            0 => "-".into(),
            limit => time::show_milliseconds(limit),
        })),
    ]
}

/// A timer, as ss(8) prints it, in words.
fn describe(timer: &Timer, socket: &Socket) -> String {
    let when = time::show(timer.expires_in);
    match timer.kind {
        TimerKind::Keepalive => match socket.info.map_or(0, |info| info.unanswered_probes) {
            0 => format!("keepalive in {when}"),
            probes => format!("keepalive in {when} ({probes} unanswered)"),
        },
        TimerKind::Retransmission => {
            format!("retransmission in {when} ({} so far)", timer.retransmissions)
        }
        TimerKind::ZeroWindowProbe => format!("zero window probe in {when}"),
    }
}

/// Each finding once, with the descriptors of the sockets it is about.
fn group_findings<'a>(sockets: &[&'a Socket]) -> Vec<(&'a str, Vec<i32>)> {
    let mut groups: Vec<(&str, Vec<i32>)> = Vec::new();
    for socket in sockets {
        for finding in &socket.findings {
            let number = socket.descriptors[0];
            match groups.iter_mut().find(|(known, _)| known == finding) {
                Some((_, numbers)) => numbers.push(number),
                None => groups.push((finding, vec![number])),
            }
        }
    }
    groups
}

fn descriptors(numbers: &[i32]) -> String {
    let listed: Vec<_> = numbers.iter().take(LISTED).map(i32::to_string).collect();
    let listed = listed.join(", ");
    if numbers.len() > LISTED {
        format!("fd {listed} and {} more", numbers.len() - LISTED)
    } else {
        format!("fd {listed}")
    }
}

/// The kernel's defaults, and one line for each process that has TCP sockets.
fn summary(
    defaults: Option<&Defaults>,
    processes: &[(&Inspected, Vec<&Socket>)],
    not_inspected: usize,
) -> String {
    let mut text = String::new();
    if let Some(defaults) = defaults {
        text += &format!(
            "Kernel defaults, for sockets that turn keepalive on without times of their own:\n  \
             first probe after {} idle (net.ipv4.tcp_keepalive_time = {})\n  \
             then every {} (net.ipv4.tcp_keepalive_intvl = {})\n  \
             dead after {} unanswered probes (net.ipv4.tcp_keepalive_probes)\n",
            time::show_seconds(defaults[KEEPIDLE]),
            defaults[KEEPIDLE],
            time::show_seconds(defaults[KEEPINTVL]),
            defaults[KEEPINTVL],
            defaults[KEEPCNT],
        );
    }
    if processes.iter().any(|(_, sockets)| !sockets.is_empty()) {
        text.push('\n');
        let mut table = new_table();
        table.set_header([
            "PID",
            "PROCESS",
            "SOCKETS",
            "KEEPALIVE ON",
            "OFF",
            "FIRST PROBE AFTER",
            "LIBRARY",
        ]);
        for column in [0, 2, 3, 4] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for (process, sockets) in processes.iter().filter(|(_, sockets)| !sockets.is_empty()) {
            table.add_row(summary_row(process, sockets));
        }
        text += &table.trim_fmt();
        text.push('\n');
    }
    if not_inspected > 0 {
        text += &format!(
            "\nNot looked into: {}, of other users or otherwise protected; root may \
             (sudo keepalive show).\n",
            count(not_inspected, "process")
        );
    }
    text
}

fn summary_row(process: &Inspected, sockets: &[&Socket]) -> Vec<Cell> {
    let options: Vec<_> = sockets.iter().filter_map(|socket| socket.options).collect();
    let on = options.iter().filter(|options| options.keepalive).count();
    let off = options.len() - on;
    let idle =
        options.iter().filter(|options| options.keepalive).filter_map(|o| o.values[KEEPIDLE]);
    let idle = match (idle.clone().min(), idle.max()) {
        (Some(shortest), Some(longest)) if shortest != longest => {
            format!("{} to {}", time::show_seconds(shortest), time::show_seconds(longest))
        }
        (Some(only), _) => time::show_seconds(only),
        _ => "-".into(),
    };
    let off = Cell::new(off).fg(if off > 0 { Color::Red } else { Color::Reset });
    vec![
        Cell::new(process.target.pid),
        Cell::new(process::printable(&process.target.name)),
        Cell::new(sockets.len()),
        Cell::new(on),
        off,
        Cell::new(idle),
        Cell::new(if process.library.is_some() { "loaded" } else { "-" }),
    ]
}

/// A table that fits the terminal; of any width where there is none.
fn new_table() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    match rustix::termios::tcgetwinsize(rustix::stdio::stdout()) {
        Ok(size) if size.ws_col > 0 => {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(size.ws_col);
        }
        _ => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    // The same choice for the cells as for everything else.
    if anstream::AutoStream::choice(&std::io::stdout()) == ColorChoice::Never {
        table.force_no_tty();
    } else {
        table.enforce_styling();
    }
    table
}

/// `1 process`, `2 processes`.
fn count(number: usize, what: &str) -> String {
    let plural = if what.ends_with('s') { "es" } else { "s" };
    format!("{number} {what}{}", if number == 1 { "" } else { plural })
}
