//! Drives the crate: its clock, its messages, and its `Ready`s onto the disk and the network.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;

use raft::eraftpb::{self, ConfChangeV2, ConfState, Entry, EntryType, MessageType};
use raft::{RawNode, ReadOnlyOption, SnapshotStatus, StateRole};

use super::membership::{Identity, voters_of};
use super::requests::InHand;
use super::storage::{self, Image, Log};
use super::{AfterDiskLoss, Config, Cx, Message, Reads, Record, Timer, codec};
use crate::hash;
use crate::id::NodeId;
use crate::machine::{BootError, Effect, Note, WriteId};
use crate::protocols::store::Store;
use crate::time::Duration;

/// Bytes of entries in one message.
const MESSAGE_MAX: u64 = 1 << 20;
/// Messages with entries that may be on their way to one follower.
const IN_FLIGHT_MAX: usize = 256;

/// A `Ready` whose record is not known to be durable.
#[derive(Clone, Copy, Debug)]
struct Persisting {
    write: WriteId,
    /// The crate's number of it; none: a snapshot of our own, of which the crate need not know.
    ready: Option<u64>,
    /// Index of the leader's snapshot in it.
    installs: Option<u64>,
}

/// A replica.
pub struct Replica {
    pub(super) config: Rc<Config>,
    pub(super) identity: Identity,
    /// None: the crate panicked. The node stands still until it starts again.
    node: Option<RawNode<Log>>,
    /// That it panicked was noted.
    stopped: bool,
    pub(super) store: Store,
    applied: u64,
    /// The configuration, and the entry (or snapshot) that it came with.
    conf: ConfState,
    pub(super) conf_index: u64,
    voters: Vec<NodeId>,

    persisting: VecDeque<Persisting>,
    next_write: u64,
    /// Applied entries since the last snapshot.
    since_snapshot: u64,
    /// The state of a snapshot that was handed to the crate: (index, term).
    incoming: Option<(u64, u64, Rc<Store>)>,
    /// Snapshots on their way, by receiver, with their index.
    shipped: BTreeMap<Identity, u64>,
    /// Peers whose connection is known to be broken.
    broken: BTreeSet<NodeId>,

    /// Keys the election timeouts of this start.
    salt: u64,
    campaigns: u64,
    ticks: u64,
    /// The term in which it leads, and whom it was known to follow.
    leads_in: Option<u64>,
    followed: Option<NodeId>,

    pub(super) in_hand: InHand,
    /// The set of replicas that the operator asked for, until it is there.
    pub(super) wanted: Option<Vec<NodeId>>,
    /// Nodes that wait for a place, each with the identity to add.
    pub(super) asking: BTreeMap<NodeId, Identity>,
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica")
            .field("identity", &self.identity)
            .field("applied", &self.applied)
            .finish_non_exhaustive()
    }
}

impl Replica {
    /// Starts from what the disk holds.
    pub(super) fn start(config: &Rc<Config>, records: &[Record], cx: &mut Cx<'_>) -> Result<Self, BootError> {
        let log = Log::read(&config.group.members, records);
        let first = Identity::first(config.group.me);
        let mut replica = Self::blank(config.clone(), log.identity().unwrap_or(first), cx.rng.bits());
        match (log.identity(), config.options.after_disk_loss) {
            (Some(identity), _) => {
                replica.restart(log, identity);
                if !replica.is_member() {
                    replica.ask_for_a_place(cx);
                }
            }
            (None, AfterDiskLoss::StayOut) => {
                cx.note(Note::SteppedDown { why: "its disk was lost: it stays out until it is added anew" });
                let another = Identity::another(config.group.me, cx.rng);
                replica.begin_anew(another, cx);
            }
            (None, AfterDiskLoss::RejoinEmpty) => {
                cx.note(Note::Corrected("its disk was lost: it comes back empty under its old identity"));
                replica.restart(Log::installed(&config.group.members, first), first);
                replica.write(Record::Installed(first), None, cx);
            }
        }
        replica.pump(cx);
        cx.set_timer(Timer::Tick, config.options.tick);
        Ok(replica)
    }

    fn blank(config: Rc<Config>, identity: Identity, salt: u64) -> Self {
        Self {
            config,
            identity,
            node: None,
            stopped: false,
            store: Store::default(),
            applied: 0,
            conf: ConfState::default(),
            conf_index: 0,
            voters: Vec::new(),
            persisting: VecDeque::new(),
            next_write: 0,
            since_snapshot: 0,
            incoming: None,
            shipped: BTreeMap::new(),
            broken: BTreeSet::new(),
            salt,
            campaigns: 0,
            ticks: 0,
            leads_in: None,
            followed: None,
            in_hand: InHand::default(),
            wanted: None,
            asking: BTreeMap::new(),
        }
    }

