//! Newcomers, replacements and successors: replica sets that change while the service goes on.

use super::stage::*;
use crate::id::NodeId;
use crate::machine::{Input, Machine, Note, RequestId};
use crate::op::Outcome;
use crate::time::{Duration, LocalTime};

/// A client that always has one write open, and asks whoever serves.
struct Load {
    number: u32,
    open: Option<(RequestId, LocalTime)>,
    last: LocalTime,
    /// The longest time without an answer.
    gap: Duration,
    done: Vec<u32>,
    /// Members of the smallest view that acknowledged.
    least: usize,
}

const CLIENT: u32 = 7;

impl Load {
    fn new(stage: &Stage) -> Self {
        Self { number: 1, open: None, last: stage.now, gap: Duration::ZERO, done: Vec::new(), least: usize::MAX }
    }

    fn run(&mut self, stage: &mut Stage, millis: u64) {
        for _ in 0..millis / 5 {
            self.step(stage);
            stage.run(5);
        }
    }

    fn step(&mut self, stage: &mut Stage) {
        self.gap = self.gap.max(stage.now.since(self.last));
        if let Some((id, since)) = self.open {
            match stage.outcome(id) {
                Some(Outcome::Done(done)) => {
                    self.least = self.least.min(usize::from(done.degree));
                    self.done.push(self.number);
                    self.number += 1;
                    self.last = stage.now;
                }
                Some(_) => {}
                None if stage.now.since(since) < Duration::from_millis(400) => return,
                None => {}
            }
            self.open = None;
        }
        if let Some(primary) = stage.primary() {
            self.open = Some((stage.ask(primary, post(CLIENT, self.number)), stage.now));
        }
    }

    fn is_all_at(&self, stage: &Stage, node: NodeId) -> bool {
        self.done.iter().all(|&number| stage.replica(node).applied(key(CLIENT, number)))
    }
}

fn reconfigure(stage: &mut Stage, nodes: &[NodeId]) {
    let primary = stage.primary().expect("a primary");
    stage.step(primary, Input::Reconfigure(nodes.to_vec()));
}

/// One view of exactly these, which are the replica set in this order, and the first of them leads.
fn serves(stage: &Stage, set: &[NodeId]) -> bool {
    let mut nodes = set.to_vec();
    nodes.sort_unstable();
    let knows = |node: &NodeId| stage.replica(*node).status().replica_set == set;
    stage.legitimate(&nodes) && nodes.iter().all(knows) && stage.primary() == Some(set[0])
}

fn fill(stage: &mut Stage, client: u32, count: u32) {
    for number in 1..=count {
        let primary = stage.primary().expect("a primary");
        stage.ask(primary, post(client, number));
        stage.run(60);
    }
}

#[test]
fn a_newcomer_waits_until_it_is_asked_for_and_is_taken_in_while_the_service_goes_on() {
    for compacted in [false, true] {
        let mut stage = Stage::with_spares(3, 4, |options| options.sync_limit = 50);
        fill(&mut stage, 1, if compacted { 1_400 } else { 200 });
        assert_eq!(stage.replica(A).log.chain().base.tip.length > 0, compacted);
        let mut load = Load::new(&stage);
        stage.start(D, &[A, B, C]);
        load.run(&mut stage, 20_000);
        assert!(stage.legitimate(&[A, B, C]), "it waits");
        assert_eq!(stage.noted(|_, note| matches!(note, Note::Proposed { .. })), 0);
        assert!(stage.replica(D).is_blank() && stage.replica(D).status().role == crate::machine::Role::Following);
        reconfigure(&mut stage, &[A, B, C, D]);
        load.run(&mut stage, 6_000);
        assert!(serves(&stage, &[A, B, C, D]), "{:#?}", stage.notes);
        println!("a newcomer joins, compacted {compacted}: the longest gap is {:?}", load.gap);
        assert!(load.gap < Duration::from_millis(600), "{:?}", load.gap);
        assert!(load.is_all_at(&stage, D) && stage.replica(D).applied(key(1, 200)));
        let images: Vec<u64> = [A, D].map(|node| stage.replica(node).log.chain().base.state.full_digest()).to_vec();
        assert!(compacted || images[0] == images[1], "the newcomer knows how the history began");
        stage.crash(D);
        stage.boot(D);
        stage.run(8_000);
        assert!(stage.legitimate(&[A, B, C, D]), "and after a restart");
    }
}

