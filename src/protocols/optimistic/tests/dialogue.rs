//! Transcripts: who says what to whom.

use super::super::config::Mutation;
use super::super::entry::Data;
use super::super::message::{Message, ReplicateAck};
use super::stage::*;
use super::views::set_mutation;
use crate::machine::Machine;
use crate::op::Tip;

/// Runs until the given instant after now and tells which messages arrived, heartbeats left out.
fn transcript(stage: &mut Stage, millis: u64) -> Vec<String> {
    let mut lines = Vec::new();
    let end = stage.now + crate::time::Duration::from_millis(millis);
    stage.run_until(end, |flight| {
        let name = ["A", "B", "C", "D", "E"];
        if !matches!(flight.message, Message::Heartbeat(_) | Message::Beacon { .. }) {
            lines.push(format!(
                "{} -> {}: {}",
                name[flight.from.index()],
                name[flight.to.index()],
                flight.message.name()
            ));
        }
        true
    });
    lines
}

#[test]
fn a_write() {
    let mut stage = Stage::settled(3);
    let asked = stage.ask(A, post(1, 1));
    assert_eq!(
        transcript(&mut stage, 100),
        ["A -> B: Replicate", "A -> C: Replicate", "B -> A: ReplicateAck", "C -> A: ReplicateAck"]
    );
    assert!(stage.is_done(asked));
}

#[test]
fn a_view_change() {
    let mut stage = Stage::with(2, |_| {});
    assert_eq!(
        transcript(&mut stage, 6_000),
        [
            "A -> B: Propose",
            "B -> A: ViewAck",
            "A -> B: Install",
            "B -> A: ReplicateAck",
            "A -> B: Replicate",
            "B -> A: ReplicateAck"
        ],
        "the last two are its Confirm"
    );
}

#[test]
fn silence_when_nothing_happens() {
    let mut stage = Stage::settled(5);
    assert_eq!(transcript(&mut stage, 30_000), Vec::<String>::new());
}

#[test]
fn nothing_is_acknowledged_before_the_view_is_confirmed_by_all() {
    let mut stage = Stage::with(3, |_| {});
    let mut held = Vec::new();
    let end = stage.now + crate::time::Duration::from_millis(2_600);
    stage.run_until(end, |flight| {
        let ack = flight.message.name() == "ReplicateAck" && flight.from == C;
        if ack {
            held.push(flight.message.clone());
        }
        !ack
    });
    assert!(stage.replica(A).serving(), "{:#?}", stage.notes);
    let asked = stage.ask(A, post(1, 1));
    let end = stage.now + crate::time::Duration::from_millis(100);
    stage.run_until(end, |flight| flight.message.name() != "ReplicateAck" || flight.from != C);
    assert_eq!(stage.outcome(asked), None);
    assert!(stage.replica(A).confirm_length.is_none(), "C has not acknowledged its View entry");
    stage.run(1_000);
    assert!(stage.is_done(asked));
    let confirm = stage.replica(A).confirm_length.expect("confirmed");
    assert!(stage.replica(A).acked_length >= confirm);
}

/// A write that came before the Confirm is on every member, and still waits for it.
#[test]
fn a_write_before_the_confirm_waits_for_it() {
    let mut stage = Stage::with(2, |_| {});
    while !stage.replica(A).serving() {
        stage.run(1);
    }
    stage.run(25);
    assert_eq!(stage.replica(B).view(), stage.replica(A).view(), "installed, and its acknowledgement under way");
    let asked = stage.ask(A, post(1, 1));
    let confirms = |flight: &Flight| match &flight.message {
        Message::Replicate(replicate) => {
            replicate.entries.iter().any(|entry| matches!(entry.data, Data::Confirm { .. }))
        }
        _ => false,
    };
    let end = stage.now + crate::time::Duration::from_millis(600);
    stage.run_until(end, |flight| !confirms(flight));
    assert!(stage.replica(B).applied(key(1, 1)));
    assert!(stage.replica(A).confirm_length.is_some());
    assert_eq!(stage.outcome(asked), None);
    stage.run(1_000);
    assert!(stage.is_done(asked));
}

#[test]
fn replication_is_acknowledged_only_once_it_is_durable() {
    for mutation in [None, Some(Mutation::AckBeforeSync)] {
        let mut stage = Stage::settled(3);
        set_mutation(&mut stage, B, mutation);
        stage.seats[B.index()].disk_held = true;
        let asked = stage.ask(A, post(1, 1));
        stage.run(500);
        assert_eq!(stage.is_done(asked), mutation.is_some(), "{mutation:?}");
    }
}

#[test]
fn the_primary_counts_its_own_copy_only_once_it_is_durable() {
    let mut stage = Stage::settled(3);
    stage.seats[A.index()].disk_held = true;
    let asked = stage.ask(A, post(1, 1));
    stage.run(500);
    assert_eq!(stage.outcome(asked), None);
    stage.sync(A);
    assert!(stage.is_done(asked));
}

