//! The outside of the world: clients, recorders, checkers and traces, behind one trait.

use std::collections::BinaryHeap;
use std::fmt;

use crate::id::{ClientId, DcId, NodeId, ServiceId};
use crate::machine::{Machine, Note, WriteId};
use crate::op::{Outcome, Request, WriteKey};
use crate::sim::Queue;
use crate::time::{Duration, SimTime};

use super::engine::Scene;
use super::event::{Event, Letter};
use super::fault::{Action, Endpoint};
use super::ledger::{PowerState, PowerTimes};
use super::network::{Network, Route, Traffic};
use super::slab::Slab;

/// Bytes of a notice that a write was revoked, and of its confirmation.
pub(super) const NOTICE_BYTES: u32 = 96;

/// Names one attempt of a client's request, to whoever gets the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientRequest {
    pub service: ServiceId,
    pub place: DcId,
    /// Chosen by the front; the world only carries it.
    pub ticket: u64,
    pub attempt: u16,
}

/// Everything around the replicas.
///
/// The world calls; the front may act only where it gets an [`Outside`]. What it does elsewhere (recording,
/// checking, tracing) cannot change a run.
pub trait Front<M: Machine> {
    /// A client-side timer event: a small value, copied with its event. The events of the world take 16
    /// bytes; a `Wake` of up to 12 bytes keeps it so.
    type Wake: Copy;

