//! Raft, by the crate of TiKV.

use crate::common::chaos::Kinds;
use crate::common::contest::{CHECKS, drill, examine};
use crate::common::{crash, fault, nodes, scenario, secs};
use crate::{seeds, sweep};
use firedrill::id::NodeId;
use firedrill::protocols::raft;
use firedrill::run::{Contest, Examined, Keep, Probe, Promises, RunResult, Survives, groups, run_machine_probed};
use firedrill::scenario::{Kind, Scenario};
use firedrill::time::Duration;
use firedrill::workload::Application;
use firedrill::world::fault::{Action, Disk};
use rayon::prelude::*;
use std::rc::Rc;

fn raft_options() -> raft::Options {
    raft::Options {
        election_timeout: (Duration::from_secs(3), Duration::from_secs(6)),
        heartbeat: Duration::from_millis(300),
        tick: Duration::from_millis(50),
        pre_vote: true,
        check_quorum: true,
        reads: raft::Reads::ReadIndex,
        after_disk_loss: raft::AfterDiskLoss::StayOut,
        snapshot_entries: 50,
        mutation: None,
    }
}

#[test]
fn raft_under_chaos() {
    sweep(&Kind::Raft(raft_options()));
}

/// Elections without Pre-Vote and without check-quorum, as in the paper of 2014.
#[test]
fn raft_of_the_paper_under_chaos() {
    sweep(&Kind::Raft(raft::Options { pre_vote: false, check_quorum: false, ..raft_options() }));
}

fn raft_contest(options: raft::Options) -> Contest<'static, raft::Replica> {
    let keeps = options.after_disk_loss == raft::AfterDiskLoss::StayOut;
    let survives = if keeps { Survives::Minority } else { Survives::NoLostDisk };
    let config = move |group| Rc::new(raft::Config { options: options.clone(), group });
    Contest {
        recruit: None,
        configs: Box::new(move |service, topology| groups(service, topology).into_iter().map(&config).collect()),
        promises: Promises { survives, ..Promises::MAJORITY },
    }
}

fn run_raft(scenario: &Scenario, seed: u64, options: &raft::Options, probe: &Probe) -> (RunResult, Examined) {
    run_machine_probed(scenario, "raft", seed, probe, &raft_contest(options.clone()))
}

/// The seeds of so many at which the judges complain of Raft with a defect, and what of the first.
fn caught(mutation: raft::Mutation, seeds: u64, complaint: &str) -> (usize, String) {
    let kind = Kind::Raft(raft_options());
    let options = raft::Options { mutation: Some(mutation), ..raft_options() };
    let complaints = |seed: u64| {
        let drill = drill(seed, Kinds::KeepDisks, &kind);
        let (result, _) = run_raft(&drill, seed, &options, &Probe::default());
        examine(&result).wrong.join("; ")
    };
    let found: Vec<String> =
        (0..seeds).into_par_iter().map(complaints).filter(|wrong| wrong.contains(complaint)).collect();
    (found.len(), found.first().cloned().unwrap_or_default())
}

#[test]
fn raft_that_acknowledges_before_it_commits_is_caught() {
    let (count, first) = caught(raft::Mutation::AckBeforeCommit, 100, "are on no disk");
    println!("{count} of 100: {first}");
    assert!(count > 0);
}

#[test]
fn raft_that_reads_without_asking_is_caught() {
    let (stale, first) = caught(raft::Mutation::SkipReadIndex, 100, "fresh reads");
    let (unordered, _) = caught(raft::Mutation::SkipReadIndex, 100, "no order explains");
    println!("{stale} of 100 stale, {unordered} not linearizable: {first}");
    assert!(stale > 0 && unordered > 0);
}

/// The lease of the crate is that of check-quorum: a leader that is cut off holds it for up to two election
/// timeouts after it was last heard, and the others elect another after one.
#[test]
fn raft_with_the_lease_of_the_crate_reads_stale_values_even_with_perfect_clocks() {
    let options = raft::Options { reads: raft::Reads::Lease, ..raft_options() };
    let stale = |seed: u64| {
        let mut drill = scenario(5, Application::Kv, 60);
        drill.seed = seed;
        for load in &mut drill.loads {
            load.rate = 20.0;
        }
        for at in [15, 30, 45] {
            let alone = (at / 15 + seed as u32) % 5;
            let others: Vec<u32> = (0..5).filter(|&site| site != alone).collect();
            drill.timeline.push(crate::common::partition(u64::from(at), 10, &[&[alone], &others]));
        }
        let (result, _) = run_raft(&drill, seed, &options, &Probe::default());
        result.record.metrics.all.reads_stale.unwrap_or(0)
    };
    let counts: Vec<u64> = (0..40).into_par_iter().map(stale).collect();
    println!("stale reads under the lease: {counts:?}");
    assert!(counts.iter().sum::<u64>() > 0);
}

