//! `show --watch`: looks again and again, and draws on the terminal or appends lines.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

use anstyle::Style;

use super::collect::Collected;
use super::marks::{Key, Marks, Seen, seen};
use super::overview;
use super::page::{Layout, group_findings, pages, warning};
use super::table::list;
use super::view::View;
use crate::request::Show;
use crate::sys::Status;
use crate::text::screen::{self, Event, Events};
use crate::text::{append, error, report_error, styled, time, wrap};
use crate::worker::Worker;

/// A finding of a process as a line, and a hash by which a later look knows it again.
struct FindingLine {
    id: u64,
    text: String,
}

/// What earlier looks have found.
#[derive(Default)]
struct Past {
    /// None before the first look.
    seen: Option<Seen>,
    findings: Vec<FindingLine>,
    messages: Vec<String>,
}

/// Shows it until q is pressed, a signal comes, nobody reads it, or the processes have ended.
pub fn watch(request: &Show, interval: Duration) -> Status {
    let is_drawn = screen::size().is_some();
    let mut events = match Events::new(is_drawn) {
        Ok(events) => events,
        Err(error) => {
            report_error(format!("signalfd(2): {}", error::describe(&error)));
            return Status::Failure;
        }
    };
    let end = look_until_end(request, interval, is_drawn, &mut events);
    // The terminal is as it was before anything else is said.
    drop(events);
    match end {
        Ok((status, messages)) => {
            messages.iter().for_each(report_error);
            status
        }
        Err(message) => {
            report_error(message);
            Status::Failure
        }
    }
}

/// Looks until the end: the exit status, and what is to be said once the terminal is as it was.
fn look_until_end(
    request: &Show,
    interval: Duration,
    is_drawn: bool,
    events: &mut Events,
) -> Result<(Status, Vec<String>), String> {
    let end = Ok((Status::Success, Vec::new()));
    let mut worker = Worker::default();
    let mut past = Past::default();
    loop {
        let Some(collected) = Collected::new(request, &mut worker, Some(events.signals()))? else {
            // A signal came meanwhile.
            if events.wait(Duration::ZERO) == Event::End {
                return end;
            }
            continue;
        };
        worker.end_look();
        let (text, now) = render(request, interval, is_drawn, &past, &collected);
        let is_read = if is_drawn {
            events.draw(&text).map(|()| true)
        } else {
            if now.messages != past.messages {
                now.messages.iter().for_each(report_error);
            }
            append(&text)
        };
        if !is_read.map_err(|error| format!("stdout: {}", error::describe(&error)))? {
            return end;
        }
        let are_numbers = request.targets.iter().all(|it| it.bytes().all(|it| it.is_ascii_digit()));
        if collected.processes.is_empty() && are_numbers && !request.is_overview() {
            let were_there = past.seen.is_some();
            let status = if were_there { Status::Success } else { Status::Failure };
            return Ok((status, if is_drawn { now.messages } else { Vec::new() }));
        }
        past = now;
        if events.wait(interval) == Event::End {
            return end;
        }
    }
}

/// What is shown of a look, and what the next one is compared with.
fn render(
    request: &Show,
    interval: Duration,
    is_drawn: bool,
    past: &Past,
    collected: &Collected,
) -> (String, Past) {
    let view = View::new(request, collected);
    let seen = seen(&view);
    let findings = findings(&view);
    let size = screen::size().filter(|_| is_drawn);
    let text = match size {
        Some(size) => {
            let before = past.seen.as_ref();
            let marks = Marks::new(before, &seen);
            let head = head(interval, before, &seen, &marks);
            drawn(request, &view, &head, size, &marks, &findings, &collected.messages)
        }
        None => appended(&view.verdict(), &findings, &past.findings),
    };
    (text, Past { seen: Some(seen), findings, messages: collected.messages.clone() })
}

