//! Dynamic voting.

use crate::common::chaos::Kinds;
use crate::common::contest::{CHECKS, judge_broken};
use crate::common::{fault, scenario, secs, sites};
use crate::{is_caught, sweep, sweep_over};
use firedrill::protocols::dynamic_voting;
use firedrill::run::contest;
use firedrill::scenario::{Kind, Scenario};
use firedrill::time::{Duration, SimTime};
use firedrill::workload::Application;
use firedrill::world::fault::Action;
use rayon::prelude::*;

fn voting_options() -> dynamic_voting::Options {
    dynamic_voting::Options {
        heartbeat: Duration::from_millis(500),
        suspect_after: Duration::from_secs(3),
        stable_after: Duration::from_millis(600),
        view_deadline: Duration::from_millis(800),
        snapshot_entries: 50,
        mutation: None,
    }
}

#[test]
fn dynamic_voting_under_chaos() {
    sweep(&Kind::DynamicVoting(voting_options()));
}

/// Views that change all the time, many of them given up half way.
#[test]
fn dynamic_voting_with_hasty_suspicions_under_chaos() {
    let options = dynamic_voting::Options {
        heartbeat: Duration::from_millis(100),
        suspect_after: Duration::from_millis(250),
        stable_after: Duration::from_millis(100),
        view_deadline: Duration::from_millis(20),
        snapshot_entries: 10,
        mutation: None,
    };
    sweep_over(&Kind::DynamicVoting(options), 400);
}

#[test]
fn acknowledging_alone_is_caught() {
    let options =
        dynamic_voting::Options { mutation: Some(dynamic_voting::Mutation::AcknowledgeAlone), ..voting_options() };
    is_caught("acknowledging alone", &Kind::DynamicVoting(options.clone()), Kinds::KeepDisks, 60, |seed, drill| {
        judge_broken(drill, seed, &contest::dynamic_voting(&options))
    });
}

/// Sites 3 and 4 are split off, and `after` that site 2 is with them and no more with 0 and 1: perhaps just when it
/// has recorded the view of the three, and has not heard that it is installed.
fn moved_over(after: Duration) -> Scenario {
    let mut drill = scenario(5, Application::Kv, 70);
    drill.checks = CHECKS.to_vec();
    let split = |at: SimTime, lasts: Duration, groups: [&[u32]; 2]| {
        let groups = groups.into_iter().map(sites).collect();
        let mut split = fault(at, None, "partition", Action::Partition { groups });
        split.lasts = Some(lasts);
        split
    };
    let moved = secs(20) + after;
    drill.timeline = vec![
        split(secs(20), after, [&[0, 1, 2], &[3, 4]]),
        split(moved, Duration::from_secs(15), [&[0, 1], &[2, 3, 4]]),
    ];
    drill
}

#[test]
fn attempted_views_that_are_not_minded_are_caught() {
    let moments: Vec<u64> = (3_600..4_400).step_by(10).collect();
    let judged = |mutation| {
        let judged = moments.par_iter().map(|&after| {
            let drill = moved_over(Duration::from_millis(after));
            let options = dynamic_voting::Options { mutation, ..voting_options() };
            judge_broken(&drill, 1, &contest::dynamic_voting(&options)).wrong
        });
        let wrong: Vec<Vec<String>> = judged.filter(|wrong| !wrong.is_empty()).collect();
        wrong
    };
    assert_eq!(judged(None), Vec::<Vec<String>>::new());
    let caught = judged(Some(dynamic_voting::Mutation::IgnoreAttempts));
    println!("ignoring attempts: {} of {} {:?}", caught.len(), moments.len(), caught.first());
    assert!(!caught.is_empty(), "no judge caught that attempts are ignored");
}
