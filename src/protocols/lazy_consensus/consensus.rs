//! Rounds of an instance of Lazy Consensus, and their four phases.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Cx, Message, Mutation, Record, Replica, Timer, Value, Vote};
use crate::id::NodeId;
use crate::machine::Note;

/// Estimates for one round: what each process adopted last, and in which round.
pub type Gathered = BTreeMap<NodeId, (Option<Rc<Value>>, u64)>;

impl Replica {
    /// After a start: goes on where the disk says.
    pub(super) fn resume(&mut self, cx: &mut Cx<'_>) {
        if self.coordinator() != self.me() {
            return self.send_estimate(cx);
        }
        if self.adopted == self.round {
            // What was adopted in this round was proposed, or about to be: nothing else may be.
            self.proposed = true;
            self.acks.insert(self.me());
            self.repeat(cx);
        } else if self.round > 1 {
            self.gather_own();
        }
    }

    /// This process's own promise or adoption became durable.
    pub(super) fn vote(&mut self, vote: Vote, cx: &mut Cx<'_>) {
        match vote {
            Vote::Estimate { instance, round } if (instance, round) == (self.instance(), self.round) => {
                self.gather_own();
            }
            Vote::Ack { instance, round } if (instance, round) == (self.instance(), self.round) && self.proposed => {
                if self.config.options.mutation == Some(Mutation::AnswerBeforeDecision) {
                    self.answer_too_early(cx);
                }
                self.acks.insert(self.me());
                self.conclude(cx);
            }
            Vote::Joined => self.joined(cx),
            _ => {}
        }
    }

    /// This process's own estimate, for the round that it is in.
    fn gather_own(&mut self) {
        let (me, own) = (self.me(), (self.estimate.clone(), self.adopted));
        self.gathered.entry(self.round).or_default().insert(me, own);
    }

    /// Phase 1, at who has entered a round, or starts again in one.
    fn send_estimate(&self, cx: &mut Cx<'_>) {
        if self.round > 1 && self.adopted < self.round {
            let (instance, round, adopted) = (self.instance(), self.round, self.adopted);
            let message = Message::Estimate { instance, round, estimate: self.estimate.clone(), adopted };
            self.send_durable(self.coordinator(), message, cx);
            cx.set_timer(Timer::Repeat, self.config.patience());
        }
    }

    /// Phase 1, at the coordinator of that round. It may be in an earlier one itself: its own coordinator is good
    /// enough for it until a majority has left.
    pub(super) fn estimated(
        &mut self,
        from: NodeId,
        instance: u64,
        round: u64,
        estimate: Option<Rc<Value>>,
        adopted: u64,
        cx: &mut Cx<'_>,
    ) {
        self.detector.is_at(from, instance.saturating_sub(1), round);
        if instance <= self.decided {
            return self.tell_decisions(from, instance.saturating_sub(1), cx);
        }
        if instance > self.instance() {
            return self.ask(from, cx);
        }
        if round < self.round || self.config.coordinator(self.proposer, round) != self.me() {
            return self.refuse(from, cx);
        }
        let gathered = self.gathered.entry(round).or_default();
        gathered.insert(from, (estimate, adopted));
        if round > self.round && gathered.len() >= self.config.group.majority() {
            self.enter(round, cx);
        }
    }

    /// Phase 2: this process coordinates the round, and there is a reason to propose.
    pub(super) fn open_round(&mut self, cx: &mut Cx<'_>) {
        if self.learner.is_some() || self.proposed || self.coordinator() != self.me() {
            return;
        }
        let value = if self.round == 1 {
            if !self.detector.able() || !(self.nudged || self.work_waits()) {
                return;
            }
            self.giv(cx)
        } else {
            let Some(gathered) = self.gathered.get(&self.round) else { return };
            // Its own estimate is in it once that is durable.
            if gathered.len() < self.config.group.majority() || !gathered.contains_key(&self.me()) {
                return;
            }
            let latest = gathered.values().max_by_key(|(_, adopted)| *adopted);
            match latest.and_then(|(estimate, _)| estimate.clone()) {
                Some(estimate) => estimate,
                None => self.giv(cx),
            }
        };
        self.nudged = false;
        self.propose(value, cx);
    }

    fn propose(&mut self, value: Rc<Value>, cx: &mut Cx<'_>) {
        self.proposed = true;
        self.acks.clear();
        self.adopt(value, cx);
        for node in self.config.group.others() {
            self.send_proposal(node, cx);
        }
        cx.set_timer(Timer::Repeat, self.config.patience());
    }

    fn send_proposal(&self, to: NodeId, cx: &mut Cx<'_>) {
        let value = self.estimate.clone().expect("a proposal was adopted by its coordinator");
        let (instance, round, after) = (self.instance(), self.round, self.decided_in);
        self.send_durable(to, Message::Propose { instance, round, value, after }, cx);
    }

    /// Adopts the proposal of the round that this process is in.
    fn adopt(&mut self, value: Rc<Value>, cx: &mut Cx<'_>) {
        let (instance, round) = (self.instance(), self.round);
        (self.estimate, self.adopted) = (Some(value.clone()), round);
        self.write(Record::Adopted { instance, round, value }, Some(Vote::Ack { instance, round }), cx);
    }