/// A whole data center is replaced at once. Nobody goes before those who come hold everything.
#[test]
fn members_are_replaced_make_before_break() {
    let mut stage = Stage::with_spares(3, 5, |options| options.sync_limit = 50);
    fill(&mut stage, 1, 300);
    let mut load = Load::new(&stage);
    for node in [D, E] {
        stage.start(node, &[A, B, C]);
    }
    reconfigure(&mut stage, &[A, D, E]);
    load.run(&mut stage, 15_000);
    assert!(serves(&stage, &[A, D, E]), "{:#?}", stage.notes);
    assert!(load.least >= 3, "the smallest view that acknowledged had {} members", load.least);
    println!("two of three are replaced: the longest gap is {:?}", load.gap);
    assert!(load.gap < Duration::from_millis(600), "{:?}", load.gap);
    for node in [B, C] {
        stage.stop(node);
    }
    load.run(&mut stage, 5_000);
    stage.stop(A);
    load.run(&mut stage, 10_000);
    assert!(load.is_all_at(&stage, D) && load.is_all_at(&stage, E) && stage.replica(E).applied(key(1, 300)));
    assert_eq!(stage.primary(), Some(D), "the next in the order of the set");
}

/// A newcomer that never comes keeps those who are to go; a request without it does not wait.
#[test]
fn who_is_to_go_waits_for_who_is_to_come() {
    let mut stage = Stage::with_spares(3, 4, |_| {});
    reconfigure(&mut stage, &[A, B, D]);
    let mut load = Load::new(&stage);
    load.run(&mut stage, 20_000);
    assert!(stage.legitimate(&[A, B, C]), "{:#?}", stage.notes);
    assert_eq!(stage.replica(A).status().replica_set, [A, B, D, C]);
    reconfigure(&mut stage, &[A, B]);
    load.run(&mut stage, 5_000);
    assert!(serves(&stage, &[A, B]));
    assert!(load.gap < Duration::from_millis(400), "{:?}", load.gap);
}

/// Every member, the primary too, is replaced one by one, under load, and each is erased when it has gone.
#[test]
fn nobody_of_the_first_is_left() {
    let mut stage = Stage::with_spares(3, 6, |options| options.sync_limit = 50);
    fill(&mut stage, 1, 100);
    let mut load = Load::new(&stage);
    let mut set = vec![A, B, C];
    for newcomer in 3..6 {
        let newcomer = NodeId(newcomer);
        stage.start(newcomer, &set);
        set.rotate_left(1);
        let old = set.pop().expect("three");
        set.push(newcomer);
        reconfigure(&mut stage, &set);
        load.run(&mut stage, 12_000);
        assert!(serves(&stage, &set), "{set:?}: {:#?}", stage.replica(set[0]).status());
        stage.stop(old);
        load.run(&mut stage, 1_000);
    }
    println!("all are replaced, primaries first: the longest gap is {:?}", load.gap);
    assert!(load.gap < Duration::from_millis(600), "{:?}", load.gap);
    assert!(load.done.len() > 300 && load.least >= 3);
    for node in set {
        assert!(load.is_all_at(&stage, node) && stage.replica(node).applied(key(1, 100)));
    }
}

