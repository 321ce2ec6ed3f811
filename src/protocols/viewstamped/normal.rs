//! Section 4.1, normal operation: the primary orders operations, backups hold them, f + 1 copies commit.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use super::log::Entry;
use super::message::{Message, View};
use super::{Cx, Mutation, Replica, Standing, Timer, elsewhere};
use crate::id::NodeId;
use crate::machine::{Note, RequestId, WriteId};
use crate::op::{Answer, Outcome, Request};
use crate::protocols::desk::{Admission, Desk};
use crate::protocols::done;
use crate::protocols::store::Command;

/// Operations in one repeated message, and those that a newcomer may lack when it is taken in.
pub const WINDOW: u64 = 1_000;
/// Early Prepares that wait.
const EARLY_MAX: usize = 1_000;

/// What a primary keeps; and, of a backup, how far it has told its primary.
#[derive(Debug, Default)]
pub struct Lead {
    /// The write that makes the view durable: before that the primary does not speak in it.
    pub opening: Option<WriteId>,
    /// Up to which operation each backup holds the log of this view.
    pub held: BTreeMap<NodeId, u64>,
    /// Commit-numbers that the view change told, so that StartView carries what is missing.
    pub commits: BTreeMap<NodeId, u64>,
    pub desk: Desk,
    /// Reads with their op-numbers.
    reads: VecDeque<(u64, RequestId, u32)>,
    /// The op-number at the last beat: what is not committed since then is repeated.
    marked: u64,
    /// Backups that answered since the last beat.
    heard: BTreeSet<NodeId>,
    /// The group that was asked for, until it is ordered; since when in beats, and how far whoever is new in it is.
    pub wanted: Option<Vec<NodeId>>,
    pub waited: u64,
    pub warm: BTreeMap<NodeId, u64>,
    /// The commit-number that was told with the last Prepare since the last beat.
    said: Option<u64>,
    pub told: (View, u64),
}

impl Replica {
    pub(super) fn request(&mut self, id: RequestId, request: &Request, cx: &mut Cx<'_>) {
        if !self.leads() {
            let known = matches!(self.standing, Standing::Normal | Standing::Retired);
            return cx.reply(id, elsewhere(known.then(|| self.primary())));
        }
        if self.is_ending() {
            // Section 7.1: after the reconfiguration the primary accepts nothing more in this epoch.
            return cx.reply(id, Outcome::Refused);
        }
        if request.op.is_read() {
            self.lead.reads.push_back((self.log.end() + 1, id, request.op.key()));
            return self.order(Entry::Read { client: request.client, number: request.number }, cx);
        }
        match self.lead.desk.admit(id, request, &self.store) {
            Admission::Propose(command) => {
                self.order(Entry::Op(command), cx);
                self.acknowledge_early(id, command, cx);
            }
            Admission::Waits => {}
            Admission::Known(answer) => {
                let degree = self.epochs.current.majority();
                cx.reply(id, done(answer, self.store.tip(), self.view.ordinal(), degree));
            }
            Admission::Answer(outcome) => cx.reply(id, outcome),
        }
    }

    /// The defect of that name.
    fn acknowledge_early(&self, id: RequestId, command: Command, cx: &mut Cx<'_>) {
        if self.config.options.mutation == Some(Mutation::AckBeforeCommit) {
            let answer = self.store.execute(command).answer;
            cx.reply(id, done(answer, self.store.tip(), self.view.ordinal(), 1));
        }
    }

    /// Gives an operation the next op-number.
    pub(super) fn order(&mut self, entry: Entry, cx: &mut Cx<'_>) {
        let after = self.log.end();
        self.log.push(entry);
        self.write_state(after, None, cx);
        if self.lead.opening.is_none() {
            let (view, entries, commit) = (self.view, self.log.after(after), self.commit());
            self.lead.said = Some(commit);
            for node in self.epochs.current.others(self.me()) {
                cx.send(node, Message::Prepare { view, after, entries: entries.clone(), commit });
            }
        }
    }

    /// Whether a message of this view, or of a later one, tells this replica to follow `from` as a backup here
    /// and now. If it is behind, it asks for what it lacks.
    fn follows(&mut self, from: NodeId, view: View, cx: &mut Cx<'_>) -> bool {
        if view < self.view || !matches!(self.standing, Standing::Normal | Standing::ViewChange) {
            return false;
        }
        if view == self.view && self.primary() == self.me() {
            cx.note(Note::Refused("a message to the backups of this primary's view"));
            return false;
        }
        self.hear_the_primary(cx);
        let follows = view == self.view && self.standing == Standing::Normal;
        if !follows {
            self.lacks(view, from, cx);
        }
        follows
    }

