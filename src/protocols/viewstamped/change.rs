//! Section 4.2, view changes, and 5.3: only the end of the log is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::log::Part;
use super::message::{Message, View, Vote};
use super::{Cx, Replica, Standing, Timer};
use crate::id::NodeId;
use crate::machine::Note;

/// A view change waits at most this many times the timeout.
const PATIENCE_MAX: u64 = 4;

/// A view change, as one replica sees it.
#[derive(Debug, Default)]
pub struct Change {
    /// Who sent StartViewChange, or more, for this view.
    heard: BTreeSet<NodeId>,
    /// This replica's DoViewChange went out, with the log after this position.
    voted_after: Option<u64>,
    /// DoViewChange messages, at the primary of the view.
    votes: BTreeMap<NodeId, Rc<Vote>>,
    /// View changes that did not end, since the last that did.
    failed: u32,
}

impl Change {
    /// It ended.
    pub fn end(&mut self) {
        *self = Self::default();
    }
}

impl Replica {
    /// Advances to this view, and says so.
    pub(super) fn change_view(&mut self, view: View, cx: &mut Cx<'_>) {
        self.resign(None, cx);
        let failed = self.change.failed + u32::from(self.standing == Standing::ViewChange);
        self.change = Change { failed, ..Change::default() };
        self.standing = Standing::ViewChange;
        self.view = view;
        self.behind = None;
        self.early.clear();
        cx.note(Note::ViewChange { view: view.ordinal() });
        self.write_state(self.log.end(), None, cx);
        self.tell_start_view_change(cx);
        let patience = (1 << failed.min(8)).min(PATIENCE_MAX);
        cx.set_timer(Timer::Silence, self.config.options.election_timeout.saturating_mul(patience));
        self.count(cx);
    }

    fn tell_start_view_change(&self, cx: &mut Cx<'_>) {
        for node in self.epochs.current.others(self.me()) {
            self.send_durably(node, Message::StartViewChange { view: self.view }, cx);
        }
    }

    /// f others agree on the view change.
    fn is_agreed(&self) -> bool {
        self.change.heard.len() + 1 >= self.epochs.current.majority()
    }

    /// Whether a message of a view change concerns this replica's. A later view than its own draws it along.
    fn joins(&mut self, from: NodeId, view: View, cx: &mut Cx<'_>) -> bool {
        if !matches!(self.standing, Standing::Normal | Standing::ViewChange) || view < self.view {
            return false;
        }
        if !self.epochs.current.has(from) {
            cx.note(Note::Refused("a view change of one who is not in the group"));
            return false;
        }
        if view > self.view {
            self.change_view(view, cx);
        }
        self.standing == Standing::ViewChange
    }

    pub(super) fn start_view_change_from(&mut self, from: NodeId, view: View, cx: &mut Cx<'_>) {
        if self.joins(from, view, cx) {
            self.change.heard.insert(from);
            self.count(cx);
        }
    }

    /// Sends DoViewChange once f others agree.
    fn count(&mut self, cx: &mut Cx<'_>) {
        if self.is_agreed() && self.change.voted_after.is_none() {
            self.vote(self.commit(), cx);
        }
    }

    /// Sends DoViewChange with the log after this position. The primary of the view sends it to itself: its
    /// own vote, too, counts once it is durable.
    pub(super) fn vote(&mut self, after: u64, cx: &mut Cx<'_>) {
        self.change.voted_after = Some(after);
        let log = self.log.part(after, &self.checkpoint);
        let (last_normal, op, commit) = (self.last_normal, self.log.end(), self.commit());
        let vote = Rc::new(Vote { last_normal, op, commit, log });
        self.send_durably(self.primary(), Message::DoViewChange { view: self.view, vote }, cx);
    }

