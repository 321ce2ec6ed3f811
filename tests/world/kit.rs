//! A protocol with nothing to agree on, a front that writes everything down, and a small world.
//!
//! Each replica follows a script from its configuration, and remembers what it heard in order.

use std::collections::BTreeMap;

use firedrill::id::{ClientId, DcId, NodeId, ServiceId};
use firedrill::interval::WriteSet;
use firedrill::machine::*;
use firedrill::op::*;
use firedrill::rng::Stream;
use firedrill::time::{Duration, LocalTime, SimTime};
use firedrill::world::fault::*;
use firedrill::world::topology::{DataCenter, Node, Path, Topology};
use firedrill::world::*;

pub const BOARD: ServiceId = ServiceId(0);
/// The service of the agents, where there are some.
pub const AGENTS: ServiceId = ServiceId(1);

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
pub fn at(millis: u64) -> SimTime {
    SimTime::ZERO + ms(millis)
}
pub fn node(index: u32) -> NodeId {
    NodeId(index)
}

/// What a replica does at some time after its boot, by its own clock.
#[derive(Clone, Debug)]
pub enum Act {
    /// Sends words of so many bytes, numbered from the given one, all at once.
    Send {
        to: u32,
        bytes: u32,
        from: u64,
        count: u64,
    },
    /// Sends numbered words one by one.
    Stream {
        to: u32,
        bytes: u32,
        every: Duration,
        count: u64,
    },
    Write(u64),
    Checkpoint(u64),
    /// Writes a record and sends a word that must not leave before the record is durable.
    WriteThenSend(u64, u32),
    /// Arms the timer `Bell` for this long, or cancels it.
    Bell(Option<Duration>),
    Tell(u32),
    Panic,
    Order(Order),
}

#[derive(Clone, Debug, Default)]
pub struct Script {
    pub acts: Vec<(Duration, Act)>,
    pub serving: bool,
    /// Answers each word with one of the same number and size.
    pub echo: bool,
    pub refuses_to_boot: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    pub number: u64,
    pub bytes: u32,
    pub echo: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Boot(Vec<u64>),
    Word(u32, u64),
    Bell,
    Written(u64),
    Request(u32),
    Acknowledged(u32),
    Up(u32),
    Down(u32),
    Reconfigure(Vec<NodeId>),
    Survey(Survey),
    Stray(u32, u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    Bell,
    Act(usize),
    Stream(usize, u64),
}

/// `S`: over sessions instead of datagrams.
pub struct Parrot<const S: bool> {
    script: Script,
    pub heard: Vec<(LocalTime, LocalTime, Heard)>,
    waiting: Vec<(u64, RequestId)>,
    written: u64,
    pub corrupted: u32,
    pub random: u64,
}

impl<const S: bool> Parrot<S> {
    pub fn words(&self) -> Vec<u64> {
        self.heard
            .iter()
            .filter_map(|(_, _, heard)| if let Heard::Word(_, n) = heard { Some(*n) } else { None })
            .collect()
    }
    pub fn all(&self) -> Vec<Heard> {
        self.heard.iter().map(|(_, _, heard)| heard.clone()).collect()
    }

    fn perform(&mut self, index: usize, cx: &mut Context<'_, Self>) {
        let write = |parrot: &mut Self| {
            parrot.written += 1;
            WriteId(parrot.written)
        };
        match self.script.acts[index].1.clone() {
            Act::Send { to, bytes, from, count } => {
                for number in from..from + count {
                    cx.send(NodeId(to), Word { number, bytes, echo: false });
                }
            }
            Act::Stream { count: 0, .. } => {}
            Act::Stream { .. } => cx.set_timer(Alarm::Stream(index, 0), Duration::ZERO),
            Act::Write(record) => {
                let id = write(self);
                cx.effects.push(Effect::Write { id, record });
            }
            Act::Checkpoint(record) => {
                let id = write(self);
                cx.effects.push(Effect::Checkpoint { id, record });
            }
            Act::WriteThenSend(record, to) => {
                let id = write(self);
                cx.effects.push(Effect::Write { id, record });
                let message = Word { number: record, bytes: 100, echo: false };
                cx.effects.push(Effect::Send { to: NodeId(to), message, after: Some(id) });
            }
            Act::Bell(Some(after)) => cx.set_timer(Alarm::Bell, after),
            Act::Bell(None) => cx.effects.push(Effect::CancelTimer(Alarm::Bell)),
            Act::Panic => panic!("as the script says"),
            Act::Tell(client) => cx.tell(ClientId(client), 1),
            Act::Order(order) => cx.effects.push(Effect::Order(order)),
        }
    }
}

fn done(answer: Answer) -> Outcome {
    let (degree, data_centers) = (1, 1);
    Outcome::Done(Done { answer, token: Tip::default(), epoch: 1, degree, data_centers, degraded: false })
}

impl<const S: bool> Machine for Parrot<S> {
    type Message = Word;
    type Timer = Alarm;
    type Record = u64;
    type Config = Script;
    const VIEWS: Views = Views::Coexist;
    const LINKS: LinkKind = if S { LinkKind::Session } else { LinkKind::Datagram };

