//! Dynamic voting (Jajodia and Mutchler 1990) in primary-copy form.
//!
//! Static majorities count against all replicas for ever. Here a group counts against the *last installed view*: a
//! group that holds a distinguished partition of it (more than half of its members, or half with the
//! distinguished site) may form the next view, and whoever is not in that counts no more. So a service survives
//! failures that come one after the other, from five to three to two to one, but not those of a majority of
//! the view at once; and partitions that split a majority off stop it only where one of static voting would.
//!
//! | module | what it does |
//! |---|---|
//! | [`view`] | views, where a replica stands, and the rule, with why it is safe |
//! | [`detector`] | who is trusted |
//! | [`change`] | who changes the view, when, and how: two phases |
//! | [`copy`] | the service in a view: writes on every member, reads confirmed by a distinguished partition |
//! | [`disk`] | what is on the disk, and a start from it |
//! | [`message`] | what is sent and written |
//!
//! # What is not in the paper
//!
//! The paper votes on each update of one object, with (version, cardinality, distinguished site) at each
//! copy, and locks copies while it does. A service under load would pay two more rounds a write. Here the vote is
//! on views, of which a primary then serves many writes: the version is the view's number with the position in
//! its log, cardinality and distinguished site are those of the view. In a view the primary executes, and a write
//! is acknowledged once it is durable on **all** members. So each member of a view has every write acknowledged
//! in it, and any distinguished partition of the view can go on with nothing lost; which is why the view
//! must shrink when a member fails, and writes wait until it has.
//!
//! The paper takes installation for atomic. It is not, so the rule minds attempted views: see [`view`].
//!
//! The primary of a view stays until it is not trusted by those who could serve, or itself cannot form a view;
//! then the first replica by placement that can takes over. A replica that fails to answer in changes is left out
//! for a while, doubled each time: a slow disk must not take part in every view, and delay it.

pub mod change;
pub mod config;
pub mod copy;
pub mod detector;
pub mod disk;
pub mod message;
pub mod options;
#[cfg(test)]
mod tests;
pub mod view;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

pub use config::{Config, Mutation};
pub use message::{Alive, Log, Message, Record};
pub use options::Options;
pub use view::{Standing, View};

use super::store::{Store, Update};
use crate::id::NodeId;
use crate::machine::{
    BootError, Context, Effect, Input, Inventory, LinkKind, Machine, Note, RequestId, Role, Status, Views, WriteId,
};
use crate::op::{Request, Tip, WriteKey};
use crate::time::LocalTime;

use self::change::Change;
use self::copy::{Confirming, Waiting};
use self::detector::Detector;
use self::disk::Disk;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Heartbeats and suspicions.
    Beat,
    /// A wish for another view has lasted.
    Stable,
    /// A phase of a view change has lasted too long.
    Deadline,
    /// What was not answered is repeated.
    Repeat,
}

/// What is true once a write is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vote {
    /// This coordinator's own promise, or record of its attempt.
    Promised(u64),
    Attempted(u64),
    Length(u64),
}

/// A replica.
#[derive(Debug)]
pub struct Replica {
    config: Rc<Config>,
    detector: Detector,

    /// See [`Standing`].
    since: Option<u64>,
    installed: Rc<View>,
    attempts: Vec<Rc<View>>,
    /// It takes part in nothing of a lower number.
    promised: u64,
    promised_at: LocalTime,

    /// The committed state: what every member of the view holds.
    committed: Store,
    /// Updates after it.
    tail: VecDeque<Update>,
    /// Updates before it, the last ones, for who lacks them.
    recent: VecDeque<Update>,
    durable: u64,
    since_image: u64,

    /// It formed the installed view as its primary, since its start.
    active: bool,
    /// The primary's state with everything it executed.
    head: Store,
    /// Up to where each other member's log is durable.
    matched: BTreeMap<NodeId, u64>,
    waiting: VecDeque<Waiting>,
    reads: Vec<(RequestId, u32)>,
    confirming: Option<Confirming>,
    confirm_round: u64,

    change: Change,
    /// The members of the view that it would form, and since when.
    wish: Option<(Vec<NodeId>, LocalTime)>,
    /// The timer to repeat what was not answered runs.
    repeats: bool,
    /// Requests that came during its change.
    parked: Vec<(RequestId, Request)>,
    led: bool,

    votes: VecDeque<(WriteId, Vote)>,
    next_write: u64,
}

type Cx<'a> = Context<'a, Replica>;

impl Replica {
    fn me(&self) -> NodeId {
        self.config.group.me
    }

    /// The end of the log.
    fn length(&self) -> u64 {
        self.committed.tip().length + self.tail.len() as u64
    }

    fn number(&self) -> u64 {
        self.installed.number
    }

    /// In the installed view, and in no change.
    fn is_settled(&self) -> bool {
        self.promised == self.number() && self.counts()
    }

    /// Whether it knows what it promised: its disk was not lost, or a view with it was installed since.
    fn counts(&self) -> bool {
        self.since.is_some_and(|since| since <= self.number())
    }

