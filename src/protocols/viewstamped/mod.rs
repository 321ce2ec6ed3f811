//! Viewstamped Replication, after "Viewstamped Replication Revisited" (Liskov and Cowling 2012), with its disk
//! after "Paxos Made Practical" (Mazières 2007).
//!
//! A group of 2f + 1 replicas survives f failures. The primary of a view, known from the view-number, orders
//! operations; an operation is committed once f + 1 replicas hold it. Sections of the paper and where they are:
//!
//! | section | here |
//! |---|---|
//! | 4.1 normal operation | `normal`: Prepare, PrepareOk, Commit |
//! | 4.2 view changes, 5.3 with the end of the log only | `change`: StartViewChange, DoViewChange, StartView |
//! | 4.3 recovery, 5.1 from a checkpoint | `recovery`: Recovery, RecoveryResponse |
//! | 5.1 checkpoints, 5.2 state transfer | `transfer`: GetState, NewState |
//! | 7 reconfiguration | `epoch`: StartEpoch, EpochStarted |
//!
//! What the papers leave to whoever builds it, and how it is here:
//!
//! - **Disks.** The paper keeps its state in memory, where a crash of the whole group forgets everything. Here
//!   log, view-number and last normal view are on the disk before any promise that rests on them leaves
//!   (PrepareOk, StartViewChange, DoViewChange, StartView), and a primary counts its own copy once it is
//!   durable. A replica whose disk is intact goes on from it; one whose disk was lost runs the recovery
//!   protocol, and takes no part before it is through. If f + 1 disks are lost at once, it never is.
//! - **A primary that starts again** does not go on in its view: backups may hold operations of it that its
//!   own disk has not. It starts a view change.
//! - **Messages get lost.** A primary repeats Prepare for what is not committed; who waits for a view, a state
//!   or a recovery repeats its request. Prepares that come early wait for those before them.
//! - **Reads** are operations of the log. The lease of section 6.3 would save a round trip and trust clocks.
//! - **Giving up a view change.** Who heard f + 1 replicas in a view change that does not end starts the next
//!   one, and each time waits longer. Who heard fewer waits: a cut-off replica is one view ahead, not hundreds.
//!
//! Whoever hears StartViewChange joins, as the paper has it, even if its primary is well. So a replica that
//! cannot hear the primary, and is heard by others, replaces it; where no primary is heard by all who can make
//! themselves heard, views follow each other without an end. And a primary that says that it is there, and is
//! too slow to do its work, is not replaced. This is the protocol, not a defect of it here.
//!
//! Known limit of the paper's recovery (Michael et al. 2017, "Recovering Shared Objects Without Stable
//! Storage"): a replica that lost its disk has also forgotten the StartViewChange messages that it sent. With at
//! most f disks lost in all nothing follows from it: of the f + 1 who agreed on a view change, one remembers.

mod change;
mod epoch;
mod log;
mod message;
mod normal;
pub mod options;
mod recovery;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use self::change::Change;
use self::log::{Disk, Epochs, Log};
pub use self::message::{Message, Record, View};
use self::normal::Lead;
use self::recovery::Responses;
pub use options::Options;

use super::Group;
use super::store::Store;
use crate::id::NodeId;
use crate::machine::{
    BootError, Context, Effect, Input, Inventory, LinkKind, Machine, Note, Role, Status, Views, WriteId,
};
use crate::op::{Outcome, Request, Tip, WriteKey};

crate::protocols::mutations! {
    AckBeforeCommit "ack-before-commit"
        "The primary answers a write once it is ordered, before f others hold it."
    RecoverWithoutProtocol "recover-without-protocol"
        "A replica takes a lost disk for a new one, and joins at once with an empty log."
}

/// What a replica is told once.
#[derive(Clone, Debug)]
pub struct Config {
    pub options: Options,
    pub group: Group,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Repeat what may have been lost.
    Beat,
    /// Nothing was heard of a primary, or a view change does not end.
    Silence,
}

