//! Semi-passive replication with Lazy Consensus (Défago and Schiper, JPDC 64(12), 2004).
//!
//! Replicas solve a sequence of consensus instances; each decides the next batch of updates. An instance is
//! the rotating-coordinator algorithm of Chandra and Toueg for failure detectors of class ◇S,
//! with one difference, which makes it *lazy*: processes start without initial values, and only a coordinator
//! that is about to propose, and has found nothing adopted, evaluates `giv()`: it executes the
//! requests that it has and proposes the updates. So in good runs one replica executes a request, as in passive
//! replication; but there is no group membership, and a suspected coordinator costs a round, not a view
//! change: nobody is excluded, and who was suspected wrongly goes on taking part.
//!
//! | module | of the paper |
//! |---|---|
//! | [`consensus`] | the Lazy Consensus algorithm: rounds and their four phases |
//! | [`detector`] | the failure detector ◇S, with what real links need |
//! | [`serve`] | requests, `giv()`, and the handling of a decision: semi-passive replication |
//! | [`learn`] | how lagging processes, and those without their disk, catch up |
//! | [`message`] | what is sent and written |
//!
//! # Where it differs from the paper, and why
//!
//! - **Clients ask one server.** In the paper a client sends its request to all. Here the coordinator of the
//!   coming instance's first round serves, and others redirect to it. As requests may be nowhere but at a dead
//!   coordinator, a suspicion alone starts the next instance, perhaps with an empty value, whose proposer
//!   then serves.
//! - **The first coordinator of an instance is the proposer of the value decided in the one before** (the
//!   paper's optimisation by which a stable primary stays). The proposer is part of the decided value: see
//!   [`message::Value`]. Round 1 skips phase 1, since nobody can have adopted anything before it.
//! - **Processes crash and recover, and messages are lost.** The paper's model is crash-stop with reliable
//!   channels. Here what a process promised or adopted (its round, estimate and timestamp) is durable before a
//!   message leaves that says so, a coordinator proposes what it has adopted durably itself, so that it
//!   proposes one value a round across restarts, and everything unanswered is repeated.
//! - **A process stays in a round until it suspects the coordinator, or the coordinator has left the round.**
//!   In the paper it goes on to the next round at once after its ack, which costs messages and no time.
//! - **Rounds of coordinators that are suspected already are skipped**, instead of entered and left. To keep the
//!   paper's liveness, a coordinator leaves its round once too many processes are beyond it.
//! - **Reads** ride on an instance without being part of its value: the coordinator answers them from the state
//!   after its own value, once that is decided. So they are linearizable, and cost no execution elsewhere.
//! - **One instance at a time**, with everything that waits in one batch: throughput over a WAN is a batch a
//!   round trip.

pub mod consensus;
pub mod detector;
pub mod learn;
pub mod message;
pub mod options;
pub mod serve;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

pub use message::{Image, Message, Record, Value};
pub use options::Options;

use super::Group;
use super::desk::Desk;
use super::store::{Command, Store};
use crate::id::NodeId;
use crate::machine::{
    BootError, Context, Effect, Input, Inventory, LinkKind, Machine, Note, RequestId, Role, Status, Views, WriteId,
};
use crate::op::{Request, Tip, WriteKey};
use crate::time::{Duration, LocalTime};

use self::consensus::Gathered;
use self::detector::Detector;
use self::learn::{Durable, Learner};

/// What a replica is told once.
#[derive(Clone, Debug)]
pub struct Config {
    pub options: Options,
    pub group: Group,
}

crate::protocols::mutations! {
    AnswerBeforeDecision "answer-before-decision"
        "A coordinator answers when its own proposal is durable on its own disk, not when it is decided."
    RejoinEmpty "rejoin-empty"
        "A process whose disk was lost takes part at once, as if it had never adopted anything."
}

impl Config {
    /// The coordinator of a round of an instance whose first round `first` coordinates.
    fn coordinator(&self, first: NodeId, round: u64) -> NodeId {
        let members = &self.group.members;
        let at = members.iter().position(|&node| node == first).unwrap_or(0) as u64;
        members[((at + round - 1) % members.len() as u64) as usize]
    }

    /// How long an answer may take before what was sent is repeated.
    fn patience(&self) -> Duration {
        self.group.round_trip_max.scale(3, 2).max(Duration::from_millis(20))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Heartbeats, suspicions, catching up.
    Beat,
    /// What was not answered is repeated.
    Repeat,
}

/// This process's own part in a quorum, which counts once it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vote {
    Estimate {
        instance: u64,
        round: u64,
    },
    Ack {
        instance: u64,
        round: u64,
    },
    /// It may take part again after its disk was lost.
    Joined,
}

/// A replica.
#[derive(Debug)]
pub struct Replica {
    config: Rc<Config>,
    detector: Detector,
    /// Its disk was lost, and it does not take part yet.
    learner: Option<Learner>,