    /// Whether this primary hears enough of its view to confirm anything.
    fn is_carried(&self) -> bool {
        self.installed.is_carried_by(|node| node == self.me() || self.detector.trusts(node))
    }

    fn leads(&self) -> bool {
        self.active && self.is_settled() && self.is_carried()
    }

    fn standing(&self) -> Standing {
        Standing {
            since: self.since,
            installed: self.installed.clone(),
            attempts: self.attempts.clone(),
            length: self.length(),
            committed: self.committed.tip().length,
        }
    }

    fn write(&mut self, record: Record, vote: Vote, cx: &mut Cx<'_>) {
        self.next_write += 1;
        let id = WriteId(self.next_write);
        self.votes.push_back((id, vote));
        cx.effects.push(match record {
            Record::Image { .. } => Effect::Checkpoint { id, record },
            _ => Effect::Write { id, record },
        });
    }

    /// Sends once everything that was written so far is durable.
    fn send_durable(&self, to: NodeId, message: Message, cx: &mut Cx<'_>) {
        let after = (self.next_write > 0).then_some(WriteId(self.next_write));
        cx.effects.push(Effect::Send { to, message, after });
    }

    /// Something waits for an answer, which may get lost.
    fn repeat_later(&mut self, cx: &mut Cx<'_>) {
        if !std::mem::replace(&mut self.repeats, true) {
            cx.set_timer(Timer::Repeat, self.config.patience());
        }
    }

    fn written(&mut self, id: WriteId, cx: &mut Cx<'_>) {
        while let Some(&(_, vote)) = self.votes.front().filter(|(write, _)| *write <= id) {
            self.votes.pop_front();
            match vote {
                Vote::Promised(number) => self.promised_durably(number, cx),
                Vote::Attempted(number) => {
                    if self.attempts.last().is_some_and(|view| view.number == number) {
                        self.durable = self.length();
                    }
                    self.attempted(self.me(), number, cx);
                }
                Vote::Length(length) => self.durable = length.min(self.length()),
            }
        }
        self.grown(cx);
    }

    fn beat(&mut self, cx: &mut Cx<'_>) {
        cx.set_timer(Timer::Beat, self.config.options.heartbeat);
        let suspected = self.detector.tick(cx.now);
        suspected.iter().for_each(|&node| cx.note(Note::Suspected(node)));
        self.hold(&suspected, cx);
        self.consider(cx);
        self.say_alive(cx);
    }

    fn say_alive(&self, cx: &mut Cx<'_>) {
        let alive = Rc::new(Alive {
            standing: self.standing(),
            promised: self.promised,
            hears: self.detector.hears(cx.now).into(),
            able: self.may_form(None),
            follows: self.follows(),
        });
        for node in self.config.group.others() {
            // Who cannot write can take part in nothing: it had better be suspected.
            self.send_durable(node, Message::Alive(alive.clone()), cx);
        }
    }

    fn message(&mut self, from: NodeId, message: Message, cx: &mut Cx<'_>) {
        if !self.config.group.members.contains(&from) {
            return cx.note(Note::Refused("a message from a stranger"));
        }
        match message {
            Message::Alive(alive) => self.heard(from, &alive, cx),
            Message::Propose { number } => self.proposed(from, number, cx),
            Message::Accept { number, standing } => self.accepted(from, number, standing, cx),
            Message::Refuse { number, promised } => self.refused(from, number, promised, cx),
            Message::Fetch { number, committed } => {
                if number == self.promised {
                    let log = self.log_after(committed);
                    self.send_durable(from, Message::Fetched { number, log }, cx);
                }
            }
            Message::Fetched { number, log } => self.fetched(number, log, cx),
            Message::Attempt { view, log } => self.attempt_told(from, &view, log, cx),
            Message::Attempted { number } => self.attempted(from, number, cx),
            Message::Install { number } => self.learn_installed(number, cx),
            Message::Updates { number, base, updates, committed } => {
                if self.is_in(from, number, cx) {
                    self.updates(from, base, &updates, committed, cx);
                }
            }
            Message::Holds { number, length } => self.holds(from, number, length, cx),
            Message::Confirm { number, round } => {
                if self.is_in(from, number, cx) {
                    cx.send(from, Message::Confirmed { number, round });
                }
            }
            Message::Confirmed { number, round } => self.confirmed(from, number, round, cx),
        }
    }

    fn heard(&mut self, from: NodeId, alive: &Alive, cx: &mut Cx<'_>) {
        if self.detector.heard(from, alive, self.me(), cx.now) {
            cx.note(Note::Trusted(from));
        }
        let installed = &alive.standing.installed;
        self.learn_installed(installed.number, cx);
        // A primary that has promised itself to a later change may be on the log of that one already.
        let in_office = from == installed.primary && alive.promised == installed.number;
        if in_office && *installed == self.installed {
            self.commit_to(alive.standing.committed, cx);
        }
        self.consider(cx);
    }

    /// A message of a view's primary: whether this replica is in that view, and has not left it.
    fn is_in(&mut self, from: NodeId, number: u64, cx: &mut Cx<'_>) -> bool {
        // It is installed, or its primary would not say this.
        self.learn_installed(number, cx);
        if self.number() == number && self.is_settled() && self.installed.primary == from {
            return true;
        }
        if self.promised > number {
            self.send_durable(from, Message::Refuse { number, promised: self.promised }, cx);
        }
        false
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
        vec![Record::Prepared]
    }

