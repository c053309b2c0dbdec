//! A page for each process: which it is, its sockets, and what is wrong with them.

use std::net::SocketAddr;

use anstyle::{AnsiColor, Style};

use super::fold::rows;
use super::marks::Marks;
use super::table::{self, list};
use super::view::{Shown, View};
use crate::bpf::Cover;
use crate::judge::{Finding, Judged};
use crate::process::Library;
use crate::settings::EffectiveSettings;
use crate::sys::kernel::Kernel;
use crate::text::{self, count, fit, printable, wrap};

/// At most this many addresses are listed on which a process listens.
const LISTED: usize = 3;

/// The most that is shown of a command line where the lines have no end.
pub const COMMAND_MOST: usize = 300;

/// How pages are laid out.
#[derive(Default)]
pub struct Layout<'a> {
    /// How wide the lines are; None where nobody minds.
    pub width: Option<usize>,
    /// Whether each socket has a row of its own.
    pub unfold: bool,
    /// Whether what is wrong stands elsewhere, and not below the sockets.
    pub without_findings: bool,
    /// What is new and what has changed.
    pub marks: Option<&'a Marks>,
}

/// Everything about each process, between two lines that say what matters.
pub fn between_verdicts(view: &View, layout: &Layout) -> String {
    if view.is_empty() {
        // A message said why.
        return String::new();
    }
    let verdict = styled(&wrap(&view.verdict(), layout.width), Style::new().bold());
    let pages = pages(view, layout);
    match view.sockets().next() {
        Some(_) => format!("{verdict}{pages}\n{verdict}"),
        None => verdict + &pages,
    }
}

/// Everything about each process, each page below an empty line.
pub fn pages(view: &View, layout: &Layout) -> String {
    view.processes.iter().map(|shown| format!("\n{}", page(shown, view, layout))).collect()
}

fn page(shown: &Shown, view: &View, layout: &Layout) -> String {
    let Shown { process, covers, sockets, verdict } = shown;
    let width = layout.width;
    let mut text = styled(&wrap(&head(shown), width), Style::new().bold());
    if !process.described.is_empty() {
        let line = fit(&printable(&process.described).to_string(), width.or(Some(COMMAND_MOST)));
        text += &styled(&line, Style::new().dimmed());
    }
    for cover in covers.unwrap_or_default() {
        text += &(wrap(&covered(cover, process.kernel), width) + "\n");
    }
    let Some(sockets) = sockets else {
        return text + "its TCP sockets are unknown\n";
    };
    if view.processes.len() > 1 {
        let counted = count(verdict.all, view.noun);
        text += &(wrap(&verdict.describe(&counted), width) + "\n");
    }
    if !sockets.is_empty() {
        let nothing = Marks::default();
        let rows = rows(shown, layout.marks.unwrap_or(&nothing), layout.unfold);
        for line in table::lines(&rows, width) {
            text += &(line + "\n");
        }
    }
    if !layout.without_findings {
        for (finding, fds) in group_findings(sockets) {
            text += &warning(&format!("fd {}: {finding}", list(&fds, ", ")), width);
        }
    }
    text
}

/// A line about a cover of the process.
fn covered(cover: &Cover, kernel: Option<Kernel>) -> String {
    let cgroup = cover.cgroup.to_string_lossy();
    let effective = EffectiveSettings::from(cover.settings);
    let kernel = kernel.unwrap_or(Kernel::UNKNOWN);
    let settings = effective.describe_covered(&kernel, cover.dead_after);
    format!("covered by {}: {settings}", printable(&cgroup))
}

/// Something that is wrong.
pub fn warning(words: &str, width: Option<usize>) -> String {
    styled(&wrap(&format!("! {words}"), width), AnsiColor::Yellow.on_default())
}

/// Which process it is.
fn head(shown: &Shown) -> String {
    let process = shown.process;
    let mut parts = Vec::new();
    parts.extend(process.user.as_deref().map(|user| format!("user {}", printable(user))));
    parts.extend(process.place.describe().map(|place| printable(&place).to_string()));
    parts.extend(listens(shown).map(|listens| format!("listens on {listens}")));
    let library = match &process.library {
        Library::Loaded(path) => format!("{} is loaded", printable(path)),
        Library::NotLoaded => "libkeepalive is not loaded".into(),
        Library::Unknown => "whether libkeepalive is loaded is unknown".into(),
    };
    let parts = parts.join(", ");
    let separator = if parts.is_empty() { "" } else { "; " };
    format!("{}: {parts}{separator}{library}", process.process)
}

/// Where a process listens: a port alone is that of every address.
pub fn listens(shown: &Shown) -> Option<String> {
    let mut addresses: Vec<_> = shown.listens().collect();
    addresses.sort_by_key(|address| (!address.ip().is_unspecified(), address.port(), address.ip()));
    let mut texts: Vec<_> = addresses.iter().map(listening).collect();
    texts.dedup();
    let more = texts.len().saturating_sub(LISTED);
    texts.truncate(LISTED);
    let listed = texts.join(", ");
    match more {
        _ if texts.is_empty() => None,
        0 => Some(listed),
        more => Some(format!("{listed} and {more} more")),
    }
}

fn listening(address: &SocketAddr) -> String {
    if address.ip().is_unspecified() { address.port().to_string() } else { address.to_string() }
}

/// Each finding once, the worst first, with the descriptors of the sockets that it is about.
pub fn group_findings(sockets: &[Judged]) -> Vec<(Finding, Vec<i32>)> {
    let mut groups: Vec<(Finding, Vec<i32>)> = Vec::new();
    for socket in sockets {
        for finding in &socket.findings {
            let fd = socket.fds[0];
            match groups.iter_mut().find_map(|(known, fds)| known.merge(finding).then_some(fds)) {
                Some(fds) => fds.push(fd),
                None => groups.push((finding.clone(), vec![fd])),
            }
        }
    }
    groups.sort_by_key(|(finding, fds)| (finding.rank(), fds[0]));
    groups
}

/// Lines in a style, each by itself.
pub fn styled(lines: &str, style: Style) -> String {
    lines.lines().map(|line| format!("{}\n", text::styled(line, style))).collect()
}
