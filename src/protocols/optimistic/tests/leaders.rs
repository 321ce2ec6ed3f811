//! Who is heard, whom to follow, and who is left out for a while.

use super::super::config::Mutation;
use super::stage::*;
use super::views::set_mutation;
use crate::machine::{Input, Machine, Note};
use crate::time::Duration;

#[test]
fn a_silent_node_is_suspected_after_its_time_and_not_before() {
    let mut stage = Stage::settled(3);
    let quiet = stage.now;
    stage.crash(C);
    stage.run(8_000);
    let suspected = stage.notes.iter().filter(|(_, _, note)| *note == Note::Suspected(C));
    let after: Vec<Duration> = suspected.map(|(at, _, _)| at.since(quiet)).collect();
    assert_eq!(after.len(), 2);
    let limits = Duration::from_millis(2_500)..=Duration::from_millis(3_600);
    assert!(after.iter().all(|after| limits.contains(after)), "{after:?}");
    assert!(stage.legitimate(&[A, B]));
}

/// A leader that runs in jerks shifts what it heard by its own gaps, but never takes it for fresh: it must
/// still suspect the dead.
#[test]
fn a_jerky_leader_still_suspects_the_dead() {
    for mutation in [None, Some(Mutation::RefreshAfterGap)] {
        let mut stage = Stage::settled(3);
        set_mutation(&mut stage, A, mutation);
        stage.crash(C);
        for _ in 0..12 {
            stage.seats[A.index()].paused = true;
            stage.run(2_000);
            stage.seats[A.index()].paused = false;
            stage.run(100);
        }
        let suspects = stage.noted(|node, note| node == A && *note == Note::Suspected(C)) > 0;
        assert_eq!(suspects, mutation.is_none(), "{mutation:?}");
        assert_eq!(stage.noted(|node, note| node == A && *note == Note::Suspected(B)), 0, "nor the living");
    }
}

#[test]
fn what_was_heard_is_shifted_by_the_gap_less_a_period_and_never_beyond_now() {
    let mut stage = Stage::settled(3);
    let now = stage.now;
    let ago = |millis| now - Duration::from_millis(millis);
    for (gap, heard, shifted) in [(1_500, 2_500, 2_500), (2_000, 2_500, 1_000), (2_000, 700, 0), (3_000, 2_900, 400)] {
        stage.replica_mut(A).last_tick = ago(gap);
        stage.replica_mut(A).known(C).heard = Some(ago(heard));
        stage.step(A, Input::Timeout(super::super::Timer::Tick));
        assert_eq!(stage.replica(A).peers[&C].heard, Some(ago(shifted)), "a gap of {gap} ms");
    }
}

#[test]
fn a_pause_longer_than_the_suspicion_timeout_is_a_restart() {
    let mut stage = Stage::settled(3);
    let before = stage.replica(A).incarnation;
    stage.seats[A.index()].paused = true;
    stage.run(8_000);
    assert!(stage.legitimate(&[B, C]), "the others go on");
    stage.seats[A.index()].paused = false;
    stage.run(1);
    assert!(!stage.replica(A).serving(), "it does not resume");
    assert_ne!(stage.replica(A).incarnation, before);
    stage.run(10_000);
    assert!(stage.legitimate(&stage.nodes()));
    assert_eq!(stage.primary(), Some(B), "it rejoins, and does not pre-empt");
}

#[test]
fn a_time_in_the_future_is_no_trust() {
    for (mutation, suspected) in [(None, true), (Some(Mutation::TrustTheFuture), false)] {
        let mut stage = Stage::settled(3);
        set_mutation(&mut stage, A, mutation);
        stage.crash(C);
        let future = stage.now + Duration::from_secs(1_000);
        stage.replica_mut(A).known(C).heard = Some(future);
        stage.run(6_000);
        assert_eq!(stage.noted(|node, note| node == A && *note == Note::Suspected(C)) > 0, suspected);
    }
}

/// A is not heard by C any more. It still hears C, but C does not trust it.
#[test]
fn trust_is_mutual() {
    for mutation in [None, Some(Mutation::OneWayTrust)] {
        let mut stage = Stage::settled(3);
        for node in [A, B, C] {
            set_mutation(&mut stage, node, mutation);
        }
        stage.cut.insert((A, C));
        stage.run(30_000);
        let alone = stage.replica(A).status().members;
        let leads = |node| stage.replica(node).status().candidate == Some(node);
        assert!(leads(A));
        if mutation.is_none() {
            assert_eq!(alone, [A, B]);
            assert!(stage.replica(C).serving() && leads(C), "and C serves on its own");
            let before = stage.notes.len();
            stage.run(20_000);
            let after = &stage.notes[before..];
            assert!(!after.iter().any(|(_, _, note)| matches!(note, Note::Installed { .. })), "{after:#?}");
        }
    }
}

#[test]
fn an_incumbent_is_followed_though_another_is_preferred() {
    let mut stage = Stage::settled(3);
    stage.crash(A);
    stage.run(8_000);
    assert_eq!(stage.primary(), Some(B));
    stage.boot(A);
    stage.run(8_000);
    assert!(stage.legitimate(&stage.nodes()));
    assert_eq!(stage.primary(), Some(B));
}

