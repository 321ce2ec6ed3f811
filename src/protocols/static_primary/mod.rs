//! Primary-backup without failover: the control of every comparison.
//!
//! The first replica by placement is the primary for ever. It executes writes, ships the updates to every
//! backup, and acknowledges a write once it is durable on all of them: nothing acknowledged is lost while one
//! disk is left, and any one failure stops the writes. A backup whose disk was lost is filled again. A primary
//! whose disk was lost stays out, because nobody may take its place and it does not know what it promised.
//!
//! An update is *committed* once every replica holds it durably; backups apply only those. What a primary
//! had sent and not yet made durable when it crashed was never acknowledged. So at each start of the primary
//! (an `epoch`) backups compare what they hold beyond the committed state with what it sends, and replace
//! what differs.

pub mod options;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

pub use options::Options;

use super::store::{Fate, KEYS_MAX, Store, Update};
use super::{Group, done};
use crate::id::NodeId;
use crate::machine::{
    BootError, Context, Effect, Input, Inventory, LinkKind, Machine, Note, RequestId, Role, Status, Views, WriteId,
};
use crate::op::{Answer, Outcome, Request, Tip, WriteKey};

/// Updates in one message.
const WINDOW: usize = 1_000;

/// What a replica is told once.
#[derive(Clone, Debug)]
pub struct Config {
    pub options: Options,
    pub group: Group,
}

impl Config {
    fn primary(&self) -> NodeId {
        self.group.members[0]
    }
}

/// A message.
#[derive(Clone, Debug)]
pub enum Message {
    /// From the primary: updates after position `base`; those up to `committed` are everywhere.
    Updates { epoch: u64, base: u64, updates: Rc<[Update]>, committed: u64 },
    /// From the primary, to a backup that lacks what is no longer kept.
    Image { epoch: u64, store: Rc<Store> },
    /// From a backup: the durable end of its log, in this epoch. `incarnation` tells its starts apart.
    Holds { epoch: u64, length: u64, incarnation: u64 },
}

/// A record on the disk.
#[derive(Clone, Debug)]
pub enum Record {
    /// The disk was prepared for the service.
    Installed,
    /// The primary started for this time.
    Epoch(u64),
    /// Updates after position `base`: whatever was there before is dropped.
    Updates { base: u64, updates: Vec<Update> },
    /// Replaces everything: a committed state, the updates after it, and the epoch.
    Image { epoch: u64, store: Rc<Store>, updates: Vec<Update> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Repeat what is not acknowledged.
    Beat,
}

/// What the primary knows of a backup.
#[derive(Clone, Copy, Debug, Default)]
struct Backup {
    incarnation: u64,
    /// Position up to which its log is durable and the primary's; `None`: it has not said so in this epoch.
    matched: Option<u64>,
    /// It spoke since the last beat: to a silent one nothing is repeated but the question where it is.
    heard: bool,
}

/// A request that waits until everything up to a position is committed.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    length: u64,
    id: RequestId,
    answer: Answer,
}

/// A replica.
#[derive(Debug)]
pub struct Replica {
    config: Rc<Config>,
    /// False: its disk was lost, and it is the primary.
    fit: bool,
    /// The primary's epoch is durable, so it may speak.
    started: bool,
    incarnation: u64,
    epoch: u64,
    /// The committed state.
    committed: Store,
    /// The primary's state with everything it executed.
    head: Store,
    /// Updates after the committed state.
    tail: VecDeque<Update>,
    durable: u64,
    /// Position up to which a backup's log is the primary's of this epoch.
    verified: u64,
    writes: VecDeque<(WriteId, u64)>,
    next_write: u64,
    since_image: u64,
    backups: BTreeMap<NodeId, Backup>,
    waiting: VecDeque<Waiting>,
}

type Cx<'a> = Context<'a, Replica>;

impl Replica {
    fn is_primary(&self) -> bool {
        self.config.group.me == self.config.primary()
    }

    /// The end of the log.
    fn length(&self) -> u64 {
        self.committed.tip().length + self.tail.len() as u64
    }

