//! Rows: the sockets of a process, the worst first, those that are alike folded into one.

use std::collections::HashMap;
use std::collections::HashSet;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};

use super::marks::{Mark, Marks};
use super::view::Shown;
use crate::judge::{Judged, SetBy};
use crate::process::Protocol;
use crate::text::time;

/// A row, and the sockets that are like it.
pub struct Row<'a> {
    pub socket: &'a Judged<'a>,
    pub mark: Option<Mark>,
    pub like: Vec<&'a Judged<'a>>,
}

/// So many that are alike stand each in a row of its own: a fold would be no shorter.
const FEW: usize = 2;
/// So many rows are no crowd: nothing is folded. If there are more all the same, connections to or
/// from different addresses are folded as well.
const ROWS: usize = 12;

/// The rows of a process. `unfold`: one for each socket.
pub fn rows<'a>(shown: &'a Shown<'a>, marks: &Marks, unfold: bool) -> Vec<Row<'a>> {
    let pid = shown.process.process.pid;
    let row = |socket| Row { socket, mark: marks.socket(pid, socket), like: Vec::new() };
    let mut sockets = shown.sockets().iter().collect::<Vec<_>>();
    sockets.sort_by_key(|socket| (worst(socket), socket.fds[0]));
    if unfold || sockets.len() <= ROWS {
        return sockets.into_iter().map(row).collect();
    }
    let ports: HashSet<u16> = shown.listens().map(|address| address.port()).collect();
    let rows: Vec<_> = sockets.into_iter().map(row).collect();
    let (folded, number) = fold(rows, |row| (Alike::new(row), end(row.socket, &ports)));
    if number <= ROWS { folded } else { fold(folded, Alike::new).0 }
}

/// The rank of the worst finding; the lowest is the worst.
pub fn worst(socket: &Judged) -> u8 {
    socket.findings.iter().map(|finding| finding.rank()).min().unwrap_or(u8::MAX)
}

/// Folds rows with the same key, in the order of their first; and how many rows there are.
fn fold<'a, K: Eq + Hash>(rows: Vec<Row<'a>>, key: impl Fn(&Row) -> K) -> (Vec<Row<'a>>, usize) {
    let mut groups: Vec<Vec<Row>> = Vec::new();
    let mut known = HashMap::new();
    for row in rows {
        let index = *known.entry(key(&row)).or_insert(groups.len());
        if index == groups.len() {
            groups.push(Vec::new());
        }
        groups[index].push(row);
    }
    let mut folded = Vec::new();
    for mut group in groups {
        let size: usize = group.iter().map(|row| 1 + row.like.len()).sum();
        if size > FEW {
            let rest: Vec<_> = group.drain(1..).collect();
            for row in rest {
                group[0].like.push(row.socket);
                group[0].like.extend(row.like);
            }
        }
        folded.extend(group);
    }
    let number = folded.len();
    (folded, number)
}

/// What is the same in rows that are alike: everything that does not pass with time, but for the
/// addresses.
#[derive(PartialEq, Eq, Hash)]
struct Alike {
    state: u8,
    is_tcp: bool,
    keepalive: Option<bool>,
    values: [Option<u32>; 5],
    set_by: Option<SetBy>,
    findings: Vec<(u8, u64)>,
    mark: Option<Mark>,
}

impl Alike {
    fn new(Row { socket, mark, .. }: &Row) -> Self {
        let values = socket.options.map(|options| options.values).unwrap_or_default();
        Self {
            state: socket.state.0,
            is_tcp: socket.protocol == Protocol::Tcp,
            keepalive: socket.options.map(|options| options.keepalive),
            values: [
                values.count,
                values.idle,
                values.interval,
                values.user_timeout,
                values.rto_max,
            ],
            set_by: socket.set_by,
            findings: socket.findings.iter().map(|finding| finding.kind()).collect(),
            mark: *mark,
        }
    }
}

/// The end that says what a connection is for: the port on which the process listens, or the
/// address to which it connected.
fn end(socket: &Judged, ports: &HashSet<u16>) -> Option<SocketAddr> {
    let is_accepted = socket.local.is_some_and(|address| ports.contains(&address.port()));
    if is_accepted { socket.local } else { socket.remote.or(socket.local) }
}

impl Row<'_> {
    /// In words, how many are like it; None if none is.
    pub fn describe_like(&self) -> Option<String> {
        if self.like.is_empty() {
            return None;
        }
        let mut text = format!("{} more like fd {} (--all)", self.like.len(), self.socket.fds[0]);
        let all = || self.like.iter().copied().chain([self.socket]);
        let hosts: HashSet<IpAddr> = all().filter_map(|it| Some(it.remote?.ip())).collect();
        if hosts.len() > 1 {
            text += &format!(", {} hosts", hosts.len());
        }
        let silent = || self.like.iter().filter_map(|it| Some(it.info?.silent_for));
        if let (Some(least), Some(most)) = (silent().min(), silent().max()) {
            text += &match [least, most].map(time::format) {
                [least, most] if least == most => format!(", silent {least}"),
                [least, most] => format!(", silent {least} to {most}"),
            };
        }
        Some(text)
    }
}
