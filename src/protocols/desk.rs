//! Writes in the hands of a leader, until they are committed or somebody else's.

use std::collections::BTreeMap;

use super::store::{Command, Fate, KEYS_MAX, Store};
use crate::machine::RequestId;
use crate::op::{Answer, Outcome, Request, WriteKey};

/// Writes that were proposed and are not yet applied, with everyone who waits for them.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    waiting: BTreeMap<WriteKey, Waiting>,
}

#[derive(Clone, Debug)]
struct Waiting {
    /// Of the operation.
    digest: u64,
    requests: Vec<RequestId>,
}

/// What to do with a write that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Replicate it; the request waits at the desk.
    Propose(Command),
    /// It is being replicated already; the request waits with the others.
    Waits,
    /// It was executed: this was its answer.
    Known(Answer),
    /// It is answered at once.
    Answer(Outcome),
}

impl Desk {
    /// Takes a write in.
    pub fn admit(&mut self, id: RequestId, request: &Request, store: &Store) -> Admission {
        let write = request.write_key();
        let digest = request.op.digest();
        match store.fate(write) {
            Fate::Live { digest: before, .. } if before != digest => return Admission::Answer(Outcome::NumberTaken),
            Fate::Live { answer, .. } => return Admission::Known(answer),
            // A straggler: its client has said that it has the final answer.
            Fate::Settled => return Admission::Answer(Outcome::Refused),
            Fate::New => {}
        }
        if request.op.key() >= KEYS_MAX {
            return Admission::Answer(Outcome::Refused);
        }
        match self.waiting.get_mut(&write) {
            Some(waiting) if waiting.digest != digest => Admission::Answer(Outcome::NumberTaken),
            Some(waiting) => {
                waiting.requests.push(id);
                Admission::Waits
            }
            None => {
                self.waiting.insert(write, Waiting { digest, requests: vec![id] });
                Admission::Propose(Command::of(request))
            }
        }
    }

    /// A write was applied: who waited for it.
    pub fn applied(&mut self, write: WriteKey) -> Vec<RequestId> {
        self.waiting.remove(&write).map_or_else(Vec::new, |waiting| waiting.requests)
    }

    /// This replica leads no more: everyone who waited. What they asked for may yet take effect.
    pub fn clear(&mut self) -> Vec<RequestId> {
        std::mem::take(&mut self.waiting).into_values().flat_map(|waiting| waiting.requests).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many writes wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ClientId;
    use crate::op::{Op, Value};

    fn put(number: u32, digest: u64) -> Request {
        let op = Op::Put { key: 1, value: Value { digest, bytes: 10 } };
        Request { client: ClientId(1), number, op, floor: 1, token: None, fresh: false }
    }

    #[test]
    fn a_repeated_write_waits_with_the_first() {
        let (mut desk, mut store) = (Desk::default(), Store::default());
        let proposed = desk.admit(RequestId(1), &put(1, 5), &store);
        assert_eq!(proposed, Admission::Propose(Command::of(&put(1, 5))));
        assert_eq!(desk.admit(RequestId(2), &put(1, 5), &store), Admission::Waits);
        assert_eq!(desk.admit(RequestId(3), &put(1, 6), &store), Admission::Answer(Outcome::NumberTaken));
        store.apply(Command::of(&put(1, 5)));
        assert_eq!(desk.applied(put(1, 5).write_key()), [RequestId(1), RequestId(2)]);
        assert_eq!(desk.admit(RequestId(4), &put(1, 5), &store), Admission::Known(Answer::Done));
        assert_eq!(desk.admit(RequestId(5), &put(1, 6), &store), Admission::Answer(Outcome::NumberTaken));
        assert!(desk.is_empty());
    }

    #[test]
    fn who_leads_no_more_knows_whom_to_send_away() {
        let (mut desk, store) = (Desk::default(), Store::default());
        desk.admit(RequestId(1), &put(1, 5), &store);
        desk.admit(RequestId(2), &put(2, 5), &store);
        assert_eq!(desk.len(), 2);
        assert_eq!(desk.clear(), [RequestId(1), RequestId(2)]);
        assert!(matches!(desk.admit(RequestId(3), &put(1, 5), &store), Admission::Propose(_)));
    }
}
