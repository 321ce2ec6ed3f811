//! Sweeps of seeded chaos over the protocols of one history. `cargo test` runs a fixed tenth of the seeds;
//! `scripts/sweep` runs them all. `FIREDRILL_SEED=N cargo test --test others` runs one seed of each.

mod common;

use common::chaos::Kinds;
use common::contest::{Judgement, drill, judge, judge_broken};
use firedrill::protocols::{dynamic_voting, lazy_consensus, static_primary};
use firedrill::run;
use firedrill::scenario::{Kind, Scenario};
use firedrill::time::Duration;
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
    let seeds = seeds(1_000);
    let of = |seed: u64| drill(seed, if seed % 2 == 0 { Kinds::KeepDisks } else { Kinds::LoseDisks }, kind);
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
