//! Driving the crate: requests go in, and after each call whatever it did comes out as effects.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::messages::Message as Inner;
use omnipaxos::util::LogEntry;
use omnipaxos::{OmniPaxos, OmniPaxosConfig, ServerConfig};

use super::configuration::{Configuration, Member};
use super::disk::{Disk, Image, Record};
use super::entry::{Entry, What};
use super::message::Message;
use super::reconfigure::Pending;
use super::{Config, Mutation, Reads, Timer};
use crate::id::{ClientId, NodeId};
use crate::machine::{BootError, Context, Effect, Note, RequestId, WriteId};
use crate::op::{Answer, Outcome, Request};
use crate::protocols::desk::{Admission, Desk};
use crate::protocols::done;
use crate::protocols::store::{Command, KEYS_MAX, Store};
use crate::time::LocalTime;

pub type Cx<'a> = Context<'a, Replica>;
pub type Crate = OmniPaxos<Entry, Disk>;

/// What this replica is to its configuration.
pub enum Part {
    Member(Box<Crate>, Disk),
    /// Its disk was lost: it waits for a configuration that names its new identity. It has been asked for it.
    Lost {
        asked: bool,
    },
    /// Left out of the newest configuration that it knows. It tells those who are in it, until they are heard
    /// to take part: perhaps nobody else can hand them the state that it begins with.
    Retired {
        joined: BTreeSet<NodeId>,
    },
    /// The crate panicked: nothing it says can be trusted until it starts again from its disk.
    Failed,
}

/// A read that waits for its place in the log, with all attempts of it.
#[derive(Clone, Debug)]
struct Waiting {
    entry: Entry,
    requests: Vec<RequestId>,
}

/// A replica.
pub struct Replica {
    pub(super) config: Rc<Config>,
    pub(super) part: Part,
    pub(super) configuration: Configuration,
    pub(super) me: Member,
    /// What is decided, applied.
    pub(super) store: Store,
    pub(super) desk: Desk,
    /// Reads in the log, by their index.
    reads: BTreeMap<u64, Waiting>,
    /// Their indices by client and number, so that one is not proposed again at each attempt.
    read_at: BTreeMap<(ClientId, u32), u64>,
    /// The ballot that this replica leads in its accept phase.
    pub(super) led: Option<Ballot>,
    pub(super) leader: Option<NodeId>,
    next_write: u64,
    /// The last write that messages may rest on.
    binding: Option<WriteId>,
    /// Another configuration that was asked for, until everyone in it has said who it is.
    pub(super) pending: Option<Pending>,
    /// When this replica last asked for a configuration.
    pub(super) asked_at: Option<LocalTime>,
}

/// What a call into the crate left behind.
#[derive(Default)]
struct Left {
    messages: Vec<Inner<Entry>>,
    decided: Vec<LogEntry<Entry>>,
}

impl Replica {
    pub(super) fn out(config: &Rc<Config>, part: Part, configuration: Configuration, identity: u64) -> Self {
        Self {
            part,
            configuration,
            me: Member { node: config.group.me, identity },
            config: config.clone(),
            store: Store::default(),
            desk: Desk::default(),
            reads: BTreeMap::new(),
            read_at: BTreeMap::new(),
            led: None,
            leader: None,
            next_write: 0,
            binding: None,
            pending: None,
            asked_at: None,
        }
    }

    /// Starts, or starts again, from an image. What the crate recovers from is exactly what is in it.
    pub(super) fn enter(&mut self, image: Image, cx: &mut Cx<'_>) -> Result<(), BootError> {
        self.configuration = image.configuration.clone();
        self.store = image.snapshot.as_ref().map_or_else(Store::default, |state| (*state.store()).clone());
        self.leader = None;
        if !self.configuration.holds(self.me) {
            self.part = Part::Retired { joined: BTreeSet::new() };
            cx.set_timer(Timer::Tick, self.config.options.election_timeout);
            return Ok(());
        }
        let pid = self.configuration.pid(self.me.node).expect("a member has a number");
        let server = self.server(pid);
        let cluster = self.configuration.cluster();
        let disk = Disk::new(image);
        let storage = disk.clone();
        let built = catch_unwind(AssertUnwindSafe(|| {
            OmniPaxosConfig { cluster_config: cluster, server_config: server }.build(storage)
        }));
        match built {
            Ok(Ok(omni)) => self.part = Part::Member(Box::new(omni), disk),
            Ok(Err(error)) => return Err(BootError(error.to_string())),
            Err(_) => return Err(BootError("the crate panicked on what is on the disk".into())),
        }
        cx.set_timer(Timer::Tick, self.config.options.tick);
        self.call(cx, |_| {});
        Ok(())
    }

