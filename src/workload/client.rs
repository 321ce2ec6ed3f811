//! Clients as a state machine without input or output of its own: what the users of a place and their
//! client library do, from an arrival to its final answer.
//!
//! The driver passes time, answers and notices in, and carries out the [`Act`]s that come out. An attempt
//! is assumed to travel on a connection: the network may lose or delay it, but a server meets it at most
//! once. So a refusal means that this attempt was not, and will not be, executed.

mod attempt;
#[cfg(test)]
mod dialogue;
mod ending;
#[cfg(test)]
mod moving_stories;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod stories;

use std::collections::BTreeMap;

use crate::history::{Event, What};
use crate::id::{ClientId, DcId, NodeId, ServiceId};
use crate::op::{Op, Outcome, Request, Tip, WriteKey};
use crate::rng::{Draws, Stream};
use crate::time::{Duration, SimTime};

use super::arrival::Arrivals;
use super::mix::Mix;
use super::profile::Curve;
use super::servers::{Round, Servers};
use super::session::{Past, Session};
use super::{Load, Service};

/// Finished writes, over all sessions, whose instants are kept in case they are revoked.
const REMEMBERED: usize = 1 << 20;

/// What the clients do in a run, and where.
pub struct Plan {
    pub services: Vec<Service>,
    pub loads: Vec<Load>,
    /// Degrees, east positive, by place.
    pub longitudes: Vec<f64>,
    /// By place and node.
    pub round_trips: Vec<Vec<Duration>>,
    /// Machines that clients of any service ask where it is, when no replica that they know answers.
    pub doors: Vec<NodeId>,
    /// Arrivals begin here.
    pub start: SimTime,
    /// No request arrives at or after this instant; open ones run to their deadline.
    pub end: SimTime,
}

/// A request in hand. Its slot is used again for a later one, under another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    pub slot: u32,
    pub generation: u32,
}

/// What the clients asked to be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wake {
    /// The next request of a load; `place` is an index into its `from`.
    Arrival { load: u32, place: u32 },
    /// An attempt found no answer in time.
    Attempt { ticket: Ticket, attempt: u16 },
    /// A backoff is over.
    Retry { ticket: Ticket },
    /// The request's time is up.
    Deadline { ticket: Ticket },
}

const _: () = assert!(size_of::<Wake>() <= 16);

/// What the clients want done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Wake them then.
    At(SimTime, Wake),
    /// Carry an attempt of a request from a place to a server.
    Send { place: DcId, server: NodeId, service: ServiceId, ticket: Ticket, attempt: u16, request: Request },
    /// Tell a server that the client knows of the revocation.
    Acknowledge { place: DcId, server: NodeId, service: ServiceId, write: WriteKey },
    /// Part of the history.
    Event(Event),
}

/// All clients of a run.
pub struct Clients {
    loads: Vec<Load>,
    round_trips: Vec<Vec<Duration>>,
    mixes: Vec<Mix>,
    /// One a load and place, in order.
    groups: Vec<Group>,
    /// The first group of each load.
    first_groups: Vec<u32>,
    /// By client.
    sessions: Vec<Session>,
    /// Writes that each session remembers.
    remembered: usize,
    /// One a place and service that has clients there.
    tables: Vec<Table>,
    tables_by_place: BTreeMap<(DcId, ServiceId), u32>,
    doors: Vec<NodeId>,
    slots: Vec<Slot>,
    open: usize,
    jitter: Draws,
}

/// The sessions of one load at one place.
struct Group {
    load: u32,
    place: DcId,
    service: ServiceId,
    table: u32,
    first_client: u32,
    clients: u32,
    arrivals: Arrivals,
    /// Drawn from once an arrival: whose it is, and whether it reads.
    draws: Stream,
}

/// What the clients of one place know of one service.
struct Table {
    place: DcId,
    service: ServiceId,
    servers: Servers,
    /// Slots not in use. A slot stays with its table, so that even an answer that comes too late tells
    /// which place and service it is for.
    free: Vec<u32>,
}