#[test]
fn a_live_primary_hands_over_to_the_first_of_the_set() {
    let mut stage = Stage::settled(3);
    let mut load = Load::new(&stage);
    load.run(&mut stage, 1_000);
    reconfigure(&mut stage, &[C, A, B]);
    load.run(&mut stage, 3_000);
    assert!(serves(&stage, &[C, A, B]), "{:#?}", stage.notes);
    println!("a primary hands over: the longest gap is {:?}", load.gap);
    assert!(load.gap <= Duration::from_millis(250), "{:?}", load.gap);
    assert_eq!(stage.noted(|_, note| matches!(note, Note::Installed { .. })), 3, "one view change");
    load.run(&mut stage, 30_000);
    assert!(serves(&stage, &[C, A, B]));
    assert!([A, B, C].iter().all(|&node| load.is_all_at(&stage, node)));
}

/// The first of the set is down: the primary serves on, and hands over when it is back.
#[test]
fn a_primary_waits_for_its_successor_and_serves_meanwhile() {
    let mut stage = Stage::settled(3);
    stage.crash(C);
    stage.run(8_000);
    reconfigure(&mut stage, &[C, A, B]);
    let mut load = Load::new(&stage);
    load.run(&mut stage, 10_000);
    assert_eq!(stage.primary(), Some(A));
    stage.boot(C);
    load.run(&mut stage, 8_000);
    assert!(serves(&stage, &[C, A, B]), "{:#?}", stage.notes);
    assert!(load.gap < Duration::from_millis(600), "{:?}", load.gap);
}

/// An order that was asked for once is no reason to take the lead back later.
#[test]
fn a_preferred_primary_that_failed_does_not_pre_empt() {
    let mut stage = Stage::settled(3);
    reconfigure(&mut stage, &[C, A, B]);
    stage.run(3_000);
    stage.crash(C);
    stage.run(8_000);
    assert_eq!(stage.primary(), Some(A));
    stage.boot(C);
    stage.run(20_000);
    assert!(stage.legitimate(&[A, B, C]));
    assert_eq!(stage.primary(), Some(A));
}

/// Whatever becomes of the word to the successor, and of the successor, somebody leads, and nothing is lost.
#[test]
fn a_handover_that_goes_wrong_is_a_crash_at_worst() {
    for wrong in 0..4 {
        let mut stage = Stage::settled(3);
        let mut load = Load::new(&stage);
        load.run(&mut stage, 1_000);
        reconfigure(&mut stage, &[C, A, B]);
        while stage.primary() == Some(A) {
            load.run(&mut stage, 5);
        }
        match wrong {
            0 => _ = stage.take("TakeOver", A, C),
            1 => _ = stage.take("TakeOver", A, B),
            2 => stage.crash(C),
            _ => stage.crash(A),
        }
        load.run(&mut stage, 15_000);
        let left: Vec<NodeId> =
            stage.nodes().into_iter().filter(|node| stage.seats[node.index()].machine.is_some()).collect();
        assert!(stage.legitimate(&left), "{wrong}: {:#?}", stage.notes);
        assert!(left.iter().all(|&node| load.is_all_at(&stage, node)), "{wrong}");
        println!("handover {wrong}: the longest gap is {:?}", load.gap);
        let bound = [3_000, 1_000, 8_000, 8_000][wrong];
        assert!(load.gap < Duration::from_millis(bound), "{wrong}: {:?}", load.gap);
    }
}

/// The word of a handover that is long over makes nobody lead.
#[test]
fn a_late_word_of_a_handover_is_void() {
    let mut stage = Stage::settled(3);
    reconfigure(&mut stage, &[C, A, B]);
    while stage.primary() == Some(A) {
        stage.run(5);
    }
    let words = stage.flights.iter().filter(|flight| flight.to == C).map(|flight| flight.message.clone());
    let late = words.into_iter().find(|message| message.name() == "TakeOver").expect("A tells C");
    stage.run(3_000);
    reconfigure(&mut stage, &[B, A, C]);
    stage.run(3_000);
    assert!(serves(&stage, &[B, A, C]));
    stage.notes.clear();
    stage.deliver(A, C, late);
    stage.run(5_000);
    assert!(serves(&stage, &[B, A, C]));
    assert_eq!(stage.noted(|_, note| matches!(note, Note::Proposed { .. })), 0);
}