    fn server(&self, pid: u64) -> ServerConfig {
        let options = &self.config.options;
        let round = (options.election_timeout.as_nanos() / options.tick.as_nanos()).max(1);
        ServerConfig {
            pid,
            election_tick_timeout: round,
            // Links lose nothing while they hold, and a break is told: once a round is soon enough.
            resend_message_tick_timeout: round,
            batch_size: 1,
            // With batches of one nothing is ever left in a batch.
            flush_batch_tick_timeout: u64::MAX,
            // Where the choice is free the first by placement leads.
            leader_priority: (self.configuration.members.len() as u64 - pid) as u32,
            ..ServerConfig::default()
        }
    }

    /// Calls the crate, and does what it wants done: one record for all that it changed, then its messages,
    /// none of which leaves before that record, and those before it, are durable.
    pub(super) fn call(&mut self, cx: &mut Cx<'_>, act: impl FnOnce(&mut Crate)) {
        let Part::Member(omni, disk) = &mut self.part else { return };
        let applied = self.store.tip().length as usize;
        let snapshot_entries = self.config.options.snapshot_entries as usize;
        let called = catch_unwind(AssertUnwindSafe(|| {
            act(omni);
            let decided = omni.read_decided_suffix(applied).unwrap_or_default();
            let ended = omni.is_reconfigured().is_some();
            if !ended && omni.get_decided_idx() - omni.get_compacted_idx() >= snapshot_entries {
                omni.snapshot(None, true).expect("what is decided can be compacted");
            }
            let mut left = Left { messages: Vec::new(), decided };
            omni.take_outgoing_messages(&mut left.messages);
            left
        }));
        let record = disk.take_record();
        let Ok(left) = called else { return self.fail("the crate panicked", cx) };
        if let Some((record, binds)) = record {
            self.write(record, binds, cx);
        }
        let configuration = self.configuration.id;
        for message in left.messages {
            let to = self.configuration.node(message.get_receiver());
            let to = to.expect("the crate sends to members only");
            self.send(to, Message::Within { configuration, message: Box::new(message) }, cx);
        }
        let next = self.apply(left.decided, cx);
        self.watch(cx);
        if let Some(next) = next {
            self.succeed(next, cx);
        }
    }

    /// Whatever the crate did in the call that panicked is dropped with it: no message leaves, and what it
    /// changed is not written.
    fn fail(&mut self, why: &'static str, cx: &mut Cx<'_>) {
        self.part = Part::Failed;
        cx.note(Note::SteppedDown { why });
        self.unseat(cx);
        self.leader = None;
    }

    pub(super) fn write(&mut self, record: Record, binds: bool, cx: &mut Cx<'_>) {
        self.next_write += 1;
        let id = WriteId(self.next_write);
        if binds {
            self.binding = Some(id);
        }
        if let Record::Image(image) = &record {
            cx.note(Note::Compacted { floor: image.compacted as u64 });
            cx.effects.push(Effect::Checkpoint { id, record });
        } else {
            cx.effects.push(Effect::Write { id, record });
        }
    }

    pub(super) fn send(&self, to: NodeId, message: Message, cx: &mut Cx<'_>) {
        let after = self.binding.filter(|_| !message.is_free());
        cx.effects.push(Effect::Send { to, message, after });
    }

    /// Applies what was decided, answers who waited for it, and gives the configuration that it ends with.
    fn apply(&mut self, decided: Vec<LogEntry<Entry>>, cx: &mut Cx<'_>) -> Option<Configuration> {
        for one in decided {
            match one {
                LogEntry::Decided(entry) if entry.at == self.store.tip().length => self.apply_entry(&entry, cx),
                LogEntry::Decided(_) => {
                    self.fail("an entry was decided out of its place", cx);
                    return None;
                }
                LogEntry::Snapshotted(snapshot) => self.store = (*snapshot.snapshot.store()).clone(),
                LogEntry::StopSign(stop, true) => return Configuration::of(&stop),
                LogEntry::Undecided(_) | LogEntry::Trimmed(_) | LogEntry::StopSign(_, false) => {
                    unreachable!("a decided suffix holds what is decided, and nothing is trimmed without a snapshot")
                }
            }
        }
        None
    }

    fn apply_entry(&mut self, entry: &Entry, cx: &mut Cx<'_>) {
        let answer = entry.apply(&mut self.store);
        let waiting = match entry.what {
            What::Write(command) => self.desk.applied(command.write()),
            What::Read { client, number, .. } => {
                let mine = self.reads.remove(&entry.at).filter(|waiting| waiting.entry == *entry);
                if mine.is_some() {
                    self.read_at.remove(&(client, number));
                }
                mine.map_or_else(Vec::new, |waiting| waiting.requests)
            }
        };
        for id in waiting {
            let outcome = answer.map_or(Outcome::Refused, |answer| self.done(answer));
            cx.reply(id, outcome);
        }
    }

