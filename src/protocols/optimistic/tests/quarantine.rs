//! Writes that a bad link cut off are accounted for.

use std::rc::Rc;

use super::super::entry::{Data, Why};
use super::super::{Replica, record};
use super::stage::*;
use crate::id::NodeId;
use crate::machine::Machine;

/// Overwrites an entry so that nobody can read it.
fn spoil(stage: &mut Stage, node: NodeId, at: u64) {
    let (chain, _) = stage.replica_mut(node).log.parts_mut();
    let offset = (at - chain.base.tip.length - 1) as usize;
    let mut entry = (*chain.entries[offset]).clone();
    let Data::Op(executed) = &mut entry.data else { panic!("no write at {at}") };
    executed.cell.digest ^= 1;
    chain.entries[offset] = Rc::new(entry);
}

fn spoil_the_name(stage: &mut Stage, node: NodeId, at: u64) {
    let (chain, _) = stage.replica_mut(node).log.parts_mut();
    let offset = (at - chain.base.tip.length - 1) as usize;
    let mut entry = (*chain.entries[offset]).clone();
    entry.hash ^= 1;
    chain.entries[offset] = Rc::new(entry);
}

/// A stage with ten acknowledged writes, and the position of the first.
fn busy(count: u32) -> (Stage, u64) {
    let mut stage = Stage::settled(count);
    let first = stage.replica(A).tip().length + 1;
    for number in 1..=10 {
        let asked = stage.ask(A, post(1, number));
        stage.run(100);
        assert!(stage.is_done(asked));
    }
    (stage, first)
}

fn journaled(stage: &Stage, node: NodeId) -> Vec<u32> {
    (1..=10).filter(|&number| stage.replica(node).journaled(key(1, number))).collect()
}

#[test]
fn what_every_log_lost_is_journaled_and_its_clients_are_told() {
    // The name alone leaves the content readable, since the next entry names it too.
    type Spoil = fn(&mut Stage, NodeId, u64);
    for (spoil, from) in [(spoil as Spoil, 6), (spoil_the_name as Spoil, 5)] {
        let (mut stage, first) = busy(3);
        for node in stage.nodes() {
            spoil(&mut stage, node, first + 4);
        }
        stage.run(20_000);
        assert!(stage.legitimate(&stage.nodes()));
        let lost: Vec<u32> = (from..=10).collect();
        for node in stage.nodes() {
            assert_eq!(journaled(&stage, node), lost);
            assert!((1..5).all(|number| stage.replica(node).applied(key(1, number))));
            assert!(stage.replica(node).aside.is_empty(), "accounted for");
        }
        assert!(lost.iter().all(|&number| stage.told.contains(&key(1, number))));
        let mut journal = stage.replica(B).log.state().journal();
        assert!(journal.all(|one| one.why == Why::Cut));
    }
}

#[test]
fn what_a_member_still_holds_is_not_revoked() {
    let (mut stage, first) = busy(3);
    for node in [A, C] {
        spoil(&mut stage, node, first + 4);
    }
    stage.run(20_000);
    assert!(stage.legitimate(&stage.nodes()));
    for node in stage.nodes() {
        assert!(journaled(&stage, node).is_empty());
        assert!((1..=10).all(|number| stage.replica(node).applied(key(1, number))));
        assert!(stage.replica(node).aside.is_empty());
    }
}

/// One that is away may hold them: until it is back nothing is said. A restart does not forget them.
#[test]
fn it_waits_for_whoever_is_absent() {
    let (mut stage, first) = busy(3);
    stage.crash(C);
    stage.run(6_000);
    for node in [A, B] {
        spoil(&mut stage, node, first + 4);
    }
    stage.run(10_000);
    assert!(stage.legitimate(&[A, B]));
    assert_eq!((journaled(&stage, A), stage.replica(A).aside.len()), (vec![], 5));
    let kept = Replica::inventory_of(&stage.seats[A.index()].config, &stage.seats[A.index()].records);
    assert!(kept.journaled.contains(key(1, 10)), "on the disk too");
    for node in [A, B] {
        stage.crash(node);
        stage.boot(node);
    }
    stage.run(6_000);
    assert_eq!(stage.replica(A).aside.len(), 5);
    stage.boot(C);
    stage.run(12_000);
    assert!(stage.legitimate(&stage.nodes()));
    for node in stage.nodes() {
        assert!((1..=10).all(|number| stage.replica(node).applied(key(1, number))), "it brought them");
        assert!(journaled(&stage, node).is_empty());
    }
    assert_eq!(
        record::read(&stage.seats[A.index()].config, &stage.seats[A.index()].records).log.tip(),
        stage.replica(A).tip()
    );
}
