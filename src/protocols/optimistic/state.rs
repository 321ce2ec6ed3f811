//! The replicated state: a pure function of the log.

use std::collections::{BTreeMap, VecDeque};

use super::entry::{Cell, Data, Effect, Entry, Executed, Journaled, Merge, Reapplied, Why};
use crate::hash;
use crate::id::{ClientId, NodeId};
use crate::interval::IntervalSet;
use crate::machine::Inventory;
use crate::op::{Answer, Op, Tip, WriteKey};

/// Hashes of View entries that outlive compaction.
const VIEWS_KEPT: usize = 256;
/// Keys are dense; a larger one is refused before it reaches the log.
pub const KEYS_MAX: u32 = 1 << 22;

#[derive(Clone, Debug, Default)]
pub struct State {
    cells: Vec<Cell>,
    /// Hybrid logical time of the last write of each key.
    written: Vec<u64>,
    siblings: BTreeMap<u32, Vec<(u32, Cell)>>,
    sessions: BTreeMap<ClientId, Session>,
    journal: BTreeMap<WriteKey, Journaled>,
    pub replica_set: Vec<NodeId>,
    /// Position of the entry that last set it.
    pub set_length: u64,
    /// Those who were taken out of the set while they were not in the view, and did not come back, each with the
    /// position of the entry that took it out.
    pub departed: Vec<(NodeId, u64)>,
    /// Members of the last View entry.
    members: Vec<NodeId>,
    /// The last View entry that a later Confirm names.
    pub confirmed: Option<Confirmed>,
    /// The last View entry.
    pub last_view: Option<Confirmed>,
    /// View entries, newest last.
    pub views: VecDeque<Tip>,
    /// The latest hybrid logical time in the log.
    pub hlc: u64,
    /// A hash of the cells, kept up to date write by write.
    digest: u64,
    duplicated: u64,
    reapplied: BTreeMap<ClientId, IntervalSet>,
}

/// A View entry in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    pub tip: Tip,
    pub epoch: u64,
    pub members: u32,
}

/// What is known of one client.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Numbers that were executed and are live.
    applied: IntervalSet,
    /// Answers to writes at or above the client's floor, ascending.
    recent: Vec<(u32, Recent)>,
    pub floor: u32,
    /// Hybrid logical time of its last write.
    pub active: u64,
}

/// An answer that may be asked for again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recent {
    pub digest: u64,
    pub answer: Answer,
    /// Position of the entry that executed it.
    pub length: u64,
}

/// What became of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// Never seen.
    New,
    Live(Recent),
    /// Executed; its answer was dropped because the client said it has it.
    Settled,
    Revoked,
}

impl State {
    pub fn new(replica_set: Vec<NodeId>) -> Self {
        Self { replica_set, ..Self::default() }
    }

    /// What a read of the key sees. Siblings read as one combined value.
    pub fn read(&self, key: u32) -> Cell {
        let cell = self.cells.get(key as usize).copied().unwrap_or_default();
        let Some(siblings) = self.siblings.get(&key) else { return cell };
        let mut all: Vec<Cell> = siblings.iter().map(|&(_, cell)| cell).chain([cell]).collect();
        all.sort_unstable();
        all.dedup();
        Cell {
            digest: hash::of(all.iter().map(|cell| cell.digest)),
            bytes: all.iter().fold(0, |sum, cell| sum.saturating_add(cell.bytes)),
        }
    }

    /// Hybrid logical time of the last write to a key; 0 if there was none.
    pub fn written(&self, key: u32) -> u64 {
        self.written.get(key as usize).copied().unwrap_or(0)
    }

    pub fn session(&self, client: ClientId) -> Option<&Session> {
        self.sessions.get(&client)
    }

    pub fn applied(&self, write: WriteKey) -> bool {
        self.sessions.get(&write.client).is_some_and(|session| session.applied.contains(write.number))
    }

    pub fn journaled(&self, write: WriteKey) -> bool {
        self.journal.get(&write).is_some_and(|one| one.why != Why::Changed)
    }

    /// Whether a live write is on record as answered otherwise by some branch.
    pub fn changed(&self, write: WriteKey) -> bool {
        self.journal.get(&write).is_some_and(|one| one.why == Why::Changed)
    }