/// Three of five disks are lost while the other two nodes are down, and these come back later.
fn a_majority_forgets(options: &raft::Options) -> RunResult {
    let mut drill = scenario(5, Application::Board, 120);
    drill.timeline.push(crash(30, 50, &[0, 1]));
    let lost = Action::Crash { targets: nodes(&[2, 3, 4]), disk: Disk::Lost };
    drill.timeline.push(fault(secs(30), Some(10), "crash", lost));
    run_raft(&drill, 1, options, &Probe::default()).0
}

#[test]
fn raft_that_rejoins_empty_loses_writes_and_raft_that_stays_out_stops() {
    let all = |result: &RunResult| result.record.metrics.all.clone();
    let rejoin = raft::Options { after_disk_loss: raft::AfterDiskLoss::RejoinEmpty, ..raft_options() };
    let empty = a_majority_forgets(&rejoin);
    let gone = all(&empty).writes_lost.unwrap_or(0) + all(&empty).writes_stranded.unwrap_or(0);
    println!("rejoin-empty: {:?}", (all(&empty).availability, all(&empty).writes_lost, all(&empty).writes_stranded));
    assert!(gone > 50, "what was acknowledged is in no history that serves: {gone}");
    let disagrees = |one: &firedrill::run::Verdict| one.check == "agreement" && one.evidence.is_some();
    assert!(empty.record.verdicts.iter().any(disagrees), "{:#?}", empty.record.verdicts);

    let out = a_majority_forgets(&raft_options());
    println!("stay-out: {:?}", (all(&out).availability, all(&out).writes_lost, all(&out).writes_stranded));
    assert_eq!(all(&out).writes_lost, Some(0), "they are on the disks of the two that were down");
    assert!(all(&out).writes_stranded.unwrap_or(0) > 50);
    assert!(all(&out).availability < all(&empty).availability, "nobody serves any more");
    let last = out.record.phases.last().expect("a phase after the last fault");
    assert_eq!(last.metrics.all.requests_ok, Some(0));
}

/// A disk is lost, the node is added under another identity, and then the service survives two more crashes,
/// which it could not if the newcomer had no part in it.
#[test]
fn raft_takes_a_node_in_again_whose_disk_was_lost() {
    let mut drill = scenario(5, Application::Board, 150);
    drill.checks = CHECKS.to_vec();
    let lost = Action::Crash { targets: nodes(&[4]), disk: Disk::Lost };
    drill.timeline.push(fault(secs(20), Some(5), "crash", lost));
    drill.timeline.push(crash(60, 50, &[0, 1]));
    let everyone: Vec<NodeId> = (0..5).map(NodeId).collect();
    for asks in [true, false] {
        let reconfigure = if asks { vec![(secs(40), NodeId(0), everyone.clone())] } else { Vec::new() };
        let probe =
            Probe { reconfigure, keep: Keep { trace: true, history: false, ..Keep::default() }, ..Probe::default() };
        let (result, _) = run_raft(&drill, 3, &raft_options(), &probe);
        let judged = examine(&result);
        assert!(judged.wrong.is_empty() && !judged.undecided, "{:?}", judged.wrong);
        let two_down = result.record.phases.iter().find(|phase| phase.from_s == 60.0).expect("a phase of two crashes");
        let served = two_down.metrics.all.availability.unwrap_or(0.0);
        assert_eq!(served > 0.8, asks, "{served} of the requests while two are down");
    }
}

/// The operator asks for everyone again and again, whoever leads, while disks are lost and links are cut.
#[test]
fn raft_under_chaos_and_an_operator_who_adds_whoever_lost_a_disk() {
    let kind = Kind::Raft(raft_options());
    let everyone: Vec<NodeId> = (0..5).map(NodeId).collect();
    let wrong = |seed: u64| {
        let drill = drill(seed, Kinds::LoseDisks, &kind);
        let asks = |time: u64| (secs(time), NodeId((time / 5 % 5) as u32), everyone.clone());
        let reconfigure = (15..120).step_by(5).map(asks).collect();
        let probe = Probe { reconfigure, ..Probe::default() };
        let (result, _) = run_raft(&drill, seed, &raft_options(), &probe);
        let judged = examine(&result);
        (!judged.wrong.is_empty()).then(|| format!("seed {seed}: {}\n{:#?}", judged.wrong.join("; "), drill.timeline))
    };
    let failed: Vec<String> = seeds(1_000).into_par_iter().filter_map(wrong).collect();
    assert!(failed.is_empty(), "{} runs:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn raft_gives_the_same_run_twice_in_one_process() {
    let kind = Kind::Raft(raft_options());
    for seed in 0..20 {
        let drill = drill(seed, Kinds::LoseDisks, &kind);
        let run = || run_raft(&drill, seed, &raft_options(), &Probe::default()).0.record;
        let (first, second) = (run(), run());
        assert_eq!(first.fingerprint, second.fingerprint, "seed {seed}");
        assert_eq!(first, second, "seed {seed}");
    }
}
