//! What `show --openmetrics` prints.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::markdown::rows;
use crate::support::running::Running;
use crate::support::{self, run, stdout};
use crate::{Target, c_target, failure, keepalive};

const PATIENCE: Duration = Duration::from_secs(30);

/// The value of the sample with this name and these labels.
#[track_caller]
pub fn sample(metrics: &str, name: &str) -> f64 {
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{metrics}"))
}

#[test]
fn connections_are_counted_by_the_state_of_their_keepalive() {
    let mut target = c_target();
    let metrics =
        |target: &Target| stdout(&mut keepalive(&format!("show --openmetrics {}", target.pid())));
    let states = |metrics: &str| {
        ["off", "late", "on"].map(|state| {
            let start = r#"keepalive_connections{process="target",unit=""#;
            let end = format!(r#"",keepalive="{state}"}} "#);
            let line = metrics.lines().find(|line| line.starts_with(start) && line.contains(&end));
            let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<u32>().ok());
            value.unwrap_or_else(|| panic!("no {state} in\n{metrics}"))
        })
    };
    assert_eq!(states(&metrics(&target)), [2, 0, 0]);
    let port = target.port;
    let attach = |what: &str| run(&mut keepalive(&format!("attach --force --port {port} {what}")));
    let _connection = target.connect();
    attach(&format!("--idle 201 {}", target.pid()));
    assert_eq!(states(&metrics(&target)), [0, 3, 0]);
    attach(&format!("--idle 200 {}", target.pid()));
    let after = metrics(&target);
    assert_eq!(states(&after), [0, 0, 3]);

    assert!(after.ends_with("\n# EOF\n"), "{after}");
    assert!(!after.contains("other"), "{after}");
    // Another test may send probes meanwhile.
    assert!(sample(&after, "keepalive_probes_sent_total") >= 0.0);
    assert!(sample(&after, "keepalive_timeouts_total") >= 0.0);
    assert!(sample(&after, "keepalive_aborts_total") >= 0.0);
    assert!(sample(&after, "keepalive_processes_not_inspected") == 0.0);
    for line in after.lines().filter(|line| !line.starts_with("# EOF")) {
        let is_ours = ["keepalive_", "# HELP keepalive_", "# TYPE keepalive_", "# UNIT keepalive_"];
        assert!(is_ours.iter().any(|start| line.starts_with(start)), "{line}");
    }
    // A histogram: the numbers only grow, and the last one is of all connections.
    let buckets = after.lines().filter(|line| line.starts_with("keepalive_silence_seconds_bucket"));
    let counts: Vec<u32> = buckets
        .map(|line| line.rsplit(' ').next().expect("a value").parse().expect("it"))
        .collect();
    assert!(counts.is_sorted() && counts.last() == Some(&3), "{counts:?}");
}

/// A shell and its child hold the same connection.
#[test]
fn a_connection_that_two_processes_hold_is_counted_once() {
    let target = c_target();
    let mut shell = support::bare("bash");
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{}; sleep 99 & echo $!; wait", target.port);
    let shell = Running::start(shell.args(["-c", &script]));
    let child = shell.hear(PATIENCE).expect("the child's number");
    let metrics = stdout(&mut keepalive(&format!("show --openmetrics {} {child}", shell.pid())));
    let count = metrics.lines().filter(|line| line.starts_with("keepalive_silence_seconds_count"));
    let count: Vec<_> = count.map(|line| line.rsplit(' ').next().expect("a value")).collect();
    assert_eq!(count, ["1"], "{metrics}");
    // SAFETY: takes two numbers; the child was started here.
    unsafe { libc::kill(child.parse().expect("a number"), libc::SIGKILL) };
}

#[test]
fn metrics_are_of_connections_only() {
    for other in ["--all", "--listen", "--json"] {
        let (status, stderr) = failure(&mut keepalive(&format!("show --openmetrics {other}")));
        assert_eq!(status, 2, "{stderr}");
        assert!(stderr.contains("--openmetrics") && stderr.contains(other), "{stderr}");
    }
}

/// The table in docs/command.md has every metric, and no other; the manual has them too.
#[test]
fn the_document_lists_the_metrics() {
    let target = c_target();
    let metrics = stdout(&mut keepalive(&format!("show --openmetrics {}", target.pid())));
    let printed = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut printed: Vec<_> = printed
        .map(|line| match line.split_once(' ') {
            Some((name, "counter")) => format!("{name}_total counter"),
            _ => line.to_owned(),
        })
        .collect();
    let mut listed: Vec<_> = rows("docs/command.md", "## Metrics", "metric")
        .iter()
        .map(|row| format!("{} {}", row[0].trim_matches('`'), row[1]))
        .collect();
    printed.sort();
    listed.sort();
    assert_eq!(printed, listed);

    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/show/manual.txt");
    let manual = fs::read_to_string(manual).expect("the manual");
    for metric in printed {
        let name = metric.split(' ').next().expect("a name");
        assert!(manual.split([' ', ',']).any(|word| word == name), "{name}");
    }
}
