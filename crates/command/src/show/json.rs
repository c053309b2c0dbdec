//! `show --json`: docs/show.schema.json describes it, and it only ever grows.

use serde::Serialize;

use super::view::{Shown, View};
use crate::bpf::Entry;
use crate::judge::{Judged, SetBy};
use crate::process::{Library, Protocol, Timer, TimerKind};

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    kernel: Option<Kernel>,
    processes: Vec<Process<'a>>,
    not_inspected: usize,
}

#[derive(Serialize)]
struct Kernel {
    tcp_keepalive_time: u32,
    tcp_keepalive_intvl: u32,
    tcp_keepalive_probes: u32,
}

#[derive(Serialize)]
struct Process<'a> {
    pid: i32,
    name: &'a str,
    user: Option<&'a str>,
    command: &'a [String],
    unit: Option<&'a str>,
    container: Option<&'a str>,
    covers: Option<Vec<Entry>>,
    library: Option<String>,
    library_known: bool,
    trouble: Option<String>,
    sockets: Option<Vec<TcpSocket<'a>>>,
}

#[derive(Serialize)]
struct TcpSocket<'a> {
    descriptors: &'a [i32],
    inode: u64,
    protocol: &'static str,
    state: &'static str,
    local: Option<String>,
    remote: Option<String>,
    keepalive: Option<bool>,
    // A sysctl may be -1.
    idle_s: Option<i32>,
    interval_s: Option<i32>,
    count: Option<u32>,
    user_timeout_ms: Option<u32>,
    rto_max_ms: Option<u32>,
    set_by: Option<&'static str>,
    timer: Option<RunningTimer>,
    unanswered_probes: Option<u8>,
    unacknowledged_segments: Option<u32>,
    silent_for_ms: Option<u128>,
    findings: Vec<String>,
}

#[derive(Serialize)]
struct RunningTimer {
    kind: &'static str,
    expires_in_ms: u128,
    retransmissions: u8,
}

/// The document.
pub fn document(view: &View) -> String {
    let kernel = view.defaults.map(|defaults| Kernel {
        tcp_keepalive_time: defaults.idle,
        tcp_keepalive_intvl: defaults.interval,
        tcp_keepalive_probes: defaults.count,
    });
    let processes = view.processes.iter().map(|Shown { process, covers, sockets, .. }| Process {
        pid: process.process.pid,
        name: &process.process.name,
        user: process.user.as_deref(),
        command: process.command_line.arguments(),
        unit: process.place.unit.as_deref(),
        container: process.place.container.as_deref(),
        covers: covers.map(|covers| covers.iter().map(Entry::from).collect()),
        library: match &process.library {
            Library::Loaded(path) => Some(path.clone()),
            Library::NotLoaded | Library::Unknown => None,
        },
        library_known: !matches!(process.library, Library::Unknown),
        trouble: process.trouble.as_ref().map(ToString::to_string),
        sockets: sockets.as_ref().map(|sockets| sockets.iter().map(socket).collect()),
    });
    let document = Document {
        version: 1,
        kernel,
        processes: processes.collect(),
        not_inspected: view.not_inspected,
    };
    serde_json::to_string_pretty(&document).expect("no map with keys other than text") + "\n"
}

fn socket<'a>(socket: &'a Judged) -> TcpSocket<'a> {
    let values = socket.options.map(|options| options.values).unwrap_or_default();
    TcpSocket {
        descriptors: &socket.fds,
        inode: socket.inode,
        protocol: match socket.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Mptcp => "mptcp",
        },
        state: socket.state.name(),
        local: socket.local.map(|address| address.to_string()),
        remote: socket.remote.map(|address| address.to_string()),
        keepalive: socket.options.map(|options| options.keepalive),
        idle_s: values.idle.map(u32::cast_signed),
        interval_s: values.interval.map(u32::cast_signed),
        count: values.count,
        user_timeout_ms: values.user_timeout,
        rto_max_ms: values.rto_max,
        set_by: socket.set_by.map(SetBy::name),
        timer: socket.timer.as_ref().map(timer),
        unanswered_probes: socket.info.map(|info| info.unanswered_probes),
        unacknowledged_segments: socket.info.map(|info| info.unacknowledged),
        silent_for_ms: socket.info.map(|info| info.silent_for.as_millis()),
        findings: socket.findings.iter().map(ToString::to_string).collect(),
    }
}

fn timer(timer: &Timer) -> RunningTimer {
    RunningTimer {
        kind: match timer.kind {
            TimerKind::Retransmission => "retransmission",
            TimerKind::Keepalive => "keepalive",
            TimerKind::ZeroWindowProbe => "zero-window-probe",
        },
        expires_in_ms: timer.expires_in.as_millis(),
        retransmissions: timer.retransmissions,
    }
}
