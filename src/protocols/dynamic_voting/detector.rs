//! Whom a replica trusts: those who say that they hear it, and say so often enough.

use std::collections::BTreeMap;

use super::message::Alive;
use super::view::Standing;
use crate::id::NodeId;
use crate::time::{Duration, LocalTime};

/// What is known of another replica.
#[derive(Clone, Debug)]
pub struct Peer {
    heard: LocalTime,
    /// When it last said that it hears us.
    mutual: LocalTime,
    trusted: bool,
    pub able: bool,
    pub promised: u64,
    /// The primary that it follows.
    pub follows: Option<NodeId>,
    /// `None`: nothing was heard of it since the start.
    pub standing: Option<Standing>,
    /// It is left out of new views until then, after failing so many times.
    held_until: Option<LocalTime>,
    failures: u32,
}

#[derive(Debug)]
pub struct Detector {
    suspect_after: Duration,
    pub peers: BTreeMap<NodeId, Peer>,
}

/// Who is suspected, or fails in a change, is left out of new views for twice this long, doubled each time, up to
/// the most: longer than a change takes that goes on without it.
const HOLD_FIRST: Duration = Duration::from_secs(1);
const HOLD_MOST: Duration = Duration::from_secs(16);

impl Detector {
    /// At a start everybody is trusted, until there was time to hear from them.
    pub fn new(others: impl Iterator<Item = NodeId>, suspect_after: Duration, now: LocalTime) -> Self {
        let peer = |node| {
            let peer = Peer {
                heard: now,
                mutual: now,
                trusted: true,
                able: false,
                promised: 0,
                follows: None,
                standing: None,
                held_until: None,
                failures: 0,
            };
            (node, peer)
        };
        Self { suspect_after, peers: others.map(peer).collect() }
    }

    /// A heartbeat came. True: its sender is trusted again.
    pub fn heard(&mut self, from: NodeId, alive: &Alive, me: NodeId, now: LocalTime) -> bool {
        let Some(peer) = self.peers.get_mut(&from) else { return false };
        peer.heard = now;
        (peer.promised, peer.able, peer.follows) = (alive.promised, alive.able, alive.follows);
        peer.standing = Some(alive.standing.clone());
        if alive.hears.contains(&me) {
            peer.mutual = now;
            return !std::mem::replace(&mut peer.trusted, true);
        }
        false
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

    /// Those whom this replica trusts, and where they stand.
    pub fn trusted(&self) -> impl Iterator<Item = (NodeId, &Peer, &Standing)> {
        let trusted = self.peers.iter().filter(|(_, peer)| peer.trusted);
        trusted.filter_map(|(&node, peer)| peer.standing.as_ref().map(|standing| (node, peer, standing)))
    }

    /// Whether everybody was heard, or is suspected.
    pub fn has_looked_around(&self) -> bool {
        self.peers.values().all(|peer| !peer.trusted || peer.standing.is_some())
    }

    pub fn hears(&self, now: LocalTime) -> Vec<NodeId> {
        let heard = self.peers.iter().filter(|(_, peer)| now.since(peer.heard) <= self.suspect_after);
        heard.filter(|(_, peer)| peer.standing.is_some()).map(|(&node, _)| node).collect()
    }

    /// It did not answer in a change, or stopped answering in a view.
    pub fn hold(&mut self, node: NodeId, now: LocalTime) -> u32 {
        let Some(peer) = self.peers.get_mut(&node) else { return 0 };
        let long_ago = peer.held_until.is_some_and(|until| now > until + HOLD_MOST.saturating_mul(2));
        peer.failures = if long_ago { 1 } else { peer.failures + 1 };
        let time = HOLD_FIRST.saturating_mul(1 << peer.failures.min(8)).as_nanos().min(HOLD_MOST.as_nanos());
        peer.held_until = Some(now + Duration::from_nanos(time));
        peer.failures
    }

    pub fn is_held(&self, node: NodeId, now: LocalTime) -> bool {
        self.peers.get(&node).and_then(|peer| peer.held_until).is_some_and(|until| now < until)
    }
}
