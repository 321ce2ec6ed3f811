//! What replicas say to each other and write on their disks.

use std::rc::Rc;

use crate::id::NodeId;
use crate::protocols::store::{Store, Update};

/// What an instance of the consensus decides: the result of `giv()` at the process that evaluated it.
///
/// The proposer is part of what is decided. It names the coordinator of the next instance's first round, who
/// proposes without asking for estimates, so all processes must agree on it; who *coordinated* the round that
/// decided would not do, because one value may be decided in two rounds, under two coordinators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Counts the changes of proposer along the sequence of decisions.
    pub epoch: u64,
    pub proposer: NodeId,
    /// In order of execution. Empty: it only confirms reads, or makes its proposer the next coordinator.
    pub updates: Vec<Update>,
}

impl Value {
    fn bytes(&self) -> u64 {
        16 + self.updates.iter().map(|update| u64::from(update.bytes())).sum::<u64>()
    }
}

/// The state after a number of decided instances.
#[derive(Clone, Debug)]
pub struct Image {
    pub store: Store,
    pub decided: u64,
    pub epoch: u64,
    pub proposer: NodeId,
}

/// A message. Instances and rounds count from 1.
#[derive(Clone, Debug)]
pub enum Message {
    /// Phase 1: who has entered a round tells its coordinator what it adopted last in this instance, and in
    /// which round (0: nothing yet).
    Estimate { instance: u64, round: u64, estimate: Option<Rc<Value>>, adopted: u64 },
    /// Phase 2: the coordinator's proposal. The instance before was decided in round `after`.
    Propose { instance: u64, round: u64, value: Rc<Value>, after: u64 },
    /// Phase 3: the proposal was adopted, durably.
    Ack { instance: u64, round: u64 },
    /// Phase 3: its sender has left the round for this one.
    Nack { instance: u64, round: u64 },
    /// Phase 4: what was proposed in this round is decided.
    Decide { instance: u64, round: u64 },
    /// To the failure detectors: `decided` instances, a round in the next one, whom the sender hears, and whether
    /// these are a majority that hears it.
    Alive { decided: u64, round: u64, hears: Rc<[NodeId]>, able: bool },
    /// Asks for decisions after these.
    Want { decided: u64 },
    /// Decisions after instance `base`.
    Decisions { base: u64, values: Vec<Rc<Value>> },
    /// To who lacks decisions that are no longer kept.
    State { image: Rc<Image> },
    /// From who lost its disk: which instance is each in? `joins`: it may vote in instances from this one on,
    /// once those before are decided.
    Lost { nonce: u64, joins: Option<u64> },
    /// The answer: the instance that its sender is in.
    Instance { nonce: u64, instance: u64 },
}

impl Message {
    /// Bytes on the wire; saturates at 4 GiB.
    pub fn bytes(&self) -> u32 {
        let body = match self {
            Self::Estimate { estimate, .. } => 32 + estimate.as_ref().map_or(0, |value| value.bytes()),
            Self::Propose { value, .. } => 32 + value.bytes(),
            Self::Alive { hears, .. } => 24 + 4 * hears.len() as u64,
            Self::Decisions { values, .. } => 8 + values.iter().map(|value| value.bytes()).sum::<u64>(),
            Self::State { image } => 32 + image.store.bytes(),
            _ => 16,
        };
        u32::try_from(48 + body).unwrap_or(u32::MAX)
    }

    pub const fn name(&self) -> &'static str {
        match self {
            Self::Estimate { .. } => "Estimate",
            Self::Propose { .. } => "Propose",
            Self::Ack { .. } => "Ack",
            Self::Nack { .. } => "Nack",
            Self::Decide { .. } => "Decide",
            Self::Alive { .. } => "Alive",
            Self::Want { .. } => "Want",
            Self::Decisions { .. } => "Decisions",
            Self::State { .. } => "State",
            Self::Lost { .. } => "Lost",
            Self::Instance { .. } => "Instance",
        }
    }
}

/// A record on the disk.
///
/// That an instance was decided has no record of its own: one of a later instance says so, because nobody
/// enters an instance before the one before is decided. A process that starts again is told the rest.
#[derive(Clone, Debug)]
pub enum Record {
    /// The disk was prepared for the service.
    Installed,
    /// The process entered a round: it will adopt nothing of an earlier one.
    Round { instance: u64, round: u64 },
    /// The process adopted what the coordinator of the round proposed.
    Adopted { instance: u64, round: u64, value: Rc<Value> },
    /// Decisions after instance `base` that others told of.
    Learnt { base: u64, values: Vec<Rc<Value>> },
    /// Replaces everything. `estimate`: what was adopted in the instance after the image, and in which round.
    Checkpoint { image: Rc<Image>, round: u64, estimate: Option<Rc<Value>>, adopted: u64 },
}

impl Record {
    /// Bytes on the disk; saturates at 4 GiB.
    pub fn bytes(&self) -> u32 {
        let body = match self {
            Self::Installed => 8,
            Self::Round { .. } => 16,
            Self::Adopted { value, .. } => 16 + value.bytes(),
            Self::Learnt { values, .. } => 8 + values.iter().map(|value| value.bytes()).sum::<u64>(),
            Self::Checkpoint { image, estimate, .. } => {
                48 + image.store.bytes() + estimate.as_ref().map_or(0, |value| value.bytes())
            }
        };
        u32::try_from(16 + body).unwrap_or(u32::MAX)
    }
}
