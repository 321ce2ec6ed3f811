//! A replica: the crate's node, what the adapter knows beside it, its start and its clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;

use raft::eraftpb::ConfState;
use raft::{RawNode, ReadOnlyOption, StateRole};

use super::membership::{Identity, voters_of};
use super::requests::InHand;
use super::storage::{Image, Log};
use super::{AfterDiskLoss, Config, Cx, Reads, Record, Timer};
use crate::hash;
use crate::id::NodeId;
use crate::machine::{BootError, Note, WriteId};
use crate::protocols::store::Store;
use crate::time::Duration;

/// Bytes of entries in one message.
const MESSAGE_MAX: u64 = 1 << 20;
/// Messages with entries that may be on their way to one follower.
const IN_FLIGHT_MAX: usize = 256;

/// A `Ready` whose record is not known to be durable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Persisting {
    pub(super) write: WriteId,
    /// The crate's number of it; none: a snapshot of our own, of which the crate need not know.
    pub(super) ready: Option<u64>,
    /// Index of the leader's snapshot in it.
    pub(super) installs: Option<u64>,
}

/// A replica.
pub struct Replica {
    pub(super) config: Rc<Config>,
    pub(super) identity: Identity,
    /// None: the crate panicked. The node stands still until it starts again.
    pub(super) node: Option<RawNode<Log>>,
    /// That it panicked was noted.
    pub(super) stopped: bool,
    pub(super) store: Store,
    pub(super) applied: u64,
    /// The configuration, and the entry (or snapshot) that it came with.
    pub(super) conf: ConfState,
    pub(super) conf_index: u64,
    voters: Vec<NodeId>,

    pub(super) persisting: VecDeque<Persisting>,
    pub(super) next_write: u64,
    /// Applied entries since the last snapshot.
    pub(super) since_snapshot: u64,
    /// The state of a snapshot that was handed to the crate: (index, term).
    pub(super) incoming: Option<(u64, u64, Rc<Store>)>,
    /// Snapshots on their way, by receiver, with their index.
    pub(super) shipped: BTreeMap<Identity, u64>,
    /// Peers whose connection is known to be broken.
    pub(super) broken: BTreeSet<NodeId>,

    /// Keys the election timeouts of this start.
    salt: u64,
    campaigns: u64,
    ticks: u64,
    /// The term in which it leads, and whom it was known to follow.
    pub(super) leads_in: Option<u64>,
    pub(super) followed: Option<NodeId>,

    pub(super) in_hand: InHand,
    /// The set of replicas that the operator asked for, until it is there.
    pub(super) wanted: Option<Vec<NodeId>>,
    /// Whom the leadership is being transferred to, for that.
    pub(super) heir: Option<NodeId>,
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
        let is_newcomer = !config.group.members.contains(&config.group.me);
        match (log.identity(), config.options.after_disk_loss) {
            (Some(identity), _) => {
                replica.restart(log, identity);
                if !replica.is_member() {
                    replica.ask_for_a_place(cx);
                }
            }
            (None, _) if is_newcomer => {
                let another = Identity::another(config.group.me, cx.rng);
                replica.begin_anew(another, cx);
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
            heir: None,
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

    /// At a leader: the voters whose log holds all that is committed, ascending.
    pub(super) fn synced(&self) -> Vec<NodeId> {
        let Some(node) = self.node.as_ref().filter(|node| node.raft.state == StateRole::Leader) else {
            return Vec::new();
        };
        let raft = &node.raft;
        let holds =
            |one: &Identity| raft.prs().get(one.0).is_some_and(|progress| progress.matched >= raft.raft_log.committed);
        let mut synced: Vec<NodeId> = voters_of(&self.conf).into_iter().filter(holds).map(Identity::node).collect();
        synced.sort_unstable();
        synced.dedup();
        synced
    }

    /// Raft keeps no order of preference: who leads does so until another is asked for.
    pub(super) fn leader_first(&self, members: &[NodeId]) -> Vec<NodeId> {
        let leader = self.leader().filter(|leader| members.contains(leader));
        let others = members.iter().copied().filter(|&node| leader != Some(node));
        leader.into_iter().chain(others).collect()
    }

    /// Whether this identity votes.
    pub(super) fn is_member(&self) -> bool {
        let is_me = |id: &u64| *id == self.identity.0;
        self.node.is_some() && (self.conf.voters.iter().any(is_me) || self.conf.voters_outgoing.iter().any(is_me))
    }

    /// Whether it waits for a place with an empty log.
    pub(super) fn has_nothing(&self) -> bool {
        self.node.is_some() && !self.is_member() && self.applied == 0
    }

    /// Whether it has a configuration, and this identity has no part in it.
    pub(super) fn has_no_part(&self) -> bool {
        self.node.is_some() && !self.conf.voters.is_empty() && !has(&self.conf, self.identity)
    }

    /// The configuration, at a leader that has applied all that was decided before its term and has no change
    /// under way.
    pub(super) fn settled_conf(&self) -> Option<ConfState> {
        (self.may_change() && self.conf.voters_outgoing.is_empty()).then(|| self.conf.clone())
    }

    /// Whether it leads in a joint configuration that nobody is about to leave.
    pub(super) fn rests_in_joint(&self) -> bool {
        !self.conf.voters_outgoing.is_empty() && self.may_change()
    }

    fn may_change(&self) -> bool {
        self.node.as_ref().is_some_and(|node| {
            let raft = &node.raft;
            let settled = raft.apply_to_current_term() && !raft.has_pending_conf();
            raft.state == StateRole::Leader && settled && raft.lead_transferee.is_none()
        })
    }

    pub(super) fn set_conf(&mut self, conf: ConfState, index: u64) {
        self.voters = voters_of(&conf).into_iter().map(Identity::node).collect();
        self.voters.sort_unstable();
        self.voters.dedup();
        self.conf = conf;
        self.conf_index = index;
    }

    /// The applied state is that of a snapshot.
    pub(super) fn adopt(&mut self, image: &Image) {
        self.store = (*image.store).clone();
        self.applied = image.index;
        self.since_snapshot = 0;
        self.set_conf(image.conf.clone(), image.index);
    }

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
        self.pursue();
    }

    /// A snapshot of the leader is not durable yet.
    pub(super) fn installs(&self) -> bool {
        self.persisting.iter().any(|one| one.installs.is_some())
    }
}

/// Whether an identity has any part in a configuration.
pub(super) fn has(conf: &ConfState, one: Identity) -> bool {
    [&conf.voters, &conf.voters_outgoing, &conf.learners, &conf.learners_next].iter().any(|ids| ids.contains(&one.0))
}
