//! What a scenario chooses of dynamic voting.

use super::Mutation;
use crate::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// Silence after which a member is suspected.
    pub suspect_after: Duration,
    /// How long a wish for another view must last before it is proposed.
    pub stable_after: Duration,
    /// For a view change, plus the largest round trip.
    pub view_deadline: Duration,
    /// Entries after which a checkpoint replaces the log.
    pub snapshot_entries: u64,
    /// A deliberate defect, for tests of the judges and for demonstrations.
    pub mutation: Option<Mutation>,
}
