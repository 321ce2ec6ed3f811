//! What the log holds, and what a snapshot of it is.

use std::rc::Rc;

use omnipaxos::storage::Snapshot;

use crate::hash;
use crate::id::ClientId;
use crate::op::Answer;
use crate::protocols::store::{Command, Store};

/// An entry of the replicated log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Write(Command),
    /// A read that is ordered like a write: whoever proposed it answers when it is decided, and nobody else
    /// does anything.
    Read { client: ClientId, number: u32, key: u32 },
}

impl Entry {
    /// Bytes on the wire and on the disk: a read has a client, a number and a key (36 B).
    pub fn bytes(&self) -> u32 {
        match self {
            Self::Write(command) => command.bytes(),
            Self::Read { .. } => 16 + 36,
        }
    }

    /// The next entry of the history of `store`. Every entry makes it longer by one. `None`: nobody waits for
    /// an answer.
    pub fn apply(&self, store: &mut Store) -> Option<Answer> {
        match *self {
            Self::Write(command) => store.apply(command),
            Self::Read { client, number, key } => {
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

/// A snapshot. The crate makes one from entries alone, without the state they are applied to, and merges it
/// into an older one: so it is a state, perhaps the empty one, and entries after it.
#[derive(Clone, Debug, Default)]
pub struct State {
    base: Option<Rc<Store>>,
    later: Vec<Entry>,
}

impl State {
    pub fn of(store: Rc<Store>) -> Self {
        Self { base: Some(store), later: Vec::new() }
    }

    /// The state that it stands for.
    pub fn store(&self) -> Rc<Store> {
        match &self.base {
            Some(base) if self.later.is_empty() => base.clone(),
            base => {
                let mut store = base.as_ref().map_or_else(Store::default, |base| base.image());
                self.later.iter().for_each(|entry| _ = entry.apply(&mut store));
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
        } else {
            self.later.extend(delta.later);
            *self = self.settled();
        }
    }

    fn use_snapshots() -> bool {
        true
    }
}