    /// The state after all decisions that are known.
    store: Store,
    decided: u64,
    /// In which round the last one was decided, as far as known; 0 if it was told by others.
    decided_in: u64,
    epoch: u64,
    proposer: NodeId,
    /// The last decisions, for who lacks them.
    recent: VecDeque<Rc<Value>>,
    since_image: u64,

    /// In the instance after the last decided one: the round, and what was adopted in which round.
    round: u64,
    estimate: Option<Rc<Value>>,
    adopted: u64,
    /// Estimates for rounds that this process coordinates, this one's or later.
    gathered: BTreeMap<u64, Gathered>,
    /// This process coordinates the round, and has proposed.
    proposed: bool,
    acks: BTreeSet<NodeId>,

    /// Writes that wait: all of them, and those not yet proposed.
    desk: Desk,
    queue: Vec<Command>,
    /// Reads that wait for an instance, and those that ride on the one that is proposed.
    reads: Vec<(RequestId, u32)>,
    riding: Vec<(RequestId, u32)>,
    /// An instance is to be run although nothing waits.
    nudged: bool,
    led: bool,

    votes: VecDeque<(WriteId, Vote)>,
    next_write: u64,
    decided_at_beat: u64,
    /// When decisions were last asked for.
    asked: Option<LocalTime>,
}

type Cx<'a> = Context<'a, Replica>;

impl Replica {
    fn me(&self) -> NodeId {
        self.config.group.me
    }

    fn instance(&self) -> u64 {
        self.decided + 1
    }

    fn coordinator(&self) -> NodeId {
        self.config.coordinator(self.proposer, self.round)
    }

    /// Whether clients are served here: the first coordinator of the coming instance, as long as it is in the
    /// first round and hears a majority; in a later round, who has a majority's estimates and has proposed.
    fn leads(&self) -> bool {
        let in_charge = self.round == 1 || self.proposed;
        self.learner.is_none() && self.coordinator() == self.me() && in_charge && self.detector.able()
    }

    fn write(&mut self, record: Record, vote: Option<Vote>, cx: &mut Cx<'_>) {
        self.next_write += 1;
        let id = WriteId(self.next_write);
        if let Some(vote) = vote {
            self.votes.push_back((id, vote));
        }
        cx.effects.push(match record {
            Record::Checkpoint { .. } => Effect::Checkpoint { id, record },
            _ => Effect::Write { id, record },
        });
    }

    /// Sends once everything that was written so far is durable.
    fn send_durable(&self, to: NodeId, message: Message, cx: &mut Cx<'_>) {
        let after = (self.next_write > 0).then_some(WriteId(self.next_write));
        cx.effects.push(Effect::Send { to, message, after });
    }

    fn written(&mut self, id: WriteId, cx: &mut Cx<'_>) {
        while let Some(&(_, vote)) = self.votes.front().filter(|(write, _)| *write <= id) {
            self.votes.pop_front();
            self.vote(vote, cx);
        }
    }

    fn beat(&mut self, cx: &mut Cx<'_>) {
        cx.set_timer(Timer::Beat, self.config.options.heartbeat);
        for node in self.detector.tick(cx.now) {
            cx.note(Note::Suspected(node));
        }
        self.catch_up(cx);
        if self.learner.is_some() {
            return self.ask_to_join(cx);
        }
        self.reconsider(cx);
        self.say_alive(cx);
    }

    fn say_alive(&self, cx: &mut Cx<'_>) {
        let hears: Rc<[NodeId]> = self.detector.hears(cx.now).into();
        let (decided, round, able) = (self.decided, self.round, self.detector.able());
        for node in self.config.group.others() {
            // Who cannot write can neither promise nor adopt: it had better be suspected.
            self.send_durable(node, Message::Alive { decided, round, hears: hears.clone(), able }, cx);
        }
    }

    fn message(&mut self, from: NodeId, message: Message, cx: &mut Cx<'_>) {
        if !self.config.group.members.contains(&from) {
            return cx.note(Note::Refused("a message from a stranger"));
        }
        match message {
            Message::Alive { decided, round, hears, able } => {
                let hears_us = hears.contains(&self.me());
                if self.detector.heard(from, (decided, round), hears_us, able, cx.now) {
                    cx.note(Note::Trusted(from));
                }
            }
            Message::Want { decided } => self.tell_decisions(from, decided, cx),
            Message::Decisions { base, values } => self.decisions(from, base, &values, cx),
            Message::State { image } => self.install(&image, cx),
            Message::Instance { nonce, instance } => self.told_instance(from, nonce, instance),
            Message::Lost { nonce, joins } => self.lost(from, nonce, joins, cx),
            _ if self.learner.is_some() => {}
            Message::Estimate { instance, round, estimate, adopted } => {
                self.estimated(from, instance, round, estimate, adopted, cx);
            }
            Message::Propose { instance, round, value, after } => {
                self.proposal(from, instance, round, &value, after, cx);
            }
            Message::Ack { instance, round } => self.acked(from, instance, round, cx),
            Message::Nack { instance, round } => {
                self.detector.is_at(from, instance.saturating_sub(1), round);
            }
            Message::Decide { instance, round } => self.decide_told(from, instance, round, cx),
        }
    }
}

