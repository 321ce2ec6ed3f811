//! Links between machines, and between machines and the places of clients.
//!
//! A message takes `one_way * (1 + X)` with X exponential of mean `jitter`, plus the delays that
//! degradations add, plus the time its bytes take at the path's bandwidth, behind the bytes that the same
//! machine sent to the same machine before (clients' messages do not queue). A message is lost if the link
//! is cut when it is *sent*: what is already on its way arrives.
//!
//! Each draw is addressed by link, instant of sending and rank among the messages sent on that link at
//! that instant. So protocols that send different numbers of messages meet the same network.

use crate::id::NodeId;
use crate::rng::{Draws, open01};
use crate::time::{Duration, SimTime};

use super::fault::Endpoint;
use super::faults::FaultKey;
use super::front::DropReason;
use super::topology::{Path, Topology};

/// A reordered datagram is late by a further uniform draw from zero to `one_way` and this much more.
const REORDER_EXTRA: Duration = Duration::from_millis(10);
/// A session resends a lost segment after two-way delay or this, whichever is longer (RFC 6298's floor
/// as deployed: Linux uses 200 ms).
const RETRANSMIT_MIN: Duration = Duration::from_millis(200);
/// A session gives a message up for delivered after this many losses in a row.
const RETRANSMITS_MAX: u64 = 16;

/// A directed pair of endpoints.
#[derive(Clone, Copy, Debug)]
struct Lane {
    /// When something was last sent here, in nanoseconds.
    last_sent: u64,
    /// When the last byte of a machine's earlier messages has left, in nanoseconds.
    busy_until: u64,
    /// Index into the table of paths.
    path: u32,
    /// Rank of the last message among those of its instant.
    rank: u32,
    /// Index into the table of composed conditions.
    condition: u32,
}

/// What all conditions together do to a lane.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Composed {
    cut: bool,
    add_delay: Duration,
    loss: f64,
    duplicate: f64,
    reorder: f64,
}

const CLEAN: Composed = Composed { cut: false, add_delay: Duration::ZERO, loss: 0.0, duplicate: 0.0, reorder: 0.0 };

/// A set of endpoints, as a table over all of them.
pub(super) type Set = Vec<bool>;

/// Which lanes a condition covers.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// Lanes between different groups. Endpoints in no group are not concerned.
    Between(Vec<Option<u32>>),
    /// Lanes from the first set to the second, and back unless `one_way`.
    Links { from: Set, to: Set, one_way: bool },
}

impl Shape {
    fn covers(&self, from: usize, to: usize) -> bool {
        match self {
            Self::Between(groups) => matches!((groups[from], groups[to]), (Some(a), Some(b)) if a != b),
            Self::Links { from: a, to: b, one_way } => (a[from] && b[to]) || (!one_way && b[from] && a[to]),
        }
    }
}

/// What a condition does to its lanes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Harm {
    Cut,
    Degrade { add_delay: Duration, loss: f64, duplicate: f64, reorder: f64 },
}

/// Something wrong with the network, and the fault it came from.
#[derive(Clone, Debug)]
struct Condition {
    by: FaultKey,
    shape: Shape,
    harm: Harm,
    /// A flapping link in its good time.
    dormant: bool,
    /// Lanes that a narrowed `heal` took out of it.
    healed: Vec<Shape>,
}

impl Condition {
    fn covers(&self, from: usize, to: usize) -> bool {
        self.shape.covers(from, to) && !self.healed.iter().any(|shape| shape.covers(from, to))
    }
}

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    /// Between machines; may be lost, doubled and reordered.
    Datagram,
    /// Between machines on a connection: what is lost is late instead.
    Session,
    /// To or from a client; a datagram that does not queue.
    Client,
}

/// What became of a message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Arrives {
        at: SimTime,
        /// A duplicate arrives too.
        copy: Option<SimTime>,
    },
    Dropped(DropReason),
}

pub(super) struct Network {
    nodes: usize,
    /// Endpoints: the nodes, then the places.
    endpoints: usize,
    paths: Vec<Path>,
    lanes: Vec<Lane>,
    composed: Vec<Composed>,
    conditions: Vec<Condition>,
    draws: Draws,
}

