//! The log of operations, its checkpoint, and what a disk holds of both.

use std::collections::VecDeque;
use std::rc::Rc;

use super::message::{Record, View};
use crate::hash;
use crate::id::{ClientId, NodeId};
use crate::protocols::store::{Command, Store};

/// The replicas of an epoch (section 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    pub epoch: u64,
    /// In the order in which they become primary.
    pub members: Vec<NodeId>,
    /// The op-number of the reconfiguration that ended the epoch before.
    pub start: u64,
    /// The view in which it was ordered. Who has the same operation has the same log before it.
    pub ordered: View,
}

impl Configuration {
    pub fn primary(&self, view: View) -> NodeId {
        self.members[(view.number % self.members.len() as u64) as usize]
    }
    pub fn has(&self, node: NodeId) -> bool {
        self.members.contains(&node)
    }
    /// f + 1 of 2f + 1.
    pub fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }
    /// How many replicas may fail.
    pub fn f(&self) -> usize {
        self.members.len() - self.majority()
    }
    pub fn others(&self, me: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.members.iter().copied().filter(move |&node| node != me)
    }
}

/// The configuration of this epoch and of the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epochs {
    pub current: Rc<Configuration>,
    pub previous: Rc<Configuration>,
}

impl Epochs {
    pub fn first(members: Vec<NodeId>) -> Self {
        let first = Rc::new(Configuration { epoch: 0, members, start: 0, ordered: View::default() });
        Self { current: first.clone(), previous: first }
    }
    /// Replicas of the epoch before that are not in this one.
    pub fn replaced(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.previous.members.iter().copied().filter(|&node| !self.current.has(node))
    }
    /// Replicas of this epoch that were not in the one before.
    pub fn added(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.current.members.iter().copied().filter(|&node| !self.previous.has(node))
    }
}

/// An operation of the log. Each takes one position of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Op(Command),
    /// A read, ordered like a write. It is answered by the primary that ordered it.
    Read {
        client: ClientId,
        number: u32,
    },
    /// The last operation of its epoch.
    Reconfiguration(Rc<Configuration>),
}

impl Entry {
    /// Bytes on the wire and on the disk.
    pub fn bytes(&self) -> u32 {
        match self {
            Self::Op(command) => command.bytes(),
            Self::Read { .. } => 24 + 36,
            Self::Reconfiguration(configuration) => 40 + 8 * configuration.members.len() as u32,
        }
    }
    /// Names an operation that does not change the state.
    pub fn word(&self) -> u64 {
        match self {
            Self::Op(command) => command.digest(),
            Self::Read { client, number } => hash::of([1, u64::from(client.0), u64::from(*number)]),
            Self::Reconfiguration(configuration) => hash::of([2, configuration.epoch, configuration.start]),
        }
    }
    /// Executes it in a state: what its client is told.
    pub fn apply(&self, store: &mut Store) -> Option<crate::op::Answer> {
        match self {
            Self::Op(command) => store.apply(*command),
            Self::Read { .. } | Self::Reconfiguration(_) => {
                store.skip(self.word());
                None
            }
        }
    }
}

/// A piece of a log, with the checkpoint that it follows if the receiver needs it.
#[derive(Clone, Debug)]
pub struct Part {
    /// The state at `after`.
    pub image: Option<Rc<Store>>,
    pub after: u64,
    pub entries: Rc<[Entry]>,
}

impl Part {
    pub fn end(&self) -> u64 {
        self.after + self.entries.len() as u64
    }
}

/// Operations after position `base`.
#[derive(Clone, Debug, Default)]
pub struct Log {
    base: u64,
    entries: VecDeque<Entry>,
}

