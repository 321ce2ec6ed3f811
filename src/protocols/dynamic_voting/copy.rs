//! The service in a view: the primary's copy, and the members'.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::change::Change;
use super::{Cx, Message, Mutation, Record, Replica, Vote};
use crate::id::NodeId;
use crate::machine::{Note, RequestId};
use crate::op::{Answer, Outcome, Request};
use crate::protocols::done;
use crate::protocols::store::{Command, Fate, KEYS_MAX, Update};

/// Updates in one message.
const WINDOW: usize = 1_000;

/// A write that waits until everything up to a position is committed.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    length: u64,
    id: RequestId,
    answer: Answer,
}

/// Reads that wait until the view is confirmed: a later view has a member in common with any distinguished partition
/// of this one, and that member had not left yet. So nothing was acknowledged elsewhere before the reads began.
#[derive(Clone, Debug)]
pub struct Confirming {
    round: u64,
    reads: Vec<(RequestId, u32)>,
    by: BTreeSet<NodeId>,
}

/// The primary.
impl Replica {
    pub(super) fn request(&mut self, id: RequestId, request: &Request, cx: &mut Cx<'_>) {
        if !self.leads() {
            if !matches!(self.change, Change::None) {
                return self.parked.push((id, *request));
            }
            return cx.reply(id, Outcome::Redirect { hint: self.hint() });
        }
        let key = request.op.key();
        if key >= KEYS_MAX {
            return cx.reply(id, Outcome::Refused);
        }
        if request.op.is_read() {
            self.reads.push((id, key));
            return self.confirm(cx);
        }
        let answer = match self.head.fate(request.write_key()) {
            Fate::New => self.execute(request, cx),
            Fate::Live { digest, .. } if digest != request.op.digest() => return cx.reply(id, Outcome::NumberTaken),
            Fate::Live { answer, .. } => answer,
            Fate::Settled => return cx.reply(id, Outcome::Refused),
        };
        self.waiting.push_back(Waiting { length: self.length(), id, answer });
        self.answer_committed(cx);
    }

    /// Whom a client should ask instead: the primary of its view, unless that is known to be gone.
    pub(super) fn hint(&self) -> Option<NodeId> {
        let own = self.follows().filter(|&node| node != self.me());
        let others = || {
            self.detector
                .trusted()
                .filter_map(|(_, peer, standing)| peer.follows.map(|primary| (standing.installed.number, primary)))
        };
        own.or_else(|| others().max().map(|(_, primary)| primary).filter(|&node| node != self.me()))
    }

    fn execute(&mut self, request: &Request, cx: &mut Cx<'_>) -> Answer {
        let update = self.head.execute(Command::of(request));
        self.head.record(&update);
        let (base, number, committed) = (self.length(), self.number(), self.committed.tip().length);
        self.tail.push_back(update);
        self.write(Record::Updates { base, updates: vec![update] }, Vote::Length(self.length()), cx);
        let updates: Rc<[Update]> = Rc::new([update]);
        for &node in self.matched.keys() {
            cx.send(node, Message::Updates { number, base, updates: updates.clone(), committed });
        }
        self.repeat_later(cx);
        update.answer
    }

    pub(super) fn holds(&mut self, from: NodeId, number: u64, length: u64, cx: &mut Cx<'_>) {
        if self.active
            && number == self.number()
            && let Some(matched) = self.matched.get_mut(&from)
        {
            *matched = length.max(*matched);
            self.grown(cx);
        }
    }

    /// The primary's log is durable further, here or there: what every member holds is committed.
    pub(super) fn grown(&mut self, cx: &mut Cx<'_>) {
        if self.active && self.is_settled() {
            let everywhere = self.matched.values().copied().min().unwrap_or(u64::MAX).min(self.durable);
            self.apply_to(everywhere);
            self.take_image(cx);
            self.answer_committed(cx);
        }
    }

    pub(super) fn answer_committed(&mut self, cx: &mut Cx<'_>) {
        let committed = self.committed.tip();
        let alone = self.config.options.mutation == Some(Mutation::AcknowledgeAlone);
        let length = if alone { self.durable.max(committed.length) } else { committed.length };
        while let Some(&Waiting { id, answer, .. }) = self.waiting.front().filter(|one| one.length <= length) {
            self.waiting.pop_front();
            let token = if alone { self.head.tip() } else { committed };
            cx.reply(id, done(answer, token, self.number(), self.installed.members.len()));
        }
    }

    /// Asks whether the view is still the last one, for the reads that wait, one round at a time.
    fn confirm(&mut self, cx: &mut Cx<'_>) {
        if self.confirming.is_some() || self.reads.is_empty() {
            return;
        }
        self.confirm_round += 1;
        let reads = std::mem::take(&mut self.reads);
        self.confirming = Some(Confirming { round: self.confirm_round, reads, by: BTreeSet::from([self.me()]) });
        self.ask_to_confirm(cx);
        self.repeat_later(cx);
        self.conclude(cx);
    }

