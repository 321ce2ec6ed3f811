//! Section 5.1, checkpoints, and 5.2, state transfer: how a replica gets what it lacks.

use std::rc::Rc;

use super::log::{Epochs, Log, Part};
use super::message::{Message, View};
use super::{Cx, Replica, Standing};
use crate::id::NodeId;
use crate::machine::{Note, WriteId};

impl Replica {
    /// Replaces the prefix of the log by the state after it. What came after the checkpoint before stays in
    /// memory, for replicas that are a little behind.
    pub(super) fn take_checkpoint(&mut self, cx: &mut Cx<'_>) {
        self.log.drop_to(self.checkpoint.tip().length);
        self.checkpoint = Rc::new(self.store.image());
        self.since_checkpoint = 0;
        self.write_image(cx);
        cx.note(Note::Compacted { floor: self.log.base() });
    }

    /// `from` is in this view as normal, and this replica lacks it, or a part of it.
    pub(super) fn lacks(&mut self, view: View, from: NodeId, cx: &mut Cx<'_>) {
        if self.behind.is_none_or(|known| known < view) {
            self.behind = Some(view);
            cx.send(from, Message::GetState { view, op: self.lacking_after(view) });
        }
    }

    /// The log of one view only grows; of another view's, only what is committed is known to be the same.
    fn lacking_after(&self, view: View) -> u64 {
        let same = view == self.view && self.standing == Standing::Normal;
        if same { self.log.end() } else { self.commit() }
    }

    /// Asks another replica for what is still missing.
    pub(super) fn ask_again(&mut self, cx: &mut Cx<'_>) {
        let Some(view) = self.behind else { return };
        let members = self.epochs.current.clone();
        if let Some(node) = self.next_to_ask(members.primary(view), &members.members) {
            cx.send(node, Message::GetState { view, op: self.lacking_after(view) });
        }
    }

    /// The preferred one every other time, else each in turn.
    pub(super) fn next_to_ask(&mut self, preferred: NodeId, members: &[NodeId]) -> Option<NodeId> {
        let me = self.me();
        let turn = self.asked;
        self.asked += 1;
        if turn.is_multiple_of(2) && preferred != me {
            return Some(preferred);
        }
        let others: Vec<NodeId> = members.iter().copied().filter(|&node| node != me).collect();
        (!others.is_empty()).then(|| others[(turn / 2) as usize % others.len()])
    }

    pub(super) fn get_state(&mut self, from: NodeId, view: View, op: u64, cx: &mut Cx<'_>) {
        self.is_warmer(from, op, cx);
        match self.standing {
            Standing::Normal if view <= self.view => {
                let (view, log, commit) = (self.view, self.log.part(op, &self.checkpoint), self.commit());
                cx.send(from, Message::NewState { view, log, commit });
            }
            // Section 5.3: the primary of the new view needs more than the end of the log.
            Standing::ViewChange if view == self.view && from == self.primary() => self.vote(op, cx),
            // A group that cannot end its view change without the new ones must not keep them waiting for it.
            Standing::ViewChange if op < self.epochs.current.start => self.tell_beginning(from, op, cx),
            Standing::Retired if !self.is_released() => self.tell_beginning(from, op, cx),
            Standing::Transitioning => self.tell_epoch(from, cx),
            _ => {}
        }
    }

    /// The state with which this epoch began: a replica that has it is in view 0, and has promised nothing yet.
    fn tell_beginning(&self, to: NodeId, op: u64, cx: &mut Cx<'_>) {
        let Part { image, after, entries } = self.log.part(op, &self.checkpoint);
        let commit = self.epochs.current.start.max(after);
        let known = entries.len().min((commit - after) as usize);
        let log = Part { image, after, entries: entries[..known].into() };
        let view = View { epoch: self.view.epoch, number: 0 };
        cx.send(to, Message::NewState { view, log, commit });
    }

    pub(super) fn new_state(&mut self, view: View, log: &Part, commit: u64, cx: &mut Cx<'_>) {
        let end = self.log.end();
        match self.standing {
            Standing::Normal if view == self.view => {
                if self.leads() || log.end() <= end {
                    self.behind = None;
                } else if log.after <= end && log.image.is_none() {
                    self.behind = None;
                    self.log.extend(log.after, &log.entries);
                    self.take_early();
                    self.write_state(end, None, cx);
                    self.commit_to(commit, cx);
                } else {
                    self.adopt(view, log, commit, None, cx);
                }
            }
            // It is to be taken in, and keeps a state until then.
            Standing::Retired if view >= self.view && commit > self.commit() => {
                self.adopt(view, log, commit, Some(self.epochs.clone()), cx);
            }
            Standing::Normal | Standing::ViewChange if view >= self.view => {
                if self.epochs.current.primary(view) == self.me() {
                    return cx.note(Note::Refused("a state of a view that this replica has not started"));
                }
                self.adopt(view, log, commit, None, cx);
            }
            _ => {}
        }
    }

    /// Enters a view with the log of it, or a log that goes on within it. What is committed here is a part of
    /// every later log; what is not is replaced. False: the part begins after what is committed here.
    pub(super) fn adopt(
        &mut self,
        view: View,
        part: &Part,
        commit: u64,
        epochs: Option<Epochs>,
        cx: &mut Cx<'_>,
    ) -> bool {
        let image = part.image.as_ref().filter(|store| store.tip().length > self.commit());
        let own = image.map_or(self.commit(), |store| store.tip().length);
        if part.after > own || part.end() < own {
            cx.note(Note::Refused("a log that does not continue what is committed"));
            return false;
        }
        if let Some(store) = image {
            self.store = (**store).clone();
            self.checkpoint = store.clone();
            self.since_checkpoint = 0;
            self.log = Log::new(own);
            cx.note(Note::Snapshot { length: own });
        }
        self.log.truncate(own);
        self.log.extend(part.after, &part.entries);
        (self.view, self.last_normal) = (view, view);
        if let Some(epochs) = &epochs {
            self.epochs = epochs.clone();
        }
        self.resign(Some(self.primary()), cx);
        let opening = self.save(image.is_some(), own, epochs, cx);
        self.enter_normal(opening, cx);
        self.commit_to(commit, cx);
        true
    }

    fn save(&mut self, image: bool, after: u64, epochs: Option<Epochs>, cx: &mut Cx<'_>) -> WriteId {
        if image { self.write_image(cx) } else { self.write_state(after, epochs, cx) }
    }
}
