//! Clients: sessions and the fates of their writes, reads, notices.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::rc::Rc;

use super::config::Mutation;
use super::entry::{Cell, Data, Entry, Executed};
use super::options::{Ack, ReadLevel};
use super::state::{Fate, KEYS_MAX};
use super::{Cx, Held, Replica, redirect};
use crate::id::NodeId;
use crate::machine::RequestId;
use crate::op::{Answer, Done, Outcome, Request, Tip, WriteKey};

/// Requests that may wait for a view change to end.
const PARKED_MAX: usize = 10_000;
/// Replications that may wait for the ones before them.
const STASH_MAX: usize = 1_000;
/// Notices of revoked writes sent each P.
const TELL_BATCH: usize = 500;

/// Entries after a position.
type Run = (Tip, Rc<[Rc<Entry>]>);

/// What a replica has in hand for its clients. All of it is volatile.
#[derive(Debug, Default)]
pub struct Desk {
    /// Writes that wait for the ack rule, by position.
    waiting: VecDeque<(u64, Held)>,
    reads: Vec<WaitingRead>,
    /// Requests that wait for the end of a view change.
    parked: VecDeque<Held>,
    /// Revoked writes whose clients have not confirmed the notice.
    untold: BTreeSet<WriteKey>,
    told: BTreeSet<WriteKey>,
    /// The last write whose client was sent a notice: the next batch starts after it.
    last_told: Option<WriteKey>,
    /// Replications that came before the ones they follow.
    stash: BTreeMap<u64, Run>,
    pub retransmit_armed: bool,
    /// The Confirm of the installed view is on every member.
    pub confirmed: bool,
}

/// A read, with what it will answer once that is acknowledged.
#[derive(Clone, Copy, Debug)]
struct WaitingRead {
    held: Held,
    /// Position of the newest write of its key when it arrived.
    needs: u64,
    /// The round of confirmations that it waits for; 0: none.
    probe: u64,
    cell: Cell,
}

impl Desk {
    pub fn stash(&mut self, base: Tip, entries: &[Rc<Entry>]) {
        if self.stash.len() < STASH_MAX && !entries.is_empty() {
            self.stash.insert(base.length, (base, entries.into()));
        }
    }

    /// Overwrites positions, for fault injection.
    pub fn scramble(&mut self, rng: &mut crate::rng::Stream) {
        for (length, _) in &mut self.waiting {
            *length = rng.bits() >> rng.below(64);
        }
        for read in &mut self.reads {
            read.needs = rng.bits() >> rng.below(64);
            read.probe = rng.bits() >> rng.below(64);
        }
        self.confirmed = rng.chance(0.5);
        self.stash.clear();
    }

    /// Revoked writes whose clients are to be told.
    pub fn tell_later(&mut self, writes: impl Iterator<Item = WriteKey>) {
        self.untold.extend(writes.filter(|write| !self.told.contains(write)));
    }

    /// A stashed run that starts at or before `length`.
    pub fn unstash(&mut self, length: u64) -> Option<Run> {
        let first = *self.stash.keys().next().filter(|&&base| base <= length)?;
        self.stash.remove(&first)
    }
}

impl Replica {
    pub(super) fn request(&mut self, id: RequestId, request: Request, cx: &mut Cx<'_>) {
        let held = Held { id, request };
        if request.op.is_read() && self.options().reads == ReadLevel::Any && !self.is_listening(cx.now) {
            self.answer_from_here(held, cx);
        } else if self.is_serving() && !self.is_handing_over() {
            self.serve(held, cx);
        } else if self.incumbent && self.service.parked.len() < PARKED_MAX {
            self.service.parked.push_back(held);
        } else {
            cx.reply(id, redirect(self.hint(cx)));
        }
    }

    /// Where a client should rather ask.
    fn hint(&self, cx: &Cx<'_>) -> Option<NodeId> {
        let leads = |node: &NodeId| {
            self.trusts(*node, cx.now) && self.of(*node).report.as_ref().is_some_and(|report| report.incumbent)
        };
        let primary = self.view.as_ref().map(|view| view.coordinator).filter(|&node| node != self.me());
        let candidate = self.candidate.filter(|&node| node != self.me());
        candidate.filter(leads).or_else(|| primary.filter(leads))
    }

    fn serve(&mut self, held: Held, cx: &mut Cx<'_>) {
        self.load = self.load.saturating_add(1);
        self.tell_on_contact(&held.request, cx);
        if held.request.op.key() >= KEYS_MAX {
            cx.reply(held.id, Outcome::Refused);
        } else if held.request.op.is_read() {
            self.serve_read(held, cx);
        } else {
            self.serve_write(held, cx);
        }
    }

