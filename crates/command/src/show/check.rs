//! `show --check`: a line for the verdict, and one for each finding.

use super::page::group_findings;
use super::table::list;
use super::view::View;
use crate::text::count;

/// The lines.
pub fn lines(view: &View) -> String {
    let mut text = view.verdict();
    if view.not_inspected > 0 {
        text += &format!("; {} not looked into", count(view.not_inspected, "process"));
    }
    text.push('\n');
    let mut findings = Vec::new();
    for shown in &view.processes {
        for (finding, fds) in group_findings(shown.sockets()) {
            let line = format!("{}: fd {}: {finding}\n", shown.process.process, list(&fds, ", "));
            findings.push((finding.rank(), line));
        }
    }
    findings.sort_by_key(|(rank, _)| *rank);
    text + &findings.into_iter().map(|(_, line)| line).collect::<String>()
}
