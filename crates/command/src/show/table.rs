//! Tables: a page for each process, or a line for each in an overview.

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, CellAlignment, Color, Table};
use options::RTO_MAX;

use super::View;
use crate::process::{Inspected, Library, Socket, Timer, TimerKind};
use crate::terminal::{self, count, printable};
use crate::time;

/// At most this many descriptors are listed for a socket or a finding.
const LISTED: usize = 6;

/// Everything about each process.
pub fn pages(view: &View) -> String {
    let pages: Vec<_> =
        view.processes.iter().map(|(process, sockets)| page(process, sockets.as_deref())).collect();
    pages.join("\n")
}

fn page(process: &Inspected, sockets: Option<&[&Socket]>) -> String {
    let bold = Style::new().bold();
    let library = match &process.library {
        Library::Loaded(path) => format!("{} is loaded", printable(&path.to_string_lossy())),
        Library::NotLoaded => "libkeepalive is not loaded".into(),
        Library::Unknown => "whether libkeepalive is loaded is unknown".into(),
    };
    let all = process.sockets.as_ref().map_or(0, Vec::len);
    let shown = match sockets.map(<[_]>::len) {
        None => "its TCP sockets are unknown".into(),
        Some(shown) if shown == all => count(all, "TCP socket"),
        Some(shown) => format!("{shown} of {} (--all shows every one)", count(all, "TCP socket")),
    };
    let mut text = format!("{bold}{}{bold:#}: {shown}; {library}\n", process.process);
    if let Some(place) = process.place.describe() {
        text += &format!("in {}\n", printable(&place));
    }
    let sockets = sockets.unwrap_or_default();
    if !sockets.is_empty() {
        text += &table_of(sockets).trim_fmt();
        text.push('\n');
    }
    let yellow = AnsiColor::Yellow.on_default();
    for (finding, fds) in group_findings(sockets) {
        text += &format!("{yellow}! fd {}: {finding}{yellow:#}\n", list(&fds, ", "));
    }
    text
}