    fn write(&mut self, record: Record, cx: &mut Cx<'_>) {
        self.next_write += 1;
        let id = WriteId(self.next_write);
        self.writes.push_back((id, self.length()));
        cx.effects.push(match record {
            Record::Image { .. } => Effect::Checkpoint { id, record },
            _ => Effect::Write { id, record },
        });
    }

    fn written(&mut self, id: WriteId, cx: &mut Cx<'_>) {
        while let Some(&(first, length)) = self.writes.front().filter(|(first, _)| *first <= id) {
            debug_assert!(first <= id);
            self.writes.pop_front();
            self.durable = length.min(self.length());
        }
        if self.is_primary() && !self.started {
            self.started = true;
            self.beat(cx);
        } else if self.is_primary() {
            self.commit(cx);
        } else {
            self.tell_primary(cx);
        }
    }

    fn tell_primary(&self, cx: &mut Cx<'_>) {
        let (epoch, length, incarnation) = (self.epoch, self.durable.min(self.verified), self.incarnation);
        cx.send(self.config.primary(), Message::Holds { epoch, length, incarnation });
    }

    fn request(&mut self, id: RequestId, request: &Request, cx: &mut Cx<'_>) {
        if !self.is_primary() {
            return cx.reply(id, Outcome::Redirect { hint: Some(self.config.primary()) });
        }
        if !self.started || request.op.key() >= KEYS_MAX {
            return cx.reply(id, Outcome::Refused);
        }
        let answer = if request.op.is_read() {
            let cell = self.head.read(request.op.key());
            Answer::Read { digest: cell.digest, bytes: cell.bytes }
        } else {
            match self.head.fate(request.write_key()) {
                Fate::New => self.execute(request, cx),
                Fate::Live { digest, .. } if digest != request.op.digest() => {
                    return cx.reply(id, Outcome::NumberTaken);
                }
                Fate::Live { answer, .. } => answer,
                Fate::Settled => return cx.reply(id, Outcome::Refused),
            }
        };
        self.waiting.push_back(Waiting { length: self.length(), id, answer });
        self.commit(cx);
    }

    fn execute(&mut self, request: &Request, cx: &mut Cx<'_>) -> Answer {
        let update = self.head.execute(super::store::Command::of(request));
        self.head.record(&update);
        let base = self.length();
        self.tail.push_back(update);
        self.write(Record::Updates { base, updates: vec![update] }, cx);
        let updates: Rc<[Update]> = Rc::new([update]);
        let (epoch, committed) = (self.epoch, self.committed.tip().length);
        for node in self.config.group.others() {
            cx.send(node, Message::Updates { epoch, base, updates: updates.clone(), committed });
        }
        update.answer
    }

    /// Applies and acknowledges what every replica holds.
    fn commit(&mut self, cx: &mut Cx<'_>) {
        let matched = self.backups.values().map(|backup| backup.matched.unwrap_or(0)).min();
        let everywhere = matched.unwrap_or(u64::MAX).min(self.durable);
        self.apply_to(everywhere);
        while let Some(&Waiting { length, id, answer }) = self.waiting.front().filter(|one| one.length <= everywhere) {
            debug_assert!(length <= self.committed.tip().length);
            self.waiting.pop_front();
            cx.reply(id, done(answer, self.committed.tip(), self.epoch, self.config.group.members.len()));
        }
        self.take_image(cx);
    }

    fn apply_to(&mut self, length: u64) {
        while self.committed.tip().length < length
            && let Some(update) = self.tail.pop_front()
        {
            self.committed.record(&update);
            self.since_image += 1;
        }
    }

    fn take_image(&mut self, cx: &mut Cx<'_>) {
        if self.since_image >= self.config.options.snapshot_entries {
            self.since_image = 0;
            let store = Rc::new(self.committed.image());
            let updates = self.tail.iter().copied().collect();
            self.write(Record::Image { epoch: self.epoch, store, updates }, cx);
        }
    }

