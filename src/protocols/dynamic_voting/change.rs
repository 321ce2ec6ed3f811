//! View changes: who wants one, and its two phases.
//!
//! **Propose**: the coordinator picks a number above all it knows. Who accepts promises, durably, to take part in
//! nothing of a lower number, so it has left its view; and says where it stands. If those who accepted may
//! form a view by the rule, the coordinator takes over the log of the latest view among theirs, the longest
//! if there are several: it holds every acknowledged write.
//!
//! **Attempt**: each participant records the view as attempted, together with that log, durably. Once all have,
//! the view is *installed*: the coordinator is its primary, the whole log is committed, and the others are told.
//! Until a participant is told, the attempt is ambiguous to it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::view::{self, may_form};
use super::{Cx, Log, Message, Mutation, Record, Replica, Standing, Timer, View, Vote};
use crate::id::NodeId;
use crate::machine::Note;
use crate::time::LocalTime;

/// The change that this replica coordinates.
#[derive(Debug)]
pub enum Change {
    None,
    Proposing {
        number: u64,
        members: Vec<NodeId>,
        standings: BTreeMap<NodeId, Standing>,
    },
    /// Another's log is later than this replica's.
    Fetching {
        number: u64,
        from: NodeId,
        standings: BTreeMap<NodeId, Standing>,
    },
    Attempting {
        view: Rc<View>,
        standings: BTreeMap<NodeId, Standing>,
        attempted: BTreeSet<NodeId>,
    },
}

impl Replica {
    /// Whether this replica, with those whom it trusts, or with those of them in `only`, may form a view. Who follows
    /// a primary that this replica does not trust is not to be drawn from it. Who lost its disk coordinates nothing: it
    /// might use a number that it has used before.
    pub(super) fn may_form(&self, only: Option<&[NodeId]>) -> bool {
        if self.since.is_none() {
            return false;
        }
        let own = self.standing();
        let latest = view::latest(self.detector.trusted().map(|(_, _, standing)| standing).chain([&own]));
        let strange = latest.map(|view| view.primary).filter(|&node| !self.detector.trusts(node) && node != self.me());
        let mut group: BTreeMap<NodeId, &Standing> = BTreeMap::from([(self.me(), &own)]);
        for (node, peer, standing) in self.detector.trusted() {
            let is_asked = only.is_none_or(|only| only.contains(&node));
            if is_asked && (strange.is_none() || peer.follows != strange) {
                group.insert(node, standing);
            }
        }
        may_form(&group, self.minds_attempts())
    }

    fn minds_attempts(&self) -> bool {
        self.config.options.mutation != Some(Mutation::IgnoreAttempts)
    }

    /// Whom it follows: the primary of its view, if it trusts it.
    pub(super) fn follows(&self) -> Option<NodeId> {
        let primary = self.installed.primary;
        (self.counts() && (primary == self.me() || self.detector.trusts(primary))).then_some(primary)
    }

    /// Who is to change the view, if anybody: the primary of the latest one while it can form any, else the first
    /// by placement who can. Who is held down is passed over: a replica whose disk answers now and then is trusted now
    /// and then, and must not take the lead back each time.
    fn is_chief(&self, now: LocalTime) -> bool {
        let own = self.standing();
        let latest = view::latest(self.detector.trusted().map(|(_, _, standing)| standing).chain([&own]));
        let Some(primary) = latest.map(|view| view.primary) else { return false };
        let able = |node: NodeId| {
            let able = self.detector.trusted().any(|(peer, about, _)| peer == node && about.able);
            able && !self.detector.is_held(node, now)
        };
        if primary == self.me() || able(primary) {
            return primary == self.me();
        }
        self.config.group.members.iter().find(|&&node| node == self.me() || able(node)) == Some(&self.me())
    }