    /// The crate begins on this log. What is applied after its snapshot is applied again.
    pub(super) fn restart(&mut self, log: Log, identity: Identity) {
        let image = log.image().clone();
        self.identity = identity;
        self.adopt(&image);
        // What is still on its way to the disk is nothing that the new one knows of.
        self.persisting.iter_mut().for_each(|one| (one.ready, one.installs) = (None, None));
        let config = self.crate_config();
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let made = panic::catch_unwind(AssertUnwindSafe(|| RawNode::new(&config, log, &logger)));
        self.node = made.ok().and_then(Result::ok);
        self.set_timeout();
    }

    fn crate_config(&self) -> raft::Config {
        let options = &self.config.options;
        let ticks = |time: Duration| (time.as_nanos() / options.tick.as_nanos()) as usize;
        let (low, high) = self.timeout_range();
        raft::Config {
            id: self.identity.0,
            election_tick: low,
            heartbeat_tick: ticks(options.heartbeat).max(1),
            applied: self.applied,
            max_size_per_msg: MESSAGE_MAX,
            max_inflight_msgs: IN_FLIGHT_MAX,
            check_quorum: options.check_quorum,
            pre_vote: options.pre_vote,
            min_election_tick: low,
            max_election_tick: high,
            read_only_option: match options.reads {
                Reads::ReadIndex => ReadOnlyOption::Safe,
                Reads::Lease => ReadOnlyOption::LeaseBased,
            },
            skip_bcast_commit: false,
            batch_append: true,
            ..raft::Config::default()
        }
    }

    /// In ticks, the upper end left out; equal ends mean always the lower.
    fn timeout_range(&self) -> (usize, usize) {
        let options = &self.config.options;
        let ticks = |time: Duration| (time.as_nanos() / options.tick.as_nanos()) as usize;
        let (low, high) = options.election_timeout;
        (ticks(low), ticks(high).max(ticks(low) + 1))
    }

    /// The election timeout that belongs to this term and campaign.
    pub(super) fn timeout(&self) -> usize {
        let (low, high) = self.timeout_range();
        let drawn = hash::of([self.salt, self.term(), self.campaigns]);
        low + (drawn % (high - low) as u64) as usize
    }

    /// The crate may have drawn another from the thread's random numbers.
    fn set_timeout(&mut self) {
        let timeout = self.timeout();
        if let Some(node) = &mut self.node {
            node.raft.set_randomized_election_timeout(timeout);
        }
    }

    /// Calls the crate. If it panics, this node stands still from now on.
    pub(super) fn call<T>(&mut self, work: impl FnOnce(&mut RawNode<Log>) -> T) -> Option<T> {
        let node = self.node.as_mut()?;
        let done = panic::catch_unwind(AssertUnwindSafe(|| work(node))).ok();
        if done.is_none() {
            self.node = None;
        }
        self.set_timeout();
        done
    }

    pub(super) const fn node(&self) -> Option<&RawNode<Log>> {
        self.node.as_ref()
    }

    pub(super) fn term(&self) -> u64 {
        self.node.as_ref().map_or(0, |node| node.raft.term)
    }

    pub(super) fn leads(&self) -> bool {
        self.node.as_ref().is_some_and(|node| node.raft.state == StateRole::Leader)
    }

    pub(super) fn campaigns(&self) -> bool {
        let of = |node: &RawNode<Log>| matches!(node.raft.state, StateRole::Candidate | StateRole::PreCandidate);
        self.node.as_ref().is_some_and(of)
    }

    /// Whom it follows; itself if it leads.
    pub(super) fn leader(&self) -> Option<NodeId> {
        let leader = self.node.as_ref().map_or(0, |node| node.raft.leader_id);
        (leader != raft::INVALID_ID).then(|| Identity(leader).node())
    }

    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    pub(super) const fn applied_index(&self) -> u64 {
        self.applied
    }

    /// The nodes that vote, ascending.
    pub(super) fn voters(&self) -> &[NodeId] {
        &self.voters
    }

    /// Whether this identity votes.
    pub(super) fn is_member(&self) -> bool {
        let is_me = |id: &u64| *id == self.identity.0;
        self.node.is_some() && (self.conf.voters.iter().any(is_me) || self.conf.voters_outgoing.iter().any(is_me))
    }

    /// Whether it has a configuration, and this identity has no part in it.
    pub(super) fn has_no_part(&self) -> bool {
        self.node.is_some() && !self.conf.voters.is_empty() && !has(&self.conf, self.identity)
    }

