//! What replicas say to each other and write on their disks.

use std::rc::Rc;

use super::view::{Standing, View};
use crate::id::NodeId;
use crate::protocols::store::{Store, Update};

/// A log, as it is handed to who lacks part of it: a committed state, or only its length if the receiver has
/// that much, and the updates after it.
#[derive(Clone, Debug)]
pub struct Log {
    pub image: Option<Rc<Store>>,
    pub base: u64,
    pub updates: Rc<[Update]>,
}

impl Log {
    fn bytes(&self) -> u64 {
        let image = self.image.as_ref().map_or(0, |store| store.bytes());
        8 + image + updates_bytes(&self.updates)
    }
}

fn updates_bytes(updates: &[Update]) -> u64 {
    updates.iter().map(|update| u64::from(update.bytes())).sum()
}

/// To the failure detectors, with everything that the rule asks for.
#[derive(Clone, Debug)]
pub struct Alive {
    pub standing: Standing,
    pub promised: u64,
    pub hears: Rc<[NodeId]>,
    /// With those whom it trusts, the sender may form a view.
    pub able: bool,
    /// The primary of its view, if it trusts it.
    pub follows: Option<NodeId>,
}

/// A message. `number` is of a view, installed or wanted.
#[derive(Clone, Debug)]
pub enum Message {
    Alive(Rc<Alive>),
    /// First phase of a view change: leave your view, and say where you stand.
    Propose {
        number: u64,
    },
    Accept {
        number: u64,
        standing: Standing,
    },
    /// Its sender has promised itself to a later proposal.
    Refuse {
        number: u64,
        promised: u64,
    },
    /// The coordinator lacks what this participant has.
    Fetch {
        number: u64,
        committed: u64,
    },
    Fetched {
        number: u64,
        log: Log,
    },
    /// Second phase: this view is attempted, on this log.
    Attempt {
        view: Rc<View>,
        log: Log,
    },
    Attempted {
        number: u64,
    },
    /// Every member recorded the attempt: the view is installed, and its log is committed.
    Install {
        number: u64,
    },
    /// From the primary: updates after position `base`; those up to `committed` are on every member.
    Updates {
        number: u64,
        base: u64,
        updates: Rc<[Update]>,
        committed: u64,
    },
    /// From a member: the durable end of its log.
    Holds {
        number: u64,
        length: u64,
    },
    /// For reads: are you still in this view?
    Confirm {
        number: u64,
        round: u64,
    },
    Confirmed {
        number: u64,
        round: u64,
    },
}

impl Message {
    /// Bytes on the wire; saturates at 4 GiB.
    pub fn bytes(&self) -> u32 {
        let body = match self {
            Self::Alive(alive) => 16 + alive.standing.bytes() + 4 * alive.hears.len() as u64,
            Self::Accept { standing, .. } => 8 + standing.bytes(),
            Self::Fetched { log, .. } => 8 + log.bytes(),
            Self::Attempt { view, log } => view.bytes() + log.bytes(),
            Self::Updates { updates, .. } => 24 + updates_bytes(updates),
            _ => 16,
        };
        u32::try_from(48 + body).unwrap_or(u32::MAX)
    }

    pub const fn name(&self) -> &'static str {
        match self {
            Self::Alive(_) => "Alive",
            Self::Propose { .. } => "Propose",
            Self::Accept { .. } => "Accept",
            Self::Refuse { .. } => "Refuse",
            Self::Fetch { .. } => "Fetch",
            Self::Fetched { .. } => "Fetched",
            Self::Attempt { .. } => "Attempt",
            Self::Attempted { .. } => "Attempted",
            Self::Install { .. } => "Install",
            Self::Updates { .. } => "Updates",
            Self::Holds { .. } => "Holds",
            Self::Confirm { .. } => "Confirm",
            Self::Confirmed { .. } => "Confirmed",
        }
    }
}

/// A record on the disk.
#[derive(Clone, Debug)]
pub enum Record {
    /// The disk was prepared for the service: everybody is in its first view.
    Prepared,
    /// It takes part in no view, and in no change, of a lower number from now on.
    Promised(u64),
    /// A view was attempted, on this log; `None`: on the one that is here.
    Attempted { view: Rc<View>, log: Option<Log> },
    /// The last attempted view is installed.
    Installed { number: u64 },
    /// Updates after position `base`: whatever was there before is dropped.
    Updates { base: u64, updates: Vec<Update> },
    /// Replaces everything.
    Image { store: Rc<Store>, updates: Rc<[Update]>, standing: Standing, promised: u64 },
}

impl Record {
    /// Bytes on the disk; saturates at 4 GiB.
    pub fn bytes(&self) -> u32 {
        let body = match self {
            Self::Prepared | Self::Promised(_) | Self::Installed { .. } => 8,
            Self::Attempted { view, log } => view.bytes() + log.as_ref().map_or(0, Log::bytes),
            Self::Updates { updates, .. } => 8 + updates_bytes(updates),
            Self::Image { store, updates, standing, .. } => {
                8 + store.bytes() + updates_bytes(updates) + standing.bytes()
            }
        };
        u32::try_from(16 + body).unwrap_or(u32::MAX)
    }
}
