//! Omni-Paxos (Ng, Haridi and Carbone, EuroSys 2023), by its authors' crate `omnipaxos`.
//!
//! Everything that makes it a protocol is the crate's: Sequence Paxos replicates the log (section 4), Ballot
//! Leader Election finds a leader who is connected to a quorum (section 5), stop-signs end configurations
//! (section 6). This module gives it a clock, links, a disk and a service, and adds no rule of agreement.
//!
//! **The clock.** Every `tick` is a call of the crate's `tick`. A round of heartbeats has `election_timeout`
//! / `tick` of them. A node that misses the leader's answer is *unhappy* at the end of a round; it stands for
//! leader at the end of a round in which a quorum answered it and all who did were unhappy. So a failover
//! takes two to three rounds. What may be lost is repeated once a round; nothing is ever left in a batch,
//! because batches have one entry.
//!
//! **The links** are sessions, as the crate assumes: within the accept phase it repeats nothing. When one comes
//! back, both sides call `reconnected`, and whoever follows the other asks to be prepared again.
//!
//! **The disk.** The crate calls its storage synchronously and counts its own acceptance when that returns; a
//! disk here takes time. So the storage keeps an image in memory and collects what changed, each call's
//! changes become one record, and **no message of Sequence Paxos leaves before every record written so far is
//! durable**. That closes the gap: an `Accepted` that the leader counts together with its own copy answers an
//! `AcceptDecide` or `AcceptSync` which left only after that copy was durable, because followers accept nothing
//! in a ballot that its leader did not send; and a `Promise` that it counts with its own answers a `Prepare`
//! that left after its own promise was durable. Inputs need not wait, so a leader may write many entries
//! before the first is durable, and a write of a client costs what it must: the leader's disk, a round trip,
//! a follower's disk. Only a decided index is not waited for: it is what a quorum accepted, and whoever
//! forgets it in a crash hears it again. Heartbeats rest on no write and leave at once: a node with a stuck
//! disk stays a leader in the eyes of others. (With a storage that blocks, as those that come with the crate
//! do, its heartbeats would wait as well, and others would replace it. The ballot that a heartbeat tells is not
//! kept on the disk by the crate; a node that forgot it may choose it again, but no `Prepare` with it left
//! before it was durable.)
//!
//! **Reads** are entries of the log, answered where they were proposed, when they are decided; or, as an
//! option that is not linearizable, come from the state of whoever believes to lead.
//!
//! **Snapshots.** Each replica compacts its own log, every `snapshot_entries` decided entries, and its disk is
//! rewritten with the image then. The crate sends the whole state to a follower whose decided index is at or
//! below the compacted one, at least at its first start; else the decided entries that it lacks as a
//! *delta*, and a follower that takes one in compacts its own log up to there.
//!
//! **A lost disk** is told from a new one by the record that the installation wrote. Its node takes no part
//! until a configuration names it under a new identity (module `reconfigure`). A panic of the crate stops the
//! replica, not the process; it starts again from its disk when its machine does.
//!
//! # Limits of the crate, version 0.2.4
//!
//! - It does not run a service of a single replica.
//! - It merges a delta into the wrong prefix; the module `entry` tells how this is kept from doing harm.
//! - A node that promised a ballot whose owner crashed before a quorum knew of it, follows nobody while the
//!   leader of a lower ballot keeps its quorum happy: a recovered owner does not offer that ballot again, and a
//!   leader that is told of a higher promise does not raise its own. The next election ends that. It happened
//!   in 4 of 6,000 random dialogues (the soak test counts them), and in none of 4,000 chaos drills.
//! - A `Promise` that is resent while the answer is on its way makes the leader send `AcceptSync` twice; the
//!   second opens a session of sequence numbers that the follower does not know of, so it drops the next
//!   `AcceptDecide` and asks to be prepared again: two more round trips to that follower.
//! - A leader that has lost its quorum goes on accepting proposals into its log until it hears of another.
//! - That no log is synchronised over decided entries is asserted in debug builds only; this package keeps the
//!   assertion in release builds, so that a replica stops there as well (it takes a disk that forgot).
//! - A configuration that ends says nothing to those who come after; the module `reconfigure` does.

mod configuration;
mod disk;
mod entry;
mod message;
pub mod options;
mod reconfigure;
mod replica;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod tests;

use std::rc::Rc;

pub use self::disk::Record;
pub use self::message::Message;
pub use self::options::{Options, Reads};
pub use self::replica::Replica;

use self::configuration::Configuration;
use self::disk::Image;
use self::replica::{Cx, Part};
use super::Group;
use super::raft::AfterDiskLoss;
use super::store::Store;
use crate::id::NodeId;
use crate::machine::{BootError, Input, Inventory, LinkKind, Machine, Note, Role, Status, Views};
use crate::op::{Request, Tip, WriteKey};

/// What a replica is told once.
#[derive(Clone, Debug)]
pub struct Config {
    pub options: Options,
    pub group: Group,
}

crate::protocols::mutations! {
    AckBeforeCommit "ack-before-commit"
        "The leader acknowledges a write when it proposes it."
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    Tick,
}

