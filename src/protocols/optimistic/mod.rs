//! The optimistic primary-backup mechanism.
//!
//! Attested by Hasebe, Nishita and Kato (IC2E 2014): passive replication over data centers, an optimistic
//! consensus instead of a majority, temporary inconsistency that converges without an interruption of
//! service, under the failure of a majority and under partition. Everything more exact than that here is
//! this project's own design.
//!
//! One replica is a [`Replica`], in parts that follow the specification:
//! `detector` who is heard and whom to follow; `view` view changes without a quorum; `sync` bulk state
//! outside of them; `replicate` the log's way to the members, acknowledgement and compaction; `serve`
//! clients, sessions and reads; `membership` the replica set and who is to lead; `disk` the own storage; `quarantine` what a
//! bad link cut off; `sanity` local checking and correction, and fault
//! injection; below them `hold` for how long a failure keeps a node out, and the values `entry`, `log`, `state`, `merge`, `message`.

mod config;
mod detector;
mod disk;
pub mod entry;
mod hold;
pub mod log;
mod membership;
pub mod merge;
pub mod message;
pub mod options;
mod quarantine;
mod record;
mod replicate;
mod sanity;
mod serve;
pub mod state;
mod sync;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;
use std::rc::Rc;

pub use config::{Config, Mutation, Peer};
pub use options::{Ack, MergePolicy, Options, ReadLevel};
use record::Read;
pub use record::Record;

use self::detector::Known;
use self::disk::Disk;
use self::hold::Hold;
use self::log::Log;
use self::membership::Wanted;
use self::message::{Message, View, ViewId};
use self::quarantine::Aside;
use self::view::{Change, Frozen, Installing};
use crate::id::NodeId;
use crate::machine::{
    BootError, Context, Corrupt, Input, Inventory, LinkKind, Machine, Note, RequestId, Role, Status, Views,
};
use crate::op::{Outcome, Request, Tip, WriteKey};
use crate::rng::Stream;
use crate::time::LocalTime;

/// What a step of this machine may use.
type Cx<'a> = Context<'a, Replica>;

/// Timers of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Every P: check, choose whom to follow, lead, and say so.
    Tick,
    /// While a view change or an installation is in progress: retransmit, and end it at its deadline.
    Change,
    /// While members lack entries: send them again.
    Retransmit,
}

/// A replica of one service on one node.
#[derive(Debug)]
pub struct Replica {
    config: Rc<Config>,
    /// 64 random bits drawn at every start.
    incarnation: u64,
    booted: LocalTime,
    last_tick: LocalTime,
    ticks: u64,

    // Durable, with what is not yet durable at the end of the log.
    log: Log,
    view: Option<View>,

    /// Installed the view as primary in this incarnation. Volatile on purpose: a node that returns from a
    /// crash never pre-empts on a stale claim.
    incumbent: bool,
    peers: BTreeMap<NodeId, Known>,
    /// Whom it follows: itself if it leads, nobody while it may not lead and sees no leader.
    candidate: Option<NodeId>,
    frozen: Option<Frozen>,
    /// The last proposal that was acknowledged: it never freezes again.
    acknowledged: Option<ViewId>,
    change: Option<Change>,
    attempts: u32,
    installing: Option<Installing>,
    /// Members that were sent a view and have not acknowledged its entry; until when it is sent again.
    install_until: LocalTime,
    unsettled_since: Option<LocalTime>,
    epoch_seen: u64,
    /// The replica set that this primary was asked for, until it is there.
    wanted: Option<Wanted>,
    /// Who is to lead instead of this primary, and can.
    heir: Option<NodeId>,
    /// Where in the directory the next beacons go, beside those that are known.
    beacons: u32,
    /// When a leader's beacon last counted this node in, after it was taken out.
    invited: Option<LocalTime>,
    /// Writes that a bad link cut off the log, until some log accounts for them. Durable with the next record
    /// of the whole log.
    aside: Aside,

    disk: Disk,
    /// Position of the View entry of the installed view, and of its Confirm once appended.
    view_length: u64,
    confirm_length: Option<u64>,
    /// The largest position that the ack rule covers in this view.
    acked_length: u64,
    /// Position after which the log is kept for those who were taken out while they were away, as of the last tick.
    kept: u64,
    probes: u64,
    service: serve::Desk,
    hlc: u64,
    scrubbed: u64,
    /// Memory that nothing overwrote is as it was written, and checking it finds nothing. So the parts of the log
    /// are checked from the first time on that a fault overwrote some of them.
    doubtful: bool,
    load: u32,
}

