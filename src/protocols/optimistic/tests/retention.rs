//! What is kept of the log for those who are absent, and for how long.

use super::stage::*;
use crate::machine::Machine;

fn fill(stage: &mut Stage, client: u32, count: u32) {
    for number in 1..=count {
        stage.ask(A, post(client, number));
        stage.run(60);
    }
}

/// More is retained for an absent member than the limit: it is evicted. When it returns it is taken in again.
#[test]
fn an_absent_member_is_evicted_by_retention_and_returns() {
    let mut stage = Stage::settled_with(3, |options| options.retain_entries = 50);
    stage.crash(C);
    stage.run(6_000);
    for number in 1..=60 {
        stage.ask(A, post(1, number));
        stage.run(100);
    }
    stage.run(1_000);
    assert_eq!(stage.replica(A).status().replica_set, [A, B]);
    stage.boot(C);
    stage.run(12_000);
    assert!(stage.legitimate(&stage.nodes()), "{:#?}", stage.replica(C).status());
    assert_eq!(stage.replica(A).status().replica_set, [A, B, C], "the set is a union");
    assert!(stage.replica(C).applied(key(1, 60)));
}

/// Each absent member is judged by what it lacks itself.
#[test]
fn only_the_member_that_lacks_too_much_is_evicted() {
    let mut stage = Stage::settled_with(4, |options| options.retain_entries = 50);
    stage.crash(C);
    stage.run(6_000);
    fill(&mut stage, 1, 40);
    stage.crash(D);
    stage.run(6_000);
    fill(&mut stage, 2, 20);
    stage.run(2_000);
    assert_eq!(stage.replica(A).status().replica_set, [A, B, D]);
    fill(&mut stage, 3, 40);
    stage.run(1_000);
    assert_eq!(stage.replica(A).status().replica_set, [A, B]);
}

/// The age counts from the oldest entry that it lacks, and not from the oldest one that is still there.
#[test]
fn a_member_that_just_left_is_not_evicted_for_the_age_of_the_log() {
    let mut stage = Stage::settled_with(3, |options| options.retain_age = crate::time::Duration::from_secs(60));
    fill(&mut stage, 1, 5);
    stage.run(300_000);
    stage.crash(C);
    stage.run(6_000);
    fill(&mut stage, 2, 5);
    stage.run(50_000);
    assert_eq!(stage.replica(A).status().replica_set, [A, B, C]);
    stage.run(14_000);
    assert_eq!(stage.replica(A).status().replica_set, [A, B]);
}

/// Once the most lagging one left, what the next one holds is not kept for it; what it lacks is, so that
/// they share an entry.
#[test]
fn the_log_is_compacted_up_to_what_an_absent_member_holds() {
    let mut stage = Stage::settled_with(4, |options| options.retain_entries = 2_000);
    stage.crash(D);
    stage.run(6_000);
    fill(&mut stage, 1, 1_500);
    stage.run(1_000);
    assert_eq!(stage.replica(A).log.chain().base.tip.length, 0, "kept for D");
    let held = stage.replica(C).tip();
    stage.crash(C);
    stage.run(6_000);
    fill(&mut stage, 2, 1_000);
    stage.run(2_000);
    assert_eq!(stage.replica(A).status().replica_set, [A, B, C]);
    let base = stage.replica(A).log.chain().base.tip;
    assert!(base.length > 0 && stage.replica(A).log.chain().passes(held), "{base:?} {held:?}");
    assert_eq!(base, stage.replica(B).log.chain().base.tip);
    for node in [C, D] {
        stage.boot(node);
        stage.run(10_000);
        assert!(stage.replica(node).applied(key(2, 1_000)));
    }
    assert!(stage.legitimate(&stage.nodes()));
    assert_eq!(stage.noted(|_, note| matches!(note, crate::machine::Note::Merged { revoked, .. } if *revoked > 0)), 0);
}
