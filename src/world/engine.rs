//! The loop that takes events in order and hands them to machines.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::hash::Hasher;
use crate::id::{NodeId, ServiceId};
use crate::machine::{Effect, LinkKind, Machine, Order, WriteId};
use crate::rng::{Draws, Stream};
use crate::sim::Queue;
use crate::time::{Duration, SimTime};

use super::event::{Bulletin, Event, Flight, Letter};
use super::failures::Process;
use super::fault::{Failure, Fault};
use super::faults::{Active, FaultKey};
use super::front::{AllReplicas, Counts, Front, Observations, Outside, Replicas, TraceEvent};
use super::network::Network;
use super::node::{Body, Timers};
use super::orders::Usage;
use super::seats::Seats;
use super::session::Sessions;
use super::slab::Slab;
use super::topology::Topology;

/// Configures a replica of a service that an agent starts on a machine, to be taken in by these members.
pub type Spare<M> = Box<dyn Fn(ServiceId, NodeId, &[NodeId]) -> <M as Machine>::Config>;

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
    /// The service whose replicas are agents; it has one on every machine.
    pub agents: Option<ServiceId>,
    /// `None`: agents start no replicas.
    pub spare: Option<Spare<M>>,
}

/// The replicas of a service, in order of placement.
pub struct ServiceSpec<M: Machine> {
    pub replicas: Vec<NodeId>,
    /// One for each replica, in the same order.
    pub configs: Vec<M::Config>,
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
    /// Of the records together.
    pub bytes: u64,
    /// Counted only where there are agents.
    pub usage: Usage,
    /// The newest write of this incarnation that is durable.
    pub durable: Option<WriteId>,
    /// Messages that wait for a write, in order of sending.
    pub held: Vec<(WriteId, NodeId, M::Message)>,
}

pub(super) struct ServiceState {
    /// Machines that hold a replica or once did, in order of placement and then of arrival.
    pub nodes: Vec<NodeId>,
    /// How many of them were placed before the start.
    pub placed: usize,
    /// Those whose disk was lost at least once while they held a replica.
    pub disks_lost: Vec<NodeId>,
    pub counts: Counts,
}

/// All that the outside may look at.
pub(super) struct Scene<M: Machine> {
    pub topology: Topology,
    pub replicas: Vec<Replica<M>>,
    /// Places in `replicas` that nobody has.
    pub vacant: Vec<u32>,
    pub services: Vec<ServiceState>,
    pub seats: Seats,
    pub bodies: Vec<Body<M::Record>>,
    pub network: Network,
    pub sessions: Sessions,
    pub messages: Slab<Flight<M::Message>>,
    pub letters: Slab<Letter>,
}

impl ServiceState {
    fn new(nodes: Vec<NodeId>) -> Self {
        Self { placed: nodes.len(), nodes, disks_lost: Vec::new(), counts: Counts::default() }
    }
}

impl<M: Machine> Scene<M> {
    #[inline]
    pub fn seat(&self, service: ServiceId, node: NodeId) -> Option<u32> {
        self.seats.get(service, node)
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
    pub(super) reconfigurations: Slab<(ServiceId, NodeId, Vec<NodeId>)>,
    pub(super) bulletins: Slab<Bulletin>,
    /// Given in the event at hand, by whom, and not carried out yet.
    pub(super) orders: VecDeque<(ServiceId, NodeId, Order)>,
    pub(super) agents: Option<ServiceId>,
    pub(super) spare: Option<Spare<M>>,
    observations: Observations,
    traces: Vec<TraceEvent<'static>>,
    pub(super) service_draws: Draws,
    pub(super) fingerprint: Hasher,
    events: u64,
    started: bool,
    finished: bool,
}

/// Construction and running.
impl<M: Machine, F: Front<M>> World<M, F> {
    /// Puts everything in its place at time zero. Nothing happens before the first call of a `run`.
    pub fn new(config: WorldConfig<M>, front: F) -> Self {
        let WorldConfig { topology, services, timeline, failures, seed, end, observe_every, agents, spare } = config;
        let mut queue = Queue::new();
        let nodes = topology.nodes.len();
        let mut bodies: Vec<Body<M::Record>> =
            (0..nodes).map(|node| Body::new(NodeId::from(node), &mut queue)).collect();
        let (mut replicas, mut seats) = (Vec::new(), Seats::new(services.len(), nodes));
        let mut states = Vec::new();
        for (index, spec) in services.into_iter().enumerate() {
            assert_eq!(spec.replicas.len(), spec.configs.len(), "each replica has its configuration");
            let service = ServiceId::from(index);
            for (&node, config) in spec.replicas.iter().zip(spec.configs) {
                seats.take(service, node, replicas.len() as u32);
                bodies[node.index()].replicas.push(replicas.len() as u32);
                let records = M::format(&config);
                replicas.push(Replica::new(service, node, config, records));
            }
            states.push(ServiceState::new(spec.replicas));
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
        let scene = Scene {
            topology,
            replicas,
            vacant: Vec::new(),
            services: states,
            seats,
            bodies,
            network,
            sessions,
            messages: Slab::new(),
            letters: Slab::new(),
        };
        Self {
            seed,
            end,
            now: SimTime::ZERO,
            timeline,
            processes,
            active,
            queue,
            scene,
            front,
            effects: Vec::new(),
            durable: Vec::new(),
            reconfigurations: Slab::new(),
            bulletins: Slab::new(),
            orders: VecDeque::new(),
            agents,
            spare,
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
        self.obey_all();
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
    pub(super) fn outside<R>(&mut self, call: impl FnOnce(&mut F, &mut Outside<'_, F::Wake>) -> R) -> R {
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
    pub fn new(service: ServiceId, node: NodeId, config: M::Config, records: Vec<M::Record>) -> Self {
        Self {
            service,
            node,
            config,
            machine: None,
            rng: Stream::new(0, "not booted", &[]),
            timers: Timers::new(),
            bytes: records.iter().map(|record| u64::from(M::record_bytes(record))).sum(),
            records,
            usage: Usage::default(),
            durable: None,
            held: Vec::new(),
        }
    }
}
