//! Carries out what agents order: replicas start and stop, machines sleep and wake.
//!
//! An order is carried out once the event that it was given in is handled, at the same instant. It dies with
//! whoever gave it. Orders about services or machines that do not exist, as a corrupted agent may give, do
//! nothing.

use crate::id::{NodeId, ServiceId};
use crate::machine::{Demand, Housed, Input, LinkKind, Machine, Order, Survey};
use crate::op::Request;
use crate::time::Duration;

use super::engine::{Replica, World};
use super::event::{Bulletin, Event};
use super::fault::Endpoint;
use super::front::{Front, Passage, TraceEvent};
use super::network::{Route, Traffic};
use super::node::Rest;

/// A packet that wakes a machine: sixteen times its address after a header, in a datagram.
const WAKE_BYTES: u32 = 144;
/// Bytes of a bulletin, and of each machine that it names.
const BULLETIN_BYTES: u32 = 64;
const NAME_BYTES: u32 = 8;

/// What a replica did for clients since it was last asked.
#[derive(Debug, Default)]
pub(super) struct Usage {
    busy: Duration,
    /// By place, ascending.
    served: Vec<Demand>,
}

impl Usage {
    pub fn count(&mut self, place: crate::id::DcId, request: &Request, work: Duration) {
        self.busy += work;
        let at = self.served.binary_search_by_key(&place, |demand| demand.place).unwrap_or_else(|at| {
            self.served.insert(at, Demand { place, reads: 0, writes: 0 });
            at
        });
        let demand = &mut self.served[at];
        let count = if request.op.is_read() { &mut demand.reads } else { &mut demand.writes };
        *count = count.saturating_add(1);
    }
}

impl<M: Machine, F: Front<M>> World<M, F> {
    /// Carries out the orders that were given, and those that they bring about.
    #[inline]
    pub(super) fn obey_all(&mut self) {
        while let Some((service, node, order)) = self.orders.pop_front() {
            if let Some(seat) = self.scene.seats.get(service, node)
                && self.scene.replicas[seat as usize].machine.is_some()
            {
                self.obey(seat, node, order);
            }
        }
    }

    fn obey(&mut self, seat: u32, node: NodeId, order: Order) {
        match order {
            Order::Survey => {
                let survey = self.survey(node);
                self.step(seat, Input::Survey(survey));
            }
            Order::Start { service, members } => self.start_replica(service, node, &members),
            Order::Stop { service } => self.stop_replica(service, node),
            Order::Reconfigure { service, replicas } => {
                if let Some(seat) = self.scene.seats.get(service, node) {
                    self.step(seat, Input::Reconfigure(replicas));
                }
            }
            Order::Sleep => self.sleep(node),
            Order::Wake(other) => self.send_wake(seat, other),
            Order::Publish { service, replicas } => self.publish(service, node, replicas),
        }
    }

    /// Whether agents may start and stop its replicas.
    fn is_movable(&self, service: ServiceId) -> bool {
        service.index() < self.scene.services.len() && self.agents != Some(service)
    }

    fn survey(&mut self, node: NodeId) -> Survey {
        let body = &mut self.scene.bodies[node.index()];
        let (now, spent) = (body.clock.local(self.now), body.processor.spent_by(self.now));
        let (then, before) = std::mem::replace(&mut body.surveyed, (now, spent));
        let mut replicas = Vec::new();
        for &seat in &body.replicas {
            let replica = &mut self.scene.replicas[seat as usize];
            let Usage { busy, served } = std::mem::take(&mut replica.usage);
            if self.agents != Some(replica.service)
                && let Some(machine) = &replica.machine
            {
                let status = machine.status();
                replicas.push(Housed { service: replica.service, status, bytes: replica.bytes, busy, served });
            }
        }
        replicas.sort_unstable_by_key(|housed| housed.service);
        Survey { window: now.since(then), busy: spent.saturating_sub(before), replicas }
    }

    fn start_replica(&mut self, service: ServiceId, node: NodeId, members: &[NodeId]) {
        if !self.is_movable(service) || self.scene.seats.get(service, node).is_some() {
            return;
        }
        let Some(spare) = &self.spare else { return };
        let nodes = self.scene.bodies.len();
        let members: Vec<NodeId> = members.iter().copied().filter(|member| member.index() < nodes).collect();
        let replica = Replica::new(service, node, spare(service, node, &members), Vec::new());
        let seat = match self.scene.vacant.pop() {
            Some(seat) => {
                self.scene.replicas[seat as usize] = replica;
                seat
            }
            None => {
                self.scene.replicas.push(replica);
                (self.scene.replicas.len() - 1) as u32
            }
        };
        self.scene.seats.take(service, node, seat);
        self.scene.bodies[node.index()].replicas.push(seat);
        let known = &mut self.scene.services[service.index()].nodes;
        if !known.contains(&node) {
            known.push(node);
        }
        if M::LINKS == LinkKind::Session {
            self.connect(service, node);
        }
        self.trace(&TraceEvent::Started { service, node });
        let incarnation = self.scene.bodies[node.index()].incarnation;
        self.boot_replica(seat, incarnation);
        self.front.housed(self.now, service, node, true);
    }

