//! The loop that takes events in order and hands them to machines.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::hash::{self, Hasher};
use crate::id::{DcId, NodeId, ServiceId};
use crate::machine::{Effect, Input, LinkKind, Machine, WriteId};
use crate::op::{Outcome, Request, WriteKey};
use crate::rng::{Draws, Stream, open01};
use crate::sim::Queue;
use crate::time::{Duration, SimTime};

use super::failures::Process;
use super::fault::{Endpoint, Failure, Fault};
use super::faults::{Active, FaultKey};
use super::front::{
    AllReplicas, ClientRequest, Counts, DropReason, Front, Observations, Outside, Replicas, TraceEvent,
};
use super::network::Network;
use super::node::{Body, Job, Parcel, Timers, WAITING_MAX};
use super::session::Sessions;
use super::slab::Slab;
use super::topology::Topology;

/// No replica of this service on this node.
const EMPTY_SEAT: u32 = u32::MAX;

/// What the world is made of.
pub struct WorldConfig<M: Machine> {
    pub topology: Topology,
    pub services: Vec<ServiceSpec<M>>,
    /// Sorted by time.
    pub timeline: Vec<Fault>,
    pub failures: Vec<Failure>,
    pub seed: u64,
    /// The last instant at which events are handled.
    pub end: SimTime,
    /// Period of [`Front::observe`]; `None`: only when the front asks.
    pub observe_every: Option<Duration>,
}

/// The replicas of a service, in order of placement.
pub struct ServiceSpec<M: Machine> {
    pub replicas: Vec<NodeId>,
    /// One for each replica, in the same order.
    pub configs: Vec<M::Config>,
}

/// What happens next. Payloads wait in slabs, so an event takes 16 bytes unless the front's are larger.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<W: Copy> {
    Wake(W),
    Message(u32),
    Letter(u32),
    Timeout {
        replica: u32,
        slot: u32,
    },
    Served(NodeId),
    Synced(NodeId),
    PoweredOn(NodeId),
    FaultBegins(FaultKey),
    FaultEnds(FaultKey),
    FlapTurns {
        by: FaultKey,
        down: bool,
    },
    Reconfigure(u32),
    LinkLost {
        pair: u32,
        generation: u32,
    },
    LinkBack {
        pair: u32,
        generation: u32,
    },
    /// Where [`World::run_until`] stops. It is no part of the run.
    Stop,
}

/// A protocol message under way.
pub(super) struct Flight<T> {
    pub service: ServiceId,
    pub from: NodeId,
    pub to: NodeId,
    /// Of the receiver's process when it was sent, or of the next one if none ran.
    pub incarnation: u32,
    /// Of the connection that carries it, when it was sent.
    pub session: u32,
    pub message: T,
}

/// What passes between a client's place and a machine.
#[derive(Clone, Copy, Debug)]
pub(super) enum Letter {
    Request { who: ClientRequest, server: NodeId, request: Request },
    Answer { to: ClientRequest, server: NodeId, outcome: Outcome },
    Told { service: ServiceId, place: DcId, server: NodeId, write: WriteKey },
    Acknowledge { service: ServiceId, place: DcId, server: NodeId, write: WriteKey },
}

impl Letter {
    pub fn service(&self) -> ServiceId {
        match *self {
            Self::Request { who, .. } | Self::Answer { to: who, .. } => who.service,
            Self::Told { service, .. } | Self::Acknowledge { service, .. } => service,
        }
    }
    pub fn name(&self) -> &'static str {
        match self {
            Self::Request { .. } => "Request",
            Self::Answer { .. } => "Reply",
            Self::Told { .. } => "Revoked",
            Self::Acknowledge { .. } => "RevokedAck",
        }
    }
    /// (from, to)
    pub fn way(&self) -> (Endpoint, Endpoint) {
        match *self {
            Self::Request { who: ClientRequest { place, .. }, server, .. }
            | Self::Acknowledge { place, server, .. } => (Endpoint::Place(place), Endpoint::Node(server)),
            Self::Answer { to: ClientRequest { place, .. }, server, .. } | Self::Told { place, server, .. } => {
                (Endpoint::Node(server), Endpoint::Place(place))
            }
        }
    }
}