    fn boot(script: &Script, log: &[u64], cx: &mut Context<'_, Self>) -> Result<Self, BootError> {
        if script.refuses_to_boot {
            return Err(BootError("asked to".into()));
        }
        for (index, (after, _)) in script.acts.iter().enumerate() {
            cx.set_timer(Alarm::Act(index), *after);
        }
        let heard = vec![(cx.now, cx.wall, Heard::Boot(log.to_vec()))];
        let random = cx.rng.bits();
        Ok(Self { script: script.clone(), heard, waiting: Vec::new(), written: 0, corrupted: 0, random })
    }

    fn step(&mut self, input: Input<Self>, cx: &mut Context<'_, Self>) {
        let heard = match input {
            Input::Message { from, message } => {
                if self.script.echo && !message.echo {
                    cx.send(from, Word { echo: true, ..message });
                }
                Heard::Word(from.0, message.number)
            }
            Input::Timeout(Alarm::Act(index)) => return self.perform(index, cx),
            Input::Timeout(Alarm::Stream(index, number)) => {
                let Act::Stream { to, bytes, every, count } = self.script.acts[index].1 else { unreachable!() };
                cx.send(NodeId(to), Word { number, bytes, echo: false });
                if number + 1 < count {
                    cx.set_timer(Alarm::Stream(index, number + 1), every);
                }
                return;
            }
            Input::Timeout(Alarm::Bell) => Heard::Bell,
            Input::Request { id, request } => {
                match request.op {
                    Op::Read { .. } => cx.reply(id, done(Answer::Read { digest: 0, bytes: 0 })),
                    Op::Post { .. } => cx.reply(id, Outcome::Redirect { hint: None }),
                    Op::Append { .. } => {}
                    _ => {
                        self.written += 1;
                        cx.effects.push(Effect::Write { id: WriteId(self.written), record: u64::from(request.number) });
                        self.waiting.push((self.written, id));
                    }
                }
                Heard::Request(request.number)
            }
            Input::Acknowledged { write } => Heard::Acknowledged(write.number),
            Input::Written(WriteId(written)) => {
                for (_, id) in self.waiting.extract_if(.., |(write, _)| *write <= written) {
                    cx.reply(id, done(Answer::Done));
                }
                Heard::Written(written)
            }
            Input::LinkUp(peer) => Heard::Up(peer.0),
            Input::LinkDown(peer) => Heard::Down(peer.0),
            Input::Reconfigure(nodes) => Heard::Reconfigure(nodes),
            Input::Survey(survey) => Heard::Survey(survey),
            Input::Stray { id, service, from } => {
                cx.reply(id, Outcome::Redirect { hint: None });
                Heard::Stray(service.0, from.0)
            }
        };
        self.heard.push((cx.now, cx.wall, heard));
    }

