//! Chain replication (van Renesse and Schneider 2004) without its failover: writes enter at the head and travel
//! down the chain, acknowledgements travel back; the tail answers reads, from what every replica holds.

use std::collections::VecDeque;

use firedrill::id::NodeId;
use firedrill::machine::*;
use firedrill::op::{Answer, Outcome, Request, Tip, WriteKey};
use firedrill::protocols::store::{Command, Fate, Store};
use firedrill::protocols::{Group, done};
use firedrill::time::Duration;

pub struct Replica {
    group: Group,
    store: Store,      // what is durable here
    log: Vec<Command>, // every write, for a successor that missed some
    below: u64,        // position up to which everyone further down holds the log
    waiting: VecDeque<(u64, RequestId, WriteKey)>,
}

/// Down the chain: commands after a position. Up the chain: the position up to which all is held.
#[derive(Clone, Debug)]
pub struct Message {
    position: u64,
    commands: Vec<Command>,
}

type Cx<'a> = Context<'a, Replica>;

impl Replica {
    fn neighbour(&self, step: isize) -> Option<NodeId> {
        let at = self.group.members.iter().position(|&node| node == self.group.me)?;
        self.group.members.get(at.checked_add_signed(step)?).copied()
    }
    fn append(&mut self, command: Command, cx: &mut Cx<'_>) {
        self.log.push(command);
        cx.effects.push(Effect::Write { id: WriteId(self.log.len() as u64), record: Some(command) });
    }
    fn forward(&self, cx: &mut Cx<'_>) {
        let Some(next) = self.neighbour(1) else { return };
        let commands = self.log[self.below as usize..self.store.tip().length as usize].to_vec();
        cx.send(next, Message { position: self.below, commands });
    }
    /// Says upwards, and to the clients of the head, what is durable here and everywhere below.
    fn acknowledge(&mut self, cx: &mut Cx<'_>) {
        let position = self.below.min(self.store.tip().length);
        if let Some(previous) = self.neighbour(-1) {
            cx.send(previous, Message { position, commands: Vec::new() });
        }
        while self.waiting.front().is_some_and(|(wanted, ..)| *wanted <= position) {
            let (wanted, id, write) = self.waiting.pop_front().expect("just seen");
            let known = (self.store.fate(write), self.store.at(wanted));
            let (Fate::Live { answer, .. }, Some(token)) = known else { continue };
            cx.reply(id, done(answer, token, 1, self.group.members.len()));
        }
    }
    fn request(&mut self, id: RequestId, request: &Request, cx: &mut Cx<'_>) {
        let ends = [self.group.members.first().copied(), self.group.members.last().copied()];
        if !self.answers(request) {
            cx.reply(id, Outcome::Redirect { hint: ends[usize::from(request.op.is_read())] });
        } else if request.op.is_read() {
            let cell = self.store.read(request.op.key());
            cx.reply(id, done(Answer::Read { digest: cell.digest, bytes: cell.bytes }, self.store.tip(), 1, 1));
        } else {
            // A write that is asked for again is appended again, and executed once.
            self.append(Command::of(request), cx);
            self.waiting.push_back((self.log.len() as u64, id, request.write_key()));
        }
    }
}

impl Machine for Replica {
    type Message = Message;
    type Timer = ();
    type Record = Option<Command>; // `None` marks an installed disk
    type Config = Group;
    const LINKS: LinkKind = LinkKind::Datagram;
    const VIEWS: Views = Views::Succeed;

    fn format(_: &Group) -> Vec<Self::Record> {
        vec![None]
    }
    fn boot(group: &Group, disk: &[Self::Record], cx: &mut Cx<'_>) -> Result<Self, BootError> {
        let below = if group.members.last() == Some(&group.me) { u64::MAX } else { 0 };
        let log: Vec<Command> = disk.iter().copied().flatten().collect();
        let store = Store::of(&log);
        cx.set_timer((), Duration::ZERO);
        let replica = Self { group: group.clone(), store, log, below, waiting: VecDeque::new() };
        if disk.is_empty() { Err(BootError("its disk was lost".into())) } else { Ok(replica) }
    }
    fn step(&mut self, input: Input<Self>, cx: &mut Cx<'_>) {
        match input {
            Input::Request { id, request } => self.request(id, &request, cx),
            Input::Written(WriteId(length)) => {
                while self.store.tip().length < length {
                    self.store.apply(self.log[self.store.tip().length as usize]);
                }
                self.forward(cx);
                self.acknowledge(cx);
            }
            Input::Message { from, message } => {
                if self.neighbour(1) == Some(from) {
                    self.below = self.below.max(message.position);
                } else if let Some(known) = (self.log.len() as u64).checked_sub(message.position) {
                    message.commands.iter().skip(known as usize).for_each(|&command| self.append(command, cx));
                }
                self.acknowledge(cx);
            }
            Input::Timeout(()) => {
                cx.set_timer((), Duration::from_millis(200));
                self.forward(cx);
            }
            _ => {}
        }
    }
    fn status(&self) -> Status {
        let head = self.group.members[0];
        let role = if self.group.me == head { Role::Leading } else { Role::Following };
        Status::at_rest(role, (1, head, 0), &self.group.members, self.store.tip())
    }
    fn can_serve(live: &[&Status]) -> bool {
        live.iter().all(|status| status.replica_set.len() == live.len())
    }
    fn answers(&self, request: &Request) -> bool {
        self.neighbour(if request.op.is_read() { 1 } else { -1 }).is_none()
    }
    fn covers(&self, tip: Tip) -> bool {
        self.store.covers(tip)
    }
    fn applied(&self, write: WriteKey) -> bool {
        self.store.applied(write)
    }
    fn inventory(&self) -> Inventory {
        self.store.inventory()
    }
    fn inventory_of(_: &Group, disk: &[Self::Record]) -> Inventory {
        Store::of(disk.iter().flatten()).inventory()
    }
    fn wire_bytes(message: &Message) -> u32 {
        64 + message.commands.iter().map(Command::bytes).sum::<u32>()
    }
    fn record_bytes(record: &Self::Record) -> u32 {
        16 + record.as_ref().map_or(0, Command::bytes)
    }
    fn message_name(message: &Message) -> &'static str {
        if message.commands.is_empty() { "Holds" } else { "Forward" }
    }
}
