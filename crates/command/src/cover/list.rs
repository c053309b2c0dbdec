//! `--list`: the covers that there are.

use std::path::PathBuf;

use serde::Serialize;

use super::locate::locate;
use crate::bpf::{self, Cover, CoverState, Entry, cover_on};
use crate::process::{all_below, mounted_at};
use crate::request::CoverTarget;
use crate::text::table::Table;
use crate::text::{self, error, print, print_json, printable, report_error, time};

/// Lists the covers on the targets, above and below them; without targets all. Whether all was
/// listed.
pub fn list(targets: &[CoverTarget], is_json: bool) -> bool {
    let root = match mounted_at() {
        Ok(root) => root,
        Err(error) => {
            report_error(error);
            return false;
        }
    };
    let mut complete = true;
    let mut cgroups = Vec::new();
    let everything = [CoverTarget::all()];
    for target in if targets.is_empty() { &everything } else { targets } {
        match locate(target) {
            Ok(cgroup) => {
                cgroups.extend(cgroup.ancestors().skip(1).map(PathBuf::from));
                cgroups.extend(all_below(&cgroup));
            }
            Err(error) => {
                report_error(format!("{target}: {error}"));
                complete = false;
            }
        }
    }
    cgroups.retain(|cgroup| cgroup.starts_with(&root));
    cgroups.sort();
    cgroups.dedup();
    let mut covers = Vec::new();
    for cgroup in cgroups {
        match cover_on(&cgroup) {
            Ok(cover) => {
                let why = match cover.as_ref().map(|cover| cover.state) {
                    None | Some(CoverState::Whole) => None,
                    Some(CoverState::Partial) => Some(
                        "an interrupted call left parts of a cover: cover it again, or --remove it",
                    ),
                    Some(CoverState::Changing) => Some(
                        "it has parts of a cover, and another process holds the lock (flock(2)), most \
                         likely to change it: list it again",
                    ),
                };
                if let Some(why) = why {
                    report_error(format!("{}: {why}", printable(&cgroup.to_string_lossy())));
                }
                covers.extend(cover);
            }
            Err(error) => {
                report_error(match bpf::check_rights() {
                    Err(rights) => rights,
                    Ok(()) => bpf::Error::querying(error),
                });
                return false;
            }
        }
    }
    let printed = if is_json {
        print_json(&document(&covers))
    } else if covers.is_empty() {
        // After a failure it may not be so.
        print(if complete { "nothing is covered\n" } else { "" })
    } else {
        print(&(table(&covers).join("\n") + "\n"))
    };
    if let Err(error) = printed {
        report_error(format!("stdout: {}", error::describe(&error)));
        return false;
    }
    complete
}

/// The columns that are lost where the lines are too narrow, the first first.
const LOST: [&str; 12] = [
    "SYNS",
    "USER TIMEOUT",
    "RTO MAX",
    "REPLACED",
    "LEFT ALONE",
    "FOR",
    "COUNT",
    "EVERY",
    "ANSWERED",
    "BOUNDED",
    "ENDED",
    "IN FLIGHT",
];

/// The columns about data in flight, for covers with --dead-after.
const IN_FLIGHT: [&str; 4] = ["IN FLIGHT", "BOUNDED", "ANSWERED", "ENDED"];

/// One line for each cover.
fn table(covers: &[Cover]) -> Vec<String> {
    let mut table = Table::default();
    let mut add = |header, text: &dyn Fn(&Cover) -> Option<String>| {
        table.add(header, covers.iter().map(|cover| (text(cover).unwrap_or("-".into()), None)));
    };
    // As it can be given as a TARGET.
    add("CGROUP", &|it| Some(printable(&it.cgroup.to_string_lossy()).to_string()));
    add("MODE", &|it| Some(it.mode().into()));
    add("IDLE", &|it| it.settings.values.idle.map(time::format_seconds));
    add("EVERY", &|it| it.settings.values.interval.map(time::format_seconds));
    add("COUNT", &|it| it.settings.values.count.map(|count| count.to_string()));
    add("USER TIMEOUT", &|it| it.settings.values.user_timeout.map(time::format_milliseconds));
    add("RTO MAX", &|it| it.settings.values.rto_max.map(time::format_milliseconds));
    add("IN FLIGHT", &|it| it.dead_after.map(time::format_milliseconds));
    add("SYNS", &|it| it.settings.values.syn_count.map(|count| count.to_string()));
    add("FOR", &|it| Some(time::format(it.age)));
    add("UNTIL", &|it| {
        let process = it.foreground.as_ref();
        Some(process.map_or("cgroup ends".into(), |process| format!("{process} ends")))
    });
    add("OPENED", &|it| Some(it.counters.opened.to_string()));
    add("ACCEPTED", &|it| Some(it.counters.accepted.to_string()));
    add("LEFT ALONE", &|it| Some(it.counters.left_alone.to_string()));
    add("REPLACED", &|it| Some(it.counters.replaced.to_string()));
    add("REFUSED", &|it| Some(it.counters.failed.to_string()));
    let bounded = |it: &Cover, count: u64| it.dead_after.map(|_| count.to_string());
    add("BOUNDED", &|it| bounded(it, it.counters.bounded));
    add("ANSWERED", &|it| bounded(it, it.counters.answered));
    add("ENDED", &|it| bounded(it, it.counters.ended));
    table.drop_empty(&IN_FLIGHT);
    table.fit(text::width(), &LOST);
    table.lines()
}

#[derive(Serialize)]
struct Document {
    version: u32,
    covers: Vec<Entry>,
}

fn document(covers: &[Cover]) -> String {
    let covers = covers.iter().map(Entry::from);
    let document = Document { version: 1, covers: covers.collect() };
    serde_json::to_string_pretty(&document).expect("no map with keys other than text") + "\n"
}
