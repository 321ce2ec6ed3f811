//! Membership: the set of replicas that the operator, or the reorganiser, asks for.
//!
//! A primary that is asked for another set carries it out in steps. If nodes are to come and others to go, it
//! first takes the newcomers in beside those who are to go, and lets these go only once the newcomers are in
//! the view with all that was acknowledged: make before break. A newcomer starts *blank*: it has no history,
//! and no word of how the service's began; it lets the replicas that it was told of know that it is there, and
//! fetches the history in the background.
//!
//! The order of a set is the order of preference. If the first of it is to lead instead of this primary, or
//! this primary is to go, it stops taking new requests, finishes what it has, and once its successor holds all
//! of it gives the lead to it: the successor proposes the next view at once, and no suspicion is waited for.
//! A primary that fails meanwhile forgets what it was asked for; it is for the operator to repeat.

use std::rc::Rc;

use super::entry::Data;
use super::message::{Message, ViewId};
use super::{Cx, Replica};
use crate::id::NodeId;
use crate::machine::Note;
use crate::time::LocalTime;

/// A set of replicas that was asked for, until it is there and led by its first.
#[derive(Clone, Debug)]
pub struct Wanted {
    set: Vec<NodeId>,
    /// Those who were not in the view: before they are, nobody who is in it goes.
    newcomers: Vec<NodeId>,
    /// Position of the entry of the last step. If another entry changed the set since, by an eviction or a
    /// merge, the request is out of date.
    step: u64,
}

impl Replica {
    /// In the replica set, as far as its own log tells.
    pub(super) fn is_replica(&self) -> bool {
        self.log.state().replica_set.contains(&self.me())
    }

    /// A newcomer without any history, that does not even know with which set the history began.
    pub(super) fn is_blank(&self) -> bool {
        self.log.is_empty() && !self.is_replica()
    }

    /// Nobody counts on what it holds: it was taken out, all that it had taken on is with others, and no view
    /// waits for it; or it has nothing yet.
    pub(super) fn is_released(&self) -> bool {
        self.is_blank() || self.is_retired() && !self.is_awaited(self.last_tick)
    }

    /// Where this node stands in the order of preference, 0 first: its place in the replica set, or behind all
    /// of it by the directory's priorities.
    pub(super) fn place(&self) -> u16 {
        let (set, me) = (&self.log.state().replica_set, self.me());
        let place = set.iter().position(|&node| node == me).unwrap_or_else(|| {
            let own = self.config.priority(me);
            set.len() + self.config.directory.iter().filter(|peer| peer.priority > own).count()
        });
        place as u16
    }

    /// The operator, or the reorganiser, asks for another replica set, the preferred primary first. It must keep
    /// someone of the view, who holds what was acknowledged.
    pub(super) fn reconfigure(&mut self, nodes: &[NodeId], cx: &mut Cx<'_>) {
        let mut set: Vec<NodeId> = Vec::new();
        extend(&mut set, nodes.iter().copied());
        let known = set.iter().all(|&node| self.config.knows(node));
        let kept = self.view.as_ref().is_some_and(|view| set.iter().any(|&node| view.has(node)));
        // A view change under way counts on all who were wanted when it began.
        if !self.is_serving() || self.change.is_some() || !known || !kept {
            cx.note(Note::Refused("a reconfiguration"));
            return;
        }
        let view = self.view.as_ref().expect("a primary has a view");
        let state = self.log.state();
        // A replica that failed is not waited for; of a newcomer nothing may have been heard yet.
        let failed = |node| state.replica_set.contains(&node) && self.of(node).suspected;
        let newcomers: Vec<NodeId> = set.iter().copied().filter(|&node| !view.has(node) && !failed(node)).collect();
        let mut step = set.clone();
        if !newcomers.is_empty() {
            extend(&mut step, state.replica_set.iter().copied().filter(|&node| view.has(node)));
        }
        self.heir = None;
        self.replace_set(step, cx);
        self.wanted = Some(Wanted { set, newcomers, step: self.log.state().set_length });
        self.pursue(cx);
        self.advance(cx);
    }

    /// Appends a replica set, unless it is this one already, and tells everybody who might be in it.
    fn replace_set(&mut self, set: Vec<NodeId>, cx: &mut Cx<'_>) {
        for &node in set.iter().filter(|&&node| node != self.config.me) {
            self.peers.entry(node).or_default();
        }
        if set != self.log.state().replica_set {
            cx.note(Note::ReplicaSet(set.clone()));
            self.append(Data::Reconfigure(set), cx);
        }
        if self.candidate == Some(self.me()) {
            self.say_beacon(cx);
        }
    }

    /// As primary, takes the next step towards what was asked for.
    pub(super) fn pursue(&mut self, cx: &mut Cx<'_>) {
        self.heir = None;
        let Some(wanted) = self.wanted.take() else { return };
        let state = self.log.state();
        if state.set_length != wanted.step || !self.is_serving() {
            return;
        }
        let Wanted { set, newcomers, .. } = &wanted;
        let first = set.first().copied();
        if state.replica_set != *set {
            let synced = self.synced();
            let ready = self.service.confirmed && newcomers.iter().all(|node| synced.contains(node));
            if ready && self.change.is_none() {
                self.replace_set(set.clone(), cx);
                let step = self.log.state().set_length;
                self.wanted = Some(Wanted { step, ..wanted });
                return;
            }
        } else if first == Some(self.me()) || !self.is_replica() {
            // It is there; and a primary that is to go hands over without being told to whom.
            return;
        } else {
            self.heir = first.filter(|&node| self.can_succeed(node, cx.now));
        }
        self.wanted = Some(wanted);
    }