/// A request under way.
#[derive(Clone, Debug)]
struct Slot {
    table: u32,
    generation: u32,
    state: State,
    load: u32,
    client: ClientId,
    number: u32,
    op: Op,
    invoked: SimTime,
    deadline: SimTime,
    /// The last attempt; they are numbered from 1.
    attempt: u16,
    server: u16,
    sent: SimTime,
    /// The token that the last attempt carried.
    carried: Option<Tip>,
    /// A server did not cover the session's token, so this request no longer carries one.
    tokenless: bool,
    backoffs: u32,
    round: Round,
    /// Attempts that a server may have executed, or may still.
    unresolved: Vec<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Waiting,
    BackingOff,
}

impl Clients {
    /// `seed` is the run's.
    pub fn new(plan: Plan, seed: u64) -> Self {
        let Plan { services, loads, longitudes, round_trips, doors, start, end } = plan;
        let mut clients = Self {
            mixes: Vec::new(),
            groups: Vec::new(),
            first_groups: Vec::new(),
            sessions: Vec::new(),
            remembered: 0,
            tables: Vec::new(),
            tables_by_place: BTreeMap::new(),
            doors,
            slots: Vec::new(),
            open: 0,
            jitter: Draws::new(seed, "backoff", &[]),
            loads: Vec::new(),
            round_trips,
        };
        for (index, load) in loads.iter().enumerate() {
            let service = &services[load.service.index()];
            let mix = Mix::new(load, service.application, seed, index as u64);
            clients.first_groups.push(clients.groups.len() as u32);
            for &place in &load.from {
                let ids = [index as u64, u64::from(place.0)];
                let curve = Curve::new(load, place, longitudes[place.index()]);
                let group = Group {
                    load: index as u32,
                    place,
                    service: load.service,
                    table: clients.table(place, load.service, service),
                    first_client: clients.sessions.len() as u32,
                    clients: load.clients,
                    arrivals: Arrivals::new(curve, start, end, seed, ids[0], ids[1]),
                    draws: Stream::new(seed, "request", &ids),
                };
                clients.groups.push(group);
                clients.sessions.extend((0..load.clients).map(|_| Session::new(mix.swaps())));
            }
            clients.mixes.push(mix);
        }
        clients.remembered = (REMEMBERED / clients.sessions.len().max(1)).max(64);
        clients.loads = loads;
        clients
    }

    fn table(&mut self, place: DcId, id: ServiceId, service: &Service) -> u32 {
        let Self { tables, tables_by_place, round_trips, doors, .. } = self;
        *tables_by_place.entry((place, id)).or_insert_with(|| {
            let mut servers = Servers::default();
            let round_trip = |node: NodeId| round_trips[place.index()][node.index()];
            for &node in &service.replicas {
                servers.add(node, round_trip(node));
            }
            for &node in doors.iter() {
                servers.add_door(node, round_trip(node));
            }
            tables.push(Table { place, service: id, servers, free: Vec::new() });
            tables.len() as u32 - 1
        })
    }

    /// Agents tell the clients of a place where a service is, its primary first.
    pub fn published(&mut self, place: DcId, service: ServiceId, replicas: &[NodeId]) {
        let Some(&table) = self.tables_by_place.get(&(place, service)) else { return };
        let round_trips = &self.round_trips[place.index()];
        let known = replicas.iter().filter_map(|&node| Some((node, *round_trips.get(node.index())?)));
        self.tables[table as usize].servers.published(&known.collect::<Vec<_>>());
    }

    /// Asks for the first wakes.
    pub fn start(&mut self, out: &mut Vec<Act>) {
        for group in 0..self.groups.len() {
            self.await_arrival(group, out);
        }
    }