    /// The run begins: replicas are up, nothing has happened yet.
    fn start(&mut self, _world: &mut Outside<'_, Self::Wake>) {}
    /// A time that was asked for with [`Outside::schedule`] has come.
    fn wake(&mut self, wake: Self::Wake, world: &mut Outside<'_, Self::Wake>);
    /// An answer reached a client's place.
    fn reply(&mut self, to: ClientRequest, server: NodeId, outcome: &Outcome, world: &mut Outside<'_, Self::Wake>);
    /// A notice that a write was revoked reached its client's place.
    fn told(
        &mut self,
        service: ServiceId,
        place: DcId,
        server: NodeId,
        write: WriteKey,
        world: &mut Outside<'_, Self::Wake>,
    );
    /// Clients at a place are told where a service is, its primary first.
    fn published(
        &mut self,
        _service: ServiceId,
        _place: DcId,
        _replicas: &[NodeId],
        _world: &mut Outside<'_, Self::Wake>,
    ) {
    }
    /// Where a client lives: notices for it go there.
    fn place_of(&self, service: ServiceId, client: ClientId) -> DcId;

    /// A replica finished a step, or booted, crashed, was paused or resumed.
    fn stepped(&mut self, _now: SimTime, _service: ServiceId, _node: NodeId, _replicas: &Replicas<'_, M>) {}
    /// A replica tells of a decision, in the middle of applying the effects of its step.
    fn note(&mut self, _now: SimTime, _service: ServiceId, _node: NodeId, _note: &Note, _replicas: &Replicas<'_, M>) {}
    /// A replica answered a request, successfully or not. The answer has not left yet.
    fn answered(&mut self, _now: SimTime, _by: NodeId, _answer: &Answered<'_>, _replicas: &Replicas<'_, M>) {}
    /// An agent had a replica started on a machine, or stopped and erased.
    fn housed(&mut self, _now: SimTime, _service: ServiceId, _node: NodeId, _starts: bool) {}
    /// An agent puts its machine to sleep; its processes still run.
    fn sleeps(&mut self, _now: SimTime, _node: NodeId, _replicas: &AllReplicas<'_, M>) {}
    /// A machine draws power for something else from now on.
    fn power_changed(&mut self, _now: SimTime, _node: NodeId, _state: PowerState) {}
    /// A fault has begun, or has ended; what it does to the world is done.
    fn fault(&mut self, _now: SimTime, _what: &FaultNews<'_>, _replicas: &AllReplicas<'_, M>) {}
    /// An observation: everything before `now` has happened, nothing at `now` has. It comes at the period
    /// given to the world and at the times asked for with [`Outside::observe_at`].
    fn observe(&mut self, _now: SimTime, _replicas: &AllReplicas<'_, M>) {}

    /// Whether [`Front::trace`] is to be called.
    fn traced(&self) -> bool {
        false
    }
    fn trace(&mut self, _now: SimTime, _event: &TraceEvent<'_>) {}
}

/// An answer at the replica that gave it.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    pub to: ClientRequest,
    pub request: &'a Request,
    pub outcome: &'a Outcome,
}

/// A fault begins or ends.
#[derive(Clone, Debug)]
pub struct FaultNews<'a> {
    /// Place in the timeline; `None`: a failure at random.
    pub index: Option<usize>,
    pub label: &'a str,
    /// Faults that are over at once (restart, heal, a jump of a clock) only begin, unless they name a length.
    pub begins: bool,
    /// Its targets were chosen by the state of the protocol, so protocols are not comparable on it.
    pub depends_on_protocol: bool,
    /// The protocol does not support it: nothing was corrupted.
    pub unsupported: bool,
    /// The machines that it hit, ascending; empty for faults of the network.
    pub nodes: &'a [NodeId],
    /// What it does, with its targets as the scenario named them.
    pub action: &'a Action,
}

/// Why something that was sent did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The link was cut when it was sent.
    Cut,
    /// By chance.
    Lost,
    /// The receiver's process is not the one it was sent to.
    Restarted,
    /// No process runs there.
    Down,
    /// The connection that carried it broke, or there was none.
    Disconnected,
    /// A paused or overloaded receiver had no room for it.
    Full,
}

/// Something on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    pub service: ServiceId,
    pub from: Endpoint,
    pub to: Endpoint,
    pub name: &'static str,
    /// The attempt that it carries or answers, if it is a client's.
    pub attempt: Option<ClientRequest>,
}

/// What happens in the world, in detail, for traces.
#[derive(Clone, Copy, Debug)]
pub enum TraceEvent<'a> {
    Sent {
        passage: Passage,
        bytes: u32,
        arrives: SimTime,
    },
    Dropped {
        passage: Passage,
        why: DropReason,
    },
    Delivered {
        passage: Passage,
    },
    Timeout {
        service: ServiceId,
        node: NodeId,
        timer: &'a dyn fmt::Debug,
    },
    Wrote {
        service: ServiceId,
        node: NodeId,
        id: WriteId,
        bytes: u32,
        checkpoint: bool,
    },
    Durable {
        service: ServiceId,
        node: NodeId,
        id: WriteId,
    },
    LinkUp {
        service: ServiceId,
        node: NodeId,
        peer: NodeId,
    },
    LinkDown {
        service: ServiceId,
        node: NodeId,
        peer: NodeId,
    },
    Booted {
        node: NodeId,
        incarnation: u32,
    },
    BootFailed {
        service: ServiceId,
        node: NodeId,
        why: &'a str,
    },
    Crashed {
        node: NodeId,
    },
    /// It was told to sleep, and shuts down.
    Slept {
        node: NodeId,
    },
    /// An agent had a replica started, or stopped.
    Started {
        service: ServiceId,
        node: NodeId,
    },
    Stopped {
        service: ServiceId,
        node: NodeId,
    },
    Paused {
        node: NodeId,
    },
    Resumed {
        node: NodeId,
    },
}

/// When the front is to be shown the state. Kept apart from the event queue, so that observing changes
/// neither the order nor the number of events.
pub(super) struct Observations {
    every: Option<Duration>,
    tick: SimTime,
    asked: BinaryHeap<std::cmp::Reverse<SimTime>>,
}

impl Observations {
    pub fn new(every: Option<Duration>) -> Self {
        let every = every.filter(|every| !every.is_zero());
        Self { every, tick: every.map_or(SimTime::MAX, |every| SimTime::ZERO + every), asked: BinaryHeap::new() }
    }

    /// The earliest observation up to and including `limit`; each instant comes once.
    #[inline]
    pub fn next(&mut self, limit: SimTime) -> Option<SimTime> {
        let asked = self.asked.peek().map_or(SimTime::MAX, |at| at.0);
        let at = self.tick.min(asked);
        if at > limit || at == SimTime::MAX {
            return None;
        }
        if let Some(every) = self.every.filter(|_| at == self.tick) {
            self.tick = self.tick + every;
        }
        while self.asked.peek().is_some_and(|asked| asked.0 == at) {
            self.asked.pop();
        }
        Some(at)
    }
}

/// What the front may do.
pub struct Outside<'a, W: Copy> {
    pub(super) now: SimTime,
    pub(super) queue: &'a mut Queue<Event<W>>,
    pub(super) network: &'a mut Network,
    pub(super) letters: &'a mut Slab<Letter>,
    pub(super) observations: &'a mut Observations,
    /// What to tell the trace once the front has returned.
    pub(super) traces: Option<&'a mut Vec<TraceEvent<'static>>>,
}

impl<W: Copy> Outside<'_, W> {
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// Wakes the front at `at` (at once if that is past), in order among all events.
    pub fn schedule(&mut self, at: SimTime, wake: W) {
        self.queue.schedule(at, Event::Wake(wake));
    }

    /// Sends a request from the client's place to a machine.
    pub fn send(&mut self, who: ClientRequest, server: NodeId, request: Request) {
        let (from, to) = (Endpoint::Place(who.place), Endpoint::Node(server));
        self.post(from, to, request.wire_bytes(), Letter::Request { who, server, request });
    }

    /// Confirms to a replica that a client knows of its revoked write.
    pub fn acknowledge(&mut self, service: ServiceId, place: DcId, server: NodeId, write: WriteKey) {
        let (from, to) = (Endpoint::Place(place), Endpoint::Node(server));
        self.post(from, to, NOTICE_BYTES, Letter::Acknowledge { service, place, server, write });
    }

    /// Asks for [`Front::observe`] at `at`.
    pub fn observe_at(&mut self, at: SimTime) {
        self.observations.asked.push(std::cmp::Reverse(at.max(self.now)));
    }

    fn post(&mut self, from: Endpoint, to: Endpoint, bytes: u32, letter: Letter) {
        let event = post(self.now, self.queue, self.network, self.letters, (from, to), bytes, letter);
        if let Some(traces) = &mut self.traces {
            traces.push(event);
        }
    }
}

/// Sends a letter between a place and a machine, and says what became of it.
pub(super) fn post<W: Copy>(
    now: SimTime,
    queue: &mut Queue<Event<W>>,
    network: &mut Network,
    letters: &mut Slab<Letter>,
    (from, to): (Endpoint, Endpoint),
    bytes: u32,
    letter: Letter,
) -> TraceEvent<'static> {
    let passage = letter.passage();
    match network.route(now, from, to, bytes, Traffic::Client) {
        Route::Arrives { at, copy } => {
            queue.schedule(at, Event::Letter(letters.insert(letter)));
            if let Some(at) = copy {
                queue.schedule(at, Event::Letter(letters.insert(letter)));
            }
            TraceEvent::Sent { passage, bytes, arrives: at }
        }
        Route::Dropped(why) => TraceEvent::Dropped { passage, why },
    }
}