#[test]
fn a_wiped_node_that_boots_alone_listens_before_it_leads() {
    let mut stage = Stage::settled(3);
    stage.crash(A);
    stage.seats[A.index()].records.clear();
    stage.run(8_000);
    let asked = stage.ask(B, post(1, 1));
    stage.run(200);
    assert!(stage.is_done(asked));
    stage.boot(A);
    stage.run(900);
    assert_ne!(stage.replica(A).status().candidate, Some(A));
    stage.run(9_000);
    assert!(stage.legitimate(&stage.nodes()));
    assert_eq!(stage.primary(), Some(B));
    assert!(stage.replica(A).applied(key(1, 1)));
}

/// A member that appends but whose acknowledgements never come makes no progress: it leaves, and each failure
/// keeps it out for longer.
#[test]
fn a_member_without_progress_is_held_down() {
    let mut stage = Stage::settled(3);
    set_mutation(&mut stage, C, Some(Mutation::DropReplicateAcks));
    let asked = stage.ask(A, post(1, 1));
    stage.run(9_000);
    assert!(stage.is_done(asked), "the service with ack rule `all` goes on");
    stage.run(60_000);
    let failures: Vec<u32> = stage
        .notes
        .iter()
        .filter_map(|(_, _, note)| match note {
            Note::HeldDown { node, failures } if *node == C => Some(*failures),
            _ => None,
        })
        .collect();
    assert!(failures.len() >= 3 && failures.is_sorted(), "{failures:?}");
    let times: Vec<_> = stage
        .notes
        .iter()
        .filter(|(_, _, note)| matches!(note, Note::HeldDown { node, .. } if *node == C))
        .map(|(at, _, _)| *at)
        .collect();
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert!(gaps.last() > gaps.first(), "{gaps:?}");
    set_mutation(&mut stage, C, None);
    stage.run(120_000);
    assert!(stage.legitimate(&stage.nodes()), "and it is back once it works");
}

/// One heartbeat was corrupted in flight and bears a false incarnation. The true one is not taken for a
/// former life for ever.
#[test]
fn a_corrupted_incarnation_does_not_deafen() {
    let mut stage = Stage::settled(3);
    stage.flights.clear();
    stage.run(600);
    let report = stage.replica(B).peers[&A].report.clone().expect("A was heard");
    let mut false_beat = (*report).clone();
    false_beat.incarnation ^= 0xdead;
    stage.deliver(A, B, super::super::message::Message::Heartbeat(std::rc::Rc::new(false_beat)));
    stage.run(2_000);
    assert_eq!(stage.replica(B).peers[&A].incarnation, stage.replica(A).incarnation);
    stage.run(20_000);
    assert!(stage.legitimate(&stage.nodes()));
    assert_eq!(stage.noted(|_, note| matches!(note, Note::Suspected(_))), 0);
}

/// A late heartbeat of a former life does not void what the present one acknowledged.
#[test]
fn a_late_heartbeat_of_a_former_life_is_void() {
    let mut stage = Stage::settled(3);
    let late = stage.replica(B).peers[&C].report.clone().expect("C was heard");
    stage.crash(C);
    stage.boot(C);
    stage.run(700);
    let present = stage.replica(C).incarnation;
    assert_eq!(stage.replica(B).peers[&C].incarnation, present);
    stage.deliver(C, B, super::super::message::Message::Heartbeat(late));
    assert_eq!(stage.replica(B).peers[&C].incarnation, present);
}

/// Both sides of a split reconfigured to themselves, and nobody of one side is left in the set of the other.
/// Only beacons to the whole directory let them meet again.
#[test]
fn beacons_bring_sides_together_that_both_reconfigured() {
    for mutation in [None, Some(Mutation::HeartbeatOwnSetOnly)] {
        let mut stage = Stage::settled(4);
        for node in stage.nodes() {
            set_mutation(&mut stage, node, mutation);
        }
        stage.isolate(&[A, B], &[C, D]);
        stage.run(8_000);
        stage.step(A, Input::Reconfigure(vec![A, B]));
        stage.step(C, Input::Reconfigure(vec![C, D]));
        stage.run(30_000);
        stage.heal();
        stage.run(30_000);
        assert_eq!(stage.legitimate(&stage.nodes()), mutation.is_none(), "{mutation:?}");
        let mut set = stage.replica(A).status().replica_set;
        set.sort_unstable();
        let whole = set == [A, B, C, D];
        assert_eq!(whole, mutation.is_none(), "replica sets merge by union");
    }
}

/// A flapping link between a member and the rest does not stop the others.
#[test]
fn the_rest_serves_while_one_link_flaps() {
    let mut stage = Stage::settled(3);
    let mut done = 0;
    for number in 1..=40 {
        if number % 2 == 0 {
            stage.heal()
        } else {
            stage.isolate(&[A, B], &[C])
        }
        let asked = stage.ask(A, post(1, number));
        stage.run(4_000);
        done += u32::from(stage.is_done(asked));
    }
    assert!(done >= 34, "{done} of 40 writes were acknowledged within 4 s");
    stage.heal();
    stage.run(60_000);
    assert!(stage.legitimate(&stage.nodes()));
}
