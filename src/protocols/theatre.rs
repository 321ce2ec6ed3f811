//! A stage on which a few replicas of any machine play a dialogue, for transcript tests.
//!
//! A transcript is a file of commands (`> ` lines), each followed by everything that happened: messages
//! delivered and dropped, answers, decisions. [`play`] runs the commands and compares the whole text. With
//! `FIREDRILL_TRANSCRIPTS=write` in the environment it writes the file instead: look at the difference then.
//!
//! | command | meaning |
//! |---|---|
//! | `write n0 C N` | client C asks n0 for its write number N (a put of key C) |
//! | `read n0 C` | client C asks n0 to read key C |
//! | `run MS` | time passes: messages arrive after 20 ms, disks sync in 1 ms, timers fire |
//! | `cut n0 n1`, `cut n0 -> n1`, `heal` | links carry nothing, both ways or one way; all carry again |
//! | `crash n0`, `wipe n0`, `boot n0` | the process ends; its disk is lost too; it starts |
//! | `hold n0`, `sync n0` | nothing becomes durable on n0; it does again |
//! | `reconfigure n0 n1 n2 ...` | n0 is asked for the replica set that follows it |
//! | `hide NAME ...` | messages of these names are not told (heartbeats, mostly) |
//! | `status` | a line a replica |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use crate::id::{ClientId, NodeId};
use crate::machine::{Context, Effect, Input, LinkKind, Machine, Note, RequestId, Role, WriteId};
use crate::op::{Answer, Op, Outcome, Request, Value};
use crate::rng::Stream;
use crate::time::{Duration, LocalTime};

use super::Group;

/// One way between any two replicas.
pub const LATENCY: Duration = Duration::from_millis(20);
/// A write becomes durable after this, unless its disk is held.
pub const SYNC: Duration = Duration::from_millis(1);

struct Flight<M: Machine> {
    due: LocalTime,
    from: NodeId,
    to: NodeId,
    message: M::Message,
}

struct Seat<M: Machine> {
    config: M::Config,
    machine: Option<M>,
    held: bool,
    records: Vec<M::Record>,
    unsynced: Vec<(LocalTime, WriteId, M::Record, bool)>,
    waiting: Vec<(WriteId, NodeId, M::Message)>,
    timers: BTreeMap<M::Timer, LocalTime>,
    rng: Stream,
}

/// The stage.
pub struct Theatre<M: Machine> {
    pub now: LocalTime,
    start: LocalTime,
    seats: Vec<Seat<M>>,
    flights: Vec<Flight<M>>,
    cut: BTreeSet<(NodeId, NodeId)>,
    /// Datagrams get lost, come twice and overtake each other while there is one.
    storm: Option<Stream>,
    hidden: BTreeSet<String>,
    asked: BTreeMap<RequestId, String>,
    /// Answers by request, in order.
    pub replies: Vec<(NodeId, RequestId, Outcome)>,
    pub notes: Vec<(NodeId, Note)>,
    describe: fn(&M::Message) -> String,
    told: String,
    next_request: u64,
}

/// The groups of `count` replicas n0, n1, ..., for configurations.
pub fn groups(count: u32) -> Vec<Group> {
    let members: Vec<NodeId> = (0..count).map(NodeId).collect();
    let group = |me| Group { me: NodeId(me), members: members.clone(), round_trip_max: LATENCY.saturating_mul(2) };
    (0..count).map(group).collect()
}