impl Machine for Replica {
    type Message = Message;
    type Timer = Timer;
    type Record = Record;
    type Config = Rc<Config>;

    const LINKS: LinkKind = LinkKind::Datagram;
    const VIEWS: Views = Views::Succeed;

    fn format(_config: &Self::Config) -> Vec<Record> {
        vec![Record::Installed]
    }

    fn boot(config: &Self::Config, log: &[Record], cx: &mut Cx<'_>) -> Result<Self, BootError> {
        let Durable { image, round, estimate, adopted } = learn::read(config, log).map_err(BootError)?;
        let Config { options, group, .. } = &**config;
        let detector = Detector::new(group.others(), group.majority(), options.suspect_after, cx.now);
        let forgets = log.is_empty() && config.options.mutation != Some(Mutation::RejoinEmpty);
        let Image { store, decided, epoch, proposer } = image;
        let mut replica = Self {
            config: config.clone(),
            detector,
            learner: forgets.then(|| Learner::new(cx.rng.bits())),
            store,
            decided,
            decided_in: 0,
            epoch,
            proposer,
            recent: VecDeque::new(),
            since_image: 0,
            round,
            estimate,
            adopted,
            gathered: BTreeMap::new(),
            proposed: false,
            acks: BTreeSet::new(),
            desk: Desk::default(),
            queue: Vec::new(),
            reads: Vec::new(),
            riding: Vec::new(),
            nudged: false,
            led: false,
            votes: VecDeque::new(),
            next_write: 0,
            decided_at_beat: decided,
            asked: None,
        };
        if forgets {
            cx.note(Note::SteppedDown { why: "its disk was lost: it learns before it votes" });
        } else {
            replica.resume(cx);
        }
        replica.beat(cx);
        replica.led = replica.leads();
        Ok(replica)
    }

    fn step(&mut self, input: Input<Self>, cx: &mut Cx<'_>) {
        match input {
            Input::Request { id, request } => self.request(id, &request, cx),
            Input::Message { from, message } => self.message(from, message, cx),
            Input::Timeout(Timer::Beat) => self.beat(cx),
            Input::Timeout(Timer::Repeat) => self.repeat(cx),
            Input::Written(id) => self.written(id, cx),
            Input::Reconfigure(_) => cx.note(Note::Refused("its replica set never changes")),
            Input::Acknowledged { .. }
            | Input::LinkUp(_)
            | Input::LinkDown(_)
            | Input::Survey(_)
            | Input::Stray { .. } => {}
        }
        self.reconsider(cx);
        self.open_round(cx);
        self.hand_over(cx);
    }

    fn status(&self) -> Status {
        let mut members = self.config.group.members.clone();
        members.sort_unstable();
        let fit = self.learner.is_none();
        Status {
            role: match (fit, self.leads()) {
                (false, _) => Role::Listening,
                (true, true) => Role::Leading,
                (true, false) => Role::Following,
            },
            view: self.view(),
            replica_set: if fit { members.clone() } else { Vec::new() },
            synced: members.clone(),
            members,
            tip: self.tip(),
            serving: self.leads(),
            frozen: false,
            changing: false,
            candidate: fit.then(|| if self.leads() { self.me() } else { self.coordinator() }),
            held: Vec::new(),
            impaired: false,
            released: false,
        }
    }

    fn serving(&self) -> bool {
        self.leads()
    }

    fn answers(&self, _request: &Request) -> bool {
        self.leads()
    }

    fn covers(&self, tip: Tip) -> bool {
        self.store.covers(tip)
    }

    fn tip(&self) -> Tip {
        self.store.tip()
    }

    /// Changes of proposer, and the last proposer: a function of the decisions.
    fn view(&self) -> Option<(u64, NodeId, u64)> {
        self.learner.is_none().then_some((self.epoch, self.proposer, 0))
    }

    fn applied(&self, write: WriteKey) -> bool {
        self.store.applied(write)
    }

    fn inventory(&self) -> Inventory {
        self.store.inventory()
    }

    fn inventory_of(config: &Self::Config, log: &[Record]) -> Inventory {
        let Ok(Durable { mut image, estimate, .. }) = learn::read(config, log) else { return Inventory::default() };
        for update in estimate.iter().flat_map(|value| &value.updates) {
            image.store.record(update);
        }
        Inventory { duplicated: 0, ..image.store.inventory() }
    }

    fn wire_bytes(message: &Message) -> u32 {
        message.bytes()
    }

    fn record_bytes(record: &Record) -> u32 {
        record.bytes()
    }

    fn message_name(message: &Message) -> &'static str {
        message.name()
    }
}
