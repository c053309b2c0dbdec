//! New covers: the programs for some settings, given to the kernel.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use options::Mode;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::btf::Btf;
use super::fields::Fields;
use super::flight::Flight;
use super::programs::Plan;
use super::record::{Counters, Record};
use super::syscall::{self, Kind, Map, Program};
use super::{BTF, Directory, Error, kinds};
use crate::settings::Settings;

/// What a new cover needs of the kernel, found once.
pub struct Maker {
    settings: Settings,
    foreground: Option<u32>,
    fields: Option<Fields>,
    /// How long a peer may leave data in flight without an answer, in milliseconds.
    dead_after: Option<u32>,
    flight: Option<Flight>,
    lacks_btf: bool,
    hz: u32,
}

/// The programs of a new cover, in the kernel but nowhere attached.
pub struct NewCover {
    pub(super) programs: Vec<(Kind, Program)>,
}

impl Maker {
    /// For covers with these settings, which last as long as their cgroup, or as this process. Data
    /// in flight is bounded where a time for it is given.
    pub fn new(
        settings: Settings,
        dead_after: Option<Duration>,
        is_foreground: bool,
    ) -> Result<Self, Error> {
        // Before Linux 5.11 programs and maps count as locked memory. Where it is not allowed, the
        // kernel says so then.
        let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
        // Under --force the operator has the last word, whatever the program chose.
        let is_force = settings.mode == Mode::Force;
        let found = if is_force && dead_after.is_none() { None } else { Some(fields()) };
        let found = match found {
            Some(Err(error)) if !is_force => return Err(error),
            found => found.and_then(Result::ok),
        };
        let lacks_btf = dead_after.is_some() && found.is_none();
        let hz = jiffies().map_err(|error| Error::Other("clock_getres(2)", error))?;
        let foreground = is_foreground.then(std::process::id);
        let dead_after = dead_after.and_then(|time| u32::try_from(time.as_millis()).ok());
        let flight = found.zip(dead_after).and_then(|(fields, it)| Flight::new(fields, it, hz));
        let dead_after = dead_after.filter(|_| flight.is_some());
        let fields = found.filter(|_| !is_force);
        Ok(Self { settings, foreground, fields, dead_after, flight, lacks_btf, hz })
    }

    /// Within which time a silent peer is given up that leaves data in flight unacknowledged, in
    /// milliseconds; None if that is left to the kernel.
    pub fn dead_after(&self) -> Option<u32> {
        self.dead_after
    }

    /// Whether data in flight is left to the kernel because that has no BTF.
    pub fn lacks_btf(&self) -> bool {
        self.lacks_btf
    }

    /// Has setsockopt(2) of [`super::TAKE_OVER`] take open connections over, as long as the link is
    /// open; None if the kernel has no way.
    pub fn taking_over(&self, cgroup: &Path) -> Option<OwnedFd> {
        let code = self.flight?.taking_over()?;
        let program = Program::load(Kind::Setsockopt, &code, &mut []).ok()?;
        let directory = Directory::open(cgroup).ok()??;
        syscall::link(directory.file.as_fd(), Kind::Setsockopt, &program).ok()
    }

    /// Gives the programs to the kernel, which checks them.
    pub fn load(&self) -> Result<NewCover, Error> {
        let record = Record {
            settings: self.settings,
            foreground: self.foreground,
            dead_after: self.dead_after,
            counters: Counters::default(),
        };
        let map = Map::new(&record.encode()).map_err(Error::creating_map)?;
        let plan = Plan {
            settings: &self.settings,
            fields: self.fields.as_ref(),
            flight: self.flight,
            hz: self.hz,
            map: map.0.as_raw_fd(),
        };
        let programs = kinds(self.settings.mode).iter().map(|&kind| {
            let code = match kind {
                Kind::SockOps => plan.sock_ops(),
                Kind::Setsockopt => plan.setsockopt(rustix::param::page_size() as i32),
            };
            let program = Program::load(kind, &code, &mut []).map_err(|error| {
                // Once more, for the verifier's reason.
                let mut log = vec![0; 1 << 20];
                match Program::load(kind, &code, &mut log) {
                    Err(_) => Error::loading_program(error, &log),
                    Ok(_) => Error::loading_program(error, &[]),
                }
            })?;
            Ok((kind, program))
        });
        programs.collect::<Result<_, _>>().map(|programs| NewCover { programs })
    }
}

