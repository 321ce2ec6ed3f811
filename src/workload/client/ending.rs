//! How requests end, and what the history learns of them.

use super::{Act, Clients, Group, Slot, State, Ticket};
use crate::history::{Event, What};
use crate::id::NodeId;
use crate::op::{Done, WriteKey};
use crate::time::SimTime;

impl Clients {
    pub(super) fn succeed(&mut self, now: SimTime, index: u32, server: u16, done: Done, out: &mut Vec<Act>) {
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
    pub(super) fn give_up(&mut self, now: SimTime, ticket: Ticket, out: &mut Vec<Act>) {
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
    pub(super) fn fail(&mut self, now: SimTime, index: u32, out: &mut Vec<Act>) {
        let executed = !self.slots[index as usize].unresolved.is_empty();
        self.finish(now, index, if executed { What::Info } else { What::Fail }, out);
    }

    /// The session expired. It is opened again, which promises that no earlier write is pending: so all
    /// of its open writes end here.
    pub(super) fn lose_session(&mut self, now: SimTime, index: u32, out: &mut Vec<Act>) {
        let client = self.slots[index as usize].client;
        self.fail(now, index, out);
        for other in self.sessions[client.index()].open_slots() {
            self.fail(now, other, out);
        }
        self.sessions[client.index()].lost();
    }

    /// The answer is that the write was executed once and then revoked.
    pub(super) fn learn_revoked(&mut self, now: SimTime, index: u32, server: u16, out: &mut Vec<Act>) {
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
    pub(super) fn note_revoked(
        &mut self,
        now: SimTime,
        group: usize,
        server: NodeId,
        write: WriteKey,
        out: &mut Vec<Act>,
    ) {
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
    pub(super) fn finish(&mut self, now: SimTime, index: u32, what: What, out: &mut Vec<Act>) {
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

    pub(super) fn event(&self, now: SimTime, slot: &Slot, what: What) -> Event {
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
