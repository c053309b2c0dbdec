//! `show --openmetrics`: numbers for Prometheus and others that read its format. The metrics are
//! listed in docs/command.md.
//!
//! node_exporter reads an older format, in which OpenMetrics' own lines are comments, so it takes
//! these too, as long as there are only counters, gauges and histograms.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};

use super::view::{Shown, View};
use crate::judge::{Finding, Judged, is_late};
use crate::process::{Options, longest_pause};
use crate::sys::kernel::Counters;

/// At most this many pairs of process and unit have series of their own, so that no program can
/// fill a database.
const GROUPS: usize = 100;
/// The process of the series that has the rest.
const OTHER: &str = "other";

/// Upper bounds of the histogram, in seconds: a matter of seconds, the limits of well-known paths
/// (docs/timeouts.md), the kernel's own idle time.
const SILENCE: [f64; 9] = [1.0, 10.0, 60.0, 200.0, 350.0, 600.0, 1800.0, 3600.0, 7200.0];

/// More unanswered probes than one that is still on its way.
const UNANSWERED: u8 = 2;

/// The metrics. A first probe after more than `late` is late.
pub fn document(view: &View, late: Duration, counters: Counters) -> String {
    let metrics = Metrics {
        groups: bounded(groups(view, late)),
        not_inspected: view.not_inspected
            + view.processes.iter().filter(|it| it.sockets.is_none()).count(),
        counters,
    };
    let mut registry = Registry::with_prefix("keepalive");
    registry.register_collector(Box::new(metrics));
    let mut text = String::new();
    text::encode(&mut text, &registry).expect("a string takes everything");
    text
}

/// What a series is about: the name of a process, and its unit.
type Name = (String, String);

/// The connections of a group of processes.
#[derive(Debug, Default)]
struct Group {
    off: u64,
    late: u64,
    on: u64,
    unknown: u64,
    unanswered_probes: u64,
    unanswered_connections: u64,
    /// How long each peer has been silent, in seconds.
    silence: Vec<f64>,
}

impl Group {
    fn connections(&self) -> u64 {
        self.off + self.late + self.on + self.unknown
    }

    fn add(&mut self, socket: &Judged, late: Duration) {
        let is_late = |it: &Options| longest_pause(&it.values).is_some_and(|it| is_late(it, late));
        let has_old_timer = socket.findings.iter().any(|it| matches!(it, Finding::OldTimer { .. }));
        let state = match socket.options {
            None => &mut self.unknown,
            Some(options) if !options.keepalive => &mut self.off,
            Some(options) if is_late(&options) || has_old_timer => &mut self.late,
            Some(_) => &mut self.on,
        };
        *state += 1;
        let Some(info) = socket.info else { return };
        // Without keepalive the kernel counts other probes there: those of a closed window.
        if socket.options.is_some_and(|options| options.keepalive) {
            self.unanswered_probes += u64::from(info.unanswered_probes);
            self.unanswered_connections += u64::from(info.unanswered_probes >= UNANSWERED);
        }
        if socket.state.is_synchronized() {
            self.silence.push(info.silent_for.as_secs_f64());
        }
    }

    fn merge(&mut self, other: Self) {
        self.off += other.off;
        self.late += other.late;
        self.on += other.on;
        self.unknown += other.unknown;
        self.unanswered_probes += other.unanswered_probes;
        self.unanswered_connections += other.unanswered_connections;
        self.silence.extend(other.silence);
    }
}

/// The connections by process and unit. A connection that several processes hold is counted for
/// the first of them.
fn groups(view: &View, late: Duration) -> BTreeMap<Name, Group> {
    let mut groups = BTreeMap::<Name, Group>::new();
    let mut seen = HashSet::new();
    for Shown { process, sockets, .. } in &view.processes {
        let unit = process.place.unit.as_deref().map(stable).unwrap_or_default();
        let name = (process.process.name.clone(), unit);
        let sockets = sockets.iter().flatten().filter(|socket| socket.state.is_connection());
        for socket in sockets.filter(|socket| seen.insert(socket.inode)) {
            groups.entry(name.clone()).or_default().add(socket, late);
        }
    }
    groups
}

/// A unit's name without what is different every time: `session.scope`, `docker.scope`.
fn stable(unit: &str) -> String {
    let is_passing = unit.ends_with(".scope") || unit.starts_with("run-");
    match (unit.rsplit_once('.'), is_passing) {
        (Some((name, kind)), true) => {
            let name = name.rsplit_once('-').map_or(name, |(name, _)| name);
            format!("{name}.{kind}")
        }
        _ => unit.into(),
    }
}

/// The groups with the most connections, and one for all others.
fn bounded(groups: BTreeMap<Name, Group>) -> BTreeMap<Name, Group> {
    let mut sorted: Vec<_> = groups.into_iter().collect();
    sorted.sort_by_key(|(_, group)| std::cmp::Reverse(group.connections()));
    let rest = sorted.split_off(sorted.len().min(GROUPS));
    let mut groups: BTreeMap<_, _> = sorted.into_iter().collect();
    for (_, group) in rest {
        groups.entry((OTHER.into(), String::new())).or_default().merge(group);
    }
    groups
}

