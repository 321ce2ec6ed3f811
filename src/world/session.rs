//! Connections between machines, for protocols that assume them: first in, first out, nothing lost while
//! they hold, and a break that both sides see.
//!
//! All connections stand at the start of a run. One breaks when a cut separates its machines, one way or
//! both, or when a process ends; what was on its way is lost. A running side is told (`LinkDown`) once it
//! notices: after a one-way delay if the machine of a dead process says so, else after [`SILENCE`] or two
//! round trips, whichever is longer. When both processes run and nothing is cut, the connection is made
//! again in one round trip, and both sides are told (`LinkUp`; a side that had not noticed the break hears
//! `LinkDown` first). Messages sent while there is no connection are dropped. A connection belongs to two
//! machines: that one replica on them stops, or another starts, neither breaks it nor is told.

use crate::id::NodeId;
use crate::machine::{Input, Machine};
use crate::time::{Duration, SimTime};

use super::engine::World;
use super::event::Event;
use super::fault::Endpoint;
use super::front::{Front, TraceEvent};
use super::node::Parcel;

/// How long a side waits at least before it holds a silent peer's connection for broken (judgement: a few
/// keep-alives of a tuned server, far below TCP's own minutes).
const SILENCE: Duration = Duration::from_secs(1);

const NONE: u32 = u32::MAX;

/// The connection of two machines, whatever services use it.
struct Pair {
    ends: [NodeId; 2],
    /// Counts changes, so that news about an older state is void.
    generation: u32,
    connected: bool,
    /// Both processes run and nothing is cut.
    possible: bool,
    /// Which ends know that it broke, or never knew it whole.
    told: [bool; 2],
    /// When the last message of each direction arrives.
    arrived: [SimTime; 2],
}

pub(super) struct Sessions {
    nodes: usize,
    pairs: Vec<Pair>,
    /// Number of the pair by two nodes.
    number: Vec<u32>,
}

impl Sessions {
    /// For protocols that use datagrams.
    pub fn none() -> Self {
        Self { nodes: 0, pairs: Vec::new(), number: Vec::new() }
    }

    /// Connects every two machines that have a service in common.
    pub fn new<'a>(nodes: usize, services: impl Iterator<Item = &'a [NodeId]>) -> Self {
        let mut sessions = Self { nodes, pairs: Vec::new(), number: vec![NONE; nodes * nodes] };
        for members in services {
            for (index, &a) in members.iter().enumerate() {
                for &b in &members[index + 1..] {
                    sessions.connect(a, b);
                }
            }
        }
        sessions
    }

    /// Connects two machines. False: they were connected before, or were once.
    pub fn connect(&mut self, a: NodeId, b: NodeId) -> bool {
        let (forth, back) = (a.index() * self.nodes + b.index(), b.index() * self.nodes + a.index());
        if self.number[forth] != NONE {
            return false;
        }
        (self.number[forth], self.number[back]) = (self.pairs.len() as u32, self.pairs.len() as u32);
        self.pairs.push(Pair {
            ends: [a, b],
            generation: 0,
            connected: true,
            possible: true,
            told: [false; 2],
            arrived: [SimTime::ZERO; 2],
        });
        true
    }

    fn pair(&self, a: NodeId, b: NodeId) -> Option<&Pair> {
        self.pairs.get(self.number[a.index() * self.nodes + b.index()] as usize)
    }

    /// The connection that carries a message sent now, if there is one.
    pub fn generation(&self, from: NodeId, to: NodeId) -> Option<u32> {
        self.pair(from, to).filter(|pair| pair.connected).map(|pair| pair.generation)
    }

    /// Whether the connection that a message was sent on still stands.
    pub fn carries(&self, from: NodeId, to: NodeId, generation: u32) -> bool {
        from == to || self.generation(from, to) == Some(generation)
    }

    /// A message that would arrive at `at` arrives no earlier than those sent before it.
    pub fn in_order(&mut self, from: NodeId, to: NodeId, at: SimTime) -> SimTime {
        let number = self.number[from.index() * self.nodes + to.index()];
        let pair = &mut self.pairs[number as usize];
        let arrived = &mut pair.arrived[usize::from(pair.ends[0] == from)];
        *arrived = at.max(*arrived);
        *arrived
    }

    /// A new process has no connection whose break it could hear of.
    pub fn reborn(&mut self, node: NodeId) {
        for pair in &mut self.pairs {
            for end in 0..2 {
                if pair.ends[end] == node && !pair.connected {
                    pair.told[end] = true;
                }
            }
        }
    }
}