impl Replica {
    fn message(&mut self, from: NodeId, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Within { configuration, message } => {
                let takes_part = match &self.part {
                    Part::Member(..) => true,
                    Part::Retired { .. } => false,
                    Part::Lost { asked: true } => return self.elsewhere(from, configuration, cx),
                    Part::Lost { asked: false } | Part::Failed => return,
                };
                if configuration != self.configuration.id {
                    self.elsewhere(from, configuration, cx);
                } else if takes_part {
                    self.call(cx, |omni| omni.handle_incoming(*message));
                }
            }
            Message::Identify => {
                if let Part::Lost { asked } = &mut self.part {
                    *asked = true;
                }
                self.send(from, Message::Identity { identity: self.me.identity }, cx);
            }
            Message::Identity { identity } => self.identity(from, identity, cx),
            Message::Newer { configuration } => self.newer(from, configuration, cx),
            Message::Joined { configuration } => self.joined(from, configuration),
            Message::Lacks => self.lacks(from, cx),
            Message::Handover { configuration, store } => self.handover(configuration, store, cx),
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        match self.part {
            Part::Member(..) => {
                cx.set_timer(Timer::Tick, self.config.options.tick);
                self.call(cx, |omni| omni.tick());
                self.identify(cx);
            }
            Part::Retired { .. } => {
                cx.set_timer(Timer::Tick, self.config.options.election_timeout);
                self.tell_successors(cx);
            }
            Part::Lost { .. } | Part::Failed => {}
        }
    }
}

impl Machine for Replica {
    type Message = Message;
    type Timer = Timer;
    type Record = Record;
    type Config = Rc<Config>;

    const LINKS: LinkKind = LinkKind::Session;
    const VIEWS: Views = Views::Succeed;

    fn format(_config: &Self::Config) -> Vec<Record> {
        vec![Record::Installed]
    }

    fn boot(config: &Self::Config, log: &[Record], cx: &mut Cx<'_>) -> Result<Self, BootError> {
        let initial = Configuration::initial(&config.group.members);
        let is_newcomer = !config.group.members.contains(&config.group.me);
        let rejoins = config.options.after_disk_loss == AfterDiskLoss::RejoinEmpty && !is_newcomer;
        let image = match Image::read(initial.clone(), log) {
            Some(image) => image,
            None if rejoins => Image::new(initial, 0, None),
            None => {
                if !is_newcomer {
                    cx.note(Note::SteppedDown { why: "its disk was lost: it takes no part under its old identity" });
                }
                let nobody = Configuration { id: 0, members: Rc::new([]) };
                return Ok(Self::out(config, Part::Lost { asked: false }, nobody, cx.rng.bits() | 1));
            }
        };
        let mut replica = Self::out(config, Part::Failed, image.configuration.clone(), image.identity);
        replica.enter(image, cx)?;
        Ok(replica)
    }

    fn step(&mut self, input: Input<Self>, cx: &mut Cx<'_>) {
        match input {
            Input::Request { id, request } => self.request(id, &request, cx),
            Input::Message { from, message } => self.message(from, message, cx),
            Input::Timeout(Timer::Tick) => self.tick(cx),
            Input::LinkUp(peer) => {
                if let Some(pid) = self.configuration.pid(peer) {
                    self.call(cx, |omni| omni.reconnected(pid));
                }
            }
            Input::Reconfigure(nodes) => self.reconfigure(nodes, cx),
            // The driver holds messages until their write is durable; nothing else waits for one.
            Input::Written(_) | Input::LinkDown(_) | Input::Acknowledged { .. } => {}
            Input::Survey(_) | Input::Stray { .. } => {}
        }
    }

    fn status(&self) -> Status {
        let view = self.view();
        let takes_part = matches!(self.part, Part::Member(..));
        let members = if takes_part { self.configuration.nodes() } else { Vec::new() };
        Status {
            role: match (self.led, view) {
                (Some(_), _) => Role::Leading,
                (None, Some(_)) => Role::Following,
                (None, None) => Role::Listening,
            },
            view,
            replica_set: members.clone(),
            synced: members.clone(),
            members,
            tip: self.tip(),
            serving: self.serving(),
            frozen: false,
            // It was chosen and prepares, or it led before it started again and recovers.
            changing: self.led.is_none() && view.is_some_and(|(_, leader, _)| leader == self.me.node),
            candidate: view.map(|(_, leader, _)| leader),
            held: Vec::new(),
            impaired: false,
            released: false,
        }
    }

    fn serving(&self) -> bool {
        self.led.is_some()
    }

    fn answers(&self, _request: &Request) -> bool {
        self.serving()
    }

    fn covers(&self, tip: Tip) -> bool {
        self.store.covers(tip)
    }

    fn tip(&self) -> Tip {
        self.store.tip()
    }

    fn view(&self) -> Option<(u64, NodeId, u64)> {
        self.view_now()
    }

    fn applied(&self, write: WriteKey) -> bool {
        self.store.applied(write)
    }

    fn inventory(&self) -> Inventory {
        self.store.inventory()
    }

    /// With what was accepted and not yet known to be decided.
    fn inventory_of(config: &Self::Config, log: &[Record]) -> Inventory {
        let image = Image::read(Configuration::initial(&config.group.members), log);
        image.map_or_else(Inventory::default, |image| {
            let snapshot = image.snapshot.as_ref();
            let mut store = snapshot.map_or_else(Store::default, |state| (*state.store()).clone());
            image.entries.iter().for_each(|entry| _ = entry.apply(&mut store));
            store.inventory()
        })
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
