//! The replicated service of protocols of one history: what every replica computes from the same commands.
//!
//! A [`Store`] is a pure function of the entries that were applied to it. State machine replication hands it
//! [`Command`]s; passive replication hands it [`Update`]s, that is commands with the answer and the state that
//! one replica computed. Either way a write of a client is executed once, whatever the protocol lets through.

use std::collections::{BTreeMap, VecDeque};

use crate::hash;
use crate::id::ClientId;
use crate::interval::IntervalSet;
use crate::machine::Inventory;
use crate::op::{Answer, Op, Request, Tip, WriteKey};

/// Keys are dense; a larger one is refused before it is replicated.
pub const KEYS_MAX: u32 = 1 << 22;
/// Positions whose hashes are kept, so that a token or a follower's position can be compared.
const TRAIL_MAX: usize = 1 << 14;

/// A write as clients ask for it, and as it is replicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    pub client: ClientId,
    pub number: u32,
    /// Every write of the client below this has its final answer.
    pub floor: u32,
    pub op: Op,
}

impl Command {
    pub const fn of(request: &Request) -> Self {
        Self { client: request.client, number: request.number, floor: request.floor, op: request.op }
    }
    pub const fn write(&self) -> WriteKey {
        WriteKey { client: self.client, number: self.number }
    }
    /// Bytes on the wire and on the disk: client, number, floor, kind, the key (36 B) and the value.
    pub fn bytes(&self) -> u32 {
        24 + 36 + self.op.value().map_or(0, |value| value.bytes)
    }
    /// Tells commands apart.
    pub fn digest(&self) -> u64 {
        hash::of([u64::from(self.client.0), u64::from(self.number), self.op.digest()])
    }
}

/// The state of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pub digest: u64,
    pub bytes: u32,
}

/// A command as one replica executed it: passive replication ships the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    pub command: Command,
    pub answer: Answer,
    /// The state of the key afterwards.
    pub cell: Cell,
}

impl Update {
    pub fn bytes(&self) -> u32 {
        self.command.bytes() + 16
    }
    pub fn digest(&self) -> u64 {
        hash::of([self.command.digest(), self.cell.digest, u64::from(self.cell.bytes)])
    }
}

/// What a store knows of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Never executed.
    New,
    /// Executed; `digest` is of the operation.
    Live { digest: u64, answer: Answer },
    /// Executed, or given up: the client said that it has its final answer.
    Settled,
}

/// What is known of one client.
#[derive(Clone, Debug, Default)]
struct Session {
    applied: IntervalSet,
    /// (number, digest of the operation, answer) at or above the floor, ascending.
    recent: Vec<(u32, u64, Answer)>,
    floor: u32,
}

/// The end of a history that goes on with an entry named `word`.
fn next(tip: Tip, word: u64) -> Tip {
    Tip { length: tip.length + 1, hash: hash::of([tip.hash, word]) }
}

/// Cells, sessions, and the end of the history that made them.
#[derive(Clone, Debug, Default)]
pub struct Store {
    cells: Vec<Cell>,
    sessions: BTreeMap<ClientId, Session>,
    tip: Tip,
    /// Hashes of the positions that end with the tip.
    trail: VecDeque<u64>,
    value_bytes: u64,
    duplicated: u64,
}

