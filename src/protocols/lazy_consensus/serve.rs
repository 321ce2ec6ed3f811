//! Requests of clients, `giv()`, and what follows a decision.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Cx, Replica, Value};
use crate::id::NodeId;
use crate::machine::{Note, RequestId};
use crate::op::{Answer, Outcome, Request};
use crate::protocols::desk::Admission;
use crate::protocols::done;
use crate::protocols::store::{Cell, Command, Fate, KEYS_MAX, Update};

impl Replica {
    pub(super) fn request(&mut self, id: RequestId, request: &Request, cx: &mut Cx<'_>) {
        if !self.leads() {
            return cx.reply(id, Outcome::Redirect { hint: self.hint() });
        }
        let key = request.op.key();
        if request.op.is_read() {
            if key >= KEYS_MAX {
                return cx.reply(id, Outcome::Refused);
            }
            return self.reads.push((id, key));
        }
        match self.desk.admit(id, request, &self.store) {
            Admission::Propose(command) => self.queue.push(command),
            Admission::Waits => {}
            Admission::Known(answer) => self.answer(id, answer, cx),
            Admission::Answer(outcome) => cx.reply(id, outcome),
        }
    }

    /// Whom a client should ask instead, if this process knows.
    fn hint(&self) -> Option<NodeId> {
        let coordinator = self.coordinator();
        (self.detector.eligible(coordinator) && self.learner.is_none()).then_some(coordinator)
    }

    fn answer(&self, id: RequestId, answer: Answer, cx: &mut Cx<'_>) {
        cx.reply(id, done(answer, self.store.tip(), self.epoch, self.config.group.majority()));
    }

    pub(super) fn work_waits(&self) -> bool {
        !self.queue.is_empty() || !self.reads.is_empty()
    }

    /// `giv()`: gets the initial value, by executing everything that waits. Only here is anything executed, and
    /// only on the state after the instance before. Reads that wait ride along.
    pub(super) fn giv(&mut self, cx: &mut Cx<'_>) -> Rc<Value> {
        let mut cells: BTreeMap<u32, Cell> = BTreeMap::new();
        let mut updates = Vec::new();
        for command in std::mem::take(&mut self.queue) {
            if self.store.fate(command.write()) != Fate::New {
                // Decided meanwhile, in a value that this or another process had proposed before.
                self.answer_decided(&command, cx);
                continue;
            }
            let key = command.op.key();
            let before = cells.get(&key).copied().unwrap_or_else(|| self.store.read(key));
            let (digest, bytes, answer) = command.op.apply(before.digest, before.bytes);
            let cell = Cell { digest, bytes };
            cells.insert(key, cell);
            updates.push(Update { command, answer, cell });
        }
        self.riding.append(&mut self.reads);
        let epoch = self.epoch + u64::from(self.proposer != self.me());
        Rc::new(Value { epoch, proposer: self.me(), updates })
    }

    fn answer_decided(&mut self, command: &Command, cx: &mut Cx<'_>) {
        for id in self.desk.applied(command.write()) {
            match self.store.fate(command.write()) {
                Fate::Live { digest, answer } if digest == command.op.digest() => self.answer(id, answer, cx),
                Fate::Live { .. } => cx.reply(id, Outcome::NumberTaken),
                Fate::Settled | Fate::New => cx.reply(id, Outcome::Refused),
            }
        }
    }

    /// An instance is decided: its updates take effect, and who waited for them, or rode on them, is answered.
    pub(super) fn decide(&mut self, value: &Rc<Value>, round: u64, cx: &mut Cx<'_>) {
        self.apply(value, cx);
        self.decided_in = round;
        for update in &value.updates {
            for id in self.desk.applied(update.command.write()) {
                self.answer(id, update.answer, cx);
            }
        }
        // A process evaluates giv() at most once in an instance, so its value is the one that they ride on.
        if value.proposer == self.me() {
            for (id, key) in std::mem::take(&mut self.riding) {
                let Cell { digest, bytes } = self.store.read(key);
                self.answer(id, Answer::Read { digest, bytes }, cx);
            }
        }
    }

    /// The next decision takes effect, and the next instance begins.
    pub(super) fn apply(&mut self, value: &Rc<Value>, cx: &mut Cx<'_>) {
        for update in &value.updates {
            self.store.record(update);
        }
        self.decided += 1;
        self.since_image += 1;
        if value.epoch != self.epoch {
            cx.note(Note::Follows(value.proposer));
        }
        (self.epoch, self.proposer) = (value.epoch, value.proposer);
        self.recent.push_back(value.clone());
        while self.recent.len() as u64 > self.config.options.snapshot_entries {
            self.recent.pop_front();
        }
        self.next_instance();
    }

    pub(super) fn next_instance(&mut self) {
        self.round = 1;
        (self.estimate, self.adopted, self.decided_in) = (None, 0, 0);
        self.gathered.clear();
        self.proposed = false;
        self.acks.clear();
    }

    /// Whoever does not lead any more has nothing to answer with: what was asked may yet take effect.
    pub(super) fn hand_over(&mut self, cx: &mut Cx<'_>) {
        let leads = self.leads();
        let led = std::mem::replace(&mut self.led, leads);
        if leads {
            return;
        }
        if led {
            cx.note(Note::SteppedDown { why: "another coordinates, or too few are heard" });
        }
        self.release(cx);
    }

    /// Answers everything in hand: it may yet take effect.
    pub(super) fn release(&mut self, cx: &mut Cx<'_>) {
        self.queue.clear();
        let hint = self.hint();
        let reads = std::mem::take(&mut self.reads).into_iter().chain(std::mem::take(&mut self.riding));
        let waiting = self.desk.clear().into_iter().chain(reads.map(|(id, _)| id));
        for id in waiting {
            cx.reply(id, Outcome::Unfinished { hint });
        }
    }

    /// The defect of [`super::Mutation::AnswerBeforeDecision`].
    pub(super) fn answer_too_early(&mut self, cx: &mut Cx<'_>) {
        let Some(value) = self.estimate.clone() else { return };
        for update in &value.updates {
            for id in self.desk.applied(update.command.write()) {
                self.answer(id, update.answer, cx);
            }
        }
    }
}
