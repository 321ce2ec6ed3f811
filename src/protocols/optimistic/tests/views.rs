//! View changes without a quorum.

use std::rc::Rc;

use super::super::config::Mutation;
use super::super::entry::{Data, ViewEntry};
use super::super::log::{Chain, Log};
use super::super::message::{Delta, Message, View};
use super::stage::*;
use crate::machine::{Input, Machine, Note};
use crate::op::Outcome;

/// A proposal of `A` for all three, with an epoch above the present one.
fn proposal(stage: &Stage, above: u64) -> Rc<View> {
    let view = stage.replica(A).view.clone().expect("a view is installed");
    Rc::new(View { epoch: view.epoch + above, ..view })
}

fn propose(stage: &mut Stage, view: &Rc<View>) {
    stage.deliver(A, B, Message::Propose { view: view.clone(), reset: false });
}

#[test]
fn replicas_that_boot_together_form_one_view() {
    let mut stage = Stage::with(5, |_| {});
    assert_eq!(stage.primary(), None, "nobody leads while it listens");
    stage.run(6_000);
    assert!(stage.legitimate(&stage.nodes()));
    assert_eq!(stage.primary(), Some(A), "the preferred one");
}

#[test]
fn a_legitimate_state_stays() {
    let mut stage = Stage::settled(5);
    let asked = stage.ask(A, post(1, 1));
    stage.run(60_000);
    assert!(stage.is_done(asked));
    assert_eq!(stage.noted(|_, note| matches!(note, Note::Proposed { .. } | Note::Suspected(_))), 0);
}

#[test]
fn four_of_five_crash_and_the_last_one_acknowledges_alone() {
    let mut stage = Stage::settled(5);
    for node in [A, B, C, D] {
        stage.crash(node);
    }
    stage.run(6_000);
    assert!(stage.legitimate(&[E]));
    let asked = stage.ask(E, post(1, 1));
    stage.run(10);
    let Some(Outcome::Done(done)) = stage.outcome(asked) else { panic!("{:?}", stage.replies) };
    assert_eq!((done.degree, done.degraded), (1, true));
}

#[test]
fn a_proposal_is_acknowledged_only_once_the_log_is_durable() {
    let mut stage = Stage::settled(3);
    stage.seats[B.index()].disk_held = true;
    stage.ask(A, post(1, 1));
    stage.run(30);
    let view = proposal(&stage, 1);
    propose(&mut stage, &view);
    assert!(stage.replica(B).status().frozen);
    assert!(stage.take("ViewAck", B, A).is_empty(), "its last entry is not on the disk");
    stage.sync(B);
    let acks = stage.take("ViewAck", B, A);
    assert!(matches!(&acks[..], [Message::ViewAck { tip, .. }] if *tip == stage.replica(B).tip()));
}

#[test]
fn a_frozen_member_neither_appends_nor_acknowledges() {
    let mut stage = Stage::settled(3);
    let view = proposal(&stage, 1);
    propose(&mut stage, &view);
    let tip = stage.replica(B).tip();
    let asked = stage.ask(A, post(1, 1));
    stage.run(100);
    assert_eq!(stage.replica(B).tip(), tip);
    assert_eq!(stage.outcome(asked), None, "under `all` it is not acknowledged");
    stage.run(3_500);
    assert!(!stage.replica(B).status().frozen, "thawed at its deadline");
    assert!(stage.is_done(asked), "and the entry was sent again");
}

#[test]
fn a_repeated_proposal_never_freezes_again() {
    let mut stage = Stage::settled(3);
    let view = proposal(&stage, 1);
    propose(&mut stage, &view);
    let deadline = stage.replica(B).frozen.expect("frozen").deadline;
    stage.run(200);
    propose(&mut stage, &view);
    assert_eq!(stage.replica(B).frozen.expect("still frozen").deadline, deadline);
    stage.replica_mut(B).frozen = None;
    propose(&mut stage, &view);
    assert!(!stage.replica(B).status().frozen, "acknowledged once");
    let installed = Rc::new(stage.replica(A).view.clone().expect("a view"));
    propose(&mut stage, &installed);
    assert!(!stage.replica(B).status().frozen, "installed");
}

/// Attempts of one leader reach a member out of order. The late one must not take the place of the newer.
#[test]
fn an_overtaken_proposal_does_not_replace_the_one_that_overtook_it() {
    let mut stage = Stage::settled(3);
    let (first, second) = (proposal(&stage, 1), proposal(&stage, 2));
    propose(&mut stage, &second);
    propose(&mut stage, &first);
    assert_eq!(stage.replica(B).frozen.map(|frozen| frozen.id), Some(second.id()));
}

#[test]
fn only_the_candidate_may_propose() {
    let mut stage = Stage::settled(3);
    let view = Rc::new(View { coordinator: C, ..(*proposal(&stage, 1)).clone() });
    stage.deliver(C, B, Message::Propose { view, reset: false });
    assert!(!stage.replica(B).status().frozen);
}

