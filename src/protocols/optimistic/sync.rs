//! Bulk state moves in the background, outside of view changes, while both sides serve.

use std::rc::Rc;

use super::log::Chain;
use super::message::{Delta, Message};
use super::{Cx, Replica};
use crate::id::NodeId;
use crate::machine::Note;
use crate::op::Tip;

/// Bytes of entries in one Branch message, so that what is behind it on the link is not held up for long;
/// more follow on request.
const CHUNK_BYTES: u64 = 128 * 1024;

impl Replica {
    /// Asks, every P, for what this node will need: a leader for the branches of its followers, a follower
    /// outside the view for its leader's chain.
    pub(super) fn synchronise(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        let nodes: Vec<NodeId> = if self.candidate == Some(self.me()) {
            self.peers.keys().copied().filter(|&node| self.follows_me(node, now)).collect()
        } else {
            let my_view = self.view_id();
            let apart = |node: &NodeId| {
                let report = self.peers.get(node).and_then(|known| known.report.as_deref());
                report.is_some_and(|report| report.view != my_view || report.view.is_none())
            };
            self.candidate.into_iter().filter(apart).collect()
        };
        for node in nodes {
            let Some(tip) = self.peers.get(&node).and_then(|known| known.report.as_ref()).map(|report| report.tip)
            else {
                continue;
            };
            if !self.log.covers(tip) && !self.holds_branch(node, tip) {
                self.fetch(node, cx);
            }
        }
    }

    /// Asks a node for its chain after what is held of it. An answer may take long on a thin link, so the
    /// question is asked again only after the time in which a silent node would be suspected.
    pub(super) fn fetch(&mut self, node: NodeId, cx: &mut Cx<'_>) {
        let hurried = self.change.is_some();
        let patience = if hurried { self.config.retransmit_after() } else { self.options().suspect_after };
        let now = cx.now;
        let own = self.own_ancestry();
        let known = self.known(node);
        if known.fetching.is_some_and(|since| now.since(since) < patience) {
            return;
        }
        known.fetching = Some(now);
        let held = known.branch.as_ref().map_or_else(Vec::new, Chain::ancestry);
        let have: Rc<[Tip]> = held.into_iter().chain(own).collect();
        cx.send(node, Message::Fetch { have });
    }

    /// Positions of the own chain that another may know too. A blank one has none: it needs the other's image,
    /// with the replica set that the history began with, even if no entry is compacted.
    pub(super) fn own_ancestry(&self) -> Vec<Tip> {
        if self.is_blank() { Vec::new() } else { self.log.chain().ancestry() }
    }

    pub(super) fn fetch_received(&mut self, from: NodeId, have: &[Tip], cx: &mut Cx<'_>) {
        let chain = self.log.chain();
        let durable = self.durable_tip();
        let common = have.iter().copied().filter(|tip| tip.length <= durable.length && chain.passes(*tip)).max();
        let (start, image) = match common {
            Some(tip) => (tip, None),
            None => (chain.base.tip, Some(chain.base.clone())),
        };
        let available = &chain.after(start.length)[..(durable.length - start.length) as usize];
        let mut bytes = 0;
        let fits = available.iter().take_while(|entry| {
            let first = bytes == 0;
            bytes += u64::from(entry.bytes());
            first || bytes <= CHUNK_BYTES
        });
        let entries: Vec<_> = fits.cloned().collect();
        let done = entries.len() == available.len();
        let delta = Rc::new(Delta { from: start, image, entries });
        cx.send(from, Message::Branch { delta, tip: durable, done });
    }

    pub(super) fn branch_received(&mut self, from: NodeId, delta: &Delta, _tip: Tip, done: bool, cx: &mut Cx<'_>) {
        let Some(chain) = self.graft(from, delta) else {
            cx.note(Note::Refused("a branch that does not link"));
            return;
        };
        let known = self.known(from);
        known.branch = Some(chain);
        known.fetching = None;
        if !done {
            self.fetch(from, cx);
        }
        if self.change.is_some() {
            self.finish_if_complete(cx);
        }
    }

    /// The chain that a delta continues: on its image, on what is held of the sender's chain, or on this
    /// node's own. `None` if it does not link or is not sound.
    pub(super) fn graft(&self, from: NodeId, delta: &Delta) -> Option<Chain> {
        let held = self.peers.get(&from).and_then(|known| known.branch.as_ref());
        let mut chain = match &delta.image {
            Some(image) if image.is_sound() && image.tip == delta.from => {
                Chain { base: image.clone(), entries: Vec::new() }
            }
            Some(_) => return None,
            None => {
                let own = Some(self.log.chain()).filter(|_| !self.is_blank());
                let known = [held, own].into_iter().flatten().find(|chain| chain.passes(delta.from))?;
                known.prefix(delta.from.length)
            }
        };
        if !chain.links(&delta.entries) {
            return None;
        }
        chain.entries.extend(delta.entries.iter().cloned());
        Some(chain)
    }

    /// Whether this log holds what a node reported last. A report is as old as a heartbeat, and its position may
    /// have been compacted since, for which every member, this one too, acknowledged more than that.
    pub(super) fn holds_reported(&self, node: NodeId, tip: Tip) -> bool {
        let member = self.incumbent && self.view.as_ref().is_some_and(|view| view.has(node));
        let compacted = tip.length < self.log.chain().base.tip.length;
        self.log.covers(tip) || (member && compacted && self.of(node).matched > tip.length)
    }

    /// Whether so little is missing, in both directions, that a view change can bring it.
    pub(super) fn is_caught_up(&self, node: NodeId) -> bool {
        let limit = self.options().sync_limit;
        let known = self.of(node);
        let Some(report) = known.report.as_deref() else { return false };
        let mine = self.log.chain();
        let incoming = self.holds_reported(node, report.tip)
            || known.branch.as_ref().is_some_and(|branch| report.tip.length.saturating_sub(branch.length()) <= limit);
        let shared = if mine.passes(report.tip) {
            Some(report.tip.length)
        } else {
            known.branch.as_ref().and_then(|branch| mine.fork(branch)).map(|fork| fork.length)
        };
        let fork_of_segment = || {
            mine.segments()
                .find(|(_, segment)| segment.hashes.contains(&report.tip.hash))
                .map(|(_, segment)| segment.fork.length)
        };
        let synced = report.synced.filter(|&tip| mine.passes(tip)).map(|tip| tip.length);
        // A report is as old as a heartbeat; what a member of the view acknowledged is newer.
        let member = self.incumbent && self.view.as_ref().is_some_and(|view| view.has(node));
        let matched = member.then_some(known.matched);
        let held = shared.or_else(fork_of_segment).max(synced).max(matched);
        incoming && held.is_some_and(|held| held >= mine.base.tip.length && mine.length().saturating_sub(held) <= limit)
    }
}
