//! A stage for a few replicas: messages wait in a list until they are due, or until the test delivers, drops
//! or reorders them; disks complete after a millisecond, or when told; the clock stands until it is moved.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::super::config::{Config, Peer};
use super::super::message::Message;
use super::super::options::{Ack, MergePolicy, Options, ReadLevel};
use super::super::{Record, Replica, Timer};
use crate::id::{ClientId, DcId, NodeId};
use crate::machine::{Context, Effect, Input, Machine, Note, RequestId, WriteId};
use crate::op::{Op, Outcome, Request, Tip, Value, WriteKey};
use crate::rng::Stream;
use crate::time::{Duration, LocalTime};

/// One way between any two replicas.
pub const LATENCY: Duration = Duration::from_millis(20);
/// A write becomes durable after this, unless its disk is held.
pub const SYNC: Duration = Duration::from_millis(1);

pub const A: NodeId = NodeId(0);
pub const B: NodeId = NodeId(1);
pub const C: NodeId = NodeId(2);
pub const D: NodeId = NodeId(3);
pub const E: NodeId = NodeId(4);

pub fn options() -> Options {
    Options {
        heartbeat: Duration::from_millis(500),
        suspect_after: Duration::from_secs(3),
        stable_after: Duration::from_millis(600),
        view_deadline: Duration::from_millis(800),
        freeze: Duration::from_millis(2_500),
        hold_down_max: Duration::from_secs(30),
        ack: Ack::All,
        merge: MergePolicy::Replay,
        reads: ReadLevel::Session,
        epoch_max: 1 << 63,
        retain_entries: 100_000,
        retain_age: Duration::from_secs(86_400),
        sync_limit: 4_000,
        session_expiry: Duration::from_secs(86_400),
        clock_skew_max: Duration::from_secs(1),
        mutation: None,
    }
}

/// Node `me` of `count`, each in a data center of its own; the first is preferred.
pub fn config(me: NodeId, count: u32, options: &Options) -> Config {
    let peer = |node| Peer { node: NodeId(node), data_center: DcId(node), priority: 100 - node };
    Config {
        options: options.clone(),
        me,
        directory: (0..count).map(peer).collect(),
        replica_set: (0..count).map(NodeId).collect(),
        round_trip_max: LATENCY.saturating_mul(2),
    }
}

/// A message under way.
#[derive(Clone, Debug)]
pub struct Flight {
    pub due: LocalTime,
    pub from: NodeId,
    pub to: NodeId,
    pub message: Message,
}

/// One node.
pub struct Seat {
    pub config: Rc<Config>,
    pub machine: Option<Replica>,
    pub paused: bool,
    /// Nothing becomes durable while it is held.
    pub disk_held: bool,
    /// How long a write takes.
    pub sync: Duration,
    pub records: Vec<Record>,
    unsynced: Vec<(LocalTime, WriteId, Record, bool)>,
    held: Vec<(WriteId, NodeId, Message)>,
    timers: BTreeMap<Timer, LocalTime>,
    rng: Stream,
}

pub struct Stage {
    pub now: LocalTime,
    pub seats: Vec<Seat>,
    pub flights: Vec<Flight>,
    /// Links that carry nothing, from and to.
    pub cut: BTreeSet<(NodeId, NodeId)>,
    pub replies: Vec<(NodeId, RequestId, Outcome)>,
    pub told: Vec<WriteKey>,
    pub notes: Vec<(LocalTime, NodeId, Note)>,
    next_request: u64,
}

impl Stage {
    /// A stage whose replicas have just booted.
    pub fn with(count: u32, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = options();
        change(&mut options);
        let seat = |node| Seat {
            config: Rc::new(config(NodeId(node), count, &options)),
            machine: None,
            paused: false,
            disk_held: false,
            sync: SYNC,
            records: Vec::new(),
            unsynced: Vec::new(),
            held: Vec::new(),
            timers: BTreeMap::new(),
            rng: Stream::new(u64::from(node), "stage", &[]),
        };
        let mut stage = Self {
            now: LocalTime::ZERO + Duration::from_secs(1_000),
            seats: (0..count).map(seat).collect(),
            flights: Vec::new(),
            cut: BTreeSet::new(),
            replies: Vec::new(),
            told: Vec::new(),
            notes: Vec::new(),
            next_request: 0,
        };
        for node in 0..count {
            stage.boot(NodeId(node));
        }
        stage
    }

    /// A stage on which the first replicas share one confirmed view; the others of the directory do not run.
    pub fn with_spares(founders: u32, count: u32, change: impl FnOnce(&mut Options)) -> Self {
        let mut stage = Self::with(count, change);
        for seat in &mut stage.seats {
            let mut config = (*seat.config).clone();
            config.replica_set.truncate(founders as usize);
            (seat.config, seat.machine) = (Rc::new(config), None);
            seat.timers.clear();
        }
        for node in 0..founders {
            stage.boot(NodeId(node));
        }
        stage.run(6_000);
        let founders: Vec<NodeId> = (0..founders).map(NodeId).collect();
        assert!(stage.legitimate(&founders), "{:#?}", stage.notes);
        stage.notes.clear();
        stage
    }

