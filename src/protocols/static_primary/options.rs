//! What a scenario chooses of the static primary.

use crate::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The primary repeats what a backup has not acknowledged, and says that it is there, this often.
    pub heartbeat: Duration,
    /// Entries after which a checkpoint replaces the log.
    pub snapshot_entries: u64,
}