/// A replica of a service on a machine.
pub(super) struct Replica<M: Machine> {
    pub service: ServiceId,
    pub node: NodeId,
    pub config: M::Config,
    /// While its process exists and could boot.
    pub machine: Option<M>,
    pub rng: Stream,
    pub timers: Timers<M::Timer>,
    /// What is durable.
    pub records: Vec<M::Record>,
    /// The newest write of this incarnation that is durable.
    pub durable: Option<WriteId>,
    /// Messages that wait for a write, in order of sending.
    pub held: Vec<(WriteId, NodeId, M::Message)>,
}

pub(super) struct ServiceState {
    pub nodes: Vec<NodeId>,
    pub counts: Counts,
}

/// All that the outside may look at.
pub(super) struct Scene<M: Machine> {
    pub topology: Topology,
    pub replicas: Vec<Replica<M>>,
    pub services: Vec<ServiceState>,
    /// Index of the replica by (service, node).
    seats: Vec<u32>,
    pub bodies: Vec<Body<M::Record>>,
    pub network: Network,
    pub sessions: Sessions,
    pub messages: Slab<Flight<M::Message>>,
    pub letters: Slab<Letter>,
}

impl<M: Machine> Scene<M> {
    #[inline]
    pub fn seat(&self, service: ServiceId, node: NodeId) -> Option<u32> {
        let seat = *self.seats.get(service.index() * self.bodies.len() + node.index())?;
        (seat != EMPTY_SEAT && node.index() < self.bodies.len()).then_some(seat)
    }
    pub fn of(&self, service: ServiceId) -> Replicas<'_, M> {
        Replicas { scene: self, service }
    }
    pub fn all(&self) -> AllReplicas<'_, M> {
        AllReplicas { scene: self }
    }
}

/// A run of a protocol in a physical world, with a [`Front`] around it.
pub struct World<M: Machine, F: Front<M>> {
    pub(super) seed: u64,
    pub(super) end: SimTime,
    pub(super) now: SimTime,
    pub(super) timeline: Vec<Fault>,
    pub(super) processes: Vec<Process>,
    /// What each fault still does, by its key.
    pub(super) active: Vec<Option<Active>>,
    pub(super) queue: Queue<Event<F::Wake>>,
    pub(super) scene: Scene<M>,
    pub(super) front: F,
    /// Filled by a step and emptied after it.
    pub(super) effects: Vec<Effect<M>>,
    /// Filled by a sync and emptied after it: the last write of each replica concerned.
    pub(super) durable: Vec<(u32, WriteId)>,
    reconfigurations: Slab<(ServiceId, NodeId, Vec<NodeId>)>,
    observations: Observations,
    traces: Vec<TraceEvent<'static>>,
    service_draws: Draws,
    fingerprint: Hasher,
    events: u64,
    started: bool,
    finished: bool,
}