    pub fn fate(&self, write: WriteKey) -> Fate {
        if self.journaled(write) {
            return Fate::Revoked;
        }
        let Some(session) = self.sessions.get(&write.client) else { return Fate::New };
        if !session.applied.contains(write.number) {
            return Fate::New;
        }
        match session.recent.binary_search_by_key(&write.number, |&(number, _)| number) {
            Ok(found) => Fate::Live(session.recent[found].1),
            Err(_) => Fate::Settled,
        }
    }

    /// Revoked writes, and live ones whose answer changed.
    pub fn journal(&self) -> impl Iterator<Item = &Journaled> {
        self.journal.values()
    }

    /// Clients with the numbers that are live.
    pub fn live(&self) -> impl Iterator<Item = (ClientId, &IntervalSet)> {
        self.sessions.iter().map(|(&client, session)| (client, &session.applied))
    }

    /// Executes an operation on the present state without changing it.
    pub fn execute(&self, op: Op) -> (Cell, Answer) {
        let cell = self.read(op.key());
        let (digest, bytes, answer) = op.apply(cell.digest, cell.bytes);
        (Cell { digest, bytes }, answer)
    }

    /// Applies the entry at position `length`.
    pub fn apply(&mut self, entry: &Entry, length: u64) {
        match &entry.data {
            Data::Op(executed) => {
                self.set(executed.op.key(), executed.cell, executed.hlc);
                self.record(executed, length);
            }
            Data::View(view) => {
                let tip = Tip { length, hash: entry.hash };
                self.members.clone_from(&view.members);
                self.last_view = Some(Confirmed { tip, epoch: view.epoch, members: view.members.len() as u32 });
                self.views.push_back(tip);
                if self.views.len() > VIEWS_KEPT {
                    self.views.pop_front();
                }
            }
            Data::Confirm { view } => {
                if let Some(last) = self.last_view.filter(|last| last.tip == *view) {
                    self.confirmed = Some(last);
                }
            }
            Data::Merge(merge) => self.apply_merge(merge, length),
            Data::Reconfigure(nodes) => {
                self.departed.retain(|(node, _)| !nodes.contains(node));
                let away = |node: &&NodeId| !nodes.contains(node) && !self.members.contains(node);
                self.departed.extend(self.replica_set.iter().filter(away).map(|&node| (node, length)));
                self.replica_set.clone_from(nodes);
                self.set_length = length;
            }
        }
    }

    fn apply_merge(&mut self, merge: &Merge, length: u64) {
        for one in &merge.reapplied {
            self.reapply(one, length);
        }
        for one in &merge.journal {
            self.journal.insert(one.write, *one);
        }
    }

    /// Applies one reapplied write of the merge at position `length`.
    pub fn reapply(&mut self, one: &Reapplied, length: u64) {
        let Reapplied { executed, effect, .. } = one;
        let key = executed.op.key();
        match *effect {
            Effect::Replace(cell) => self.set(key, cell, executed.hlc),
            Effect::Superseded => {}
            Effect::Sibling { cell, branch } => self.add_sibling(key, cell, branch, executed.hlc),
        }
        self.record(executed, length);
        self.reapplied.entry(executed.client).or_default().insert(executed.number);
    }

    fn set(&mut self, key: u32, cell: Cell, hlc: u64) {
        if key >= KEYS_MAX {
            return;
        }
        let at = key as usize;
        if at >= self.cells.len() {
            self.cells.resize(at + 1, Cell::default());
            self.written.resize(at + 1, 0);
        }
        self.digest = self.digest.wrapping_sub(hash_cell(key, self.cells[at])).wrapping_add(hash_cell(key, cell));
        self.cells[at] = cell;
        self.written[at] = self.written[at].max(hlc);
        self.siblings.remove(&key);
    }

    fn add_sibling(&mut self, key: u32, cell: Cell, branch: u32, hlc: u64) {
        if key >= KEYS_MAX {
            return;
        }
        let siblings = self.siblings.entry(key).or_default();
        match siblings.iter_mut().find(|(from, _)| *from == branch) {
            Some((_, kept)) => *kept = cell,
            None => siblings.push((branch, cell)),
        }
        let at = key as usize;
        if at < self.written.len() {
            self.written[at] = self.written[at].max(hlc);
        }
    }