/// Both sides of a split recruit. After healing the sets are one, nothing that was acknowledged is lost, and the
/// surplus can go.
#[test]
fn both_sides_recruit_and_shed_after_healing() {
    let mut stage = Stage::with_spares(3, 6, |options| options.merge = super::super::options::MergePolicy::Crdt);
    fill(&mut stage, 1, 20);
    let (left, right) = ([A, D, E], [B, C, NodeId(5)]);
    stage.isolate(&left, &right);
    stage.run(8_000);
    for node in [D, E] {
        stage.start(node, &[A]);
    }
    stage.start(NodeId(5), &[B, C]);
    stage.step(A, Input::Reconfigure(vec![A, D, E]));
    stage.step(B, Input::Reconfigure(vec![C, B, NodeId(5)]));
    stage.run(10_000);
    assert!(stage.legitimate(&left), "{:#?}", stage.replica(A).status());
    assert!(stage.legitimate(&right));
    for number in 1..=20 {
        stage.ask(A, post(2, number));
        stage.ask(C, post(3, number));
        stage.run(100);
    }
    stage.heal();
    stage.run(20_000);
    assert!(stage.legitimate(&stage.nodes()), "{:#?}", stage.replica(A).status());
    let held = |stage: &Stage, node| {
        (1..=20).all(|number| [1, 2, 3].iter().all(|&client| stage.replica(node).applied(key(client, number))))
    };
    assert!(stage.nodes().into_iter().all(|node| held(&stage, node)));
    let set = stage.replica(A).status().replica_set;
    assert_eq!(set.len(), 6);
    let mut load = Load::new(&stage);
    reconfigure(&mut stage, &[D, B, NodeId(5)]);
    load.run(&mut stage, 8_000);
    assert!(serves(&stage, &[D, B, NodeId(5)]), "{:#?}", stage.notes);
    for node in [A, C, E] {
        stage.stop(node);
    }
    load.run(&mut stage, 8_000);
    assert!([D, B, NodeId(5)].into_iter().all(|node| held(&stage, node) && load.is_all_at(&stage, node)));
}

/// A was given up by the others, and the log goes on for longer than what is compacted at once. When A is back its
/// writes are merged like those of any other side.
#[test]
fn what_a_given_up_replica_lacks_is_kept_for_a_while() {
    for retained in [100_000, 1_000] {
        let mut stage = Stage::settled_with(3, |options| {
            options.merge = super::super::options::MergePolicy::Crdt;
            options.retain_entries = retained;
        });
        stage.isolate(&[A], &[B, C]);
        stage.run(8_000);
        stage.step(B, Input::Reconfigure(vec![B, C]));
        for number in 1..=2_500 {
            stage.ask(B, post(2, number));
            stage.run(45);
            if number <= 20 {
                stage.ask(A, post(3, number));
            }
        }
        stage.run(2_000);
        let compacted = stage.replica(B).log.chain().base.tip.length > 1_000;
        assert_eq!(compacted, retained == 1_000, "within the limits of retention");
        stage.heal();
        stage.run(20_000);
        assert!(stage.legitimate(&[A, B, C]), "{:#?}", stage.replica(A).status());
        let fate = |number| {
            let write = key(3, number);
            if retained == 1_000 { stage.replica(C).journaled(write) } else { stage.replica(C).applied(write) }
        };
        assert!((1..=20).all(fate), "{retained}");
    }
}

/// Nothing is kept for one who knows that it was taken out, nor for one who was erased.
#[test]
fn nothing_is_kept_for_who_does_not_come_back() {
    let mut stage = Stage::settled(3);
    stage.isolate(&[C], &[A, B]);
    stage.run(8_000);
    reconfigure(&mut stage, &[A, B]);
    fill(&mut stage, 1, 1_200);
    assert_eq!(stage.replica(A).log.chain().base.tip.length, 0);
    stage.stop(C);
    stage.heal();
    stage.start(C, &[A, B]);
    stage.run(2_000);
    assert!(stage.replica(A).log.chain().base.tip.length > 1_000);
    stage.step(A, Input::Reconfigure(vec![A]));
    fill(&mut stage, 2, 1_200);
    assert!(stage.replica(A).log.chain().base.tip.length > 2_000, "a member that was told does not count");
}

