//! Semi-passive replication with Lazy Consensus.

use crate::common::chaos::Kinds;
use crate::common::contest::judge_broken;
use crate::{is_caught, sweep, sweep_over};
use firedrill::protocols::lazy_consensus;
use firedrill::run::contest;
use firedrill::scenario::Kind;
use firedrill::time::Duration;

fn lazy_options() -> lazy_consensus::Options {
    lazy_consensus::Options {
        heartbeat: Duration::from_millis(500),
        suspect_after: Duration::from_secs(3),
        snapshot_entries: 50,
        mutation: None,
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
        mutation: None,
    };
    sweep_over(&Kind::LazyConsensus(options), 400);
}

#[test]
fn answers_before_the_decision_are_caught() {
    let options =
        lazy_consensus::Options { mutation: Some(lazy_consensus::Mutation::AnswerBeforeDecision), ..lazy_options() };
    is_caught("answering early", &Kind::LazyConsensus(options.clone()), Kinds::KeepDisks, 60, |seed, drill| {
        judge_broken(drill, seed, &contest::lazy_consensus(&options))
    });
}

#[test]
fn a_lost_disk_that_is_not_minded_is_caught() {
    let options = lazy_consensus::Options { mutation: Some(lazy_consensus::Mutation::RejoinEmpty), ..lazy_options() };
    is_caught("rejoining empty", &Kind::LazyConsensus(options.clone()), Kinds::LoseDisks, 200, |seed, drill| {
        judge_broken(drill, seed, &contest::lazy_consensus(&options))
    });
}