    /// The members of the view that this replica is to form now, if any.
    fn wished(&self, cx: &Cx<'_>) -> Option<Vec<NodeId>> {
        let left = self.promised > self.number();
        let others_turn = left && cx.now.since(self.promised_at) < self.config.deadline().saturating_mul(2);
        if others_turn || !self.detector.has_looked_around() || !self.may_form(None) || !self.is_chief(cx.now) {
            return None;
        }
        let present = |node: &NodeId| {
            let trusted = self.detector.trusted().any(|(peer, ..)| peer == *node);
            *node == self.me() || trusted
        };
        let all: Vec<NodeId> = self.config.group.members.iter().copied().filter(present).collect();
        let unheld = all.iter().copied().filter(|&node| !self.detector.is_held(node, cx.now)).collect::<Vec<_>>();
        let members = if self.may_form(Some(&unheld)) { unheld } else { all };
        let is_disturbed = self.detector.trusted().any(|(node, peer, standing)| {
            members.contains(&node) && (peer.promised > self.promised || standing.since.is_none())
        });
        let is_content = self.active && self.is_settled() && members == self.installed.members && !is_disturbed;
        (!is_content).then_some(members)
    }

    /// Something changed: begins a view change once a wish for it has lasted.
    pub(super) fn consider(&mut self, cx: &mut Cx<'_>) {
        if !matches!(self.change, Change::None) {
            return;
        }
        let stable_after = self.config.options.stable_after;
        match (self.wished(cx), &self.wish) {
            (None, _) => self.wish = None,
            (Some(members), Some((before, since))) if members == *before => {
                if cx.now.since(*since) >= stable_after {
                    self.begin(members, cx);
                }
            }
            (Some(members), _) => {
                self.wish = Some((members, cx.now));
                // Two that want to change the view at once had better not go on at the same pace.
                let more = stable_after.scale(cx.rng.below(256), 512);
                cx.set_timer(Timer::Stable, stable_after + more);
            }
        }
    }

    /// These were suspected, or did not answer in a change: they are left out for a while.
    pub(super) fn hold(&mut self, nodes: &[NodeId], cx: &mut Cx<'_>) {
        for &node in nodes {
            let failures = self.detector.hold(node, cx.now);
            if failures > 1 {
                cx.note(Note::HeldDown { node, failures });
            }
        }
    }

    fn promise(&mut self, number: u64, cx: &mut Cx<'_>) {
        (self.promised, self.promised_at) = (number, cx.now);
        self.write(Record::Promised(number), Vote::Promised(number), cx);
    }

    fn begin(&mut self, members: Vec<NodeId>, cx: &mut Cx<'_>) {
        self.wish = None;
        let known = self.detector.peers.values().map(|peer| peer.promised).max().unwrap_or(0);
        let number = self.config.next_number(known.max(self.promised));
        self.promise(number, cx);
        cx.note(Note::Proposed { epoch: number, members: members.clone() });
        self.change = Change::Proposing { number, members, standings: BTreeMap::new() };
        self.enter_phase(cx);
    }

    /// Sends what this phase of the change asks, and gives it time.
    fn enter_phase(&mut self, cx: &mut Cx<'_>) {
        cx.set_timer(Timer::Deadline, self.config.deadline());
        self.repeats = true;
        cx.set_timer(Timer::Repeat, self.config.patience());
        self.repeat_change(cx);
    }

    /// First phase, at a participant.
    pub(super) fn proposed(&mut self, from: NodeId, number: u64, cx: &mut Cx<'_>) {
        if number < self.promised {
            return self.send_durable(from, Message::Refuse { number, promised: self.promised }, cx);
        }
        if number > self.promised {
            self.abandon(Vec::new(), cx);
            self.active = false;
            self.promise(number, cx);
        }
        self.send_durable(from, Message::Accept { number, standing: self.standing() }, cx);
    }

    /// The coordinator's own promise counts once it is durable.
    pub(super) fn promised_durably(&mut self, number: u64, cx: &mut Cx<'_>) {
        self.accepted(self.me(), number, self.standing(), cx);
    }

    /// First phase, at the coordinator.
    pub(super) fn accepted(&mut self, from: NodeId, number: u64, standing: Standing, cx: &mut Cx<'_>) {
        let Change::Proposing { number: own, members, standings } = &mut self.change else { return };
        if *own == number && members.contains(&from) {
            standings.insert(from, standing);
            if standings.len() == members.len() {
                self.decide(cx);
            }
        }
    }

