//! View changes without a quorum: the leader takes everyone it hears, however few.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::config::Mutation;
use super::entry::{Data, ViewEntry};
use super::log::{Chain, Log};
use super::membership::extend;
use super::merge::{self, Summary};
use super::message::{Delta, Message, View, ViewId};
use super::{Cx, Record, Replica, Timer};
use crate::id::NodeId;
use crate::machine::{Effect, Note, WriteId};
use crate::op::Tip;
use crate::time::{Duration, LocalTime};

/// A view proposal that this replica accepted: no acknowledgements and no replication until it ends.
#[derive(Clone, Copy, Debug)]
pub struct Frozen {
    pub id: ViewId,
    pub deadline: LocalTime,
}

/// A view change that this replica coordinates.
#[derive(Clone, Debug)]
pub struct Change {
    pub view: Rc<View>,
    pub reset: bool,
    pub deadline: LocalTime,
    pub acks: BTreeMap<NodeId, Acked>,
}

/// What a member said of its log when it accepted a proposal.
#[derive(Clone, Debug)]
pub struct Acked {
    pub tip: Tip,
    pub ancestry: Rc<[Tip]>,
    pub synced: Option<Tip>,
}

/// A log and view on their way to the disk; they take effect together once they are durable.
#[derive(Clone, Debug)]
pub struct Installing {
    pub log: Log,
    pub view: View,
    pub write: WriteId,
    pub since: LocalTime,
    pub summary: Summary,
}

impl ViewId {
    /// The same attempt of the same coordinator; the members may have been reduced to those that answered.
    fn is_attempt_of(&self, other: &Self) -> bool {
        (self.epoch, self.coordinator, self.incarnation) == (other.epoch, other.coordinator, other.incarnation)
    }

    /// An earlier attempt of the same life of the same coordinator.
    fn is_before(&self, other: &Self) -> bool {
        (self.coordinator, self.incarnation) == (other.coordinator, other.incarnation) && self.epoch < other.epoch
    }
}

impl Replica {
    /// This node and everyone mutually trusted who follows it, is not held down, and is nearly caught up.
    fn want(&self, now: LocalTime) -> Vec<NodeId> {
        let mut want: Vec<NodeId> = self
            .peers
            .keys()
            .copied()
            .filter(|&node| self.belongs(node) && self.follows_me(node, now))
            .filter(|&node| !self.is_held(node, now) && self.is_caught_up(node))
            .chain([self.me()])
            .collect();
        want.sort_unstable();
        want
    }

    /// Whether it could be a view of this node at all.
    pub(super) fn is_typed(&self, view: &View) -> bool {
        view.is_typed_for(self.me(), self.options().epoch_max) && view.members.iter().all(|&node| self.knows(node))
    }

    /// In the replica set, or with a history of the service: evicted while absent, or of another side that
    /// chose another replica set. A spare without a history waits to be asked, and so does who was removed.
    fn belongs(&self, node: NodeId) -> bool {
        let report = self.of(node).report.as_ref();
        let removed = self.incumbent && self.view.as_ref().is_some_and(|view| view.has(node));
        self.log.state().replica_set.contains(&node)
            || !removed && report.is_some_and(|report| report.tip.length > 0 && !report.retired)
    }

    pub(super) fn follows_me(&self, node: NodeId, now: LocalTime) -> bool {
        self.mutual(node, now).is_some_and(|report| report.candidate == Some(self.me()))
    }

    pub(super) fn is_held(&self, node: NodeId, now: LocalTime) -> bool {
        let known = self.of(node);
        known.hold.is_on(now) || known.report.as_ref().is_some_and(|report| report.impaired)
    }

    /// Followers that are kept out of the view for now.
    pub(super) fn held_nodes(&self) -> Vec<NodeId> {
        let now = self.last_tick;
        if self.candidate != Some(self.me()) {
            return Vec::new();
        }
        self.peers
            .keys()
            .copied()
            .filter(|&node| self.follows_me(node, now) && (self.is_held(node, now) || !self.is_caught_up(node)))
            .collect()
    }

