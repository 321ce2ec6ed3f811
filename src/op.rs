//! Operations that clients ask of a service, and the answers.
//!
//! Values are sizes and digests, not bytes: what a run costs in memory does not depend on how large the
//! simulated values are.

use crate::id::{ClientId, NodeId};

/// A value that a client writes: its digest stands for its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value {
    pub digest: u64,
    /// Size on the wire, on the disk and in memory of the simulated service.
    pub bytes: u32,
}

/// What a client asks. A key of `board` is a thread; a key of `kv` is a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// Reads the thread or the cell.
    Read { key: u32 },
    /// `board`: adds a message to a thread, which only ever grows.
    Post { key: u32, value: Value },
    /// `kv`: replaces the cell.
    Put { key: u32, value: Value },
    /// `kv`: extends the cell.
    Append { key: u32, value: Value },
    /// `kv`: replaces the cell if its digest is `expect` (0: absent).
    CompareAndSwap { key: u32, expect: u64, value: Value },
}

impl Op {
    pub const fn key(self) -> u32 {
        match self {
            Self::Read { key }
            | Self::Post { key, .. }
            | Self::Put { key, .. }
            | Self::Append { key, .. }
            | Self::CompareAndSwap { key, .. } => key,
        }
    }
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Read { .. })
    }
    pub const fn value(self) -> Option<Value> {
        match self {
            Self::Read { .. } => None,
            Self::Post { value, .. }
            | Self::Put { value, .. }
            | Self::Append { value, .. }
            | Self::CompareAndSwap { value, .. } => Some(value),
        }
    }
    /// The name in history files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::Post { .. } => "post",
            Self::Put { .. } => "put",
            Self::Append { .. } => "append",
            Self::CompareAndSwap { .. } => "compare-and-swap",
        }
    }
    /// What the operation makes of a cell or a thread with this digest and size (0 and 0: absent or
    /// empty), and what it answers. Replicas and checkers share this one definition.
    ///
    /// A put replaces the digest, an append hashes the old and the new one together, and a thread is
    /// the wrapping sum of the hashed digests of its messages, so the order of posts does not show.
    pub fn apply(self, digest: u64, bytes: u32) -> (u64, u32, Answer) {
        match self {
            Self::Read { .. } => (digest, bytes, Answer::Read { digest, bytes }),
            Self::Post { value, .. } => {
                let sum = digest.wrapping_add(crate::hash::of([value.digest]));
                (sum, bytes.saturating_add(value.bytes), Answer::Done)
            }
            Self::Put { value, .. } => (value.digest, value.bytes, Answer::Done),
            Self::Append { value, .. } => {
                let chained = crate::hash::of([digest, value.digest]);
                (chained, bytes.saturating_add(value.bytes), Answer::Done)
            }
            Self::CompareAndSwap { expect, value, .. } if digest == expect => {
                (value.digest, value.bytes, Answer::Swapped(true))
            }
            Self::CompareAndSwap { .. } => (digest, bytes, Answer::Swapped(false)),
        }
    }
    /// Tells two different operations under one number apart.
    pub fn digest(self) -> u64 {
        let value = self.value().unwrap_or(Value { digest: 0, bytes: 0 });
        let (kind, expect) = match self {
            Self::Read { .. } => (0, 0),
            Self::Post { .. } => (1, 0),
            Self::Put { .. } => (2, 0),
            Self::Append { .. } => (3, 0),
            Self::CompareAndSwap { expect, .. } => (4, expect),
        };
        crate::hash::of([kind, u64::from(self.key()), value.digest, u64::from(value.bytes), expect])
    }
}

/// What an operation answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// The digest of the cell (0: absent) or of the set of messages in the thread, and its size in bytes.
    Read { digest: u64, bytes: u32 },
    /// The write was done.
    Done,
    /// Whether the compare-and-swap replaced the cell. Both are successes for the client.
    Swapped(bool),
}

/// A position in a hash-chained log: how many entries, and the hash of the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tip {
    pub length: u64,
    pub hash: u64,
}