/// Everything that is printed, in an order that stays the same.
#[derive(Debug)]
struct Metrics {
    groups: BTreeMap<Name, Group>,
    not_inspected: usize,
    counters: Counters,
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.gauges(
            &mut encoder,
            "connections",
            "TCP connections; keepalive is off, on, or on with a first probe that is late",
            |group| {
                let unknown = (group.unknown > 0).then_some(("unknown", group.unknown));
                let known = [("off", group.off), ("late", group.late), ("on", group.on)];
                known.into_iter().chain(unknown).map(|(state, n)| (Some(state), n)).collect()
            },
        )?;
        self.gauges(
            &mut encoder,
            "unanswered_probes",
            "Probes that the peers have not answered, one that is still on its way included",
            |group| vec![(None, group.unanswered_probes)],
        )?;
        self.gauges(
            &mut encoder,
            "unanswered_connections",
            "Connections whose peer has not answered two probes or more",
            |group| vec![(None, group.unanswered_connections)],
        )?;

        let help = "Connections by the time since the peer was last heard, as it is now";
        let mut family = encoder.encode_descriptor(
            "silence",
            help,
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        for ((process, unit), group) in &self.groups {
            let histogram = Histogram::new(SILENCE);
            group.silence.iter().for_each(|seconds| histogram.observe(*seconds));
            let labels = [("process", process.as_str()), ("unit", unit.as_str())];
            histogram.encode(family.encode_family(&labels)?)?;
        }

        let help = "Processes that may not be looked into, so that their connections are unknown";
        let not_inspected = ConstGauge::new(self.not_inspected as u64);
        single(&mut encoder, "processes_not_inspected", help, &not_inspected)?;

        let Counters { probes, timeouts, aborts } = self.counters;
        for (name, help, value) in [
            ("probes_sent", "Probes sent: TCPKeepAlive of /proc/net/netstat", probes),
            (
                "timeouts",
                "Timeouts after which data was sent again: TCPTimeouts of /proc/net/netstat",
                timeouts,
            ),
            (
                "aborts",
                "Connections given up because the peer did not answer: TCPAbortOnTimeout of \
                 /proc/net/netstat",
                aborts,
            ),
        ] {
            if let Some(value) = value {
                single(&mut encoder, name, help, &ConstCounter::new(value))?;
            }
        }
        Ok(())
    }
}

impl Metrics {
    /// A gauge for each group, or several, with the state of keepalive as one more label.
    fn gauges(
        &self,
        encoder: &mut DescriptorEncoder,
        name: &str,
        help: &str,
        values: impl Fn(&Group) -> Vec<(Option<&'static str>, u64)>,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for ((process, unit), group) in &self.groups {
            for (state, value) in values(group) {
                let mut labels = vec![("process", process.as_str()), ("unit", unit.as_str())];
                labels.extend(state.map(|state| ("keepalive", state)));
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// A metric without labels.
fn single<M: EncodeMetric + TypedMetric>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    metric: &M,
) -> fmt::Result {
    let encoder: MetricEncoder = encoder.encode_descriptor(name, help, None, M::TYPE)?;
    metric.encode(encoder)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group with this many connections, all of them heard now.
    fn group(off: u64) -> Group {
        Group { off, silence: vec![0.0; off as usize], ..Group::default() }
    }

    #[test]
    fn the_number_of_series_is_bounded_and_no_connection_is_lost() {
        let name = |number: u64| (format!("process {number}"), String::new());
        let all: BTreeMap<_, _> = (0..1000).map(|number| (name(number), group(number))).collect();
        let groups = bounded(all);
        assert_eq!(groups.len(), GROUPS + 1);
        assert_eq!(groups.values().map(Group::connections).sum::<u64>(), 499_500);
        assert_eq!(groups.values().map(|group| group.silence.len()).sum::<usize>(), 499_500);
        // Those with the most have their own.
        assert!(groups.contains_key(&name(900)) && !groups.contains_key(&name(899)));
        assert!(groups.contains_key(&(OTHER.into(), String::new())));

        let few: BTreeMap<_, _> = (0..100).map(|number| (name(number), group(number))).collect();
        assert_eq!(bounded(few).len(), GROUPS);
    }

    #[test]
    fn what_is_another_every_time_is_not_in_the_name_of_a_unit() {
        for (unit, expected) in [
            ("kafka.service", "kafka.service"),
            ("postgresql@15-main.service", "postgresql@15-main.service"),
            ("user-1000.slice", "user-1000.slice"),
            ("session-3.scope", "session.scope"),
            ("init.scope", "init.scope"),
            ("docker-4c01db0b339c.scope", "docker.scope"),
            ("cri-containerd-4c01db0b339c.scope", "cri-containerd.scope"),
            ("run-u5.service", "run.service"),
            ("run-rd5f0c4e2.scope", "run.scope"),
            ("", ""),
        ] {
            assert_eq!(stable(unit), expected, "{unit}");
        }
    }

    #[test]
    fn names_cannot_forge_a_line() {
        let name = ("a\"} 1\nb".to_owned(), r"c\x2d.service".to_owned());
        let metrics = Metrics {
            groups: BTreeMap::from([(name, group(1))]),
            not_inspected: 0,
            counters: Counters::default(),
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(metrics));
        let mut text = String::new();
        text::encode(&mut text, &registry).expect("a string takes everything");
        let line = text.lines().find(|line| line.starts_with("connections{")).expect("a line");
        let labels = r#"process="a\"} 1\nb",unit="c\\x2d.service",keepalive="off""#;
        assert_eq!(line, format!("connections{{{labels}}} 1"));
        assert!(!text.lines().any(|line| line.starts_with('b')), "{text}");
    }
}