/// The paper's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Normal,
    ViewChange,
    Recovering,
    /// A later epoch began, and this replica lacks the end of the one before.
    Transitioning,
    /// It is in no replica group: not any more, or, as a newcomer, not yet.
    Retired,
}

/// A replica.
#[derive(Debug)]
pub struct Replica {
    config: Rc<Config>,
    standing: Standing,
    view: View,
    /// The latest view in which the standing was normal: whose log this is.
    last_normal: View,
    epochs: Epochs,
    /// The state after all operations known to be committed: its length is the commit-number.
    store: Store,
    log: Log,
    checkpoint: Rc<Store>,
    /// Operations executed since the checkpoint.
    since_checkpoint: u64,
    /// Writes that are not durable yet, each with the log that it completes: of which view, up to which op.
    pending: VecDeque<(WriteId, View, u64)>,
    /// The log that is durable.
    durable: (View, u64),
    next_write: u64,
    lead: Lead,
    /// Prepares that came before those that they follow.
    early: BTreeMap<u64, Rc<[log::Entry]>>,
    /// A view of which something is missing here: state is asked for until it came.
    behind: Option<View>,
    /// Turns among those who are asked for state.
    asked: u64,
    /// It is to be brought up to date though it is not in the group, and tells the primary when it is.
    reports: bool,
    /// Beats since this replica waits for the state of the epoch to come.
    waited: u64,
    change: Change,
    responses: Responses,
    /// The epoch to come, of a transitioning replica.
    coming: Option<Epochs>,
    /// Who said that this epoch has started, of a replaced replica.
    started: BTreeSet<NodeId>,
}

type Cx<'a> = Context<'a, Replica>;

impl Replica {
    fn me(&self) -> NodeId {
        self.config.group.me
    }

    /// The commit-number.
    const fn commit(&self) -> u64 {
        self.store.tip().length
    }

    fn primary(&self) -> NodeId {
        self.epochs.current.primary(self.view)
    }

    /// Normal, and the primary of its view.
    fn leads(&self) -> bool {
        self.standing == Standing::Normal && self.primary() == self.me()
    }

    fn write(&mut self, record: Record, cx: &mut Cx<'_>) -> WriteId {
        self.next_write += 1;
        let id = WriteId(self.next_write);
        self.pending.push_back((id, self.last_normal, self.log.end()));
        cx.effects.push(match record {
            Record::Image { .. } => Effect::Checkpoint { id, record },
            _ => Effect::Write { id, record },
        });
        id
    }

    /// Writes the numbers, and the log after `after`.
    fn write_state(&mut self, after: u64, epochs: Option<Epochs>, cx: &mut Cx<'_>) -> WriteId {
        let (view, last_normal, commit) = (self.view, self.last_normal, self.commit());
        let entries = self.log.after(after);
        self.write(Record::State { view, last_normal, commit, after, entries, epochs }, cx)
    }

    /// Writes everything, as a checkpoint.
    fn write_image(&mut self, cx: &mut Cx<'_>) -> WriteId {
        let (view, last_normal, store) = (self.view, self.last_normal, self.checkpoint.clone());
        let entries = self.log.after(store.tip().length);
        self.write(Record::Image { view, last_normal, store, entries, epochs: self.epochs.clone() }, cx)
    }

    /// Sends once everything written so far is durable.
    fn send_durably(&self, to: NodeId, message: Message, cx: &mut Cx<'_>) {
        let after = self.pending.back().map(|&(id, ..)| id);
        cx.effects.push(Effect::Send { to, message, after });
    }

    fn written(&mut self, id: WriteId, cx: &mut Cx<'_>) {
        while let Some(&(_, view, op)) = self.pending.front().filter(|(first, ..)| *first <= id) {
            self.pending.pop_front();
            self.durable = (view, op);
        }
        if self.leads() {
            if self.lead.opening.is_some_and(|write| write <= id) {
                self.open_view(cx);
            }
            self.advance(cx);
        } else if self.standing == Standing::Normal && self.durable.0 == self.view && self.durable > self.lead.told {
            self.prepare_ok(cx);
        }
    }