/// Construction and running.
impl<M: Machine, F: Front<M>> World<M, F> {
    /// Puts everything in its place at time zero. Nothing happens before the first call of a `run`.
    pub fn new(config: WorldConfig<M>, front: F) -> Self {
        let WorldConfig { topology, services, timeline, failures, seed, end, observe_every } = config;
        let mut queue = Queue::new();
        let nodes = topology.nodes.len();
        let mut bodies: Vec<Body<M::Record>> =
            (0..nodes).map(|node| Body::new(NodeId::from(node), &mut queue)).collect();
        let (mut replicas, mut seats) = (Vec::new(), vec![EMPTY_SEAT; nodes * services.len()]);
        let mut states = Vec::new();
        for (index, spec) in services.into_iter().enumerate() {
            assert_eq!(spec.replicas.len(), spec.configs.len(), "each replica has its configuration");
            let service = ServiceId::from(index);
            for (&node, config) in spec.replicas.iter().zip(spec.configs) {
                let seat = &mut seats[index * nodes + node.index()];
                assert_eq!(*seat, EMPTY_SEAT, "a service has one replica on a node");
                *seat = replicas.len() as u32;
                bodies[node.index()].replicas.push(replicas.len() as u32);
                replicas.push(Replica::new(service, node, config));
            }
            states.push(ServiceState { nodes: spec.replicas, counts: Counts::default() });
        }
        let sessions = match M::LINKS {
            LinkKind::Datagram => Sessions::none(),
            LinkKind::Session => Sessions::new(nodes, states.iter().map(|state| state.nodes.as_slice())),
        };
        assert!(timeline.is_sorted_by_key(|fault| fault.at), "the timeline is sorted");
        for (index, fault) in timeline.iter().enumerate() {
            queue.schedule(fault.at, Event::FaultBegins(FaultKey(index as u32)));
        }
        let processes = Process::all(&topology, &failures, seed);
        let active = (0..timeline.len() + processes.len()).map(|_| None).collect();
        let network = Network::new(&topology, seed);
        let (messages, letters) = (Slab::new(), Slab::new());
        Self {
            seed,
            end,
            now: SimTime::ZERO,
            timeline,
            processes,
            active,
            queue,
            scene: Scene { topology, replicas, services: states, seats, bodies, network, sessions, messages, letters },
            front,
            effects: Vec::new(),
            durable: Vec::new(),
            reconfigurations: Slab::new(),
            observations: Observations::new(observe_every),
            traces: Vec::new(),
            service_draws: Draws::new(seed, "service times", &[]),
            fingerprint: Hasher::new(),
            events: 0,
            started: false,
            finished: false,
        }
    }

    /// Runs to the end.
    ///
    /// # Panics
    /// On a bug of the world or of the protocol: the message names the seed and the event.
    pub fn run(&mut self) {
        self.run_until(SimTime::MAX);
    }

