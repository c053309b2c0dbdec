//! How long the kernel goes on sending again before it gives up, and what that means for the
//! bound on its pauses, `TCP_RTO_MAX_MS`, and for connect(2).

use options::SYNCNT;

use super::late::at_latest;
use crate::sys::kernel::Kernel;
use crate::values::Values;

/// The shortest time after which data is sent again, in milliseconds (`TCP_RTO_MIN`,
/// include/net/tcp.h).
pub const RTO_MIN: u64 = 200;

/// The time after which a SYN is sent again, in milliseconds (`TCP_TIMEOUT_INIT`,
/// include/net/tcp.h; RFC 6298).
const SYN_RTO: u64 = 1000;

/// The time after which the kernel gives up, in milliseconds, counted from the first segment that
/// is sent again: pauses that begin with `first` and double up to `rto_max`
/// (net/ipv4/tcp_timer.c, `tcp_model_timeout`).
pub fn model(retries: u32, first: u64, rto_max: u32) -> u64 {
    let rto_max = u64::from(rto_max);
    let doublings = (rto_max / first).max(1).ilog2();
    let doubled = |times: u32| ((2 << times) - 1) * first;
    if retries <= doublings {
        doubled(retries)
    } else {
        doubled(doublings) + u64::from(retries - doublings) * rto_max
    }
}

/// The time within which a peer is given up that does not acknowledge data, in milliseconds. The
/// kernel looks at the clock when it is about to send again, so it gives up one pause later at
/// most.
pub fn in_flight(rto_max: u32, retries: u32) -> u64 {
    model(retries, RTO_MIN, rto_max) + at_latest(u64::from(rto_max) + RTO_MIN)
}

/// The number of SYNs with which connect(2) is as patient under a bound as it is without, as far
/// as the option allows it; None where the bound does not shorten its patience.
pub fn syn_count(rto_max: u32, kernel: &Kernel) -> Option<u32> {
    let Values { syn_count: retries, rto_max: default, .. } = kernel.assumed_defaults();
    let without = model(retries, SYN_RTO, default);
    if model(retries, SYN_RTO, rto_max) >= without {
        return None;
    }
    let patience = without + u64::from(kernel.linear_syns) * SYN_RTO;
    let is_enough = |count: &u32| model(*count, SYN_RTO, rto_max) >= patience;
    Some((SYNCNT.min..=SYNCNT.max).find(is_enough).unwrap_or(SYNCNT.max))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Linux 6.15 and later, as it comes.
    pub fn kernel() -> Kernel {
        Kernel { has_rto_max: Some(true), ..Kernel::default() }
    }

    /// Measured on Linux 6.18, with HZ=250, from the data to the error: each is at least what the
    /// kernel's model says, and at most what is promised.
    #[test]
    fn the_model_agrees_with_what_was_measured() {
        for (rto_max, measured) in [(1000, 15_000), (2000, 27_500), (4000, 51_900), (8000, 95_400)]
        {
            assert!(model(15, RTO_MIN, rto_max) <= measured, "{rto_max}");
            assert!(measured <= in_flight(rto_max, 15), "{rto_max}");
        }
        assert_eq!(model(15, RTO_MIN, 120_000), 924_600);
    }

    /// Measured likewise, from connect(2) to ETIMEDOUT.
    #[test]
    fn connect_gives_up_at_the_first_pause_beyond_the_model() {
        for (rto_max, measured) in
            [(1000, 7160), (4000, 23_620), (5000, 31_800), (10_000, 50_230), (20_000, 77_630)]
        {
            let model = model(6, SYN_RTO, rto_max);
            assert!(model <= measured && measured <= model + u64::from(rto_max), "{rto_max}");
        }
        assert_eq!(model(6, SYN_RTO, 120_000), 127_000);
    }

    #[test]
    fn connect_stays_as_patient() {
        for rto_max in (1000..64_000).step_by(100) {
            let count = syn_count(rto_max, &kernel()).expect("one that is larger");
            assert!(SYNCNT.contains(count));
            // At the smallest bounds even the largest count is three seconds short.
            let patience = model(count, SYN_RTO, rto_max);
            assert!(patience >= if rto_max < 1040 { 128_000 } else { 131_000 }, "{rto_max}");
            assert!(count == 127 || model(count - 1, SYN_RTO, rto_max) < 131_000, "{rto_max}");
        }
        let counts = [1000, 2000, 5000, 10_000].map(|bound| syn_count(bound, &kernel()));
        assert_eq!(counts, [127, 65, 27, 15].map(Some));
        assert_eq!(syn_count(64_000, &kernel()), None);
    }

    #[test]
    fn a_bound_that_the_kernel_lacks_is_not_promised() {
        use super::super::effective::{EffectiveSettings, Setting, Source};

        let bound = Some(Setting { value: 5000, source: Source::Argument });
        let values = Values { rto_max: bound, ..Values::default() };
        let mode = Setting { value: options::Mode::On, source: Source::Kernel };
        let describe = |kernel: Kernel| EffectiveSettings { values, mode }.describe(&kernel);
        assert_eq!(
            describe(kernel()),
            "unacknowledged data: resent at least every 5s, connection dropped within 67s"
        );
        assert_eq!(
            describe(Kernel::default()),
            "unacknowledged data: kernel retransmits for about 15m 24s (TCP_RTO_MAX_MS needs Linux \
             6.15)"
        );
    }
}