/// What a service has sent between its replicas so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages sent to other machines, lost ones included.
    pub messages: u64,
    /// Bytes of those that left for another data center.
    pub bytes_wan: u64,
    /// Bytes of records written.
    pub bytes_written: u64,
    /// Processor time spent on its requests.
    pub busy: Duration,
}

/// A view of the replicas of one service. Copying it is free.
pub struct Replicas<'a, M: Machine> {
    pub(super) scene: &'a Scene<M>,
    pub(super) service: ServiceId,
}

impl<M: Machine> Clone for Replicas<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<M: Machine> Copy for Replicas<'_, M> {}

impl<'a, M: Machine> Replicas<'a, M> {
    pub fn service(&self) -> ServiceId {
        self.service
    }
    /// Machines that hold a replica or once did, in order of placement and then of arrival.
    pub fn nodes(&self) -> &'a [NodeId] {
        &self.scene.services[self.service.index()].nodes
    }
    /// How many of its machines were placed before the start.
    pub fn placed(&self) -> usize {
        self.scene.services[self.service.index()].placed
    }
    /// A replica is there, up or down.
    pub fn holds(&self, node: NodeId) -> bool {
        self.scene.seat(self.service, node).is_some()
    }
    pub fn counts(&self) -> Counts {
        self.scene.services[self.service.index()].counts
    }
    /// A process runs there: it is not crashed, though it may be paused.
    pub fn up(&self, node: NodeId) -> bool {
        self.machine(node).is_some()
    }
    pub fn paused(&self, node: NodeId) -> bool {
        self.scene.bodies[node.index()].paused
    }
    /// The replica's state, while its process exists.
    pub fn machine(&self, node: NodeId) -> Option<&'a M> {
        let seat = self.scene.seat(self.service, node)?;
        self.scene.replicas[seat as usize].machine.as_ref()
    }
    /// What is durable on its disk, in order of writing.
    pub fn records(&self, node: NodeId) -> &'a [M::Record] {
        self.scene.seat(self.service, node).map_or(&[], |seat| &self.scene.replicas[seat as usize].records)
    }
    /// Bytes of what is durable on its disk.
    pub fn bytes(&self, node: NodeId) -> u64 {
        self.scene.seat(self.service, node).map_or(0, |seat| self.scene.replicas[seat as usize].bytes)
    }
    /// Whether the disk of this node was lost in this run, while it held a replica.
    pub fn disk_lost(&self, node: NodeId) -> bool {
        self.scene.services[self.service.index()].disks_lost.contains(&node)
    }
    pub fn config(&self, node: NodeId) -> Option<&'a M::Config> {
        self.scene.seat(self.service, node).map(|seat| &self.scene.replicas[seat as usize].config)
    }
    /// No cut stops what `from` sends to `to`. Whether anyone listens is not asked.
    pub fn open(&self, from: NodeId, to: NodeId) -> bool {
        from == to || self.scene.network.open(Endpoint::Node(from), Endpoint::Node(to))
    }
    /// Both replicas run, neither is paused, and messages pass both ways.
    pub fn connected(&self, a: NodeId, b: NodeId) -> bool {
        let runs = |node| self.up(node) && !self.paused(node);
        runs(a) && runs(b) && self.open(a, b) && self.open(b, a)
    }
    /// The replica runs, is not paused, and clients at `place` can talk with it.
    pub fn reachable_from(&self, place: DcId, node: NodeId) -> bool {
        let (place, machine) = (Endpoint::Place(place), Endpoint::Node(node));
        let network = &self.scene.network;
        self.up(node) && !self.paused(node) && network.open(place, machine) && network.open(machine, place)
    }
}

