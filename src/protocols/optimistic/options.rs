//! What a scenario chooses of the mechanism.

use super::Mutation;
use crate::time::Duration;

/// When a write is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// Durable on every member of the view.
    All,
    /// Durable on `copies` members in `data_centers` data centers (or on all, if the view has fewer).
    Copies { copies: u16, data_centers: u16 },
    /// At once, before it is durable anywhere.
    None,
}

/// What happens to the operations of branches that lose a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergePolicy {
    /// All are journaled.
    RankWins,
    /// Executed again in (timestamp, client, number) order; those that no longer hold are journaled.
    Replay,
    /// The later timestamp wins, key by key.
    LastWriterWins,
    /// State join; only for grow-only applications.
    Crdt,
    /// Conflicting values are all kept.
    Siblings,
}

/// Which reads are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadLevel {
    /// Every member confirms the view after the read arrived.
    Latest,
    /// The session's token is covered.
    Session,
    /// Any replica, whatever its age.
    Any,
}

/// All timing and policy constants, as the scenario resolved them (protocol.md section 4, "Starting constants").
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// P.
    pub heartbeat: Duration,
    /// T_suspect.
    pub suspect_after: Duration,
    /// T_stable.
    pub stable_after: Duration,
    /// D_view, to which the largest round trip is added.
    pub view_deadline: Duration,
    /// D_freeze.
    pub freeze: Duration,
    /// T_hold.
    pub hold_down_max: Duration,
    pub ack: Ack,
    pub merge: MergePolicy,
    pub reads: ReadLevel,
    /// E_MAX: epochs wrap here.
    pub epoch_max: u64,
    /// Entries kept for absent members before the most lagging one is evicted.
    pub retain_entries: u64,
    /// Age of the oldest entry kept for absent members before the most lagging one is evicted.
    pub retain_age: Duration,
    /// Entries that may be missing when a node joins a view; more are brought in the background first.
    pub sync_limit: u64,
    /// Sessions silent for this long, by logged time, expire.
    pub session_expiry: Duration,
    /// Timestamps further ahead of the wall clock than this are clamped.
    pub clock_skew_max: Duration,
    /// A deliberate defect, for tests of the judges and for demonstrations.
    pub mutation: Option<Mutation>,
}