/// Names a write for ever: `number` counts the writes of one client from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteKey {
    pub client: ClientId,
    pub number: u32,
}

/// What a client sends to a replica, the same at every attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub client: ClientId,
    /// Writes and reads of a client are numbered apart, each from 1.
    pub number: u32,
    pub op: Op,
    /// Every write of this client below this number has its final answer.
    pub floor: u32,
    /// The newest state this session has seen, if it wants its own order kept.
    pub token: Option<Tip>,
    /// The client lost its session and opens a new one: no earlier write of it is pending.
    pub fresh: bool,
}

impl Request {
    pub const fn write_key(&self) -> WriteKey {
        WriteKey { client: self.client, number: self.number }
    }
    /// Bytes on the wire: a fixed header, the key (36 B, Twitter caches 2020) and the value.
    pub fn wire_bytes(&self) -> u32 {
        96 + 36 + self.op.value().map_or(0, |value| value.bytes)
    }
}

/// How a replica answers one attempt of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Final: the operation was executed.
    Done(Done),
    /// Final: this write was executed once and then revoked by a merge; it will not be executed again.
    Revoked,
    /// Final: another operation already used this number.
    NumberTaken,
    /// Final: the session expired; nothing was executed.
    SessionUnknown,
    /// An attempt: ask there (or anywhere, when unknown).
    Redirect { hint: Option<NodeId> },
    /// An attempt: this replica began to execute it and cannot see it through. It may or may not take
    /// effect; ask there (or anywhere) under the same number.
    Unfinished { hint: Option<NodeId> },
    /// An attempt: no process, a full queue, or not ready. Ask elsewhere.
    Refused,
    /// An attempt: this replica does not cover what the session has seen. The client notes the anomaly
    /// and asks again without its token.
    Regressed,
}

/// The particulars of an executed operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    pub answer: Answer,
    /// The state that the answer reflects: the session's next token.
    pub token: Tip,
    /// Epoch (or term, or ballot) of the view that answered.
    pub epoch: u64,
    /// How many replicas, in how many data centers, held the write when it was acknowledged.
    pub degree: u16,
    pub data_centers: u16,
    /// Fewer replicas than the service is configured for.
    pub degraded: bool,
}

impl Outcome {
    /// Bytes on the wire. Only a read's answer carries a value back.
    pub fn wire_bytes(&self) -> u32 {
        match self {
            Self::Done(Done { answer: Answer::Read { bytes, .. }, .. }) => 96 + bytes,
            _ => 96,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn value(digest: u64) -> Value {
        Value { digest, bytes: 10 }
    }

    #[test]
    fn a_cell_is_replaced_extended_and_swapped() {
        let (put, bytes, _) = Op::Put { key: 0, value: value(7) }.apply(3, 99);
        assert_eq!((put, bytes), (7, 10));
        let (appended, bytes, _) = Op::Append { key: 0, value: value(8) }.apply(put, bytes);
        assert_eq!((appended, bytes), (crate::hash::of([7, 8]), 20));
        let swap = |expect| Op::CompareAndSwap { key: 0, expect, value: value(9) };
        assert_eq!(swap(7).apply(appended, bytes), (appended, 20, Answer::Swapped(false)));
        assert_eq!(swap(appended).apply(appended, bytes), (9, 10, Answer::Swapped(true)));
        assert_eq!(Op::Read { key: 0 }.apply(9, 10), (9, 10, Answer::Read { digest: 9, bytes: 10 }));
        assert_eq!(Op::Append { key: 0, value: value(1) }.apply(5, u32::MAX).1, u32::MAX);
    }

    #[test]
    fn a_thread_does_not_depend_on_the_order_of_posts() {
        let post = |digest, thread| Op::Post { key: 0, value: value(digest) }.apply(thread, 0).0;
        assert_eq!(post(2, post(1, 0)), post(1, post(2, 0)));
        assert_ne!(post(2, post(1, 0)), post(3, 0), "the sum is of hashes, not of digests");
    }
}