impl Replica {
    fn me(&self) -> NodeId {
        self.config.me
    }

    fn options(&self) -> &Options {
        &self.config.options
    }

    fn mutated(&self, mutation: Mutation) -> bool {
        self.config.options.mutation == Some(mutation)
    }

    fn view_id(&self) -> Option<ViewId> {
        self.view.as_ref().map(View::id)
    }

    /// Members of the installed view but this node.
    fn others(&self) -> Vec<NodeId> {
        let me = self.me();
        self.view.iter().flat_map(|view| view.members.iter().copied()).filter(|&node| node != me).collect()
    }

    /// Accepts writes now.
    fn is_serving(&self) -> bool {
        self.incumbent && self.frozen.is_none() && self.installing.is_none() && self.view.is_some()
    }

    fn is_listening(&self, now: LocalTime) -> bool {
        now.since(self.booted) < self.config.listen()
    }

    /// The durable end of the log: the only one that is ever reported.
    fn durable_tip(&self) -> Tip {
        let length = self.disk.durable.min(self.log.length()).max(self.log.chain().base.tip.length);
        Tip { length, hash: self.log.chain().hash_at(length).expect("the durable end lies in the retained log") }
    }

    fn message(&mut self, from: NodeId, message: Message, cx: &mut Cx<'_>) {
        if !self.knows(from) {
            cx.note(Note::Refused("a message from outside the directory"));
            return;
        }
        match message {
            Message::Heartbeat(beat) => self.heard(from, beat, cx),
            Message::Beacon { view, replica_set, .. } => self.beacon(from, view, &replica_set, cx),
            Message::Propose { view, reset } => self.propose_received(from, &view, reset, cx),
            Message::ViewAck { view, tip, ancestry, synced } => self.view_acked(from, view, tip, &ancestry, synced, cx),
            Message::ViewNack { view, epoch } => self.view_refused(from, view, epoch, cx),
            Message::Fetch { have } => self.fetch_received(from, &have, cx),
            Message::Branch { delta, tip, done } => self.branch_received(from, &delta, tip, done, cx),
            Message::Install { view, delta } => self.install_received(from, &view, &delta, cx),
            Message::Replicate(replicate) => self.replicate_received(from, &replicate, cx),
            Message::ReplicateAck(ack) => self.replicate_acked(from, ack, cx),
            Message::TakeOver { view, successor } => self.take_over_asked(from, view, successor, cx),
            Message::Quarantined { view, writes } => self.quarantined(view, &writes, cx),
        }
    }

    fn start(config: Rc<Config>, log: Log, view: Option<View>, cx: &mut Cx<'_>) -> Self {
        let incarnation = cx.rng.bits();
        let hlc = log.state().hlc;
        let durable = log.length();
        let mut replica = Self {
            incarnation,
            booted: cx.now,
            last_tick: cx.now,
            ticks: 0,
            view_length: log.state().last_view.map_or(0, |view| view.tip.length),
            log,
            view,
            incumbent: false,
            peers: BTreeMap::new(),
            candidate: None,
            frozen: None,
            acknowledged: None,
            change: None,
            attempts: 0,
            installing: None,
            install_until: LocalTime::ZERO,
            unsettled_since: None,
            epoch_seen: 0,
            wanted: None,
            heir: None,
            beacons: 0,
            invited: None,
            aside: Aside::new(),
            disk: Disk::at(durable),
            confirm_length: None,
            acked_length: 0,
            kept: 0,
            probes: 0,
            service: serve::Desk::default(),
            hlc,
            scrubbed: 0,
            doubtful: false,
            load: 0,
            config,
        };
        replica.reset_peers();
        let phase = replica.options().heartbeat.scale(cx.rng.below(1_000), 1_000);
        cx.set_timer(Timer::Tick, phase);
        replica
    }

    /// A pause longer than T_suspect is a restart: a paused primary rejoins, it does not resume.
    fn restart(&mut self, cx: &mut Cx<'_>) {
        self.incarnation = cx.rng.bits();
        self.booted = cx.now;
        self.incumbent = false;
        self.candidate = None;
        self.frozen = None;
        self.acknowledged = None;
        self.change = None;
        self.attempts = 0;
        self.unsettled_since = None;
        self.epoch_seen = 0;
        self.wanted = None;
        self.heir = None;
        self.invited = None;
        self.confirm_length = None;
        self.acked_length = 0;
        self.disk.hold = Hold::default();
        self.disk.unproven = false;
        self.turn_away(cx);
        self.reset_peers();
        cx.note(Note::Corrected("a pause longer than the suspicion timeout counts as a restart"));
    }
}

