//! What replicas send each other: the crate's messages, and those that carry a configuration to the next.

use std::rc::Rc;

use omnipaxos::messages::Message as Inner;
use omnipaxos::messages::ballot_leader_election::HeartbeatMsg;
use omnipaxos::messages::sequence_paxos::{Compaction, PaxosMsg};
use omnipaxos::storage::SnapshotType;
use omnipaxos::util::LogSync;

use super::configuration::Configuration;
use super::disk::stop_sign_bytes;
use super::entry::Entry;
use crate::protocols::store::Store;

/// A message.
#[derive(Clone, Debug)]
pub enum Message {
    /// The crate's, within a configuration.
    Within {
        configuration: u32,
        message: Box<Inner<Entry>>,
    },
    /// A leader that was asked for another configuration asks who somebody is.
    Identify,
    Identity {
        identity: u64,
    },
    /// The sender knows of this configuration, which it believes the receiver to lack.
    Newer {
        configuration: u32,
    },
    /// The sender takes part in this configuration already.
    Joined {
        configuration: u32,
    },
    /// The sender lacks the newest configuration, and asks for it.
    Lacks,
    /// A configuration, and a state that was decided before it or in it.
    Handover {
        configuration: Configuration,
        store: Rc<Store>,
    },
}

/// Headers of a message: link, network, transport and this protocol's own.
const HEADER: u64 = 72;
/// A ballot: configuration, number, priority and process.
const BALLOT: u64 = 20;

impl Message {
    pub fn bytes(&self) -> u32 {
        let body = match self {
            Self::Within { message, .. } => 4 + inner_bytes(message),
            Self::Identify | Self::Lacks => 0,
            Self::Identity { .. } => 8,
            Self::Newer { .. } | Self::Joined { .. } => 4,
            Self::Handover { configuration, store } => configuration.bytes() + store.bytes(),
        };
        u32::try_from(HEADER + body).unwrap_or(u32::MAX)
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Within { message, .. } => inner_name(message),
            Self::Identify => "Identify",
            Self::Identity { .. } => "Identity",
            Self::Newer { .. } => "Newer",
            Self::Joined { .. } => "Joined",
            Self::Lacks => "Lacks",
            Self::Handover { .. } => "Handover",
        }
    }

    /// Whether it may leave before what was written is durable: heartbeats rest on no write, and so do those
    /// who only ask.
    pub fn is_free(&self) -> bool {
        match self {
            Self::Within { message, .. } => matches!(**message, Inner::BLE(_)),
            Self::Identify | Self::Lacks => true,
            Self::Identity { .. } | Self::Newer { .. } | Self::Joined { .. } | Self::Handover { .. } => false,
        }
    }
}

fn inner_name(message: &Inner<Entry>) -> &'static str {
    match message {
        Inner::SequencePaxos(one) => match one.msg {
            PaxosMsg::PrepareReq(_) => "PrepareReq",
            PaxosMsg::Prepare(_) => "Prepare",
            PaxosMsg::Promise(_) => "Promise",
            PaxosMsg::AcceptSync(_) => "AcceptSync",
            PaxosMsg::AcceptDecide(_) => "AcceptDecide",
            PaxosMsg::Accepted(_) => "Accepted",
            PaxosMsg::NotAccepted(_) => "NotAccepted",
            PaxosMsg::Decide(_) => "Decide",
            PaxosMsg::ProposalForward(_) => "ProposalForward",
            PaxosMsg::Compaction(_) => "Compaction",
            PaxosMsg::AcceptStopSign(_) => "AcceptStopSign",
            PaxosMsg::ForwardStopSign(_) => "ForwardStopSign",
        },
        Inner::BLE(one) => match one.msg {
            HeartbeatMsg::Request(_) => "HeartbeatRequest",
            HeartbeatMsg::Reply(_) => "HeartbeatReply",
        },
    }
}

fn inner_bytes(message: &Inner<Entry>) -> u64 {
    match message {
        Inner::SequencePaxos(one) => paxos_bytes(&one.msg),
        Inner::BLE(one) => match one.msg {
            HeartbeatMsg::Request(_) => 8,
            HeartbeatMsg::Reply(_) => 8 + 2 * BALLOT + 1,
        },
    }
}

fn entries_bytes(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| u64::from(entry.bytes())).sum()
}

fn sync_bytes(sync: &LogSync<Entry>) -> u64 {
    let snapshot = match &sync.decided_snapshot {
        Some(SnapshotType::Complete(state) | SnapshotType::Delta(state)) => state.bytes(),
        None => 0,
    };
    16 + snapshot + entries_bytes(&sync.suffix) + sync.stopsign.as_ref().map_or(0, |stop| stop_sign_bytes(Some(stop)))
}

fn paxos_bytes(message: &PaxosMsg<Entry>) -> u64 {
    match message {
        PaxosMsg::PrepareReq(_) | PaxosMsg::NotAccepted(_) => BALLOT,
        PaxosMsg::Prepare(_) => 2 * BALLOT + 16,
        PaxosMsg::Promise(promise) => 2 * BALLOT + 16 + promise.log_sync.as_ref().map_or(0, sync_bytes),
        PaxosMsg::AcceptSync(sync) => BALLOT + 24 + sync_bytes(&sync.log_sync),
        PaxosMsg::AcceptDecide(accept) => BALLOT + 24 + entries_bytes(&accept.entries),
        PaxosMsg::Accepted(_) => BALLOT + 8,
        PaxosMsg::Decide(_) => BALLOT + 24,
        PaxosMsg::ProposalForward(entries) => 8 + entries_bytes(entries),
        PaxosMsg::Compaction(Compaction::Trim(_) | Compaction::Snapshot(_)) => 16,
        PaxosMsg::AcceptStopSign(accept) => BALLOT + 16 + stop_sign_bytes(Some(&accept.ss)),
        PaxosMsg::ForwardStopSign(stop) => stop_sign_bytes(Some(stop)),
    }
}
