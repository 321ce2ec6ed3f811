//! What may happen next, and the payloads of what is under way.

use crate::id::{DcId, NodeId, ServiceId};
use crate::op::{Outcome, Request, WriteKey};

use super::fault::Endpoint;
use super::faults::FaultKey;
use super::front::{ClientRequest, Passage};

/// What happens next. Payloads wait in slabs, so an event takes 16 bytes unless the front's are larger.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<W: Copy> {
    Wake(W),
    Message(u32),
    Letter(u32),
    Timeout {
        replica: u32,
        slot: u32,
    },
    Served(NodeId),
    Synced(NodeId),
    /// A machine has booted, or has shut down.
    Powered(NodeId),
    /// A packet reaches the management controller of a machine.
    WakePacket {
        from: NodeId,
        to: NodeId,
    },
    Bulletin(u32),
    FaultBegins(FaultKey),
    FaultEnds(FaultKey),
    FlapTurns {
        by: FaultKey,
        down: bool,
    },
    Reconfigure(u32),
    LinkLost {
        pair: u32,
        generation: u32,
    },
    LinkBack {
        pair: u32,
        generation: u32,
    },
    /// Where [`World::run_until`] stops. It is no part of the run.
    Stop,
}

/// A protocol message under way.
pub(super) struct Flight<T> {
    pub service: ServiceId,
    pub from: NodeId,
    pub to: NodeId,
    /// Of the receiver's process when it was sent, or of the next one if none ran.
    pub incarnation: u32,
    /// Of the connection that carries it, when it was sent.
    pub session: u32,
    /// The replica there when it was sent, or the next one if there was none.
    pub tenant: u32,
    pub message: T,
}

/// Tells the clients of a place where a service is.
pub(super) struct Bulletin {
    pub service: ServiceId,
    pub place: DcId,
    pub server: NodeId,
    pub replicas: Vec<NodeId>,
}

/// What passes between a client's place and a machine.
#[derive(Clone, Copy, Debug)]
pub(super) enum Letter {
    Request { who: ClientRequest, server: NodeId, request: Request },
    Answer { to: ClientRequest, server: NodeId, outcome: Outcome },
    Told { service: ServiceId, place: DcId, server: NodeId, write: WriteKey },
    Acknowledge { service: ServiceId, place: DcId, server: NodeId, write: WriteKey },
}

impl Letter {
    pub fn service(&self) -> ServiceId {
        match *self {
            Self::Request { who, .. } | Self::Answer { to: who, .. } => who.service,
            Self::Told { service, .. } | Self::Acknowledge { service, .. } => service,
        }
    }
    pub fn passage(&self) -> Passage {
        let (from, to) = self.way();
        let attempt = match *self {
            Self::Request { who, .. } | Self::Answer { to: who, .. } => Some(who),
            Self::Told { .. } | Self::Acknowledge { .. } => None,
        };
        Passage { service: self.service(), from, to, name: self.name(), attempt }
    }
    pub fn name(&self) -> &'static str {
        match self {
            Self::Request { .. } => "Request",
            Self::Answer { .. } => "Reply",
            Self::Told { .. } => "Revoked",
            Self::Acknowledge { .. } => "RevokedAck",
        }
    }
    /// (from, to)
    pub fn way(&self) -> (Endpoint, Endpoint) {
        match *self {
            Self::Request { who: ClientRequest { place, .. }, server, .. }
            | Self::Acknowledge { place, server, .. } => (Endpoint::Place(place), Endpoint::Node(server)),
            Self::Answer { to: ClientRequest { place, .. }, server, .. } | Self::Told { place, server, .. } => {
                (Endpoint::Node(server), Endpoint::Place(place))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_takes_sixteen_bytes_with_a_wake_of_twelve() {
        assert_eq!(size_of::<Event<[u32; 3]>>(), 16);
    }
}