    /// Handles a wake that was asked for. Those of a finished request do nothing.
    pub fn wake(&mut self, now: SimTime, wake: Wake, out: &mut Vec<Act>) {
        match wake {
            Wake::Arrival { load, place } => {
                let group = (self.first_groups[load as usize] + place) as usize;
                self.arrive(now, group, out);
                self.await_arrival(group, out);
            }
            Wake::Attempt { ticket, attempt } => {
                if let Some(slot) = self.find(ticket, State::Waiting)
                    && slot.attempt == attempt
                {
                    let (table, server, sent) = (slot.table, slot.server, slot.sent);
                    self.tables[table as usize].servers.silent(server, sent, now);
                    self.try_next(now, ticket.slot, None, out);
                }
            }
            Wake::Retry { ticket } => {
                if self.find(ticket, State::BackingOff).is_some() {
                    self.try_next(now, ticket.slot, None, out);
                }
            }
            Wake::Deadline { ticket } => self.give_up(now, ticket, out),
        }
    }

    /// An answer to an attempt arrived at the client. One that comes after the request's end tells only
    /// that the server is alive.
    pub fn reply(
        &mut self,
        now: SimTime,
        ticket: Ticket,
        attempt: u16,
        server: NodeId,
        outcome: &Outcome,
        out: &mut Vec<Act>,
    ) {
        let Some(slot) = self.slots.get(ticket.slot as usize) else { return };
        let servers = &mut self.tables[slot.table as usize].servers;
        let Some(server) = servers.index(server) else { return };
        servers.heard(server);
        let replica = servers.is_replica(server);
        let live = slot.generation == ticket.generation && slot.state != State::Free && now < slot.deadline;
        if !live {
            return;
        }
        match *outcome {
            Outcome::Done(done) => self.succeed(now, ticket.slot, server, done, out),
            Outcome::Revoked => self.learn_revoked(now, ticket.slot, server, out),
            Outcome::NumberTaken => {
                self.resolve(ticket.slot, attempt);
                self.fail(now, ticket.slot, out);
            }
            Outcome::SessionUnknown => {
                self.resolve(ticket.slot, attempt);
                self.lose_session(now, ticket.slot, out);
            }
            Outcome::Redirect { hint } => {
                if self.resolve(ticket.slot, attempt) {
                    let hint = hint.and_then(|node| self.introduce(ticket.slot, node));
                    if hint.is_none() && replica {
                        self.slots[ticket.slot as usize].round.nobody_leads();
                    }
                    self.try_next(now, ticket.slot, hint, out);
                }
            }
            // The attempt stays unresolved: it may still take effect.
            Outcome::Unfinished { hint } => {
                if self.awaits(ticket.slot, attempt) {
                    let hint = hint.and_then(|node| self.introduce(ticket.slot, node));
                    self.try_next(now, ticket.slot, hint, out);
                }
            }
            Outcome::Refused => {
                if self.resolve(ticket.slot, attempt) {
                    self.try_next(now, ticket.slot, None, out);
                }
            }
            Outcome::Regressed => self.regress(now, ticket.slot, attempt, server, out),
        }
    }

    /// A replica told, unasked, that a write was revoked. The history learns it once; the replica's
    /// notice is acknowledged each time. A write that no session made (a corrupted notice) is only
    /// acknowledged.
    pub fn told(&mut self, now: SimTime, service: ServiceId, server: NodeId, write: WriteKey, out: &mut Vec<Act>) {
        let Some(group) = self.group_of(write.client) else { return };
        let (place, own) = (self.groups[group].place, self.groups[group].service);
        if own == service {
            let table = &mut self.tables[self.groups[group].table as usize];
            if let Some(index) = table.servers.index(server) {
                table.servers.heard(index);
            }
            self.note_revoked(now, group, server, write, out);
            if let Some(slot) = self.sessions[write.client.index()].slot_of(write.number) {
                self.finish(now, slot, What::Fail, out);
            }
        }
        out.push(Act::Acknowledge { place, server, service, write });
    }

