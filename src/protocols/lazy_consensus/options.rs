//! What a scenario chooses of semi-passive replication with Lazy Consensus.

use super::Mutation;
use crate::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Between two heartbeats of the failure detector.
    pub heartbeat: Duration,
    /// Silence after which a process is suspected. A wrong suspicion costs little: another coordinator takes over.
    pub suspect_after: Duration,
    /// Decided instances after which a checkpoint replaces the log.
    pub snapshot_entries: u64,
    /// A deliberate defect, for tests of the judges and for demonstrations.
    pub mutation: Option<Mutation>,
}