    fn status(&self) -> Status {
        Status {
            role: Role::Following,
            view: None,
            members: Vec::new(),
            replica_set: Vec::new(),
            synced: Vec::new(),
            tip: Tip::default(),
            serving: self.script.serving,
            frozen: false,
            changing: false,
            candidate: None,
            held: Vec::new(),
            impaired: false,
            released: false,
        }
    }
    fn serving(&self) -> bool {
        self.script.serving
    }
    fn answers(&self, request: &Request) -> bool {
        !matches!(request.op, Op::Post { .. })
    }
    fn covers(&self, _: Tip) -> bool {
        true
    }
    fn tip(&self) -> Tip {
        Tip::default()
    }
    fn view(&self) -> Option<(u64, NodeId, u64)> {
        None
    }
    fn applied(&self, _: WriteKey) -> bool {
        false
    }
    fn journaled(&self, _: WriteKey) -> bool {
        false
    }
    fn inventory(&self) -> Inventory {
        Inventory { applied: WriteSet::default(), ..Inventory::default() }
    }
    fn inventory_of(_: &Script, _: &[u64]) -> Inventory {
        Inventory::default()
    }
    fn wire_bytes(word: &Word) -> u32 {
        word.bytes
    }
    fn record_bytes(_: &u64) -> u32 {
        8
    }
    fn message_name(_: &Word) -> &'static str {
        "Word"
    }
    fn corrupt(&mut self, what: Corrupt, _: &mut Stream) -> bool {
        self.corrupted += 1;
        what != Corrupt::Log
    }
    fn corrupt_message(word: &mut Word, _: &mut Stream) -> bool {
        word.number += 1_000;
        true
    }
}

/// Writes down all it sees. Its clients send what tests plan, and retry nothing.
#[derive(Default)]
pub struct Scribe {
    pub traced: bool,
    /// Asks for an observation at each of these.
    pub observe_at: Vec<SimTime>,
    pub plan: Vec<(SimTime, NodeId, Op)>,
    pub replies: Vec<(SimTime, NodeId, u64, Outcome)>,
    pub told: Vec<(SimTime, DcId, WriteKey)>,
    pub notes: Vec<(SimTime, NodeId, Note)>,
    pub faults: Vec<(SimTime, String, bool, Vec<NodeId>)>,
    pub unsupported: usize,
    pub depends_on_protocol: usize,
    pub observed: Vec<(SimTime, Vec<bool>)>,
    pub trace: Vec<(SimTime, String)>,
    pub answered: usize,
    /// Words under way: when each left and was heard, by (from, to).
    pub journeys: BTreeMap<(u32, u32), Vec<(SimTime, SimTime)>>,
    pub dropped: Vec<(SimTime, DropReason)>,
    pub delivered: Vec<SimTime>,
    pub bells: Vec<SimTime>,
    /// When a place heard of a service's replicas.
    pub published: Vec<(SimTime, DcId, Vec<NodeId>)>,
    /// Replicas that agents started and stopped.
    pub housed: Vec<(SimTime, NodeId, bool)>,
    pub power: Vec<(SimTime, NodeId, PowerState)>,
}

impl<const S: bool> Front<Parrot<S>> for Scribe {
    type Wake = u32;