    pub(super) fn lead(&mut self, cx: &mut Cx<'_>) {
        if self.change.as_ref().is_some_and(|change| cx.now >= change.deadline) {
            self.end_change(cx);
        }
        if self.change.is_some() || self.installing.is_some() || self.frozen.is_some() {
            return;
        }
        let want = self.want(cx.now);
        if self.is_settled(&want) {
            self.unsettled_since = None;
            self.attempts = 0;
            return;
        }
        let now = cx.now;
        let since = *self.unsettled_since.get_or_insert(now);
        if now.since(since) >= self.options().stable_after && !self.awaits_removed_member(now) {
            self.blame(&want, cx);
            let want = self.want(now);
            self.propose(want, cx);
        }
    }

    /// A member that was removed is to know of it before the view goes on without it, or it would come back
    /// with its history. It is not waited for once it fails.
    fn awaits_removed_member(&self, now: LocalTime) -> bool {
        let state = self.log.state();
        self.incumbent
            && self.others().iter().any(|&node| {
                let lacks_it = self.of(node).matched < state.set_length;
                !state.replica_set.contains(&node) && lacks_it && self.trusts(node, now) && !self.is_held(node, now)
            })
    }

    fn is_settled(&self, want: &[NodeId]) -> bool {
        let Some(view) = self.view.as_ref().filter(|_| self.incumbent) else { return false };
        let id = view.id();
        view.members == want
            && self.others().iter().all(|node| {
                let report = self.peers.get(node).and_then(|known| known.report.as_deref());
                report.is_some_and(|report| report.view == Some(id) && self.holds_reported(*node, report.tip))
            })
    }

    /// Counts the failure of members that left by suspicion or do not report the installed view.
    fn blame(&mut self, want: &[NodeId], cx: &mut Cx<'_>) {
        if !self.incumbent || cx.now < self.install_until {
            return;
        }
        let id = self.view_id();
        for node in self.others() {
            let reports = self.of(node).report.as_ref().is_some_and(|report| report.view == id);
            let removed = !self.log.state().replica_set.contains(&node);
            if !removed && !self.is_held(node, cx.now) && (!want.contains(&node) || !reports) {
                self.failed(node, Duration::ZERO, cx);
            }
        }
    }

    /// A member failed: it stays out for a while, for `least` at least.
    pub(super) fn failed(&mut self, node: NodeId, least: Duration, cx: &mut Cx<'_>) {
        let longest = self.options().hold_down_max;
        let now = cx.now;
        let known = self.known(node);
        let hold = known.hold.fail(now, least, longest);
        let failures = known.hold.failures;
        if !hold.is_zero() {
            cx.note(Note::HeldDown { node, failures });
        }
    }

    fn next_epoch(&mut self, want: &[NodeId]) -> (u64, bool) {
        let epoch_max = self.options().epoch_max;
        let reported =
            want.iter().filter_map(|node| self.peers.get(node)?.report.as_ref()?.view).map(|view| view.epoch);
        let known: Vec<u64> =
            reported.chain([self.view.as_ref().map_or(0, |view| view.epoch), self.epoch_seen]).collect();
        let greatest = known.iter().copied().max().unwrap_or(0);
        let next = greatest.saturating_add(1);
        if next < epoch_max || self.mutated(Mutation::NoEpochReset) {
            return (next, false);
        }
        self.epoch_seen = 0;
        let below = known.into_iter().filter(|&epoch| epoch < epoch_max / 2).max().unwrap_or(0);
        (below + 1, true)
    }

    pub(super) fn propose(&mut self, want: Vec<NodeId>, cx: &mut Cx<'_>) {
        let (epoch, reset) = self.next_epoch(&want);
        self.epoch_seen = self.epoch_seen.max(epoch);
        let alone = want.len() == 1;
        cx.note(Note::Proposed { epoch, members: want.clone() });
        let view = Rc::new(View { epoch, coordinator: self.me(), incarnation: self.incarnation, members: want });
        let deadline = cx.now + self.config.view_deadline();
        self.change = Some(Change { view, reset, deadline, acks: BTreeMap::new() });
        if alone {
            self.finish(Vec::new(), cx);
        } else {
            self.say_propose(cx);
        }
    }

    fn say_propose(&mut self, cx: &mut Cx<'_>) {
        let Some(change) = &self.change else { return };
        let me = self.config.me;
        for &node in change.view.members.iter().filter(|&&node| node != me && !change.acks.contains_key(&node)) {
            cx.send(node, Message::Propose { view: change.view.clone(), reset: change.reset });
        }
        cx.set_timer(Timer::Change, self.retry_period());
    }

