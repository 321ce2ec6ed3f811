//! Seeded chaos over the protocols of one history, and what the judges say of broken ones. `cargo test` runs a
//! fixed tenth of the seeds; `scripts/sweep` runs them all. `FIREDRILL_SEED=N cargo test --test others` runs one
//! seed of each.

#[path = "../common/mod.rs"]
mod common;

mod dynamic_voting;
mod lazy_consensus;
mod omnipaxos;
mod raft;
mod static_primary;
mod viewstamped;

use common::chaos::Kinds;
use common::contest::{Judgement, drill, judge};
use firedrill::scenario::{Kind, Scenario};
use rayon::prelude::*;

pub fn seeds(full: u64) -> Vec<u64> {
    if let Some(seed) = std::env::var("FIREDRILL_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return vec![seed];
    }
    let all = std::env::var("FIREDRILL_SWEEP").is_ok_and(|sweep| sweep == "full");
    (0..if all { full } else { full / 10 }).collect()
}

/// Half of the seeds keep disks, half lose them.
pub fn sweep(kind: &Kind) {
    sweep_over(kind, 1_000);
}

pub fn sweep_over(kind: &Kind, full: u64) {
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
pub fn is_caught(
    what: &str,
    kind: &Kind,
    kinds: Kinds,
    count: u64,
    broken: impl Fn(u64, &Scenario) -> Judgement + Sync,
) {
    let caught = (0..count).into_par_iter().filter_map(|seed| {
        let judgement = broken(seed, &drill(seed, kinds, kind));
        (!judgement.wrong.is_empty()).then(|| (seed, judgement.wrong.join("; ")))
    });
    let caught: Vec<(u64, String)> = caught.collect();
    println!("{what}: {} of {count} {:?}", caught.len(), caught.first());
    assert!(!caught.is_empty(), "no judge caught {what} in {count} runs");
}
