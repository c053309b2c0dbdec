//! A cover in JSON. The schema is in docs/command.md, and only ever grows.

use serde::Serialize;

use super::{Counters, Cover};
use crate::values::Values;

/// A cover in JSON.
#[derive(Serialize)]
pub struct Entry {
    cgroup: String,
    mode: &'static str,
    idle_s: Option<u32>,
    interval_s: Option<u32>,
    count: Option<u32>,
    user_timeout_ms: Option<u32>,
    rto_max_ms: Option<u32>,
    syn_count: Option<u32>,
    age_s: u64,
    foreground_pid: Option<u32>,
    in_flight_ms: Option<u32>,
    opened: u64,
    accepted: u64,
    left_alone: u64,
    replaced: u64,
    refused: u64,
    bounded: u64,
    answered: u64,
    ended: u64,
}

impl From<&Cover> for Entry {
    fn from(cover: &Cover) -> Self {
        let Values { count, idle, interval, user_timeout, rto_max, syn_count } =
            cover.settings.values;
        let Counters { opened, accepted, left_alone, replaced, failed, bounded, answered, ended } =
            cover.counters;
        Self {
            cgroup: cover.cgroup.display().to_string(),
            mode: cover.mode(),
            idle_s: idle,
            interval_s: interval,
            count,
            user_timeout_ms: user_timeout,
            rto_max_ms: rto_max,
            syn_count,
            age_s: cover.age.as_secs(),
            foreground_pid: cover.foreground,
            in_flight_ms: cover.dead_after,
            opened,
            accepted,
            left_alone,
            replaced,
            refused: failed,
            bounded,
            answered,
            ended,
        }
    }
}