    fn serve_write(&mut self, held: Held, cx: &mut Cx<'_>) {
        let Request { op, client, number, floor, fresh, .. } = held.request;
        let key = held.request.write_key();
        let floor_held = self.log.state().session(client).map_or(0, |session| session.floor);
        match self.log.state().fate(key) {
            // A straggler: the client has its final answer, which was not that this was executed.
            Fate::New if number < floor_held => cx.reply(held.id, Outcome::Refused),
            Fate::New if self.is_expired(&held.request, cx) && !fresh => cx.reply(held.id, Outcome::SessionUnknown),
            Fate::New => {
                self.hlc = (self.hlc + 1).max(cx.wall.as_nanos());
                let (cell, answer) = self.log.state().execute(op);
                let executed = Executed { client, number, floor, op, answer, cell, hlc: self.hlc };
                let length = self.append(Data::Op(executed), cx);
                self.service.waiting.push_back((length, held));
                self.advance(cx);
            }
            Fate::Live(recent) if recent.digest != op.digest() => cx.reply(held.id, Outcome::NumberTaken),
            Fate::Live(recent) if self.mutated(Mutation::AnswerRepeatsAtOnce) || recent.length <= self.acked_length => {
                self.reply_to_write(held, cx);
            }
            Fate::Live(recent) => {
                let place = self.service.waiting.partition_point(|(length, _)| *length <= recent.length);
                self.service.waiting.insert(place, (recent.length, held));
            }
            // A straggler: the client said that it has the answer.
            Fate::Settled => cx.reply(held.id, Outcome::Refused),
            Fate::Revoked => cx.reply(held.id, Outcome::Revoked),
        }
    }

    /// A session expires by logged time.
    fn is_expired(&self, request: &Request, cx: &Cx<'_>) -> bool {
        let expiry = self.options().session_expiry.as_nanos();
        let logged = self.log.state().hlc.min((cx.wall + self.options().clock_skew_max).as_nanos());
        self.log.state().session(request.client).is_some_and(|session| logged.saturating_sub(session.active) > expiry)
    }

    fn serve_read(&mut self, held: Held, cx: &mut Cx<'_>) {
        if let Some(token) = held.request.token
            && self.log.covers_token(token) == Some(false)
        {
            cx.reply(held.id, Outcome::Regressed);
            return;
        }
        let key = held.request.op.key();
        let newest = self.newest_unacknowledged(key);
        // Before anything is acknowledged in this view, its own entry is the prefix to wait for.
        let needs = newest.max(if self.acked_length == 0 { self.view_length } else { 0 });
        let latest = self.options().reads == ReadLevel::Latest && !self.others().is_empty();
        let probe = if latest { self.probe(cx) } else { 0 };
        let read = WaitingRead { held, needs, probe, cell: self.log.state().read(key) };
        if self.is_ready(&read) {
            self.reply_to_read(&read, cx);
        } else {
            self.service.reads.push(read);
        }
    }

    fn newest_unacknowledged(&self, key: u32) -> u64 {
        let entries = self.log.chain().after(self.acked_length);
        let last = entries.iter().rposition(|entry| match &entry.data {
            Data::Op(executed) => executed.op.key() == key,
            Data::Merge(_) => true,
            _ => false,
        });
        last.map_or(0, |at| self.log.length() - entries.len() as u64 + at as u64 + 1)
    }

    fn is_ready(&self, read: &WaitingRead) -> bool {
        let confirmed = || self.others().iter().all(|node| self.of(*node).probe >= read.probe);
        read.needs <= self.acked_length && (read.probe == 0 || confirmed())
    }

    /// Answers whatever the ack rule covers by now.
    pub(super) fn answer_waiting(&mut self, cx: &mut Cx<'_>) {
        while self.service.waiting.front().is_some_and(|(length, _)| *length <= self.acked_length) {
            let (_, held) = self.service.waiting.pop_front().expect("just seen");
            self.reply_to_write(held, cx);
        }
        if self.service.reads.is_empty() {
            return;
        }
        let reads = std::mem::take(&mut self.service.reads);
        let (ready, waiting): (Vec<_>, Vec<_>) = reads.into_iter().partition(|read| self.is_ready(read));
        self.service.reads = waiting;
        for read in ready {
            self.reply_to_read(&read, cx);
        }
    }

    fn reply_to_write(&mut self, held: Held, cx: &mut Cx<'_>) {
        let Fate::Live(recent) = self.log.state().fate(held.request.write_key()) else {
            // Its client said meanwhile that it needs no answer.
            cx.reply(held.id, Outcome::Refused);
            return;
        };
        let chain = self.log.chain();
        let hash = chain.hash_at(recent.length);
        let token = hash.map_or(chain.base.tip, |hash| Tip { length: recent.length, hash });
        cx.reply(held.id, Outcome::Done(self.done(recent.answer, token)));
    }

    fn reply_to_read(&self, read: &WaitingRead, cx: &mut Cx<'_>) {
        let chain = self.log.chain();
        let length = self.acked_length.clamp(chain.base.tip.length, self.log.length());
        let token = Tip { length, hash: chain.hash_at(length).expect("an acknowledged position is retained") };
        let Cell { digest, bytes } = read.cell;
        cx.reply(read.held.id, Outcome::Done(self.done(Answer::Read { digest, bytes }, token)));
    }