    fn retry_period(&self) -> Duration {
        self.config.view_deadline().scale(1, 4)
    }

    pub(super) fn propose_received(&mut self, from: NodeId, view: &Rc<View>, reset: bool, cx: &mut Cx<'_>) {
        let epoch_max = self.options().epoch_max;
        let may = view.coordinator == from && self.is_typed(view) && self.candidate == Some(from);
        if !may || self.installing.is_some() {
            return;
        }
        let id = view.id();
        if let Some(mine) = self.view_id() {
            let wrapped = reset && mine.epoch >= epoch_max / 2;
            if mine == id {
                self.say_ack(from, 0, false, cx);
                return;
            }
            if id < mine && !wrapped {
                cx.send(from, Message::ViewNack { view: id, epoch: mine.epoch });
                return;
            }
        }
        if self.acknowledged == Some(id) {
            if self.frozen.is_some_and(|frozen| frozen.id == id) {
                self.say_view_ack(from, id, cx);
            } else {
                cx.send(from, Message::ViewNack { view: id, epoch: id.epoch });
            }
            return;
        }
        if let Some(last) = self.acknowledged.filter(|last| !reset && id.is_before(last)) {
            // It was overtaken by a later one; or its coordinator lost count, and learns of it.
            cx.send(from, Message::ViewNack { view: id, epoch: last.epoch });
            return;
        }
        self.change = None;
        self.frozen = Some(Frozen { id, deadline: cx.now + self.options().freeze });
        self.acknowledged = Some(id);
        self.say_view_ack(from, id, cx);
    }

    /// The acknowledgement leaves once everything written so far is durable: it reports the whole log.
    fn say_view_ack(&self, to: NodeId, view: ViewId, cx: &mut Cx<'_>) {
        let message = Message::ViewAck {
            view,
            tip: self.log.tip(),
            ancestry: self.own_ancestry().into(),
            synced: self.peers.get(&to).and_then(|known| known.branch.as_ref()).map(Chain::tip),
        };
        let after = self.disk.pending.back().map(|&(id, _, _)| id);
        cx.effects.push(Effect::Send { to, message, after });
    }

    pub(super) fn view_acked(
        &mut self,
        from: NodeId,
        id: ViewId,
        tip: Tip,
        ancestry: &Rc<[Tip]>,
        synced: Option<Tip>,
        cx: &mut Cx<'_>,
    ) {
        let Some(change) = self.change.as_mut().filter(|change| change.view.id() == id && change.view.has(from)) else {
            return;
        };
        change.acks.insert(from, Acked { tip, ancestry: ancestry.clone(), synced });
        self.fetch_missing_branches(cx);
        self.finish_if_complete(cx);
    }

    /// A member refused a proposal or an installation.
    pub(super) fn view_refused(&mut self, from: NodeId, id: ViewId, epoch: u64, cx: &mut Cx<'_>) {
        if epoch >= self.options().epoch_max {
            cx.note(Note::Refused("an impossible epoch"));
            return;
        }
        if self.change.as_ref().is_some_and(|change| change.view.id() == id && change.view.has(from)) {
            self.epoch_seen = self.epoch_seen.max(epoch);
            self.change = None;
            let want = self.want(cx.now);
            self.propose(want, cx);
        } else if self.incumbent && self.view_id() == Some(id) {
            // It holds entries that this installation lost: merge again, without waiting.
            self.install_until = cx.now;
            self.unsettled_since = Some(LocalTime::ZERO);
        }
    }

    /// Those of the proposed members whose logs are known to the end.
    fn ready_members(&self) -> Vec<NodeId> {
        let Some(change) = &self.change else { return Vec::new() };
        change.acks.iter().filter(|(node, acked)| self.holds_branch(**node, acked.tip)).map(|(&node, _)| node).collect()
    }

    pub(super) fn holds_branch(&self, node: NodeId, tip: Tip) -> bool {
        self.log.covers(tip) || self.of(node).branch.as_ref().is_some_and(|branch| branch.passes(tip))
    }

    fn fetch_missing_branches(&mut self, cx: &mut Cx<'_>) {
        let Some(change) = &self.change else { return };
        let missing: Vec<NodeId> = change
            .acks
            .iter()
            .filter(|(node, acked)| !self.holds_branch(**node, acked.tip))
            .map(|(&node, _)| node)
            .collect();
        for node in missing {
            self.fetch(node, cx);
        }
    }