impl Log {
    pub const fn new(base: u64) -> Self {
        Self { base, entries: VecDeque::new() }
    }
    pub const fn base(&self) -> u64 {
        self.base
    }
    /// The op-number.
    pub fn end(&self) -> u64 {
        self.base + self.entries.len() as u64
    }
    /// The operation with this op-number.
    pub fn get(&self, op: u64) -> Option<&Entry> {
        self.entries.get(op.checked_sub(self.base + 1)? as usize)
    }
    pub fn last(&self) -> Option<&Entry> {
        self.entries.back()
    }
    pub fn push(&mut self, entry: Entry) {
        self.entries.push_back(entry);
    }
    /// Appends what of these operations, which follow position `after`, is new. How many were.
    pub fn extend(&mut self, after: u64, entries: &[Entry]) -> u64 {
        let before = self.end();
        debug_assert!(after <= before, "a hole in the log");
        let known = (before - after).min(entries.len() as u64) as usize;
        self.entries.extend(entries[known..].iter().cloned());
        self.end() - before
    }
    /// The operations after this op-number.
    pub fn after(&self, op: u64) -> Rc<[Entry]> {
        self.span(op, self.end())
    }
    /// The operations after `from` up to `to`.
    pub fn span(&self, from: u64, to: u64) -> Rc<[Entry]> {
        let at = |op: u64| (op.clamp(self.base, self.end()) - self.base) as usize;
        self.entries.range(at(from)..at(to).max(at(from))).cloned().collect()
    }
    pub fn truncate(&mut self, op: u64) {
        self.entries.truncate(op.saturating_sub(self.base) as usize);
    }
    /// Drops the prefix up to this op-number.
    pub fn drop_to(&mut self, op: u64) {
        while self.base < op && self.entries.pop_front().is_some() {
            self.base += 1;
        }
    }
    /// What a replica that has everything up to `op` lacks: operations, after a checkpoint if they are gone.
    pub fn part(&self, op: u64, checkpoint: &Rc<Store>) -> Part {
        if op >= self.base {
            // Not beyond the end: a part says where the log ends.
            return Part { image: None, after: op.min(self.end()), entries: self.after(op) };
        }
        let after = checkpoint.tip().length;
        Part { image: Some(checkpoint.clone()), after, entries: self.after(after) }
    }
}

/// What a disk holds.
#[derive(Debug)]
pub struct Disk {
    pub view: View,
    pub last_normal: View,
    /// The checkpoint, and the state after everything that is known to be committed.
    pub checkpoint: Rc<Store>,
    pub store: Store,
    pub log: Log,
    pub epochs: Epochs,
    /// Nothing happened since it was prepared for the service.
    pub fresh: bool,
}

impl Disk {
    /// As the service is installed.
    pub fn fresh(members: &[NodeId]) -> Self {
        Self {
            view: View::default(),
            last_normal: View::default(),
            checkpoint: Rc::default(),
            store: Store::default(),
            log: Log::default(),
            epochs: Epochs::first(members.to_vec()),
            fresh: true,
        }
    }

    /// From records in order of writing; `None` if the disk was lost.
    pub fn read(members: &[NodeId], records: &[Record]) -> Option<Self> {
        let mut disk = Self::fresh(members);
        let (mut installed, mut committed) = (false, 0);
        for record in records {
            match record {
                Record::Installed => installed = true,
                Record::State { view, last_normal, commit, after, entries, epochs } => {
                    disk.fresh = false;
                    (disk.view, disk.last_normal, committed) = (*view, *last_normal, *commit);
                    disk.log.truncate(*after);
                    disk.log.extend(*after, entries);
                    if let Some(epochs) = epochs {
                        disk.epochs = epochs.clone();
                    }
                }
                Record::Image { view, last_normal, store, entries, epochs } => {
                    (installed, disk.fresh) = (true, false);
                    (disk.view, disk.last_normal, committed) = (*view, *last_normal, store.tip().length);
                    (disk.checkpoint, disk.store) = (store.clone(), (**store).clone());
                    disk.log = Log::new(store.tip().length);
                    disk.log.extend(store.tip().length, entries);
                    disk.epochs = epochs.clone();
                }
            }
        }
        disk.execute_to(committed);
        installed.then_some(disk)
    }

    /// Executes the log up to an op-number.
    pub fn execute_to(&mut self, op: u64) {
        while self.store.tip().length < op
            && let Some(entry) = self.log.get(self.store.tip().length + 1)
        {
            entry.apply(&mut self.store);
        }
    }
}
