//! Everything at once, on a stage where each moment is known: cuts, crashes, newcomers on empty disks, sets of
//! replicas that are asked for on any side of a split, and replicas that are erased once they know that they were
//! taken out. Nothing that was acknowledged may be lost, since no disk is lost but those.

use super::super::options::{MergePolicy, ReadLevel};
use super::stage::*;
use crate::id::NodeId;
use crate::machine::{Input, Machine, RequestId};
use crate::op::{Outcome, WriteKey};
use crate::rng::Stream;

const NODES: u64 = 8;

struct Drill {
    stage: Stage,
    stream: Stream,
    asked: Vec<(RequestId, WriteKey)>,
    started: usize,
    erased: usize,
}

impl Drill {
    fn new(seed: u64) -> Self {
        let mut stream = Stream::new(seed, "optimistic migrations", &[]);
        let small = stream.chance(0.5);
        let stage = Stage::with_spares(3, NODES as u32, |options| {
            options.merge = MergePolicy::Replay;
            options.reads = ReadLevel::Session;
            options.sync_limit = if small { 3 } else { 4_000 };
        });
        Self { stage, stream, asked: Vec::new(), started: 0, erased: 0 }
    }

    fn node(&mut self) -> NodeId {
        NodeId(self.stream.below(NODES) as u32)
    }

    fn runs(&self, node: NodeId) -> bool {
        self.stage.seats[node.index()].machine.is_some()
    }

    /// Holds a replica, running or not.
    fn houses(&self, node: NodeId) -> bool {
        self.runs(node) || !self.stage.seats[node.index()].records.is_empty()
    }

    /// One of those who believe that they serve.
    fn a_primary(&mut self) -> Option<NodeId> {
        let serves = |node: &NodeId| self.runs(*node) && self.stage.replica(*node).serving();
        let all: Vec<NodeId> = self.stage.nodes().into_iter().filter(serves).collect();
        (!all.is_empty()).then(|| all[self.stream.below(all.len() as u64) as usize])
    }

    fn write(&mut self, at: NodeId) {
        let client = self.asked.len() as u32;
        let request = post(client, 1);
        let id = self.stage.ask(at, request);
        self.asked.push((id, request.write_key()));
    }

    fn recruit(&mut self, newcomer: NodeId) {
        let Some(primary) = self.a_primary().filter(|_| !self.houses(newcomer)) else { return };
        let mut set = self.stage.replica(primary).status().replica_set;
        self.stage.start(newcomer, &set);
        self.started += 1;
        set.retain(|&node| node != newcomer);
        set.push(newcomer);
        if self.stream.chance(0.5) {
            self.stream.shuffle(&mut set);
        }
        if self.stream.chance(0.3) {
            set.pop();
        }
        self.stage.step(primary, Input::Reconfigure(set));
    }

    fn erase(&mut self, node: NodeId) {
        if !self.runs(node) {
            return;
        }
        if self.stage.replica(node).status().released {
            self.stage.stop(node);
            self.erased += 1;
        }
    }

    fn reconfigure(&mut self) {
        let Some(primary) = self.a_primary() else { return };
        let mut set = self.stage.replica(primary).status().replica_set;
        self.stream.shuffle(&mut set);
        set.truncate(1 + self.stream.below(4) as usize);
        self.stage.step(primary, Input::Reconfigure(set));
    }

    fn step(&mut self) {
        let (a, b) = (self.node(), self.node());
        match self.stream.below(20) {
            0 if a != b => self.stage.isolate(&[a], &[b]),
            1 if a != b => _ = self.stage.cut.insert((a, b)),
            2 => {
                let side: Vec<NodeId> = self.stage.nodes().into_iter().filter(|_| self.stream.chance(0.5)).collect();
                let other: Vec<NodeId> = self.stage.nodes().into_iter().filter(|node| !side.contains(node)).collect();
                self.stage.isolate(&side, &other);
                self.stage.run(5_000);
            }
            3 | 4 => self.stage.heal(),
            5 if self.runs(a) => self.stage.crash(a),
            6 | 7 if !self.runs(a) && self.houses(a) => self.stage.boot(a),
            8 | 9 => self.recruit(a),
            10 => self.reconfigure(),
            11 | 12 => self.erase(a),
            _ => {
                if let Some(primary) = self.a_primary() {
                    self.write(primary);
                }
                let millis = [1, 15, 60, 500, 4_000][self.stream.below(5) as usize];
                self.stage.run(millis);
            }
        }
    }

    /// All is well again: one primary leads a view of its whole replica set, and holds every acknowledged write.
    fn end(&mut self) -> Result<(), String> {
        self.stage.heal();
        for node in self.stage.nodes() {
            if self.houses(node) && !self.runs(node) {
                self.stage.boot(node);
            }
        }
        self.stage.run(90_000);
        let primary = self.stage.primary().ok_or("nobody serves")?;
        self.write(primary);
        self.stage.run(1_000);
        let status = self.stage.replica(primary).status();
        let mut set = status.replica_set.clone();
        set.retain(|&node| self.houses(node));
        set.sort_unstable();
        if !self.stage.legitimate(&set) {
            return Err(format!("no legitimate view of {set:?}, but {status:?}"));
        }
        let replica = self.stage.replica(primary);
        let held = |key: WriteKey| replica.applied(key) || replica.journaled(key);
        let done = |id| matches!(self.stage.outcome(id), Some(Outcome::Done(_)));
        match self.asked.iter().find(|&&(id, key)| done(id) && !held(key)) {
            Some((_, key)) => Err(format!("{key:?} was acknowledged, and is lost")),
            None if !self.asked.last().is_some_and(|&(id, _)| done(id)) => Err(format!("it is stuck: {status:?}")),
            None => Ok(()),
        }
    }
}

#[test]
fn replicas_come_and_go_and_nothing_is_lost() {
    let full = std::env::var("FIREDRILL_SWEEP").is_ok_and(|sweep| sweep == "full");
    let one = std::env::var("FIREDRILL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds: Vec<u64> = one.map_or_else(|| (0..if full { 2_000 } else { 100 }).collect(), |seed| vec![seed]);
    let (mut started, mut erased, mut done, mut wrong) = (0, 0, 0, Vec::new());
    for &seed in &seeds {
        let mut drill = Drill::new(seed);
        (0..200).for_each(|_| drill.step());
        if let Err(what) = drill.end() {
            wrong.push(format!("seed {seed}: {what}"));
        }
        started += drill.started;
        erased += drill.erased;
        done += drill.stage.replies.iter().filter(|(.., outcome)| matches!(outcome, Outcome::Done(_))).count();
    }
    println!("{started} newcomers, {erased} erased, {done} writes acknowledged");
    assert!(wrong.is_empty(), "{} of {} seeds:\n{}", wrong.len(), seeds.len(), wrong.join("\n"));
    assert!(one.is_some() || (started > 3 * seeds.len() && erased > seeds.len() / 2 && done > 10 * seeds.len()));
}
