//! The physical world of a run as it was at any instant: faults, processes, and who could reach whom.

use crate::id::NodeId;
use crate::run::tape::{FaultTold, Happened, Tape};
use crate::time::SimTime;
use crate::world::fault::{Action, Endpoint};

/// A fault, from its beginning to its end.
#[derive(Clone, Debug)]
pub struct FaultSpan {
    pub told: FaultTold,
    pub began: SimTime,
    /// `None`: it lasted to the end of the run.
    pub ended: Option<SimTime>,
    /// Links that a narrowed `heal` took out of it, and when.
    healed: Vec<(SimTime, Vec<Endpoint>, Vec<Endpoint>)>,
}

impl FaultSpan {
    pub fn is_active(&self, at: SimTime) -> bool {
        self.began <= at && self.ended.is_none_or(|ended| at < ended)
    }

    /// Whether it is over as soon as it has begun.
    pub fn is_instant(&self) -> bool {
        self.ended == Some(self.began)
    }

    /// Whether it lets nothing pass from one end to the other.
    fn cuts(&self, from: Endpoint, to: Endpoint, at: SimTime) -> bool {
        let between = |a: &[Endpoint], b: &[Endpoint]| {
            (a.contains(&from) && b.contains(&to)) || (b.contains(&from) && a.contains(&to))
        };
        let covers = match &self.told.action {
            Action::Partition { groups } => {
                let of = |end: &Endpoint| groups.iter().position(|group| group.contains(end));
                matches!((of(&from), of(&to)), (Some(a), Some(b)) if a != b)
            }
            Action::Cut { from: a, to: b, one_way: true } => a.contains(&from) && b.contains(&to),
            Action::Cut { from: a, to: b, one_way: false } => between(a, b),
            Action::Flap { between: (a, b), up, down } => {
                let round = (up.as_nanos() + down.as_nanos()).max(1);
                between(a, b) && at.since(self.began).as_nanos() % round < down.as_nanos()
            }
            _ => false,
        };
        covers && !self.healed.iter().any(|(healed, a, b)| *healed <= at && between(a, b))
    }

    /// Whether it slows, loses or delays messages between the two without cutting them off.
    fn degrades(&self, from: Endpoint, to: Endpoint) -> bool {
        match &self.told.action {
            Action::Degrade { between: (a, b), .. } => {
                (a.contains(&from) && b.contains(&to)) || (b.contains(&from) && a.contains(&to))
            }
            _ => false,
        }
    }
}

/// What a machine's process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    Up,
    Down,
    Paused,
}

/// Faults and processes of a run, for any instant.
#[derive(Debug)]
pub struct Scene {
    /// In the order in which they began.
    pub faults: Vec<FaultSpan>,
    /// By node: changes in order of time.
    lives: Vec<Vec<(SimTime, Life)>>,
}

impl Scene {
    pub fn new(nodes: usize, tape: &Tape) -> Self {
        let mut scene = Self { faults: Vec::new(), lives: vec![Vec::new(); nodes] };
        for moment in &tape.moments {
            let at = moment.at;
            match &moment.what {
                Happened::Fault(told) if told.begins => scene.begins(at, told),
                Happened::Fault(told) => scene.ends(at, told),
                Happened::Booted(node) | Happened::Resumed(node) => scene.lives[node.index()].push((at, Life::Up)),
                Happened::Crashed(node) => scene.lives[node.index()].push((at, Life::Down)),
                Happened::Paused(node) => scene.lives[node.index()].push((at, Life::Paused)),
                _ => {}
            }
        }
        scene
    }

    fn begins(&mut self, at: SimTime, told: &FaultTold) {
        if let Action::Heal { between: Some((a, b)) } = &told.action {
            for fault in self.faults.iter_mut().filter(|fault| fault.ended.is_none()) {
                fault.healed.push((at, a.clone(), b.clone()));
            }
        }
        let instant = match &told.action {
            Action::Restart { .. } | Action::Heal { .. } | Action::Corrupt { .. } => true,
            Action::Clock { drift_ppm, .. } => *drift_ppm == 0.0,
            _ => false,
        };
        let ended = instant.then_some(at);
        self.faults.push(FaultSpan { told: told.clone(), began: at, ended, healed: Vec::new() });
    }

