//! Sessions, fates, reads and tokens.

use super::super::options::{Ack, MergePolicy, ReadLevel};
use super::stage::*;
use crate::machine::{Input, Machine};
use crate::op::{Answer, Op, Outcome, Request, Tip};
use crate::time::Duration;

fn done(stage: &Stage, id: crate::machine::RequestId) -> crate::op::Done {
    match stage.outcome(id) {
        Some(Outcome::Done(done)) => done,
        other => panic!("not done: {other:?}"),
    }
}

#[test]
fn a_repeated_number_gets_the_recorded_result() {
    let mut stage = Stage::settled(3);
    let swap = |number, expect| write(1, number, Op::CompareAndSwap { key: 0, expect, value: value(7) });
    let first = stage.ask(A, swap(1, 0));
    stage.run(100);
    let again = stage.ask(A, swap(1, 0));
    stage.run(100);
    assert_eq!(done(&stage, first).answer, Answer::Swapped(true));
    assert_eq!(done(&stage, again).answer, Answer::Swapped(true), "executed again it would be false");
    assert_eq!(done(&stage, again).token, done(&stage, first).token);
    assert_eq!(stage.replica(A).inventory().duplicated, 0);
}

#[test]
fn a_repeated_number_waits_for_the_ack_rule_like_the_first() {
    let mut stage = Stage::settled(3);
    stage.isolate(&[A], &[B, C]);
    let first = stage.ask(A, post(1, 1));
    let again = stage.ask(A, post(1, 1));
    stage.run(100);
    assert_eq!((stage.outcome(first), stage.outcome(again)), (None, None));
    stage.heal();
    stage.run(1_000);
    assert!(stage.is_done(first) && stage.is_done(again));
}

#[test]
fn a_number_with_another_operation_is_taken() {
    let mut stage = Stage::settled(3);
    stage.ask(A, put(1, 1, 0, 7));
    let other = stage.ask(A, put(1, 1, 0, 8));
    stage.run(100);
    assert_eq!(stage.outcome(other), Some(Outcome::NumberTaken));
    assert_eq!(stage.replica(A).log.state().read(0).digest, 7);
}

#[test]
fn an_expired_session_is_unknown_and_a_fresh_one_begins() {
    let mut stage = Stage::settled_with(3, |options| options.session_expiry = Duration::from_secs(10));
    stage.ask(A, post(1, 1));
    stage.run(15_000);
    // Logged time, not the clock: another client's write tells the log how late it is.
    let early = stage.ask(A, post(1, 2));
    stage.run(100);
    assert!(stage.is_done(early), "by the log's time nothing expired yet");
    stage.run(15_000);
    stage.ask(A, post(2, 1));
    let late = stage.ask(A, post(1, 3));
    let fresh = stage.ask(A, Request { fresh: true, ..post(1, 4) });
    stage.run(100);
    assert_eq!(stage.outcome(late), Some(Outcome::SessionUnknown));
    assert!(stage.is_done(fresh));
    assert!(!stage.replica(A).applied(key(1, 3)));
}

/// A straggler in the network: its client has long had a final answer, perhaps that it failed.
#[test]
fn a_number_below_the_floor_is_not_executed() {
    let mut stage = Stage::settled(3);
    let later = stage.ask(A, Request { floor: 5, fresh: true, ..post(1, 5) });
    stage.run(100);
    assert!(stage.is_done(later));
    let straggler = stage.ask(A, Request { floor: 3, ..post(1, 3) });
    stage.run(100);
    assert_eq!(stage.outcome(straggler), Some(Outcome::Refused));
    assert!(!stage.replica(A).applied(key(1, 3)));
}

/// A write is acknowledged by the smaller side of a split, and revoked when the sides meet.
fn revoked_write() -> Stage {
    let mut stage = Stage::settled_with(3, |options| options.merge = MergePolicy::RankWins);
    stage.isolate(&[A, B], &[C]);
    stage.run(8_000);
    let (kept, lost) = (stage.ask(A, put(1, 1, 0, 6)), stage.ask(C, put(2, 1, 0, 7)));
    stage.run(200);
    assert!(stage.is_done(kept) && stage.is_done(lost));
    stage.heal();
    stage.run(8_000);
    assert!(stage.legitimate(&stage.nodes()));
    stage
}