/// Each side prefers its own. Who leads does not depend on who looks.
#[test]
fn sides_with_opposite_orders_agree_on_one_leader() {
    for (left, right) in [([A, B], [C, D]), ([B, A], [D, C]), ([A, B], [D, C])] {
        let mut stage = Stage::settled(4);
        stage.isolate(&[A, B], &[C, D]);
        stage.run(8_000);
        stage.step(A, Input::Reconfigure(left.to_vec()));
        stage.step(C, Input::Reconfigure(right.to_vec()));
        stage.run(8_000);
        assert!(stage.legitimate(&[A, B]) && stage.legitimate(&[C, D]), "{left:?} {right:?}: {:#?}", stage.notes);
        stage.heal();
        stage.run(25_000);
        assert!(stage.legitimate(&stage.nodes()), "{left:?} {right:?}: {:#?}", stage.notes);
    }
}

/// C was removed and erased on one side, and is counted in by the other. It comes back as a stranger: what its
/// former life held is not held by it.
#[test]
fn an_erased_replica_holds_nothing() {
    let mut stage = Stage::settled(3);
    fill(&mut stage, 1, 10);
    stage.isolate(&[A], &[B]);
    stage.run(8_000);
    stage.stop(C);
    stage.run(500);
    stage.start(C, &[A]);
    let before = stage.replica(B).of(C).incarnation;
    while stage.replica(B).of(C).incarnation == before {
        stage.run(5);
    }
    assert!(!stage.replica(A).status().synced.contains(&C), "{:?}", stage.replica(A).status().synced);
    assert!(!stage.replica(B).status().synced.contains(&C), "{:?}", stage.replica(B).status().synced);
    assert!(stage.replica(B).floor() < 5);
    stage.heal();
    stage.run(20_000);
    assert!(stage.legitimate(&[A, B, C]), "{:#?}", stage.replica(C).status());
    assert!((1..=10).all(|number| stage.replica(C).applied(key(1, number))));
    let primary = stage.primary().expect("a primary");
    assert_eq!(stage.replica(primary).status().synced, [A, B, C]);
}

#[test]
fn who_is_synced_is_what_members_acknowledged() {
    let mut stage = Stage::settled(3);
    assert_eq!(stage.replica(A).status().synced, [A, B, C]);
    assert_eq!(stage.replica(B).status().synced, [], "a follower knows of nobody");
    stage.crash(C);
    stage.ask(A, post(1, 1));
    stage.run(100);
    assert_eq!(stage.replica(A).status().synced, [A, B, C], "nothing is acknowledged that C lacks");
    stage.run(8_000);
    assert_eq!(stage.replica(A).status().synced, [A, B]);
}

/// What a replica keeps and says follows the replica set, not the directory; and still two groups of which
/// nobody ever heard of the other meet.
#[test]
fn a_large_directory_costs_little_and_parts_nobody() {
    let mut stage = Stage::with_spares(2, 60, |_| {});
    let others = [NodeId(58), NodeId(59)];
    for node in others {
        let seat = &mut stage.seats[node.index()];
        let mut config = (*seat.config).clone();
        config.replica_set = others.to_vec();
        seat.config = std::rc::Rc::new(config);
    }
    assert!(stage.replica(A).peers.len() <= 2);
    stage.flights.clear();
    let beacons = |stage: &Stage| stage.flights.iter().filter(|flight| flight.message.name() == "Beacon").count();
    let mut most = 0;
    for _ in 0..600 {
        stage.run(10);
        most = most.max(beacons(&stage));
    }
    assert!((2..=10).contains(&most), "{most} beacons at once");
    for node in others {
        stage.boot(node);
    }
    stage.run(60_000);
    assert!(stage.legitimate(&[A, B, others[0], others[1]]), "{:#?}", stage.replica(A).status());
}
