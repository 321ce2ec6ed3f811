//! Clients as a state machine without input or output of its own: what the users of a place and their
//! client library do, from an arrival to its final answer.
//!
//! The driver passes time, answers and notices in, and carries out the [`Act`]s that come out. An attempt
//! is assumed to travel on a connection: the network may lose or delay it, but a server meets it at most
//! once. So a refusal means that this attempt was not, and will not be, executed.

use crate::history::{Event, What};
use crate::id::{ClientId, DcId, NodeId, ServiceId};
use crate::op::{Done, Op, Outcome, Request, Tip, WriteKey};
use crate::rng::{Draws, Stream};
use crate::time::{Duration, SimTime};

use super::arrival::Arrivals;
use super::mix::Mix;
use super::profile::Curve;
use super::servers::{Round, Servers};
use super::session::{Past, Session};
use super::{Load, Service};

/// The longest first backoff; it doubles with each one of a request.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_MOST: Duration = Duration::from_millis(500);
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
        let Plan { services, loads, longitudes, round_trips, start, end } = plan;
        let mut clients = Self {
            mixes: Vec::new(),
            groups: Vec::new(),
            first_groups: Vec::new(),
            sessions: Vec::new(),
            remembered: 0,
            tables: Vec::new(),
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
        let known = self.tables.iter().position(|table| table.place == place && table.service == id);
        let index = known.unwrap_or_else(|| {
            let mut servers = Servers::default();
            for &node in &service.replicas {
                servers.add(node, self.round_trips[place.index()][node.index()]);
            }
            self.tables.push(Table { place, service: id, servers, free: Vec::new() });
            self.tables.len() - 1
        });
        index as u32
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
                    if hint.is_none() {
                        self.slots[ticket.slot as usize].round.nobody_leads();
                    }
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

/// Attempts.
impl Clients {
    /// Sends the request to the next server, `hint` before any other, or backs off.
    fn try_next(&mut self, now: SimTime, index: u32, hint: Option<u16>, out: &mut Vec<Act>) {
        let slot = &mut self.slots[index as usize];
        let servers = &self.tables[slot.table as usize].servers;
        let followed = hint.and_then(|hint| servers.follow(hint, &mut slot.round, now));
        let next = followed.or_else(|| servers.next(&slot.round, now));
        match next {
            Some(server) if slot.attempt < u16::MAX => self.send(now, index, server, out),
            _ => self.back_off(now, index, out),
        }
    }

    fn send(&mut self, now: SimTime, index: u32, server: u16, out: &mut Vec<Act>) {
        let slot = &mut self.slots[index as usize];
        let table = &self.tables[slot.table as usize];
        let session = &self.sessions[slot.client.index()];
        slot.state = State::Waiting;
        slot.attempt += 1;
        slot.server = server;
        slot.sent = now;
        slot.carried = if slot.tokenless { None } else { session.token() };
        slot.round.try_server(server);
        slot.unresolved.push(slot.attempt);
        let request = Request {
            client: slot.client,
            number: slot.number,
            op: slot.op,
            floor: session.floor(),
            token: slot.carried,
            fresh: session.fresh(),
        };
        let ticket = Ticket { slot: index, generation: slot.generation };
        let (attempt, node) = (slot.attempt, table.servers.node(server));
        let (place, service) = (table.place, table.service);
        out.push(Act::Send { place, server: node, service, ticket, attempt, request });
        let patience = self.loads[slot.load as usize].attempt_timeout + table.servers.round_trip(server).scale(3, 2);
        if now + patience < slot.deadline {
            out.push(Act::At(now + patience, Wake::Attempt { ticket, attempt }));
        }
    }

    /// Waits for a while before a new round: full jitter, keyed by request and attempt. A request that
    /// would wait past its deadline only waits for that.
    fn back_off(&mut self, now: SimTime, index: u32, out: &mut Vec<Act>) {
        let slot = &mut self.slots[index as usize];
        slot.state = State::BackingOff;
        slot.round.clear();
        let most = BACKOFF_FIRST.saturating_mul(1 << slot.backoffs.min(10)).min(BACKOFF_MOST);
        slot.backoffs += 1;
        let request = u64::from(slot.client.0) << 32 | u64::from(slot.number);
        let bits = self.jitter.bits(request, u64::from(slot.attempt) << 1 | u64::from(slot.op.is_read()));
        let at = now + most.scale(bits >> 32, 1 << 32);
        if at < slot.deadline && slot.attempt < u16::MAX {
            let ticket = Ticket { slot: index, generation: slot.generation };
            out.push(Act::At(at, Wake::Retry { ticket }));
        }
    }

    /// The server of an attempt has said that it did not execute it. True if it is the one waited for.
    fn resolve(&mut self, index: u32, attempt: u16) -> bool {
        let slot = &mut self.slots[index as usize];
        slot.unresolved.retain(|&open| open != attempt);
        slot.state == State::Waiting && slot.attempt == attempt
    }

    /// The index of a server that another one named, which the table may not have known.
    fn introduce(&mut self, index: u32, node: NodeId) -> Option<u16> {
        let table = &mut self.tables[self.slots[index as usize].table as usize];
        let round_trip = self.round_trips[table.place.index()].get(node.index())?;
        Some(table.servers.add(node, *round_trip))
    }

    /// A server does not cover what the session has seen: the client notes it, and asks the same server
    /// again without the token.
    fn regress(&mut self, now: SimTime, index: u32, attempt: u16, server: u16, out: &mut Vec<Act>) {
        if !self.resolve(index, attempt) {
            return;
        }
        let slot = &self.slots[index as usize];
        let node = self.tables[slot.table as usize].servers.node(server);
        out.push(Act::Event(self.event(now, slot, What::Regressed { server: node })));
        let slot = &mut self.slots[index as usize];
        self.sessions[slot.client.index()].drop_token(slot.carried);
        if std::mem::replace(&mut slot.tokenless, true) || slot.attempt == u16::MAX {
            // It says so of a request without a token: ask elsewhere rather than for ever.
            self.try_next(now, index, None, out);
        } else {
            self.send(now, index, server, out);
        }
    }
}

/// Ends of requests.
impl Clients {
    fn succeed(&mut self, now: SimTime, index: u32, server: u16, done: Done, out: &mut Vec<Act>) {
        let slot = &self.slots[index as usize];
        let servers = &mut self.tables[slot.table as usize].servers;
        if slot.op.is_read() {
            servers.read(server, &slot.round, now);
        } else {
            servers.wrote(server);
        }
        self.sessions[slot.client.index()].done(slot.op, done.answer, done.token);
        let Done { answer, token, epoch, degraded, .. } = done;
        let what = What::Ok { answer, server: servers.node(server), epoch, token, degraded };
        self.finish(now, index, what, out);
    }

    /// The deadline: the outcome is unknown if any attempt may have been, or may still be, executed.
    fn give_up(&mut self, now: SimTime, ticket: Ticket, out: &mut Vec<Act>) {
        let slot = &self.slots[ticket.slot as usize];
        if slot.generation != ticket.generation || slot.state == State::Free {
            return;
        }
        // A deadline shorter than the patience with one attempt must not hide a silent server for ever.
        let waited = now.since(slot.sent);
        if slot.state == State::Waiting && waited + waited >= slot.deadline.since(slot.invoked) {
            self.tables[slot.table as usize].servers.silent(slot.server, slot.sent, now);
        }
        self.fail(now, ticket.slot, out);
    }

    /// Ends a request without success.
    fn fail(&mut self, now: SimTime, index: u32, out: &mut Vec<Act>) {
        let executed = !self.slots[index as usize].unresolved.is_empty();
        self.finish(now, index, if executed { What::Info } else { What::Fail }, out);
    }

    /// The session expired. It is opened again, which promises that no earlier write is pending: so all
    /// of its open writes end here.
    fn lose_session(&mut self, now: SimTime, index: u32, out: &mut Vec<Act>) {
        let client = self.slots[index as usize].client;
        self.fail(now, index, out);
        for other in self.sessions[client.index()].open_slots() {
            self.fail(now, other, out);
        }
        self.sessions[client.index()].lost();
    }

    /// The answer is that the write was executed once and then revoked.
    fn learn_revoked(&mut self, now: SimTime, index: u32, server: u16, out: &mut Vec<Act>) {
        let slot = &self.slots[index as usize];
        let write = WriteKey { client: slot.client, number: slot.number };
        let is_read = slot.op.is_read();
        let table = &self.tables[slot.table as usize];
        let (place, service, server) = (table.place, table.service, table.servers.node(server));
        if !is_read {
            let group = self.group_of(write.client).expect("a slot names a client that exists");
            self.note_revoked(now, group, server, write, out);
            out.push(Act::Acknowledge { place, server, service, write });
        }
        self.finish(now, index, What::Fail, out);
    }

    /// Tells the history that a write was revoked, unless it knows.
    fn note_revoked(&mut self, now: SimTime, group: usize, server: NodeId, write: WriteKey, out: &mut Vec<Act>) {
        let Group { load, place, service, .. } = self.groups[group];
        let session = &mut self.sessions[write.client.index()];
        let Some(past) = session.past(write.number) else { return };
        if session.revoke(write.number) {
            let op = self.mixes[load as usize].write(write.client, write.number, |_| past.expect);
            let (client, number, invoked) = (write.client, write.number, past.invoked);
            let what = What::Revoked { server };
            out.push(Act::Event(Event { at: now, service, place, client, number, op, invoked, what }));
        }
    }

    /// Ends a request and frees its slot for another, under a new generation.
    fn finish(&mut self, now: SimTime, index: u32, what: What, out: &mut Vec<Act>) {
        let slot = &self.slots[index as usize];
        out.push(Act::Event(self.event(now, slot, what)));
        let slot = &mut self.slots[index as usize];
        slot.state = State::Free;
        slot.generation = slot.generation.wrapping_add(1);
        if !slot.op.is_read() {
            self.sessions[slot.client.index()].close(slot.number);
        }
        self.tables[slot.table as usize].free.push(index);
        self.open -= 1;
    }

    fn event(&self, now: SimTime, slot: &Slot, what: What) -> Event {
        let table = &self.tables[slot.table as usize];
        Event {
            at: now,
            service: table.service,
            place: table.place,
            client: slot.client,
            number: slot.number,
            op: slot.op,
            invoked: slot.invoked,
            what,
        }
    }
}
