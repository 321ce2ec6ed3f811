//! Viewstamped Replication.

use crate::common::chaos::Kinds;
use crate::common::contest::drill;
use crate::common::{fault, nodes, secs};
use crate::sweep;
use firedrill::protocols::viewstamped;
use firedrill::run::{Contest, Keep, Promises, RunResult, VerdictOutcome, groups, run, run_machine};
use firedrill::scenario::{Kind, Scenario};
use firedrill::time::Duration;
use firedrill::workload::Application;
use firedrill::world::fault::{Action, Disk};
use rayon::prelude::*;
use std::rc::Rc;

fn viewstamped_options() -> viewstamped::Options {
    viewstamped::Options {
        election_timeout: Duration::from_secs(3),
        heartbeat: Duration::from_millis(300),
        snapshot_entries: 50,
        mutation: None,
    }
}

/// Runs it with a defect, or without one.
fn run_viewstamped(scenario: &Scenario, seed: u64, mutation: Option<viewstamped::Mutation>) -> RunResult {
    let contest: Contest<'_, viewstamped::Replica> = Contest {
        recruit: None,
        configs: Box::new(move |service, topology| {
            let options = viewstamped::Options { mutation, ..viewstamped_options() };
            let config = |group| Rc::new(viewstamped::Config { options: options.clone(), group });
            groups(service, topology).into_iter().map(config).collect()
        }),
        promises: Promises::MAJORITY,
    };
    run_machine(scenario, "viewstamped", seed, Keep::default(), &contest)
}

/// The first check that a run violates.
fn complaint(result: &RunResult) -> Option<String> {
    let violated = result.record.verdicts.iter().find(|verdict| verdict.outcome == VerdictOutcome::Violated)?;
    Some(format!("{}: {}", violated.check, violated.evidence.as_deref().unwrap_or("no evidence")))
}

#[test]
fn viewstamped_that_acknowledges_before_commit_is_caught() {
    let kind = Kind::Viewstamped(viewstamped_options());
    let broken = Some(viewstamped::Mutation::AckBeforeCommit);
    let caught: Vec<(u64, String)> = (0..100)
        .into_par_iter()
        .filter_map(|seed| {
            Some((seed, complaint(&run_viewstamped(&drill(seed, Kinds::KeepDisks, &kind), seed, broken))?))
        })
        .collect();
    println!("{} of 100 runs complain, first {:?}", caught.len(), caught.first());
    assert!(!caught.is_empty());
}

/// The primary loses its disk and is back before anyone suspects it.
fn a_primary_loses_its_disk() -> Scenario {
    let mut scenario = crate::common::scenario(3, Application::Kv, 60);
    let crash = Action::Crash { targets: nodes(&[0]), disk: Disk::Lost };
    scenario.timeline.push(fault(secs(20), Some(1), "crash", crash));
    scenario
}

#[test]
fn viewstamped_that_takes_a_lost_disk_for_a_new_one_is_caught() {
    let scenario = a_primary_loses_its_disk();
    assert_eq!(complaint(&run_viewstamped(&scenario, 1, None)), None);
    let broken = Some(viewstamped::Mutation::RecoverWithoutProtocol);
    let complaint = complaint(&run_viewstamped(&scenario, 1, broken)).expect("two histories are judged");
    println!("{complaint}");
}

#[test]
fn viewstamped_runs_are_the_same_twice() {
    let kind = Kind::Viewstamped(viewstamped_options());
    for seed in 0..4 {
        let scenario = drill(seed, Kinds::LoseDisks, &kind);
        let once = || run(&scenario, &scenario.protocols[0], seed, Keep::default()).record;
        let (one, other) = (once(), once());
        assert_eq!((one.fingerprint, one.events), (other.fingerprint, other.events), "seed {seed}");
    }
}

#[test]
fn viewstamped_under_chaos() {
    sweep(&Kind::Viewstamped(viewstamped_options()));
}