/// The sockets of a process, one on each line. On a terminal that is too narrow, the remote
/// address stands below the local one.
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
    let mut table = terminal::table();
    let header: &[&str] = if is_narrow {
        &["FD", "STATE", "LOCAL, REMOTE", "ON"]
    } else {
        &["FD", "STATE", "LOCAL", "REMOTE", "KEEPALIVE"]
    };
    // Few sockets have one.
    let has_bound = sockets.iter().any(|socket| bound(socket).is_some());
    let bound_header: &[&str] = if has_bound { &["RTO\nMAX"] } else { &[] };
    let times = ["IDLE", "EVERY", "COUNT", "USER\nTIMEOUT"];
    table.set_header([header, &times, bound_header, &["SILENT", "TIMER"]].concat());
    for socket in sockets {
        let [local, remote] =
            [socket.local, socket.remote].map(|address| Some(address?.to_string()));
        let mut cells = vec![Cell::new(list(&socket.fds, ",")), Cell::new(socket.state.short())];
        if is_narrow {
            let both: Vec<_> = local.into_iter().chain(remote).collect();
            cells.push(Cell::new(both.join("\n")));
        } else {
            cells.extend([local, remote].map(|address| Cell::new(address.unwrap_or("-".into()))));
        }
        cells.extend(option_cells(socket));
        if has_bound {
            cells.push(Cell::new(bound(socket).map_or("-".into(), time::show_milliseconds)));
        }
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

/// The bound on the pauses between retransmissions, in milliseconds, if the socket has one.
fn bound(socket: &Socket) -> Option<u32> {
    socket.options?.values.rto_max.filter(|bound| *bound < RTO_MAX.max)
}

/// Keepalive and its times.
fn option_cells(socket: &Socket) -> [Cell; 5] {
    let values = socket.options.map(|options| options.values).unwrap_or_default();
    // A socket that can be looked into, but has no such option.
    let unknown = if socket.options.is_some() { "n/a" } else { "?" };
    let or_unknown = |text: Option<String>| Cell::new(text.unwrap_or(unknown.into()));
    [
        match socket.options.map(|options| options.keepalive) {
            Some(true) => Cell::new("on").fg(Color::Green),
            Some(false) => Cell::new("off").fg(Color::Red),
            None => Cell::new("?"),
        },
        or_unknown(values.idle.map(time::show_seconds)),
        or_unknown(values.interval.map(time::show_seconds)),
        or_unknown(values.count.map(|number| number.to_string())),
        or_unknown(values.user_timeout.map(|limit| match limit {
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
            let fd = socket.fds[0];
            match groups.iter_mut().find(|(known, _)| known == finding) {
                Some((_, fds)) => fds.push(fd),
                None => groups.push((finding, vec![fd])),
            }
        }
    }
    groups
}

/// `5, 6, 7`; of many the first, and how many there are more.
fn list(fds: &[i32], separator: &str) -> String {
    let listed: Vec<_> = fds.iter().take(LISTED).map(i32::to_string).collect();
    let listed = listed.join(separator);
    match fds.len().saturating_sub(LISTED) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

/// The kernel's defaults, and one line for each process that has TCP sockets.
pub fn overview(view: &View) -> String {
    let View { defaults, processes, not_inspected } = view;
    let mut text = String::new();
    if let Some(defaults) = defaults {
        text += &format!(
            "Kernel defaults, for sockets that turn keepalive on without times of their own:\n  \
             first probe after {} idle (net.ipv4.tcp_keepalive_time = {})\n  \
             then every {} (net.ipv4.tcp_keepalive_intvl = {})\n  \
             dead after {} (net.ipv4.tcp_keepalive_probes)\n",
            time::show_seconds(defaults.idle),
            defaults.idle,
            time::show_seconds(defaults.interval),
            defaults.interval,
            count(defaults.count as usize, "unanswered probe"),
        );
    }
    let rows: Vec<_> = processes
        .iter()
        .filter_map(|(process, sockets)| {
            let sockets = sockets.as_deref().filter(|sockets| !sockets.is_empty())?;
            Some(overview_row(process, sockets))
        })
        .collect();
    if !rows.is_empty() {
        text.push('\n');
        let mut table = terminal::table();
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
        table.add_rows(rows);
        text += &table.trim_fmt();
        text.push('\n');
    }
    if *not_inspected > 0 {
        let way = if rustix::process::geteuid().is_root() {
            "`keepalive show PID` says why"
        } else {
            "root may (sudo keepalive show)"
        };
        text += &format!(
            "\nNot looked into: {}, of other users or otherwise protected; {way}.\n",
            count(*not_inspected, "process")
        );
    }
    text
}

fn overview_row(process: &Inspected, sockets: &[&Socket]) -> Vec<Cell> {
    let options: Vec<_> = sockets.iter().filter_map(|socket| socket.options).collect();
    let on = options.iter().filter(|options| options.keepalive).count();
    let off = options.len() - on;
    let idle = options.iter().filter(|options| options.keepalive).filter_map(|o| o.values.idle);
    let idle = match (idle.clone().min(), idle.max()) {
        (Some(shortest), Some(longest)) if shortest != longest => {
            format!("{} to {}", time::show_seconds(shortest), time::show_seconds(longest))
        }
        (Some(only), _) => time::show_seconds(only),
        _ => "-".into(),
    };
    let off = Cell::new(off).fg(if off > 0 { Color::Red } else { Color::Reset });
    vec![
        Cell::new(process.process.pid),
        Cell::new(printable(&process.process.name)),
        Cell::new(sockets.len()),
        Cell::new(on),
        off,
        Cell::new(idle),
        Cell::new(match process.library {
            Library::Loaded(_) => "loaded",
            Library::NotLoaded => "-",
            Library::Unknown => "?",
        }),
    ]
}
