//! Steps of machines, and what becomes of their effects.

use crate::id::{NodeId, ServiceId};
use crate::machine::{Context, Effect, Input, LinkKind, Machine, RequestId, WriteId};
use crate::op::{Outcome, WriteKey};

use super::disk::Unsynced;
use super::engine::World;
use super::event::{Event, Flight, Letter};
use super::fault::Endpoint;
use super::front::{Answered, ClientRequest, DropReason, Front, NOTICE_BYTES, Passage, TraceEvent, post};
use super::network::{Route, Traffic};
use super::node::Parcel;

impl<M: Machine, F: Front<M>> World<M, F> {
    /// Steps a replica, if its process could boot, and applies the effects.
    pub(super) fn step(&mut self, seat: u32, input: Input<M>) {
        let replica = &mut self.scene.replicas[seat as usize];
        let Some(machine) = &mut replica.machine else { return };
        let clock = &self.scene.bodies[replica.node.index()].clock;
        let (now, wall) = (clock.local(self.now), clock.wall(self.now));
        machine.step(input, &mut Context { now, wall, rng: &mut replica.rng, effects: &mut self.effects });
        self.apply(seat);
        self.stepped(seat);
    }

    pub(super) fn stepped(&mut self, seat: u32) {
        let replica = &self.scene.replicas[seat as usize];
        let (service, node) = (replica.service, replica.node);
        self.front.stepped(self.now, service, node, &self.scene.of(service));
    }