    fn record(&mut self, executed: &Executed, length: u64) {
        let session = self.sessions.entry(executed.client).or_default();
        if !session.applied.insert(executed.number) {
            self.duplicated += 1;
        }
        session.active = session.active.max(executed.hlc);
        session.floor = session.floor.max(executed.floor);
        let floor = session.floor;
        let kept = session.recent.partition_point(|&(number, _)| number < floor);
        session.recent.drain(..kept);
        if executed.number >= floor {
            let recent = Recent { digest: executed.op.digest(), answer: executed.answer, length };
            match session.recent.binary_search_by_key(&executed.number, |&(number, _)| number) {
                Ok(found) => session.recent[found].1 = recent,
                Err(place) => session.recent.insert(place, (executed.number, recent)),
            }
        }
        self.hlc = self.hlc.max(executed.hlc);
    }

    /// Size of a snapshot on the wire, in bytes.
    pub fn bytes(&self) -> u64 {
        let cells: u64 = self.cells.iter().map(|cell| 12 + u64::from(cell.bytes)).sum();
        let siblings: u64 = self.siblings.values().flatten().map(|(_, cell)| 16 + u64::from(cell.bytes)).sum();
        let sessions: u64 = self
            .sessions
            .values()
            .map(|session| 24 + 8 * session.applied.runs().len() as u64 + 32 * session.recent.len() as u64)
            .sum();
        let journal: u64 =
            self.journal.values().map(|one| 40 + one.op.and_then(Op::value).map_or(0, |v| u64::from(v.bytes))).sum();
        256 + cells + siblings + sessions + journal
    }

    /// A hash over cells, sessions, the journal's writes and the replica set, computed afresh: two states that
    /// differ in these differ in it.
    pub fn full_digest(&self) -> u64 {
        let mut hasher = hash::Hasher::new();
        for (key, &cell) in self.cells.iter().enumerate().filter(|(_, cell)| **cell != Cell::default()) {
            hasher.word(hash_cell(key as u32, cell));
            hasher.word(self.written[key]);
        }
        for (&key, siblings) in &self.siblings {
            hasher = hasher.words(siblings.iter().map(|&(branch, cell)| hash_cell(key, cell) ^ u64::from(branch)));
        }
        for (client, session) in &self.sessions {
            hasher = hasher.words([u64::from(client.0), u64::from(session.floor), session.active]);
            hasher = hasher.words(session.applied.runs().iter().map(|&(a, b)| u64::from(a) << 32 | u64::from(b)));
            hasher = hasher.words(session.recent.iter().map(|&(number, one)| one.digest ^ u64::from(number)));
        }
        hasher = hasher
            .words(self.journal.values().map(|one| u64::from(one.write.client.0) << 32 | u64::from(one.write.number)));
        hasher = hasher.words(self.replica_set.iter().map(|node| u64::from(node.0)));
        hasher.word(self.set_length);
        hasher.word(self.hlc);
        hasher.finish()
    }

    /// The digest of the cells, kept write by write.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    pub fn inventory(&self, into: &mut Inventory) {
        for (client, numbers) in self.live() {
            into.applied.add(client, numbers);
        }
        for one in self.journal().filter(|one| one.why != Why::Changed) {
            into.journaled.insert(one.write);
        }
        for (&client, numbers) in &self.reapplied {
            into.reapplied.add(client, numbers);
        }
        into.duplicated = into.duplicated.max(self.duplicated);
    }

    /// Overwrites something, for fault injection.
    pub fn corrupt(&mut self, rng: &mut crate::rng::Stream) {
        if !self.cells.is_empty() {
            let at = rng.below(self.cells.len() as u64) as usize;
            self.cells[at] = Cell { digest: rng.bits(), bytes: rng.below(1 << 16) as u32 };
        }
        if rng.chance(0.5)
            && let Some(session) = self.sessions.values_mut().next()
        {
            session.applied.insert(rng.below(1_000) as u32);
            session.recent.clear();
        }
        if rng.chance(0.3) {
            self.hlc = rng.bits();
        }
        if rng.chance(0.2) {
            self.replica_set.pop();
        }
    }
}

fn hash_cell(key: u32, cell: Cell) -> u64 {
    hash::of([u64::from(key), cell.digest, u64::from(cell.bytes)])
}