    /// An empty replica starts, which is to be taken in by these.
    pub fn start(&mut self, node: NodeId, members: &[NodeId]) {
        let seat = &mut self.seats[node.index()];
        seat.config = Rc::new(Config { replica_set: members.to_vec(), ..(*seat.config).clone() });
        seat.records.clear();
        self.boot(node);
    }

    /// A replica ends, and its disk is given free.
    pub fn stop(&mut self, node: NodeId) {
        self.crash(node);
        self.seats[node.index()].records.clear();
    }

    /// A stage on which all replicas share one confirmed view, led by the first.
    pub fn settled(count: u32) -> Self {
        Self::settled_with(count, |_| {})
    }

    pub fn settled_with(count: u32, change: impl FnOnce(&mut Options)) -> Self {
        let mut stage = Self::with(count, change);
        stage.run(6_000);
        assert!(stage.legitimate(&stage.nodes()), "{:#?}", stage.notes);
        stage.notes.clear();
        stage
    }

    pub fn nodes(&self) -> Vec<NodeId> {
        (0..self.seats.len()).map(NodeId::from).collect()
    }

    pub fn replica(&self, node: NodeId) -> &Replica {
        self.seats[node.index()].machine.as_ref().expect("the node is up")
    }

    pub fn replica_mut(&mut self, node: NodeId) -> &mut Replica {
        self.seats[node.index()].machine.as_mut().expect("the node is up")
    }

    pub fn boot(&mut self, node: NodeId) {
        let seat = &mut self.seats[node.index()];
        let mut effects = Vec::new();
        let mut cx = Context { now: self.now, wall: self.now, rng: &mut seat.rng, effects: &mut effects };
        seat.machine = Some(Replica::boot(&seat.config, &seat.records, &mut cx).expect("a replica boots from any log"));
        seat.paused = false;
        self.apply(node, effects);
    }

    /// The process is gone, with all that was not durable.
    pub fn crash(&mut self, node: NodeId) {
        let seat = &mut self.seats[node.index()];
        seat.machine = None;
        seat.unsynced.clear();
        seat.held.clear();
        seat.timers.clear();
        self.flights.retain(|flight| flight.to != node);
    }

    pub fn step(&mut self, node: NodeId, input: Input<Replica>) {
        let seat = &mut self.seats[node.index()];
        let Some(machine) = &mut seat.machine else { return };
        let mut effects = Vec::new();
        machine.step(input, &mut Context { now: self.now, wall: self.now, rng: &mut seat.rng, effects: &mut effects });
        self.apply(node, effects);
    }