#[test]
fn an_older_proposal_is_refused_with_the_newer_epoch() {
    let mut stage = Stage::settled(3);
    let mut view = (*proposal(&stage, 0)).clone();
    let epoch = view.epoch;
    view.epoch = 0;
    propose(&mut stage, &Rc::new(view.clone()));
    assert!(stage.take("ViewNack", B, A).is_empty(), "an impossible one is not answered");
    stage.replica_mut(B).view.as_mut().expect("a view").epoch = epoch + 5;
    view.epoch = epoch;
    propose(&mut stage, &Rc::new(view));
    let nacks = stage.take("ViewNack", B, A);
    assert!(matches!(nacks[..], [Message::ViewNack { epoch: newer, .. }] if newer == epoch + 5), "{nacks:?}");
}

/// What an installation of the view on this chain carries.
fn installation(chain: Chain, view: &View) -> Rc<Delta> {
    let from = chain.tip();
    let mut log = Log::from_chain(chain);
    let (epoch, coordinator, members) = (view.epoch, view.coordinator, view.members.clone());
    let entry = log.push(Data::View(ViewEntry { epoch, coordinator, members }));
    Rc::new(Delta { from, image: None, entries: vec![entry] })
}

/// What carries the guarantee that nothing is lost silently.
#[test]
fn a_member_adopts_only_what_covers_its_tip() {
    for mutation in [None, Some(Mutation::AdoptUnconditionally)] {
        let mut stage = Stage::settled(3);
        set_mutation(&mut stage, B, mutation);
        let chain = stage.replica(A).log.chain().clone();
        stage.ask(A, post(1, 1));
        stage.run(100);
        let view = proposal(&stage, 1);
        propose(&mut stage, &view);
        let delta = installation(chain, &view);
        stage.deliver(A, B, Message::Install { view: view.clone(), delta });
        stage.sync(B);
        let adopted = stage.replica(B).view.as_ref().map(View::id) == Some(view.id());
        assert_eq!(adopted, mutation.is_some(), "{mutation:?}");
        assert_eq!(stage.take("ViewNack", B, A).len(), usize::from(mutation.is_none()), "refused, and the leader told");
    }
}

#[test]
fn an_installation_that_nobody_asked_for_is_ignored() {
    let mut stage = Stage::settled(3);
    let before = stage.replica(B).view();
    let view = proposal(&stage, 1);
    let delta = installation(stage.replica(B).log.chain().clone(), &view);
    stage.deliver(A, B, Message::Install { view: view.clone(), delta: delta.clone() });
    stage.sync(B);
    assert_eq!(stage.replica(B).view(), before);
    propose(&mut stage, &view);
    stage.deliver(A, B, Message::Install { view, delta });
    stage.sync(B);
    assert_ne!(stage.replica(B).view(), before, "asked for, it is adopted");
}

pub fn set_mutation(stage: &mut Stage, node: crate::id::NodeId, mutation: Option<Mutation>) {
    let mut config = (*stage.seats[node.index()].config).clone();
    config.options.mutation = mutation;
    let config = Rc::new(config);
    stage.seats[node.index()].config = config.clone();
    if let Some(machine) = &mut stage.seats[node.index()].machine {
        machine.config = config;
    }
}

/// A member that answers nothing holds a change up twice; the third attempt goes on without it.
#[test]
fn only_the_third_attempt_finishes_without_the_missing() {
    for (mutation, abandoned) in [(None, 2), (Some(Mutation::FinishAtFirstDeadline), 0)] {
        let mut stage = Stage::with(3, |_| {});
        set_mutation(&mut stage, A, mutation);
        let end = stage.now + crate::time::Duration::from_secs(8);
        stage.run_until(end, |flight| flight.message.name() != "ViewAck" || flight.from != C);
        let noted = |stage: &Stage, wanted: fn(&Note) -> bool| stage.noted(|node, note| node == A && wanted(note));
        assert!(noted(&stage, |note| matches!(note, Note::Installed { members, .. } if members[..] == [A, B])) > 0);
        let first = stage.notes.iter().position(|(_, _, note)| matches!(note, Note::Installed { .. }));
        stage.notes.truncate(first.expect("installed"));
        assert_eq!(noted(&stage, |note| matches!(note, Note::Abandoned { .. })), abandoned, "{mutation:?}");
    }
}

#[test]
fn a_lost_installation_is_sent_again() {
    let mut stage = Stage::with(3, |_| {});
    let mut lost = 0;
    let end = stage.now + crate::time::Duration::from_secs(6);
    stage.run_until(end, |flight| {
        let lose = flight.message.name() == "Install" && lost < 3;
        lost += u32::from(lose);
        !lose
    });
    assert_eq!(lost, 3);
    assert!(stage.legitimate(&stage.nodes()));
    assert_eq!(stage.noted(|_, note| matches!(note, Note::Proposed { .. })), 1, "without another view change");
}

