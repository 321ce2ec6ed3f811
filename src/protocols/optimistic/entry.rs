//! Entries of the hash-chained log.

use std::rc::Rc;

use crate::hash;
use crate::id::{ClientId, NodeId};
use crate::op::{Answer, Op, Tip, WriteKey};

/// A link of the chain. `hash` covers `prev` and the data, so one hash names a whole history.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub hash: u64,
    pub prev: u64,
    pub data: Data,
}

/// What an entry records.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    Op(Executed),
    View(ViewEntry),
    /// Every member of the view whose entry is named has acknowledged that entry.
    Confirm {
        view: Tip,
    },
    Merge(Box<Merge>),
    /// The replica set from here on.
    Reconfigure(Vec<NodeId>),
}

/// A write as its primary executed it: passive replication ships the resulting state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Executed {
    pub client: ClientId,
    pub number: u32,
    /// Every write of the client below this has its final answer.
    pub floor: u32,
    pub op: Op,
    pub answer: Answer,
    /// The state of the key afterwards.
    pub cell: Cell,
    /// Hybrid logical time in nanoseconds.
    pub hlc: u64,
}

impl Executed {
    pub const fn key(&self) -> WriteKey {
        WriteKey { client: self.client, number: self.number }
    }
}

/// The state of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub digest: u64,
    pub bytes: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ViewEntry {
    pub epoch: u64,
    pub coordinator: NodeId,
    pub members: Vec<NodeId>,
}

/// The union of branches: the losers' hash chains, and what became of their writes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merge {
    pub segments: Vec<Segment>,
    /// Executed again here, in this order.
    pub reapplied: Vec<Reapplied>,
    /// Revoked, or live with another answer than some branch told.
    pub journal: Vec<Journaled>,
}

/// A losing branch, kept as a hash chain beside the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// The last entry that it shares with the base.
    pub fork: Tip,
    pub tip: Tip,
    /// Hashes of its entries after the fork, and of the segments merged into those.
    pub hashes: Vec<u64>,
}

/// A write that a merge executed again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reapplied {
    pub executed: Executed,
    pub effect: Effect,
    /// Its answer differs from the one its branch gave.
    pub changed: bool,
}

/// What a reapplied write does to its key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    Replace(Cell),
    /// In the history, and overwritten by a later timestamp.
    Superseded,
    /// Kept beside the present value; a later one of the same branch (the low half of its tip's hash)
    /// replaces it.
    Sibling {
        cell: Cell,
        branch: u32,
    },
}

/// A write in the journal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Journaled {
    pub write: WriteKey,
    /// Unknown if only a foreign branch's session table named it.
    pub op: Option<Op>,
    pub hlc: u64,
    pub why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The policy keeps only the base's writes.
    Rank,
    /// It no longer holds on the merged state.
    Conflict,
    /// Its branch shares no entry with the base.
    Foreign,
    /// An earlier merge revoked it.
    Earlier,
    /// Live, with another answer than a branch told: recorded, not revoked.
    Changed,
    /// A bad link cut it off the only logs that held it.
    Cut,
}

impl Why {
    /// The end of "it was revoked because".
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Rank => "the policy keeps only the writes of the branch that ranks first",
            Self::Conflict => "it no longer holds on the merged state",
            Self::Foreign => "its branch shares no entry with the base",
            Self::Earlier => "an earlier merge had revoked it",
            Self::Changed => "it holds with another answer than its client was told",
            Self::Cut => "a bad link cut it off the only logs that held it",
        }
    }
}

impl Entry {
    pub fn new(prev: u64, data: Data) -> Rc<Self> {
        Rc::new(Self { hash: Self::hash_of(prev, &data), prev, data })
    }

    pub fn is_sound(&self) -> bool {
        self.hash == Self::hash_of(self.prev, &self.data)
    }

