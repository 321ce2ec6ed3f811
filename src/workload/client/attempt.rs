//! From one server to the next: attempts, redirects, backoffs.

use super::{Act, Clients, State, Ticket, Wake};
use crate::history::What;
use crate::id::NodeId;
use crate::op::Request;
use crate::time::{Duration, SimTime};

/// The longest first backoff; it doubles with each one of a request.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_MOST: Duration = Duration::from_millis(500);

impl Clients {
    /// Sends the request to the next server, `hint` before any other, or backs off.
    pub(super) fn try_next(&mut self, now: SimTime, index: u32, hint: Option<u16>, out: &mut Vec<Act>) {
        let slot = &mut self.slots[index as usize];
        let servers = &self.tables[slot.table as usize].servers;
        let followed = hint.and_then(|hint| servers.follow(hint, &mut slot.round, now));
        let nearest = slot.op.is_read() && self.loads[slot.load as usize].reads_nearest;
        let next = followed.or_else(|| servers.next(&slot.round, nearest, now));
        match next {
            Some(server) if slot.attempt < u16::MAX => self.send(now, index, server, out),
            _ => self.back_off(now, index, out),
        }
    }

    pub(super) fn send(&mut self, now: SimTime, index: u32, server: u16, out: &mut Vec<Act>) {
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
    pub(super) fn back_off(&mut self, now: SimTime, index: u32, out: &mut Vec<Act>) {
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
    pub(super) fn resolve(&mut self, index: u32, attempt: u16) -> bool {
        let slot = &mut self.slots[index as usize];
        slot.unresolved.retain(|&open| open != attempt);
        self.awaits(index, attempt)
    }

    /// Whether this is the attempt that the request waits for.
    pub(super) fn awaits(&self, index: u32, attempt: u16) -> bool {
        let slot = &self.slots[index as usize];
        slot.state == State::Waiting && slot.attempt == attempt
    }

    /// The index of a server that another one named, which the table may not have known.
    pub(super) fn introduce(&mut self, index: u32, node: NodeId) -> Option<u16> {
        let table = &mut self.tables[self.slots[index as usize].table as usize];
        let round_trip = self.round_trips[table.place.index()].get(node.index())?;
        Some(table.servers.add(node, *round_trip))
    }

    /// A server does not cover what the session has seen. If it was asked because it is near, the primary is asked
    /// instead; else the client notes it, and asks the same server again without the token.
    pub(super) fn regress(&mut self, now: SimTime, index: u32, attempt: u16, server: u16, out: &mut Vec<Act>) {
        if !self.resolve(index, attempt) {
            return;
        }
        let slot = &self.slots[index as usize];
        let servers = &self.tables[slot.table as usize].servers;
        if slot.op.is_read()
            && self.loads[slot.load as usize].reads_nearest
            && let Some(primary) = servers.ahead_of(server, &slot.round, now)
        {
            self.try_next(now, index, Some(primary), out);
            return;
        }
        let node = servers.node(server);
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