    fn boot(config: &Self::Config, log: &[Record], cx: &mut Cx<'_>) -> Result<Self, BootError> {
        let disk = Disk::read(config, log);
        let Config { options, group, .. } = &**config;
        let mut replica = Self {
            config: config.clone(),
            detector: Detector::new(group.others(), options.suspect_after, cx.now),
            since: disk.since,
            installed: disk.installed,
            attempts: disk.attempts,
            promised: disk.promised,
            promised_at: cx.now,
            durable: disk.committed.tip().length + disk.tail.len() as u64,
            committed: disk.committed,
            tail: disk.tail,
            recent: VecDeque::new(),
            since_image: 0,
            active: false,
            head: Store::default(),
            matched: BTreeMap::new(),
            waiting: VecDeque::new(),
            reads: Vec::new(),
            confirming: None,
            confirm_round: cx.rng.bits() >> 1,
            change: Change::None,
            wish: None,
            repeats: false,
            parked: Vec::new(),
            led: false,
            votes: VecDeque::new(),
            next_write: 0,
        };
        if replica.since.is_none() {
            cx.note(Note::SteppedDown { why: "its disk was lost: it stands for nothing until a view takes it in" });
        }
        replica.beat(cx);
        Ok(replica)
    }

    fn step(&mut self, input: Input<Self>, cx: &mut Cx<'_>) {
        match input {
            Input::Request { id, request } => self.request(id, &request, cx),
            Input::Message { from, message } => self.message(from, message, cx),
            Input::Timeout(Timer::Beat) => self.beat(cx),
            Input::Timeout(Timer::Stable) => self.consider(cx),
            Input::Timeout(Timer::Deadline) => self.deadline(cx),
            Input::Timeout(Timer::Repeat) => {
                self.repeats = false;
                self.repeat(cx);
            }
            Input::Written(id) => self.written(id, cx),
            Input::Reconfigure(_) => cx.note(Note::Refused("its replica set never changes")),
            Input::Acknowledged { .. }
            | Input::LinkUp(_)
            | Input::LinkDown(_)
            | Input::Survey(_)
            | Input::Stray { .. } => {}
        }
        self.hand_over(cx);
    }

    fn status(&self) -> Status {
        let ascending = |nodes: &[NodeId]| {
            let mut nodes = nodes.to_vec();
            nodes.sort_unstable();
            nodes
        };
        let counts = self.counts();
        let is_held = |node: &NodeId| !self.installed.members.contains(node);
        Status {
            role: match (counts, self.leads()) {
                (false, _) => Role::Listening,
                (true, true) => Role::Leading,
                (true, false) => Role::Following,
            },
            view: self.view(),
            members: ascending(&self.installed.members),
            synced: ascending(&self.installed.members),
            replica_set: if counts { ascending(&self.config.group.members) } else { Vec::new() },
            tip: self.tip(),
            serving: self.leads(),
            frozen: self.promised > self.number(),
            changing: !self.attempts.is_empty(),
            candidate: counts.then_some(self.installed.primary),
            held: if self.leads() {
                self.config.group.members.iter().copied().filter(is_held).collect()
            } else {
                vec![]
            },
            impaired: false,
            released: false,
        }
    }

    fn serving(&self) -> bool {
        self.leads()
    }

    /// More than half of the last view, if nobody here has recorded another that it does not know the end of: the
    /// others of such a view may be needed. All together can always serve. The tie, and attempts whose
    /// members are here, may serve as well; they are not judged.
    fn can_serve(live: &[&Status]) -> bool {
        let Some(newest) = live.iter().max_by_key(|status| status.view) else { return false };
        if live.len() == newest.replica_set.len() {
            return true;
        }
        let present = live.iter().filter(|status| status.view == newest.view).count();
        2 * present > newest.members.len() && live.iter().all(|status| !status.changing)
    }

    fn answers(&self, _request: &Request) -> bool {
        self.leads()
    }

    fn covers(&self, tip: Tip) -> bool {
        self.committed.covers(tip)
    }

    fn holds_durably(&self, tip: Tip) -> bool {
        // A member applies an update when it hears that it is everywhere; it holds it before that.
        tip.length <= self.durable && (tip.length > self.committed.tip().length || self.committed.covers(tip))
    }

    fn tip(&self) -> Tip {
        self.committed.tip()
    }

    fn view(&self) -> Option<(u64, NodeId, u64)> {
        self.counts().then(|| (self.number(), self.installed.primary, 0))
    }

    fn applied(&self, write: WriteKey) -> bool {
        self.committed.applied(write)
    }

    fn inventory(&self) -> Inventory {
        self.committed.inventory()
    }

    fn inventory_of(config: &Self::Config, log: &[Record]) -> Inventory {
        let Disk { mut committed, tail, .. } = Disk::read(config, log);
        tail.iter().for_each(|update| committed.record(update));
        Inventory { duplicated: 0, ..committed.inventory() }
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
