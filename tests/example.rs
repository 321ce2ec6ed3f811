//! The example of a protocol that this crate does not know: it is small, it keeps what it promises, and it
//! stands in the table beside the others.

mod common;

#[path = "../examples/chain_replication/protocol.rs"]
mod protocol;

use common::chaos::{Kinds, chaos};
use common::*;
use firedrill::output;
use firedrill::run::{Contest, Keep, Promises, VerdictOutcome, run, run_machine};
use firedrill::workload::Application;
use protocol::Replica;
use rayon::prelude::*;

fn contest() -> Contest<'static, Replica> {
    Contest::new(|group| group, Promises { on_every_member: true, ..Promises::MAJORITY })
}

#[test]
fn it_is_under_150_lines() {
    let lines = include_str!("../examples/chain_replication/protocol.rs").lines().count();
    assert!(lines < 150, "{lines} lines");
}

#[test]
fn it_stands_in_the_comparison() {
    let mut drill = scenario(5, Application::Kv, 60);
    drill.timeline = vec![crash(30, 10, &[2])];
    let known = run(&drill, &drill.protocols[0], 1, Keep::default());
    let own = run_machine(&drill, "chain", 1, Keep::default(), &contest());
    let all = &own.record.metrics.all;
    assert!(all.writes_acked > Some(50) && all.writes_lost == Some(0), "{all:?}");
    assert!(all.outage_longest_s >= Some(9.0) || all.availability < Some(0.95), "one dead link stops the writes");
    let out = tempfile::tempdir().expect("a directory");
    let table = output::publish(out.path(), &[known, own]).expect("it can be written");
    assert!(table.lines().any(|line| line.contains("optimistic") && line.contains("chain")), "{table}");
    assert!(out.path().join(&drill.name).join("chain/seed-1/result.json").exists());
    assert!(out.path().join(&drill.name).join("availability.svg").exists());
}

#[test]
fn it_keeps_its_promises_under_chaos() {
    let broken: Vec<String> = (0..60u64)
        .into_par_iter()
        .flat_map_iter(|seed| {
            let (drill, _) = chaos(seed, Kinds::KeepDisks);
            let record = run_machine(&drill, "chain", seed, Keep::default(), &contest()).record;
            let violated = record.verdicts.into_iter().filter(|one| one.outcome == VerdictOutcome::Violated);
            violated.map(move |one| format!("seed {seed}: {one:?}")).collect::<Vec<_>>()
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