    fn message(&mut self, from: NodeId, message: Message, cx: &mut Cx<'_>) {
        if self.standing == Standing::Recovering {
            if let Message::RecoveryResponse { nonce, view, epochs, whole } = message {
                self.recovery_response(from, nonce, view, epochs, whole, cx);
            }
            return;
        }
        if message.view().is_some_and(|view| view.epoch != self.view.epoch) {
            return self.another_epoch(from, message, cx);
        }
        match message {
            Message::Prepare { view, after, entries, commit } => self.prepare(from, view, after, &entries, commit, cx),
            Message::PrepareOk { view, op } => self.prepare_ok_from(from, view, op, cx),
            Message::Commit { view, commit } => self.commit_from(from, view, commit, cx),
            Message::StartViewChange { view } => self.start_view_change_from(from, view, cx),
            Message::DoViewChange { view, vote } => self.do_view_change(from, view, vote, cx),
            Message::StartView { view, log, commit } => self.start_view(from, view, &log, commit, cx),
            Message::GetState { view, op } => self.get_state(from, view, op, cx),
            Message::NewState { view, log, commit } => self.new_state(view, &log, commit, cx),
            Message::Recovery { nonce } => self.recovery(from, nonce, cx),
            Message::RecoveryResponse { .. } => {}
            Message::StartEpoch { epochs } => self.start_epoch(from, epochs, cx),
            Message::EpochStarted { epoch } => self.epoch_started(from, epoch, cx),
        }
    }

    fn beat(&mut self, cx: &mut Cx<'_>) {
        cx.set_timer(Timer::Beat, self.config.options.heartbeat);
        match self.standing {
            Standing::Normal => {
                if self.leads() {
                    self.primary_beats(cx);
                }
                // A primary, too, if there is a later view.
                self.ask_again(cx);
            }
            Standing::ViewChange => {
                self.repeat_view_change(cx);
                self.ask_again(cx);
            }
            Standing::Recovering => self.ask_for_recovery(cx),
            Standing::Transitioning => self.ask_for_the_epoch(cx),
            Standing::Retired => self.repeat_start_epoch(cx),
        }
    }

    fn silence(&mut self, cx: &mut Cx<'_>) {
        match self.standing {
            Standing::Normal if !self.leads() => {
                cx.note(Note::Suspected(self.primary()));
                self.change_view(self.view.next(), cx);
            }
            Standing::ViewChange => self.view_change_lasts(cx),
            _ => {}
        }
    }

    /// Everything but what a disk says and what depends on the standing.
    fn new(config: &Rc<Config>, disk: Disk, standing: Standing) -> Self {
        let durable = (disk.last_normal, disk.log.end());
        Self {
            config: config.clone(),
            standing,
            view: disk.view,
            last_normal: disk.last_normal,
            epochs: disk.epochs,
            since_checkpoint: disk.store.tip().length - disk.checkpoint.tip().length,
            store: disk.store,
            log: disk.log,
            checkpoint: disk.checkpoint,
            pending: VecDeque::new(),
            durable,
            next_write: 0,
            lead: Lead::default(),
            early: BTreeMap::new(),
            behind: None,
            asked: 0,
            reports: false,
            waited: 0,
            change: Change::default(),
            responses: Responses::default(),
            coming: None,
            started: BTreeSet::new(),
        }
    }

    /// Goes on from an intact disk.
    fn resume(&mut self, fresh: bool, cx: &mut Cx<'_>) {
        let leads = self.primary() == self.me();
        if !self.epochs.current.has(self.me()) {
            self.standing = Standing::Retired;
        } else if fresh && leads {
            let opening = self.write_state(0, None, cx);
            self.enter_normal(opening, cx);
        } else if leads {
            self.change_view(self.view.next(), cx);
        } else if self.last_normal < self.view {
            self.change_view(self.view, cx);
        } else {
            self.listen(cx);
        }
    }
}

impl Machine for Replica {
    type Message = Message;
    type Timer = Timer;
    type Record = Record;
    type Config = Rc<Config>;

    const LINKS: LinkKind = LinkKind::Datagram;
    const VIEWS: Views = Views::Succeed;