impl<M: Machine> Theatre<M> {
    /// Replicas with these configurations, just installed and started. `describe` tells a message's content.
    pub fn new(configs: Vec<M::Config>, describe: fn(&M::Message) -> String) -> Self {
        let seats = configs.into_iter().enumerate().map(|(at, config)| Seat {
            records: M::format(&config),
            config,
            machine: None,
            held: false,
            unsynced: Vec::new(),
            waiting: Vec::new(),
            timers: BTreeMap::new(),
            rng: Stream::new(at as u64, "theatre", &[]),
        });
        let start = LocalTime::ZERO + Duration::from_secs(1_000);
        let mut theatre = Self {
            now: start,
            start,
            seats: seats.collect(),
            flights: Vec::new(),
            cut: BTreeSet::new(),
            storm: None,
            hidden: BTreeSet::new(),
            asked: BTreeMap::new(),
            replies: Vec::new(),
            notes: Vec::new(),
            describe,
            told: String::new(),
            next_request: 0,
        };
        for node in theatre.nodes() {
            theatre.boot(node);
        }
        theatre.told.clear();
        theatre
    }

    /// A newcomer starts on a machine that had no part in the service: its disk is empty.
    pub fn arrive(&mut self, config: M::Config) -> NodeId {
        let node = NodeId::from(self.seats.len());
        self.seats.push(Seat {
            config,
            machine: None,
            held: false,
            records: Vec::new(),
            unsynced: Vec::new(),
            waiting: Vec::new(),
            timers: BTreeMap::new(),
            rng: Stream::new(u64::from(node.0), "theatre", &[]),
        });
        self.boot(node);
        node
    }

    pub fn nodes(&self) -> Vec<NodeId> {
        (0..self.seats.len()).map(NodeId::from).collect()
    }

    pub fn machine(&self, node: NodeId) -> Option<&M> {
        self.seats[node.index()].machine.as_ref()
    }

    /// The one replica that serves, if it is one.
    pub fn leader(&self) -> Option<NodeId> {
        let serves = |node: &NodeId| self.machine(*node).is_some_and(M::serving);
        let serving: Vec<NodeId> = self.nodes().into_iter().filter(serves).collect();
        (serving.len() == 1).then(|| serving[0])
    }

    pub fn boot(&mut self, node: NodeId) {
        let seat = &mut self.seats[node.index()];
        let mut effects = Vec::new();
        let mut cx = Context { now: self.now, wall: self.now, rng: &mut seat.rng, effects: &mut effects };
        match M::boot(&seat.config, &seat.records, &mut cx) {
            Ok(machine) => seat.machine = Some(machine),
            Err(error) => self.tell(&format!("n{} does not boot: {}", node.0, error.0)),
        }
        self.apply(node, effects);
        self.links_changed(node, true);
    }

    pub fn crash(&mut self, node: NodeId) {
        let seat = &mut self.seats[node.index()];
        seat.machine = None;
        seat.unsynced.clear();
        seat.waiting.clear();
        seat.timers.clear();
        self.flights.retain(|flight| flight.to != node);
        self.links_changed(node, false);
    }

    /// Session links break and come back with their ends, and both sides are told at once.
    fn links_changed(&mut self, node: NodeId, up: bool) {
        if M::LINKS != LinkKind::Session {
            return;
        }
        for other in self.nodes() {
            if other != node && self.seats[other.index()].machine.is_some() && self.is_open(node, other) {
                self.link(node, other, up);
            }
        }
    }

    fn link(&mut self, a: NodeId, b: NodeId, up: bool) {
        if !up {
            self.flights.retain(|flight| {
                let ends = (flight.from, flight.to);
                ends != (a, b) && ends != (b, a)
            });
        }
        for (node, peer) in [(a, b), (b, a)] {
            self.step(node, if up { Input::LinkUp(peer) } else { Input::LinkDown(peer) });
        }
    }

    fn is_open(&self, a: NodeId, b: NodeId) -> bool {
        !self.cut.contains(&(a, b)) && !self.cut.contains(&(b, a))
    }

    pub fn step(&mut self, node: NodeId, input: Input<M>) {
        self.with(node, |machine, cx| machine.step(input, cx));
    }