    /// A primary is there: no reason to change the view.
    fn hear_the_primary(&self, cx: &mut Cx<'_>) {
        if !self.leads() {
            cx.set_timer(Timer::Silence, self.config.options.election_timeout);
        }
    }

    pub(super) fn prepare(
        &mut self,
        from: NodeId,
        view: View,
        after: u64,
        entries: &Rc<[Entry]>,
        commit: u64,
        cx: &mut Cx<'_>,
    ) {
        if !self.follows(from, view, cx) {
            return;
        }
        let end = self.log.end();
        if after > end {
            if self.early.len() < EARLY_MAX {
                self.early.insert(after, entries.clone());
            }
        } else if self.log.extend(after, entries) > 0 {
            self.take_early();
            self.write_state(end, None, cx);
        } else if self.durable.0 == self.view {
            // Its answer was lost.
            self.prepare_ok(cx);
        }
        self.learn_commit(commit, cx);
    }

    /// Appends the Prepares that waited for what has come now.
    pub(super) fn take_early(&mut self) {
        while let Some(first) = self.early.first_entry().filter(|first| *first.key() <= self.log.end()) {
            let (after, entries) = first.remove_entry();
            self.log.extend(after, &entries);
        }
    }

    pub(super) fn commit_from(&mut self, from: NodeId, view: View, commit: u64, cx: &mut Cx<'_>) {
        if self.follows(from, view, cx) {
            self.learn_commit(commit, cx);
        }
    }

    /// A backup hears the primary's commit-number. If it is beyond the log here, Prepares are late or lost;
    /// the next beat asks for them.
    fn learn_commit(&mut self, commit: u64, cx: &mut Cx<'_>) {
        if commit > self.log.end() && self.behind.is_none() {
            self.behind = Some(self.view);
        }
        self.commit_to(commit, cx);
    }

    pub(super) fn prepare_ok(&mut self, cx: &mut Cx<'_>) {
        self.lead.told = self.durable;
        cx.send(self.primary(), Message::PrepareOk { view: self.view, op: self.durable.1 });
    }

    pub(super) fn prepare_ok_from(&mut self, from: NodeId, view: View, op: u64, cx: &mut Cx<'_>) {
        if view != self.view || !self.leads() {
            return;
        }
        let end = self.log.end();
        let Some(held) = self.lead.held.get_mut(&from) else {
            return cx.note(Note::Refused("a PrepareOk of one who is not in the group"));
        };
        if op > end {
            return cx.note(Note::Refused("a PrepareOk beyond the log"));
        }
        self.lead.heard.insert(from);
        if op > *held {
            *held = op;
            self.advance(cx);
        }
    }

    /// Up to which operation the log of this view is durable here.
    fn durable_here(&self) -> u64 {
        if self.durable.0 == self.view { self.durable.1 } else { 0 }
    }

    /// How many replicas hold an operation durably, as far as their primary knows.
    fn holders(&self, op: u64) -> usize {
        usize::from(self.durable_here() >= op) + self.lead.held.values().filter(|&&held| held >= op).count()
    }

    /// At a primary: the replicas that durably hold all that is committed, ascending.
    pub(super) fn synced(&self) -> Vec<NodeId> {
        if !self.leads() {
            return Vec::new();
        }
        let (commit, me) = (self.commit(), self.me());
        let own = (self.durable_here() >= commit).then_some(me);
        let others = self.lead.held.iter().filter(|&(_, &held)| held >= commit).map(|(&node, _)| node);
        let mut synced: Vec<NodeId> = others.chain(own).collect();
        synced.sort_unstable();
        synced
    }

    /// Commits what f + 1 replicas hold.
    pub(super) fn advance(&mut self, cx: &mut Cx<'_>) {
        if self.lead.opening.is_some() {
            return;
        }
        let majority = self.epochs.current.majority();
        let told = self.lead.held.values().copied().chain([self.durable_here()]);
        let most = told.filter(|&op| op > self.commit() && self.holders(op) >= majority).max();
        if let Some(op) = most {
            self.commit_to(op, cx);
        }
    }

    /// Executes the log up to this commit-number, as far as it goes.
    pub(super) fn commit_to(&mut self, commit: u64, cx: &mut Cx<'_>) {
        while self.commit() < commit
            && let Some(entry) = self.log.get(self.commit() + 1).cloned()
        {
            self.execute(&entry, cx);
        }
        if self.since_checkpoint >= self.config.options.snapshot_entries {
            self.take_checkpoint(cx);
        }
    }