    /// Enough have accepted, or the time is up: whether they may form the view.
    fn decide(&mut self, cx: &mut Cx<'_>) {
        let Change::Proposing { number, members, standings } = std::mem::replace(&mut self.change, Change::None) else {
            return;
        };
        let missing: Vec<NodeId> = members.iter().copied().filter(|node| !standings.contains_key(node)).collect();
        self.hold(&missing, cx);
        let group: BTreeMap<NodeId, &Standing> = standings.iter().map(|(&node, standing)| (node, standing)).collect();
        if !standings.contains_key(&self.me()) || !may_form(&group, self.minds_attempts()) {
            self.change = Change::Proposing { number, members, standings };
            return self.abandon(missing, cx);
        }
        let key = |standing: &Standing| (standing.log_view(), standing.length);
        let best = standings.values().map(key).max().expect("its own is among them");
        if key(&standings[&self.me()]) == best {
            return self.attempt(number, standings, None, cx);
        }
        let from = standings.iter().find(|(_, standing)| key(standing) == best).map(|(&node, _)| node);
        let from = from.expect("somebody has the best");
        self.change = Change::Fetching { number, from, standings };
        self.enter_phase(cx);
    }

    pub(super) fn fetched(&mut self, number: u64, log: Log, cx: &mut Cx<'_>) {
        match std::mem::replace(&mut self.change, Change::None) {
            Change::Fetching { number: own, standings, .. } if own == number => {
                self.attempt(number, standings, Some(log), cx);
            }
            other => self.change = other,
        }
    }

    /// Second phase, at the coordinator: on its own log, or the one that it fetched.
    fn attempt(&mut self, number: u64, standings: BTreeMap<NodeId, Standing>, log: Option<Log>, cx: &mut Cx<'_>) {
        if let Some(log) = &log {
            // What this replica executed beyond that is dropped: it was not acknowledged.
            self.active = false;
            if !self.take_over(log, cx) {
                return self.abandon(Vec::new(), cx);
            }
        }
        let members = self.config.group.members.iter().copied().filter(|node| standings.contains_key(node)).collect();
        let view = Rc::new(View { number, primary: self.me(), members });
        self.record_attempt(&view, log, cx);
        self.change = Change::Attempting { view, standings, attempted: BTreeSet::new() };
        self.enter_phase(cx);
    }

    fn record_attempt(&mut self, view: &Rc<View>, log: Option<Log>, cx: &mut Cx<'_>) {
        self.since = self.since.or(Some(view.number));
        self.attempts.push(view.clone());
        self.write(Record::Attempted { view: view.clone(), log }, Vote::Attempted(view.number), cx);
    }

    /// Second phase, at a participant.
    pub(super) fn attempt_told(&mut self, from: NodeId, view: &Rc<View>, log: Log, cx: &mut Cx<'_>) {
        let number = view.number;
        let known = self.number() == number || self.attempts.iter().any(|one| one.number == number);
        if number != self.promised || view.primary != from || !view.members.contains(&self.me()) {
            return self.send_durable(from, Message::Refuse { number, promised: self.promised }, cx);
        }
        if !known {
            if !self.take_over(&log, cx) {
                return;
            }
            self.record_attempt(view, Some(log), cx);
        }
        self.send_durable(from, Message::Attempted { number }, cx);
    }

    pub(super) fn attempted(&mut self, from: NodeId, number: u64, cx: &mut Cx<'_>) {
        let Change::Attempting { view, attempted, .. } = &mut self.change else { return };
        if view.number == number && view.members.contains(&from) {
            attempted.insert(from);
            if attempted.len() == view.members.len() {
                self.form(cx);
            }
        }
    }