    /// The configuration, at a leader that has applied all that was decided before its term and has no change
    /// under way.
    pub(super) fn settled_conf(&self) -> Option<ConfState> {
        let raft = &self.node.as_ref()?.raft;
        let settled = raft.state == StateRole::Leader
            && raft.apply_to_current_term()
            && !raft.has_pending_conf()
            && raft.lead_transferee.is_none()
            && self.conf.voters_outgoing.is_empty();
        settled.then(|| self.conf.clone())
    }

    fn set_conf(&mut self, conf: ConfState, index: u64) {
        self.voters = voters_of(&conf).into_iter().map(Identity::node).collect();
        self.voters.sort_unstable();
        self.voters.dedup();
        self.conf = conf;
        self.conf_index = index;
    }

    /// The applied state is that of a snapshot.
    fn adopt(&mut self, image: &Image) {
        self.store = (*image.store).clone();
        self.applied = image.index;
        self.since_snapshot = 0;
        self.set_conf(image.conf.clone(), image.index);
    }

    // Time.

    pub(super) fn tick(&mut self, cx: &mut Cx<'_>) {
        if self.node.is_none() {
            return;
        }
        cx.set_timer(Timer::Tick, self.config.options.tick);
        self.ticks += 1;
        if self.installs() {
            return;
        }
        let led = self.leads();
        self.call(RawNode::tick);
        // Only a tick that begins a campaign leaves the count of a node that does not lead at nothing.
        let begins = |node: &RawNode<Log>| node.raft.election_elapsed == 0 && node.raft.promotable();
        if !led && self.node.as_ref().is_some_and(begins) {
            self.campaigns += 1;
            self.set_timeout();
            let asks = u64::from(self.node.as_ref().is_some_and(|node| node.raft.state == StateRole::PreCandidate));
            cx.note(Note::Campaigns { term: self.term() + asks });
        }
        if !self.is_member() && self.ticks.is_multiple_of(self.timeout_range().0 as u64) {
            self.ask_for_a_place(cx);
        }
        self.pursue(cx);
    }

    /// A snapshot of the leader is not durable yet.
    fn installs(&self) -> bool {
        self.persisting.iter().any(|one| one.installs.is_some())
    }

    // Messages.