    fn execute(&mut self, entry: &Entry, cx: &mut Cx<'_>) {
        let answer = entry.apply(&mut self.store);
        self.since_checkpoint += 1;
        if self.leads() {
            self.answer(entry, answer, cx);
        }
        if let Entry::Reconfiguration(configuration) = entry
            && configuration.epoch > self.view.epoch
        {
            self.enter_epoch(configuration, cx);
        }
    }

    fn answer(&mut self, entry: &Entry, answer: Option<Answer>, cx: &mut Cx<'_>) {
        let (op, epoch) = (self.commit(), self.view.ordinal());
        let degree = self.holders(op);
        while let Some(&(_, id, key)) = self.lead.reads.front().filter(|(at, ..)| *at <= op) {
            self.lead.reads.pop_front();
            let cell = self.store.read(key);
            let answer = Answer::Read { digest: cell.digest, bytes: cell.bytes };
            cx.reply(id, done(answer, self.store.tip(), epoch, degree));
        }
        let Entry::Op(command) = entry else { return };
        for id in self.lead.desk.applied(command.write()) {
            // Settled before: its client has the final answer already.
            let outcome = answer.map_or(Outcome::Refused, |answer| done(answer, self.store.tip(), epoch, degree));
            cx.reply(id, outcome);
        }
    }

    /// Enters its view as normal, once `opening` has made it durable, with a log that is complete.
    pub(super) fn enter_normal(&mut self, opening: WriteId, cx: &mut Cx<'_>) {
        let had_part = self.standing != Standing::Retired;
        self.standing = Standing::Normal;
        self.coming = None;
        self.behind = None;
        self.early.clear();
        self.change.end();
        if !self.epochs.current.has(self.me()) {
            return self.retire(had_part, cx);
        }
        if !self.leads() {
            cx.note(Note::Follows(self.primary()));
            return self.listen(cx);
        }
        let me = self.me();
        self.lead.opening = Some(opening);
        self.lead.held = self.epochs.current.others(me).map(|node| (node, 0)).collect();
        cx.cancel_timer(Timer::Silence);
    }

    /// The view is durable: its primary speaks.
    pub(super) fn open_view(&mut self, cx: &mut Cx<'_>) {
        self.lead.opening = None;
        let current = self.epochs.current.clone();
        let (epoch, me) = (self.view.ordinal(), self.me());
        cx.note(Note::Installed { epoch, coordinator: me, members: current.members.clone() });
        self.lead.marked = self.log.end();
        if self.view.number > 0 {
            self.tell_start_view(cx);
        } else {
            self.primary_beats(cx);
        }
    }

    /// A backup waits for its primary.
    pub(super) fn listen(&self, cx: &mut Cx<'_>) {
        cx.set_timer(Timer::Silence, self.config.options.election_timeout);
    }

    /// Repeats Prepare for what is not committed and was sent before the last beat, and says that it is there.
    pub(super) fn primary_beats(&mut self, cx: &mut Cx<'_>) {
        if self.lead.opening.is_some() {
            return;
        }
        let (view, commit) = (self.view, self.commit());
        for (&node, &held) in &self.lead.held {
            let after = held.max(commit);
            // Of whom nothing is heard gets one, to see whether it is there.
            let window = if self.lead.heard.contains(&node) { WINDOW } else { 1 };
            let until = self.lead.marked.min(after + window);
            if after < until {
                let entries = self.log.span(after, until);
                cx.send(node, Message::Prepare { view, after, entries, commit });
            } else if self.lead.said.is_none_or(|said| said < commit) {
                cx.send(node, Message::Commit { view, commit });
            }
        }
        self.lead.marked = self.log.end();
        self.lead.said = None;
        self.lead.heard.clear();
        self.pursue(cx);
    }

    /// Leads no more: what it has in hand may yet take effect.
    pub(super) fn resign(&mut self, hint: Option<NodeId>, cx: &mut Cx<'_>) {
        let writes = self.lead.desk.clear();
        let reads = std::mem::take(&mut self.lead.reads);
        for id in writes.into_iter().chain(reads.into_iter().map(|(_, id, _)| id)) {
            cx.reply(id, Outcome::Unfinished { hint });
        }
        let told = self.lead.told;
        self.lead = Lead { told, ..Lead::default() };
    }
}
