//! The log's way from the primary to the members: replication, acknowledgement, compaction.

use std::rc::Rc;

use super::config::Mutation;
use super::entry::{Data, Entry};
use super::message::{Message, Replicate, ReplicateAck};
use super::options::Ack;
use super::{Cx, Record, Replica, Timer};
use crate::id::NodeId;
use crate::machine::{Effect, Note};
use crate::op::Tip;
use crate::time::Duration;

/// Entries sent again at once to a member that lags.
const WINDOW: usize = 2_000;
/// Compaction moves the image by at least this many entries, so that its cost is spread over them.
const COMPACT_STEP: u64 = 1_024;

impl Replica {
    /// Appends data as primary, writes it, and sends it to the members.
    pub(super) fn append(&mut self, data: Data, cx: &mut Cx<'_>) -> u64 {
        let base = self.log.tip();
        let entry = self.log.push(data);
        self.write(Record::Append(vec![entry.clone()]), cx);
        self.send_entries(base, &[entry], &self.others(), cx);
        self.arm_retransmit(cx);
        self.log.length()
    }

    fn arm_retransmit(&mut self, cx: &mut Cx<'_>) {
        if !self.others().is_empty() && !self.service.retransmit_armed {
            self.service.retransmit_armed = true;
            cx.set_timer(Timer::Retransmit, self.config.retransmit_after());
        }
    }

    fn send_entries(&self, base: Tip, entries: &[Rc<Entry>], to: &[NodeId], cx: &mut Cx<'_>) {
        let Some(view) = self.view_id() else { return };
        let entries: Rc<[Rc<Entry>]> = entries.into();
        let (probe, floor) = (self.probes, self.floor());
        for &node in to {
            cx.send(node, Message::Replicate(Replicate { view, base, entries: entries.clone(), probe, floor }));
        }
    }

    /// Asks every member to confirm the view.
    pub(super) fn probe(&mut self, cx: &mut Cx<'_>) -> u64 {
        self.probes += 1;
        self.send_entries(self.log.tip(), &[], &self.others(), cx);
        self.arm_retransmit(cx);
        self.probes
    }

    pub(super) fn replicate_received(&mut self, from: NodeId, replicate: &Replicate, cx: &mut Cx<'_>) {
        let &Replicate { view, base, ref entries, probe, floor } = replicate;
        let mine = self.view.as_ref().is_some_and(|mine| mine.coordinator == from && mine.id() == view);
        if !mine || self.frozen.is_some() || self.installing.is_some() {
            return;
        }
        if base.length > self.log.length() {
            self.service.stash(base, entries);
            self.say_ack(from, probe, true, cx);
            return;
        }
        if !self.log.chain().passes(base) && base.length >= self.log.chain().base.tip.length {
            cx.note(Note::Refused("entries that do not link to the log"));
            return;
        }
        let before = self.log.length();
        if !self.append_received(base, entries) {
            cx.note(Note::Refused("an entry that does not link or is not sound"));
        }
        while let Some((base, entries)) = self.service.unstash(self.log.length()) {
            self.append_received(base, &entries);
        }
        let fresh = self.log.chain().after(before).to_vec();
        self.absorb_clock(cx);
        if fresh.is_empty() {
            self.say_ack(from, probe, false, cx);
        } else {
            self.write(Record::Append(fresh), cx);
            self.say_ack_when_durable(from, probe, cx);
        }
        self.compact_to(floor, cx);
    }

    /// Appends what is new of a run of entries after `base`; false if something does not link.
    fn append_received(&mut self, base: Tip, entries: &[Rc<Entry>]) -> bool {
        for (at, entry) in (base.length + 1..).zip(entries) {
            if at <= self.log.length() {
                let kept = self.log.chain().hash_at(at);
                if kept.is_some() && kept != Some(entry.hash) {
                    return false;
                }
            } else if entry.prev == self.log.tip().hash && entry.is_sound() {
                self.log.append(entry.clone());
            } else {
                return false;
            }
        }
        true
    }

    fn ack(&self, tip: Tip, probe: u64, gap: bool) -> Option<Message> {
        let view = self.view_id()?;
        Some(Message::ReplicateAck(ReplicateAck { view, incarnation: self.incarnation, tip, probe, gap }))
    }