    /// Level `any`: from the present state, whatever its age.
    fn answer_from_here(&mut self, held: Held, cx: &mut Cx<'_>) {
        self.load = self.load.saturating_add(1);
        let Cell { digest, bytes } = self.log.state().read(held.request.op.key());
        cx.reply(held.id, Outcome::Done(self.done(Answer::Read { digest, bytes }, self.durable_tip())));
    }

    fn done(&self, answer: Answer, token: Tip) -> Done {
        let holds = |node: &NodeId| *node == self.me() || self.of(*node).matched >= token.length;
        let members = self.view.as_ref().map_or(&[][..], |view| &view.members);
        let holders: Vec<NodeId> = members.iter().copied().filter(holds).collect();
        let mut sites: Vec<_> =
            holders.iter().filter_map(|&node| self.config.peer(node)).map(|peer| peer.data_center).collect();
        sites.sort_unstable();
        sites.dedup();
        let wanted = match self.options().ack {
            Ack::Copies { copies, .. } => usize::from(copies),
            Ack::All | Ack::None => self.log.state().replica_set.len().max(self.config.replica_set.len()),
        };
        let present = match self.options().ack {
            Ack::Copies { .. } => holders.len(),
            Ack::All | Ack::None => members.len(),
        };
        Done {
            answer,
            token,
            epoch: self.view.as_ref().map_or(0, |view| view.epoch),
            degree: holders.len() as u16,
            data_centers: sites.len() as u16,
            degraded: present < wanted,
        }
    }

    /// After a view took effect at its primary: clients in hand are served anew, the journal is told.
    pub(super) fn take_over(&mut self, cx: &mut Cx<'_>) {
        self.service.confirmed = false;
        self.service.stash.clear();
        let state = self.log.state();
        let journal = state.journal().map(|one| one.write).filter(|&write| state.journaled(write));
        self.service.untold = journal.filter(|write| !self.service.told.contains(write)).collect();
        for held in self.drain() {
            self.serve(held, cx);
        }
        self.advance(cx);
        self.tell_revoked(cx);
    }

    /// This node is no longer the primary: whoever waits asks elsewhere.
    pub(super) fn turn_away(&mut self, cx: &mut Cx<'_>) {
        let primary = self.view.as_ref().map(|view| view.coordinator).filter(|&node| node != self.me());
        self.turn_away_to(primary, cx);
    }

    pub(super) fn turn_away_to(&mut self, hint: Option<NodeId>, cx: &mut Cx<'_>) {
        self.service.confirmed = false;
        self.service.stash.clear();
        self.service.untold.clear();
        // What is in the log may yet take effect: nobody may be told that it did not.
        for (_, held) in std::mem::take(&mut self.service.waiting) {
            cx.reply(held.id, Outcome::Unfinished { hint });
        }
        for held in self.drain() {
            cx.reply(held.id, redirect(hint));
        }
    }

    /// Whether requests wait for the end of a view change, or for another primary.
    pub(super) fn has_parked(&self) -> bool {
        !self.service.parked.is_empty()
    }

    /// A freeze ended without a new view: serve on.
    pub(super) fn resume_parked(&mut self, cx: &mut Cx<'_>) {
        if !self.is_serving() {
            return;
        }
        let parked = if self.is_handing_over() { VecDeque::new() } else { std::mem::take(&mut self.service.parked) };
        for held in parked {
            self.serve(held, cx);
        }
        self.advance(cx);
    }

    /// Whether everything in hand waits for positions that exist, writes in order.
    pub(super) fn desk_is_sound(&self) -> bool {
        let length = self.log.length();
        let ordered = self.service.waiting.iter().is_sorted_by_key(|(length, _)| *length);
        let bounded = self.service.waiting.back().is_none_or(|(last, _)| *last <= length);
        ordered && bounded && self.service.reads.iter().all(|read| read.needs <= length && read.probe <= self.probes)
    }

    fn drain(&mut self) -> Vec<Held> {
        let waiting = std::mem::take(&mut self.service.waiting).into_iter().map(|(_, held)| held);
        let reads = std::mem::take(&mut self.service.reads).into_iter().map(|read| read.held);
        let parked = std::mem::take(&mut self.service.parked);
        waiting.chain(reads).chain(parked).collect()
    }

    pub(super) fn tell_revoked(&mut self, cx: &mut Cx<'_>) {
        let untold = &self.service.untold;
        let from = self.service.last_told.map_or(Bound::Unbounded, Bound::Excluded);
        let turn = untold.range((from, Bound::Unbounded)).chain(untold).take(TELL_BATCH.min(untold.len()));
        for &write in turn {
            cx.tell(write.client, write.number);
            self.service.last_told = Some(write);
        }
    }

    /// Notices are repeated on the client's next contact.
    fn tell_on_contact(&self, request: &Request, cx: &mut Cx<'_>) {
        let first = WriteKey { client: request.client, number: 0 };
        let last = WriteKey { client: request.client, number: u32::MAX };
        for write in self.service.untold.range(first..=last).take(4) {
            cx.tell(write.client, write.number);
        }
    }

    pub(super) fn acknowledged_by_client(&mut self, write: WriteKey) {
        if self.service.untold.remove(&write) {
            self.service.told.insert(write);
        }
    }
}