impl Machine for Replica {
    type Message = Message;
    type Timer = Timer;
    type Record = Record;
    type Config = Rc<Config>;

    const LINKS: LinkKind = LinkKind::Datagram;
    const VIEWS: Views = Views::Coexist;

    fn boot(config: &Self::Config, log: &[Self::Record], cx: &mut Cx<'_>) -> Result<Self, BootError> {
        let Read { log, view, aside } = record::read(config, log);
        let mut replica = Self::start(config.clone(), log, view, cx);
        replica.aside = aside.iter().map(|&one| (one.write, one)).collect();
        Ok(replica)
    }

    fn step(&mut self, input: Input<Self>, cx: &mut Cx<'_>) {
        match input {
            Input::Message { from, message } => self.message(from, message, cx),
            Input::Timeout(Timer::Tick) => self.tick(cx),
            Input::Timeout(Timer::Change) => self.change_timeout(cx),
            Input::Timeout(Timer::Retransmit) => self.retransmit(cx),
            Input::Request { id, request } => self.request(id, request, cx),
            Input::Acknowledged { write } => self.acknowledged_by_client(write),
            Input::Written(id) => self.written(id, cx),
            Input::Reconfigure(nodes) => self.reconfigure(&nodes, cx),
            Input::LinkUp(_) | Input::LinkDown(_) | Input::Survey(_) | Input::Stray { .. } => {}
        }
    }

    fn status(&self) -> Status {
        let role = if self.candidate.is_none() {
            Role::Listening
        } else if self.candidate == Some(self.me()) {
            Role::Leading
        } else {
            Role::Following
        };
        Status {
            role,
            view: self.view(),
            members: self.view.as_ref().map_or_else(Vec::new, |view| view.members.clone()),
            replica_set: self.log.state().replica_set.clone(),
            synced: self.synced(),
            tip: self.log.tip(),
            serving: self.is_serving(),
            frozen: self.frozen.is_some(),
            changing: self.change.is_some() || self.installing.is_some(),
            candidate: self.candidate,
            held: self.held_nodes(),
            impaired: self.is_impaired(self.last_tick) && !self.is_serving(),
            released: self.is_released(),
        }
    }

    fn serving(&self) -> bool {
        self.is_serving()
    }

    fn answers(&self, request: &Request) -> bool {
        self.incumbent || (request.op.is_read() && self.options().reads == ReadLevel::Any)
    }

    fn covers(&self, tip: Tip) -> bool {
        self.log.covers(tip)
    }

    fn chain_holds(&self, tip: Tip) -> bool {
        self.log.chain().passes(tip) || self.log.chain().base.state.views.contains(&tip)
    }

    fn holds_durably(&self, tip: Tip) -> bool {
        // Only what every replica holds durably is compacted; an answer may still be repeated after that.
        let compacted = tip.length < self.log.chain().base.tip.length;
        (compacted || self.log.covers(tip)) && tip.length <= self.disk.durable
    }

    fn tip(&self) -> Tip {
        self.log.tip()
    }

    fn view(&self) -> Option<(u64, NodeId, u64)> {
        let view = self.view.as_ref()?;
        Some((view.epoch, view.coordinator, view.id().digest ^ view.incarnation))
    }

    fn applied(&self, write: WriteKey) -> bool {
        self.log.state().applied(write)
    }

    fn journaled(&self, write: WriteKey) -> bool {
        self.log.state().journaled(write)
    }

    fn inventory(&self) -> Inventory {
        let mut inventory = Inventory::default();
        self.log.state().inventory(&mut inventory);
        inventory
    }

    fn inventory_of(config: &Self::Config, log: &[Self::Record]) -> Inventory {
        let mut inventory = Inventory::default();
        let Read { log, aside, .. } = record::read(config, log);
        log.state().inventory(&mut inventory);
        for one in aside.iter() {
            inventory.journaled.insert(one.write);
        }
        inventory
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

    fn corrupt(&mut self, what: Corrupt, rng: &mut Stream) -> bool {
        self.overwrite(what, rng);
        true
    }

    fn corrupt_message(message: &mut Message, rng: &mut Stream) -> bool {
        sanity::overwrite_message(message, rng);
        true
    }
}

/// Answers an attempt that another replica should serve.
const fn redirect(hint: Option<NodeId>) -> Outcome {
    Outcome::Redirect { hint }
}

/// A request in hand.
#[derive(Clone, Copy, Debug)]
struct Held {
    id: RequestId,
    request: Request,
}