/// A view of all services.
pub struct AllReplicas<'a, M: Machine> {
    pub(super) scene: &'a Scene<M>,
}

impl<M: Machine> Clone for AllReplicas<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<M: Machine> Copy for AllReplicas<'_, M> {}

impl<'a, M: Machine> AllReplicas<'a, M> {
    pub fn services(&self) -> impl Iterator<Item = Replicas<'a, M>> + use<'a, M> {
        let scene = self.scene;
        (0..scene.services.len()).map(move |index| Replicas { scene, service: ServiceId::from(index) })
    }
    pub fn service(&self, service: ServiceId) -> Replicas<'a, M> {
        Replicas { scene: self.scene, service }
    }
    /// A process runs on this machine, though it may be paused.
    pub fn node_up(&self, node: NodeId) -> bool {
        self.scene.bodies[node.index()].alive
    }
    /// Time that this machine's processor has spent on requests and messages by `now`.
    pub fn busy(&self, node: NodeId, now: SimTime) -> Duration {
        self.scene.bodies[node.index()].processor.spent_by(now)
    }
    /// What this machine draws power for.
    pub fn power_state(&self, node: NodeId) -> PowerState {
        self.scene.bodies[node.index()].ledger.state
    }
    /// Time that this machine has been in each state of power by `now`.
    pub fn power_times(&self, node: NodeId, now: SimTime) -> PowerTimes {
        self.scene.bodies[node.index()].ledger.by(now)
    }
}
