//! What clients saw: the events of a history.

use crate::id::{ClientId, DcId, NodeId, ServiceId};
use crate::op::{Answer, Op, Tip};
use crate::time::SimTime;

/// One event in the life of a client's operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: SimTime,
    pub service: ServiceId,
    pub place: DcId,
    pub client: ClientId,
    /// Reads and writes of a client are numbered apart, each from 1.
    pub number: u32,
    pub op: Op,
    /// When the operation was invoked.
    pub invoked: SimTime,
    pub what: What,
}

/// Jepsen's vocabulary, and `Revoked`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The client asked.
    Invoke,
    /// The final answer came before the deadline.
    Ok { answer: Answer, server: NodeId, epoch: u64, token: Tip, degraded: bool },
    /// Certainly not executed: every attempt was refused, or the number or session was.
    Fail,
    /// The deadline passed; it may or may not have been executed.
    Info,
    /// The client was told that this write was revoked.
    Revoked { server: NodeId },
    /// A replica did not cover what the session had seen (an attempt, not an outcome).
    Regressed { server: NodeId },
}
