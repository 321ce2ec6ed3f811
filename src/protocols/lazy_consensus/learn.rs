//! Catching up: from decisions that others keep, from an image of the state, and from nothing.
//!
//! # A lost disk
//!
//! A process X whose disk was lost may have adopted a value, or left a round, in an instance that is not decided.
//! It must not take part in that instance again. Which one that was it has forgotten; but it can bound it.
//!
//! Call *current* the instance after the last one that a process knows to be decided. A process takes part in its
//! current instance only, so if X took part in instance j, then j - 1 was decided, and a majority had adopted in
//! j - 1. X asks everybody else for their current instance, under a new nonce, until a majority of the group, X
//! not counted, has answered. One of them, Y, adopted in j - 1, so Y's current instance is at least j - 1. Let M
//! be the largest answer: then j <= M + 1. So X learns what the others decide, and takes part again
//! from instance M + 2 on, once all before it are decided, and the state after them is on its disk.
//!
//! The answers count although those who give them may have lost their disks before: they answer only once they
//! take part again, and then their current instance is beyond all in which they ever took part, by the same
//! argument. If M + 1 would wait for requests, the coordinator runs an empty instance to let X in.
//!
//! Until then X is silent, so everybody else suspects it, and skips the rounds that it would coordinate.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Config, Cx, Image, Message, Record, Replica, Value, Vote};
use crate::id::NodeId;
use crate::machine::Note;
use crate::protocols::store::Store;

/// Decisions in one message.
const WINDOW: usize = 1_000;

/// A process without its disk, on its way back.
#[derive(Clone, Debug)]
pub struct Learner {
    /// Tells answers to this start's questions apart.
    nonce: u64,
    current: BTreeMap<NodeId, u64>,
    /// The state is being written: then it takes part.
    joining: bool,
}

impl Learner {
    pub const fn new(nonce: u64) -> Self {
        Self { nonce, current: BTreeMap::new(), joining: false }
    }

    /// The first instance that it may take part in, if enough have answered.
    fn joins(&self, majority: usize) -> Option<u64> {
        let largest = self.current.values().max().filter(|_| self.current.len() >= majority);
        largest.map(|largest| largest + 2)
    }
}

/// What a disk holds.
pub struct Durable {
    pub image: Image,
    pub round: u64,
    pub estimate: Option<Rc<Value>>,
    pub adopted: u64,
}

impl Durable {
    fn decide(&mut self, value: &Value) {
        value.updates.iter().for_each(|update| self.image.store.record(update));
        self.image.decided += 1;
        (self.image.epoch, self.image.proposer) = (value.epoch, value.proposer);
        (self.round, self.estimate, self.adopted) = (1, None, 0);
    }

    /// A record of an instance: the one before it was decided.
    fn enter(&mut self, instance: u64, round: u64) -> Result<(), String> {
        if instance == self.image.decided + 2 {
            let value = self.estimate.take().ok_or("an instance follows one without an estimate")?;
            self.decide(&value);
        }
        if instance != self.image.decided + 1 {
            return Err(format!("a record of instance {instance} after {} decisions", self.image.decided));
        }
        self.round = round;
        Ok(())
    }
}

/// Reads the log of a process.
pub fn read(config: &Config, log: &[Record]) -> Result<Durable, String> {
    let image = Image { store: Store::default(), decided: 0, epoch: 1, proposer: config.group.members[0] };
    let mut durable = Durable { image, round: 1, estimate: None, adopted: 0 };
    for record in log {
        match record {
            Record::Installed => {}
            Record::Round { instance, round } => durable.enter(*instance, *round)?,
            Record::Adopted { instance, round, value } => {
                durable.enter(*instance, *round)?;
                (durable.estimate, durable.adopted) = (Some(value.clone()), *round);
            }
            Record::Learnt { base, values } => {
                if *base == durable.image.decided + 1 {
                    durable.enter(base + 1, 1)?;
                }
                if *base != durable.image.decided {
                    return Err(format!("decisions after {base}, where {} are known", durable.image.decided));
                }
                values.iter().for_each(|value| durable.decide(value));
            }
            Record::Checkpoint { image, round, estimate, adopted } => {
                durable =
                    Durable { image: (**image).clone(), round: *round, estimate: estimate.clone(), adopted: *adopted };
            }
        }
    }
    Ok(durable)
}

impl Replica {
    /// At each heartbeat: asks for decisions that others have, and that do not come by themselves.
    pub(super) fn catch_up(&mut self, cx: &mut Cx<'_>) {
        let stands_still = std::mem::replace(&mut self.decided_at_beat, self.decided) == self.decided;
        if stands_still && let Some(node) = self.detector.ahead_of(self.decided, cx.now) {
            self.ask(node, cx);
        }
    }