/// Where this kernel keeps what is looked at.
fn fields() -> Result<Fields, Error> {
    let bytes = std::fs::read(BTF).map_err(Error::NoBtf)?;
    Btf::read(&bytes).and_then(|btf| Fields::find(&btf)).map_err(Error::UnusableBtf)
}

/// How many jiffies the kernel has in a second: the resolution of its coarse clocks
/// (kernel/time/posix-timers.c, `posix_get_coarse_res`).
fn jiffies() -> io::Result<u32> {
    let clock = nix::time::ClockId::CLOCK_MONOTONIC_COARSE;
    let tick = Duration::from(nix::time::clock_getres(clock)?).as_nanos();
    let hz = 1_000_000_000_u128.checked_div(tick).and_then(|hz| u32::try_from(hz).ok());
    hz.filter(|hz| (1..=10_000).contains(hz)).ok_or(Errno::RANGE.into())
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use options::OPTIONS;
    use proptest::prelude::*;

    use super::*;
    use crate::values::Values;

    const MODES: [Mode; 3] = [Mode::On, Mode::Skip, Mode::Force];

    /// Those options that the number has the bits of, each with a value of its range.
    fn values(subset: usize, value: impl Fn(&options::TcpOption) -> u32) -> Values<Option<u32>> {
        let is_in = |option: &options::TcpOption| {
            let place = OPTIONS.iter().position(|it| it.number == option.number);
            place.is_some_and(|place| subset >> place & 1 == 1)
        };
        Values::<()>::default().map(|option, ()| is_in(option).then(|| value(option)))
    }

    fn is_taken(settings: Settings, dead_after: Option<u32>) {
        static FIELDS: LazyLock<Fields> = LazyLock::new(|| fields().expect("BTF"));
        let fields = Some(*FIELDS).filter(|_| settings.mode != Mode::Force);
        let hz = 250;
        let flight = dead_after.and_then(|time| Flight::new(*FIELDS, time, hz));
        let maker =
            Maker { settings, foreground: None, fields, dead_after, flight, lacks_btf: false, hz };
        if let Err(error) = maker.load() {
            panic!("{settings:?}: {error}");
        }
    }

    #[test]
    #[ignore = "needs root: loads BPF programs"]
    fn every_mode_and_every_subset_of_values_passes_the_verifier() {
        for mode in MODES {
            for subset in 0..1 << OPTIONS.len() {
                let settings = Settings { values: values(subset, |option| option.min), mode };
                is_taken(settings, (subset % 2 == 0).then_some(3000));
            }
            let settings = Settings { values: values(usize::MAX, |option| option.max), mode };
            is_taken(settings, Some(1_000_000));
        }
    }

    #[test]
    #[ignore = "needs root: loads BPF programs"]
    fn taking_over_passes_the_verifier() {
        let flight = Flight::new(fields().expect("BTF"), 12_000, 250).expect("the kernel is later");
        if let Some(code) = flight.taking_over() {
            Program::load(Kind::Setsockopt, &code, &mut []).expect("it passes");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..Default::default() })]

        #[test]
        #[ignore = "needs root: loads BPF programs"]
        fn every_value_passes_the_verifier(
            subset: usize,
            mode in 0..3_usize,
            share in 0.0..=1.0,
            dead_after in proptest::option::of(3000..72_000_000_u32),
        ) {
            let value = |option: &options::TcpOption| {
                option.min + (f64::from(option.max - option.min) * share) as u32
            };
            let settings = Settings { values: values(subset, value), mode: MODES[mode] };
            is_taken(settings, dead_after);
        }
    }

    #[test]
    fn a_second_has_as_many_jiffies_as_the_kernel_says() {
        let hz = jiffies().expect("a clock");
        assert!([100, 250, 300, 1000].contains(&hz), "{hz}");
    }
}
