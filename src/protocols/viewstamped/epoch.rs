//! Section 7, reconfiguration: an epoch ends with the operation that names the group of the next.

use std::rc::Rc;

use super::log::{Configuration, Entry, Epochs, Part};
use super::message::{Message, View};
use super::normal::WINDOW;
use super::{Cx, Replica, Standing, Timer};
use crate::id::NodeId;
use crate::machine::{Machine, Note};

impl Replica {
    /// Somebody asks for these replicas, the preferred primary first: the first primary of the epoch to come.
    pub(super) fn reconfigure(&mut self, mut members: Vec<NodeId>, cx: &mut Cx<'_>) {
        let mut seen = std::collections::BTreeSet::new();
        members.retain(|&node| seen.insert(node));
        if !self.serving() || self.is_ending() {
            return cx.note(Note::Refused("a reconfiguration of one who cannot order it"));
        }
        let is_so = members == self.epochs.current.members && members.first() == Some(&self.me());
        if members.is_empty() || is_so {
            return cx.note(Note::Refused("a reconfiguration to a group that cannot be, or is"));
        }
        if self.lead.wanted.as_ref() != Some(&members) {
            self.lead.wanted = Some(members);
            self.lead.waited = 0;
        }
        self.pursue(cx);
    }

    /// Orders the reconfiguration that was asked for once whoever is new in it is nearly up to date: section 7
    /// has them warmed up first, for the group to come waits for those who are not. If the primary fails
    /// before that, nothing was ordered, and it is to be asked for again.
    pub(super) fn pursue(&mut self, cx: &mut Cx<'_>) {
        let Some(members) = self.lead.wanted.clone().filter(|_| self.serving() && !self.is_ending()) else { return };
        let nearly = self.commit().saturating_sub(WINDOW);
        let is_warm = |node: &NodeId| {
            self.epochs.current.has(*node) || self.lead.warm.get(node).is_some_and(|&commit| commit >= nearly)
        };
        let cold: Vec<NodeId> = members.iter().copied().filter(|node| !is_warm(node)).collect();
        if cold.is_empty() {
            self.lead.wanted = None;
            self.lead.warm.clear();
            let start = self.log.end() + 1;
            let next = Configuration { epoch: self.view.epoch + 1, members, start, ordered: self.view };
            return self.order(Entry::Reconfiguration(Rc::new(next)), cx);
        }
        self.lead.waited += 1;
        if is_due(self.lead.waited) {
            for node in cold {
                self.tell_epoch(node, cx);
            }
        }
    }

    /// One outside of the group, who is to be taken in, tells how far it is.
    pub(super) fn is_warmer(&mut self, from: NodeId, commit: u64, cx: &mut Cx<'_>) {
        let wanted = self.lead.wanted.as_ref().is_some_and(|wanted| wanted.contains(&from));
        if wanted && !self.epochs.current.has(from) {
            self.lead.warm.insert(from, commit);
            self.pursue(cx);
        }
    }