#[test]
fn entries_that_overtook_each_other_are_put_in_order() {
    let mut stage = Stage::settled(2);
    for number in 1..=5 {
        stage.ask(A, post(1, number));
    }
    let mut replications = stage.take("Replicate", A, B);
    replications.reverse();
    for message in replications {
        stage.deliver(A, B, message);
    }
    assert_eq!(stage.replica(B).tip(), stage.replica(A).tip());
}

/// One entry is lost while many more are under way: each of them finds a gap, but the missing ones are sent
/// again once, not once for each.
#[test]
fn one_lost_entry_makes_no_storm() {
    let mut stage = Stage::settled(2);
    for number in 1..=101 {
        stage.ask(A, post(1, number));
    }
    let mut replications = stage.take("Replicate", A, B);
    replications.remove(0);
    for message in replications {
        stage.deliver(A, B, message);
    }
    let mut sent = 0;
    let end = stage.now + crate::time::Duration::from_millis(300);
    stage.run_until(end, |flight| {
        if let Message::Replicate(replicate) = &flight.message {
            sent += replicate.entries.len();
        }
        true
    });
    assert_eq!(stage.replica(B).tip(), stage.replica(A).tip());
    assert!(sent <= 303, "{sent} entries were sent again");
}

#[test]
fn an_acknowledgement_of_a_former_life_is_void() {
    let mut stage = Stage::settled(2);
    let (asked, view) = (stage.ask(A, post(1, 1)), stage.replica(A).view_id().expect("a view"));
    let tip = stage.replica(A).tip();
    let ack = ReplicateAck { view, incarnation: 99, tip, probe: 0, gap: false };
    stage.sync(A);
    stage.deliver(B, A, Message::ReplicateAck(ack));
    assert_eq!(stage.outcome(asked), None);
    stage.deliver(B, A, Message::ReplicateAck(ReplicateAck { incarnation: stage.replica(B).incarnation, ..ack }));
    assert!(stage.is_done(asked));
}

#[test]
fn a_replication_of_another_view_or_sender_is_ignored() {
    let mut stage = Stage::settled(3);
    stage.ask(A, post(1, 1));
    let tip = stage.replica(B).tip();
    let Some(Message::Replicate(replicate)) = stage.take("Replicate", A, B).pop() else { panic!("it was sent") };
    stage.deliver(C, B, Message::Replicate(replicate.clone()));
    let mut other = replicate.clone();
    other.view.incarnation ^= 1;
    stage.deliver(A, B, Message::Replicate(other));
    let mut unlinked = replicate.clone();
    unlinked.base.hash ^= 1;
    stage.deliver(A, B, Message::Replicate(unlinked));
    assert_eq!(stage.replica(B).tip(), tip);
    stage.deliver(A, B, Message::Replicate(replicate));
    assert_eq!(stage.replica(B).tip(), stage.replica(A).tip());
}

/// A position of the Confirm that a fault made too small would let everything through before the Confirm is
/// on every member.
#[test]
fn a_corrupted_confirm_position_is_put_right() {
    let mut stage = Stage::settled(3);
    let right = stage.replica(A).confirm_length;
    assert!(right.is_some());
    stage.replica_mut(A).confirm_length = Some(0);
    stage.run(600);
    assert_eq!(stage.replica(A).confirm_length, right);
}

#[test]
fn bulk_state_moves_in_chunks_while_both_sides_serve() {
    let mut stage = Stage::settled_with(3, |options| {
        options.sync_limit = 10;
        options.retain_entries = 1_000_000;
    });
    stage.crash(C);
    stage.run(6_000);
    for number in 1..=3_500 {
        stage.ask(A, post(1 + number % 50, 1 + number / 50));
    }
    stage.run(2_000);
    stage.boot(C);
    let lines = transcript(&mut stage, 12_000);
    let count = |what: &str| lines.iter().filter(|line| *line == what).count();
    assert!((2..=8).contains(&count("A -> C: Branch")), "{}", count("A -> C: Branch"));
    assert!(stage.legitimate(&stage.nodes()));
    assert_eq!(stage.noted(|node, note| node == A && matches!(note, crate::machine::Note::Abandoned { .. })), 0);
}

/// What is held of a chain may have been cut off since; the asker's own log may share more with it.
#[test]
fn a_fetch_is_answered_from_the_last_common_position() {
    let mut stage = Stage::settled(2);
    for number in 1..=50 {
        stage.ask(A, post(1, number));
    }
    stage.run(100);
    let chain = stage.replica(A).log.chain();
    let at = |length| Tip { length, hash: chain.hash_at(length).expect("retained") };
    let have = [Tip { length: 60, hash: 1 }, Tip::default(), at(40), at(20)].into();
    stage.deliver(B, A, Message::Fetch { have });
    let branches = stage.take("Branch", A, B);
    assert!(matches!(&branches[..], [Message::Branch { delta, .. }] if delta.from.length == 40), "{branches:?}");
}
