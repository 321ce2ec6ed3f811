//! The crate's storage on a disk that takes time: an image in memory, and what changed in it since the last
//! step, which the step turns into one record.

use std::cell::RefCell;
use std::rc::Rc;

use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::storage::{StopSign, Storage, StorageOp, StorageResult};

use super::configuration::Configuration;
use super::entry::{Entry, State};

/// A change that the crate made, by the names of its storage interface.
#[derive(Clone, Debug)]
pub enum Change {
    Promise(Ballot),
    AcceptedRound(Ballot),
    Append(Vec<Entry>),
    /// Whatever is at this index and after it is replaced.
    AppendOnPrefix(usize, Vec<Entry>),
    DecidedIndex(usize),
    StopSign(Option<StopSign>),
    Trim(usize),
    CompactedIndex(usize),
    Snapshot(Option<State>),
}

impl Change {
    /// Whether a message may rest on it. A decided index may not: it is what a majority has accepted, and
    /// whoever forgets it is told again.
    fn binds(&self) -> bool {
        !matches!(self, Self::DecidedIndex(_))
    }

    fn bytes(&self) -> u64 {
        let entries = |entries: &[Entry]| entries.iter().map(|entry| u64::from(entry.bytes())).sum::<u64>();
        match self {
            Self::Promise(_) | Self::AcceptedRound(_) => 24,
            Self::Append(new) => 8 + entries(new),
            Self::AppendOnPrefix(_, new) => 16 + entries(new),
            Self::DecidedIndex(_) | Self::Trim(_) | Self::CompactedIndex(_) => 16,
            Self::StopSign(stop) => stop_sign_bytes(stop.as_ref()),
            Self::Snapshot(state) => 8 + state.as_ref().map_or(0, State::bytes),
        }
    }
}

/// Bytes of a stop-sign: the identifiers of the next configuration and its metadata.
pub fn stop_sign_bytes(stop: Option<&StopSign>) -> u64 {
    let metadata = |stop: &StopSign| stop.metadata.as_ref().map_or(0, Vec::len);
    16 + stop.map_or(0, |stop| (8 * stop.next_config.nodes.len() + metadata(stop)) as u64)
}

/// A record on the disk.
#[derive(Clone, Debug)]
pub enum Record {
    /// The disk was prepared for the service.
    Installed,
    /// What one step changed, all of it or nothing.
    Changes(Vec<Change>),
    /// Replaces everything.
    Image(Rc<Image>),
}

impl Record {
    pub fn bytes(&self) -> u32 {
        let body = match self {
            Self::Installed => 8,
            Self::Changes(changes) => changes.iter().map(Change::bytes).sum(),
            Self::Image(image) => image.bytes(),
        };
        u32::try_from(16 + body).unwrap_or(u32::MAX)
    }
}

/// All that Sequence Paxos keeps. The index of a log entry is the length of the history before it, in every
/// configuration: a configuration that follows another starts compacted.
#[derive(Clone, Debug)]
pub struct Image {
    pub configuration: Configuration,
    /// Under which identity this node runs, in this configuration or in a later one.
    pub identity: u64,
    pub promise: Option<Ballot>,
    pub accepted_round: Option<Ballot>,
    /// From the compacted index on.
    pub entries: Vec<Entry>,
    pub decided: usize,
    pub compacted: usize,
    pub snapshot: Option<State>,
    pub stop_sign: Option<StopSign>,
}

impl Image {
    /// Of a configuration that begins with this state, or with nothing.
    pub fn new(configuration: Configuration, identity: u64, state: Option<State>) -> Self {
        let length = state.as_ref().map_or(0, |state| state.store().tip().length as usize);
        Self {
            configuration,
            identity,
            promise: None,
            accepted_round: None,
            entries: Vec::new(),
            decided: length,
            compacted: length,
            snapshot: state,
            stop_sign: None,
        }
    }

    /// What the records of a disk amount to, in order of writing. `None`: nothing is on it.
    pub fn read(initial: Configuration, records: &[Record]) -> Option<Self> {
        let mut image = (!records.is_empty()).then(|| Self::new(initial, 0, None))?;
        for record in records {
            match record {
                Record::Installed => {}
                Record::Changes(changes) => changes.iter().for_each(|change| image.apply(change)),
                Record::Image(whole) => image = (**whole).clone(),
            }
        }
        Some(image)
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Promise(ballot) => self.promise = Some(*ballot),
            Change::AcceptedRound(ballot) => self.accepted_round = Some(*ballot),
            Change::Append(new) => self.entries.extend(new),
            Change::AppendOnPrefix(from, new) => {
                self.entries.truncate(from.saturating_sub(self.compacted));
                self.entries.extend(new);
            }
            Change::DecidedIndex(index) => self.decided = *index,
            Change::StopSign(stop) => self.stop_sign.clone_from(stop),
            Change::Trim(index) => {
                let gone = index.saturating_sub(self.compacted).min(self.entries.len());
                self.entries.drain(..gone);
            }
            Change::CompactedIndex(index) => self.compacted = *index,
            Change::Snapshot(state) => self.snapshot.clone_from(state),
        }
    }

    /// Entries of an interval of indices, as far as it is there (the crate's contract says none if it is not
    /// all there: see the module `entry`).
    fn entries_of(&self, from: usize, to: usize) -> Vec<Entry> {
        let Some(from) = from.checked_sub(self.compacted) else { return Vec::new() };
        let to = to.saturating_sub(self.compacted).min(self.entries.len());
        self.entries.get(from..to).map_or_else(Vec::new, <[Entry]>::to_vec)
    }

    fn bytes(&self) -> u64 {
        let entries: u64 = self.entries.iter().map(|entry| u64::from(entry.bytes())).sum();
        let state = self.snapshot.as_ref().map_or(0, State::bytes);
        88 + self.configuration.bytes() + entries + state + stop_sign_bytes(self.stop_sign.as_ref())
    }
}