    pub(super) fn finish_if_complete(&mut self, cx: &mut Cx<'_>) {
        let Some(change) = &self.change else { return };
        let ready = self.ready_members();
        if ready.len() + 1 == change.view.members.len() {
            self.finish(ready, cx);
        }
    }

    pub(super) fn change_timeout(&mut self, cx: &mut Cx<'_>) {
        if let Some(change) = &self.change {
            if cx.now >= change.deadline {
                self.end_change(cx);
            } else {
                self.say_propose(cx);
                self.fetch_missing_branches(cx);
            }
        }
        self.repeat_install(cx);
    }

    /// At the deadline: try again, and only at the third attempt go on without the missing.
    fn end_change(&mut self, cx: &mut Cx<'_>) {
        let Some(change) = &self.change else { return };
        let ready = self.ready_members();
        let me = self.me();
        let missing: Vec<NodeId> =
            change.view.members.iter().copied().filter(|&node| node != me && !ready.contains(&node)).collect();
        self.attempts += 1;
        if self.attempts >= 3 || self.mutated(Mutation::FinishAtFirstDeadline) {
            for node in missing {
                self.failed(node, Duration::ZERO, cx);
            }
            self.finish(ready, cx);
        } else {
            cx.note(Note::Abandoned { epoch: change.view.epoch, missing });
            self.change = None;
            let want = self.want(cx.now);
            self.propose(want, cx);
        }
    }

    /// Merges the logs of this node and of `others`, and writes the result with its View entry.
    fn finish(&mut self, others: Vec<NodeId>, cx: &mut Cx<'_>) {
        let Some(change) = self.change.take() else { return };
        let mut branches = vec![self.log.chain().clone()];
        for (node, acked) in change.acks.iter().filter(|(node, _)| others.contains(node)) {
            if !self.log.covers(acked.tip)
                && let Some(branch) = self.peers.get(node).and_then(|known| known.branch.as_ref())
                && branch.is_sound()
            {
                branches.push(branch.prefix(acked.tip.length));
            }
        }
        let mut members = others;
        members.push(self.me());
        members.sort_unstable();
        let merged = merge::merge(&branches, self.options().merge, !self.mutated(Mutation::NoTailRule));
        let (mut log, summary) = (merged.log, merged.summary);
        let mut set = log.state().replica_set.clone();
        // A primary that was removed leads on only until another can.
        let stays = self.is_replica();
        extend(&mut set, members.iter().copied().filter(|&node| stays || node != self.me()));
        if set != log.state().replica_set {
            log.push(Data::Reconfigure(set));
        }
        let view = View { members, ..(*change.view).clone() };
        log.push(Data::View(ViewEntry {
            epoch: view.epoch,
            coordinator: view.coordinator,
            members: view.members.clone(),
        }));
        for (node, acked) in change.acks {
            self.known(node).acked = Some(acked);
        }
        self.install(log, view, summary, cx);
    }

    /// Writes log and view aside as one record; they take effect when it is durable.
    fn install(&mut self, log: Log, view: View, summary: Summary, cx: &mut Cx<'_>) {
        // A blank log agrees with every other only in that it begins.
        let record = match self.log.chain().fork(log.chain()).filter(|_| !self.is_blank()) {
            Some(fork) => Record::Install {
                keep: fork.length,
                entries: log.chain().after(fork.length).to_vec(),
                view: view.clone(),
            },
            None => Record::Snapshot {
                image: log.chain().base.clone(),
                entries: log.chain().entries.clone(),
                view: Some(view.clone()),
                aside: self.aside_record(),
            },
        };
        let write = self.write(record, cx);
        self.installing = Some(Installing { log, view, write, since: cx.now, summary });
    }