impl Store {
    /// What these commands make of an empty service.
    pub fn of<'a>(commands: impl IntoIterator<Item = &'a Command>) -> Self {
        let mut store = Self::default();
        commands.into_iter().for_each(|&command| _ = store.apply(command));
        store
    }

    /// The end of the history: entries applied, and their chained hash.
    pub const fn tip(&self) -> Tip {
        self.tip
    }

    /// What a read of the key sees.
    pub fn read(&self, key: u32) -> Cell {
        self.cells.get(key as usize).copied().unwrap_or_default()
    }

    /// What became of the write that a request asks for.
    pub fn fate(&self, write: WriteKey) -> Fate {
        let Some(session) = self.sessions.get(&write.client) else { return Fate::New };
        let recent = session.recent.iter().find(|(number, ..)| *number == write.number);
        match recent {
            Some(&(_, digest, answer)) => Fate::Live { digest, answer },
            None if session.applied.contains(write.number) || write.number < session.floor => Fate::Settled,
            None => Fate::New,
        }
    }

    pub fn applied(&self, write: WriteKey) -> bool {
        self.sessions.get(&write.client).is_some_and(|session| session.applied.contains(write.number))
    }

    /// Whether `tip` is a position of this history. Older ones than are remembered are taken for it.
    pub fn covers(&self, tip: Tip) -> bool {
        if tip.length > self.tip.length {
            return false;
        }
        self.at(tip.length).is_none_or(|known| known == tip)
    }

    /// The position of this length in the history, unless it is too old to be remembered.
    pub fn at(&self, length: u64) -> Option<Tip> {
        let back = self.tip.length.checked_sub(length)?;
        let hash = *self.trail.get(self.trail.len().checked_sub(1 + back as usize)?)?;
        Some(Tip { length, hash })
    }

    /// What executing the command now would give. It changes nothing.
    pub fn execute(&self, command: Command) -> Update {
        let Cell { digest, bytes } = self.read(command.op.key());
        let (digest, bytes, answer) = command.op.apply(digest, bytes);
        Update { command, answer, cell: Cell { digest, bytes } }
    }

    /// The next entry of the history is this command. A repeated one is answered as it was, and changes nothing;
    /// `None`: it was settled, and nobody waits for its answer.
    pub fn apply(&mut self, command: Command) -> Option<Answer> {
        match self.fate(command.write()) {
            Fate::New => {
                let update = self.execute(command);
                self.record(&update);
                Some(update.answer)
            }
            Fate::Live { answer, .. } => {
                self.skip(command.digest());
                Some(answer)
            }
            Fate::Settled => {
                self.skip(command.digest());
                None
            }
        }
    }

    /// The next entry of the history is this update. Passive replication never ships one twice.
    pub fn record(&mut self, update: &Update) {
        let Update { command, answer, cell } = *update;
        let key = command.op.key() as usize;
        if key >= self.cells.len() {
            self.cells.resize(key + 1, Cell::default());
        }
        self.value_bytes = self.value_bytes - u64::from(self.cells[key].bytes) + u64::from(cell.bytes);
        self.cells[key] = cell;
        let session = self.sessions.entry(command.client).or_default();
        session.floor = session.floor.max(command.floor);
        let floor = session.floor;
        session.recent.retain(|(number, ..)| *number >= floor);
        if session.applied.insert(command.number) {
            let at = session.recent.partition_point(|(number, ..)| *number < command.number);
            session.recent.insert(at, (command.number, command.op.digest(), answer));
        } else {
            self.duplicated += 1;
        }
        self.skip(update.digest());
    }

    /// The next entry of the history carries no operation, or one that is not executed: `word` names it.
    pub fn skip(&mut self, word: u64) {
        self.tip = next(self.tip, word);
        if self.trail.len() == TRAIL_MAX {
            self.trail.pop_front();
        }
        self.trail.push_back(self.tip.hash);
    }

    /// The end of the history after each of these updates, if they were its next ones.
    pub fn ends_after<'a>(&self, updates: impl IntoIterator<Item = &'a Update>) -> impl Iterator<Item = Tip> {
        updates.into_iter().scan(self.tip, |tip, update| {
            *tip = next(*tip, update.digest());
            Some(*tip)
        })
    }

    /// The state alone, for a snapshot: without the trail of hashes that led to it.
    pub fn image(&self) -> Self {
        Self { trail: VecDeque::from([self.tip.hash]), ..self.clone() }
    }

    /// Bytes of the state, as a snapshot carries it: values, keys, and sessions.
    pub fn bytes(&self) -> u64 {
        let sessions = self.sessions.values();
        let held = sessions.map(|one| 24 + 8 * one.applied.runs().len() as u64 + 32 * one.recent.len() as u64);
        64 + self.value_bytes + 36 * self.cells.len() as u64 + held.sum::<u64>()
    }

    pub fn inventory(&self) -> Inventory {
        let mut inventory = Inventory { duplicated: self.duplicated, ..Inventory::default() };
        for (&client, session) in &self.sessions {
            inventory.applied.add(client, &session.applied);
        }
        inventory
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Value;

    fn put(number: u32, floor: u32, digest: u64) -> Command {
        let op = Op::Put { key: 1, value: Value { digest, bytes: 10 } };
        Command { client: ClientId(7), number, floor, op }
    }

    #[test]
    fn a_write_is_executed_once_and_answered_as_often_as_it_is_asked() {
        let mut store = Store::default();
        let swap = |number, expect| Command {
            op: Op::CompareAndSwap { key: 1, expect, value: Value { digest: 9, bytes: 1 } },
            ..put(number, 1, 0)
        };
        assert_eq!(store.apply(put(1, 1, 5)), Some(Answer::Done));
        assert_eq!(store.apply(swap(2, 5)), Some(Answer::Swapped(true)));
        assert_eq!(store.apply(swap(2, 5)), Some(Answer::Swapped(true)), "as it was, not as it would be now");
        assert_eq!(store.read(1).digest, 9);
        assert_eq!(store.tip().length, 3, "it was an entry of the history all the same");
        assert_eq!((store.inventory().applied.len(), store.inventory().duplicated), (2, 0));
    }

    #[test]
    fn below_its_floor_a_client_needs_no_answer() {
        let mut store = Store::default();
        store.apply(put(1, 1, 5));
        store.apply(put(3, 3, 6));
        assert_eq!(store.fate(put(1, 1, 5).write()), Fate::Settled);
        assert_eq!(store.fate(put(2, 1, 5).write()), Fate::Settled, "given up by its client");
        assert_eq!(store.apply(put(2, 1, 5)), None);
        assert!(matches!(store.fate(put(3, 3, 6).write()), Fate::Live { .. }));
        assert_eq!(store.fate(put(4, 3, 6).write()), Fate::New);
    }

    #[test]
    fn an_update_gives_the_state_that_its_command_would() {
        let (mut active, mut passive) = (Store::default(), Store::default());
        for number in 1..50 {
            let command = Command {
                op: Op::Append { key: number % 3, value: Value { digest: u64::from(number), bytes: number } },
                ..put(number, 1, 0)
            };
            let update = passive.execute(command);
            passive.record(&update);
            active.apply(command);
        }
        assert_eq!(active.tip(), passive.tip());
        assert_eq!((0..3).map(|key| active.read(key)).collect::<Vec<_>>(), [0, 1, 2].map(|key| passive.read(key)));
        assert_eq!(active.bytes(), passive.bytes());
    }

    #[test]
    fn positions_of_another_history_are_not_covered() {
        let (mut one, mut other) = (Store::default(), Store::default());
        one.apply(put(1, 1, 5));
        other.apply(put(1, 1, 6));
        assert!(!one.covers(other.tip()) && one.covers(one.tip()) && one.covers(Tip::default()));
        let before = one.tip();
        one.apply(put(2, 1, 6));
        assert!(one.covers(before) && one.at(1) == Some(before));
        assert_eq!((one.image().at(2), one.image().at(1)), (Some(one.tip()), None), "an image knows only its end");
    }
}