/// The storage that the crate is given, and the adapter's hold on it.
#[derive(Clone, Debug)]
pub struct Disk(Rc<RefCell<Inner>>);

#[derive(Debug)]
struct Inner {
    image: Image,
    changes: Vec<Change>,
}

impl Disk {
    pub fn new(image: Image) -> Self {
        Self(Rc::new(RefCell::new(Inner { image, changes: Vec::new() })))
    }

    pub fn is_stopping(&self) -> bool {
        self.0.borrow().image.stop_sign.is_some()
    }

    /// The record of everything that changed since the last call, and whether messages must wait for it.
    pub fn take_record(&self) -> Option<(Record, bool)> {
        let mut inner = self.0.borrow_mut();
        let changes = std::mem::take(&mut inner.changes);
        if changes.is_empty() {
            return None;
        }
        let binds = changes.iter().any(Change::binds);
        let compacts = changes.iter().any(|change| matches!(change, Change::Snapshot(_)));
        let record = if compacts { Record::Image(Rc::new(inner.image.clone())) } else { Record::Changes(changes) };
        Some((record, binds))
    }

    fn change(&self, change: Change) -> StorageResult<()> {
        let change = match change {
            Change::Append(new) if new.is_empty() => return Ok(()),
            Change::Promise(ballot) if self.0.borrow().image.promise == Some(ballot) => return Ok(()),
            Change::Snapshot(state) => Change::Snapshot(state.map(|state| state.settled())),
            other => other,
        };
        let mut inner = self.0.borrow_mut();
        inner.image.apply(&change);
        inner.changes.push(change);
        Ok(())
    }

    fn see<T>(&self, look: impl FnOnce(&Image) -> T) -> StorageResult<T> {
        Ok(look(&self.0.borrow().image))
    }
}

impl From<StorageOp<Entry>> for Change {
    fn from(op: StorageOp<Entry>) -> Self {
        match op {
            StorageOp::AppendEntry(entry) => Self::Append(vec![entry]),
            StorageOp::AppendEntries(entries) => Self::Append(entries),
            StorageOp::AppendOnPrefix(from, entries) => Self::AppendOnPrefix(from, entries),
            StorageOp::SetPromise(ballot) => Self::Promise(ballot),
            StorageOp::SetDecidedIndex(index) => Self::DecidedIndex(index),
            StorageOp::SetAcceptedRound(ballot) => Self::AcceptedRound(ballot),
            StorageOp::SetCompactedIdx(index) => Self::CompactedIndex(index),
            StorageOp::Trim(index) => Self::Trim(index),
            StorageOp::SetStopsign(stop) => Self::StopSign(stop),
            StorageOp::SetSnapshot(state) => Self::Snapshot(state),
        }
    }
}

impl Storage<Entry> for Disk {
    fn write_atomically(&mut self, ops: Vec<StorageOp<Entry>>) -> StorageResult<()> {
        ops.into_iter().try_for_each(|op| self.change(op.into()))
    }
    fn append_entry(&mut self, entry: Entry) -> StorageResult<()> {
        self.change(Change::Append(vec![entry]))
    }
    fn append_entries(&mut self, entries: Vec<Entry>) -> StorageResult<()> {
        self.change(Change::Append(entries))
    }
    fn append_on_prefix(&mut self, from: usize, entries: Vec<Entry>) -> StorageResult<()> {
        self.change(Change::AppendOnPrefix(from, entries))
    }
    fn set_promise(&mut self, ballot: Ballot) -> StorageResult<()> {
        self.change(Change::Promise(ballot))
    }
    fn set_decided_idx(&mut self, index: usize) -> StorageResult<()> {
        self.change(Change::DecidedIndex(index))
    }
    fn get_decided_idx(&self) -> StorageResult<usize> {
        self.see(|image| image.decided)
    }
    fn set_accepted_round(&mut self, ballot: Ballot) -> StorageResult<()> {
        self.change(Change::AcceptedRound(ballot))
    }
    fn get_accepted_round(&self) -> StorageResult<Option<Ballot>> {
        self.see(|image| image.accepted_round)
    }
    fn get_entries(&self, from: usize, to: usize) -> StorageResult<Vec<Entry>> {
        self.see(|image| image.entries_of(from, to))
    }
    fn get_log_len(&self) -> StorageResult<usize> {
        self.see(|image| image.entries.len())
    }
    fn get_suffix(&self, from: usize) -> StorageResult<Vec<Entry>> {
        self.see(|image| image.entries_of(from, image.compacted + image.entries.len()))
    }
    fn get_promise(&self) -> StorageResult<Option<Ballot>> {
        self.see(|image| image.promise)
    }
    fn set_stopsign(&mut self, stop: Option<StopSign>) -> StorageResult<()> {
        self.change(Change::StopSign(stop))
    }
    fn get_stopsign(&self) -> StorageResult<Option<StopSign>> {
        self.see(|image| image.stop_sign.clone())
    }
    fn trim(&mut self, index: usize) -> StorageResult<()> {
        self.change(Change::Trim(index))
    }
    fn set_compacted_idx(&mut self, index: usize) -> StorageResult<()> {
        self.change(Change::CompactedIndex(index))
    }
    fn get_compacted_idx(&self) -> StorageResult<usize> {
        self.see(|image| image.compacted)
    }
    fn set_snapshot(&mut self, state: Option<State>) -> StorageResult<()> {
        self.change(Change::Snapshot(state))
    }
    fn get_snapshot(&self) -> StorageResult<Option<State>> {
        self.see(|image| image.snapshot.clone())
    }
}