    fn beat(&mut self, cx: &mut Cx<'_>) {
        cx.set_timer(Timer::Beat, self.config.options.heartbeat);
        let (epoch, committed) = (self.epoch, self.committed.tip().length);
        let length = self.length();
        for (&node, backup) in &mut self.backups {
            // An empty message makes a backup say where it is.
            let base = backup.matched.filter(|_| backup.heard).unwrap_or(length);
            backup.heard = false;
            if base < committed {
                cx.send(node, Message::Image { epoch, store: Rc::new(self.committed.image()) });
                continue;
            }
            let from = (base - committed) as usize;
            let updates = self.tail.iter().copied().skip(from).take(WINDOW).collect();
            cx.send(node, Message::Updates { epoch, base, updates, committed });
        }
    }

    fn message(&mut self, from: NodeId, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Holds { epoch, length, incarnation } if self.is_primary() => {
                let Some(backup) = self.backups.get_mut(&from) else { return };
                let known = if backup.incarnation == incarnation { backup.matched } else { None };
                let told = (epoch == self.epoch).then_some(length);
                *backup = Backup { incarnation, matched: known.max(told), heard: true };
                self.commit(cx);
            }
            Message::Updates { epoch, base, updates, committed } if from == self.config.primary() => {
                self.updates(epoch, base, &updates, committed, cx);
            }
            Message::Image { epoch, store } if from == self.config.primary() => {
                self.enter(epoch);
                if epoch == self.epoch && store.tip().length > self.verified {
                    self.committed = (*store).clone();
                    self.tail.clear();
                    self.verified = self.length();
                    self.write(Record::Image { epoch, store, updates: Vec::new() }, cx);
                } else {
                    self.tell_primary(cx);
                }
            }
            _ => cx.note(Note::Refused("a message that its sender may not send")),
        }
    }

    /// The primary started anew: what this backup holds beyond the committed state is to be compared again.
    fn enter(&mut self, epoch: u64) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.verified = self.committed.tip().length;
        }
    }

    fn updates(&mut self, epoch: u64, base: u64, updates: &[Update], committed: u64, cx: &mut Cx<'_>) {
        self.enter(epoch);
        if epoch < self.epoch {
            return;
        }
        if base > self.verified {
            return self.tell_primary(cx);
        }
        let start = self.committed.tip().length;
        let same = |(at, update): &(u64, &Update)| *at < start || self.tail.get((at - start) as usize) == Some(*update);
        let (mut at, mut new) = (base, Vec::new());
        for (position, update) in (base..).zip(updates) {
            if !new.is_empty() || !same(&(position, update)) {
                new.push(*update);
            } else {
                at = position + 1;
            }
        }
        self.verified = self.verified.max(base + updates.len() as u64);
        if new.is_empty() {
            self.tell_primary(cx);
        } else {
            self.tail.truncate((at - start) as usize);
            self.tail.extend(&new);
            self.durable = self.durable.min(at);
            self.writes.iter_mut().for_each(|(_, length)| *length = at.min(*length));
            self.verified = self.length();
            self.write(Record::Updates { base: at, updates: new }, cx);
        }
        self.apply_to(committed.min(self.durable).min(self.verified));
        self.take_image(cx);
    }
}

