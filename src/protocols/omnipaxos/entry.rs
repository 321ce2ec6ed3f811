//! What the log holds, and what a snapshot of it is.
//!
//! The crate makes snapshots from entries alone, and merges one into another without saying where either
//! begins. Its version 0.2.4 gets that wrong when a follower takes in a delta (`sync_log`): it sets the new
//! decided index first and then makes the snapshot that the delta is merged into from its own log *up to the
//! new index*. Undecided entries of the follower, which the delta replaces, are counted in and then counted
//! again; and if its log is shorter than that, the storage must answer with nothing at all, so decided entries
//! are lost. With snapshots that trust the crate, histories differ after nearly every second chaos drill. So
//! here every entry knows its index, a snapshot keeps entries until it is stored, and of two entries with one
//! index that of the delta counts; and the storage gives what it has of an interval.

use std::rc::Rc;

use omnipaxos::storage::Snapshot;

use crate::hash;
use crate::id::ClientId;
use crate::op::Answer;
use crate::protocols::store::{Command, Store};

/// An entry of the replicated log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its index: the length of the history before it. Only a leader in its accept phase appends, so the index
    /// is known then, and no log ever holds the entry elsewhere.
    pub at: u64,
    pub what: What,
}

/// What an entry asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Write(Command),
    /// A read that is ordered like a write: whoever proposed it answers when it is decided, and nobody else
    /// does anything.
    Read {
        client: ClientId,
        number: u32,
        key: u32,
    },
}

impl Entry {
    /// Bytes on the wire and on the disk: an index, and of a read a client, a number and a key (36 B).
    pub fn bytes(&self) -> u32 {
        match self.what {
            What::Write(command) => 8 + command.bytes(),
            What::Read { .. } => 8 + 16 + 36,
        }
    }

    /// The next entry of the history of `store`. Every entry makes it longer by one. `None`: nobody waits for
    /// an answer.
    pub fn apply(&self, store: &mut Store) -> Option<Answer> {
        match self.what {
            What::Write(command) => store.apply(command),
            What::Read { client, number, key } => {
                store.skip(hash::of([u64::from(client.0), u64::from(number), u64::from(key), 1]));
                let cell = store.read(key);
                Some(Answer::Read { digest: cell.digest, bytes: cell.bytes })
            }
        }
    }
}

impl omnipaxos::storage::Entry for Entry {
    type Snapshot = State;
}

/// A snapshot: a state, perhaps the empty one, and entries that come after it.
#[derive(Clone, Debug, Default)]
pub struct State {
    base: Option<Rc<Store>>,
    later: Vec<Entry>,
}

impl State {
    pub fn of(store: Rc<Store>) -> Self {
        Self { base: Some(store), later: Vec::new() }
    }

    /// The state that it stands for. Its entries must continue its base.
    pub fn store(&self) -> Rc<Store> {
        match &self.base {
            Some(base) if self.later.is_empty() => base.clone(),
            base => {
                let mut store = base.as_ref().map_or_else(Store::default, |base| base.image());
                for entry in &self.later {
                    assert_eq!(entry.at, store.tip().length, "an entry of a snapshot is not in its place");
                    entry.apply(&mut store);
                }
                Rc::new(store)
            }
        }
    }

    /// The same with its entries applied.
    pub fn settled(&self) -> Self {
        Self::of(self.store())
    }

    pub fn bytes(&self) -> u64 {
        let later: u64 = self.later.iter().map(|entry| u64::from(entry.bytes())).sum();
        self.base.as_ref().map_or(0, |base| base.bytes()) + later
    }
}

impl Snapshot<Entry> for State {
    fn create(entries: &[Entry]) -> Self {
        Self { base: None, later: entries.to_vec() }
    }

    fn merge(&mut self, delta: Self) {
        if delta.base.is_some() {
            *self = delta;
        } else if let Some(first) = delta.later.first() {
            self.later.retain(|entry| entry.at < first.at);
            self.later.extend(delta.later);
        }
    }

    fn use_snapshots() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(at: u64, number: u32) -> Entry {
        Entry { at, what: What::Read { client: ClientId(1), number, key: 1 } }
    }

    #[test]
    fn a_delta_replaces_what_it_overlaps() {
        let decided = [read(0, 1), read(1, 2), read(2, 3), read(3, 4)];
        let mut wanted = Store::default();
        decided.iter().for_each(|entry| _ = entry.apply(&mut wanted));
        // The follower had decided two, and had accepted a third that another leader replaced.
        let mut own = State::of(State::create(&decided[..1]).store());
        own.merge(State::create(&[read(1, 2), read(2, 9)]));
        own.merge(State::create(&decided[2..]));
        assert_eq!(own.store().tip(), wanted.tip());
        assert_eq!(own.settled().store().tip(), wanted.tip());
        own.merge(State::default());
        assert_eq!(own.store().tip(), wanted.tip(), "an empty delta changes nothing");
    }
}
