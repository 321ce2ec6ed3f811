//! A node's own storage: slow, stuck, and well again.

use super::stage::*;
use crate::id::NodeId;
use crate::machine::{Input, Machine, Note};
use crate::time::Duration;

/// A write to its disk takes so long that nobody waits for it.
const GRAY: Duration = Duration::from_secs(4);

fn stood_down(stage: &Stage, node: NodeId) -> usize {
    stage.noted(|by, note| by == node && matches!(note, Note::SteppedDown { .. }))
}

/// Asks whoever is primary for a write each 500 ms, and says how many were done within that time.
fn load(stage: &mut Stage, client: u32, writes: u32) -> u32 {
    let mut done = 0;
    for number in 1..=writes {
        let asked = stage.primary().map(|primary| stage.ask(primary, post(client, number)));
        stage.run(500);
        done += u32::from(asked.is_some_and(|asked| stage.is_done(asked)));
    }
    done
}

#[test]
fn a_primary_whose_storage_does_not_answer_steps_down() {
    let mut stage = Stage::settled(3);
    stage.seats[A.index()].disk_held = true;
    let stuck = stage.ask(A, post(1, 1));
    stage.run(5_000);
    assert_eq!(stood_down(&stage, A), 1);
    let sent_away = matches!(stage.outcome(stuck), Some(crate::op::Outcome::Unfinished { .. }));
    assert!(sent_away, "its clients are sent away, and not told that nothing happened");
    stage.run(12_000);
    let asked = stage.ask(B, post(1, 1));
    stage.run(200);
    assert!(stage.is_done(asked), "another leads");
}

/// Each of its writes ends at last. That makes it no candidate again: the next one takes as long.
#[test]
fn a_gray_primary_stands_down_once_and_for_all() {
    let mut stage = Stage::settled(3);
    stage.seats[A.index()].sync = GRAY;
    load(&mut stage, 1, 20);
    assert_eq!(stood_down(&stage, A), 1);
    assert_eq!(stage.primary(), Some(B));
    stage.notes.clear();
    assert_eq!(load(&mut stage, 2, 120), 120, "nobody waits for it");
    assert_eq!(stage.noted(|_, note| matches!(note, Note::Proposed { .. })), 0, "nor is it taken in to fail again");
    assert!(stage.replica(A).status().impaired);
    assert_eq!(stage.replica(A).status().candidate, Some(B), "it follows, and redirects");
    assert_eq!(stage.replica(B).status().held, [A]);
    let longest = stage.replica(A).options().hold_down_max;
    stage.seats[A.index()].sync = SYNC;
    stage.run(longest.as_nanos() / 1_000_000 + 8_000);
    assert!(stage.legitimate(&stage.nodes()), "it is back once its storage is well");
    assert!(!stage.replica(A).status().impaired);
}

#[test]
fn each_failure_of_the_own_storage_holds_a_node_down_for_longer_but_not_for_ever() {
    let mut stage = Stage::settled(3);
    stage.seats[A.index()].disk_held = true;
    stage.ask(A, post(1, 1));
    stage.run(200_000);
    let held = stage.notes.iter().filter_map(|(at, node, note)| match note {
        Note::HeldDown { node: who, failures } if (*node, *who) == (A, A) => Some((*at, *failures)),
        _ => None,
    });
    let held: Vec<_> = held.collect();
    assert!(held.iter().map(|&(_, failures)| failures).eq(1..=held.len() as u32), "{held:?}");
    let gaps: Vec<u64> = held.windows(2).map(|pair| pair[1].0.since(pair[0].0).as_nanos() / 1_000_000_000).collect();
    assert_eq!(gaps[..7], [3, 3, 4, 8, 16, 30, 30], "2^(c-1) s, at least T_suspect, at most T_hold");
    stage.seats[A.index()].disk_held = false;
    stage.run(38_000);
    assert!(stage.legitimate(&stage.nodes()), "back after T_hold at the latest");
}

/// Whoever is left serves with the storage that it has.
#[test]
fn a_held_down_node_leads_if_nobody_else_could() {
    let mut stage = Stage::settled(3);
    stage.crash(B);
    stage.crash(C);
    stage.run(6_000);
    stage.seats[A.index()].disk_held = true;
    stage.ask(A, post(1, 1));
    stage.run(4_000);
    assert_eq!(stood_down(&stage, A), 1);
    stage.seats[A.index()].disk_held = false;
    stage.run(2_000);
    assert!(stage.replica(A).serving(), "at once, and not after its hold-down");
    let asked = stage.ask(A, post(1, 2));
    stage.run(100);
    assert!(stage.is_done(asked));
    stage.boot(B);
    stage.run(6_000);
    assert_eq!(stood_down(&stage, A), 1, "an incumbent whose storage answers by now leads on");
    assert!(stage.replica(A).serving() && stage.replica(A).status().members == [A, B]);
}

/// Nobody is fit: the ordinary order decides, and the service goes on.
#[test]
fn if_all_are_held_down_one_of_them_leads() {
    let mut stage = Stage::settled(3);
    for node in stage.nodes() {
        stage.seats[node.index()].disk_held = true;
    }
    stage.ask(A, post(1, 1));
    stage.run(4_500);
    assert!(stage.nodes().iter().all(|&node| stage.replica(node).status().impaired));
    for node in stage.nodes() {
        stage.seats[node.index()].disk_held = false;
    }
    stage.run(3_000);
    assert!(stage.replica(A).serving());
    stage.run(12_000);
    assert!(stage.legitimate(&stage.nodes()));
}

/// The time in which a process did not run is no failure of its disk.
#[test]
fn a_pause_with_a_write_under_way_is_no_failure_of_the_storage() {
    for pause in [2_600, 8_000] {
        let mut stage = Stage::settled(3);
        stage.seats[B.index()].disk_held = true;
        stage.ask(A, post(1, 1));
        stage.run(700);
        stage.seats[B.index()].paused = true;
        stage.run(pause);
        stage.seats[B.index()].paused = false;
        stage.step(B, Input::Timeout(super::super::Timer::Tick));
        stage.seats[B.index()].disk_held = false;
        stage.run(1_000);
        assert_eq!(stage.noted(|node, note| matches!(note, Note::HeldDown { node: who, .. } if *who == node)), 0);
        assert!(!stage.replica(B).status().impaired);
    }
}

#[test]
fn a_corrupted_hold_ends() {
    let mut stage = Stage::settled(3);
    let far = stage.now + Duration::from_secs(100_000);
    let hold = &mut stage.replica_mut(A).disk.hold;
    (hold.until, hold.forget_at, hold.failures) = (Some(far), far, u32::MAX);
    stage.run(31_000);
    assert!(!stage.replica(A).status().impaired);
    stage.run(240_000);
    assert_eq!(stage.replica(A).disk.hold.failures, 0);
    assert!(stage.legitimate(&stage.nodes()));
}
