//! Each deliberate defect of the mechanism is caught by a judge, on disasters where the correct mechanism
//! passes. A checker that cannot say no would let one of these through.

mod common;

use common::chaos::{Kinds, chaos, corruption};
use common::judge::complaints;
use common::*;
use firedrill::id::NodeId;
use firedrill::protocols::optimistic::{MergePolicy, Mutation, Options};
use firedrill::run::{Probe, run_probed};
use firedrill::scenario::Scenario;
use firedrill::time::Duration;
use firedrill::workload::Application;
use firedrill::world::fault::{Action, Endpoint};
use rayon::prelude::*;

fn broken(options: &Options, mutation: Mutation) -> Options {
    Options { mutation: Some(mutation), ..options.clone() }
}

/// Some of the seeds catch the defect; the sweeps show that the correct mechanism passes all of them.
fn is_caught(mutation: Mutation, seeds: u64, make: impl Fn(u64) -> (Scenario, Options) + Sync) {
    let caught = (0..seeds).into_par_iter().filter_map(|seed| {
        let (scenario, options) = make(seed);
        let wrong = complaints(&scenario, &broken(&options, mutation), seed, &Probe::default());
        (!wrong.is_empty()).then(|| (seed, wrong[0].clone()))
    });
    let caught: Vec<(u64, String)> = caught.collect();
    println!("{mutation:?}: {} of {seeds} {:?}", caught.len(), caught.first());
    assert!(!caught.is_empty(), "no judge caught {mutation:?} in {seeds} runs");
}

#[test]
fn adopting_unconditionally_is_caught_where_freezes_end_too_early() {
    // A lone primary joins the others over slow links and thaws before the installation comes: what it
    // acknowledged meanwhile is in no merged log.
    let mut drill = scenario(5, Application::Board, 90);
    drill.loads[0].rate = 20.0;
    let slow = Action::Degrade {
        between: (vec![Endpoint::Node(NodeId(1))], vec![Endpoint::Node(NodeId(0))]),
        add_delay: Duration::from_millis(450),
        loss: 0.0,
        duplicate: 0.0,
        reorder: 0.0,
    };
    drill.timeline = vec![partition(25, 15, &[&[0, 1, 2, 3], &[4]]), fault(secs(39), Some(12), "slow", slow)];
    let options = Options { freeze: Duration::from_millis(50), view_deadline: Duration::from_secs(2), ..options() };
    let good = complaints(&drill, &options, 1, &Probe::default());
    assert!(good.is_empty(), "{good:?}");
    let bad = complaints(&drill, &broken(&options, Mutation::AdoptUnconditionally), 1, &Probe::default());
    println!("{bad:?}");
    assert!(!bad.is_empty());
}

#[test]
fn epochs_that_never_reset_are_caught() {
    is_caught(Mutation::NoEpochReset, 60, corruption);
}

#[test]
fn trust_in_the_future_is_caught() {
    is_caught(Mutation::TrustTheFuture, 150, corruption);
}

#[test]
fn acknowledging_before_replication_is_caught() {
    is_caught(Mutation::AckBeforeReplication, 10, |seed| chaos(seed, Kinds::LoseDisks));
}

#[test]
fn answering_repeats_at_once_is_caught() {
    is_caught(Mutation::AnswerRepeatsAtOnce, 20, |seed| chaos(seed, Kinds::KeepDisks));
}

#[test]
fn acknowledging_before_sync_is_caught() {
    is_caught(Mutation::AckBeforeSync, 60, |seed| chaos(seed, Kinds::KeepDisks));
}

/// Both the correct mechanism and the defect play the same drill.
fn contrast<T>(
    scenario: &Scenario,
    options: &Options,
    mutation: Mutation,
    probe: &Probe,
    see: impl Fn(&firedrill::run::RunResult, &firedrill::run::Examined) -> T,
) -> (T, T) {
    let (good, good_seen) = run_probed(scenario, options, 1, probe);
    let (bad, bad_seen) = run_probed(scenario, &broken(options, mutation), 1, probe);
    (see(&good, &good_seen), see(&bad, &bad_seen))
}

#[test]
fn one_way_trust_is_caught_under_a_one_way_cut() {
    let mut drill = scenario(5, Application::Board, 90);
    let one_way = Action::Cut {
        from: vec![Endpoint::Node(NodeId(3)), Endpoint::Node(NodeId(4))],
        to: vec![Endpoint::Node(NodeId(0))],
        one_way: true,
    };
    drill.timeline = vec![fault(secs(30), None, "one-way cut", one_way)];
    let options = options();
    let good = complaints(&drill, &options, 1, &Probe::default());
    assert!(good.is_empty(), "{good:?}");
    let bad = complaints(&drill, &broken(&options, Mutation::OneWayTrust), 1, &Probe::default());
    println!("{bad:?}");
    assert!(!bad.is_empty());
}