impl<M: Machine, F: Front<M>> World<M, F> {
    /// A link was cut or healed, or a process began or ended: connections break, or are made again.
    pub(super) fn links_changed(&mut self) {
        for number in 0..self.scene.sessions.pairs.len() {
            let [a, b] = self.scene.sessions.pairs[number].ends;
            let alive = |node: NodeId| self.scene.bodies[node.index()].alive;
            let network = &self.scene.network;
            let (forth, back) = (Endpoint::Node(a), Endpoint::Node(b));
            let open = network.open(forth, back) && network.open(back, forth);
            let possible = open && alive(a) && alive(b);
            let round_trip = network.round_trip(a, b);
            let told = [!alive(a), !alive(b)];
            let dead = [a, b].into_iter().find(|&node| !alive(node));
            let refuses = dead.is_some_and(|node| !self.scene.bodies[node.index()].silent());
            let pair = &mut self.scene.sessions.pairs[number];
            if pair.possible == possible {
                continue;
            }
            pair.possible = possible;
            pair.generation = pair.generation.wrapping_add(1);
            let (generation, pair_number) = (pair.generation, number as u32);
            if possible {
                let back = Event::LinkBack { pair: pair_number, generation };
                self.queue.schedule(self.now + round_trip, back);
                continue;
            }
            if std::mem::take(&mut pair.connected) {
                pair.told = told;
            }
            let notice =
                if open && refuses { round_trip.scale(1, 2) } else { SILENCE.max(round_trip.saturating_mul(2)) };
            self.queue.schedule(self.now + notice, Event::LinkLost { pair: pair_number, generation });
        }
    }

    /// The time has come at which a break is noticed.
    pub(super) fn link_lost(&mut self, number: u32, generation: u32) {
        if self.scene.sessions.pairs[number as usize].generation == generation {
            self.tell_of_break(number);
        }
    }

    /// The time has come at which a connection is made again.
    pub(super) fn link_back(&mut self, number: u32, generation: u32) {
        let pair = &mut self.scene.sessions.pairs[number as usize];
        if pair.generation != generation {
            return;
        }
        pair.connected = true;
        pair.arrived = [self.now; 2];
        self.tell_of_break(number);
        self.scene.sessions.pairs[number as usize].told = [false; 2];
        for end in 0..2 {
            self.link_parcels(number, end, true);
        }
    }

    fn tell_of_break(&mut self, number: u32) {
        for end in 0..2 {
            if !std::mem::replace(&mut self.scene.sessions.pairs[number as usize].told[end], true) {
                self.link_parcels(number, end, false);
            }
        }
    }

    /// Tells the replicas at one end of a pair, of the services that both ends have.
    fn link_parcels(&mut self, number: u32, end: usize, up: bool) {
        let ends = self.scene.sessions.pairs[number as usize].ends;
        let (node, peer) = (ends[end], ends[1 - end]);
        for index in 0..self.scene.bodies[node.index()].replicas.len() {
            let replica = self.scene.bodies[node.index()].replicas[index];
            let service = self.scene.replicas[replica as usize].service;
            if self.scene.bodies[node.index()].alive && self.scene.seat(service, peer).is_some() {
                self.receive(node, Parcel::Link { replica, peer, up });
            }
        }
    }

    /// A running process hears that a connection broke or came back.
    pub(super) fn link_news(&mut self, seat: u32, peer: NodeId, up: bool) {
        let replica = &self.scene.replicas[seat as usize];
        let (service, node) = (replica.service, replica.node);
        if up {
            self.trace(&TraceEvent::LinkUp { service, node, peer });
            self.step(seat, Input::LinkUp(peer));
        } else {
            self.trace(&TraceEvent::LinkDown { service, node, peer });
            self.step(seat, Input::LinkDown(peer));
        }
    }
}
