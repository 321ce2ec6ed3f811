//! What replicas say to each other, and what they write down, under the papers' names.

use std::rc::Rc;

use super::log::{Configuration, Entry, Epochs, Part};
use crate::protocols::store::Store;

/// A view: views of a later epoch are later. The paper starts the view-number again with each epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct View {
    pub epoch: u64,
    /// The view-number.
    pub number: u64,
}

impl View {
    pub const fn next(self) -> Self {
        Self { epoch: self.epoch, number: self.number + 1 }
    }
    /// One number for observers, in the order of views.
    pub const fn ordinal(self) -> u64 {
        (self.epoch << 32) + self.number
    }
}

/// What a replica says of its log in a view change.
#[derive(Clone, Debug)]
pub struct Vote {
    /// The latest view in which its status was normal: v' of the paper.
    pub last_normal: View,
    /// Its op-number.
    pub op: u64,
    /// Its commit-number.
    pub commit: u64,
    /// The end of its log (section 5.3): what it does not know to be committed, or more if it was asked.
    pub log: Part,
}

/// The part of a recovery response that only the primary gives.
#[derive(Clone, Debug)]
pub struct Whole {
    pub log: Part,
    pub commit: u64,
}

/// A message. Where the paper sends the op-number of a log, here the end of the log is it.
#[derive(Clone, Debug)]
pub enum Message {
    /// From the primary: the operations after position `after`.
    Prepare {
        view: View,
        after: u64,
        entries: Rc<[Entry]>,
        commit: u64,
    },
    /// From a backup: it holds all operations up to `op` durably.
    PrepareOk {
        view: View,
        op: u64,
    },
    /// From a primary that has nothing to prepare.
    Commit {
        view: View,
        commit: u64,
    },
    StartViewChange {
        view: View,
    },
    DoViewChange {
        view: View,
        vote: Rc<Vote>,
    },
    StartView {
        view: View,
        log: Part,
        commit: u64,
    },
    /// Asks for what follows `op`, of a replica in this view or a later one.
    GetState {
        view: View,
        op: u64,
    },
    NewState {
        view: View,
        log: Part,
        commit: u64,
    },
    Recovery {
        nonce: u64,
    },
    RecoveryResponse {
        nonce: u64,
        view: View,
        epochs: Epochs,
        /// From the primary of the view.
        whole: Option<Rc<Whole>>,
    },
    /// A later epoch began.
    StartEpoch {
        epochs: Epochs,
    },
    /// To the replicas that this epoch replaced.
    EpochStarted {
        epoch: u64,
    },
}

/// A record on the disk.
#[derive(Clone, Debug)]
pub enum Record {
    /// The disk was prepared for the service.
    Installed,
    /// Operations after position `after`: whatever was there before is dropped. With them the numbers of
    /// section 4, and the configuration if it changed.
    State { view: View, last_normal: View, commit: u64, after: u64, entries: Rc<[Entry]>, epochs: Option<Epochs> },
    /// Replaces everything: a checkpoint of the application state, and the operations after it.
    Image { view: View, last_normal: View, store: Rc<Store>, entries: Rc<[Entry]>, epochs: Epochs },
}

fn entries_bytes(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| u64::from(entry.bytes())).sum()
}

fn part_bytes(part: &Part) -> u64 {
    part.image.as_ref().map_or(0, |store| store.bytes()) + entries_bytes(&part.entries)
}

fn configuration_bytes(configuration: &Configuration) -> u64 {
    32 + 8 * configuration.members.len() as u64
}

fn epochs_bytes(epochs: &Epochs) -> u64 {
    configuration_bytes(&epochs.current) + configuration_bytes(&epochs.previous)
}

impl Message {
    /// A header of 40 B for addresses and kind, then numbers of 8 B and what else it carries.
    pub fn bytes(&self) -> u32 {
        let body = match self {
            Self::Prepare { entries, .. } => 32 + entries_bytes(entries),
            Self::PrepareOk { .. } | Self::Commit { .. } | Self::GetState { .. } => 24,
            Self::StartViewChange { .. } => 16,
            Self::DoViewChange { vote, .. } => 56 + part_bytes(&vote.log),
            Self::StartView { log, .. } | Self::NewState { log, .. } => 40 + part_bytes(log),
            Self::Recovery { .. } | Self::EpochStarted { .. } => 8,
            Self::RecoveryResponse { epochs, whole, .. } => {
                24 + epochs_bytes(epochs) + whole.as_ref().map_or(0, |whole| 16 + part_bytes(&whole.log))
            }
            Self::StartEpoch { epochs } => epochs_bytes(epochs),
        };
        u32::try_from(40 + body).unwrap_or(u32::MAX)
    }

    pub const fn name(&self) -> &'static str {
        match self {
            Self::Prepare { .. } => "Prepare",
            Self::PrepareOk { .. } => "PrepareOk",
            Self::Commit { .. } => "Commit",
            Self::StartViewChange { .. } => "StartViewChange",
            Self::DoViewChange { .. } => "DoViewChange",
            Self::StartView { .. } => "StartView",
            Self::GetState { .. } => "GetState",
            Self::NewState { .. } => "NewState",
            Self::Recovery { .. } => "Recovery",
            Self::RecoveryResponse { .. } => "RecoveryResponse",
            Self::StartEpoch { .. } => "StartEpoch",
            Self::EpochStarted { .. } => "EpochStarted",
        }
    }

    /// The view of a message that only replicas of the same epoch talk about.
    pub const fn view(&self) -> Option<View> {
        match self {
            Self::Prepare { view, .. }
            | Self::PrepareOk { view, .. }
            | Self::Commit { view, .. }
            | Self::StartViewChange { view }
            | Self::DoViewChange { view, .. }
            | Self::StartView { view, .. }
            | Self::GetState { view, .. }
            | Self::NewState { view, .. } => Some(*view),
            Self::Recovery { .. }
            | Self::RecoveryResponse { .. }
            | Self::StartEpoch { .. }
            | Self::EpochStarted { .. } => None,
        }
    }
}

impl Record {
    pub fn bytes(&self) -> u32 {
        let body = match self {
            Self::Installed => 8,
            Self::State { entries, epochs, .. } => {
                48 + entries_bytes(entries) + epochs.as_ref().map_or(0, epochs_bytes)
            }
            Self::Image { store, entries, epochs, .. } => {
                32 + store.bytes() + entries_bytes(entries) + epochs_bytes(epochs)
            }
        };
        u32::try_from(16 + body).unwrap_or(u32::MAX)
    }
}