/// The epoch, committed state and tail that a disk holds.
fn read(records: &[Record]) -> (u64, Store, VecDeque<Update>) {
    let (mut epoch, mut store, mut tail) = (0, Store::default(), VecDeque::new());
    for record in records {
        match record {
            Record::Installed => {}
            Record::Epoch(started) => epoch = *started,
            Record::Updates { base, updates } => {
                tail.truncate(base.saturating_sub(store.tip().length) as usize);
                tail.extend(updates);
            }
            Record::Image { epoch: then, store: image, updates } => {
                (epoch, store, tail) = (*then, (**image).clone(), updates.iter().copied().collect());
            }
        }
    }
    (epoch, store, tail)
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
        let (epoch, committed, tail) = read(log);
        let mut head = committed.clone();
        tail.iter().for_each(|update| head.record(update));
        let mut replica = Self {
            config: config.clone(),
            fit: true,
            started: false,
            incarnation: cx.rng.bits(),
            epoch,
            durable: committed.tip().length + tail.len() as u64,
            verified: committed.tip().length,
            committed,
            head,
            tail,
            writes: VecDeque::new(),
            next_write: 0,
            since_image: 0,
            backups: config.group.others().map(|node| (node, Backup::default())).collect(),
            waiting: VecDeque::new(),
        };
        if !replica.is_primary() {
            replica.tell_primary(cx);
        } else if log.is_empty() {
            replica.fit = false;
            cx.note(Note::SteppedDown { why: "its disk was lost, and nobody may take its place" });
        } else {
            replica.epoch += 1;
            replica.write(Record::Epoch(replica.epoch), cx);
        }
        Ok(replica)
    }

    fn step(&mut self, input: Input<Self>, cx: &mut Cx<'_>) {
        match input {
            Input::Request { id, request } => self.request(id, &request, cx),
            _ if !self.fit => {}
            Input::Message { from, message } => self.message(from, message, cx),
            Input::Timeout(Timer::Beat) => self.beat(cx),
            Input::Written(id) => self.written(id, cx),
            Input::Reconfigure(_) => cx.note(Note::Refused("its replica set never changes")),
            Input::Acknowledged { .. }
            | Input::LinkUp(_)
            | Input::LinkDown(_)
            | Input::Survey(_)
            | Input::Stray { .. } => {}
        }
    }

    fn status(&self) -> Status {
        let primary = self.config.primary();
        let role = if self.is_primary() { Role::Leading } else { Role::Following };
        let status = Status::at_rest(role, (self.epoch, primary, 0), &self.config.group.members, self.tip());
        if self.fit {
            return status;
        }
        let (role, serving) = (Role::Listening, false);
        Status { role, serving, view: None, candidate: None, replica_set: Vec::new(), ..status }
    }

    fn serving(&self) -> bool {
        self.fit && self.is_primary()
    }

    /// All of them, or none.
    fn can_serve(live: &[&Status]) -> bool {
        live.iter().all(|status| status.replica_set.len() == live.len())
    }

    fn answers(&self, _request: &Request) -> bool {
        self.serving()
    }

    fn covers(&self, tip: Tip) -> bool {
        self.committed.covers(tip)
    }

    fn holds_durably(&self, tip: Tip) -> bool {
        // A backup applies an update when it hears that it is everywhere; it holds it before that.
        tip.length <= self.durable && (tip.length > self.committed.tip().length || self.committed.covers(tip))
    }

    fn tip(&self) -> Tip {
        self.committed.tip()
    }

    fn view(&self) -> Option<(u64, NodeId, u64)> {
        self.fit.then_some((self.epoch, self.config.primary(), 0))
    }

    fn applied(&self, write: WriteKey) -> bool {
        // What the primary answers from.
        if self.is_primary() { self.head.applied(write) } else { self.committed.applied(write) }
    }

    fn inventory(&self) -> Inventory {
        if self.is_primary() { self.head.inventory() } else { self.committed.inventory() }
    }

    fn inventory_of(_config: &Self::Config, log: &[Record]) -> Inventory {
        let (_, mut store, tail) = read(log);
        tail.iter().for_each(|update| store.record(update));
        store.inventory()
    }

    fn wire_bytes(message: &Message) -> u32 {
        let body = match message {
            Message::Updates { updates, .. } => updates.iter().map(|update| u64::from(update.bytes())).sum(),
            Message::Image { store, .. } => store.bytes(),
            Message::Holds { .. } => 0,
        };
        u32::try_from(72 + body).unwrap_or(u32::MAX)
    }

    fn record_bytes(record: &Record) -> u32 {
        let updates = |updates: &[Update]| updates.iter().map(|update| u64::from(update.bytes())).sum::<u64>();
        let body = match record {
            Record::Installed | Record::Epoch(_) => 8,
            Record::Updates { updates: new, .. } => updates(new),
            Record::Image { store, updates: new, .. } => store.bytes() + updates(new),
        };
        u32::try_from(16 + body).unwrap_or(u32::MAX)
    }

    fn message_name(message: &Message) -> &'static str {
        match message {
            Message::Updates { .. } => "Updates",
            Message::Image { .. } => "Image",
            Message::Holds { .. } => "Holds",
        }
    }
}
