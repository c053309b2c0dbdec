//! The value of a cover's map: what it sets, and what it has done so far.

use options::Mode;

use crate::settings::Settings;
use crate::values::Values;

/// How many numbers of 64 bits it has.
pub const LENGTH: usize = 18;
/// A record as the map has it and the programs see it.
pub type RawRecord = [u64; LENGTH];

/// Tells it from the map of somebody else's.
const MAGIC: u64 = u64::from_le_bytes(*b"keepali1");

/// What a cover sets, and what it has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub settings: Settings,
    /// The process with whose end the cover ends.
    pub foreground: Option<u32>,
    /// How long a peer may leave data in flight without an answer, in milliseconds; None if that is
    /// the kernel's.
    pub dead_after: Option<u32>,
    pub counters: Counters,
}

/// What a cover has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections that were set before their SYN.
    pub opened: u64,
    /// Connections that were set before accept(2) returned them.
    pub accepted: u64,
    /// Connections that have times of the program's own.
    pub left_alone: u64,
    /// Values of the program's that were replaced in setsockopt(2), under `--force`.
    pub replaced: u64,
    /// Options that the kernel refused.
    pub failed: u64,
    /// Outages of connections with data in flight that were bounded.
    pub bounded: u64,
    /// Those of them that ended with an answer.
    pub answered: u64,
    /// Those of them that ended the connection.
    pub ended: u64,
}

/// Where a counter is, in bytes.
#[derive(Clone, Copy)]
pub enum Counter {
    Opened = 80,
    Accepted = 88,
    LeftAlone = 96,
    Replaced = 104,
    Failed = 112,
    Bounded = 120,
    Answered = 128,
    Ended = 136,
}

impl Record {
    /// As the map has it.
    pub fn encode(&self) -> RawRecord {
        let Counters { opened, accepted, left_alone, replaced, failed, bounded, answered, ended } =
            self.counters;
        let Values { count, idle, interval, user_timeout, rto_max, syn_count } =
            self.settings.values.map(|_, value| value.map_or(0, |value| u64::from(value) + 1));
        [
            MAGIC,
            self.settings.mode as u64,
            count,
            idle,
            interval,
            user_timeout,
            rto_max,
            syn_count,
            self.foreground.unwrap_or(0).into(),
            self.dead_after.unwrap_or(0).into(),
            opened,
            accepted,
            left_alone,
            replaced,
            failed,
            bounded,
            answered,
            ended,
        ]
    }

    /// From the map; None if it is not a cover's.
    pub fn decode(raw: &RawRecord) -> Option<Self> {
        let [magic, mode, count, idle, interval, user_timeout, rto_max, syn_count, ..] = *raw;
        let [
            ..,
            process,
            dead_after,
            opened,
            accepted,
            left_alone,
            replaced,
            failed,
            bounded,
            answered,
            ended,
        ] = *raw;
        let mode = [Mode::On, Mode::Skip, Mode::Force].into_iter().find(|it| *it as u64 == mode)?;
        let values = Values { count, idle, interval, user_timeout, rto_max, syn_count };
        let value = |value: u64| u32::try_from(value.checked_sub(1)?).ok();
        let present = |number: u64| u32::try_from(number).ok().filter(|number| *number > 0);
        Some(Self {
            settings: Settings { values: values.map(|_, it| value(it)), mode },
            foreground: present(process),
            dead_after: present(dead_after),
            counters: Counters {
                opened,
                accepted,
                left_alone,
                replaced,
                failed,
                bounded,
                answered,
                ended,
            },
        })
        .filter(|_| magic == MAGIC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let values = Values { idle: Some(60), user_timeout: Some(0), ..Values::default() };
        for mode in [Mode::On, Mode::Skip, Mode::Force] {
            let mut record = Record {
                settings: Settings { values, mode },
                foreground: Some(7),
                dead_after: Some(120_000),
                counters: Counters::default(),
            };
            assert_eq!(Record::decode(&record.encode()), Some(record));
            record.foreground = None;
            record.dead_after = None;
            let mut raw = record.encode();
            for (place, number) in [
                (Counter::Opened, 1),
                (Counter::Accepted, 2),
                (Counter::LeftAlone, 3),
                (Counter::Replaced, 4),
                (Counter::Failed, 5),
                (Counter::Bounded, 6),
                (Counter::Answered, 7),
                (Counter::Ended, 8),
            ] {
                raw[place as usize / 8] = number;
            }
            record.counters = Counters {
                opened: 1,
                accepted: 2,
                left_alone: 3,
                replaced: 4,
                failed: 5,
                bounded: 6,
                answered: 7,
                ended: 8,
            };
            assert_eq!(Record::decode(&raw), Some(record));
        }
        assert_eq!(Record::decode(&[0; LENGTH]), None);
        assert_eq!(Record::decode(&[u64::MAX; LENGTH]), None);
    }
}