    pub(super) fn message(&mut self, from: NodeId, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Raft { message, image } => self.raft_message(from, *message, image, cx),
            Message::Arrived { from: identity, index } => {
                if identity.node() == from && self.shipped.get(&identity) == Some(&index) {
                    self.shipped.remove(&identity);
                    self.call(|node| node.report_snapshot(identity.0, SnapshotStatus::Finish));
                }
            }
            Message::Join { identity } => self.joins(from, identity, cx),
            Message::Removed { identity, index } => self.removed(identity, index, cx),
            Message::Reconfigure { set } => self.reconfigure(set, cx),
        }
    }

    fn raft_message(&mut self, from: NodeId, message: eraftpb::Message, image: Option<Rc<Store>>, cx: &mut Cx<'_>) {
        let sender = Identity(message.from);
        if message.to != self.identity.0 || sender.node() != from {
            return cx.note(Note::Refused("a message for another identity"));
        }
        let kind = message.get_msg_type();
        if self.installs() && kind == MessageType::MsgTimeoutNow {
            return;
        }
        if let (MessageType::MsgSnapshot, Some(store)) = (kind, image) {
            let metadata = message.get_snapshot().get_metadata();
            self.incoming = Some((metadata.index, metadata.term, store));
            cx.send(from, Message::Arrived { from: self.identity, index: metadata.index });
        }
        // The last word of a node is who it is.
        if self.asking.get(&from).is_some_and(|&asks| asks != sender) {
            self.asking.remove(&from);
        }
        if !has(&self.conf, sender) && self.settled_conf().is_some() {
            self.tell_removed(sender, cx);
        }
        // What is not for the crate to act on, such as an answer of a peer that was removed, is its to refuse.
        _ = self.call(|node| node.step(message));
    }

    pub(super) fn link_up(&mut self, peer: NodeId) {
        self.broken.remove(&peer);
    }

    pub(super) fn link_down(&mut self, peer: NodeId) {
        self.broken.insert(peer);
        let Some(node) = &self.node else { return };
        let mut lost: Vec<Identity> = node.raft.prs().iter().map(|(&id, _)| Identity(id)).collect();
        lost.retain(|one| one.node() == peer && *one != self.identity);
        lost.sort_unstable();
        for one in lost {
            self.call(|node| node.report_unreachable(one.0));
            if self.shipped.remove(&one).is_some() {
                self.call(|node| node.report_snapshot(one.0, SnapshotStatus::Failure));
            }
        }
    }

    fn send(&mut self, messages: Vec<eraftpb::Message>, after: Option<WriteId>, cx: &mut Cx<'_>) {
        for message in messages {
            let to = Identity(message.to);
            let image = match (message.get_msg_type(), &self.node) {
                (MessageType::MsgSnapshot, Some(node)) => {
                    let image = node.store().image();
                    debug_assert_eq!(image.index, message.get_snapshot().get_metadata().index);
                    self.shipped.insert(to, image.index);
                    Some(image.store.clone())
                }
                _ => None,
            };
            let message = Message::Raft { message: Box::new(message), image };
            cx.effects.push(Effect::Send { to: to.node(), message, after });
        }
    }

    /// Snapshots that were handed to a connection known to be broken did not leave.
    fn report_unsent(&mut self) {
        let unsent: Vec<Identity> =
            self.shipped.keys().copied().filter(|to| self.broken.contains(&to.node())).collect();
        for to in unsent {
            self.shipped.remove(&to);
            self.call(|node| node.report_snapshot(to.0, SnapshotStatus::Failure));
        }
    }

    // The disk.

    pub(super) fn last_write(&self) -> Option<WriteId> {
        self.persisting.back().map(|one| one.write)
    }

    pub(super) fn write(&mut self, record: Record, ready: Option<(u64, Option<u64>)>, cx: &mut Cx<'_>) {
        self.next_write += 1;
        let write = WriteId(self.next_write);
        let (ready, installs) = ready.map_or((None, None), |(number, installs)| (Some(number), installs));
        self.persisting.push_back(Persisting { write, ready, installs });
        cx.effects.push(match record {
            Record::Installed(_) | Record::Append { .. } => Effect::Write { id: write, record },
            Record::Joining(_) | Record::Snapshot { .. } => Effect::Checkpoint { id: write, record },
        });
    }

    pub(super) fn written(&mut self, id: WriteId) {
        let (mut ready, mut installed) = (None, None);
        while let Some(one) = self.persisting.front().copied().filter(|one| one.write <= id) {
            self.persisting.pop_front();
            ready = one.ready.or(ready);
            installed = one.installs.or(installed);
        }
        if let Some(number) = ready {
            self.call(|node| node.on_persist_ready(number));
        }
        if let Some(index) = installed {
            self.call(|node| node.advance_apply_to(index));
        }
    }

    /// Everything up to here as one record, which replaces all others.
    fn snapshot_record(&self) -> Option<Record> {
        let log = self.node.as_ref()?.store();
        Some(Record::Snapshot {
            identity: self.identity,
            hard_state: log.hard_state().clone(),
            image: log.image().clone(),
            entries: log.after(log.image().index).to_vec(),
        })
    }

    /// Enough was applied: a snapshot replaces the log (paper, section 7).
    fn take_snapshot(&mut self, cx: &mut Cx<'_>) {
        if self.since_snapshot < self.config.options.snapshot_entries || self.installs() {
            return;
        }
        self.since_snapshot = 0;
        let (index, conf, image) = (self.applied, self.conf.clone(), self.store.image());
        self.call(|node| node.mut_store().compact(index, conf, image));
        if let Some(record) = self.snapshot_record() {
            cx.note(Note::Snapshot { length: self.store.tip().length });
            self.write(record, None, cx);
        }
    }

    // What the crate has for its user.

    /// Handles everything that is ready, and what follows from it.
    pub(super) fn pump(&mut self, cx: &mut Cx<'_>) {
        self.handle_everything(cx);
        // Reads that waited for the first commit of a term are asked for only now.
        self.answer_reads(cx);
        self.handle_everything(cx);
        self.note_leadership(cx);
        self.leave_if_removed(cx);
        self.take_snapshot(cx);
        if self.node.is_none() && !std::mem::replace(&mut self.stopped, true) {
            cx.note(Note::SteppedDown { why: "the crate panicked: it stands still until it starts again" });
        }
    }

    fn handle_everything(&mut self, cx: &mut Cx<'_>) {
        while self.node.as_ref().is_some_and(RawNode::has_ready) {
            self.handle_ready(cx);
            self.report_unsent();
        }
    }

    /// One `Ready`, in the order that the crate's documentation gives.
    fn handle_ready(&mut self, cx: &mut Cx<'_>) {
        let Some(mut ready) = self.call(RawNode::ready) else { return };
        self.send(ready.take_messages(), None, cx);
        let installs = self.install(&ready, cx);
        let entries = ready.take_entries();
        if let Some(node) = &mut self.node {
            let log = node.mut_store();
            log.append(&entries);
            if let Some(hard_state) = ready.hs() {
                log.set_hard_state(hard_state.clone());
            }
        }
        let number = ready.number();
        if ready.must_sync() {
            self.persist(number, installs, entries, cx);
        } else if let Some(last) = self.persisting.back() {
            // Not to be known as persisted before what came before it.
            let write = last.write;
            self.persisting.push_back(Persisting { write, ready: Some(number), installs: None });
        }
        self.send(ready.take_persisted_messages(), self.last_write(), cx);
        for read in ready.take_read_states() {
            self.confirmed(&read.request_ctx, read.index);
        }
        let committed = ready.take_committed_entries();
        self.call(|node| node.advance_append_async(ready));
        if self.persisting.is_empty() {
            self.call(|node| node.on_persist_ready(number));
        }
        self.apply(&committed, cx);
    }

    fn persist(&mut self, number: u64, installs: Option<u64>, entries: Vec<Entry>, cx: &mut Cx<'_>) {
        let Some(node) = &self.node else { return };
        let record = match installs {
            Some(_) => self.snapshot_record(),
            None => Some(Record::Append { hard_state: node.store().hard_state().clone(), entries }),
        };
        if let Some(record) = record {
            self.write(record, Some((number, installs)), cx);
        }
    }

    /// Takes over the state of the leader's snapshot. Gives its index.
    fn install(&mut self, ready: &raft::Ready, cx: &mut Cx<'_>) -> Option<u64> {
        if ready.snapshot().is_empty() {
            return None;
        }
        let metadata = ready.snapshot().get_metadata();
        let (index, term, store) = self.incoming.take().expect("a snapshot comes with its state");
        assert_eq!((index, term), (metadata.index, metadata.term), "the state is of another snapshot");
        let image = Rc::new(Image { index, term, conf: metadata.get_conf_state().clone(), store });
        self.adopt(&image);
        if let Some(node) = &mut self.node {
            node.mut_store().install(image);
        }
        cx.note(Note::Snapshot { length: self.store.tip().length });
        Some(index)
    }

    /// Applies committed entries.
    fn apply(&mut self, entries: &[Entry], cx: &mut Cx<'_>) {
        let Some(last) = entries.last() else { return };
        for entry in entries {
            let answer = storage::apply(&mut self.store, entry);
            self.applied = entry.index;
            self.since_snapshot += 1;
            match codec::command(entry) {
                Some(command) => self.applied(&command, answer, cx),
                None if entry.get_entry_type() == EntryType::EntryNormal => {}
                None => self.apply_change(entry, cx),
            }
        }
        let index = last.index;
        self.call(|node| node.advance_apply_to(index));
    }

    fn apply_change(&mut self, entry: &Entry, cx: &mut Cx<'_>) {
        let mut change = ConfChangeV2::default();
        if protobuf::Message::merge_from_bytes(&mut change, &entry.data).is_err() {
            return cx.note(Note::Refused("a membership change that cannot be read"));
        }
        let Some(Ok(conf)) = self.call(|node| node.apply_conf_change(&change)) else {
            return cx.note(Note::Refused("a membership change that does not fit"));
        };
        let before = voters_of(&self.conf);
        self.set_conf(conf, entry.index);
        // A newcomer takes no snapshot whose configuration lacks it, so the next one is due at once.
        self.since_snapshot = self.since_snapshot.max(self.config.options.snapshot_entries);
        if before != voters_of(&self.conf) {
            cx.note(Note::ReplicaSet(self.voters.clone()));
        }
    }

    /// Notes who leads now, and lets go of what only a leader can finish.
    fn note_leadership(&mut self, cx: &mut Cx<'_>) {
        let leads_in = self.leads().then(|| self.term());
        if leads_in != self.leads_in {
            if self.leads_in.is_some() {
                self.give_up_requests(cx);
                self.shipped.clear();
            }
            self.leads_in = leads_in;
            if let Some(term) = leads_in {
                cx.note(Note::Elected { term });
            }
        }
        let leader = self.leader();
        if leader != self.followed {
            self.followed = leader;
            if let Some(leader) = leader.filter(|_| leads_in.is_none()) {
                cx.note(Note::Follows(leader));
            }
        }
        self.pass_on(cx);
    }
}

fn has(conf: &ConfState, one: Identity) -> bool {
    [&conf.voters, &conf.voters_outgoing, &conf.learners, &conf.learners_next].iter().any(|ids| ids.contains(&one.0))
}