    /// Applies, in order, the effects that a step left in the buffer.
    pub(super) fn apply(&mut self, seat: u32) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { to, message, after } => {
                    let replica = &mut self.scene.replicas[seat as usize];
                    match after {
                        Some(write) if replica.durable.is_none_or(|durable| durable < write) => {
                            replica.held.push((write, to, message));
                        }
                        _ => self.send(seat, to, message),
                    }
                }
                Effect::SetTimer { timer, after } => {
                    let replica = &mut self.scene.replicas[seat as usize];
                    let at = self.scene.bodies[replica.node.index()].clock.when(self.now, after);
                    replica.timers.set(timer, at, seat, &mut self.queue);
                }
                Effect::CancelTimer(timer) => {
                    self.scene.replicas[seat as usize].timers.cancel(timer, &mut self.queue);
                }
                Effect::Write { id, record } => self.write(seat, id, record, false),
                Effect::Checkpoint { id, record } => self.write(seat, id, record, true),
                Effect::Reply { id, outcome } => self.reply(seat, id, outcome),
                Effect::Tell { write } => self.tell(seat, write),
                Effect::Order(order) => {
                    let replica = &self.scene.replicas[seat as usize];
                    self.orders.push_back((replica.service, replica.node, order));
                }
                Effect::Note(note) => {
                    let replica = &self.scene.replicas[seat as usize];
                    let (service, node) = (replica.service, replica.node);
                    self.front.note(self.now, service, node, &note, &self.scene.of(service));
                }
            }
        }
        self.effects = effects;
    }

    fn send(&mut self, seat: u32, to: NodeId, message: M::Message) {
        let replica = &self.scene.replicas[seat as usize];
        let (service, from) = (replica.service, replica.node);
        let (name, bytes) = (M::message_name(&message), M::wire_bytes(&message));
        let (sender, receiver) = (Endpoint::Node(from), Endpoint::Node(to));
        let passage = Passage { service, from: sender, to: receiver, name, attempt: None };
        let gone = |why| TraceEvent::Dropped { passage, why };
        let Some(body) = self.scene.bodies.get(to.index()) else {
            // A corrupted replica may name a machine that does not exist.
            return self.trace(&gone(DropReason::Down));
        };
        let incarnation = body.incarnation + u32::from(!body.alive);
        let tenant = self.scene.seats.tenant(service, to);
        let mut flight = Flight { service, from, to, incarnation, session: 0, tenant, message };
        if to == from {
            let slot = self.scene.messages.insert(flight);
            return self.queue.schedule(self.now, Event::Message(slot));
        }
        self.count_message(service, from, to, bytes);
        let traffic = match M::LINKS {
            LinkKind::Datagram => Traffic::Datagram,
            LinkKind::Session => match self.scene.sessions.generation(from, to) {
                Some(generation) => {
                    flight.session = generation;
                    Traffic::Session
                }
                None => return self.trace(&gone(DropReason::Disconnected)),
            },
        };
        match self.scene.network.route(self.now, sender, receiver, bytes, traffic) {
            Route::Dropped(why) => self.trace(&gone(why)),
            Route::Arrives { mut at, copy } => {
                if traffic == Traffic::Session {
                    at = self.scene.sessions.in_order(from, to, at);
                }
                if let Some(at) = copy {
                    let message = flight.message.clone();
                    let slot = self.scene.messages.insert(Flight { message, ..flight });
                    self.queue.schedule(at, Event::Message(slot));
                }
                let slot = self.scene.messages.insert(flight);
                self.queue.schedule(at, Event::Message(slot));
                self.trace(&TraceEvent::Sent { passage, bytes, arrives: at });
            }
        }
    }

    pub(super) fn count_message(&mut self, service: ServiceId, from: NodeId, to: NodeId, bytes: u32) {
        let topology = &self.scene.topology;
        let counts = &mut self.scene.services[service.index()].counts;
        counts.messages += 1;
        if topology.site_of(from) != topology.site_of(to) {
            counts.bytes_wan += u64::from(bytes);
        }
    }

    fn write(&mut self, seat: u32, id: WriteId, record: M::Record, replaces: bool) {
        let replica = &self.scene.replicas[seat as usize];
        let (service, node) = (replica.service, replica.node);
        let bytes = M::record_bytes(&record);
        self.scene.services[service.index()].counts.bytes_written += u64::from(bytes);
        if self.scene.bodies[node.index()].disk.write(Unsynced { replica: seat, id, record, bytes, replaces }) {
            self.begin_sync(node);
        }
        self.trace(&TraceEvent::Wrote { service, node, id, bytes, checkpoint: replaces });
    }

    fn begin_sync(&mut self, node: NodeId) {
        let body = &mut self.scene.bodies[node.index()];
        if body.disk.begin() {
            let takes = body.slow(self.scene.topology.nodes[node.index()].fsync);
            self.queue.arm(body.disk.timer, self.now + takes);
        }
    }

    /// A sync is complete. What was written meanwhile begins the next one before any replica hears of this.
    pub(super) fn synced(&mut self, node: NodeId) {
        let mut last = std::mem::take(&mut self.durable);
        let body = &mut self.scene.bodies[node.index()];
        for unsynced in body.disk.complete() {
            match last.iter_mut().find(|(replica, _)| *replica == unsynced.replica) {
                Some((_, id)) => *id = unsynced.id,
                None => last.push((unsynced.replica, unsynced.id)),
            }
            self.scene.replicas[unsynced.replica as usize].keep(unsynced);
        }
        self.begin_sync(node);
        for (replica, id) in last.drain(..) {
            self.receive(node, Parcel::Written { replica, id });
        }
        self.durable = last;
    }

    /// A running process hears that its writes up to `id` are durable.
    pub(super) fn written(&mut self, seat: u32, id: WriteId) {
        let replica = &mut self.scene.replicas[seat as usize];
        replica.durable = Some(replica.durable.map_or(id, |durable| durable.max(id)));
        let (service, node) = (replica.service, replica.node);
        if !replica.held.is_empty() {
            let (ready, held) = std::mem::take(&mut replica.held).into_iter().partition(|(write, ..)| *write <= id);
            replica.held = held;
            let ready: Vec<(WriteId, NodeId, M::Message)> = ready;
            for (_, to, message) in ready {
                self.send(seat, to, message);
            }
        }
        self.trace(&TraceEvent::Durable { service, node, id });
        self.step(seat, Input::Written(id));
    }

    fn reply(&mut self, seat: u32, id: RequestId, outcome: Outcome) {
        let node = self.scene.replicas[seat as usize].node;
        let Some(ask) = self.scene.bodies[node.index()].asked.answer(id) else { return };
        let answer = Answered { to: ask.who, request: &ask.request, outcome: &outcome };
        self.front.answered(self.now, node, &answer, &self.scene.of(ask.who.service));
        self.answer(node, ask.who, outcome);
    }

    /// Sends an answer to a client's place.
    pub(super) fn answer(&mut self, server: NodeId, to: ClientRequest, outcome: Outcome) {
        self.post(outcome.wire_bytes(), Letter::Answer { to, server, outcome });
    }

    fn tell(&mut self, seat: u32, write: WriteKey) {
        let replica = &self.scene.replicas[seat as usize];
        let (service, server) = (replica.service, replica.node);
        let place = self.front.place_of(service, write.client);
        self.post(NOTICE_BYTES, Letter::Told { service, place, server, write });
    }

    fn post(&mut self, bytes: u32, letter: Letter) {
        let (network, letters) = (&mut self.scene.network, &mut self.scene.letters);
        let event = post(self.now, &mut self.queue, network, letters, letter.way(), bytes, letter);
        self.trace(&event);
    }
}

impl<M: Machine> super::engine::Replica<M> {
    /// A record became durable.
    pub(super) fn keep(&mut self, unsynced: Unsynced<M::Record>) {
        if unsynced.replaces {
            self.records.clear();
            self.bytes = 0;
        }
        self.bytes += u64::from(unsynced.bytes);
        self.records.push(unsynced.record);
    }
}