    /// The last operation of this epoch is in the log.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.log.last(), Some(Entry::Reconfiguration(next)) if next.epoch > self.view.epoch)
    }

    /// The reconfiguration is committed: the next epoch begins in view 0, with a log that ends here.
    pub(super) fn enter_epoch(&mut self, next: &Rc<Configuration>, cx: &mut Cx<'_>) {
        let (old_view, led) = (self.view, self.leads());
        let epochs = Epochs { current: next.clone(), previous: self.epochs.current.clone() };
        if led {
            let commit = self.commit();
            for node in epochs.previous.others(self.me()) {
                cx.send(node, Message::Commit { view: old_view, commit });
            }
        }
        self.resign(Some(next.primary(View { epoch: next.epoch, number: 0 })), cx);
        self.view = View { epoch: next.epoch, number: 0 };
        self.last_normal = self.view;
        self.epochs = epochs.clone();
        let opening = self.write_state(self.log.end(), Some(epochs), cx);
        self.greet_epoch(cx);
        self.enter_normal(opening, cx);
        if led {
            for node in self.epochs.added() {
                self.send_durably(node, Message::StartEpoch { epochs: self.epochs.clone() }, cx);
            }
        }
    }

    /// This replica has the state with which the epoch begins, or a later one.
    fn greet_epoch(&mut self, cx: &mut Cx<'_>) {
        self.started.clear();
        cx.note(Note::ReplicaSet(self.epochs.current.members.clone()));
        if self.epochs.current.has(self.me()) {
            for node in self.epochs.replaced() {
                self.send_durably(node, Message::EpochStarted { epoch: self.view.epoch }, cx);
            }
        }
    }

    /// Section 7.3: a replaced replica stays for those who need its state.
    pub(super) fn retire(&mut self, had_part: bool, cx: &mut Cx<'_>) {
        self.standing = Standing::Retired;
        cx.cancel_timer(Timer::Silence);
        if std::mem::take(&mut self.reports) {
            let (view, op) = (self.view, self.commit());
            self.send_durably(self.primary(), Message::GetState { view, op }, cx);
        }
        if !had_part {
            return;
        }
        cx.note(Note::SteppedDown { why: "it is not in the group of this epoch" });
    }

    /// Retired, and of neither this epoch nor the one before.
    pub(super) fn is_newcomer(&self) -> bool {
        !self.epochs.previous.has(self.me()) && !self.epochs.current.has(self.me())
    }

    /// The group, the primary of this view first, then in the order in which they become primary.
    pub(super) fn primary_first(&self) -> Vec<NodeId> {
        let mut members = self.epochs.current.members.clone();
        let first = self.view.number % members.len().max(1) as u64;
        members.rotate_left(first as usize);
        members
    }

    /// f + 1 of the epoch that replaced it run without it.
    pub(super) fn is_released(&self) -> bool {
        self.started.len() > self.epochs.current.f()
    }

    pub(super) fn epoch_started(&mut self, from: NodeId, epoch: u64, cx: &mut Cx<'_>) {
        if self.standing != Standing::Retired || epoch != self.view.epoch || !self.epochs.current.has(from) {
            return;
        }
        let before = self.is_released();
        self.started.insert(from);
        if self.is_released() && !before {
            cx.note(Note::SteppedDown { why: "the epoch that replaced it has started" });
        }
    }

    /// A replaced replica sees to it that the new group starts.
    pub(super) fn repeat_start_epoch(&self, cx: &mut Cx<'_>) {
        let replaced = self.epochs.previous.has(self.me());
        if self.is_released() || !replaced {
            return;
        }
        for node in self.epochs.current.members.iter().filter(|node| !self.started.contains(node)) {
            self.tell_epoch(*node, cx);
        }
    }

    /// Tells of the latest epoch that this replica knows.
    pub(super) fn tell_epoch(&self, to: NodeId, cx: &mut Cx<'_>) {
        let epochs = self.coming.as_ref().unwrap_or(&self.epochs).clone();
        self.send_durably(to, Message::StartEpoch { epochs }, cx);
    }

    /// A message of another epoch: one of the two is behind. Section 7.1: who is behind is told.
    pub(super) fn another_epoch(&mut self, from: NodeId, message: Message, cx: &mut Cx<'_>) {
        let Some(view) = message.view() else { return };
        let Some(coming) = &self.coming else {
            return if view.epoch < self.view.epoch { self.tell_epoch(from, cx) } else { self.lacks_epoch(from, cx) };
        };
        let epoch = coming.current.epoch;
        match message {
            Message::NewState { view, log, commit } if view.epoch == epoch => self.start_with(view, &log, commit, cx),
            Message::GetState { .. } | Message::StartViewChange { .. } if view.epoch < epoch => {
                self.tell_epoch(from, cx);
            }
            _ if view.epoch > epoch => self.lacks_epoch(from, cx),
            _ => {}
        }
    }

    /// Asks a replica of a later epoch, which answers with StartEpoch.
    fn lacks_epoch(&self, from: NodeId, cx: &mut Cx<'_>) {
        cx.send(from, Message::GetState { view: self.view, op: self.commit() });
    }

    pub(super) fn start_epoch(&mut self, from: NodeId, epochs: Epochs, cx: &mut Cx<'_>) {
        self.reports = !epochs.current.has(self.me()) && !epochs.previous.has(self.me());
        let known = self.coming.as_ref().map_or(self.view.epoch, |coming| coming.current.epoch);
        if epochs.current.epoch == self.view.epoch && self.standing == Standing::Normal {
            // Its answer was lost.
            self.send_durably(from, Message::EpochStarted { epoch: self.view.epoch }, cx);
        } else if epochs.current.epoch == self.view.epoch && self.standing == Standing::Retired {
            // It is to be taken in, and is brought up to date first.
            self.epochs = epochs;
            cx.send(from, Message::GetState { view: self.view, op: self.commit() });
        } else if self.has_the_end_before(&epochs) {
            // That the epoch began says that the operation is committed, which is all that was missing.
            self.commit_to(epochs.current.start, cx);
        } else if epochs.current.epoch > known {
            self.resign(None, cx);
            self.standing = Standing::Transitioning;
            self.waited = 0;
            self.behind = None;
            self.change.end();
            self.coming = Some(epochs);
            cx.cancel_timer(Timer::Silence);
            self.ask_epoch(from, cx);
        }
    }

    /// The log has the operation that began this epoch, the next one; so it has all before it.
    fn has_the_end_before(&self, epochs: &Epochs) -> bool {
        let part = matches!(self.standing, Standing::Normal | Standing::ViewChange | Standing::Transitioning);
        let end = self.log.get(epochs.current.start);
        part && epochs.current.epoch == self.view.epoch + 1
            && matches!(end, Some(Entry::Reconfiguration(next)) if *next == epochs.current)
    }

    fn ask_epoch(&self, node: NodeId, cx: &mut Cx<'_>) {
        let Some(coming) = &self.coming else { return };
        let view = View { epoch: coming.current.epoch, number: 0 };
        cx.send(node, Message::GetState { view, op: self.commit() });
    }

    /// A transitioning replica asks the others of both epochs in turn.
    pub(super) fn ask_for_the_epoch(&mut self, cx: &mut Cx<'_>) {
        let Some(coming) = self.coming.clone() else { return };
        self.waited += 1;
        if !is_due(self.waited) {
            return;
        }
        let view = View { epoch: coming.current.epoch, number: 0 };
        let both: Vec<NodeId> = coming.current.members.iter().copied().chain(coming.replaced()).collect();
        if let Some(node) = self.next_to_ask(coming.current.primary(view), &both) {
            self.ask_epoch(node, cx);
        }
    }

    /// The state that was missing.
    fn start_with(&mut self, view: View, log: &Part, commit: u64, cx: &mut Cx<'_>) {
        let Some(coming) = self.coming.clone() else { return };
        if log.end() < coming.current.start || commit < coming.current.start {
            return cx.note(Note::Refused("a state from before the epoch"));
        }
        if self.adopt(view, log, commit, Some(coming), cx) && self.view == view {
            self.greet_epoch(cx);
        }
    }
}

/// Whether it is time to ask again, so many beats after the first time: a state may take long to arrive, so each
/// time is twice as far away, up to a limit.
const fn is_due(beats: u64) -> bool {
    beats.is_power_of_two() || beats.is_multiple_of(32)
}
