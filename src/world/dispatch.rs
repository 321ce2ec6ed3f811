//! Events become inputs of machines, or calls of the front.

use crate::hash;
use crate::id::NodeId;
use crate::machine::{Input, LinkKind, Machine};
use crate::op::{Outcome, Request};
use crate::rng::open01;
use crate::time::Duration;

use super::engine::World;
use super::event::{Bulletin, Event, Flight, Letter};
use super::fault::Endpoint;
use super::front::{ClientRequest, DropReason, Front, Passage, TraceEvent};
use super::node::{Job, Parcel, WAITING_MAX};

/// Kinds of events in the fingerprint.
mod mark {
    pub const WAKE: u64 = 1;
    pub const MESSAGE: u64 = 2;
    pub const LETTER: u64 = 3;
    pub const TIMEOUT: u64 = 4;
    pub const SERVED: u64 = 5;
    pub const SYNCED: u64 = 6;
    pub const POWERED: u64 = 7;
    pub const FAULT_BEGINS: u64 = 8;
    pub const FAULT_ENDS: u64 = 9;
    pub const FLAP_TURNS: u64 = 10;
    pub const RECONFIGURE: u64 = 11;
    pub const LINK_LOST: u64 = 12;
    pub const LINK_BACK: u64 = 13;
    pub const WAKE_PACKET: u64 = 14;
    pub const BULLETIN: u64 = 15;
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

    pub(super) fn handle(&mut self, event: Event<F::Wake>) {
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
            Event::Powered(node) => {
                self.mark(mark::POWERED, 0, pair(node.0, 0));
                self.powered(node);
            }
            Event::WakePacket { from, to } => {
                self.mark(mark::WAKE_PACKET, 0, pair(from.0, to.0));
                self.woken(to);
            }
            Event::Bulletin(slot) => {
                let Bulletin { service, place, server, replicas } = self.bulletins.take(slot);
                self.mark(mark::BULLETIN, 0, pair(service.0, server.0));
                self.outside(|front, world| front.published(service, place, &replicas, world));
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
        self.obey_all();
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
        let (from, to) = (Endpoint::Node(flight.from), Endpoint::Node(flight.to));
        let name = M::message_name(&flight.message);
        self.trace(&TraceEvent::Dropped {
            passage: Passage { service: flight.service, from, to, name, attempt: None },
            why,
        });
    }

    fn letter_arrives(&mut self, slot: u32) {
        let letter = *self.scene.letters.get(slot);
        let (from, to) = letter.way();
        let [a, b] = [from, to].map(|end| self.scene.network.index(end) as u64);
        self.mark(mark::LETTER, short(letter.name()), a << 32 | b);
        let service = letter.service();
        let arrived = TraceEvent::Delivered { passage: letter.passage() };
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
        self.trace(&TraceEvent::Dropped { passage: letter.passage(), why });
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
        let flight = self.scene.messages.get(slot);
        if flight.tenant != self.scene.seats.tenant(flight.service, flight.to) {
            return self.drop_message(slot, DropReason::Restarted);
        }
        let flight = self.scene.messages.take(slot);
        let Flight { service, from, to, message, .. } = flight;
        let name = M::message_name(&message);
        let (sender, receiver) = (Endpoint::Node(from), Endpoint::Node(to));
        let passage = Passage { service, from: sender, to: receiver, name, attempt: None };
        self.trace(&TraceEvent::Delivered { passage });
        if let Some(seat) = self.scene.seat(service, to) {
            self.step(seat, Input::Message { from, message });
        }
    }

    fn take_letter(&mut self, node: NodeId, slot: u32) {
        let letter = *self.scene.letters.get(slot);
        let service = letter.service();
        self.trace(&TraceEvent::Delivered { passage: letter.passage() });
        let Some(seat) = self.scene.seat(service, node) else { return self.stray(slot, node) };
        let Some(machine) = &self.scene.replicas[seat as usize].machine else { return self.nobody_home(slot, node) };
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

    /// A letter for a service that has no replica here. The agent of the machine is asked, if there is one.
    fn stray(&mut self, slot: u32, node: NodeId) {
        let agent = self.agents.and_then(|service| self.scene.seat(service, node));
        match (agent, *self.scene.letters.get(slot)) {
            (Some(agent), Letter::Request { who, request, .. }) => {
                self.scene.letters.take(slot);
                let id = self.scene.bodies[node.index()].asked.admit(self.now, who, request);
                self.step(agent, Input::Stray { id, service: who.service, from: who.place });
            }
            _ => self.nobody_home(slot, node),
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
        body.processor.begin(self.now, work);
        self.queue.arm(body.processor.timer, self.now + work);
    }

    fn served(&mut self, node: NodeId) {
        let processor = &mut self.scene.bodies[node.index()].processor;
        let (job, work) = (processor.pop().expect("a job was being served"), processor.work());
        self.begin_service(node);
        match job {
            Job::Message(slot) => self.deliver(slot),
            Job::Request(slot) => {
                let Letter::Request { who, request, .. } = *self.scene.letters.get(slot) else {
                    unreachable!("only requests are served")
                };
                // Its replica may have been stopped while it waited.
                let Some(seat) = self.scene.seat(who.service, node) else { return self.stray(slot, node) };
                self.scene.letters.take(slot);
                self.scene.services[who.service.index()].counts.busy += work;
                if self.agents.is_some() {
                    self.scene.replicas[seat as usize].usage.count(who.place, &request, work);
                }
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