    /// How many sessions there are, over all loads and places.
    pub fn client_count(&self) -> usize {
        self.sessions.len()
    }

    /// Where a client lives.
    ///
    /// # Panics
    /// If there is no such client.
    pub fn place_of(&self, client: ClientId) -> DcId {
        self.groups[self.group_of(client).expect("clients are numbered below client_count")].place
    }

    /// The service that a client uses.
    ///
    /// # Panics
    /// If there is no such client.
    pub fn service_of(&self, client: ClientId) -> ServiceId {
        self.groups[self.group_of(client).expect("clients are numbered below client_count")].service
    }

    /// No request is open.
    pub fn idle(&self) -> bool {
        self.open == 0
    }

    fn group_of(&self, client: ClientId) -> Option<usize> {
        let after = self.groups.partition_point(|group| group.first_client <= client.0);
        (client.index() < self.sessions.len()).then(|| after - 1)
    }

    /// The slot of a ticket, if its request is still open and in this state.
    fn find(&self, ticket: Ticket, state: State) -> Option<&Slot> {
        let slot = &self.slots[ticket.slot as usize];
        (slot.generation == ticket.generation && slot.state == state).then_some(slot)
    }
}

/// Arrivals.
impl Clients {
    fn await_arrival(&mut self, group: usize, out: &mut Vec<Act>) {
        let load = self.groups[group].load;
        if let Some(at) = self.groups[group].arrivals.next() {
            let place = group as u32 - self.first_groups[load as usize];
            out.push(Act::At(at, Wake::Arrival { load, place }));
        }
    }

    fn arrive(&mut self, now: SimTime, group: usize, out: &mut Vec<Act>) {
        let Group { load, table, first_client, clients, ref mut draws, .. } = self.groups[group];
        let client = ClientId(first_client + draws.below(u64::from(clients)) as u32);
        let (mix, deadline) = (&self.mixes[load as usize], self.loads[load as usize].deadline);
        let reads = draws.chance(self.loads[load as usize].reads);
        let index = self.tables[table as usize].free.pop().unwrap_or(self.slots.len() as u32);
        let session = &mut self.sessions[client.index()];
        let (number, op) = if reads {
            let number = session.number_read();
            (number, mix.read(client, number))
        } else {
            let number = session.number_write(index);
            let op = mix.write(client, number, |key| session.known(key));
            let expect = if let Op::CompareAndSwap { expect, .. } = op { expect } else { 0 };
            session.remember(Past { invoked: now, expect }, self.remembered);
            (number, op)
        };
        self.open(index, Slot::new(table, load, client, number, op, now, now + deadline));
        let slot = &self.slots[index as usize];
        let ticket = Ticket { slot: index, generation: slot.generation };
        out.push(Act::Event(self.event(now, slot, What::Invoke)));
        out.push(Act::At(slot.deadline, Wake::Deadline { ticket }));
        self.try_next(now, index, None, out);
    }

    /// Puts a request into a slot, and keeps the slot's generation and buffers.
    fn open(&mut self, index: u32, mut slot: Slot) {
        self.open += 1;
        if index as usize == self.slots.len() {
            self.slots.push(slot);
            return;
        }
        let old = &mut self.slots[index as usize];
        slot.generation = old.generation;
        slot.round = std::mem::take(&mut old.round);
        slot.round.clear();
        slot.unresolved = std::mem::take(&mut old.unresolved);
        slot.unresolved.clear();
        *old = slot;
    }
}

impl Slot {
    fn new(table: u32, load: u32, client: ClientId, number: u32, op: Op, invoked: SimTime, deadline: SimTime) -> Self {
        Self {
            table,
            generation: 0,
            state: State::BackingOff,
            load,
            client,
            number,
            op,
            invoked,
            deadline,
            attempt: 0,
            server: 0,
            sent: invoked,
            carried: None,
            tokenless: false,
            backoffs: 0,
            round: Round::default(),
            unresolved: Vec::new(),
        }
    }
}