    fn apply(&mut self, node: NodeId, effects: Vec<Effect<Replica>>) {
        for effect in effects {
            let now = self.now;
            let seat = &mut self.seats[node.index()];
            match effect {
                Effect::Send { to, message, after: Some(write) }
                    if seat.unsynced.iter().any(|&(_, id, _, _)| id == write) =>
                {
                    seat.held.push((write, to, message));
                }
                Effect::Send { to, message, .. } => self.send(node, to, message),
                Effect::SetTimer { timer, after } => {
                    seat.timers.insert(timer, now + after);
                }
                Effect::CancelTimer(timer) => {
                    seat.timers.remove(&timer);
                }
                Effect::Write { id, record } => seat.unsynced.push((now + seat.sync, id, record, false)),
                Effect::Checkpoint { id, record } => seat.unsynced.push((now + seat.sync, id, record, true)),
                Effect::Reply { id, outcome } => self.replies.push((node, id, outcome)),
                Effect::Tell { write } => self.told.push(write),
                Effect::Note(note) => self.notes.push((now, node, note)),
                Effect::Order(_) => panic!("a replica gives no orders"),
            }
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: Message) {
        if !self.cut.contains(&(from, to)) {
            self.flights.push(Flight { due: self.now + LATENCY, from, to, message });
        }
    }

    /// Everything written so far becomes durable.
    pub fn sync(&mut self, node: NodeId) {
        let seat = &mut self.seats[node.index()];
        let Some(last) = seat.unsynced.last().map(|&(_, id, _, _)| id) else { return };
        for (_, _, record, replaces) in seat.unsynced.drain(..) {
            if replaces {
                seat.records.clear();
            }
            seat.records.push(record);
        }
        for (_, to, message) in std::mem::take(&mut seat.held) {
            self.send(node, to, message);
        }
        self.step(node, Input::Written(last));
    }

    /// Hands a message over now.
    pub fn deliver(&mut self, from: NodeId, to: NodeId, message: Message) {
        self.step(to, Input::Message { from, message });
    }

    /// Takes the messages of one kind off the stage.
    pub fn take(&mut self, name: &str, from: NodeId, to: NodeId) -> Vec<Message> {
        let wanted = |flight: &Flight| flight.message.name() == name && (flight.from, flight.to) == (from, to);
        let (taken, left) = std::mem::take(&mut self.flights).into_iter().partition(wanted);
        self.flights = left;
        let taken: Vec<Flight> = taken;
        taken.into_iter().map(|flight| flight.message).collect()
    }

    /// Lets time pass: messages arrive, timers fire, disks complete, each when it is due.
    pub fn run(&mut self, millis: u64) {
        self.run_until(self.now + Duration::from_millis(millis), |_| true);
    }

    /// As [`Stage::run`], losing messages that `keep` does not keep as they become due.
    pub fn run_until(&mut self, end: LocalTime, mut keep: impl FnMut(&Flight) -> bool) {
        while let Some((due, what)) = self.next_event().filter(|&(due, _)| due <= end) {
            self.now = self.now.max(due);
            match what {
                Next::Sync(node) => self.sync(node),
                Next::Flight(at) => {
                    let flight = self.flights.remove(at);
                    if keep(&flight) && !self.cut.contains(&(flight.from, flight.to)) {
                        self.deliver(flight.from, flight.to, flight.message);
                    }
                }
                Next::Timer(node, timer) => {
                    self.seats[node.index()].timers.remove(&timer);
                    self.step(node, Input::Timeout(timer));
                }
            }
        }
        self.now = end;
    }

    fn next_event(&self) -> Option<(LocalTime, Next)> {
        let runs = |node: &NodeId| !self.seats[node.index()].paused;
        let timers = self.nodes().into_iter().filter(runs).flat_map(|node| {
            self.seats[node.index()].timers.iter().map(move |(&timer, &due)| (due, 0, Next::Timer(node, timer)))
        });
        let disks = self.nodes().into_iter().filter(runs).filter(|node| !self.seats[node.index()].disk_held);
        let syncs = disks
            .filter_map(|node| self.seats[node.index()].unsynced.first().map(|&(due, ..)| (due, 1, Next::Sync(node))));
        let flights = self.flights.iter().enumerate().filter(|(_, flight)| runs(&flight.to));
        let flights = flights.map(|(at, flight)| (flight.due, 2, Next::Flight(at)));
        let first = timers.chain(syncs).chain(flights).min_by_key(|&(due, kind, _)| (due, kind))?;
        Some((first.0, first.2))
    }

    pub fn isolate(&mut self, side: &[NodeId], other: &[NodeId]) {
        for &one in side {
            for &two in other {
                self.cut.extend([(one, two), (two, one)]);
            }
        }
    }

    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// A client asks; the answer shows up under the returned identifier.
    pub fn ask(&mut self, node: NodeId, request: Request) -> RequestId {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        self.step(node, Input::Request { id, request });
        id
    }

    pub fn outcome(&self, id: RequestId) -> Option<Outcome> {
        self.replies.iter().find(|(_, reply, _)| *reply == id).map(|&(_, _, outcome)| outcome)
    }

    /// Whether the request was answered as done.
    pub fn is_done(&self, id: RequestId) -> bool {
        matches!(self.outcome(id), Some(Outcome::Done(_)))
    }

    /// Whether these nodes share one installed view of exactly them, led by one primary, and nothing is going on.
    pub fn legitimate(&self, nodes: &[NodeId]) -> bool {
        let all: Vec<_> = nodes.iter().map(|&node| self.replica(node).status()).collect();
        let leaders: Vec<_> = nodes.iter().zip(&all).filter(|(_, status)| status.serving).collect();
        let [(&leader, lead)] = leaders[..] else { return false };
        let quiet = |status: &crate::machine::Status| {
            status.members == nodes
                && status.view == lead.view
                && !status.frozen
                && !status.changing
                && status.candidate == Some(leader)
                && self.replica(leader).covers(status.tip)
        };
        all.iter().all(quiet)
    }

    pub fn primary(&self) -> Option<NodeId> {
        self.nodes()
            .into_iter()
            .find(|node| self.seats[node.index()].machine.as_ref().is_some_and(|machine| machine.serving()))
    }

    pub fn noted(&self, wanted: impl Fn(NodeId, &Note) -> bool) -> usize {
        self.notes.iter().filter(|(_, node, note)| wanted(*node, note)).count()
    }
}

#[derive(Clone, Copy)]
enum Next {
    Sync(NodeId),
    Flight(usize),
    Timer(NodeId, Timer),
}

pub const fn value(digest: u64) -> Value {
    Value { digest, bytes: 8 }
}

/// A write of one client, with no other one open.
pub const fn write(client: u32, number: u32, op: Op) -> Request {
    Request { client: ClientId(client), number, op, floor: number, token: None, fresh: number == 1 }
}

pub const fn post(client: u32, number: u32) -> Request {
    write(client, number, Op::Post { key: client, value: value(number as u64) })
}

pub const fn put(client: u32, number: u32, key: u32, digest: u64) -> Request {
    write(client, number, Op::Put { key, value: value(digest) })
}

pub const fn read(client: u32, key: u32, token: Option<Tip>) -> Request {
    Request { client: ClientId(client), number: 1, op: Op::Read { key }, floor: 1, token, fresh: false }
}

pub const fn key(client: u32, number: u32) -> WriteKey {
    WriteKey { client: ClientId(client), number }
}