    pub(super) fn do_view_change(&mut self, from: NodeId, view: View, vote: Rc<Vote>, cx: &mut Cx<'_>) {
        if !self.joins(from, view, cx) {
            return;
        }
        if self.primary() != self.me() {
            return cx.note(Note::Refused("a DoViewChange to one who is not the primary of the view"));
        }
        // Who sends it has heard f others.
        if from != self.me() {
            self.change.heard.insert(from);
            self.count(cx);
        }
        self.change.votes.insert(from, vote);
        self.choose(false, cx);
    }

    /// With f + 1 votes, its own among them: the log of the latest normal view, the longest of those.
    fn choose(&mut self, again: bool, cx: &mut Cx<'_>) {
        let (votes, me) = (&self.change.votes, self.me());
        if votes.len() < self.epochs.current.majority() || !votes.contains_key(&me) {
            return;
        }
        let rank = |(node, vote): &(&NodeId, &Rc<Vote>)| (vote.last_normal, vote.op, **node == me);
        let (&best, vote) = votes.iter().max_by_key(rank).expect("there is a majority of votes");
        let (vote, commit) = (vote.clone(), votes.values().map(|vote| vote.commit).max().unwrap_or(0));
        let commits = votes.iter().map(|(&node, vote)| (node, vote.commit)).collect();
        let Some(log) = self.joined(&vote) else {
            // Asked once at once, and again at each beat.
            let asked = self.behind.replace(self.view).is_some();
            if !asked || again {
                cx.send(best, Message::GetState { view: self.view, op: self.commit() });
            }
            return;
        };
        if self.adopt(self.view, &log, commit, None, cx) {
            self.lead.commits = commits;
        }
    }

    /// The log of a vote, from the end of what is committed here. `None`: this replica lacks what is before it.
    fn joined(&self, vote: &Vote) -> Option<Part> {
        let (own, after) = (self.commit(), vote.log.after);
        if after <= own || vote.log.image.is_some() {
            return Some(vote.log.clone());
        }
        // Of two logs of one view the shorter is a prefix of the longer.
        let same = vote.last_normal == self.last_normal && self.log.end() >= after;
        same.then(|| {
            let between = self.log.span(own, after);
            let entries = between.iter().chain(vote.log.entries.iter()).cloned().collect();
            Part { image: None, after: own, entries }
        })
    }

    /// The primary starts the view. To who voted it sends what is not committed there.
    pub(super) fn tell_start_view(&self, cx: &mut Cx<'_>) {
        let (view, commit) = (self.view, self.commit());
        for node in self.epochs.current.others(self.me()) {
            let after = self.lead.commits.get(&node).copied().unwrap_or(commit);
            let log = self.log.part(after, &self.checkpoint);
            cx.send(node, Message::StartView { view, log, commit });
        }
    }

    pub(super) fn start_view(&mut self, from: NodeId, view: View, log: &Part, commit: u64, cx: &mut Cx<'_>) {
        let takes_part = matches!(self.standing, Standing::Normal | Standing::ViewChange);
        let known = view == self.view && self.standing == Standing::Normal;
        if !takes_part || view < self.view || known {
            return;
        }
        if from != self.epochs.current.primary(view) {
            return cx.note(Note::Refused("a StartView of one who is not the primary of the view"));
        }
        if log.after > self.commit() && log.image.is_none() {
            return self.lacks(view, from, cx);
        }
        self.adopt(view, log, commit, None, cx);
    }

    /// Messages of a view change may have been lost.
    pub(super) fn repeat_view_change(&mut self, cx: &mut Cx<'_>) {
        self.tell_start_view_change(cx);
        if let Some(after) = self.change.voted_after
            && self.primary() != self.me()
        {
            self.vote(after, cx);
        }
        if self.primary() == self.me() {
            self.choose(true, cx);
        }
    }

    /// The view change does not end. With f others in it, its primary must have failed: the next one. With
    /// fewer there is no majority to be had.
    pub(super) fn view_change_lasts(&mut self, cx: &mut Cx<'_>) {
        if self.is_agreed() {
            self.change_view(self.view.next(), cx);
        } else {
            cx.set_timer(Timer::Silence, self.config.options.election_timeout);
        }
    }
}