    /// Tells the primary the durable end of the log.
    pub(super) fn say_ack(&self, to: NodeId, probe: u64, gap: bool, cx: &mut Cx<'_>) {
        self.send_ack(to, self.ack(self.durable_tip(), probe, gap), false, cx);
    }

    fn say_ack_when_durable(&self, to: NodeId, probe: u64, cx: &mut Cx<'_>) {
        let wait = !self.mutated(Mutation::AckBeforeSync);
        self.send_ack(to, self.ack(self.log.tip(), probe, false), wait, cx);
    }

    fn send_ack(&self, to: NodeId, message: Option<Message>, wait: bool, cx: &mut Cx<'_>) {
        if self.mutated(Mutation::DropReplicateAcks) {
            return;
        }
        if let Some(message) = message {
            let after = self.disk.pending.back().map(|&(id, _, _)| id).filter(|_| wait);
            cx.effects.push(Effect::Send { to, message, after });
        }
    }

    pub(super) fn replicate_acked(&mut self, from: NodeId, ack: ReplicateAck, cx: &mut Cx<'_>) {
        let ReplicateAck { view, incarnation, tip, probe, gap } = ack;
        let member = self.incumbent && self.view.as_ref().is_some_and(|mine| mine.id() == view && mine.has(from));
        if !member || self.installing.is_some() {
            return;
        }
        let passes = self.log.chain().passes(tip);
        let now = cx.now;
        let length = self.log.length();
        let known = self.known(from);
        if known.incarnation != incarnation {
            // From a life that ended, or from one whose first heartbeat is still to come.
            return;
        }
        known.probe = known.probe.max(probe);
        if !passes {
            return;
        }
        if tip.length > known.matched {
            known.matched = tip.length;
            known.waiting_since = (tip.length < length).then_some(now);
        }
        if gap {
            self.fill_gap(from, cx);
        }
        self.advance(cx);
    }

    /// Of the many entries that arrive after a lost one each finds the gap; it is filled once a period.
    fn fill_gap(&mut self, member: NodeId, cx: &mut Cx<'_>) {
        let (now, patience) = (cx.now, self.config.retransmit_after());
        let known = self.known(member);
        let again = known.refilled.is_some_and(|(from, at)| from == known.matched && now.since(at) < patience);
        if !again {
            known.refilled = Some((known.matched, now));
            self.send_missing(member, cx);
        }
    }

    fn send_missing(&self, to: NodeId, cx: &mut Cx<'_>) {
        let chain = self.log.chain();
        let matched = self.of(to).matched;
        // Of a member that started anew nothing is known: an empty message makes it tell where it is.
        let unknown = matched < self.view_length || matched < chain.base.tip.length;
        let base = if unknown { self.log.length() } else { matched };
        let entries = chain.after(base);
        let entries = &entries[..entries.len().min(WINDOW)];
        // A corrupted position is put right at the next tick.
        let Some(hash) = chain.hash_at(base) else { return };
        self.send_entries(Tip { length: base, hash }, entries, &[to], cx);
    }

    pub(super) fn retransmit(&mut self, cx: &mut Cx<'_>) {
        self.service.retransmit_armed = false;
        if !self.incumbent || self.installing.is_some() {
            return;
        }
        let length = self.log.length();
        let lagging: Vec<NodeId> = self
            .others()
            .into_iter()
            .filter(|node| self.of(*node).matched < length || self.of(*node).probe < self.probes)
            .collect();
        if lagging.is_empty() {
            return;
        }
        for node in lagging {
            if self.has_installed(node) {
                self.send_missing(node, cx);
            }
        }
        self.service.retransmit_armed = true;
        cx.set_timer(Timer::Retransmit, self.config.retransmit_after());
    }

    /// Whether a member has the view: it acknowledged its entry, or says so after a restart.
    fn has_installed(&self, member: NodeId) -> bool {
        let known = self.of(member);
        let reports = || known.report.as_ref().is_some_and(|report| report.view == self.view_id());
        known.matched >= self.view_length || reports()
    }

    /// The position up to which every member of the view is durable, this node included.
    pub(super) fn common_length(&self) -> u64 {
        self.others().iter().map(|node| self.of(*node).matched).min().unwrap_or(u64::MAX).min(self.disk.durable)
    }