    /// A new view is to be confirmed by its own members.
    pub(super) fn confirm_anew(&mut self, cx: &mut Cx<'_>) {
        if let Some(Confirming { reads, .. }) = self.confirming.take() {
            self.reads.splice(0..0, reads);
        }
        self.confirm(cx);
    }

    fn ask_to_confirm(&self, cx: &mut Cx<'_>) {
        let Some(Confirming { round, by, .. }) = &self.confirming else { return };
        for &node in self.matched.keys().filter(|&node| !by.contains(node) && self.detector.trusts(*node)) {
            cx.send(node, Message::Confirm { number: self.number(), round: *round });
        }
    }

    pub(super) fn confirmed(&mut self, from: NodeId, number: u64, round: u64, cx: &mut Cx<'_>) {
        if let Some(confirming) = self.confirming.as_mut().filter(|one| one.round == round)
            && self.installed.number == number
        {
            confirming.by.insert(from);
            self.conclude(cx);
        }
    }

    fn conclude(&mut self, cx: &mut Cx<'_>) {
        let is_carried = |one: &mut Confirming| self.installed.is_carried_by(|node| one.by.contains(&node));
        if !self.active || !self.is_settled() {
            return;
        }
        if let Some(Confirming { reads, .. }) = self.confirming.take_if(is_carried) {
            for (id, key) in reads {
                let cell = self.committed.read(key);
                let answer = Answer::Read { digest: cell.digest, bytes: cell.bytes };
                cx.reply(id, done(answer, self.committed.tip(), self.number(), self.installed.members.len()));
            }
            self.confirm(cx);
        }
    }

    pub(super) fn repeat(&mut self, cx: &mut Cx<'_>) {
        if !matches!(self.change, Change::None) {
            self.repeat_later(cx);
            return self.repeat_change(cx);
        }
        if !self.active || !self.is_settled() {
            return;
        }
        let (number, committed) = (self.number(), self.committed.tip().length);
        let lagging = |(node, matched): &(&NodeId, &u64)| **matched < self.length() && self.detector.trusts(**node);
        for (&node, &base) in self.matched.iter().filter(lagging) {
            // What is committed is on every member.
            let from = base.saturating_sub(committed) as usize;
            let updates = self.tail.iter().copied().skip(from).take(WINDOW).collect();
            cx.send(node, Message::Updates { number, base: base.max(committed), updates, committed });
        }
        self.ask_to_confirm(cx);
        if !self.tail.is_empty() || self.confirming.is_some() {
            self.repeat_later(cx);
        }
    }

    /// Who is not primary any more, or cannot confirm anything, has nothing to answer with.
    pub(super) fn hand_over(&mut self, cx: &mut Cx<'_>) {
        let changes = !matches!(self.change, Change::None);
        let in_office = self.active && self.is_carried() && (self.is_settled() || changes);
        if std::mem::replace(&mut self.led, in_office) && !in_office {
            cx.note(Note::SteppedDown { why: "another view, or too few of this one are heard" });
        }
        if !changes {
            for (id, _) in std::mem::take(&mut self.parked) {
                cx.reply(id, Outcome::Redirect { hint: None });
            }
        }
        if in_office {
            return;
        }
        let hint = self.hint();
        let reads = std::mem::take(&mut self.reads);
        let riding = self.confirming.take().map_or_else(Vec::new, |one| one.reads);
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|one| one.id);
        for id in waiting.chain(reads.into_iter().chain(riding).map(|(id, _)| id)) {
            cx.reply(id, Outcome::Unfinished { hint });
        }
    }
}

/// Members.
impl Replica {
    /// The primary says how far its log is on every member.
    pub(super) fn commit_to(&mut self, committed: u64, cx: &mut Cx<'_>) {
        if self.is_settled() && self.installed.primary != self.me() {
            self.apply_to(committed.min(self.durable));
            self.take_image(cx);
        }
    }

    /// The next updates of this view. A member's log in a view is always a prefix of its primary's.
    pub(super) fn updates(&mut self, from: NodeId, base: u64, updates: &[Update], committed: u64, cx: &mut Cx<'_>) {
        let number = self.number();
        if let Some(known) = self.length().checked_sub(base)
            && let Some(new) = updates.get(known as usize..).filter(|new| !new.is_empty())
        {
            let base = self.length();
            self.tail.extend(new);
            self.write(Record::Updates { base, updates: new.to_vec() }, Vote::Length(self.length()), cx);
        }
        self.commit_to(committed, cx);
        // Once it is durable; at once, if it is, or if there is a gap to fill.
        self.send_durable(from, Message::Holds { number, length: self.length() }, cx);
    }
}