impl Network {
    pub fn new(topology: &Topology, seed: u64) -> Self {
        let (nodes, sites) = (topology.nodes.len(), topology.data_centers.len());
        let endpoints = nodes + sites;
        assert!(topology.paths.iter().chain(topology.overrides.values()).all(|path| path.bandwidth > 0));
        let mut paths = topology.paths.clone();
        let site = |endpoint: usize| match endpoint.checked_sub(nodes) {
            Some(place) => place,
            None => topology.nodes[endpoint].data_center.index(),
        };
        let mut lanes = Vec::with_capacity(endpoints * endpoints);
        for from in 0..endpoints {
            for to in 0..endpoints {
                let path = (site(from) * sites + site(to)) as u32;
                lanes.push(Lane { last_sent: u64::MAX, busy_until: 0, path, rank: 0, condition: 0 });
            }
        }
        for (&(from, to), path) in &topology.overrides {
            lanes[from.index() * endpoints + to.index()].path = paths.len() as u32;
            paths.push(*path);
        }
        let draws = Draws::new(seed, "links", &[]);
        Self { nodes, endpoints, paths, lanes, composed: vec![CLEAN], conditions: Vec::new(), draws }
    }

    pub fn index(&self, endpoint: Endpoint) -> usize {
        match endpoint {
            Endpoint::Node(node) => node.index(),
            Endpoint::Place(place) => self.nodes + place.index(),
        }
    }

    pub fn set(&self, members: &[Endpoint]) -> Set {
        let mut set = vec![false; self.endpoints];
        for &member in members {
            set[self.index(member)] = true;
        }
        set
    }

    pub fn groups(&self, groups: &[Vec<Endpoint>]) -> Vec<Option<u32>> {
        let mut of = vec![None; self.endpoints];
        for (number, group) in groups.iter().enumerate() {
            for &member in group {
                of[self.index(member)] = Some(number as u32);
            }
        }
        of
    }

    /// Whether what is sent now passes, chance aside.
    pub fn open(&self, from: Endpoint, to: Endpoint) -> bool {
        let lane = &self.lanes[self.index(from) * self.endpoints + self.index(to)];
        !self.composed[lane.condition as usize].cut
    }

    /// Delays of both ways when nothing is lost and there is no jitter.
    pub fn round_trip(&self, a: NodeId, b: NodeId) -> Duration {
        self.one_way(a, b) + self.one_way(b, a)
    }

    pub fn one_way(&self, from: NodeId, to: NodeId) -> Duration {
        let lane = &self.lanes[from.index() * self.endpoints + to.index()];
        self.paths[lane.path as usize].one_way + self.composed[lane.condition as usize].add_delay
    }

    /// Sends `bytes`: when they arrive, if they do.
    pub fn route(&mut self, now: SimTime, from: Endpoint, to: Endpoint, bytes: u32, traffic: Traffic) -> Route {
        let (from, to) = (self.index(from), self.index(to));
        let lane = &mut self.lanes[from * self.endpoints + to];
        let condition = self.composed[lane.condition as usize];
        if condition.cut {
            return Route::Dropped(DropReason::Cut);
        }
        let instant = now.as_nanos();
        lane.rank = if lane.last_sent == instant { lane.rank + 1 } else { 0 };
        lane.last_sent = instant;
        let path = &self.paths[lane.path as usize];
        let sending = serialisation(bytes, path.bandwidth);
        let left = if traffic == Traffic::Client {
            now + sending
        } else {
            let left = now.max(SimTime::from_nanos(lane.busy_until)) + sending;
            lane.busy_until = left.as_nanos();
            left
        };
        let loss = 1.0 - (1.0 - path.loss) * (1.0 - condition.loss);
        let message = self.draws.bits((from as u64) << 32 | to as u64, instant);
        let draw = MessageDraws { draws: self.draws, message, rank: u64::from(lane.rank) << 8 };
        if traffic == Traffic::Session {
            let again = RETRANSMIT_MIN.max((path.one_way + condition.add_delay).saturating_mul(2));
            let losses = (0..RETRANSMITS_MAX).take_while(|&attempt| draw.chance(16 + attempt, loss)).count();
            let at = left + travel(path, &condition, &draw, 1) + again.saturating_mul(losses as u64);
            return Route::Arrives { at, copy: None };
        }
        let copy = draw
            .chance(4, condition.duplicate)
            .then(|| left + travel(path, &condition, &draw, 5) + reordering(path, &condition, &draw, 6));
        let first = left + travel(path, &condition, &draw, 1) + reordering(path, &condition, &draw, 2);
        match (draw.chance(0, loss), copy) {
            (false, copy) => Route::Arrives { at: first, copy },
            (true, Some(at)) => Route::Arrives { at, copy: None },
            (true, None) => Route::Dropped(DropReason::Lost),
        }
    }
}

