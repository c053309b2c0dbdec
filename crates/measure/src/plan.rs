//! Which connection to probe after which idle time. Times are in seconds.

use crate::timing::{MIN_RUNG_FACTOR, RUNGS};

/// The idle times to probe after: up to `max`, which is the last, and not more than `number`.
pub fn ladder(max: f64, number: usize) -> Vec<f64> {
    let below = RUNGS.into_iter().filter(|rung| rung * MIN_RUNG_FACTOR < max);
    let all: Vec<f64> = below.chain([max]).collect();
    let number = number.clamp(1, all.len());
    // Evenly among them, the last one always.
    (1..=number).map(|place| all[place * all.len() / number - 1]).collect()
}

/// Which of these connections, with their idle times, to probe after which idle time, to find out
/// where between `low` and `high` the limit is.
///
/// Those that have been idle for as long as that already are probed at once, but no two that are
/// about as long idle. Where there are none, those that have been idle longest are waited for.
pub fn refinement(
    low: f64,
    high: f64,
    resolution: f64,
    idle: &[(usize, f64)],
) -> Vec<(usize, f64)> {
    let mut longest_first = idle.to_vec();
    longest_first.sort_by(|one, other| other.1.total_cmp(&one.1));
    let margin = 1.0 + resolution / 4.0;
    let mut at_once: Vec<(usize, f64)> = Vec::new();
    for (id, idle) in &longest_first {
        let is_inside = *idle > low * margin && *idle < high / margin;
        let is_distinct =
            at_once.last().is_none_or(|last| last.1 > idle * (1.0 + resolution / 2.0));
        if is_inside && is_distinct {
            at_once.push((*id, *idle));
        }
    }
    if !at_once.is_empty() {
        return at_once;
    }
    longest_first.retain(|(_, idle)| *idle <= low * margin);
    let steps = ((high / low).ln() / resolution.ln_1p()).ceil() as usize;
    let number = steps.saturating_sub(1).clamp(1, longest_first.len().max(1));
    let points = (1..=number).rev().map(|point| {
        let share = point as f64 / (number + 1) as f64;
        low * (high / low).powf(share)
    });
    longest_first.into_iter().map(|(id, _)| id).zip(points).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_ends_at_the_longest_time_and_has_few_enough_rungs() {
        assert_eq!(ladder(7500.0, 21), RUNGS);
        assert_eq!(ladder(7500.0, 99), RUNGS);
        assert_eq!(ladder(30.0, 21), [10.4, 15.5, 20.6, 30.0]);
        assert_eq!(ladder(61.0, 21), [10.4, 15.5, 20.6, 31.0, 45.0, 61.0]);
        assert_eq!(ladder(5.0, 21), [5.0]);
        assert_eq!(ladder(7500.0, 3), [92.0, 910.0, 7500.0]);
        for number in 1..25 {
            let rungs = ladder(7500.0, number);
            assert!(rungs.len() == number.min(21) && rungs.is_sorted(), "{rungs:?}");
            assert_eq!(rungs.last(), Some(&7500.0));
        }
    }

    #[test]
    fn what_has_been_idle_long_enough_is_probed_at_once() {
        let idle = [(1, 347.6), (2, 342.5), (3, 337.0), (4, 327.0), (5, 296.0)];
        let plan = refinement(305.0, 356.6, 0.05, &idle);
        assert_eq!(plan, [(1, 347.6), (3, 337.0), (4, 327.0)]);
    }

    #[test]
    fn otherwise_the_longest_idle_is_waited_for() {
        let idle = [(1, 3.0), (2, 311.0), (3, 260.0), (4, 530.0)];
        let plan = refinement(490.0, 521.0, 0.05, &idle);
        assert_eq!(plan.len(), 1);
        assert!(plan[0].0 == 2 && (plan[0].1 - 505.2).abs() < 0.1, "{plan:?}");
        assert_eq!(refinement(490.0, 521.0, 0.05, &[]), []);
        // The longest idle gets the longest time, so that the wait is short.
        let plan = refinement(100.0, 200.0, 0.05, &idle[..1]);
        assert!((plan[0].1 - 141.4).abs() < 0.1, "{plan:?}");
    }
}
