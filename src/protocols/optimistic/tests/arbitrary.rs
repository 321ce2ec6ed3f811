//! Arbitrary states: nothing that a transient fault writes makes a replica panic, and all of it is corrected.

use super::super::{Replica, Timer};
use super::stage::*;
use crate::id::NodeId;
use crate::machine::{Corrupt, Input, Machine, Note, WriteId};
use crate::op::Op;
use crate::rng::Stream;
use crate::time::{Duration, LocalTime};

const WHAT: [Corrupt; 3] = [Corrupt::Volatile, Corrupt::Log, Corrupt::All];

fn busy(seed: u64, count: u32, stream: &mut Stream) -> Stage {
    let mut stage = Stage::settled_with(count, |options| {
        options.epoch_max = if seed.is_multiple_of(2) { 8 } else { 1 << 63 };
        options.merge = super::merge::POLICIES[(seed % 5) as usize];
    });
    let primary = stage.primary().expect("a primary");
    for number in 1..=stream.below(30) as u32 {
        stage.ask(primary, post(1, number));
        stage.run(stream.below(50));
    }
    stage
}

/// Overwrites what the model of a corrupted replica leaves out.
fn scramble(replica: &mut Replica, stream: &mut Stream) {
    let time = |stream: &mut Stream| LocalTime::from_nanos(stream.bits());
    replica.booted = time(stream);
    replica.last_tick = time(stream);
    replica.ticks = if stream.chance(0.5) { u64::MAX } else { stream.bits() };
    replica.scrubbed = stream.bits();
    replica.acknowledged = replica.view_id().filter(|_| stream.chance(0.5));
    for known in replica.peers.values_mut() {
        known.fetching = Some(time(stream));
        known.probe = stream.bits();
        if stream.chance(0.3) {
            known.former = Some((known.incarnation, time(stream)));
            known.incarnation = stream.bits();
        }
        if stream.chance(0.3) {
            known.branch = None;
        }
    }
}

fn random_input(stage: &Stage, node: NodeId, stream: &mut Stream) -> Input<Replica> {
    match stream.below(8) {
        0 => Input::Timeout(Timer::Tick),
        1 => Input::Timeout(Timer::Change),
        2 => Input::Timeout(Timer::Retransmit),
        3 => Input::Written(WriteId(stream.below(100))),
        4 => Input::Request { id: crate::machine::RequestId(stream.bits()), request: random_request(stream) },
        5 => Input::Acknowledged { write: key(stream.below(3) as u32, stream.below(5) as u32) },
        6 if stream.chance(0.2) => Input::Reconfigure((0..4).map(NodeId).filter(|_| stream.chance(0.6)).collect()),
        _ => match stage.flights.len() {
            0 => Input::Timeout(Timer::Tick),
            count => {
                let flight = &stage.flights[stream.below(count as u64) as usize];
                let mut message = flight.message.clone();
                if stream.chance(0.5) {
                    Replica::corrupt_message(&mut message, stream);
                }
                let from = if flight.from == node { flight.to } else { flight.from };
                Input::Message { from, message }
            }
        },
    }
}

fn random_request(stream: &mut Stream) -> crate::op::Request {
    let (client, number, at) = (stream.below(3) as u32, 1 + stream.below(40) as u32, stream.below(4) as u32);
    match stream.below(3) {
        0 => read(
            client,
            at,
            stream.chance(0.5).then(|| crate::op::Tip { length: stream.below(50), hash: stream.bits() }),
        ),
        1 => put(client, number, at, stream.below(5)),
        _ => write(client, number, Op::CompareAndSwap { key: at, expect: stream.below(5), value: value(1) }),
    }
}

#[test]
fn no_state_and_no_message_makes_a_replica_panic() {
    for seed in 0..3_000 {
        let mut stream = Stream::new(seed, "arbitrary steps", &[]);
        // Sixty seeds share one beginning.
        let mut stage = busy(seed / 60, 3, &mut Stream::new(seed / 60, "arbitrary stage", &[]));
        for _ in 0..20 {
            let node = NodeId(stream.below(3) as u32);
            if stream.chance(0.3) {
                let what = WHAT[stream.below(3) as usize];
                stage.replica_mut(node).corrupt(what, &mut stream);
                scramble(stage.replica_mut(node), &mut stream);
            }
            let input = random_input(&stage, node, &mut stream);
            stage.step(node, input);
            let status = stage.replica(node).status();
            assert_eq!(status.serving, stage.replica(node).serving());
            if stream.chance(0.3) {
                stage.run(stream.below(600));
            }
        }
    }
}

/// Everything is overwritten on every node, and messages in flight too; some nodes are down.
#[test]
fn an_arbitrary_state_becomes_legitimate() {
    for seed in 0..300 {
        let mut stream = Stream::new(seed, "arbitrary state", &[]);
        let count = 2 + stream.below(4) as u32;
        let mut stage = busy(seed, count, &mut stream);
        let down = NodeId(stream.below(u64::from(count)) as u32);
        let some_down = stream.chance(0.4);
        if some_down {
            stage.crash(down);
        }
        let up: Vec<NodeId> = stage.nodes().into_iter().filter(|&node| !some_down || node != down).collect();
        for &node in &up {
            let what = WHAT[stream.below(3) as usize];
            stage.replica_mut(node).corrupt(what, &mut stream);
            scramble(stage.replica_mut(node), &mut stream);
        }
        for flight in &mut stage.flights {
            if stream.chance(0.5) {
                Replica::corrupt_message(&mut flight.message, &mut stream);
            }
        }
        // A node may be held down for T_hold, and again when it is blamed for what the fault made it do.
        let start = stage.now;
        while !stage.legitimate(&up) && stage.now.since(start) < Duration::from_secs(100) {
            stage.run(500);
        }
        assert!(stage.legitimate(&up), "seed {seed}: {:#?}", statuses(&stage, &up));
        stays_legitimate(&mut stage, &up, seed);
    }
}

fn statuses(stage: &Stage, up: &[NodeId]) -> Vec<crate::machine::Status> {
    up.iter().map(|&node| stage.replica(node).status()).collect()
}

/// No view is installed after that, unless a new suspicion follows; and writes are acknowledged.
fn stays_legitimate(stage: &mut Stage, up: &[NodeId], seed: u64) {
    let primary = stage.primary().expect("a primary");
    // What is still on its way from before may be refused once more, and a member that a scrub or an old
    // claim makes fail may be held down once more, for T_hold at most.
    stage.run(36_000);
    stage.notes.clear();
    let asked = stage.ask(primary, crate::op::Request { fresh: true, ..post(77, 1) });
    stage.run(20_000);
    assert!(stage.is_done(asked), "seed {seed}: {:?}", stage.outcome(asked));
    let views = stage.noted(|_, note| matches!(note, Note::Installed { .. }));
    let suspicions = stage.noted(|_, note| matches!(note, Note::Suspected(_)));
    assert!(views == 0 || suspicions > 0, "seed {seed}: {:#?}", stage.notes);
    assert!(stage.legitimate(up), "seed {seed}: {:#?}", statuses(stage, up));
}