#[test]
fn a_revoked_write_is_told_until_its_client_confirms() {
    let mut stage = revoked_write();
    assert!(stage.told.iter().all(|&write| write == key(2, 1)) && stage.told.len() > 1, "{:?}", stage.told);
    stage.step(A, Input::Acknowledged { write: key(2, 1) });
    stage.told.clear();
    stage.run(5_000);
    assert!(stage.told.is_empty());
}

#[test]
fn a_retry_of_a_revoked_number_is_never_executed() {
    let mut stage = revoked_write();
    let retry = stage.ask(A, put(2, 1, 0, 7));
    stage.run(100);
    assert_eq!(stage.outcome(retry), Some(Outcome::Revoked));
    assert_eq!(stage.replica(A).log.state().read(0).digest, 6);
    for node in stage.nodes() {
        assert!(stage.replica(node).journaled(key(2, 1)), "the journal is replicated");
    }
}

/// The clients of the first notices are gone for good; the others are told all the same.
#[test]
fn silent_clients_do_not_starve_the_notices_of_others() {
    let mut stage = Stage::settled_with(3, |options| options.merge = MergePolicy::RankWins);
    stage.isolate(&[A, B], &[C]);
    stage.run(8_000);
    for number in 1..=700 {
        stage.ask(C, post(number, 1));
    }
    stage.run(2_000);
    stage.heal();
    stage.run(10_000);
    stage.told.sort_unstable();
    stage.told.dedup();
    assert_eq!(stage.told.len(), 700);
}

#[test]
fn a_read_waits_for_an_unacknowledged_write_of_its_key_only() {
    let mut stage = Stage::settled(3);
    stage.ask(A, put(1, 1, 0, 7));
    stage.run(200);
    stage.isolate(&[A], &[B, C]);
    stage.ask(A, put(1, 2, 0, 8));
    let (same, other) = (stage.ask(A, read(2, 0, None)), stage.ask(A, read(2, 1, None)));
    stage.run(100);
    assert_eq!(stage.outcome(same), None);
    assert!(stage.is_done(other));
    stage.heal();
    stage.run(1_000);
    assert!(matches!(done(&stage, same).answer, Answer::Read { digest: 8, .. }));
}

#[test]
fn nothing_is_read_from_a_view_before_it_is_confirmed() {
    let mut stage = Stage::with(3, |_| {});
    stage.seats[C.index()].disk_held = true;
    stage.run(2_600);
    if stage.replica(A).serving() {
        let asked = stage.ask(A, read(1, 0, None));
        stage.run(100);
        assert_eq!(stage.outcome(asked), None);
        stage.seats[C.index()].disk_held = false;
        stage.run(500);
        assert!(stage.is_done(asked));
    } else {
        panic!("A finished its view: {:#?}", stage.notes);
    }
}

#[test]
fn a_latest_read_is_confirmed_by_every_member_after_it_came() {
    let mut stage = Stage::settled_with(3, |options| options.reads = ReadLevel::Latest);
    let asked = stage.ask(A, read(1, 0, None));
    assert_eq!(stage.outcome(asked), None);
    stage.run(39);
    assert_eq!(stage.outcome(asked), None, "a round trip has not passed");
    stage.run(2);
    assert!(stage.is_done(asked));
    stage.isolate(&[A], &[C]);
    let missing = stage.ask(A, read(1, 0, None));
    stage.run(1_000);
    assert_eq!(stage.outcome(missing), None, "C did not confirm");
    stage.heal();
    stage.run(1_000);
    assert!(stage.is_done(missing), "asked again");
}

