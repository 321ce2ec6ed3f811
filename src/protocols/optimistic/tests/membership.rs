//! The replica set is changed on request: members and primaries leave, and come back.

use super::stage::*;
use crate::id::NodeId;
use crate::machine::{Input, Machine, Note};
use crate::op::Outcome;

fn reconfigure(stage: &mut Stage, primary: NodeId, nodes: &[NodeId]) {
    stage.step(primary, Input::Reconfigure(nodes.to_vec()));
}

/// Whether these nodes share a view of exactly them, and think that they are the replica set.
fn serves(stage: &Stage, nodes: &[NodeId]) -> bool {
    stage.legitimate(nodes) && nodes.iter().all(|&node| stage.replica(node).status().replica_set == nodes)
}

/// Writes of one client at the primary, each acknowledged.
fn fill(stage: &mut Stage, client: u32, from: u32, count: u32) {
    for number in from..from + count {
        let primary = stage.primary().expect("a primary");
        let asked = stage.ask(primary, post(client, number));
        stage.run(60);
        if !stage.is_done(asked) {
            stage.run(240);
        }
        assert!(stage.is_done(asked), "{number} is done within 300 ms");
    }
}

#[test]
fn a_member_that_is_removed_leaves_and_nobody_waits_for_it() {
    let mut stage = Stage::settled(3);
    reconfigure(&mut stage, A, &[A, B]);
    fill(&mut stage, 1, 1, 40);
    assert!(serves(&stage, &[A, B]), "{:#?}", stage.notes);
    stage.notes.clear();
    stage.run(60_000);
    assert!(serves(&stage, &[A, B]));
    assert_eq!(stage.noted(|_, note| matches!(note, Note::Proposed { .. })), 0);
    assert_eq!(stage.replica(C).status().candidate, None);
    let words = stage.flights.iter().filter(|flight| flight.from == C).count();
    assert_eq!(words, 0, "it is silent");
}

#[test]
fn a_primary_that_is_removed_hands_over() {
    let mut stage = Stage::settled(3);
    fill(&mut stage, 1, 1, 5);
    let open = stage.ask(A, post(1, 6));
    reconfigure(&mut stage, A, &[B, C]);
    let late = stage.ask(A, post(1, 7));
    stage.run(200);
    assert!(stage.is_done(open), "what it had taken on it finishes");
    assert!(matches!(stage.outcome(late), Some(Outcome::Redirect { .. })), "{:?}", stage.outcome(late));
    assert!(!stage.replica(A).serving());
    assert_eq!(stage.noted(|node, note| node == A && matches!(note, Note::SteppedDown { .. })), 1);
    stage.run(2_300);
    assert!(serves(&stage, &[B, C]), "{:#?}", stage.notes);
    let again = stage.ask(B, post(1, 7));
    stage.run(200);
    assert!(stage.is_done(again) && (1..=7).all(|number| stage.replica(C).applied(key(1, number))));
    stage.notes.clear();
    stage.run(60_000);
    assert!(serves(&stage, &[B, C]), "and it is not taken in again");
    assert_eq!(stage.noted(|_, note| matches!(note, Note::Proposed { .. })), 0);
}

#[test]
fn a_node_that_was_removed_and_is_asked_for_again_comes_back() {
    for removed in [A, C] {
        let mut stage = Stage::settled(3);
        fill(&mut stage, 1, 1, 3);
        let left: Vec<NodeId> = stage.nodes().into_iter().filter(|&node| node != removed).collect();
        reconfigure(&mut stage, A, &left);
        stage.run(4_000);
        // So many that what it lacks is compacted.
        fill(&mut stage, 2, 1, 1_200);
        let primary = stage.primary().expect("a primary");
        assert!(stage.replica(primary).log.chain().base.tip > stage.replica(removed).tip());
        let others = stage.nodes().into_iter().filter(|&node| node != primary);
        let set: Vec<NodeId> = [primary].into_iter().chain(others).collect();
        reconfigure(&mut stage, primary, &set);
        stage.run(6_000);
        assert!(stage.legitimate(&[A, B, C]), "{:#?}", stage.replica(removed).status());
        assert_eq!(stage.replica(removed).status().replica_set, set);
        assert!(stage.replica(removed).applied(key(2, 1_200)));
        assert_eq!(stage.primary(), Some(primary), "it does not pre-empt");
        assert_eq!(stage.noted(|_, note| matches!(note, Note::Merged { revoked, .. } if *revoked > 0)), 0);
        stage.crash(primary);
        stage.run(8_000);
        fill(&mut stage, 3, 1, 2);
    }
}