    fn start(&mut self, world: &mut Outside<'_, u32>) {
        for (index, (at, ..)) in self.plan.iter().enumerate() {
            world.schedule(*at, index as u32);
        }
        for &at in &self.observe_at {
            world.observe_at(at);
        }
    }
    fn wake(&mut self, wake: u32, world: &mut Outside<'_, u32>) {
        let (_, server, op) = self.plan[wake as usize];
        let who = ClientRequest { service: BOARD, place: DcId(0), ticket: u64::from(wake), attempt: 0 };
        let number = wake + 1;
        world.send(who, server, Request { client: ClientId(0), number, op, floor: 1, token: None, fresh: false });
    }
    fn reply(&mut self, to: ClientRequest, server: NodeId, outcome: &Outcome, world: &mut Outside<'_, u32>) {
        self.replies.push((world.now(), server, to.ticket, *outcome));
    }
    fn told(&mut self, service: ServiceId, place: DcId, server: NodeId, write: WriteKey, world: &mut Outside<'_, u32>) {
        self.told.push((world.now(), place, write));
        world.acknowledge(service, place, server, write);
    }
    fn published(&mut self, _: ServiceId, place: DcId, replicas: &[NodeId], world: &mut Outside<'_, u32>) {
        self.published.push((world.now(), place, replicas.to_vec()));
    }
    fn housed(&mut self, now: SimTime, _: ServiceId, node: NodeId, starts: bool) {
        self.housed.push((now, node, starts));
    }
    fn power_changed(&mut self, now: SimTime, node: NodeId, state: PowerState) {
        self.power.push((now, node, state));
    }
    fn place_of(&self, _: ServiceId, _: ClientId) -> DcId {
        DcId(0)
    }
    fn note(&mut self, now: SimTime, _: ServiceId, node: NodeId, note: &Note, _: &Replicas<'_, Parrot<S>>) {
        self.notes.push((now, node, note.clone()));
    }
    fn answered(&mut self, _: SimTime, _: NodeId, _: &Answered<'_>, _: &Replicas<'_, Parrot<S>>) {
        self.answered += 1;
    }
    fn fault(&mut self, now: SimTime, what: &FaultNews<'_>, _: &AllReplicas<'_, Parrot<S>>) {
        self.faults.push((now, what.label.into(), what.begins, what.nodes.to_vec()));
        self.unsupported += usize::from(what.unsupported);
        self.depends_on_protocol += usize::from(what.depends_on_protocol && what.begins);
    }
    fn observe(&mut self, now: SimTime, replicas: &AllReplicas<'_, Parrot<S>>) {
        let board = replicas.service(BOARD);
        self.observed.push((now, board.nodes().iter().map(|&node| board.up(node)).collect()));
    }
    fn traced(&self) -> bool {
        self.traced
    }
    fn trace(&mut self, now: SimTime, event: &TraceEvent<'_>) {
        match event {
            TraceEvent::Sent {
                passage: Passage { from: Endpoint::Node(from), to: Endpoint::Node(to), .. },
                arrives,
                ..
            } => {
                self.journeys.entry((from.0, to.0)).or_default().push((now, *arrives));
            }
            TraceEvent::Dropped { why, .. } => self.dropped.push((now, *why)),
            TraceEvent::Delivered { passage: Passage { name: "Word", .. } } => self.delivered.push(now),
            TraceEvent::Timeout { timer, .. } if format!("{timer:?}") == "Bell" => self.bells.push(now),
            _ => {}
        }
        self.trace.push((now, format!("{event:?}")));
    }
}

/// A world under construction: two nodes in each of the named data centers, perfect links of 20 ms between
/// them (1 ms within), 1 Gbit/s, one service on the first node of each.
pub struct Plan {
    pub topology: Topology,
    pub scripts: Vec<Script>,
    pub replicas: Vec<NodeId>,
    /// By machine, if there are agents.
    pub agents: Option<Vec<Script>>,
    /// What a replica does that an agent starts.
    pub spare: Script,
    pub timeline: Vec<Fault>,
    pub failures: Vec<Failure>,
    pub seed: u64,
    pub end: SimTime,
    pub observe_every: Option<Duration>,
    pub scribe: Scribe,
}

impl Plan {
    pub fn sites(names: &[&str]) -> Self {
        let path = |one_way| Path { one_way, jitter: 0.0, loss: 0.0, bandwidth: 1_000_000_000 };
        let count = names.len();
        let mut nodes = Vec::new();
        for (site, name) in names.iter().enumerate() {
            for index in 0..2 {
                nodes.push(Node {
                    name: format!("{name}/{index}"),
                    data_center: DcId::from(site),
                    rack: None,
                    capacity: 1_000.0,
                    queue: 100,
                    fsync: ms(5),
                    boot: ms(10_000),
                    shutdown: ms(3_000),
                    power: None,
                    exponential_service: false,
                    message_cost: Duration::ZERO,
                });
            }
        }
        let data_centers = (names.iter().enumerate())
            .map(|(site, name)| DataCenter {
                name: (*name).into(),
                zone: (*name).into(),
                latitude: 0.0,
                longitude: 0.0,
                nodes: vec![NodeId::from(2 * site), NodeId::from(2 * site + 1)],
                pue: 1.0,
            })
            .collect();
        let paths =
            (0..count * count).map(|pair| path(ms(if pair / count == pair % count { 1 } else { 20 }))).collect();
        let topology = Topology { data_centers, nodes, paths, overrides: BTreeMap::new() };
        Self {
            topology,
            scripts: vec![Script::default(); count],
            replicas: (0..count).map(|site| NodeId::from(2 * site)).collect(),
            agents: None,
            spare: Script::default(),
            timeline: Vec::new(),
            failures: Vec::new(),
            seed: 1,
            end: at(60_000),
            observe_every: None,
            scribe: Scribe { traced: true, ..Scribe::default() },
        }
    }

