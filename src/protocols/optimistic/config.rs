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
}

/// A node of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub node: NodeId,
    pub data_center: DcId,
    /// Among nodes outside of the replica set greater is preferred; within it its order counts.
    pub priority: u32,
}

crate::protocols::mutations! {
    AdoptUnconditionally "adopt-unconditionally"
        "A member adopts an installation whether or not it was asked for and covers its own tip."
    NoEpochReset "no-epoch-reset"
        "Nothing is reset when epochs wrap."
    TrustTheFuture "trust-the-future"
        "A replica believes that it heard from a peer at a time that is still to come."
    OneWayTrust "one-way-trust"
        "A replica trusts whoever it hears, mutual or not."
    AckBeforeReplication "ack-before-replication"
        "The primary acknowledges a write before any member has it."
    NoTailRule "no-tail-rule"
        "A merge ranks branches without the tail rule, so that the unfinished end of a dead primary may win."
    FinishAtFirstDeadline "finish-at-first-deadline"
        "A view change ends without whoever is missing at its first deadline."
    RefreshAfterGap "refresh-after-gap"
        "After a gap a replica believes that it has just heard everybody."
    AnswerRepeatsAtOnce "answer-repeats-at-once"
        "A repeated write is answered at once, whether or not the ack rule holds."
    AckBeforeSync "ack-before-sync"
        "A member acknowledges replication before it is durable."
    HeartbeatOwnSetOnly "heartbeat-own-set-only"
        "Heartbeats and beacons go to the own replica set only."
    DropReplicateAcks "drop-replicate-acks"
        "The replica that is placed last never says that it holds what was replicated to it."
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
