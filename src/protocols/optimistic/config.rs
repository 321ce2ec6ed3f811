//! What a replica is told once and cannot be corrupted: the directory, its own place in it, constants.

use super::options::Options;
use crate::id::{DcId, NodeId};
use crate::time::Duration;

/// The configuration of one replica.
#[derive(Clone, Debug)]
pub struct Config {
    pub options: Options,
    pub me: NodeId,
    /// All nodes that may ever hold a replica of this service, this one included.
    pub directory: Vec<Peer>,
    /// The replica set of an empty log, the preferred primary first. For a newcomer, which is to be taken in by
    /// replicas that are there already: these, and not itself.
    pub replica_set: Vec<NodeId>,
    /// The largest round trip between two nodes of the directory.
    pub round_trip_max: Duration,
    /// A deliberate defect, for tests and demonstrations of the checkers.
    pub mutation: Option<Mutation>,
}

/// A node of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub node: NodeId,
    pub data_center: DcId,
    /// Among nodes outside of the replica set greater is preferred; within it its order counts.
    pub priority: u32,
}

/// Deliberate defects (protocol specification, section 6): each must make a checker say no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Adopt an installation whether or not it was asked for and covers the own tip.
    AdoptUnconditionally,
    /// Reset nothing when epochs wrap.
    NoEpochReset,
    /// Trust a heard time that lies in the future.
    TrustTheFuture,
    /// Trust whoever is heard, mutual or not.
    OneWayTrust,
    /// Acknowledge before replication.
    AckBeforeReplication,
    /// Rank branches without the tail rule.
    NoTailRule,
    /// Finish a view change without the missing at the first deadline.
    FinishAtFirstDeadline,
    /// After a gap, believe that everybody was just heard.
    RefreshAfterGap,
    /// Answer repeated writes at once, whether or not the ack rule holds.
    AnswerRepeatsAtOnce,
    /// Acknowledge replication before it is durable.
    AckBeforeSync,
    /// Heartbeats and beacons only to the own replica set.
    HeartbeatOwnSetOnly,
    /// A member whose acknowledgements never leave (set on that member only).
    DropReplicateAcks,
}

impl Mutation {
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::AdoptUnconditionally, "adopt-unconditionally"),
        (Self::NoEpochReset, "no-epoch-reset"),
        (Self::TrustTheFuture, "trust-the-future"),
        (Self::OneWayTrust, "one-way-trust"),
        (Self::AckBeforeReplication, "ack-before-replication"),
        (Self::NoTailRule, "no-tail-rule"),
        (Self::FinishAtFirstDeadline, "finish-at-first-deadline"),
        (Self::RefreshAfterGap, "refresh-after-gap"),
        (Self::AnswerRepeatsAtOnce, "answer-repeats-at-once"),
        (Self::AckBeforeSync, "ack-before-sync"),
        (Self::HeartbeatOwnSetOnly, "heartbeat-own-set-only"),
        (Self::DropReplicateAcks, "drop-replicate-acks"),
    ];
}

impl Config {
    pub fn knows(&self, node: NodeId) -> bool {
        self.peer(node).is_some()
    }

    pub fn peer(&self, node: NodeId) -> Option<&Peer> {
        self.directory.iter().find(|peer| peer.node == node)
    }

    pub fn priority(&self, node: NodeId) -> u32 {
        self.peer(node).map_or(0, |peer| peer.priority)
    }

    /// How long a node neither leads nor answers after a start, so that a late joiner hears an incumbent.
    pub fn listen(&self) -> Duration {
        let heard = self.options.heartbeat.saturating_mul(2) + self.round_trip_max;
        self.options.stable_after.max(heard)
    }

    /// D_view with the largest round trip added.
    pub fn view_deadline(&self) -> Duration {
        self.options.view_deadline + self.round_trip_max
    }

    /// Entries are sent again after this long without an acknowledgement.
    pub fn retransmit_after(&self) -> Duration {
        self.round_trip_max.saturating_mul(2).max(Duration::from_millis(100))
    }
}