    pub(super) fn install_received(&mut self, from: NodeId, view: &Rc<View>, delta: &Delta, cx: &mut Cx<'_>) {
        let id = view.id();
        if self.view_id() == Some(id) {
            self.say_ack(from, 0, false, cx);
            return;
        }
        let asked = self.frozen.is_some_and(|frozen| frozen.id.is_attempt_of(&id)) && self.candidate == Some(from);
        let may = view.coordinator == from && self.is_typed(view);
        if !may || self.installing.is_some() || !(asked || self.mutated(Mutation::AdoptUnconditionally)) {
            return;
        }
        let log = self.graft(from, delta).map(Log::from_chain).filter(|log| ends_with_view(log, view));
        match log {
            Some(log) if log.covers(self.log.tip()) || self.mutated(Mutation::AdoptUnconditionally) => {
                self.install(log, (**view).clone(), Summary::default(), cx);
            }
            _ => {
                self.frozen = None;
                cx.send(from, Message::ViewNack { view: id, epoch: id.epoch });
                cx.note(Note::Refused("an installation that does not cover the own log"));
                self.resume_parked(cx);
            }
        }
    }

    /// The log and view are durable: switch to them.
    pub(super) fn adopt(&mut self, cx: &mut Cx<'_>) {
        let Some(Installing { log, view, summary, .. }) = self.installing.take() else { return };
        if summary.branches > 0 {
            cx.note(Note::Merged {
                branches: summary.branches,
                reapplied: summary.reapplied,
                revoked: summary.revoked,
                duplicates: summary.duplicates,
                union: Box::new(summary.union),
            });
        }
        cx.note(Note::Installed { epoch: view.epoch, coordinator: view.coordinator, members: view.members.clone() });
        self.doubtful |= self.log.is_doubtful();
        self.log = log;
        self.disk.durable = self.log.length();
        self.view_length = self.log.length();
        self.confirm_length = None;
        self.acked_length = 0;
        self.kept = if self.log.state().departed.is_empty() { u64::MAX } else { 0 };
        self.frozen = None;
        self.change = None;
        self.attempts = 0;
        self.unsettled_since = None;
        self.incumbent = view.coordinator == self.me() && view.incarnation == self.incarnation;
        self.heir = None;
        if !self.incumbent {
            self.wanted = None;
        }
        self.view = Some(view);
        self.add_peers();
        self.absorb_clock(cx);
        for known in self.peers.values_mut() {
            known.branch = None;
            known.fetching = None;
            known.matched = 0;
            known.waiting_since = None;
        }
        if self.incumbent {
            self.install_until = cx.now + self.options().freeze;
            self.say_install(cx);
            self.take_over(cx);
        } else {
            self.turn_away(cx);
            let primary = self.view.as_ref().expect("just installed").coordinator;
            self.say_ack(primary, 0, false, cx);
        }
        self.say_heartbeat(cx);
    }

    fn say_install(&mut self, cx: &mut Cx<'_>) {
        let Some(view) = self.view.clone() else { return };
        let view = Rc::new(view);
        for node in self.others() {
            let known = self.of(node);
            if known.matched < self.view_length {
                let delta = Rc::new(self.delta_for(known.acked.as_ref()));
                cx.send(node, Message::Install { view: view.clone(), delta });
            }
        }
        if !self.others().is_empty() {
            cx.set_timer(Timer::Change, self.retry_period());
        }
    }

    fn repeat_install(&mut self, cx: &mut Cx<'_>) {
        let unfinished = self.others().iter().any(|node| self.of(*node).matched < self.view_length);
        if self.incumbent && cx.now < self.install_until && unfinished {
            self.say_install(cx);
        }
    }

    /// The new log after the last entry that the member is known to hold.
    fn delta_for(&self, acked: Option<&Acked>) -> Delta {
        let chain = self.log.chain();
        let held = acked.into_iter().flat_map(|acked| acked.ancestry.iter().copied().chain(acked.synced));
        match held.filter(|&tip| chain.passes(tip)).max() {
            Some(from) => Delta { from, image: None, entries: chain.after(from.length).to_vec() },
            None => Delta { from: chain.base.tip, image: Some(chain.base.clone()), entries: chain.entries.clone() },
        }
    }

    pub(super) fn thaw_if_due(&mut self, cx: &mut Cx<'_>) {
        if self.frozen.is_some_and(|frozen| cx.now >= frozen.deadline) && self.installing.is_none() {
            self.frozen = None;
            self.resume_parked(cx);
        }
    }
}

fn ends_with_view(log: &Log, view: &View) -> bool {
    log.chain().entries.last().is_some_and(|last| match &last.data {
        Data::View(entry) => {
            entry.epoch == view.epoch && entry.coordinator == view.coordinator && entry.members == view.members
        }
        _ => false,
    })
}