    pub(super) fn done(&self, answer: Answer) -> Outcome {
        let epoch = self.view_now().map_or(0, |view| view.0);
        done(answer, self.store.tip(), epoch, self.configuration.members.len() / 2 + 1)
    }

    pub(super) fn view_now(&self) -> Option<(u64, NodeId, u64)> {
        let Part::Member(omni, _) = &self.part else { return None };
        self.configuration.view(omni.get_promise())
    }

    /// Whether the leadership changed. A ballot of its own that is not the one before is another leadership:
    /// in between others may have replaced what was proposed.
    fn watch(&mut self, cx: &mut Cx<'_>) {
        let Part::Member(omni, _) = &self.part else { return };
        let promise = omni.get_promise();
        let leader = self.configuration.node(promise.pid);
        let leads = leader == Some(self.me.node) && omni.get_current_leader().is_some_and(|(_, accepts)| accepts);
        let led = leads.then_some(promise);
        if self.led != led {
            self.unseat(cx);
            self.led = led;
        }
        if self.leader != leader {
            self.leader = leader;
            leader.into_iter().for_each(|leader| cx.note(Note::Follows(leader)));
        }
    }

    /// Answers everything in hand: what was asked for may yet take effect.
    pub(super) fn unseat(&mut self, cx: &mut Cx<'_>) {
        self.led = None;
        self.pending = None;
        self.read_at.clear();
        let reads = std::mem::take(&mut self.reads).into_values().flat_map(|waiting| waiting.requests);
        let hint = self.hint();
        for id in self.desk.clear().into_iter().chain(reads) {
            cx.reply(id, Outcome::Unfinished { hint });
        }
    }

    /// Whom to ask instead.
    pub(super) fn hint(&self) -> Option<NodeId> {
        let other = |node: &NodeId| *node != self.me.node;
        match &self.part {
            Part::Member(omni, _) => self.configuration.node(omni.get_promise().pid).filter(other),
            Part::Retired { .. } => self.configuration.members.first().map(|member| member.node),
            Part::Lost { .. } | Part::Failed => None,
        }
    }

    pub(super) fn request(&mut self, id: RequestId, request: &Request, cx: &mut Cx<'_>) {
        let Part::Member(_, disk) = &self.part else {
            let outcome = match self.part {
                Part::Retired { .. } => Outcome::Redirect { hint: self.hint() },
                _ => Outcome::Refused,
            };
            return cx.reply(id, outcome);
        };
        if self.led.is_none() || disk.is_stopping() {
            return cx.reply(id, Outcome::Redirect { hint: self.hint() });
        }
        if request.op.is_read() {
            self.read(id, request, cx);
        } else {
            self.write_request(id, request, cx);
        }
    }

    fn read(&mut self, id: RequestId, request: &Request, cx: &mut Cx<'_>) {
        let key = request.op.key();
        if key >= KEYS_MAX {
            return cx.reply(id, Outcome::Refused);
        }
        if self.config.options.reads == Reads::Leader {
            let cell = self.store.read(key);
            let outcome = self.done(Answer::Read { digest: cell.digest, bytes: cell.bytes });
            return cx.reply(id, outcome);
        }
        let name = (request.client, request.number);
        if let Some(waiting) = self.read_at.get(&name).and_then(|at| self.reads.get_mut(at)) {
            return waiting.requests.push(id);
        }
        let what = What::Read { client: request.client, number: request.number, key };
        let Some(entry) = self.propose(what, cx) else {
            return cx.reply(id, Outcome::Unfinished { hint: self.hint() });
        };
        self.read_at.insert(name, entry.at);
        self.reads.insert(entry.at, Waiting { entry, requests: vec![id] });
    }

    fn write_request(&mut self, id: RequestId, request: &Request, cx: &mut Cx<'_>) {
        match self.desk.admit(id, request, &self.store) {
            Admission::Propose(command) => {
                if self.config.options.mutation == Some(Mutation::AckBeforeCommit) {
                    let answer = self.store.execute(command).answer;
                    cx.reply(id, self.done(answer));
                }
                self.propose_write(command, cx);
            }
            Admission::Waits => {}
            Admission::Known(answer) => cx.reply(id, self.done(answer)),
            Admission::Answer(outcome) => cx.reply(id, outcome),
        }
    }

    fn propose_write(&mut self, command: Command, cx: &mut Cx<'_>) {
        if self.propose(What::Write(command), cx).is_none() {
            let hint = self.hint();
            for id in self.desk.applied(command.write()) {
                cx.reply(id, Outcome::Unfinished { hint });
            }
        }
    }

    /// Appends an entry to the leader's log, if it can still be appended to.
    fn propose(&mut self, what: What, cx: &mut Cx<'_>) -> Option<Entry> {
        let mut entry = None;
        self.call(cx, |omni| {
            let next = Entry { at: omni.get_accepted_idx() as u64, what };
            entry = omni.append(next).is_ok().then_some(next);
        });
        entry
    }
}