    /// At a primary: the members that durably hold the installed view and all that was acknowledged in it,
    /// ascending.
    pub(super) fn synced(&self) -> Vec<NodeId> {
        if !self.is_serving() {
            return Vec::new();
        }
        let needed = self.acked_length.max(self.view_length);
        let holds = |node: &NodeId| self.held_length(*node) >= needed;
        self.view.iter().flat_map(|view| view.members.iter().copied()).filter(holds).collect()
    }

    /// The largest position that `copies` members in `sites` data centers hold durably.
    fn copied_length(&self, copies: u16, sites: u16) -> u64 {
        let site = |node| self.config.peer(node).map(|peer| peer.data_center);
        let mut holders: Vec<_> = self.others().iter().map(|node| (self.of(*node).matched, site(*node))).collect();
        holders.push((self.disk.durable, site(self.me())));
        holders.sort_unstable_by(|a, b| b.cmp(a));
        let mut all_sites: Vec<_> = holders.iter().map(|&(_, site)| site).collect();
        all_sites.sort_unstable();
        all_sites.dedup();
        let copies = usize::from(copies).clamp(1, holders.len());
        let sites = usize::from(sites).clamp(1, all_sites.len());
        let mut seen = Vec::new();
        for (at, &(length, site)) in holders.iter().enumerate() {
            if !seen.contains(&site) {
                seen.push(site);
            }
            if at + 1 >= copies && seen.len() >= sites {
                return length;
            }
        }
        0
    }

    /// Moves the acknowledged position, and answers what waited for it.
    pub(super) fn advance(&mut self, cx: &mut Cx<'_>) {
        if !self.is_serving() {
            return;
        }
        let common = self.common_length();
        if self.confirm_length.is_none() && common >= self.view_length {
            let view = self.log.state().last_view.map(|view| view.tip).unwrap_or_default();
            self.confirm_length = Some(u64::MAX);
            let length = self.append(Data::Confirm { view }, cx);
            self.confirm_length = Some(length);
        }
        let covered = match self.options().ack {
            _ if self.mutated(Mutation::AckBeforeReplication) => self.disk.durable,
            // Under `all` nothing is acknowledged before the Confirm is on every member.
            Ack::All if self.confirm_length.is_some_and(|confirm| common >= confirm) => common,
            Ack::All => 0,
            Ack::Copies { copies, data_centers } => self.copied_length(copies, data_centers),
            Ack::None => self.log.length(),
        };
        if self.confirm_length.is_some_and(|confirm| common >= confirm) && !self.service.confirmed {
            self.service.confirmed = true;
            self.note_confirmed(cx);
        }
        self.acked_length = self.acked_length.max(covered);
        self.answer_waiting(cx);
        self.hand_over_if_due(cx);
    }

    fn note_confirmed(&self, cx: &mut Cx<'_>) {
        if let (Some(view), Some(confirmed)) = (&self.view, self.log.state().confirmed) {
            cx.note(Note::Confirmed { epoch: view.epoch, tip: confirmed.tip, members: view.members.clone() });
        }
    }

    /// Every P, as primary: members without progress, the retention limit, notices of revoked writes.
    pub(super) fn look_after_members(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        for known in self.peers.values_mut() {
            known.hold.forget_if_due(now);
        }
        if !self.is_serving() {
            return;
        }
        let length = self.log.length();
        let patience = self.options().suspect_after;
        for node in self.others() {
            let known = self.known(node);
            if known.matched >= length {
                known.waiting_since = None;
                continue;
            }
            let since = *known.waiting_since.get_or_insert(now);
            if now.since(since) > patience && !known.hold.is_on(now) {
                known.waiting_since = Some(now);
                self.failed(node, patience, cx);
            }
        }
        if self.common_length() < length {
            self.arm_retransmit(cx);
        }
        self.evict_if_needed(cx);
        self.kept = self.kept_for_departed(cx);
        self.compact_to(self.floor(), cx);
        self.tell_revoked(cx);
        self.pursue(cx);
        if self.has_parked() {
            // Who was to take over may have failed before it could.
            self.resume_parked(cx);
        }
        self.hand_over_if_due(cx);
    }

    /// The position that every member of the replica set, present or not, holds durably: a branch that one of
    /// them makes meanwhile starts there or later.
    pub(super) fn floor(&self) -> u64 {
        if self.view.is_none() || !self.service.confirmed {
            return 0;
        }
        let set = &self.log.state().replica_set;
        let held = set.iter().map(|&node| self.held_length(node)).min().unwrap_or(0);
        held.min(self.common_length()).min(self.kept)
    }

