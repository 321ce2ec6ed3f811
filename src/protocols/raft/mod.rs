//! Raft (Ongaro and Ousterhout 2014; Ongaro's thesis 2014), by TiKV's `raft` crate.
//!
//! A majority elects a leader for a term (paper, section 5.2; with Pre-Vote, thesis 9.6). The leader appends
//! writes to its log, replicates them (5.3), and answers once they are committed and applied. Everything
//! that is Raft is the crate's. What stands here is what every user of the crate has to write, and no more:
//!
//! | part | what it does |
//! |---|---|
//! | `replica` | the crate's node, what is known beside it, its start and its clock |
//! | `ready` | what the crate has for its user, onto the disk, into the network, into the state |
//! | `links` | messages, and connections that break |
//! | [`storage`] | what the crate reads back: log, hard state, configuration, the latest snapshot |
//! | [`codec`] | commands as bytes of entries, and what messages and records weigh |
//! | [`membership`] | identities, and the operator's side of membership changes |
//! | `requests` | clients: the desk of writes, and reads until they are known to be current |
//!
//! **Disk.** A step that takes a `Ready` writes its entries and hard state as one record and goes on; several
//! may be under way. Messages of a leader leave at once (thesis 10.2.1), all others once every record before
//! them is durable, and `Written` tells the crate how far its log is persisted. A commit index alone is not
//! worth a sync (the paper has it volatile): it goes with the next record. When a snapshot of the leader is
//! installed the node takes no tick until it is durable: the crate cannot campaign over a gap in its log.
//!
//! **Time.** The crate counts ticks, and draws its election timeout from the thread's random numbers. After
//! every call it is overwritten by a pure function of this start's salt, the term and the number of
//! campaigns, so a run is the same everywhere. The crate keeps one timeout for all Pre-Vote rounds of a
//! term; here each round has a new one, as the paper has it for elections.
//!
//! **Lost disks.** A node whose disk was lost must not speak under its old identity: it may have voted, and
//! acknowledged entries. By default it stays out: it draws a new identity, tells the others of it (which
//! stands for what an operator types), and is taken in by the next membership change that names it. A crate
//! that panics, as it does when a node comes back empty under its old identity, stops its node until the
//! next start, and nothing else.

pub mod codec;
mod links;
pub mod membership;
pub mod options;
mod ready;
mod replica;
mod requests;
pub mod storage;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use raft::eraftpb;

pub use options::{AfterDiskLoss, Options, Reads};
pub use replica::Replica;

use self::membership::Identity;
use self::storage::Image;
use super::Group;
use super::store::Store;
use crate::id::NodeId;
use crate::machine::{BootError, Context, Input, Inventory, LinkKind, Machine, Role, Status, Views};
use crate::op::{Request, Tip, WriteKey};

crate::protocols::mutations! {
    AckBeforeCommit "ack-before-commit"
        "The leader acknowledges a write when it appends it."
    SkipReadIndex "skip-read-index"
        "The leader answers reads at once, without asking whether it still leads."
}

/// What a replica is told once.
#[derive(Clone, Debug)]
pub struct Config {
    pub options: Options,
    pub group: Group,
}

/// A message.
#[derive(Clone, Debug)]
pub enum Message {
    /// Of the crate. The state that a snapshot stands for goes beside it.
    Raft { message: Box<eraftpb::Message>, image: Option<Rc<Store>> },
    /// The transport's word to the sender of a snapshot: all of it arrived.
    Arrived { from: Identity, index: u64 },
    /// A node without a place in the group tells under which identity it can be added.
    Join { identity: Identity },
    /// To a node whose identity the configuration of entry `index` does not have.
    Removed { identity: Identity, index: u64 },
    /// The operator's request, passed on to the leader.
    Reconfigure { set: Vec<NodeId> },
}

/// A record on the disk.
#[derive(Clone, Debug)]
pub enum Record {
    /// The disk was prepared for the service, for this identity.
    Installed(Identity),
    /// Replaces everything: the node has no place in the group, and waits for one under this identity.
    Joining(Identity),
    /// What the crate wants kept: its hard state, and entries that replace all from their first index on.
    Append { hard_state: eraftpb::HardState, entries: Vec<eraftpb::Entry> },
    /// Replaces everything: a snapshot, and the entries after it.
    Snapshot { identity: Identity, hard_state: eraftpb::HardState, image: Rc<Image>, entries: Vec<eraftpb::Entry> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The crate's clock goes on by one.
    Tick,
}

type Cx<'a> = Context<'a, Replica>;

impl Machine for Replica {
    type Message = Message;
    type Timer = Timer;
    type Record = Record;
    type Config = Rc<Config>;

    const LINKS: LinkKind = LinkKind::Session;
    const VIEWS: Views = Views::Succeed;

    fn format(config: &Self::Config) -> Vec<Record> {
        vec![Record::Installed(Identity::first(config.group.me))]
    }

    fn boot(config: &Self::Config, log: &[Record], cx: &mut Cx<'_>) -> Result<Self, BootError> {
        Self::start(config, log, cx)
    }

    fn step(&mut self, input: Input<Self>, cx: &mut Cx<'_>) {
        match input {
            Input::Request { id, request } => self.request(id, &request, cx),
            Input::Message { from, message } => self.message(from, message, cx),
            Input::Timeout(Timer::Tick) => self.tick(cx),
            Input::Written(id) => self.written(id),
            Input::Reconfigure(set) => self.reconfigure(set, cx),
            Input::LinkUp(peer) => self.link_up(peer),
            Input::LinkDown(peer) => self.link_down(peer),
            Input::Acknowledged { .. } | Input::Survey(_) | Input::Stray { .. } => {}
        }
        self.pump(cx);
    }

    fn status(&self) -> Status {
        let members = if self.is_member() { self.voters().to_vec() } else { Vec::new() };
        Status {
            role: match () {
                () if self.serving() => Role::Leading,
                () if self.is_member() => Role::Following,
                () => Role::Listening,
            },
            view: self.view(),
            replica_set: self.leader_first(&members),
            synced: self.synced(),
            members,
            tip: self.tip(),
            serving: self.serving(),
            frozen: false,
            changing: self.campaigns(),
            candidate: self.leader(),
            held: Vec::new(),
            impaired: false,
            // Its identity was dropped with all that it held.
            released: self.has_nothing(),
        }
    }

    fn serving(&self) -> bool {
        self.leads() && self.is_member()
    }

    fn answers(&self, _request: &Request) -> bool {
        self.serving()
    }

    fn covers(&self, tip: Tip) -> bool {
        self.store().covers(tip)
    }

    fn tip(&self) -> Tip {
        self.store().tip()
    }

    fn view(&self) -> Option<(u64, NodeId, u64)> {
        Some((self.term(), self.leader()?, 0))
    }

    fn applied(&self, write: WriteKey) -> bool {
        self.store().applied(write)
    }

    fn inventory(&self) -> Inventory {
        self.store().inventory()
    }

    fn inventory_of(config: &Self::Config, log: &[Record]) -> Inventory {
        storage::Log::read(config.group.members.as_slice(), log).everything().inventory()
    }

    fn wire_bytes(message: &Message) -> u32 {
        codec::wire_bytes(message)
    }

    fn record_bytes(record: &Record) -> u32 {
        codec::record_bytes(record)
    }

    fn message_name(message: &Message) -> &'static str {
        codec::message_name(message)
    }
}
