//! `keepalive show`: the TCP sockets of processes. What is collected becomes a view, and that is
//! rendered: as tables, as JSON, as metrics, as lines for a check, or again and again.

mod check;
mod collect;
mod fold;
mod json;
mod marks;
mod openmetrics;
mod overview;
mod page;
#[cfg(test)]
mod snapshots;
mod table;
mod verdict;
mod view;
mod watch;

use crate::request::Show;
use crate::sys::Status;
use crate::text::{self, error, print, print_json, report_error, time};
use crate::worker::Worker;
use collect::Collected;
use page::Layout;
use view::View;

/// Shows what was asked for.
pub fn show(request: &Show) -> Status {
    if let Some(message) = request.watch.and_then(|_| misplaced_time(&request.targets)) {
        report_error(message);
        return Status::Mistake;
    }
    match request.watch {
        Some(interval) => watch::watch(request, interval),
        None => show_once(request),
    }
}

/// What to write where somebody has written `--watch 5s`.
fn misplaced_time(targets: &[String]) -> Option<String> {
    let is_time = |text: &&String| {
        text.ends_with(|it: char| it.is_ascii_alphabetic())
            && text.starts_with(|it: char| it.is_ascii_digit())
            && time::parse(text).is_ok()
    };
    let time = targets.iter().find(is_time)?;
    Some(format!("--watch: a time stands behind an equals sign: --watch={time}"))
}

fn show_once(request: &Show) -> Status {
    let collected = match Collected::new(request, &mut Worker::default(), None) {
        Ok(collected) => collected.unwrap_or_default(),
        Err(message) => {
            report_error(message);
            return Status::Failure;
        }
    };
    collected.messages.iter().for_each(report_error);
    let view = View::new(request, &collected);
    let printed = if request.json {
        print_json(&json::document(&view))
    } else if request.openmetrics {
        let counters = collected.counters.unwrap_or_default();
        // Names are as unaltered as in JSON.
        print_json(&openmetrics::document(&view, request.path_timeout, counters))
    } else if request.check {
        print(&check::lines(&view))
    } else {
        print(&text(request, &view, text::width()))
    };
    let has_findings = || view.sockets().any(|socket| !socket.findings.is_empty());
    if let Err(error) = printed {
        report_error(format!("stdout: {}", error::describe(&error)));
        Status::Failure
    } else if request.check && has_findings() {
        Status::Findings
    } else {
        Status::from_complete(collected.is_complete && !(request.check && view.has_unknown()))
    }
}

/// For people, in lines that are this wide, if the width is known.
fn text(request: &Show, view: &View, width: Option<usize>) -> String {
    if request.is_overview() {
        overview::overview(view, width)
    } else {
        let layout = Layout { width, unfold: request.all, ..Layout::default() };
        page::between_verdicts(view, &layout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_not_behind_an_equals_sign() {
        assert!(misplaced_time(&["5s".into()]).is_some_and(|it| it.ends_with("--watch=5s")));
        assert_eq!(misplaced_time(&["5".into(), "nginx".into(), "1password".into()]), None);
    }
}
