//! The table of a process's sockets.

use anstyle::AnsiColor as Color;
use options::RTO_MAX;

use super::fold::Row;
use super::marks::Mark;
use crate::judge::{Judged, SetBy};
use crate::process::{Timer, TimerKind};
use crate::text::table::{Cell, Table};
use crate::text::{time, wrap};

/// At most this many descriptors are listed for a socket or a finding.
const LISTED: usize = 6;

/// Drops columns in this order until the table fits. Before that LOCAL and REMOTE become one column.
/// FD, the address and KEEPALIVE stay.
pub const DROPPED: [&str; 9] =
    ["SET BY", "TIMER", "RTO MAX", "USER TIMEOUT", "STATE", "COUNT", "EVERY", "SILENT", "IDLE"];

/// The lines of a table, each row's followed by how many sockets are like it.
pub fn lines(rows: &[Row], width: Option<usize>) -> Vec<String> {
    let mut table = columns(rows, false);
    if width.is_some_and(|width| table.width() > width) {
        table = columns(rows, true);
        table.fit(width, &DROPPED);
        if width.is_some_and(|width| table.width() > width) {
            table.rename("KEEPALIVE", "ON");
        }
    }
    let mut table = table.lines().into_iter();
    let mut lines: Vec<_> = table.next().into_iter().collect();
    for (row, line) in rows.iter().zip(table) {
        lines.push(line);
        lines.extend(row.describe_like().map(|like| wrap(&format!("    {like}"), width)));
    }
    lines
}

fn columns(rows: &[Row], is_narrow: bool) -> Table {
    let mut table = Table::default();
    let sockets = || rows.iter().map(|row| row.socket);
    let plain = |text: String| -> Cell { (text, None) };
    let or_dash = |text: Option<String>| plain(text.unwrap_or("-".into()));
    if rows.iter().any(|row| row.mark.is_some()) {
        table.add("", rows.iter().map(|row| plain(row.mark.map_or("", Mark::sign).into())));
    }
    let descriptors = |fds: &[i32]| match fds {
        [first, .., _] if is_narrow => format!("{first}+{}", fds.len() - 1),
        _ => list(fds, ","),
    };
    table.add("FD", sockets().map(|socket| plain(descriptors(&socket.fds))));
    table.add("STATE", sockets().map(|socket| plain(socket.state.short().into())));
    let has_remote = || sockets().any(|socket| socket.remote.is_some());
    if !is_narrow && has_remote() {
        table.add("LOCAL", sockets().map(|socket| or_dash(socket.local.map(|it| it.to_string()))));
        table
            .add("REMOTE", sockets().map(|socket| or_dash(socket.remote.map(|it| it.to_string()))));
    } else {
        let is_remote = has_remote() && sockets().all(|socket| socket.remote.is_some());
        let header = match (is_remote, has_remote()) {
            (true, _) => "REMOTE",
            (false, true) => "ADDRESS",
            (false, false) => "LOCAL",
        };
        let address = |socket: &Judged| socket.remote.or(socket.local).map(|it| it.to_string());
        table.add(header, sockets().map(|socket| or_dash(address(socket))));
    }
    table.add("KEEPALIVE", sockets().map(keepalive));
    table
        .add("IDLE", sockets().map(|socket| value(socket, |it| it.idle.map(time::format_seconds))));
    table.add("EVERY", sockets().map(|it| value(it, |it| it.interval.map(time::format_seconds))));
    table.add("COUNT", sockets().map(|it| value(it, |it| Some(it.count?.to_string()))));
    // Few sockets have one.
    if sockets().any(|socket| user_timeout(socket).is_some()) {
        let text = |socket| or_dash(user_timeout(socket).map(time::format_milliseconds));
        table.add("USER TIMEOUT", sockets().map(text));
    }
    if sockets().any(|socket| bound(socket).is_some()) {
        table.add("RTO MAX", sockets().map(|it| or_dash(bound(it).map(time::format_milliseconds))));
    }
    if sockets().any(|socket| socket.info.is_some()) {
        let silent = |socket: &Judged| socket.info.map(|info| time::format(info.silent_for));
        table.add("SILENT", sockets().map(|socket| or_dash(silent(socket))));
    }
    if sockets().any(|socket| socket.timer.is_some()) {
        let timer = |socket: &Judged| Some(describe(socket.timer.as_ref()?, socket));
        table.add("TIMER", sockets().map(|socket| or_dash(timer(socket))));
    }
    let set_by = |socket: &Judged| plain(socket.set_by.map_or("?", SetBy::name).into());
    table.add("SET BY", sockets().map(set_by));
    table
}

fn keepalive(socket: &Judged) -> Cell {
    match socket.options.map(|options| options.keepalive) {
        Some(true) => ("on".into(), Some(Color::Green)),
        Some(false) => ("off".into(), Some(Color::Red)),
        None => ("?".into(), None),
    }
}

/// The value of an option, or why there is none.
fn value(
    socket: &Judged,
    read: impl Fn(crate::values::Values<Option<u32>>) -> Option<String>,
) -> Cell {
    let text = match socket.options {
        // A socket that can be looked into, but has no such option.
        Some(options) => read(options.values).unwrap_or("n/a".into()),
        None => "?".into(),
    };
    (text, None)
}

/// How long sent data may stay unacknowledged, in milliseconds, if the socket has such a limit.
fn user_timeout(socket: &Judged) -> Option<u32> {
    socket.options?.values.user_timeout.filter(|limit| *limit > 0)
}

/// The bound on the pauses between retransmissions, in milliseconds, if the socket has one.
fn bound(socket: &Judged) -> Option<u32> {
    socket.options?.values.rto_max.filter(|bound| *bound < RTO_MAX.max)
}

/// A timer, as ss(8) prints it, in words.
fn describe(timer: &Timer, socket: &Judged) -> String {
    let when = time::format(timer.expires_in);
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

/// `5, 6, 7`; of many the first, and how many there are more.
pub fn list(fds: &[i32], separator: &str) -> String {
    let listed: Vec<_> = fds.iter().take(LISTED).map(i32::to_string).collect();
    let listed = listed.join(separator);
    match fds.len().saturating_sub(LISTED) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}
