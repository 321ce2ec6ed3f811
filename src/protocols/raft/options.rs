//! What a scenario chooses of Raft.

use super::Mutation;
use crate::time::Duration;

/// How reads are made linearizable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// The leader asks a majority whether it still leads (Ongaro 2014, section 6.4).
    ReadIndex,
    /// The leader trusts its lease (section 6.4.1). The crate's lease is its check-quorum: it is renewed each
    /// election timeout if a majority was heard in it, so a leader that is cut off keeps it for up to two, while
    /// the others elect another after one. Reads may be stale even if all clocks run alike.
    Lease,
}

/// What a node does whose disk was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterDiskLoss {
    /// It stays out until a membership change adds it under a new identity.
    StayOut,
    /// It comes back empty under its old identity, which breaks what the protocol assumes of its disk.
    RejoinEmpty,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// A follower stands for election after a silence drawn uniformly from [low, high); equal ends: always `low`.
    pub election_timeout: (Duration, Duration),
    pub heartbeat: Duration,
    /// Step of the protocol's own clock; divides all its times.
    pub tick: Duration,
    pub pre_vote: bool,
    pub check_quorum: bool,
    pub reads: Reads,
    pub after_disk_loss: AfterDiskLoss,
    /// Applied entries after which the log is replaced by a snapshot.
    pub snapshot_entries: u64,
    /// A deliberate defect, for tests of the judges and for demonstrations.
    pub mutation: Option<Mutation>,
}