    fn ends(&mut self, at: SimTime, told: &FaultTold) {
        let same = |fault: &&mut FaultSpan| {
            (fault.told.index, &fault.told.label) == (told.index, &told.label) && fault.ended.is_none()
        };
        if let Some(fault) = self.faults.iter_mut().rev().find(same) {
            fault.ended = Some(at);
        }
    }

    /// What the process of a machine does at an instant, and since when.
    pub fn life(&self, node: NodeId, at: SimTime) -> (Life, SimTime) {
        let changes = self.lives.get(node.index()).map_or(&[][..], Vec::as_slice);
        let after = changes.partition_point(|&(changed, _)| changed <= at);
        after.checked_sub(1).map_or((Life::Down, SimTime::ZERO), |last| (changes[last].1, changes[last].0))
    }

    pub fn runs(&self, node: NodeId, at: SimTime) -> bool {
        self.life(node, at).0 == Life::Up
    }

    /// Changes of a machine's process after `from`, up to and including `to`.
    pub fn changes(&self, node: NodeId, from: SimTime, to: SimTime) -> impl Iterator<Item = (SimTime, Life)> {
        let changes = self.lives.get(node.index()).map_or(&[][..], Vec::as_slice);
        changes.iter().copied().filter(move |&(at, _)| from < at && at <= to)
    }

    /// The faults that keep a machine down or paused: those of its kind that had hit it by then.
    pub fn holding(&self, node: NodeId, at: SimTime) -> Vec<usize> {
        let holds = |fault: &FaultSpan| {
            matches!(fault.told.action, Action::Crash { .. } | Action::Pause { .. })
                && fault.told.nodes.contains(&node)
                && fault.is_active(at)
        };
        (0..self.faults.len()).filter(|&index| holds(&self.faults[index])).collect()
    }

    /// The faults that cut what one end sends to another.
    pub fn cutting(&self, from: Endpoint, to: Endpoint, at: SimTime) -> Vec<usize> {
        let cuts = |fault: &FaultSpan| fault.is_active(at) && fault.cuts(from, to, at);
        (0..self.faults.len()).filter(|&index| cuts(&self.faults[index])).collect()
    }

    /// The faults that make what one end sends to another late, or lose some of it.
    pub fn degrading(&self, from: Endpoint, to: Endpoint, at: SimTime) -> Vec<usize> {
        let harms = |fault: &FaultSpan| fault.is_active(at) && fault.degrades(from, to);
        (0..self.faults.len()).filter(|&index| harms(&self.faults[index])).collect()
    }

    /// The faults that slow a machine down.
    pub fn slowing(&self, node: NodeId, at: SimTime) -> Vec<usize> {
        let slows = |fault: &FaultSpan| {
            matches!(fault.told.action, Action::Slow { .. }) && fault.told.nodes.contains(&node) && fault.is_active(at)
        };
        (0..self.faults.len()).filter(|&index| slows(&self.faults[index])).collect()
    }

    /// The faults that overwrote the state of a machine in a span, its ends included.
    pub fn corrupting(&self, node: NodeId, from: SimTime, to: SimTime) -> Vec<usize> {
        let corrupts = |fault: &FaultSpan| {
            matches!(fault.told.action, Action::Corrupt { .. })
                && !fault.told.unsupported
                && fault.told.nodes.contains(&node)
                && from <= fault.began
                && fault.began <= to
        };
        (0..self.faults.len()).filter(|&index| corrupts(&self.faults[index])).collect()
    }

    pub fn open(&self, from: Endpoint, to: Endpoint, at: SimTime) -> bool {
        self.cutting(from, to, at).is_empty()
    }

    /// Both run, and messages pass both ways.
    pub fn connected(&self, a: NodeId, b: NodeId, at: SimTime) -> bool {
        let (one, other) = (Endpoint::Node(a), Endpoint::Node(b));
        self.runs(a, at) && self.runs(b, at) && (a == b || self.open(one, other, at) && self.open(other, one, at))
    }

    /// Those of `among` that a machine can talk with, itself included.
    pub fn reach(&self, node: NodeId, among: &[NodeId], at: SimTime) -> Vec<NodeId> {
        among.iter().copied().filter(|&other| self.connected(node, other, at)).collect()
    }
}