    /// Who was taken out of the set while it was away may come back with a branch of its own. What it lacks is
    /// kept as for a replica, so that the branch is merged and not foreign; unless it knows that it was taken
    /// out, or was erased. The position after which something is kept.
    fn kept_for_departed(&self, cx: &Cx<'_>) -> u64 {
        let base = self.log.chain().base.tip.length;
        let kept = |&(node, removal): &(NodeId, u64)| {
            let is_done = self.report(node).is_some_and(|report| report.retired || report.tip.length == 0);
            let held = match self.held_length(node) {
                0 => base,
                held => held,
            };
            let wanted = !is_done && held >= base && held < removal;
            (wanted && !self.exceeds_retention(held, cx)).then_some(held)
        };
        self.log.state().departed.iter().filter_map(kept).min().unwrap_or(u64::MAX)
    }

    /// Whether more is retained after a position than is to be.
    fn exceeds_retention(&self, held: u64, cx: &Cx<'_>) -> bool {
        let lacks = self.log.length() - held.max(self.log.chain().base.tip.length);
        lacks > self.options().retain_entries || self.age_after(held, cx) > self.options().retain_age
    }

    /// Position up to which a node holds this chain durably, as far as this one knows.
    pub(super) fn held_length(&self, node: NodeId) -> u64 {
        if node == self.me() {
            return self.disk.durable;
        }
        let Some(known) = self.peers.get(&node) else { return 0 };
        if self.view.as_ref().is_some_and(|view| view.has(node)) {
            return known.matched;
        }
        let reported = known.report.as_ref().map(|report| report.tip);
        reported.filter(|&tip| self.log.chain().passes(tip)).map_or(0, |tip| tip.length)
    }

    pub(super) fn compact_to(&mut self, floor: u64, cx: &mut Cx<'_>) {
        let floor = floor.min(self.disk.durable);
        if self.installing.is_some() || floor < self.log.chain().base.tip.length + COMPACT_STEP {
            return;
        }
        self.log.compact(floor);
        let (image, entries) = (self.log.chain().base.clone(), self.log.chain().entries.clone());
        self.write(Record::Snapshot { image, entries, view: self.view.clone(), aside: self.aside_record() }, cx);
        cx.note(Note::Compacted { floor });
    }

    /// If an absent member lacks more than is to be retained for it, it leaves the replica set: the most
    /// lagging one, and the next only if the rest is too much for that one as well.
    fn evict_if_needed(&mut self, cx: &mut Cx<'_>) {
        let Some(view) = &self.view else { return };
        // A newcomer that is being brought up to date has no history for which anything would be kept.
        let arrives = |node| self.follows_me(node, cx.now) && self.report(node).is_some_and(|one| one.tip.length == 0);
        let set = self.log.state().replica_set.iter().copied();
        let absent = set.filter(|&node| !view.has(node) && !arrives(node));
        let lag = |node: &NodeId| (self.held_length(*node), self.config.priority(*node), *node);
        let Some(evicted) = absent.min_by_key(lag) else { return };
        if !self.exceeds_retention(self.held_length(evicted), cx) {
            return;
        }
        // What goes into the log is what the log says, and not a state that a fault may have overwritten.
        if self.log.rebuild() {
            return;
        }
        let mut set = self.log.state().replica_set.clone();
        set.retain(|&node| node != evicted);
        cx.note(Note::ReplicaSet(set.clone()));
        self.append(Data::Reconfigure(set), cx);
    }

    /// Age of the oldest write after a position.
    fn age_after(&self, length: u64, cx: &Cx<'_>) -> Duration {
        let oldest = self.log.chain().after(length).iter().find_map(|entry| match &entry.data {
            Data::Op(executed) => Some(executed.hlc),
            _ => None,
        });
        oldest.map_or(Duration::ZERO, |hlc| Duration::from_nanos(cx.wall.as_nanos().saturating_sub(hlc)))
    }

    /// Takes over the log's clock, but never further ahead of the own wall clock than the largest skew.
    pub(super) fn absorb_clock(&mut self, cx: &Cx<'_>) {
        let limit = (cx.wall + self.options().clock_skew_max).as_nanos();
        self.hlc = self.hlc.max(self.log.state().hlc).min(limit);
    }
}