    fn hash_of(prev: u64, data: &Data) -> u64 {
        let mut hasher = hash::Hasher::new();
        hasher.word(prev);
        match data {
            Data::Op(executed) => {
                hasher.word(1);
                hash_executed(&mut hasher, executed);
            }
            Data::View(view) => {
                hasher.word(2);
                hasher.word(view.epoch);
                hasher.word(u64::from(view.coordinator.0));
                hash_nodes(&mut hasher, &view.members);
            }
            Data::Confirm { view } => {
                hasher.word(3);
                hasher.word(view.length);
                hasher.word(view.hash);
            }
            Data::Merge(merge) => {
                hasher.word(4);
                hash_merge(&mut hasher, merge);
            }
            Data::Reconfigure(nodes) => {
                hasher.word(5);
                hash_nodes(&mut hasher, nodes);
            }
        }
        hasher.finish()
    }

    /// Bytes on the wire and on the disk.
    pub fn bytes(&self) -> u32 {
        let data = match &self.data {
            Data::Op(executed) => 64 + executed.op.value().map_or(0, |value| value.bytes),
            Data::View(view) => 16 + 4 * view.members.len() as u32,
            Data::Confirm { .. } => 16,
            Data::Merge(merge) => merge.bytes(),
            Data::Reconfigure(nodes) => 4 * nodes.len() as u32,
        };
        20 + data
    }
}

impl Merge {
    fn bytes(&self) -> u32 {
        let value = |op: &Op| op.value().map_or(0, |value| value.bytes);
        let hashes: u32 = self.segments.iter().map(|segment| 32 + 8 * segment.hashes.len() as u32).sum();
        let reapplied: u32 = self.reapplied.iter().map(|one| 80 + value(&one.executed.op)).sum();
        let journal: u32 = self.journal.iter().map(Journaled::bytes).sum();
        hashes + reapplied + journal
    }
}

impl Journaled {
    /// Bytes on the wire and on the disk.
    pub fn bytes(&self) -> u32 {
        40 + self.op.and_then(Op::value).map_or(0, |value| value.bytes)
    }
}

fn hash_nodes(hasher: &mut hash::Hasher, nodes: &[NodeId]) {
    hasher.word(nodes.len() as u64);
    for node in nodes {
        hasher.word(u64::from(node.0));
    }
}

fn hash_executed(hasher: &mut hash::Hasher, executed: &Executed) {
    let answer = match executed.answer {
        Answer::Read { digest, .. } => digest,
        Answer::Done => 1,
        Answer::Swapped(swapped) => 2 + u64::from(swapped),
    };
    for word in [
        u64::from(executed.client.0) << 32 | u64::from(executed.number),
        u64::from(executed.floor),
        executed.op.digest(),
        answer,
        executed.cell.digest,
        u64::from(executed.cell.bytes),
        executed.hlc,
    ] {
        hasher.word(word);
    }
}

fn hash_merge(hasher: &mut hash::Hasher, merge: &Merge) {
    for segment in &merge.segments {
        for word in [segment.fork.length, segment.fork.hash, segment.tip.length, segment.tip.hash] {
            hasher.word(word);
        }
        for &one in &segment.hashes {
            hasher.word(one);
        }
    }
    for one in &merge.reapplied {
        hash_executed(hasher, &one.executed);
        let (kind, cell, branch) = match one.effect {
            Effect::Replace(cell) => (1, cell, 0),
            Effect::Superseded => (2, Cell::default(), 0),
            Effect::Sibling { cell, branch } => (3, cell, branch),
        };
        for word in [kind, cell.digest, u64::from(cell.bytes), u64::from(branch), u64::from(one.changed)] {
            hasher.word(word);
        }
    }
    for one in &merge.journal {
        let op = one.op.map_or(0, Op::digest);
        let write = u64::from(one.write.client.0) << 32 | u64::from(one.write.number);
        for word in [write, op, one.hlc, one.why as u64] {
            hasher.word(word);
        }
    }
}