/// The first word that asks it to come back may be lost.
#[test]
fn an_invitation_is_repeated() {
    let mut stage = Stage::settled(3);
    reconfigure(&mut stage, A, &[A, B]);
    stage.run(6_000);
    stage.isolate(&[A, B], &[C]);
    reconfigure(&mut stage, A, &[A, B, C]);
    stage.run(10_000);
    stage.heal();
    stage.run(9_000);
    assert!(serves(&stage, &[A, B, C]));
}

/// Those who should take over crash: whoever holds what was acknowledged leads on until one is back.
#[test]
fn a_removed_primary_leads_on_until_it_has_a_successor() {
    let mut stage = Stage::settled(3);
    reconfigure(&mut stage, A, &[B, C]);
    stage.crash(B);
    stage.crash(C);
    stage.run(8_000);
    assert!(stage.replica(A).serving() && stage.replica(A).status().members == [A]);
    fill(&mut stage, 1, 1, 3);
    stage.crash(A);
    stage.boot(A);
    stage.run(6_000);
    assert!(stage.replica(A).serving(), "after a restart too");
    fill(&mut stage, 1, 4, 3);
    stage.boot(B);
    stage.boot(C);
    stage.run(15_000);
    assert!(serves(&stage, &[B, C]), "{:#?}", stage.notes);
    assert!((1..=6).all(|number| stage.replica(B).applied(key(1, number))));
    stage.run(30_000);
    assert!(serves(&stage, &[B, C]));
}

#[test]
fn a_reconfiguration_that_keeps_nobody_of_the_view_is_refused() {
    let mut stage = Stage::settled(3);
    stage.crash(C);
    stage.run(6_000);
    reconfigure(&mut stage, A, &[C]);
    assert_eq!(stage.noted(|_, note| *note == Note::Refused("a reconfiguration")), 1);
    assert!(stage.replica(A).serving());
}

/// Nobody else has the entry that removes it: for the others it is a member still.
#[test]
fn a_removal_that_nobody_heard_of_is_undone() {
    let mut stage = Stage::settled(3);
    stage.cut.extend([(A, B), (A, C)]);
    reconfigure(&mut stage, A, &[B, C]);
    stage.run(5);
    stage.crash(A);
    stage.heal();
    stage.run(8_000);
    stage.boot(A);
    stage.run(12_000);
    assert!(stage.legitimate(&[A, B, C]), "{:#?}", stage.replica(A).status());
}

/// A change of view counts on all who were wanted when it began.
#[test]
fn a_reconfiguration_during_a_view_change_is_to_be_asked_for_again() {
    let mut stage = Stage::settled(4);
    stage.crash(D);
    while stage.replica(A).change.is_none() {
        stage.run(1);
    }
    reconfigure(&mut stage, A, &[A, B]);
    assert_eq!(stage.noted(|_, note| *note == Note::Refused("a reconfiguration")), 1);
    stage.run(2_000);
    reconfigure(&mut stage, A, &[A, B]);
    stage.run(6_000);
    assert!(serves(&stage, &[A, B]), "{:#?}", stage.notes);
}

/// Another member dies meanwhile, and the removed one does not hear of its removal at once.
#[test]
fn a_view_change_waits_until_a_removed_member_knows() {
    let mut stage = Stage::settled(4);
    stage.crash(D);
    stage.run(2_500);
    stage.cut.insert((A, C));
    reconfigure(&mut stage, A, &[A, B, D]);
    stage.run(2_000);
    stage.heal();
    stage.run(6_000);
    assert_eq!(stage.replica(C).status().replica_set, [A, B, D]);
    assert_eq!(stage.replica(C).status().candidate, None);
    assert!(stage.legitimate(&[A, B]), "{:#?}", stage.notes);
}
