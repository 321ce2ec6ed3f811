//! Clients of the leader: writes wait at the desk until they are applied, reads until it is known that
//! nobody else could have served a newer state (thesis, section 6.4).

use std::collections::{BTreeMap, VecDeque};

use raft::StateRole;

use super::replica::Replica;
use super::{Cx, Mutation, codec};
use crate::machine::RequestId;
use crate::op::{Answer, Outcome, Request};
use crate::protocols::desk::{Admission, Desk};
use crate::protocols::done;
use crate::protocols::store::Command;

/// A read in hand.
#[derive(Clone, Copy, Debug)]
struct Read {
    id: RequestId,
    key: u32,
}

/// Everything that clients wait for.
#[derive(Clone, Debug, Default)]
pub struct InHand {
    desk: Desk,
    /// The leader has not committed an entry of its term yet, so its commit index may be behind.
    early: Vec<Read>,
    /// The crate asks a majority whether this node leads; by the context that it was given.
    asked: BTreeMap<u64, Read>,
    /// To be read once the entry of this index is applied.
    confirmed: VecDeque<(u64, Read)>,
    next_read: u64,
}

impl InHand {
    /// Everyone who waits.
    fn clear(&mut self) -> Vec<RequestId> {
        let reads = std::mem::take(&mut self.early).into_iter();
        let reads = reads.chain(std::mem::take(&mut self.asked).into_values());
        let reads = reads.chain(std::mem::take(&mut self.confirmed).into_iter().map(|(_, read)| read));
        let mut waiting: Vec<RequestId> = reads.map(|read| read.id).collect();
        waiting.extend(self.desk.clear());
        waiting
    }
}

impl Replica {
    pub(super) fn request(&mut self, id: RequestId, request: &Request, cx: &mut Cx<'_>) {
        if self.node().is_none() {
            cx.reply(id, Outcome::Refused);
        } else if !self.serving_now() {
            cx.reply(id, Outcome::Redirect { hint: self.leader().filter(|&node| node != self.config.group.me) });
        } else if request.op.is_read() {
            self.read(Read { id, key: request.op.key() }, cx);
        } else {
            match self.in_hand.desk.admit(id, request, &self.store) {
                Admission::Propose(command) => self.propose(id, command, cx),
                Admission::Waits => {}
                Admission::Known(answer) => self.done(id, answer, cx),
                Admission::Answer(outcome) => cx.reply(id, outcome),
            }
        }
    }

    fn serving_now(&self) -> bool {
        self.leads() && self.is_member()
    }

    fn propose(&mut self, id: RequestId, command: Command, cx: &mut Cx<'_>) {
        let proposed = self.call(|node| node.propose(Vec::new(), codec::encode(&command)));
        if !matches!(proposed, Some(Ok(()))) {
            // Nothing was appended: a transfer of the leadership is under way.
            for waiting in self.in_hand.desk.applied(command.write()) {
                cx.reply(waiting, Outcome::Redirect { hint: None });
            }
        } else if self.config.options.mutation == Some(Mutation::AckBeforeCommit) {
            let answer = self.store.execute(command).answer;
            self.in_hand.desk.applied(command.write());
            self.done(id, answer, cx);
        }
    }

    fn read(&mut self, read: Read, cx: &mut Cx<'_>) {
        if self.config.options.mutation == Some(Mutation::SkipReadIndex) {
            return self.answer_read(read, cx);
        }
        let Some(node) = self.node() else { return };
        // The crate forgets a read for which it is too early.
        if !node.raft.commit_to_current_term() {
            self.in_hand.early.push(read);
            return;
        }
        self.in_hand.next_read += 1;
        let context = self.in_hand.next_read;
        self.in_hand.asked.insert(context, read);
        self.call(|node| node.read_index(context.to_be_bytes().to_vec()));
    }

    /// A majority confirmed that this node led when it was asked.
    pub(super) fn confirmed(&mut self, context: &[u8], index: u64) {
        let context = context.try_into().map(u64::from_be_bytes);
        if let Some(read) = context.ok().and_then(|context| self.in_hand.asked.remove(&context)) {
            self.in_hand.confirmed.push_back((index, read));
        }
    }

    /// Answers the reads whose state is here.
    pub(super) fn answer_reads(&mut self, cx: &mut Cx<'_>) {
        let applied = self.applied_index();
        while let Some(&(_, read)) = self.in_hand.confirmed.front().filter(|(index, _)| *index <= applied) {
            self.in_hand.confirmed.pop_front();
            self.answer_read(read, cx);
        }
        let ready = self.node().is_some_and(|node| node.raft.commit_to_current_term());
        if ready && !self.in_hand.early.is_empty() {
            for read in std::mem::take(&mut self.in_hand.early) {
                self.read(read, cx);
            }
        }
    }

    fn answer_read(&self, read: Read, cx: &mut Cx<'_>) {
        let cell = self.store.read(read.key);
        self.done(read.id, Answer::Read { digest: cell.digest, bytes: cell.bytes }, cx);
    }

    /// A command was applied: everyone who waited for it is told.
    pub(super) fn applied(&mut self, command: &Command, answer: Option<Answer>, cx: &mut Cx<'_>) {
        for id in self.in_hand.desk.applied(command.write()) {
            match answer {
                Some(answer) => self.done(id, answer, cx),
                // Its client had its final answer before, or gave up.
                None => cx.reply(id, Outcome::Unfinished { hint: None }),
            }
        }
    }

    fn done(&self, id: RequestId, answer: Answer, cx: &mut Cx<'_>) {
        cx.reply(id, done(answer, self.store.tip(), self.term(), self.copies()));
    }

    /// How many voters are known to hold everything applied.
    fn copies(&self) -> usize {
        let Some(node) = self.node().filter(|node| node.raft.state == StateRole::Leader) else { return 0 };
        let prs = node.raft.prs();
        let voters = prs.conf().voters().ids();
        let holds = |id: u64| prs.get(id).is_some_and(|progress| progress.matched >= self.applied_index());
        voters.iter().filter(|&id| holds(id)).count()
    }

    /// The leadership is lost: what was asked for may yet take effect, under whoever leads next.
    pub(super) fn give_up_requests(&mut self, cx: &mut Cx<'_>) {
        let hint = self.leader().filter(|&node| node != self.config.group.me);
        for id in self.in_hand.clear() {
            cx.reply(id, Outcome::Unfinished { hint });
        }
    }
}