/// The draws of one message: eight bits of address tell its uses apart.
struct MessageDraws {
    draws: Draws,
    message: u64,
    rank: u64,
}

impl MessageDraws {
    #[inline]
    fn uniform(&self, purpose: u64) -> f64 {
        open01(self.draws.bits(self.message, self.rank | purpose))
    }

    #[inline]
    fn chance(&self, purpose: u64, probability: f64) -> bool {
        probability > 0.0 && self.uniform(purpose) < probability
    }
}

/// Time from the last byte's leaving to its arrival.
#[inline]
fn travel(path: &Path, condition: &Composed, draw: &MessageDraws, purpose: u64) -> Duration {
    let mut delay = path.one_way + condition.add_delay;
    if path.jitter > 0.0 {
        let extra = path.jitter * -libm::log(draw.uniform(purpose));
        delay += Duration::from_nanos((path.one_way.as_nanos() as f64 * extra) as u64);
    }
    delay
}

fn reordering(path: &Path, condition: &Composed, draw: &MessageDraws, purpose: u64) -> Duration {
    if !draw.chance(purpose, condition.reorder) {
        return Duration::ZERO;
    }
    let most = (path.one_way + REORDER_EXTRA).as_nanos() as f64;
    Duration::from_nanos((draw.uniform(purpose + 1) * most) as u64)
}

/// Nanoseconds that bytes take at a bandwidth in bits a second.
#[inline]
fn serialisation(bytes: u32, bandwidth: u64) -> Duration {
    const BIT_NANOS: u64 = 8 * 1_000_000_000;
    Duration::from_nanos(match u64::from(bytes).checked_mul(BIT_NANOS) {
        Some(work) => work / bandwidth,
        None => (u128::from(bytes) * u128::from(BIT_NANOS) / u128::from(bandwidth)) as u64,
    })
}

/// Conditions.
impl Network {
    pub fn impose(&mut self, by: FaultKey, shape: Shape, harm: Harm) {
        self.conditions.push(Condition { by, shape, harm, dormant: false, healed: Vec::new() });
        self.compile();
    }

    /// Ends the conditions of one fault, and no other's.
    pub fn lift(&mut self, by: FaultKey) {
        self.conditions.retain(|condition| condition.by != by);
        self.compile();
    }

    /// The conditions of a fault rest, or work again.
    pub fn turn(&mut self, by: FaultKey, dormant: bool) {
        for condition in self.conditions.iter_mut().filter(|condition| condition.by == by) {
            condition.dormant = dormant;
        }
        self.compile();
    }

    /// Ends all conditions, or those parts of them that concern the lanes of `only`. Returns the faults of
    /// which nothing is left.
    pub fn heal(&mut self, only: Option<Shape>) -> Vec<FaultKey> {
        let endpoints = self.endpoints;
        let mut ended = Vec::new();
        self.conditions.retain_mut(|condition| {
            if let Some(only) = &only {
                condition.healed.push(only.clone());
                let mut lanes = (0..endpoints).flat_map(|from| (0..endpoints).map(move |to| (from, to)));
                if lanes.any(|(from, to)| condition.covers(from, to)) {
                    return true;
                }
            }
            ended.push(condition.by);
            false
        });
        self.compile();
        ended
    }

    /// Composes what acts on each lane, so that sending looks it up at once.
    fn compile(&mut self) {
        self.composed.clear();
        self.composed.push(CLEAN);
        for from in 0..self.endpoints {
            for to in 0..self.endpoints {
                let mut all = CLEAN;
                for condition in &self.conditions {
                    if !condition.dormant && condition.covers(from, to) {
                        compose(&mut all, condition.harm);
                    }
                }
                let known = self.composed.iter().position(|composed| *composed == all);
                self.lanes[from * self.endpoints + to].condition = known.unwrap_or_else(|| {
                    self.composed.push(all);
                    self.composed.len() - 1
                }) as u32;
            }
        }
    }
}

fn compose(all: &mut Composed, harm: Harm) {
    let either = |p: f64, q: f64| 1.0 - (1.0 - p) * (1.0 - q);
    match harm {
        Harm::Cut => all.cut = true,
        Harm::Degrade { add_delay, loss, duplicate, reorder } => {
            all.add_delay += add_delay;
            all.loss = either(all.loss, loss);
            all.duplicate = either(all.duplicate, duplicate);
            all.reorder = either(all.reorder, reorder);
        }
    }
}