    /// Connections to the machines of a service that had nothing to say to each other before.
    fn connect(&mut self, service: ServiceId, node: NodeId) {
        let scene = &mut self.scene;
        let mut made = false;
        for &other in &scene.services[service.index()].nodes {
            if other != node && scene.seats.get(service, other).is_some() {
                made |= scene.sessions.connect(node, other);
            }
        }
        if made {
            self.links_changed();
        }
    }

    /// What is under way for it dies with it: messages by the name of their tenant, records as nobody's.
    fn stop_replica(&mut self, service: ServiceId, node: NodeId) {
        if !self.is_movable(service) {
            return;
        }
        let Some(seat) = self.scene.seats.leave(service, node) else { return };
        let body = &mut self.scene.bodies[node.index()];
        debug_assert!(body.waiting.is_empty() && body.expired.is_empty(), "a machine that obeys is not paused");
        body.disk.disown(seat);
        body.replicas.retain(|&one| one != seat);
        let replica = &mut self.scene.replicas[seat as usize];
        replica.machine = None;
        replica.timers.release(&mut self.queue);
        replica.held.clear();
        replica.records = Vec::new();
        self.scene.vacant.push(seat);
        self.trace(&TraceEvent::Stopped { service, node });
        self.front.stepped(self.now, service, node, &self.scene.of(service));
        self.front.housed(self.now, service, node, false);
    }

    /// A clean stop: what was written reaches the disk, connections are closed, and then the machine powers down.
    fn sleep(&mut self, node: NodeId) {
        self.front.sleeps(self.now, node, &self.scene.all());
        self.end_process(node, None);
        let shutdown = self.scene.topology.nodes[node.index()].shutdown;
        let body = &mut self.scene.bodies[node.index()];
        body.rest = Rest::ShuttingDown;
        self.queue.arm(body.power_timer, self.now + shutdown);
        self.account(node);
    }

    fn send_wake(&mut self, seat: u32, to: NodeId) {
        let replica = &self.scene.replicas[seat as usize];
        let (service, from) = (replica.service, replica.node);
        if to.index() >= self.scene.bodies.len() || to == from {
            return;
        }
        self.count_message(service, from, to, WAKE_BYTES);
        let (sender, receiver) = (Endpoint::Node(from), Endpoint::Node(to));
        let passage = Passage { service, from: sender, to: receiver, name: "Wake", attempt: None };
        match self.scene.network.route(self.now, sender, receiver, WAKE_BYTES, Traffic::Datagram) {
            Route::Arrives { at, copy } => {
                for at in [Some(at), copy].into_iter().flatten() {
                    self.queue.schedule(at, Event::WakePacket { from, to });
                }
                let bytes = WAKE_BYTES;
                self.trace(&TraceEvent::Sent { passage, bytes, arrives: at });
            }
            Route::Dropped(why) => self.trace(&TraceEvent::Dropped { passage, why }),
        }
    }

    /// The management controller of a machine got a packet. It acts if the machine sleeps and no fault holds it.
    pub(super) fn woken(&mut self, node: NodeId) {
        let body = &self.scene.bodies[node.index()];
        if body.rest == Rest::Asleep && !body.booting && body.holds.is_empty() {
            self.power_on(node);
        }
    }

    fn publish(&mut self, service: ServiceId, server: NodeId, replicas: Vec<NodeId>) {
        if !self.is_movable(service) {
            return;
        }
        let place = self.scene.topology.site_of(server);
        let (from, to) = (Endpoint::Node(server), Endpoint::Place(place));
        let passage = Passage { service, from, to, name: "Publish", attempt: None };
        let bytes = BULLETIN_BYTES + NAME_BYTES * replicas.len() as u32;
        match self.scene.network.route(self.now, from, to, bytes, Traffic::Client) {
            // A second copy would say the same.
            Route::Arrives { at, copy: _ } => {
                let slot = self.bulletins.insert(Bulletin { service, place, server, replicas });
                self.queue.schedule(at, Event::Bulletin(slot));
                self.trace(&TraceEvent::Sent { passage, bytes, arrives: at });
            }
            Route::Dropped(why) => self.trace(&TraceEvent::Dropped { passage, why }),
        }
    }
}
