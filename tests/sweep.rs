//! Sweeps over seeded chaos. `cargo test` runs a fixed tenth of the seeds; `scripts/sweep` runs them all.
//!
//! On a failure the message names the seed; `FIREDRILL_SEED=N cargo test --test sweep` runs it alone.

mod common;

use common::chaos::{Kinds, chaos, corruption};
use firedrill::protocols::optimistic::{Mutation, Options};
use firedrill::run::{RunResult, VerdictOutcome, run_mutated};
use firedrill::scenario::Scenario;
use rayon::prelude::*;

/// The seeds of a sweep: a tenth of `full`, all of them, or the one that is asked for.
fn seeds(full: u64) -> Vec<u64> {
    if let Some(seed) = std::env::var("FIREDRILL_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return vec![seed];
    }
    let all = std::env::var("FIREDRILL_SWEEP").is_ok_and(|sweep| sweep == "full");
    (0..if all { full } else { full / 10 }).collect()
}

/// What is wrong with a run, if anything.
fn complaints(result: &RunResult) -> Vec<String> {
    let mut wrong: Vec<String> = result
        .record
        .verdicts
        .iter()
        .filter(|verdict| verdict.outcome == VerdictOutcome::Violated)
        .map(|verdict| format!("{}: {}", verdict.check, verdict.evidence.as_deref().unwrap_or("no evidence")))
        .collect();
    let all = &result.record.metrics.all;
    let sum = [all.writes_applied, all.writes_revoked, all.writes_stranded, all.writes_lost];
    if all.writes_acked != Some(sum.iter().map(|count| count.unwrap_or(0)).sum()) {
        wrong.push("the fates of writes do not add up".into());
    }
    wrong
}

fn sweep(seeds: &[u64], make: impl Fn(u64) -> (Scenario, Options) + Sync) {
    let failures: Vec<String> = seeds
        .par_iter()
        .filter_map(|&seed| {
            let (scenario, options) = make(seed);
            let (result, _) = run_mutated(&scenario, &options, seed, None::<Mutation>, &[]);
            let wrong = complaints(&result);
            let faults: Vec<String> = scenario
                .timeline
                .iter()
                .map(|f| {
                    format!("{:.1}+{:.1} {}", f.at.as_secs_f64(), f.lasts.map_or(0.0, |l| l.as_secs_f64()), f.label)
                })
                .collect();
            (!wrong.is_empty()).then(|| {
                format!(
                    "seed {seed}: {}\n    {:?} {:?} {}",
                    wrong.join("; "),
                    options.ack,
                    options.merge,
                    faults.join(", ")
                )
            })
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} runs:\n{}", failures.len(), seeds.len(), failures.join("\n"));
}

#[test]
fn chaos_that_keeps_disks() {
    sweep(&seeds(2_000), |seed| chaos(seed, Kinds::KeepDisks));
}

#[test]
fn chaos_that_loses_disks() {
    sweep(&seeds(2_000), |seed| chaos(seed, Kinds::LoseDisks));
}

#[test]
fn arbitrary_states() {
    sweep(&seeds(1_000), corruption);
}
