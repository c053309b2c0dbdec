//! Without arguments: the kernel's defaults, and a line for each process.

use anstyle::{AnsiColor as Color, Style};

use super::fold::worst;
use super::marks::{Mark, Marks};
use super::page::{COMMAND_MOST, listens, styled};
use super::view::{Shown, View};
use crate::process::Library;
use crate::text::table::{Cell, Table};
use crate::text::{count, fit, printable, time, wrap};
use crate::values::Values;

/// Drops columns in this order until the table fits.
pub const DROPPED: [&str; 7] =
    ["LIBRARY", "SOCKETS", "FIRST PROBE", "PROCESS", "USER", "IN", "LISTENS"];

/// The room that is kept for a command line while there are columns to lose, and the least that is
/// shown of one.
const COMMAND: usize = 20;
const COMMAND_LEAST: usize = 8;
/// At most this much of a unit's name is shown.
const UNIT: usize = 28;

/// The kernel's defaults, and one line for each process that has TCP sockets.
pub fn overview(view: &View, width: Option<usize>) -> String {
    let mut text = view.defaults.map(|it| defaults(&it, width)).unwrap_or_default();
    let verdict = styled(&wrap(&view.verdict(), width), Style::new().bold());
    text += &verdict;
    if !view.processes.is_empty() {
        text.push('\n');
        for line in table(view, width, &Marks::default()) {
            text += &(line + "\n");
        }
    }
    if view.not_inspected > 0 {
        text += &format!("\n{}\n", wrap(&not_inspected(view.not_inspected), width));
    }
    if view.processes.len() > 1 {
        text.push('\n');
        text += &verdict;
    }
    text
}

fn defaults(defaults: &Values<u32>, width: Option<usize>) -> String {
    let text = format!(
        "Kernel defaults, for sockets that turn keepalive on without times of their own:\n  \
         first probe after {} idle (net.ipv4.tcp_keepalive_time = {})\n  \
         then every {} (net.ipv4.tcp_keepalive_intvl = {})\n  \
         dead after {} (net.ipv4.tcp_keepalive_probes)",
        time::format_seconds(defaults.idle),
        defaults.idle,
        time::format_seconds(defaults.interval),
        defaults.interval,
        count(defaults.count as usize, "unanswered probe"),
    );
    wrap(&text, width) + "\n\n"
}

fn not_inspected(number: usize) -> String {
    let way = if rustix::process::geteuid().is_root() {
        "`keepalive show PID` says why"
    } else {
        "root may (sudo keepalive show)"
    };
    let processes = count(number, "process");
    format!("Not looked into: {processes}, of other users or otherwise protected; {way}.")
}

/// A line for each process, the worst first.
pub fn table(view: &View, width: Option<usize>, marks: &Marks) -> Vec<String> {
    let mut shown: Vec<_> = view.processes.iter().collect();
    let order = |it: &Shown| it.sockets().iter().map(worst).min().unwrap_or(u8::MAX);
    shown.sort_by_cached_key(|it| (order(it), it.process.process.pid));
    let mut table = columns(&shown, marks);
    let least = width.map(|width| width.saturating_sub(COMMAND + 2));
    table.fit(least, &DROPPED);
    let room = width.map_or(COMMAND_MOST, |width| width.saturating_sub(table.width() + 2));
    let command = |it: &&Shown| {
        let process = it.process;
        let described =
            if process.described.is_empty() { &process.process.name } else { &process.described };
        (fit(&printable(described).to_string(), Some(room.max(COMMAND_LEAST))), None)
    };
    table.add("COMMAND", shown.iter().map(command));
    table.lines()
}

fn columns(shown: &[&Shown], marks: &Marks) -> Table {
    let plain = |text: String| -> Cell { (text, None) };
    let processes = || shown.iter().map(|shown| shown.process);
    let verdicts = || shown.iter().map(|shown| shown.verdict);
    let mark = |pid| marks.process(pid).map_or("", Mark::sign);
    let mut table = Table::default();
    if processes().any(|it| !mark(it.process.pid).is_empty()) {
        table.add("", processes().map(|it| plain(mark(it.process.pid).into())));
    }
    table.add_numbers("PID", processes().map(|it| plain(it.process.pid.to_string())));
    table.add("PROCESS", processes().map(|it| plain(printable(&it.process.name).to_string())));
    table.add(
        "USER",
        processes().map(|it| match &it.user {
            Some(user) => plain(printable(user).to_string()),
            None => plain("?".into()),
        }),
    );
    table.add(
        "IN",
        processes().map(|it| {
            let place = it.place.describe().unwrap_or("-".into());
            let place = place.strip_prefix("unit ").unwrap_or(&place);
            plain(fit(&printable(place).to_string(), Some(UNIT)))
        }),
    );
    table.add("LISTENS", shown.iter().map(|it| plain(listens(it).unwrap_or("-".into()))));
    table.add_numbers("SOCKETS", verdicts().map(|it| plain(it.all.to_string())));
    table.add_numbers("ON", verdicts().map(|it| plain(it.on.to_string())));
    table.add_numbers(
        "OFF",
        verdicts().map(|it| (it.off.to_string(), (it.off > 0).then_some(Color::Red))),
    );
    table.add("WORST", shown.iter().map(|it| worst_in_a_word(it)));
    table.add("FIRST PROBE", verdicts().map(|it| plain(it.first_probe().unwrap_or("-".into()))));
    table.add(
        "LIBRARY",
        processes().map(|it| {
            plain(match it.library {
                Library::Loaded(_) => "loaded".into(),
                Library::NotLoaded => "-".into(),
                Library::Unknown => "?".into(),
            })
        }),
    );
    table.drop_empty(&["IN", "LISTENS", "LIBRARY"]);
    table
}

/// What is worst with a process's sockets.
fn worst_in_a_word(shown: &Shown) -> Cell {
    let findings = shown.sockets().iter().flat_map(|socket| &socket.findings);
    match findings.min_by_key(|finding| finding.rank()) {
        Some(finding) => (finding.word().into(), Some(Color::Yellow)),
        None => ("-".into(), None),
    }
}
