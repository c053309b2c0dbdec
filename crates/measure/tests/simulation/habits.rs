//! Every way to forget, and every habit of a server.

use std::time::Duration;

use libkeepalive_measure::{Finding, How, Outcome};

use crate::world::{Forgets, Habit, World};
use crate::{MAX, PARALLEL, is_forgotten, is_right, run, seconds};

/// Runs with several limits, losses and random numbers: those that are not as they should be.
fn wrong(change: impl Fn(&mut World), check: impl Fn(&World, &Outcome) -> bool) -> Vec<String> {
    let limits = [30.0, 61.0, 200.0, 350.0, 1000.0].into_iter();
    let mut wrong = Vec::new();
    for (limit, loss, seed) in limits
        .flat_map(|limit| [(limit, 0.0, 1), (limit, 0.01, 2), (limit, 0.05, 3), (limit, 0.2, 4)])
    {
        let mut world = World::new(limit, loss);
        change(&mut world);
        let outcome = run(&world, PARALLEL, seed);
        if !check(&world, &outcome) {
            wrong.push(format!("{world:?}: {outcome:?}"));
        }
    }
    wrong
}

/// None of them is wrong.
#[track_caller]
fn each(change: impl Fn(&mut World), check: impl Fn(&World, &Outcome) -> bool) {
    assert_eq!(wrong(change, check), Vec::<String>::new());
}

/// Whether a time is as expected, but for this many seconds.
fn is_near(time: Duration, expected: f64, tolerance: f64) -> bool {
    (time.as_secs_f64() - expected).abs() < tolerance
}

/// Whether the path's limit was found, in this way.
fn forgotten(how: How) -> impl Fn(&World, &Outcome) -> bool {
    move |world, outcome| is_forgotten(outcome, world.limit, how) && outcome.confirmed_by >= 4
}

#[test]
fn every_way_to_forget_is_told() {
    each(|world| world.forgets = Forgets::WithReset, forgotten(How::Reset));
    each(
        |world| world.forgets = Forgets::WithResetUnasked,
        |world, outcome| {
            // The times at which connections end are seen, not asked for.
            (outcome.finding, outcome.how) == (Finding::Forgotten, Some(How::ResetUnasked))
                && seconds(outcome.forgotten_after)
                    .is_some_and(|high| (high - world.limit).abs() < 0.02 * world.limit)
        },
    );
    each(
        |world| world.forgets = Forgets::ByAge,
        |_, outcome| outcome.finding == Finding::DespiteKeepalive,
    );
    each(
        |world| (world.limit, world.other_limit) = (1e9, 1e9),
        |_, outcome| {
            outcome.finding == Finding::NotForgotten
                && seconds(outcome.answered_after).is_some_and(|low| low >= MAX as f64)
        },
    );
}

/// Advice above a limit that exists does harm. It is chance which connections are asked, and so
/// whether it is noticed at all: a table of docs/measure.md says how often.
#[test]
fn advice_holds_the_connections_that_are_forgotten_first() {
    for forgets in [Forgets::Silently, Forgets::WithReset, Forgets::WithResetUnasked] {
        let (mut harmed, mut noticed) = (Vec::new(), 0);
        for factor in [1.5, 2.0, 4.0] {
            let change = |world: &mut World| {
                (world.other_limit, world.forgets) = (world.limit * factor, forgets);
            };
            each(change, |world, outcome| {
                seconds(outcome.forgotten_after).is_some_and(|high| high >= world.limit * 0.99)
            });
            harmed.extend(wrong(change, |world, outcome| {
                outcome.recommended.is_none_or(|settings| f64::from(settings.idle) < world.limit)
            }));
            noticed += 20 - wrong(change, |_, outcome| outcome.finding == Finding::Mixed).len();
        }
        assert!(harmed.len() <= 1, "{harmed:#?}");
        assert!(noticed >= 40, "{forgets:?}: {noticed} of 60 noticed");
    }
}

#[test]
fn an_outage_is_not_taken_for_a_limit() {
    // One that is longer than the limit cannot be told from it.
    let shorter = |world: &mut World| world.outage = (9.0, 9.0 + (world.limit * 0.7).min(200.0));
    each(shorter, |world, outcome| is_right(outcome, world.limit));
    let later = |world: &mut World| {
        world.outage = (world.limit * 0.6, (world.limit * 1.1).min(world.limit * 0.6 + 200.0));
    };
    each(later, |world, outcome| is_right(outcome, world.limit));
    each(|world| world.outage = (20.0, 1e9), |_, outcome| outcome.finding == Finding::Lost);
    each(|world| world.outage = (0.0, 1e9), |_, outcome| outcome.finding == Finding::Unreachable);
}

#[test]
fn what_servers_do_is_not_taken_for_the_path() {
    let right = || forgotten(How::Silence);
    each(|world| world.habit = Habit::Greets, right());
    each(|world| world.habit = Habit::DefersAccept(5.0), right());
    each(
        |world| world.habit = Habit::DefersAccept(30.0),
        |world, outcome| {
            // Connections that begin late are idle late.
            is_right(outcome, world.limit)
        },
    );
    each(
        |world| world.habit = Habit::FullBacklog(9),
        |world, outcome| is_forgotten(outcome, world.limit, How::Silence),
    );
    each(
        |world| world.habit = Habit::Probes(world.limit * 0.7),
        |world, outcome| {
            let every = world.limit * 0.7;
            let is_told = matches!(outcome.finding, Finding::NotIdle(found) if is_near(found, every, 0.2 * every));
            // Where its probes are lost, the limit may be found.
            is_told || is_right(outcome, world.limit)
        },
    );
    each(
        |world| world.habit = Habit::TakesFew(9),
        |world, outcome| is_forgotten(outcome, world.limit, How::Silence),
    );
    each(|world| world.habit = Habit::EndsSome(12.0), right());
    for after in [12.0, 60.0, 120.0] {
        for habit in [Habit::Closes(after), Habit::Resets(after)] {
            let change = |world: &mut World| {
                (world.habit, world.limit, world.other_limit) = (habit, 1e9, 1e9);
            };
            each(
                change,
                |_, outcome| matches!(outcome.finding, Finding::EndsIdle(found) if is_near(found, after, 1.0)),
            );
        }
    }
    // The path forgets before the server closes.
    each(
        |world| world.habit = Habit::Closes(world.limit * 3.0),
        |world, outcome| is_forgotten(outcome, world.limit, How::Silence),
    );
}

#[test]
fn a_server_that_restarts_is_not_taken_for_one_that_ends_idle_connections() {
    for (share, down) in [(0.3, 0.0), (0.3, 20.0), (0.9, 60.0)] {
        each(
            |world| world.habit = Habit::Restarts(world.limit * share, down),
            |world, outcome| is_right(outcome, world.limit),
        );
        each(
            |world| world.habit = Habit::Reboots(world.limit * share, down.min(world.limit * 0.5)),
            |world, outcome| is_right(outcome, world.limit),
        );
    }
}

#[test]
fn fewer_connections_are_enough() {
    for parallel in [6, 8, 12] {
        for limit in [30.0, 350.0, 3000.0] {
            let outcome = run(&World::new(limit, 0.0), parallel, 1);
            assert!(is_right(&outcome, limit), "{parallel}, {limit}: {outcome:?}");
            assert!(outcome.connections <= 3 * parallel, "{parallel}: {outcome:?}");
        }
    }
}