    /// Phase 3: the proposal of a coordinator.
    pub(super) fn proposal(
        &mut self,
        from: NodeId,
        instance: u64,
        round: u64,
        value: &Rc<Value>,
        after: u64,
        cx: &mut Cx<'_>,
    ) {
        self.detector.is_at(from, instance.saturating_sub(1), round);
        if instance == self.instance() + 1 {
            // The instance before was decided in that round: perhaps it is what this process adopted in it.
            self.decide_if_adopted(after, cx);
        }
        if instance <= self.decided {
            return self.tell_decisions(from, instance.saturating_sub(1), cx);
        }
        if instance > self.instance() {
            return self.ask(from, cx);
        }
        if self.config.coordinator(self.proposer, round) != from {
            return cx.note(Note::Refused("a proposal from who does not coordinate the round"));
        }
        if round < self.round {
            return self.refuse(from, cx);
        }
        if self.adopted < round {
            self.go_to(round);
            self.adopt(value.clone(), cx);
        }
        self.send_durable(from, Message::Ack { instance, round }, cx);
    }

    /// Tells a coordinator that its round was left.
    fn refuse(&self, to: NodeId, cx: &mut Cx<'_>) {
        self.send_durable(to, Message::Nack { instance: self.instance(), round: self.round }, cx);
    }

    /// Phase 4: an ack at the coordinator.
    pub(super) fn acked(&mut self, from: NodeId, instance: u64, round: u64, cx: &mut Cx<'_>) {
        if self.proposed && (instance, round) == (self.instance(), self.round) {
            self.acks.insert(from);
            self.conclude(cx);
        }
    }

    fn conclude(&mut self, cx: &mut Cx<'_>) {
        // Only what is durable here counts here.
        if self.acks.len() < self.config.group.majority() || !self.acks.contains(&self.me()) {
            return;
        }
        let (instance, round) = (self.instance(), self.round);
        let value = self.estimate.clone().expect("a proposal was adopted by its coordinator");
        self.decide(&value, round, cx);
        self.take_image(cx);
        self.open_round(cx);
        if !self.proposed {
            // Else the next proposal says it.
            for node in self.config.group.others() {
                cx.send(node, Message::Decide { instance, round });
            }
        }
    }

    /// Phase 4, at the others.
    pub(super) fn decide_told(&mut self, from: NodeId, instance: u64, round: u64, cx: &mut Cx<'_>) {
        self.detector.is_at(from, instance, 1);
        if instance == self.instance() {
            self.decide_if_adopted(round, cx);
        }
        if instance > self.decided {
            self.ask(from, cx);
        }
    }

    /// The instance is decided: what was proposed in this round. It may be what was adopted here.
    fn decide_if_adopted(&mut self, round: u64, cx: &mut Cx<'_>) {
        if let Some(value) = self.estimate.clone().filter(|_| self.adopted == round && round > 0) {
            self.decide(&value, round, cx);
            self.take_image(cx);
        }
    }

    /// Enters a round without having adopted anything in it.
    fn enter(&mut self, round: u64, cx: &mut Cx<'_>) {
        debug_assert!(round > self.round);
        let coordinated = self.coordinator() == self.me();
        self.go_to(round);
        let instance = self.instance();
        self.write(Record::Round { instance, round }, Some(Vote::Estimate { instance, round }), cx);
        if coordinated {
            // Those who wait for this process's round need not any more.
            self.say_alive(cx);
        }
        if self.coordinator() != self.me() {
            self.send_estimate(cx);
        }
    }

    /// What belonged to an earlier round is void.
    fn go_to(&mut self, round: u64) {
        if round > self.round {
            self.round = round;
            self.proposed = false;
            self.acks.clear();
            self.gathered = self.gathered.split_off(&round);
        }
    }

    /// Leaves the round if its coordinator is suspected, or gone on itself, for the next one whose coordinator is
    /// not. If there is none this process waits: it is cut off from too many.
    pub(super) fn reconsider(&mut self, cx: &mut Cx<'_>) {
        if self.learner.is_some() || !self.is_over() {
            return;
        }
        let rounds = self.round + 1..=self.round + self.config.group.members.len() as u64;
        let usable = |round: &u64| {
            let node = self.config.coordinator(self.proposer, *round);
            if node == self.me() { self.detector.able() } else { self.detector.eligible(node) }
        };
        if let Some(round) = rounds.into_iter().find(usable) {
            self.enter(round, cx);
        }
    }

    /// Whether nothing can come of the round any more, as far as this process knows.
    fn is_over(&self) -> bool {
        let coordinator = self.coordinator();
        let (instance, round) = (self.instance(), self.round);
        if coordinator != self.me() {
            return !self.detector.eligible(coordinator) || self.detector.is_beyond(coordinator, instance, round);
        }
        let answered = |node: NodeId| {
            self.acks.contains(&node)
                || (!self.proposed && self.gathered.get(&round).is_some_and(|all| all.contains_key(&node)))
        };
        let may_yet = |node: NodeId| self.detector.trusts(node) && !self.detector.is_beyond(node, instance, round);
        let usable = self.config.group.others().filter(|&node| answered(node) || may_yet(node)).count() + 1;
        !self.detector.able() || usable < self.config.group.majority()
    }

    /// Repeats what was not answered, to those who seem to be there.
    pub(super) fn repeat(&mut self, cx: &mut Cx<'_>) {
        if self.learner.is_some() {
            return;
        }
        let coordinator = self.coordinator();
        if self.proposed {
            let silent = |node: &NodeId| !self.acks.contains(node) && self.detector.trusts(*node);
            for node in self.config.group.others().filter(silent) {
                self.send_proposal(node, cx);
            }
            cx.set_timer(Timer::Repeat, self.config.patience());
        } else if coordinator != self.me() && self.adopted < self.round && self.round > 1 {
            if self.detector.eligible(coordinator) {
                self.send_estimate(cx);
            }
            // A process that is alone in its suspicion may have to wait for long.
            cx.set_timer(Timer::Repeat, self.config.options.heartbeat);
        }
    }
}