/// A member that a latest read waits for restarts meanwhile.
#[test]
fn a_latest_read_outlives_the_restart_of_a_member() {
    let mut stage = Stage::settled_with(3, |options| options.reads = ReadLevel::Latest);
    stage.crash(C);
    let asked = stage.ask(A, read(1, 0, None));
    stage.run(100);
    stage.boot(C);
    stage.run(2_000);
    assert!(stage.is_done(asked), "{:#?}", stage.notes);
}

#[test]
fn level_any_is_answered_by_every_replica() {
    let mut stage = Stage::settled_with(3, |options| options.reads = ReadLevel::Any);
    stage.ask(A, put(1, 1, 0, 7));
    stage.run(200);
    let asked = stage.ask(C, read(1, 0, None));
    assert!(matches!(done(&stage, asked).answer, Answer::Read { digest: 7, .. }));
    let other = stage.ask(C, put(1, 2, 0, 8));
    assert_eq!(stage.outcome(other), Some(Outcome::Redirect { hint: Some(A) }), "but not writes");
}

#[test]
fn a_token_is_served_if_it_is_in_the_chain_and_regressed_if_not() {
    let mut stage = Stage::settled(3);
    stage.isolate(&[A, B], &[C]);
    stage.run(8_000);
    let (west, east) = (stage.ask(A, put(1, 1, 0, 6)), stage.ask(C, put(2, 1, 1, 7)));
    stage.run(200);
    let (west, east) = (done(&stage, west).token, done(&stage, east).token);
    let ask = |stage: &mut Stage, token: Tip| {
        let asked = stage.ask(A, read(1, 0, Some(token)));
        stage.run(200);
        stage.outcome(asked).expect("answered")
    };
    assert!(matches!(ask(&mut stage, west), Outcome::Done(_)));
    assert_eq!(ask(&mut stage, east), Outcome::Regressed, "of the other side");
    stage.heal();
    stage.run(8_000);
    assert!(stage.legitimate(&stage.nodes()));
    assert!(matches!(ask(&mut stage, west), Outcome::Done(_)));
    assert_eq!(ask(&mut stage, east), Outcome::Regressed, "merged as a segment: the order of its session is broken");
}

#[test]
fn copies_in_data_centers() {
    let mut stage = Stage::settled_with(5, |options| options.ack = Ack::Copies { copies: 3, data_centers: 2 });
    stage.isolate(&[A], &[C, D, E]);
    let two = stage.ask(A, post(1, 1));
    stage.run(200);
    assert_eq!(stage.outcome(two), None, "B and A are two copies");
    stage.heal();
    stage.isolate(&[A], &[D, E]);
    stage.run(1_000);
    assert!(stage.is_done(two));
    assert!(done(&stage, two).degree >= 3);
}

#[test]
fn asynchronous_writes_are_answered_at_once() {
    let mut stage = Stage::settled_with(3, |options| options.ack = Ack::None);
    stage.seats[A.index()].disk_held = true;
    let asked = stage.ask(A, post(1, 1));
    assert!(stage.is_done(asked));
}

#[test]
fn a_replica_that_does_not_serve_says_who_does() {
    let mut stage = Stage::settled(3);
    let asked = stage.ask(C, post(1, 1));
    assert_eq!(stage.outcome(asked), Some(Outcome::Redirect { hint: Some(A) }));
    stage.crash(A);
    stage.run(3_600);
    let asked = stage.ask(C, post(1, 1));
    assert!(!matches!(stage.outcome(asked), Some(Outcome::Redirect { hint: Some(A) })), "not the dead");
}

#[test]
fn every_request_in_hand_is_answered_when_the_view_changes() {
    let mut stage = Stage::settled(3);
    stage.crash(C);
    let asked: Vec<_> = (1..=20).map(|client| stage.ask(A, post(client, 1))).collect();
    stage.run(100);
    assert!(asked.iter().all(|&id| stage.outcome(id).is_none()));
    stage.run(8_000);
    assert!(asked.iter().all(|&id| stage.is_done(id)), "by the view of those who are left");
}
