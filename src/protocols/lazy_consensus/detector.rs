//! The failure detector: whom this process holds for able to coordinate.
//!
//! The algorithm needs one of class ◇S: in the end every crashed process is suspected, and some correct one is
//! not. Heartbeats give that wherever delays are bounded in the end. Links here also fail one way, which the
//! paper's reliable channels do not; so a heartbeat says whom its sender hears, and only a process that says
//! that it hears us is trusted. It also says whether its sender is *able*: with those whom it trusts it is a
//! majority. A coordinator that is not can decide nothing, so it is as good as suspected, by itself as well.
//!
//! A suspicion has no effect but on rounds: nobody is excluded, and nothing is to be undone when it was wrong.

use std::collections::BTreeMap;

use crate::id::NodeId;
use crate::time::{Duration, LocalTime};

/// What is known of another process.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// When it was last heard.
    heard: LocalTime,
    /// When it last said that it hears us.
    mutual: LocalTime,
    able: bool,
    trusted: bool,
    /// Instances that it has decided, and its round in the next one.
    pub decided: u64,
    pub round: u64,
}

#[derive(Debug)]
pub struct Detector {
    suspect_after: Duration,
    majority: usize,
    pub peers: BTreeMap<NodeId, Peer>,
}

impl Detector {
    /// At a start everybody is trusted, until there was time to hear from them.
    pub fn new(others: impl Iterator<Item = NodeId>, majority: usize, suspect_after: Duration, now: LocalTime) -> Self {
        let peer = Peer { heard: now, mutual: now, able: true, trusted: true, decided: 0, round: 0 };
        Self { suspect_after, majority, peers: others.map(|node| (node, peer)).collect() }
    }

    /// A heartbeat came: where its sender is, and whether it hears us and is able. True: it is trusted again.
    pub fn heard(&mut self, from: NodeId, at: (u64, u64), hears_us: bool, able: bool, now: LocalTime) -> bool {
        let Some(peer) = self.peers.get_mut(&from) else { return false };
        (peer.decided, peer.round) = at;
        peer.heard = now;
        peer.able = able;
        if hears_us {
            peer.mutual = now;
            return !std::mem::replace(&mut peer.trusted, true);
        }
        false
    }

    /// A process is at least there: it said so in another message, which may come late.
    pub fn is_at(&mut self, from: NodeId, decided: u64, round: u64) {
        if let Some(peer) = self.peers.get_mut(&from) {
            (peer.decided, peer.round) = (peer.decided, peer.round).max((decided, round));
        }
    }

    /// Time passed: who is suspected from now on.
    pub fn tick(&mut self, now: LocalTime) -> Vec<NodeId> {
        let late = |since: LocalTime| now.since(since) > self.suspect_after;
        let peers = self.peers.iter_mut().filter(|(_, peer)| peer.trusted && late(peer.mutual));
        peers.map(|(&node, peer)| (peer.trusted = false, node).1).collect()
    }

    pub fn trusts(&self, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(|peer| peer.trusted)
    }

    /// Whether this process and those whom it trusts are a majority.
    pub fn able(&self) -> bool {
        self.peers.values().filter(|peer| peer.trusted).count() + 1 >= self.majority
    }

    /// Whether another process may coordinate.
    pub fn eligible(&self, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(|peer| peer.trusted && peer.able)
    }

    /// Whom this process hears, whether or not they hear it.
    pub fn hears(&self, now: LocalTime) -> Vec<NodeId> {
        let heard = self.peers.iter().filter(|(_, peer)| now.since(peer.heard) <= self.suspect_after);
        heard.map(|(&node, _)| node).collect()
    }

    /// Whether a process is known to be in a later round of this instance than this one.
    pub fn is_beyond(&self, node: NodeId, instance: u64, round: u64) -> bool {
        self.peers.get(&node).is_some_and(|peer| peer.decided + 1 == instance && peer.round > round)
    }

    /// Who has decided more than `decided` instances, most first; of processes that hear us, if there are any.
    pub fn ahead_of(&self, decided: u64, now: LocalTime) -> Option<NodeId> {
        let audible = |peer: &Peer| now.since(peer.heard) <= self.suspect_after;
        let ahead = self.peers.iter().filter(|(_, peer)| peer.decided > decided && audible(peer));
        ahead.max_by_key(|(_, peer)| (peer.trusted, peer.decided)).map(|(&node, _)| node)
    }
}