    /// Every member recorded the attempt, this one included: the view is installed, and this is its primary.
    fn form(&mut self, cx: &mut Cx<'_>) {
        let Change::Attempting { view, .. } = std::mem::replace(&mut self.change, Change::None) else { return };
        cx.cancel_timer(Timer::Deadline);
        let number = view.number;
        self.learn_installed(number, cx);
        self.matched =
            view.members.iter().filter(|&&node| node != self.me()).map(|&node| (node, self.length())).collect();
        self.head = self.committed.clone();
        self.active = true;
        for &node in view.members.iter().filter(|&&node| node != self.me()) {
            cx.send(node, Message::Install { number });
        }
        self.say_alive(cx);
        self.answer_committed(cx);
        self.confirm_anew(cx);
        for (id, request) in std::mem::take(&mut self.parked) {
            self.request(id, &request, cx);
        }
    }

    /// A view was installed. If this replica recorded its attempt, it is in it now.
    pub(super) fn learn_installed(&mut self, number: u64, cx: &mut Cx<'_>) {
        let Some(at) = self.attempts.iter().position(|view| view.number == number) else { return };
        self.installed = self.attempts[at].clone();
        self.attempts.drain(..=at);
        self.write(Record::Installed { number }, Vote::Length(self.length()), cx);
        if self.attempts.is_empty() {
            self.apply_to(self.length());
            self.take_image(cx);
        }
        let View { primary: coordinator, members, .. } = &*self.installed;
        cx.note(Note::Installed { epoch: number, coordinator: *coordinator, members: members.clone() });
    }

    pub(super) fn refused(&mut self, from: NodeId, number: u64, promised: u64, cx: &mut Cx<'_>) {
        if let Some(peer) = self.detector.peers.get_mut(&from) {
            peer.promised = peer.promised.max(promised);
        }
        let own = match &self.change {
            Change::None => None,
            Change::Proposing { number, .. } | Change::Fetching { number, .. } => Some(*number),
            Change::Attempting { view, .. } => Some(view.number),
        };
        if own == Some(number) && promised > number {
            self.abandon(vec![from], cx);
        }
        self.consider(cx);
    }

    /// A phase took too long.
    pub(super) fn deadline(&mut self, cx: &mut Cx<'_>) {
        let missing: Vec<NodeId> = match &self.change {
            Change::None => return,
            Change::Proposing { .. } => return self.decide(cx),
            Change::Fetching { from, .. } => vec![*from],
            Change::Attempting { view, attempted, .. } => {
                view.members.iter().copied().filter(|node| !attempted.contains(node)).collect()
            }
        };
        self.hold(&missing, cx);
        self.abandon(missing, cx);
        self.consider(cx);
    }

    /// Gives up the change that it coordinates, if any.
    fn abandon(&mut self, missing: Vec<NodeId>, cx: &mut Cx<'_>) {
        let epoch = match std::mem::replace(&mut self.change, Change::None) {
            Change::None => return,
            Change::Proposing { number, .. } | Change::Fetching { number, .. } => number,
            Change::Attempting { view, .. } => view.number,
        };
        cx.cancel_timer(Timer::Deadline);
        cx.note(Note::Abandoned { epoch, missing });
        // Its own failed change is no reason to wait for another's.
        self.promised_at = LocalTime::ZERO;
    }

    /// Repeats what was not answered in a change.
    pub(super) fn repeat_change(&self, cx: &mut Cx<'_>) {
        match &self.change {
            Change::None => {}
            Change::Proposing { number, members, standings } => {
                for &node in members.iter().filter(|&&node| node != self.me() && !standings.contains_key(&node)) {
                    cx.send(node, Message::Propose { number: *number });
                }
            }
            Change::Fetching { number, from, .. } => {
                let (number, committed) = (*number, self.committed.tip().length);
                cx.send(*from, Message::Fetch { number, committed });
            }
            Change::Attempting { view, standings, attempted } => {
                for (&node, standing) in standings.iter().filter(|(node, _)| **node != self.me()) {
                    if !attempted.contains(&node) {
                        let log = self.log_after(standing.committed);
                        cx.send(node, Message::Attempt { view: view.clone(), log });
                    }
                }
            }
        }
    }
}