    /// Does something to a running machine that no input does.
    pub fn with(&mut self, node: NodeId, act: impl FnOnce(&mut M, &mut Context<'_, M>)) {
        let seat = &mut self.seats[node.index()];
        let Some(machine) = &mut seat.machine else { return };
        let mut effects = Vec::new();
        act(machine, &mut Context { now: self.now, wall: self.now, rng: &mut seat.rng, effects: &mut effects });
        self.apply(node, effects);
    }

    fn apply(&mut self, node: NodeId, effects: Vec<Effect<M>>) {
        for effect in effects {
            let now = self.now;
            let seat = &mut self.seats[node.index()];
            match effect {
                Effect::Send { to, message, after: Some(write) }
                    if seat.unsynced.iter().any(|&(_, id, _, _)| id == write) =>
                {
                    seat.waiting.push((write, to, message));
                }
                Effect::Send { to, message, .. } => self.send(node, to, message),
                Effect::SetTimer { timer, after } => _ = seat.timers.insert(timer, now + after),
                Effect::CancelTimer(timer) => _ = seat.timers.remove(&timer),
                Effect::Write { id, record } => seat.unsynced.push((now + SYNC, id, record, false)),
                Effect::Checkpoint { id, record } => seat.unsynced.push((now + SYNC, id, record, true)),
                Effect::Reply { id, outcome } => {
                    let asked = self.asked.get(&id).cloned().unwrap_or_default();
                    self.tell(&format!("n{} answers {asked}: {}", node.0, outcome_text(&outcome)));
                    self.replies.push((node, id, outcome));
                }
                Effect::Tell { write } => self.tell(&format!("n{} tells c{}.{}", node.0, write.client.0, write.number)),
                Effect::Note(note) => {
                    self.tell(&format!("n{}: {note:?}", node.0));
                    self.notes.push((node, note));
                }
                Effect::Order(_) => panic!("a replica gives no orders"),
            }
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: M::Message) {
        let up = self.seats.get(to.index()).is_some_and(|seat| seat.machine.is_some());
        let carried = M::LINKS == LinkKind::Datagram || self.is_open(from, to);
        if from == to {
            self.flights.push(Flight { due: self.now, from, to, message });
        } else if self.cut.contains(&(from, to)) || !up || !carried {
            self.tell_message("x", from, to, &message);
        } else {
            for delay in self.delays() {
                self.flights.push(Flight { due: self.now + delay, from, to, message: message.clone() });
            }
        }
    }

    /// When the copies of a message arrive.
    fn delays(&mut self) -> Vec<Duration> {
        let Some(stream) = self.storm.as_mut().filter(|_| M::LINKS == LinkKind::Datagram) else { return vec![LATENCY] };
        let copies = [0, 1, 1, 1, 1, 1, 1, 1, 1, 2][stream.below(10) as usize];
        (0..copies).map(|_| LATENCY + Duration::from_millis(stream.below(100))).collect()
    }

    /// From now on a tenth of the datagrams is lost, a tenth comes twice, and many overtake others; `None`:
    /// none does.
    pub fn weather(&mut self, storm: Option<Stream>) {
        self.storm = storm;
    }

    fn sync(&mut self, node: NodeId) {
        let seat = &mut self.seats[node.index()];
        let Some(last) = seat.unsynced.last().map(|&(_, id, _, _)| id) else { return };
        for (_, _, record, replaces) in seat.unsynced.drain(..) {
            if replaces {
                seat.records.clear();
            }
            seat.records.push(record);
        }
        for (_, to, message) in std::mem::take(&mut seat.waiting) {
            self.send(node, to, message);
        }
        self.step(node, Input::Written(last));
    }

    /// Lets time pass: messages arrive, timers fire, disks complete, each when it is due.
    pub fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some((due, what)) = self.next_event().filter(|&(due, _)| due <= end) {
            self.now = self.now.max(due);
            match what {
                Next::Sync(node) => self.sync(node),
                Next::Flight(at) => {
                    let Flight { from, to, message, .. } = self.flights.remove(at);
                    if self.cut.contains(&(from, to)) {
                        self.tell_message("x", from, to, &message);
                    } else {
                        self.tell_message(">", from, to, &message);
                        self.step(to, Input::Message { from, message });
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

    fn next_event(&self) -> Option<(LocalTime, Next<M::Timer>)> {
        let seats = || self.seats.iter().enumerate().map(|(at, seat)| (NodeId::from(at), seat));
        let timers = seats()
            .flat_map(|(node, seat)| seat.timers.iter().map(move |(&timer, &due)| (due, 0, Next::Timer(node, timer))));
        let syncs = seats()
            .filter(|(_, seat)| !seat.held)
            .filter_map(|(node, seat)| seat.unsynced.first().map(|&(due, ..)| (due, 1, Next::Sync(node))));
        let flights = self.flights.iter().enumerate().map(|(at, flight)| (flight.due, 2, Next::Flight(at)));
        let first = timers.chain(syncs).chain(flights).min_by_key(|&(due, kind, _)| (due, kind))?;
        Some((first.0, first.2))
    }

    /// A client asks; the answer shows up under the returned identifier.
    pub fn ask(&mut self, node: NodeId, request: Request) -> RequestId {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        let kind = if request.op.is_read() { "read" } else { "write" };
        self.asked.insert(id, format!("{kind} c{}.{}", request.client.0, request.number));
        self.step(node, Input::Request { id, request });
        id
    }

    /// The answer to a request, if it came.
    pub fn outcome(&self, id: RequestId) -> Option<Outcome> {
        self.replies.iter().find(|(_, reply, _)| *reply == id).map(|&(_, _, outcome)| outcome)
    }

    fn tell(&mut self, line: &str) {
        let at = self.now.since(self.start).as_nanos() / 1_000_000;
        writeln!(self.told, "{at:>6} {line}").expect("a string takes text");
    }

    fn tell_message(&mut self, arrow: &str, from: NodeId, to: NodeId, message: &M::Message) {
        let name = M::message_name(message);
        if !self.hidden.contains(name) {
            let content = (self.describe)(message);
            self.tell(format!("n{} -{arrow} n{} {name} {content}", from.0, to.0).trim_end());
        }
    }

    /// Carries out one command of a dialogue.
    pub fn command(&mut self, command: &str) {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[..] {
            ["write", at, client, number] => {
                self.ask(node(at), write(parse(client), parse(number)));
            }
            ["read", at, client] => {
                self.ask(node(at), read(parse(client)));
            }
            ["run", millis] => self.run(u64::from(parse(millis))),
            ["cut", a, b] => self.cut_link(node(a), node(b), true),
            ["cut", a, "->", b] => self.cut_link(node(a), node(b), false),
            ["heal"] => self.heal(),
            ["crash", at] => self.crash(node(at)),
            ["wipe", at] => {
                self.crash(node(at));
                self.seats[node(at).index()].records.clear();
            }
            ["boot", at] => self.boot(node(at)),
            ["hold", at] => self.seats[node(at).index()].held = true,
            ["sync", at] => {
                self.seats[node(at).index()].held = false;
                self.sync(node(at));
            }
            ["reconfigure", at, ref set @ ..] => {
                let set = set.iter().map(|name| node(name)).collect();
                self.step(node(at), Input::Reconfigure(set));
            }
            ["hide", ref names @ ..] => self.hidden.extend(names.iter().map(|&name| name.to_owned())),
            ["status"] => self.tell_status(),
            _ => panic!("no such command: {command}"),
        }
    }

    fn cut_link(&mut self, a: NodeId, b: NodeId, both: bool) {
        let was_open = self.is_open(a, b);
        self.cut.insert((a, b));
        if both {
            self.cut.insert((b, a));
        }
        if M::LINKS == LinkKind::Session && was_open {
            self.link(a, b, false);
        }
    }

    fn heal(&mut self) {
        let pairs: BTreeSet<(NodeId, NodeId)> =
            std::mem::take(&mut self.cut).into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
        let runs = |node: NodeId, seats: &[Seat<M>]| seats[node.index()].machine.is_some();
        for (a, b) in pairs {
            if M::LINKS == LinkKind::Session && runs(a, &self.seats) && runs(b, &self.seats) {
                self.link(a, b, true);
            }
        }
    }

    fn tell_status(&mut self) {
        for node in self.nodes() {
            let line = match self.machine(node).map(M::status) {
                None => format!("n{} is down", node.0),
                Some(status) => {
                    let role = match status.role {
                        Role::Listening => "listens",
                        Role::Following => "follows",
                        Role::Leading => "leads",
                    };
                    let view =
                        status.view.map_or("no view".into(), |(epoch, by, _)| format!("view {epoch} of n{}", by.0));
                    let serving = if status.serving { ", serves" } else { "" };
                    format!("n{} {role}, {view}, {} applied{serving}", node.0, status.tip.length)
                }
            };
            self.tell(&line);
        }
    }
}

/// Plays a transcript and compares all of it; see the module docs.
pub fn play<M: Machine>(path: &str, configs: Vec<M::Config>, describe: fn(&M::Message) -> String) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let expected = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut theatre = Theatre::<M>::new(configs, describe);
    let mut text = String::new();
    for line in expected.lines() {
        if line.starts_with('#') {
            writeln!(text, "{line}").expect("a string takes text");
        } else if let Some(command) = line.strip_prefix("> ") {
            writeln!(text, "{line}").expect("a string takes text");
            theatre.command(command);
            text.push_str(&std::mem::take(&mut theatre.told));
        }
    }
    if std::env::var("FIREDRILL_TRANSCRIPTS").is_ok_and(|mode| mode == "write") {
        std::fs::write(&file, &text).unwrap_or_else(|error| panic!("{path}: {error}"));
        return;
    }
    let first = expected.lines().zip(text.lines()).position(|(one, other)| one != other);
    let at = first.unwrap_or(expected.lines().count().min(text.lines().count()));
    let (wanted, got) = (expected.lines().nth(at), text.lines().nth(at));
    assert!(expected == text, "{path}:{}: expected\n{wanted:?}\nbut it went\n{got:?}", at + 1);
}

#[derive(Clone, Copy)]
enum Next<T> {
    Sync(NodeId),
    Flight(usize),
    Timer(NodeId, T),
}

fn parse(number: &str) -> u32 {
    number.parse().expect("a number")
}

fn node(name: &str) -> NodeId {
    NodeId(name.strip_prefix('n').map(parse).expect("a replica such as n1"))
}

/// The write `number` of a client: a put of its own key.
pub fn write(client: u32, number: u32) -> Request {
    let value = Value { digest: u64::from(number), bytes: 8 };
    let op = Op::Put { key: client, value };
    Request { client: ClientId(client), number, op, floor: number, token: None, fresh: number == 1 }
}

/// A read of a client's own key.
pub fn read(client: u32) -> Request {
    Request { client: ClientId(client), number: 1, op: Op::Read { key: client }, floor: 1, token: None, fresh: false }
}

fn outcome_text(outcome: &Outcome) -> String {
    let hint = |hint: Option<NodeId>| hint.map_or("somebody".into(), |node| format!("n{}", node.0));
    match *outcome {
        Outcome::Done(done) => match done.answer {
            Answer::Done => "done".into(),
            Answer::Read { digest, .. } => format!("value {digest}"),
            Answer::Swapped(swapped) => format!("swapped {swapped}"),
        },
        Outcome::Redirect { hint: to } => format!("ask {}", hint(to)),
        Outcome::Unfinished { hint: to } => format!("unfinished, ask {}", hint(to)),
        other => format!("{other:?}").to_lowercase(),
    }
}