    /// A member of the view that could lead the next one: heard, well, and nearly up to date.
    fn can_succeed(&self, node: NodeId, now: LocalTime) -> bool {
        self.follows_me(node, now) && !self.is_held(node, now) && self.synced().contains(&node)
    }

    /// To whom this primary gives its lead: to the one who was asked for; or, if it was taken out of the replica
    /// set itself, to the first of the set who is in the view.
    fn successor(&self, now: LocalTime) -> Option<NodeId> {
        if !self.incumbent || self.is_replica() {
            return self.heir.filter(|_| self.incumbent);
        }
        let set = &self.log.state().replica_set;
        let members = || set.iter().copied().filter(|&node| self.view.as_ref().is_some_and(|view| view.has(node)));
        members().find(|&node| self.can_succeed(node, now)).or_else(|| members().next())
    }

    /// Takes no new requests, for another is to lead.
    pub(super) fn is_handing_over(&self) -> bool {
        self.incumbent && (self.heir.is_some() || !self.is_replica() && self.successor(self.last_tick).is_some())
    }

    /// Stands down once the successor holds all that this primary has and everyone who waits has an answer. A
    /// primary that was taken out waits for every member, who are all to know of it.
    pub(super) fn hand_over_if_due(&mut self, cx: &mut Cx<'_>) {
        if !self.is_handing_over() || !self.service.confirmed {
            return;
        }
        let Some(successor) = self.successor(cx.now) else { return };
        let length = self.log.length();
        let stays = self.is_replica();
        let due = if stays {
            self.acked_length.min(self.held_length(successor)).min(self.held_length(self.me())) >= length
        } else {
            self.common_length() >= length
        };
        if !due {
            return;
        }
        if !stays && self.log.state().set_length < self.view_length {
            // It led on in a view of its own since: said again, the removal ends that too. What goes into the
            // log is what the log says, and not a state that a fault may have overwritten.
            if !self.log.rebuild() {
                self.append(Data::Reconfigure(self.log.state().replica_set.clone()), cx);
            }
            return;
        }
        self.stand_down_for(successor, stays, cx);
    }

    fn stand_down_for(&mut self, successor: NodeId, stays: bool, cx: &mut Cx<'_>) {
        if let Some(view) = self.view_id() {
            for node in self.others() {
                cx.send(node, Message::TakeOver { view, successor });
            }
        }
        self.incumbent = false;
        self.candidate = stays.then_some(successor);
        self.change = None;
        self.wanted = None;
        self.heir = None;
        self.will_lead(successor);
        self.turn_away_to(Some(successor), cx);
        let why = if stays { "another is preferred" } else { "it was taken out of the replica set" };
        cx.note(Note::SteppedDown { why });
        self.say_heartbeat(cx);
    }

    /// The primary of this replica's view has stood down, and says who is to lead.
    pub(super) fn take_over_asked(&mut self, from: NodeId, view: ViewId, successor: NodeId, cx: &mut Cx<'_>) {
        let mine = self.view.as_ref().filter(|mine| mine.coordinator == from && mine.id() == view);
        let busy = self.incumbent || self.frozen.is_some() || self.installing.is_some() || self.change.is_some();
        let Some(mine) = mine.filter(|mine| mine.has(successor) && !busy) else { return };
        if successor != self.me() {
            if !self.is_dismissed(cx.now) && !self.is_listening(cx.now) {
                self.candidate = Some(successor);
                self.will_lead(successor);
                cx.note(Note::Follows(successor));
            }
            return;
        }
        if !self.may_lead(cx.now) || !self.is_replica() {
            return;
        }
        let set = &self.log.state().replica_set;
        let stay = |node: &NodeId| set.contains(node) && self.trusts(*node, cx.now) && !self.is_held(*node, cx.now);
        let me = self.me();
        let want: Vec<NodeId> = mine.members.iter().copied().filter(|node| *node == me || stay(node)).collect();
        self.candidate = Some(me);
        self.unsettled_since = None;
        self.attempts = 0;
        cx.note(Note::Follows(me));
        // The others accept a proposal only of whom they take for a leader.
        self.say_heartbeat(cx);
        self.propose(want, cx);
    }

    /// The word of a primary that stood down counts as its successor's own, until that speaks.
    fn will_lead(&mut self, successor: NodeId) {
        if let Some(report) = self.peers.get_mut(&successor).and_then(|known| known.report.as_mut()) {
            Rc::make_mut(report).candidate = Some(successor);
        }
    }
}

/// Adds those who are not there yet, in their order.
pub fn extend(set: &mut Vec<NodeId>, nodes: impl IntoIterator<Item = NodeId>) {
    for node in nodes {
        if !set.contains(&node) {
            set.push(node);
        }
    }
}
