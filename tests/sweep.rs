//! Sweeps over seeded chaos. `cargo test` runs a fixed tenth of the seeds; `scripts/sweep` runs them all.
//!
//! On a failure the message names the seed; `FIREDRILL_SEED=N cargo test --test sweep` runs it alone.

mod common;

use common::chaos::{Kinds, chaos, corruption, reconfigurations};
use common::judge::{complaints, complaints_and_strays};
use firedrill::protocols::optimistic::Options;
use firedrill::run::Probe;
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

fn sweep(seeds: &[u64], make: impl Fn(u64) -> (Scenario, Options) + Sync) {
    judge(seeds, make, |seed, scenario, options| complaints(scenario, options, seed, &Probe::default()));
}

fn judge(
    seeds: &[u64],
    make: impl Fn(u64) -> (Scenario, Options) + Sync,
    complaints: impl Fn(u64, &Scenario, &Options) -> Vec<String> + Sync,
) {
    let failures: Vec<String> = seeds
        .par_iter()
        .filter_map(|&seed| {
            let (scenario, options) = make(seed);
            let wrong = complaints(seed, &scenario, &options);
            (!wrong.is_empty()).then(|| format!("seed {seed}: {}\n{}", wrong.join("; "), story(&scenario, &options)))
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} runs:\n{}", failures.len(), seeds.len(), failures.join("\n"));
}

/// What happened in a scenario, for a person who looks for the reason.
fn story(scenario: &Scenario, options: &Options) -> String {
    let mut lines = format!("    {options:?}\n");
    for fault in &scenario.timeline {
        let lasts = fault.lasts.map_or_else(|| "for good".into(), |lasts| format!("for {:.1} s", lasts.as_secs_f64()));
        lines += &format!("    {:.1} s, {lasts}: {:?}\n", fault.at.as_secs_f64(), fault.action);
    }
    lines
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

#[test]
fn chaos_with_reconfigurations() {
    let make = |seed| chaos(seed, Kinds::KeepDisks);
    judge(&seeds(1_000), make, |seed, scenario, options| {
        complaints_and_strays(scenario, options, seed, &reconfigurations(seed, scenario))
    });
}

#[test]
fn chaos_with_reconfigurations_that_loses_disks() {
    let make = |seed| chaos(seed, Kinds::LoseDisks);
    judge(&seeds(1_000), make, |seed, scenario, options| {
        complaints(scenario, options, seed, &reconfigurations(seed, scenario))
    });
}