    /// Asks for decisions, unless an answer is on its way.
    pub(super) fn ask(&mut self, node: NodeId, cx: &mut Cx<'_>) {
        if self.asked.is_none_or(|at| cx.now.since(at) >= self.config.patience()) {
            self.asked = Some(cx.now);
            cx.send(node, Message::Want { decided: self.decided });
        }
    }

    pub(super) fn tell_decisions(&self, to: NodeId, decided: u64, cx: &mut Cx<'_>) {
        if decided >= self.decided || self.learner.is_some() {
            return;
        }
        let lacks = self.decided - decided;
        cx.send(
            to,
            match self.recent.len().checked_sub(lacks as usize) {
                Some(from) => {
                    let values = self.recent.iter().skip(from).take(WINDOW).cloned().collect();
                    Message::Decisions { base: decided, values }
                }
                None => Message::State { image: Rc::new(self.image()) },
            },
        );
    }

    fn image(&self) -> Image {
        Image { store: self.store.image(), decided: self.decided, epoch: self.epoch, proposer: self.proposer }
    }

    pub(super) fn decisions(&mut self, from: NodeId, base: u64, values: &[Rc<Value>], cx: &mut Cx<'_>) {
        self.detector.is_at(from, base + values.len() as u64, 1);
        let Some(known) = self.decided.checked_sub(base) else { return };
        let Some(new) = values.get(known as usize..).filter(|new| !new.is_empty()) else { return };
        self.asked = None;
        if self.learner.is_none() {
            self.write(Record::Learnt { base: self.decided, values: new.to_vec() }, None, cx);
        }
        for value in new {
            self.decide(value, 0, cx);
        }
        // Not before: an image would take the place of the record above.
        self.take_image(cx);
        if let Some(node) = self.detector.ahead_of(self.decided, cx.now) {
            self.ask(node, cx);
        }
        self.try_to_join(cx);
    }

    /// The state of who is further, whole.
    pub(super) fn install(&mut self, image: &Rc<Image>, cx: &mut Cx<'_>) {
        if image.decided <= self.decided {
            return;
        }
        self.asked = None;
        self.store = image.store.clone();
        (self.decided, self.epoch, self.proposer) = (image.decided, image.epoch, image.proposer);
        self.recent.clear();
        self.next_instance();
        // Whether what is in hand took effect is not told.
        self.release(cx);
        if self.learner.is_none() {
            self.checkpoint(None, cx);
        }
        self.try_to_join(cx);
    }

    pub(super) fn take_image(&mut self, cx: &mut Cx<'_>) {
        if self.since_image >= self.config.options.snapshot_entries && self.learner.is_none() {
            self.checkpoint(None, cx);
        }
    }

    fn checkpoint(&mut self, vote: Option<Vote>, cx: &mut Cx<'_>) {
        self.since_image = 0;
        let (round, estimate, adopted) = (self.round, self.estimate.clone(), self.adopted);
        let record = Record::Checkpoint { image: Rc::new(self.image()), round, estimate, adopted };
        self.write(record, vote, cx);
        cx.note(Note::Compacted { floor: self.decided });
    }

    /// From who lost its disk.
    pub(super) fn lost(&mut self, from: NodeId, nonce: u64, joins: Option<u64>, cx: &mut Cx<'_>) {
        if self.learner.is_some() {
            return;
        }
        cx.send(from, Message::Instance { nonce, instance: self.instance() });
        self.nudged |= joins.is_some_and(|joins| self.instance() < joins);
    }

    pub(super) fn told_instance(&mut self, from: NodeId, nonce: u64, instance: u64) {
        if let Some(learner) = self.learner.as_mut().filter(|learner| learner.nonce == nonce) {
            learner.current.entry(from).or_insert(instance);
        }
    }

    /// At each heartbeat of who lost its disk.
    pub(super) fn ask_to_join(&mut self, cx: &mut Cx<'_>) {
        self.try_to_join(cx);
        let Some(learner) = &self.learner else { return };
        let (nonce, joins) = (learner.nonce, learner.joins(self.config.group.majority()));
        for node in self.config.group.others() {
            cx.send(node, Message::Lost { nonce, joins });
        }
    }

    /// Everything before the instance in which it may take part again is decided: it does, once the state is on
    /// its disk.
    fn try_to_join(&mut self, cx: &mut Cx<'_>) {
        let (instance, majority) = (self.instance(), self.config.group.majority());
        let Some(learner) = &mut self.learner else { return };
        if !learner.joining && learner.joins(majority).is_some_and(|joins| joins <= instance) {
            learner.joining = true;
            self.checkpoint(Some(Vote::Joined), cx);
        }
    }

    pub(super) fn joined(&mut self, cx: &mut Cx<'_>) {
        self.learner = None;
        cx.note(Note::Follows(self.proposer));
        // More may have been decided since the state was written.
        self.checkpoint(None, cx);
        self.say_alive(cx);
    }
}