    /// At `after` its boot, the replica of the given rank does this.
    pub fn act(mut self, replica: usize, after: u64, act: Act) -> Self {
        self.scripts[replica].acts.push((ms(after), act));
        self
    }
    /// At `after` its boot, the agent of the machine orders this. Every machine has an agent then.
    pub fn order(mut self, on: usize, after: u64, order: Order) -> Self {
        let nodes = self.topology.nodes.len();
        let agents = self.agents.get_or_insert_with(|| vec![Script::default(); nodes]);
        agents[on].acts.push((ms(after), Act::Order(order)));
        self
    }
    pub fn fault(mut self, from: u64, lasts: Option<u64>, action: Action) -> Self {
        let label = format!("fault {}", self.timeline.len());
        self.timeline.push(Fault { at: at(from), lasts: lasts.map(ms), action, label });
        self.timeline.sort_by_key(|fault| fault.at);
        self
    }
    /// The client at the first place asks.
    pub fn ask(mut self, when: u64, server: u32, op: Op) -> Self {
        self.scribe.plan.push((at(when), NodeId(server), op));
        self
    }
    pub fn paths(mut self, change: impl Fn(&mut Path)) -> Self {
        self.topology.paths.iter_mut().for_each(change);
        self
    }
    pub fn machines(mut self, change: impl Fn(&mut Node)) -> Self {
        self.topology.nodes.iter_mut().for_each(change);
        self
    }
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
    pub fn untraced(mut self) -> Self {
        self.scribe.traced = false;
        self
    }
    pub fn world<const S: bool>(self) -> World<Parrot<S>, Scribe> {
        let mut services = vec![ServiceSpec { replicas: self.replicas, configs: self.scripts }];
        let agents = self.agents.map(|configs| {
            services.push(ServiceSpec { replicas: (0..configs.len()).map(NodeId::from).collect(), configs });
            AGENTS
        });
        let spare = self.spare;
        let config = WorldConfig {
            topology: self.topology,
            services,
            timeline: self.timeline,
            failures: self.failures,
            seed: self.seed,
            end: self.end,
            observe_every: self.observe_every,
            agents,
            spare: Some(Box::new(move |_, _, _| spare.clone())),
        };
        World::new(config, self.scribe)
    }
    /// Runs to the end over datagrams.
    pub fn run(self) -> World<Parrot<false>, Scribe> {
        let mut world = self.world();
        world.run();
        world
    }
    /// Runs to the end over sessions.
    pub fn run_sessions(self) -> World<Parrot<true>, Scribe> {
        let mut world = self.world();
        world.run();
        world
    }
}

pub fn crash(nodes: &[u32], disk: Disk) -> Action {
    Action::Crash { targets: these(nodes), disk }
}
pub fn these(nodes: &[u32]) -> Targets {
    Targets::Nodes { nodes: nodes.iter().copied().map(NodeId).collect(), silent: false }
}
/// All that bears the name of the data center: its two machines, and the place of its clients.
pub fn site(index: u32) -> Vec<Endpoint> {
    vec![Endpoint::Node(NodeId(2 * index)), Endpoint::Node(NodeId(2 * index + 1)), Endpoint::Place(DcId(index))]
}
pub fn cut(from: u32, to: u32, one_way: bool) -> Action {
    Action::Cut { from: site(from), to: site(to), one_way }
}
pub fn put(key: u32) -> Op {
    Op::Put { key, value: Value { digest: 1, bytes: 100 } }
}
pub fn read() -> Op {
    Op::Read { key: 1 }
}

/// What the replica on a node heard, in order.
pub fn heard<const S: bool>(world: &World<Parrot<S>, Scribe>, on: u32) -> Vec<Heard> {
    world.replicas().service(BOARD).machine(NodeId(on)).expect("it runs").all()
}
pub fn words<const S: bool>(world: &World<Parrot<S>, Scribe>, on: u32) -> Vec<u64> {
    world.replicas().service(BOARD).machine(NodeId(on)).expect("it runs").words()
}
/// What the agent of a machine heard, in order.
pub fn agent_heard<const S: bool>(world: &World<Parrot<S>, Scribe>, on: u32) -> Vec<Heard> {
    world.replicas().service(AGENTS).machine(NodeId(on)).expect("it runs").all()
}
pub fn up<const S: bool>(world: &World<Parrot<S>, Scribe>, on: u32) -> bool {
    world.replicas().service(BOARD).up(NodeId(on))
}
