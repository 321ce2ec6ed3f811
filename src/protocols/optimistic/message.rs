//! Messages, with the names of the specification.

use std::rc::Rc;

use super::entry::{Entry, Journaled};
use super::log::Image;
use crate::hash;
use crate::id::{DcId, NodeId};
use crate::op::Tip;

/// A view: who replicates for whom. It is installed without a quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub epoch: u64,
    /// Coordinator of its change and primary.
    pub coordinator: NodeId,
    /// 64 random bits of the coordinator's present life.
    pub incarnation: u64,
    /// Ascending.
    pub members: Vec<NodeId>,
}

/// Names a view. Ordered by epoch first: for adoption that is only a filter for freshness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ViewId {
    pub epoch: u64,
    pub coordinator: NodeId,
    pub incarnation: u64,
    /// A hash of members and primary.
    pub digest: u64,
}

impl View {
    pub fn id(&self) -> ViewId {
        let members = self.members.iter().map(|node| u64::from(node.0));
        let digest = hash::of([u64::from(self.coordinator.0)].into_iter().chain(members));
        ViewId { epoch: self.epoch, coordinator: self.coordinator, incarnation: self.incarnation, digest }
    }
    pub fn has(&self, node: NodeId) -> bool {
        self.members.binary_search(&node).is_ok()
    }
    /// Whether it could be a view of `me` at all.
    pub fn is_typed_for(&self, me: NodeId, epoch_max: u64) -> bool {
        self.has(me)
            && self.has(self.coordinator)
            && self.epoch > 0
            && self.epoch < epoch_max
            && self.members.windows(2).all(|pair| pair[0] < pair[1])
    }
}

/// What a node says of itself every P.
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    pub incarnation: u64,
    pub view: Option<ViewId>,
    /// Members of the installed view.
    pub members: u32,
    pub incumbent: bool,
    /// Whom the sender follows; `None` while it listens after a boot, or cannot lead and sees no leader.
    pub candidate: Option<NodeId>,
    /// The sender's place in the order of preference, 0 first.
    pub place: u16,
    /// The sender's storage failed lately: it follows, and is to be left out of views.
    pub impaired: bool,
    /// The sender was taken out of the replica set and has handed over: its history is no reason to take it in.
    pub retired: bool,
    pub trusted: Vec<NodeId>,
    /// Durable end of the log.
    pub tip: Tip,
    /// How far the sender holds its candidate's chain beside its own.
    pub synced: Option<Tip>,
    /// The primary's compaction floor.
    pub floor: u64,
    /// Requests executed since the last heartbeat.
    pub load: u32,
    pub data_center: DcId,
}

/// Entries, perhaps on an image, that continue a history after `from`.
#[derive(Clone, Debug)]
pub struct Delta {
    pub from: Tip,
    /// Replaces everything up to its tip (which is then `from`).
    pub image: Option<Rc<Image>>,
    pub entries: Vec<Rc<Entry>>,
}

impl Delta {
    pub fn bytes(&self) -> u64 {
        let image = self.image.as_ref().map_or(0, |image| image.state.bytes());
        16 + image + self.entries.iter().map(|entry| u64::from(entry.bytes())).sum::<u64>()
    }
    pub fn tip(&self) -> Tip {
        self.entries.last().map_or(self.from, |last| Tip {
            length: self.from.length.saturating_add(self.entries.len() as u64),
            hash: last.hash,
        })
    }
}

#[derive(Clone, Debug)]
pub enum Message {
    Heartbeat(Rc<Heartbeat>),
    /// From a leader to the whole directory: so that sides which both reconfigured meet again.
    Beacon {
        view: ViewId,
        tip: Tip,
        replica_set: Rc<[NodeId]>,
    },
    Propose {
        view: Rc<View>,
        reset: bool,
    },
    /// `synced`: how far the sender holds the coordinator's chain.
    ViewAck {
        view: ViewId,
        tip: Tip,
        ancestry: Rc<[Tip]>,
        synced: Option<Tip>,
    },
    /// The proposal or installation is refused; `epoch` is the greatest that the sender knows.
    ViewNack {
        view: ViewId,
        epoch: u64,
    },
    /// Asks for the receiver's chain after the first of these positions that it passes through.
    Fetch {
        have: Rc<[Tip]>,
    },
    /// `tip` is the sender's; `done` when the entries reach it.
    Branch {
        delta: Rc<Delta>,
        tip: Tip,
        done: bool,
    },
    Install {
        view: Rc<View>,
        delta: Rc<Delta>,
    },
    Replicate(Replicate),
    ReplicateAck(ReplicateAck),
    /// From a primary that stands down to the members of its view, `successor` among them, who holds all that
    /// it has.
    TakeOver {
        view: ViewId,
        successor: NodeId,
    },
    /// From a member to its primary: writes that a bad link cut off its log, and that no log accounts for.
    Quarantined {
        view: ViewId,
        writes: Rc<[Journaled]>,
    },
}

/// New entries of the primary's log, or none, to ask where the member is.
#[derive(Clone, Debug)]
pub struct Replicate {
    pub view: ViewId,
    /// Where the entries start.
    pub base: Tip,
    pub entries: Rc<[Rc<Entry>]>,
    /// The latest round of confirmations that the primary asks for.
    pub probe: u64,
    /// Entries up to here may be compacted.
    pub floor: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct ReplicateAck {
    pub view: ViewId,
    pub incarnation: u64,
    /// Durable at the sender.
    pub tip: Tip,
    pub probe: u64,
    /// Entries are missing before the ones just received.
    pub gap: bool,
}

impl Message {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Heartbeat(_) => "Heartbeat",
            Self::Beacon { .. } => "Beacon",
            Self::Propose { .. } => "Propose",
            Self::ViewAck { .. } => "ViewAck",
            Self::ViewNack { .. } => "ViewNack",
            Self::Fetch { .. } => "Fetch",
            Self::Branch { .. } => "Branch",
            Self::Install { .. } => "Install",
            Self::Replicate(_) => "Replicate",
            Self::ReplicateAck(_) => "ReplicateAck",
            Self::TakeOver { .. } => "TakeOver",
            Self::Quarantined { .. } => "Quarantined",
        }
    }

    /// Bytes on the wire, headers included. Saturates at 4 GiB.
    pub fn bytes(&self) -> u32 {
        let nodes = |nodes: &[NodeId]| 4 * nodes.len() as u64;
        let body = match self {
            Self::Heartbeat(beat) => 96 + nodes(&beat.trusted),
            Self::Beacon { replica_set, .. } => 48 + nodes(replica_set),
            Self::Propose { view, .. } => 32 + nodes(&view.members),
            Self::ViewAck { ancestry, .. } => 64 + 16 * ancestry.len() as u64,
            Self::ViewNack { .. } => 40,
            Self::Fetch { have } => 16 * have.len() as u64,
            Self::Branch { delta, .. } => 24 + delta.bytes(),
            Self::Install { view, delta } => 32 + nodes(&view.members) + delta.bytes(),
            Self::Replicate(Replicate { entries, .. }) => {
                64 + entries.iter().map(|entry| u64::from(entry.bytes())).sum::<u64>()
            }
            Self::ReplicateAck(_) => 72,
            Self::TakeOver { .. } => 40,
            Self::Quarantined { writes, .. } => 40 + writes.iter().map(|one| u64::from(one.bytes())).sum::<u64>(),
        };
        u32::try_from(48 + body).unwrap_or(u32::MAX)
    }
}