#[test]
fn epochs_wrap_and_views_go_on() {
    let mut stage = Stage::settled_with(3, |options| options.epoch_max = 6);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..10 {
        stage.isolate(&[A, B], &[C]);
        stage.run(8_000);
        stage.heal();
        stage.run(8_000);
        for node in stage.nodes() {
            seen.insert(stage.replica(node).view().expect("a view").0);
        }
        if !stage.legitimate(&stage.nodes()) {
            // A member may still be held down after its failures.
            stage.run(40_000);
        }
        assert!(stage.legitimate(&stage.nodes()), "{:#?}", &stage.notes[stage.notes.len().saturating_sub(20)..]);
    }
    assert!(seen.iter().all(|&epoch| epoch > 0 && epoch < 6), "{seen:?}");
    assert!(seen.contains(&5) && (seen.contains(&1) || seen.contains(&2) || seen.contains(&3)), "{seen:?}");
}

#[test]
fn both_sides_of_a_split_serve_and_then_merge() {
    let mut stage = Stage::settled(5);
    stage.isolate(&[A, B, C], &[D, E]);
    stage.run(8_000);
    assert!(stage.legitimate(&[A, B, C]) && stage.legitimate(&[D, E]));
    let (west, east) = (stage.ask(A, post(1, 1)), stage.ask(D, post(2, 1)));
    stage.run(200);
    assert!(stage.is_done(west) && stage.is_done(east));
    stage.heal();
    stage.run(8_000);
    assert!(stage.legitimate(&stage.nodes()));
    for node in stage.nodes() {
        assert!(stage.replica(node).applied(key(1, 1)) && stage.replica(node).applied(key(2, 1)), "{node:?}");
    }
}

/// An abandoned end of a crashed primary returns: journaled or replayed, it is accounted for.
#[test]
fn a_crashed_primary_brings_its_tail_back() {
    let mut stage = Stage::settled_with(3, |options| options.merge = super::super::MergePolicy::RankWins);
    stage.cut.extend([(A, B), (A, C)]);
    let unheard = stage.ask(A, post(1, 1));
    stage.run(200);
    assert_eq!(stage.outcome(unheard), None);
    stage.crash(A);
    stage.heal();
    stage.run(8_000);
    assert!(stage.legitimate(&[B, C]));
    let asked = stage.ask(B, post(2, 1));
    stage.run(200);
    assert!(stage.is_done(asked));
    stage.boot(A);
    stage.run(8_000);
    assert!(stage.legitimate(&stage.nodes()));
    for node in stage.nodes() {
        let replica = stage.replica(node);
        assert!(replica.applied(key(2, 1)), "the tail was not the base");
        assert!(replica.journaled(key(1, 1)) && !replica.applied(key(1, 1)), "the tail is in the journal");
    }
}

/// A member crashes and is back before anyone suspects it: its log is whole, so nothing has to change.
#[test]
fn a_member_that_restarts_at_once_stays_in_the_view() {
    let mut stage = Stage::settled(3);
    let asked = stage.ask(A, post(1, 1));
    stage.run(1_000);
    assert!(stage.is_done(asked));
    stage.crash(C);
    stage.boot(C);
    stage.run(20_000);
    assert!(stage.legitimate(&stage.nodes()));
    assert_eq!(stage.noted(|_, note| matches!(note, Note::HeldDown { .. })), 0, "{:#?}", stage.notes);
}

/// As before, with a write under way that the member missed.
#[test]
fn a_write_that_a_restarting_member_missed_is_sent_again() {
    let mut stage = Stage::settled(3);
    stage.crash(C);
    let asked = stage.ask(A, post(1, 1));
    stage.run(100);
    stage.boot(C);
    stage.run(2_000);
    assert!(stage.is_done(asked), "{:#?}", stage.notes);
}

/// A pause that outlasts T_suspect ends a life: an installation that was under way does not make the node a
/// primary under the name of its former life.
#[test]
fn an_installation_of_a_former_life_makes_no_incumbent() {
    let mut stage = Stage::with(2, |_| {});
    stage.seats[A.index()].disk_held = true;
    while stage.replica(A).installing.is_none() {
        stage.run(1);
    }
    stage.now = stage.replica(A).last_tick + crate::time::Duration::from_millis(3_001);
    stage.step(A, Input::Timeout(super::super::Timer::Tick));
    assert!(stage.replica(A).installing.is_some(), "its write is still under way");
    stage.sync(A);
    assert!(stage.replica(A).view.is_some() && !stage.replica(A).serving(), "it listens first");
    stage.seats[A.index()].disk_held = false;
    stage.run(20_000);
    assert!(stage.legitimate(&stage.nodes()));
}

/// Reports are as old as a heartbeat, and many entries are acknowledged between two of them: a member that
/// keeps up is not left out because its last report is behind.
#[test]
fn a_member_that_keeps_up_stays_under_load() {
    let mut stage = Stage::settled_with(3, |options| options.sync_limit = 10);
    for number in 1..=500 {
        stage.ask(A, post(1, number));
        stage.run(10);
    }
    assert_eq!(stage.noted(|_, note| matches!(note, Note::Proposed { .. })), 0);
    assert_eq!(stage.replica(A).status().held, []);
}
