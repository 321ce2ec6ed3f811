//! Sweeps of seeded chaos over the protocols of one history. `cargo test` runs a fixed tenth of the seeds;
//! `scripts/sweep` runs them all. `FIREDRILL_SEED=N cargo test --test others` runs one seed of each.

mod common;

use common::chaos::Kinds;
use common::contest::{Judgement, drill, judge, judge_broken};
use common::{fault, scenario, secs, sites};
use firedrill::protocols::{dynamic_voting, lazy_consensus, static_primary};
use firedrill::run;
use firedrill::scenario::{Kind, Scenario};
use firedrill::time::{Duration, SimTime};
use firedrill::workload::Application;
use firedrill::world::fault::Action;
use rayon::prelude::*;

fn seeds(full: u64) -> Vec<u64> {
    if let Some(seed) = std::env::var("FIREDRILL_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return vec![seed];
    }
    let all = std::env::var("FIREDRILL_SWEEP").is_ok_and(|sweep| sweep == "full");
    (0..if all { full } else { full / 10 }).collect()
}

/// Half of the seeds keep disks, half lose them.
fn sweep(kind: &Kind) {
    sweep_over(kind, 1_000);
}

fn sweep_over(kind: &Kind, full: u64) {
    let seeds = seeds(full);
    let of = |seed: u64| drill(seed, if seed.is_multiple_of(2) { Kinds::KeepDisks } else { Kinds::LoseDisks }, kind);
    let judged: Vec<(u64, Judgement)> = seeds.par_iter().map(|&seed| (seed, judge(&of(seed), seed))).collect();
    let failed: Vec<String> = judged
        .iter()
        .filter(|(_, judgement)| !judgement.wrong.is_empty())
        .map(|(seed, judgement)| {
            let faults: Vec<String> = of(*seed).timeline.iter().map(|fault| format!("    {fault:?}")).collect();
            format!("seed {seed}: {}\n{}", judgement.wrong.join("; "), faults.join("\n"))
        })
        .collect();
    assert!(failed.is_empty(), "{} of {} runs:\n{}", failed.len(), seeds.len(), failed.join("\n"));
    let undecided = judged.iter().filter(|(_, judgement)| judgement.undecided).count();
    println!("{}: {} runs, of which {undecided} undecided", kind.name(), seeds.len());
    assert!(undecided * 20 <= seeds.len(), "{undecided} of {} runs undecided", seeds.len());
}

/// Some of the seeds catch a defect; the sweeps show that the correct protocol passes all of them.
fn is_caught(what: &str, kind: &Kind, kinds: Kinds, count: u64, broken: impl Fn(u64, &Scenario) -> Judgement + Sync) {
    let caught = (0..count).into_par_iter().filter_map(|seed| {
        let judgement = broken(seed, &drill(seed, kinds, kind));
        (!judgement.wrong.is_empty()).then(|| (seed, judgement.wrong.join("; ")))
    });
    let caught: Vec<(u64, String)> = caught.collect();
    println!("{what}: {} of {count} {:?}", caught.len(), caught.first());
    assert!(!caught.is_empty(), "no judge caught {what} in {count} runs");
}

#[test]
fn static_primary_under_chaos() {
    let heartbeat = Duration::from_millis(300);
    sweep(&Kind::StaticPrimary(static_primary::Options { heartbeat, snapshot_entries: 50 }));
}

fn lazy_options() -> lazy_consensus::Options {
    lazy_consensus::Options {
        heartbeat: Duration::from_millis(500),
        suspect_after: Duration::from_secs(3),
        snapshot_entries: 50,
    }
}

#[test]
fn lazy_consensus_under_chaos() {
    sweep(&Kind::LazyConsensus(lazy_options()));
}

/// Suspicions are cheap here: with a timeout below many of the delays that these faults make, most are wrong.
#[test]
fn lazy_consensus_with_hasty_suspicions_under_chaos() {
    let options = lazy_consensus::Options {
        heartbeat: Duration::from_millis(100),
        suspect_after: Duration::from_millis(250),
        snapshot_entries: 10,
    };
    sweep_over(&Kind::LazyConsensus(options), 400);
}

fn voting_options() -> dynamic_voting::Options {
    dynamic_voting::Options {
        heartbeat: Duration::from_millis(500),
        suspect_after: Duration::from_secs(3),
        stable_after: Duration::from_millis(600),
        view_deadline: Duration::from_millis(800),
        snapshot_entries: 50,
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
    };
    sweep_over(&Kind::DynamicVoting(options), 400);
}

#[test]
fn answers_before_the_decision_are_caught() {
    let options = lazy_options();
    let mutation = Some(lazy_consensus::Mutation::AnswerBeforeDecision);
    is_caught("answering early", &Kind::LazyConsensus(options.clone()), Kinds::KeepDisks, 60, |seed, drill| {
        judge_broken(drill, seed, &run::lazy_consensus(&options, mutation))
    });
}

#[test]
fn acknowledging_alone_is_caught() {
    let options = voting_options();
    let mutation = Some(dynamic_voting::Mutation::AcknowledgeAlone);
    is_caught("acknowledging alone", &Kind::DynamicVoting(options.clone()), Kinds::KeepDisks, 60, |seed, drill| {
        judge_broken(drill, seed, &run::dynamic_voting(&options, mutation))
    });
}

#[test]
fn a_lost_disk_that_is_not_minded_is_caught() {
    let options = lazy_options();
    let mutation = Some(lazy_consensus::Mutation::RejoinEmpty);
    is_caught("rejoining empty", &Kind::LazyConsensus(options.clone()), Kinds::LoseDisks, 200, |seed, drill| {
        judge_broken(drill, seed, &run::lazy_consensus(&options, mutation))
    });
}

/// Sites 3 and 4 are split off, and `after` that site 2 is with them and no more with 0 and 1: perhaps just when it
/// has recorded the view of the three, and has not heard that it is installed.
fn moved_over(after: Duration) -> Scenario {
    let mut drill = scenario(5, Application::Kv, 70);
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
    let options = voting_options();
    let moments: Vec<u64> = (3_600..4_400).step_by(10).collect();
    let judged = |mutation| {
        let judged = moments.par_iter().map(|&after| {
            let drill = moved_over(Duration::from_millis(after));
            judge_broken(&drill, 1, &run::dynamic_voting(&options, mutation)).wrong
        });
        let wrong: Vec<Vec<String>> = judged.filter(|wrong| !wrong.is_empty()).collect();
        wrong
    };
    assert_eq!(judged(None), Vec::<Vec<String>>::new());
    let caught = judged(Some(dynamic_voting::Mutation::IgnoreAttempts));
    println!("ignoring attempts: {} of {} {:?}", caught.len(), moments.len(), caught.first());
    assert!(!caught.is_empty(), "no judge caught that attempts are ignored");
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    for kind in [Kind::LazyConsensus(lazy_options()), Kind::DynamicVoting(voting_options())] {
        let prints = |seed: u64| {
            let drill = drill(seed, Kinds::LoseDisks, &kind);
            let run = || run::run(&drill, &drill.protocols[0], seed, run::Keep::default()).expect("it is built");
            [run().record, run().record]
        };
        let [first, second] = prints(7);
        assert_eq!(first, second);
        assert_ne!(first.fingerprint, prints(8)[0].fingerprint);
    }
}