/// Each finding of each process.
fn findings(view: &View) -> Vec<FindingLine> {
    let mut lines = Vec::new();
    for shown in &view.processes {
        let process = &shown.process.process;
        for (finding, fds) in group_findings(shown.sockets()) {
            let mut hasher = DefaultHasher::new();
            (process.pid, finding.kind()).hash(&mut hasher);
            let text = format!("{process}: fd {}: {finding}", list(&fds, ", "));
            lines.push(FindingLine { id: hasher.finish(), text });
        }
    }
    lines
}

/// The lines of a look that stand behind those of the looks before.
fn appended(verdict: &str, findings: &[FindingLine], before: &[FindingLine]) -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    let mut text = format!("{now} {verdict}\n");
    let is_in = |all: &[FindingLine], one: &FindingLine| all.iter().any(|other| other.id == one.id);
    for came in findings.iter().filter(|it| !is_in(before, it)) {
        text += &format!("{now} ! {}\n", came.text);
    }
    for gone in before.iter().filter(|it| !is_in(findings, it)) {
        text += &format!("{now} - no longer: {}\n", gone.text);
    }
    text
}

/// When the look was, and what has changed since the one before.
fn head(interval: Duration, before: Option<&Seen>, now: &Seen, marks: &Marks) -> String {
    let time = humantime::format_rfc3339_seconds(SystemTime::now());
    let changes = before.map_or(String::new(), |before| changes(before, now, marks));
    format!("{time}, every {}{changes}; q ends it", time::format(interval))
}

/// What is drawn on a screen of this size.
fn drawn(
    request: &Show,
    view: &View,
    head: &str,
    (columns, lines): (usize, usize),
    marks: &Marks,
    findings: &[FindingLine],
    messages: &[String],
) -> String {
    let width = Some(columns);
    let mut text = styled(&wrap(head, width), Style::new().dimmed()) + "\n";
    for message in messages {
        text += &(wrap(&format!("keepalive: {message}"), width) + "\n");
    }
    text += &(styled(&wrap(&view.verdict(), width), Style::new().bold()) + "\n");
    if request.is_overview() {
        text += &format!("\n{}", overview::table(view, width, marks).join("\n"));
    } else {
        text.extend(findings.iter().map(|it| warning(&it.text, width)));
        let layout =
            Layout { width, unfold: request.all, without_findings: true, marks: Some(marks) };
        text += &pages(view, &layout);
    }
    cut(&text, lines)
}

/// What has changed, in a few text.
fn changes(before: &Seen, now: &Seen, marks: &Marks) -> String {
    let is_socket = |key: &&Key| key.1 != 0;
    let (opened, changed) = marks.sockets();
    let closed = before.keys().filter(is_socket).filter(|key| !now.contains_key(key)).count();
    let parts: Vec<_> = [(opened, "opened"), (closed, "closed"), (changed, "changed")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
}

/// At most this many lines; how many more there are stands in the last one.
fn cut(text: &str, lines: usize) -> String {
    let all = text.lines().count();
    if all <= lines {
        return text.into();
    }
    let shown = lines.saturating_sub(1);
    let first: Vec<_> = text.lines().take(shown).collect();
    format!("{}\n… {} more lines (--problems)", first.join("\n"), all - shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_come_and_go_as_lines() {
        let lines = |id, text: &str| FindingLine { id, text: text.into() };
        let text =
            appended("x", &[lines(1, "a 2s"), lines(2, "b")], &[lines(1, "a 1s"), lines(3, "c")]);
        let lines: Vec<_> =
            text.lines().map(|line| line.split_once(' ').expect("a time").1).collect();
        assert_eq!(lines, ["x", "! b", "- no longer: c"]);
    }

    #[test]
    fn a_screen_that_is_full_says_how_much_is_below_it() {
        assert_eq!(cut("a\nb\nc\n", 3), "a\nb\nc\n");
        assert_eq!(cut("a\nb\nc\nd\n", 3), "a\nb\n… 2 more lines (--problems)");
    }
}
