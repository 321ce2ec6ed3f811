//! What the crate reads back: the log after a snapshot, hard state, and configuration.
//!
//! The crate is told of entries as soon as they are here, and of their durability by the driver: what a
//! crash leaves is what [`Log::read`] makes of the records on the disk.
//!
//! A service starts from a snapshot of nothing at [`INIT_INDEX`], as in TiKV: so a node that is added later
//! has a shorter log than any, and gets its configuration with a snapshot. When a snapshot is taken, the
//! entries since the one before it stay in memory, so that a follower that is a little behind needs no
//! snapshot; after a restart they are gone.

use std::rc::Rc;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

use super::Record;
use super::codec;
use super::membership::Identity;
use crate::hash;
use crate::id::NodeId;
use crate::protocols::store::Store;

/// Index and term that a new service's log starts after.
pub const INIT_INDEX: u64 = 1;
const INIT_TERM: u64 = 1;

/// A snapshot.
#[derive(Clone, Debug)]
pub struct Image {
    pub index: u64,
    pub term: u64,
    pub conf: ConfState,
    pub store: Rc<Store>,
}

impl Image {
    fn nothing() -> Self {
        Self { index: 0, term: 0, conf: ConfState::default(), store: Rc::new(Store::default()) }
    }

    /// Of a service just installed on these nodes.
    fn initial(members: &[NodeId]) -> Self {
        let mut conf = ConfState::default();
        conf.set_voters(members.iter().map(|&node| Identity::first(node).0).collect());
        Self { index: INIT_INDEX, term: INIT_TERM, conf, store: Rc::new(Store::default()) }
    }
}

/// The log.
#[derive(Clone, Debug)]
pub struct Log {
    hard_state: HardState,
    image: Rc<Image>,
    /// Index and term that the entries in memory come after.
    start: (u64, u64),
    entries: Vec<Entry>,
    /// Who this disk belongs to; none: the disk is empty.
    identity: Option<Identity>,
}

impl Log {
    /// Of a node that knows nothing of the service's log.
    pub fn empty(identity: Identity) -> Self {
        let image = Rc::new(Image::nothing());
        Self { hard_state: HardState::default(), image, start: (0, 0), entries: Vec::new(), identity: Some(identity) }
    }

    /// Of a node of a service just installed.
    pub fn installed(members: &[NodeId], identity: Identity) -> Self {
        let mut log = Self::empty(identity);
        log.image = Rc::new(Image::initial(members));
        log.start = (INIT_INDEX, INIT_TERM);
        log.hard_state.term = INIT_TERM;
        log.hard_state.commit = INIT_INDEX;
        log
    }

    /// What a disk holds.
    pub fn read(members: &[NodeId], records: &[Record]) -> Self {
        let mut log = Self { identity: None, ..Self::empty(Identity(0)) };
        for record in records {
            match record {
                Record::Installed(identity) => log = Self::installed(members, *identity),
                Record::Joining(identity) => log = Self::empty(*identity),
                Record::Append { hard_state, entries } => {
                    log.append(entries);
                    log.hard_state = hard_state.clone();
                }
                Record::Snapshot { identity, hard_state, image, entries } => {
                    log.identity = Some(*identity);
                    log.install(image.clone());
                    log.append(entries);
                    log.hard_state = hard_state.clone();
                }
            }
        }
        log
    }

    pub const fn identity(&self) -> Option<Identity> {
        self.identity
    }

    pub const fn hard_state(&self) -> &HardState {
        &self.hard_state
    }

    pub fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    pub const fn image(&self) -> &Rc<Image> {
        &self.image
    }

    fn last(&self) -> u64 {
        self.start.0 + self.entries.len() as u64
    }

    /// Entries after `index`.
    pub fn after(&self, index: u64) -> &[Entry] {
        &self.entries[(index.saturating_sub(self.start.0) as usize).min(self.entries.len())..]
    }

    fn term_of(&self, index: u64) -> Option<u64> {
        match index.checked_sub(self.start.0)? {
            0 => Some(self.start.1),
            back => Some(self.entries.get(back as usize - 1)?.term),
        }
    }

    /// Puts entries in the place of all from the index of the first on.
    pub fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        assert!(first.index > self.start.0 && first.index <= self.last() + 1, "a gap in the log");
        self.entries.truncate((first.index - self.start.0 - 1) as usize);
        self.entries.extend_from_slice(entries);
    }

    /// The leader's snapshot replaces everything.
    pub fn install(&mut self, image: Rc<Image>) {
        self.start = (image.index, image.term);
        self.entries.clear();
        self.hard_state.commit = self.hard_state.commit.max(image.index);
        self.image = image;
    }

    /// A snapshot of the applied state: the entries before the last one are forgotten.
    pub fn compact(&mut self, index: u64, conf: ConfState, store: Store) {
        let term = self.term_of(index).expect("what is applied is in the log");
        let before = std::mem::replace(&mut self.image, Rc::new(Image { index, term, conf, store: Rc::new(store) }));
        if before.index > self.start.0 {
            let keep = self.after(before.index).to_vec();
            self.start = (before.index, before.term);
            self.entries = keep;
        }
    }

    /// The state with every entry executed, committed or not.
    pub fn everything(&self) -> Store {
        let mut store = (*self.image.store).clone();
        self.after(self.image.index).iter().for_each(|entry| _ = apply(&mut store, entry));
        store
    }
}

/// The next entry of the history: the answer, if it is a command that somebody may wait for.
pub fn apply(store: &mut Store, entry: &Entry) -> Option<crate::op::Answer> {
    if let Some(command) = codec::command(entry) {
        return store.apply(command);
    }
    store.skip(hash::of([entry.index, entry.term]));
    None
}

impl Storage for Log {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let mut hard_state = self.hard_state.clone();
        hard_state.commit = hard_state.commit.max(self.image.index);
        Ok(RaftState { hard_state, conf_state: self.image.conf.clone() })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.start.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        assert!(high <= self.last() + 1, "entries up to {high} of {}", self.last());
        let mut left = max_size.into().unwrap_or(u64::MAX);
        let mut found = Vec::new();
        for entry in &self.entries[(low - self.start.0 - 1) as usize..(high - self.start.0 - 1) as usize] {
            let bytes = codec::entry_bytes(entry);
            if bytes > left && !found.is_empty() {
                break;
            }
            left = left.saturating_sub(bytes);
            found.push(entry.clone());
        }
        Ok(found)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index < self.start.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        self.term_of(index).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.start.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        if self.image.index < request_index {
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        let mut snapshot = Snapshot::default();
        let metadata = snapshot.mut_metadata();
        metadata.index = self.image.index;
        metadata.term = self.image.term;
        metadata.set_conf_state(self.image.conf.clone());
        Ok(snapshot)
    }
}
