//! What a scenario chooses of Viewstamped Replication.

use super::Mutation;
use crate::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Silence of the primary after which a backup starts a view change.
    pub election_timeout: Duration,
    /// An idle primary sends its commit number this often.
    pub heartbeat: Duration,
    /// Operations after which a checkpoint replaces the log.
    pub snapshot_entries: u64,
    /// A deliberate defect, for tests of the judges and for demonstrations.
    pub mutation: Option<Mutation>,
}