#[test]
fn ranking_without_tails_is_caught_after_an_isolated_crash() {
    let mut drill = scenario(5, Application::Board, 120);
    drill.loads[0].rate = 10.0;
    let cut = Action::Cut {
        from: vec![Endpoint::Node(NodeId(0))],
        to: (1..5).map(|node| Endpoint::Node(NodeId(node))).collect(),
        one_way: true,
    };
    let mut isolated = fault(millis(39_800), None, "isolate output", cut);
    isolated.lasts = Some(Duration::from_millis(400));
    drill.timeline = vec![isolated, crash(40, 30, &[0])];
    let options = Options { merge: MergePolicy::RankWins, ..options() };
    let revoked = |result: &firedrill::run::RunResult, _: &_| result.record.metrics.all.writes_revoked;
    let (good, bad) = contrast(&drill, &options, Mutation::NoTailRule, &Probe::default(), revoked);
    println!("revoked: {good:?} against {bad:?}");
    assert_eq!(good, Some(0), "nothing that was acknowledged is revoked by a plain crash");
    assert!(bad > Some(0));
}

#[test]
fn finishing_at_the_first_deadline_is_caught_by_a_member_that_pauses() {
    let mut drill = scenario(5, Application::Board, 90);
    let mut pause = fault(millis(44_000), None, "pause", Action::Pause { targets: nodes(&[4]) });
    pause.lasts = Some(Duration::from_millis(2_000));
    drill.timeline = vec![crash(40, 200, &[3]), pause];
    let without = |_: &_, seen: &firedrill::run::Examined| {
        seen.installed.iter().filter(|view| !view.members.contains(&NodeId(4))).count()
    };
    let (good, bad) = contrast(&drill, &options(), Mutation::FinishAtFirstDeadline, &Probe::default(), without);
    println!("views without the paused member: {good} against {bad}");
    assert_eq!(good, 0, "a member that pauses for less than the suspicion timeout stays in every view");
    assert!(bad > 0);
}

#[test]
fn refreshing_after_a_gap_is_caught_by_a_jerky_leader() {
    let mut drill = scenario(5, Application::Board, 120);
    drill.timeline.push(crash(40, 200, &[3]));
    for jerk in 0..24 {
        let mut pause = fault(millis(40_200 + jerk * 2_700), None, "jerk", Action::Pause { targets: nodes(&[0]) });
        pause.lasts = Some(Duration::from_millis(2_000));
        drill.timeline.push(pause);
    }
    let views = |_: &_, seen: &firedrill::run::Examined| {
        let without: Vec<_> = seen.installed.iter().filter(|view| !view.members.contains(&NodeId(3))).collect();
        (without.first().map(|view| view.at.as_secs_f64()), without.len())
    };
    let (good, bad) = contrast(&drill, &options(), Mutation::RefreshAfterGap, &Probe::default(), views);
    println!("first view without the dead member, and how many: {good:?} against {bad:?}");
    assert!(good.0.is_some_and(|at| at < 52.0), "{good:?}");
    assert_eq!(good.1, 1, "the dead member is suspected once and for all");
    assert!(bad.1 > 1, "a member believed to live is taken in again and again");
}

#[test]
fn heartbeats_to_the_own_set_only_are_caught_after_both_sides_reconfigured() {
    let mut drill = scenario(6, Application::Board, 120);
    drill.timeline = vec![partition(30, 40, &[&[0, 1, 4], &[2, 3, 5]])];
    let set = |nodes: &[u32]| nodes.iter().copied().map(NodeId).collect::<Vec<_>>();
    let probe = Probe {
        replica_set: Some(set(&[0, 1, 2, 3])),
        reconfigure: vec![(secs(45), NodeId(0), set(&[0, 1, 4])), (secs(45), NodeId(2), set(&[2, 3, 5]))],
        ..Probe::default()
    };
    let good = complaints(&drill, &options(), 1, &probe);
    assert!(good.is_empty(), "{good:?}");
    let bad = complaints(&drill, &broken(&options(), Mutation::HeartbeatOwnSetOnly), 1, &probe);
    println!("{bad:?}");
    assert!(!bad.is_empty());
}

#[test]
fn a_member_whose_acknowledgements_are_dropped_is_caught_by_what_its_users_see() {
    let drill = scenario(5, Application::Board, 120);
    let availability =
        |result: &firedrill::run::RunResult, _: &_| result.record.metrics.all.availability.unwrap_or(0.0);
    let (good, bad) = contrast(&drill, &options(), Mutation::DropReplicateAcks, &Probe::default(), availability);
    println!("availability: {good} against {bad}");
    assert_eq!(good, 1.0);
    assert!(bad < 0.99, "a member that never acknowledges costs something");
    assert!(bad > 0.8, "and hold-down keeps that bounded");
}