    /// Handles all that happens before `until`, and what is now known to happen at `until`.
    ///
    /// # Panics
    /// As [`World::run`].
    pub fn run_until(&mut self, until: SimTime) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.advance(until)));
        if let Err(cause) = outcome {
            let text = (cause.downcast_ref::<String>().map(String::as_str))
                .or_else(|| cause.downcast_ref::<&str>().copied())
                .unwrap_or("an unknown panic");
            panic!("seed {}, event {}, {} ns: {text}", self.seed, self.events, self.now.as_nanos());
        }
    }

    fn advance(&mut self, until: SimTime) {
        if !self.started {
            self.started = true;
            self.start();
        }
        if self.finished || until < self.now {
            return;
        }
        if until < self.end {
            self.queue.schedule(until, Event::Stop);
        }
        while let Some((at, event)) = self.queue.pop() {
            if at > self.end {
                break;
            }
            self.observe(at);
            self.now = at;
            if matches!(event, Event::Stop) {
                return;
            }
            self.events += 1;
            self.handle(event);
        }
        self.observe(self.end);
        self.now = self.end;
        self.finished = true;
    }

    fn start(&mut self) {
        let nodes = (0..self.scene.bodies.len()).map(NodeId::from);
        nodes.clone().for_each(|node| self.start_process(node));
        nodes.for_each(|node| self.boot_replicas(node));
        for process in 0..self.processes.len() {
            self.await_failure(process);
        }
        self.outside(|front, world| front.start(world));
    }

    /// Asks a replica, in the operator's name, for this set of replicas.
    pub fn inject_reconfigure(&mut self, at: SimTime, service: ServiceId, node: NodeId, replicas: Vec<NodeId>) {
        let slot = self.reconfigurations.insert((service, node, replicas));
        self.queue.schedule(at, Event::Reconfigure(slot));
    }

    /// A hash over every event so far.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint.finish()
    }
    /// Events handled so far.
    pub fn events(&self) -> u64 {
        self.events
    }
    pub fn now(&self) -> SimTime {
        self.now
    }
    pub fn front(&self) -> &F {
        &self.front
    }
    pub fn into_front(self) -> F {
        self.front
    }
    pub fn topology(&self) -> &Topology {
        &self.scene.topology
    }
    /// The replicas as they are now.
    pub fn replicas(&self) -> AllReplicas<'_, M> {
        self.scene.all()
    }
    /// Lets the front act now, outside the order of events: for tests and tools that drive a run by hand.
    pub fn with_front<R>(&mut self, act: impl FnOnce(&mut F, &mut Outside<'_, F::Wake>) -> R) -> R {
        self.outside(act)
    }

    fn observe(&mut self, limit: SimTime) {
        while let Some(at) = self.observations.next(limit) {
            self.front.observe(at, &self.scene.all());
        }
    }

    /// Calls the front with the means to act.
    fn outside<R>(&mut self, call: impl FnOnce(&mut F, &mut Outside<'_, F::Wake>) -> R) -> R {
        let traced = self.front.traced();
        let mut outside = Outside {
            now: self.now,
            queue: &mut self.queue,
            network: &mut self.scene.network,
            letters: &mut self.scene.letters,
            observations: &mut self.observations,
            traces: traced.then_some(&mut self.traces),
        };
        let result = call(&mut self.front, &mut outside);
        for event in self.traces.drain(..) {
            self.front.trace(self.now, &event);
        }
        result
    }
}

impl<M: Machine> Replica<M> {
    fn new(service: ServiceId, node: NodeId, config: M::Config) -> Self {
        Self {
            service,
            node,
            config,
            machine: None,
            rng: Stream::new(0, "not booted", &[]),
            timers: Timers::new(),
            records: Vec::new(),
            durable: None,
            held: Vec::new(),
        }
    }
}

/// Kinds of events in the fingerprint.
mod mark {
    pub const WAKE: u64 = 1;
    pub const MESSAGE: u64 = 2;
    pub const LETTER: u64 = 3;
    pub const TIMEOUT: u64 = 4;
    pub const SERVED: u64 = 5;
    pub const SYNCED: u64 = 6;
    pub const POWERED_ON: u64 = 7;
    pub const FAULT_BEGINS: u64 = 8;
    pub const FAULT_ENDS: u64 = 9;
    pub const FLAP_TURNS: u64 = 10;
    pub const RECONFIGURE: u64 = 11;
    pub const LINK_LOST: u64 = 12;
    pub const LINK_BACK: u64 = 13;
}

/// Dispatch.
impl<M: Machine, F: Front<M>> World<M, F> {
    /// Adds an event to the fingerprint: when, what, and two words that tell it from others.
    #[inline]
    fn mark(&mut self, kind: u64, a: u64, b: u64) {
        self.fingerprint.word(self.now.as_nanos());
        self.fingerprint.word(hash::fold(kind << 56 ^ a, 0x9e37_79b9_7f4a_7c15) ^ b);
    }

    #[inline]
    pub(super) fn trace(&mut self, event: &TraceEvent<'_>) {
        if self.front.traced() {
            self.front.trace(self.now, event);
        }
    }

    fn handle(&mut self, event: Event<F::Wake>) {
        let pair = |a: u32, b: u32| u64::from(a) << 32 | u64::from(b);
        match event {
            Event::Wake(wake) => {
                self.mark(mark::WAKE, 0, 0);
                self.outside(|front, world| front.wake(wake, world));
            }
            Event::Message(slot) => self.message_arrives(slot),
            Event::Letter(slot) => self.letter_arrives(slot),
            Event::Timeout { replica, slot } => {
                self.mark(mark::TIMEOUT, 0, pair(replica, slot));
                self.timer_runs_out(replica, slot);
            }
            Event::Served(node) => {
                self.mark(mark::SERVED, 0, pair(node.0, 0));
                self.receive(node, Parcel::Served);
            }
            Event::Synced(node) => {
                self.mark(mark::SYNCED, 0, pair(node.0, 0));
                self.synced(node);
            }
            Event::PoweredOn(node) => {
                self.mark(mark::POWERED_ON, 0, pair(node.0, 0));
                self.powered_on(node);
            }
            Event::FaultBegins(key) => {
                self.mark(mark::FAULT_BEGINS, 0, pair(key.0, 0));
                self.fault_begins(key);
            }
            Event::FaultEnds(key) => {
                self.mark(mark::FAULT_ENDS, 0, pair(key.0, 0));
                self.fault_ends(key);
            }
            Event::FlapTurns { by, down } => {
                self.mark(mark::FLAP_TURNS, u64::from(down), pair(by.0, 0));
                self.flap_turns(by, down);
            }
            Event::Reconfigure(slot) => {
                let node = self.reconfigurations.get(slot).1;
                self.mark(mark::RECONFIGURE, 0, pair(node.0, slot));
                match self.scene.bodies[node.index()].alive {
                    true => self.receive(node, Parcel::Reconfigure(slot)),
                    false => drop(self.reconfigurations.take(slot)),
                }
            }
            Event::LinkLost { pair: link, generation } => {
                self.mark(mark::LINK_LOST, 0, pair(link, generation));
                self.link_lost(link, generation);
            }
            Event::LinkBack { pair: link, generation } => {
                self.mark(mark::LINK_BACK, 0, pair(link, generation));
                self.link_back(link, generation);
            }
            Event::Stop => {}
        }
    }

    fn message_arrives(&mut self, slot: u32) {
        let flight = self.scene.messages.get(slot);
        let (from, to, session) = (flight.from, flight.to, flight.session);
        let name = M::message_name(&flight.message);
        let body = &self.scene.bodies[to.index()];
        let why = if !body.alive {
            Some(DropReason::Down)
        } else if body.incarnation != flight.incarnation {
            Some(DropReason::Restarted)
        } else if M::LINKS == LinkKind::Session && !self.scene.sessions.carries(from, to, session) {
            Some(DropReason::Disconnected)
        } else {
            None
        };
        let what = hash::fold(short(name), u64::from(M::wire_bytes(&flight.message)) << 1 | 1);
        self.mark(mark::MESSAGE, what ^ u64::from(why.is_some()), u64::from(from.0) << 32 | u64::from(to.0));
        match why {
            Some(why) => self.drop_message(slot, why),
            None => self.receive(to, Parcel::Message(slot)),
        }
    }

    fn drop_message(&mut self, slot: u32, why: DropReason) {
        let flight = self.scene.messages.take(slot);
        let (service, name) = (flight.service, M::message_name(&flight.message));
        let (from, to) = (Endpoint::Node(flight.from), Endpoint::Node(flight.to));
        self.trace(&TraceEvent::Dropped { service, from, to, name, why });
    }

    fn letter_arrives(&mut self, slot: u32) {
        let letter = *self.scene.letters.get(slot);
        let (from, to) = letter.way();
        let [a, b] = [from, to].map(|end| self.scene.network.index(end) as u64);
        self.mark(mark::LETTER, short(letter.name()), a << 32 | b);
        let service = letter.service();
        let arrived = TraceEvent::Delivered { service, from, to, name: letter.name() };
        match letter {
            Letter::Answer { to, server, outcome } => {
                self.scene.letters.take(slot);
                self.trace(&arrived);
                self.outside(|front, world| front.reply(to, server, &outcome, world));
            }
            Letter::Told { place, server, write, .. } => {
                self.scene.letters.take(slot);
                self.trace(&arrived);
                self.outside(|front, world| front.told(service, place, server, write, world));
            }
            Letter::Request { server, .. } | Letter::Acknowledge { server, .. } => {
                if self.scene.bodies[server.index()].alive {
                    self.receive(server, Parcel::Letter(slot));
                } else {
                    self.nobody_home(slot, server);
                }
            }
        }
    }

    /// A letter found no process: a live machine refuses in its name.
    fn nobody_home(&mut self, slot: u32, server: NodeId) {
        let letter = self.scene.letters.take(slot);
        if let Letter::Request { who, .. } = letter
            && !self.scene.bodies[server.index()].silent()
        {
            self.answer(server, who, Outcome::Refused);
        } else {
            self.drop_letter(&letter, DropReason::Down);
        }
    }

    fn drop_letter(&mut self, letter: &Letter, why: DropReason) {
        let (from, to) = letter.way();
        self.trace(&TraceEvent::Dropped { service: letter.service(), from, to, name: letter.name(), why });
    }

    /// Something reached a machine whose process exists: it is handled now, or waits while it is paused.
    pub(super) fn receive(&mut self, node: NodeId, parcel: Parcel) {
        let body = &mut self.scene.bodies[node.index()];
        if !body.paused {
            return self.open(node, parcel);
        }
        let full = body.waiting.len() >= WAITING_MAX;
        match parcel {
            Parcel::Message(slot) if full && M::LINKS == LinkKind::Datagram => {
                self.drop_message(slot, DropReason::Full);
            }
            Parcel::Letter(slot) if full => {
                let letter = self.scene.letters.take(slot);
                self.drop_letter(&letter, DropReason::Full);
            }
            _ => body.waiting.push(parcel),
        }
    }

    /// A running process takes what reached it.
    pub(super) fn open(&mut self, node: NodeId, parcel: Parcel) {
        match parcel {
            Parcel::Message(slot) => self.take_message(node, slot),
            Parcel::Letter(slot) => self.take_letter(node, slot),
            Parcel::Served => self.served(node),
            Parcel::Written { replica, id } => self.written(replica, id),
            Parcel::Reconfigure(slot) => {
                let (service, node, replicas) = self.reconfigurations.take(slot);
                if let Some(seat) = self.scene.seat(service, node) {
                    self.step(seat, Input::Reconfigure(replicas));
                }
            }
            Parcel::Link { replica, peer, up } => self.link_news(replica, peer, up),
        }
    }

    /// A paused machine crashes: what waited is void.
    pub(super) fn discard(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Message(slot) => self.drop_message(slot, DropReason::Restarted),
            Parcel::Letter(slot) => {
                let letter = self.scene.letters.take(slot);
                self.drop_letter(&letter, DropReason::Down);
            }
            Parcel::Reconfigure(slot) => drop(self.reconfigurations.take(slot)),
            Parcel::Served | Parcel::Written { .. } | Parcel::Link { .. } => {}
        }
    }

    fn take_message(&mut self, node: NodeId, slot: u32) {
        let cost = self.scene.topology.nodes[node.index()].message_cost;
        if cost.is_zero() || self.scene.messages.get(slot).from == node {
            return self.deliver(slot);
        }
        if M::LINKS == LinkKind::Datagram && self.scene.bodies[node.index()].processor.waiting() >= WAITING_MAX {
            return self.drop_message(slot, DropReason::Full);
        }
        self.enqueue(node, Job::Message(slot));
    }

    fn deliver(&mut self, slot: u32) {
        let flight = self.scene.messages.take(slot);
        let Flight { service, from, to, message, .. } = flight;
        let name = M::message_name(&message);
        let (sender, receiver) = (Endpoint::Node(from), Endpoint::Node(to));
        self.trace(&TraceEvent::Delivered { service, from: sender, to: receiver, name });
        if let Some(seat) = self.scene.seat(service, to) {
            self.step(seat, Input::Message { from, message });
        }
    }

    fn take_letter(&mut self, node: NodeId, slot: u32) {
        let letter = *self.scene.letters.get(slot);
        let (from, to) = letter.way();
        let service = letter.service();
        self.trace(&TraceEvent::Delivered { service, from, to, name: letter.name() });
        let seat = self.scene.seat(service, node);
        let replica = seat.map(|seat| (seat, &self.scene.replicas[seat as usize]));
        let Some((seat, machine)) = replica.and_then(|(seat, replica)| Some((seat, replica.machine.as_ref()?))) else {
            return self.nobody_home(slot, node);
        };
        match letter {
            Letter::Request { who, request, .. } => {
                if !machine.answers(&request) {
                    self.scene.letters.take(slot);
                    return self.ask(seat, who, request);
                }
                let queue = self.scene.topology.nodes[node.index()].queue;
                if self.scene.bodies[node.index()].processor.has_room(queue) {
                    return self.enqueue(node, Job::Request(slot));
                }
                self.scene.letters.take(slot);
                self.answer(node, who, Outcome::Refused);
            }
            Letter::Acknowledge { write, .. } => {
                self.scene.letters.take(slot);
                self.step(seat, Input::Acknowledged { write });
            }
            Letter::Answer { .. } | Letter::Told { .. } => unreachable!("letters to clients do not reach machines"),
        }
    }

    fn enqueue(&mut self, node: NodeId, job: Job) {
        if self.scene.bodies[node.index()].processor.push(job) {
            self.begin_service(node);
        }
    }

    /// The processor turns to its next job, if there is one.
    fn begin_service(&mut self, node: NodeId) {
        let body = &mut self.scene.bodies[node.index()];
        let hardware = &self.scene.topology.nodes[node.index()];
        let work = match body.processor.current() {
            None => return,
            Some(Job::Message(_)) => hardware.message_cost,
            Some(Job::Request(slot)) => {
                let mut nanos = 1e9 / hardware.capacity;
                if hardware.exponential_service
                    && let Letter::Request { who, request, .. } = self.scene.letters.get(slot)
                {
                    // Addressed by request and attempt: the same for every protocol.
                    let read = u64::from(request.op.is_read());
                    let a = u64::from(request.client.0) << 32 | u64::from(request.number);
                    let b = u64::from(who.attempt) << 33 | u64::from(node.0) << 1 | read;
                    nanos *= -libm::log(open01(self.service_draws.bits(a, b)));
                }
                Duration::from_nanos(nanos as u64)
            }
        };
        let work = body.slow(work);
        body.processor.spent += work;
        self.queue.arm(body.processor.timer, self.now + work);
    }

    fn served(&mut self, node: NodeId) {
        let job = self.scene.bodies[node.index()].processor.pop().expect("a job was being served");
        self.begin_service(node);
        match job {
            Job::Message(slot) => self.deliver(slot),
            Job::Request(slot) => {
                let Letter::Request { who, request, .. } = self.scene.letters.take(slot) else {
                    unreachable!("only requests are served")
                };
                let seat = self.scene.seat(who.service, node).expect("requests are queued at replicas");
                self.ask(seat, who, request);
            }
        }
    }

    fn ask(&mut self, seat: u32, who: ClientRequest, request: Request) {
        let node = self.scene.replicas[seat as usize].node;
        let id = self.scene.bodies[node.index()].asked.admit(self.now, who, request);
        self.step(seat, Input::Request { id, request });
    }

    fn timer_runs_out(&mut self, replica: u32, slot: u32) {
        let seat = &mut self.scene.replicas[replica as usize];
        let body = &mut self.scene.bodies[seat.node.index()];
        if body.paused {
            seat.timers.expire(slot);
            body.expired.push((replica, slot));
        } else {
            self.timeout(replica, slot);
        }
    }

    /// A running process hears that a timer ran out.
    pub(super) fn timeout(&mut self, replica: u32, slot: u32) {
        let seat = &self.scene.replicas[replica as usize];
        let (service, node, timer) = (seat.service, seat.node, seat.timers.name(slot));
        self.trace(&TraceEvent::Timeout { service, node, timer: &timer });
        self.step(replica, Input::Timeout(timer));
    }
}

/// The first eight bytes of a name and its length, as a word.
#[inline]
fn short(name: &str) -> u64 {
    let mut word = name.len() as u64;
    for &byte in name.as_bytes().iter().take(8) {
        word = word.rotate_left(8) ^ u64::from(byte);
    }
    word
}
