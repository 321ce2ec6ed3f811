//! Omni-Paxos, by its authors' crate.

use crate::common::chaos::Kinds;
use crate::common::contest::drill;
use crate::sweep;
use firedrill::protocols::omnipaxos;
use firedrill::protocols::raft::AfterDiskLoss;
use firedrill::run::{Contest, Keep, Promises, VerdictOutcome, groups, run, run_machine};
use firedrill::scenario::Kind;
use firedrill::time::Duration;
use rayon::prelude::*;
use std::rc::Rc;

fn omnipaxos_options() -> omnipaxos::Options {
    omnipaxos::Options {
        election_timeout: Duration::from_secs(1),
        tick: Duration::from_millis(100),
        reads: omnipaxos::Reads::Log,
        after_disk_loss: AfterDiskLoss::StayOut,
        snapshot_entries: 50,
        mutation: None,
    }
}

#[test]
fn omnipaxos_under_chaos() {
    sweep(&Kind::OmniPaxos(omnipaxos_options()));
}

#[test]
fn omnipaxos_that_acknowledges_what_it_only_proposed_is_caught() {
    let options = omnipaxos_options();
    let caught = (0..40_u64).into_par_iter().filter_map(|seed| {
        let drill = drill(seed, Kinds::KeepDisks, &Kind::OmniPaxos(options.clone()));
        let config = |group| {
            let mutation = Some(omnipaxos::Mutation::AckBeforeCommit);
            let options = omnipaxos::Options { mutation, ..options.clone() };
            Rc::new(omnipaxos::Config { options, group })
        };
        let configs =
            Box::new(move |service: &_, topology: &_| groups(service, topology).into_iter().map(config).collect());
        let contest = Contest::<omnipaxos::Replica> { configs, recruit: None, promises: Promises::MAJORITY };
        let result = run_machine(&drill, "omnipaxos", seed, Keep::default(), &contest);
        let mut verdicts = result.record.verdicts.into_iter();
        let violated = verdicts.find(|verdict| verdict.outcome == VerdictOutcome::Violated)?;
        Some((seed, violated.check, violated.evidence))
    });
    let caught: Vec<_> = caught.collect();
    println!("caught in {} of 40 runs, first {:?}", caught.len(), caught.first());
    assert!(!caught.is_empty());
}

/// It breaks what the protocol assumes of its disks, and may break the crate too: that is seen by the judges
/// and ends no process.
#[test]
fn omnipaxos_with_members_that_come_back_empty_loses_what_it_acknowledged() {
    let rejoins = omnipaxos::Options { after_disk_loss: AfterDiskLoss::RejoinEmpty, ..omnipaxos_options() };
    let kind = Kind::OmniPaxos(rejoins);
    let agreed = |seed: &u64| {
        let drill = drill(*seed, Kinds::LoseDisks, &kind);
        let record = run(&drill, &drill.protocols[0], *seed, Keep::default()).record;
        record
            .verdicts
            .iter()
            .all(|verdict| verdict.check != "agreement" || verdict.outcome != VerdictOutcome::Violated)
    };
    let broken: Vec<u64> = (0..100_u64).into_par_iter().filter(|seed| !agreed(seed)).collect();
    println!("different histories in {} of 100 runs, first in {:?}", broken.len(), broken.first());
    assert!(!broken.is_empty());
}

#[test]
fn omnipaxos_is_a_function_of_its_scenario_and_seed() {
    let kind = Kind::OmniPaxos(omnipaxos_options());
    for seed in 0..4 {
        let drill = drill(seed, Kinds::LoseDisks, &kind);
        let again = || run(&drill, &drill.protocols[0], seed, Keep::default()).record;
        let (one, other) = (again(), again());
        assert_eq!((&one.fingerprint, one.events), (&other.fingerprint, other.events));
        assert_eq!(one, other);
    }
}

/// What depends on a process, such as the seed of a hash map or an address, shows only between two.
#[test]
fn omnipaxos_gives_the_same_bytes_in_two_processes() {
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/partition-3-2.json");
    let result = || {
        let dir = tempfile::tempdir().expect("a directory for results");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_firedrill"));
        command.args(["run", scenario, "--protocol", "drilled", "--no-plots", "--quiet", "--out"]).arg(dir.path());
        command.args(["--set", r#"protocols={"drilled":{"kind":"omnipaxos"}}"#, "--set", "expect=[]"]);
        let ended = command.output().expect("the program starts");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        std::fs::read(dir.path().join("partition-3-2/drilled/seed-1/result.json")).expect("it left a result")
    };
    assert_eq!(result(), result());
}