    fn format(_config: &Self::Config) -> Vec<Record> {
        vec![Record::Installed]
    }

    fn boot(config: &Self::Config, log: &[Record], cx: &mut Cx<'_>) -> Result<Self, BootError> {
        let members = &config.group.members;
        let disk = Disk::read(members, log);
        let is_newcomer = !members.contains(&config.group.me);
        let first_start = disk.is_none();
        let lost = first_start && !is_newcomer && config.options.mutation != Some(Mutation::RecoverWithoutProtocol);
        let standing = if lost { Standing::Recovering } else { Standing::Normal };
        let disk = disk.unwrap_or_else(|| Disk::fresh(members));
        let fresh = disk.fresh;
        let mut replica = Self::new(config, disk, standing);
        cx.set_timer(Timer::Beat, config.options.heartbeat);
        if lost {
            replica.recover(cx);
        } else if is_newcomer && first_start {
            replica.standing = Standing::Retired;
            replica.write(Record::Installed, cx);
        } else {
            replica.resume(fresh, cx);
        }
        Ok(replica)
    }

    fn step(&mut self, input: Input<Self>, cx: &mut Cx<'_>) {
        match input {
            Input::Request { id, request } => self.request(id, &request, cx),
            Input::Message { from, message } => self.message(from, message, cx),
            Input::Timeout(Timer::Beat) => self.beat(cx),
            Input::Timeout(Timer::Silence) => self.silence(cx),
            Input::Written(id) => self.written(id, cx),
            Input::Reconfigure(members) => self.reconfigure(members, cx),
            Input::Acknowledged { .. }
            | Input::LinkUp(_)
            | Input::LinkDown(_)
            | Input::Survey(_)
            | Input::Stray { .. } => {}
        }
    }

    fn status(&self) -> Status {
        let mut members = self.epochs.current.members.clone();
        members.sort_unstable();
        let part = matches!(self.standing, Standing::Normal | Standing::ViewChange);
        Status {
            role: match self.standing {
                Standing::Normal if self.leads() => Role::Leading,
                Standing::Normal => Role::Following,
                _ => Role::Listening,
            },
            view: self.view(),
            replica_set: if part { self.primary_first() } else { Vec::new() },
            synced: self.synced(),
            members,
            tip: self.tip(),
            serving: self.serving(),
            frozen: false,
            changing: matches!(self.standing, Standing::ViewChange | Standing::Recovering | Standing::Transitioning),
            candidate: (self.standing == Standing::Normal).then(|| self.primary()),
            held: Vec::new(),
            impaired: false,
            released: self.standing == Standing::Retired && (self.is_released() || self.is_newcomer()),
        }
    }

    fn serving(&self) -> bool {
        self.leads() && self.lead.opening.is_none()
    }

    fn answers(&self, _request: &Request) -> bool {
        self.leads()
    }

    fn covers(&self, tip: Tip) -> bool {
        self.store.covers(tip)
    }

    fn tip(&self) -> Tip {
        self.store.tip()
    }

    fn view(&self) -> Option<(u64, NodeId, u64)> {
        let known = self.standing != Standing::Recovering;
        known.then(|| (self.view.ordinal(), self.primary(), self.view.epoch))
    }

    fn applied(&self, write: WriteKey) -> bool {
        self.store.applied(write)
    }

    fn inventory(&self) -> Inventory {
        self.store.inventory()
    }

    fn inventory_of(config: &Self::Config, log: &[Record]) -> Inventory {
        let Some(mut disk) = Disk::read(&config.group.members, log) else { return Inventory::default() };
        disk.execute_to(u64::MAX);
        disk.store.inventory()
    }

    fn wire_bytes(message: &Message) -> u32 {
        message.bytes()
    }

    fn record_bytes(record: &Record) -> u32 {
        record.bytes()
    }

    fn message_name(message: &Message) -> &'static str {
        message.name()
    }
}

/// Where to ask: the primary, if its name is known.
const fn elsewhere(hint: Option<NodeId>) -> Outcome {
    Outcome::Redirect { hint }
}
