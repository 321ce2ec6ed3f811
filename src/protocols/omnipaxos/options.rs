//! What a scenario chooses of Omni-Paxos.

use super::Mutation;
use crate::protocols::raft::AfterDiskLoss;
use crate::time::Duration;

/// How reads are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Ordered in the log like writes: linearizable.
    Log,
    /// From the state of whoever believes to lead: stale after a leader was replaced without its knowledge.
    Leader,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Length of a round of heartbeats; who is silent for one is taken for dead.
    pub election_timeout: Duration,
    /// Step of the protocol's own clock; divides all its times.
    pub tick: Duration,
    pub reads: Reads,
    pub after_disk_loss: AfterDiskLoss,
    /// Decided entries after which the log is replaced by a snapshot.
    pub snapshot_entries: u64,
    /// A deliberate defect, for tests of the judges and for demonstrations.
    pub mutation: Option<Mutation>,
}
