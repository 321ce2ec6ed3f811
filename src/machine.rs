//! The trait of a protocol: a state machine without input or output of its own.
//!
//! A machine never reads a clock, draws entropy or touches a network or a disk. It is stepped with an
//! [`Input`] and appends [`Effect`]s; the driver turns them into events. Effects are values, so a test
//! compares lists, and the same machine could run on real sockets: nothing in it may know that it is
//! simulated.

use crate::id::{ClientId, DcId, NodeId, ServiceId};
use crate::op::{Outcome, Request, Tip, WriteKey};
use crate::rng::Stream;
use crate::time::{Duration, LocalTime};

/// Identifies a write to the node's own disk; the machine chooses it, increasing within an incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteId(pub u64);

/// Identifies a client request in hand at this replica. Dead after one reply or a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What links a protocol assumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// Loses, duplicates and reorders.
    Datagram,
    /// First in, first out; a break is visible to both sides as `LinkDown`, its end as `LinkUp`.
    Session,
}

/// How the views (terms, ballots) of a protocol stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Views {
    /// Several may serve at once; their histories merge afterwards.
    Coexist,
    /// Only the newest can acknowledge anything, so there is one history. A leader that has not heard of a
    /// newer one believes itself to serve, in vain.
    Succeed,
}

/// What happened to a machine.
#[derive(Clone, Debug)]
pub enum Input<M: Machine> {
    Message {
        from: NodeId,
        message: M::Message,
    },
    Timeout(M::Timer),
    Request {
        id: RequestId,
        request: Request,
    },
    /// A client confirms that it was told of a revoked write.
    Acknowledged {
        write: WriteKey,
    },
    /// Everything up to and including this write is on the disk.
    Written(WriteId),
    LinkUp(NodeId),
    LinkDown(NodeId),
    /// The operator, or the reorganiser, asks for this set of replicas. The first of them is to be primary,
    /// where the protocol can choose.
    Reconfigure(Vec<NodeId>),
    /// Answers [`Order::Survey`]; only agents are told.
    Survey(Survey),
    /// A request for a service that has no replica on this machine; only agents are asked.
    Stray {
        id: RequestId,
        service: ServiceId,
        from: DcId,
    },
}

/// What a machine wants done.
#[derive(Clone, Debug)]
pub enum Effect<M: Machine> {
    /// Sends once the write `after` is durable, or at once.
    Send {
        to: NodeId,
        message: M::Message,
        after: Option<WriteId>,
    },
    /// Arms the timer, or moves it; it fires once.
    SetTimer {
        timer: M::Timer,
        after: Duration,
    },
    CancelTimer(M::Timer),
    /// Appends a record to the write-ahead log.
    Write {
        id: WriteId,
        record: M::Record,
    },
    /// Appends a record that replaces all earlier ones once it is durable.
    Checkpoint {
        id: WriteId,
        record: M::Record,
    },
    Reply {
        id: RequestId,
        outcome: Outcome,
    },
    /// Tells a client, unasked, that its write was revoked.
    Tell {
        write: WriteKey,
    },
    /// An observation for traces and checkers; it has no effect.
    Note(Note),
    /// What an agent wants of the machine that it lives on. Replicas give no orders.
    Order(Order),
}

/// What an agent wants done on its own machine, or from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Tell how things stand here: [`Input::Survey`] follows at once.
    Survey,
    /// Start an empty replica of a service, which is to be taken in by these.
    Start { service: ServiceId, members: Vec<NodeId> },
    /// Stop the replica of a service, and give its disk space free.
    Stop { service: ServiceId },
    /// Ask the replica here for another set of replicas.
    Reconfigure { service: ServiceId, replicas: Vec<NodeId> },
    /// Shut this machine down: it sleeps until it is woken.
    Sleep,
    /// Send a packet that powers a sleeping machine on. It travels like any other, and may be lost.
    Wake(NodeId),
    /// Tell the clients at this machine's site where a service is: its primary first.
    Publish { service: ServiceId, replicas: Vec<NodeId> },
}

/// How things stand on one machine, as its operating system counts them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The time since the last survey, or since the process began.
    pub window: Duration,
    /// Processor time that was spent meanwhile.
    pub busy: Duration,
    /// By service.
    pub replicas: Vec<Housed>,
}

/// A replica on the surveyed machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Housed {
    pub service: ServiceId,
    pub status: Status,
    /// What a copy of it would move.
    pub bytes: u64,
    /// Processor time spent on its requests since the last survey.
    pub busy: Duration,
    /// Requests executed since the last survey, by the place they came from, ascending.
    pub served: Vec<Demand>,
}

/// Requests from one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    pub place: DcId,
    pub reads: u32,
    pub writes: u32,
}

/// Observations of a protocol's decisions, for traces, checkers and stories. No machine reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    Suspected(NodeId),
    Trusted(NodeId),
    /// This replica now leads `candidate`'s group, or follows it.
    Follows(NodeId),
    Proposed {
        epoch: u64,
        members: Vec<NodeId>,
    },
    /// A view change was given up.
    Abandoned {
        epoch: u64,
        missing: Vec<NodeId>,
    },
    /// A view took effect at this replica.
    Installed {
        epoch: u64,
        coordinator: NodeId,
        members: Vec<NodeId>,
    },
    /// Every member holds the view whose entry is named by `tip`.
    Confirmed {
        epoch: u64,
        tip: Tip,
        members: Vec<NodeId>,
    },
    /// Branches were merged into this replica's history.
    Merged {
        branches: usize,
        reapplied: usize,
        revoked: usize,
        duplicates: usize,
        union: Box<Union>,
    },
    Compacted {
        floor: u64,
    },
    /// A member was held out of views after failing.
    HeldDown {
        node: NodeId,
        failures: u32,
    },
    SteppedDown {
        why: &'static str,
    },
    /// Local checking found an illegal state and corrected it.
    Corrected(&'static str),
    /// A message or record was refused.
    Refused(&'static str),
    ReplicaSet(Vec<NodeId>),
    /// A state of so much history took the place of the log: its own, or another replica's.
    Snapshot {
        length: u64,
    },
    /// This replica stands for election in a term, or asks whether it might.
    Campaigns {
        term: u64,
    },
    /// This replica was elected.
    Elected {
        term: u64,
    },
    /// This replica advances to a view that has no primary yet.
    ViewChange {
        view: u64,
    },
    /// Its disk was lost: it takes part again once it knows what it may have promised.
    Recovering,
    Recovered,
    /// An agent decided something.
    Decided(Box<Decision>),
}

/// A decision of the reorganisation layer, with the evidence that it rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// For example `recruit`, `shed`, `sleep`.
    pub action: &'static str,
    /// What the agent takes for what happened, or why it acts.
    pub class: &'static str,
    pub service: Option<ServiceId>,
    /// The machines concerned.
    pub nodes: Vec<NodeId>,
    /// Sites and machines that are silent.
    pub silent_sites: Vec<DcId>,
    pub silent_nodes: Vec<NodeId>,
    /// Sites that are heard, and do not hear the silent ones either.
    pub agree: Vec<DcId>,
    /// Sites that are heard, and hear a silent one.
    pub differ: Vec<DcId>,
}

/// Which branches a merge brought together, and what became of whose writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Union {
    /// As they ranked: the base, whose writes stay, comes first. Empty if no branch was merged.
    pub branches: Vec<Branch>,
    /// Executed again, with the place of its branch.
    pub reapplied: Vec<(WriteKey, usize)>,
    pub revoked: Vec<Revocation>,
}

/// A history that a merge took in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Its last view that every member held: the tip of the view's entry, as in [`Note::Confirmed`], and the epoch.
    pub view: Option<(Tip, u64)>,
    pub tip: Tip,
    /// The unfinished end of a primary that crashed or paused, and no side that served.
    pub tail: bool,
}

/// A write that a merge put into the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub write: WriteKey,
    /// The place of its branch; `None` if an earlier merge had revoked it, or it stood in no branch.
    pub branch: Option<usize>,
    pub why: &'static str,
}

/// Why a machine cannot start from its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootError(pub String);

/// What a transient fault overwrites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corrupt {
    Volatile,
    Log,
    All,
}

/// The part a replica plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Just started; neither leads nor answers.
    Listening,
    Following,
    Leading,
}

/// What observers, and the reorganiser, may see of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub role: Role,
    /// (epoch, coordinator, a hash that tells equal epochs apart) of the installed view.
    pub view: Option<(u64, NodeId, u64)>,
    /// Members of the installed view, ascending.
    pub members: Vec<NodeId>,
    /// Those who are to replicate, in the order in which another set may name those who stay without asking for
    /// another primary.
    pub replica_set: Vec<NodeId>,
    /// Replicas that durably hold all that was acknowledged, this one among them if it does, ascending. Only a
    /// replica that serves knows of others. A protocol that cannot tell names its members.
    pub synced: Vec<NodeId>,
    /// The end of the history, durable or not; for protocols of one history, of what is committed and applied.
    pub tip: Tip,
    /// Accepts writes as primary now: installed, up, not frozen.
    pub serving: bool,
    /// Between accepting a view proposal and its end.
    pub frozen: bool,
    /// Coordinating a view change.
    pub changing: bool,
    /// Whom it follows; itself if it leads.
    pub candidate: Option<NodeId>,
    /// Nodes that this leader keeps out of its view for now: held down after failures, or still catching up.
    pub held: Vec<NodeId>,
    /// Its own storage does not answer: it takes no part until it does.
    pub impaired: bool,
    /// It has no part in the service, and holds nothing that the others might need of it: it was taken out and
    /// has handed over, or was not taken in yet. It may be erased.
    pub released: bool,
}

impl Status {
    /// Of a replica at rest that takes part with all of `members`.
    pub fn at_rest(role: Role, view: (u64, NodeId, u64), members: &[NodeId], tip: Tip) -> Self {
        let mut members = members.to_vec();
        members.sort_unstable();
        Self {
            role,
            view: Some(view),
            replica_set: members.clone(),
            synced: members.clone(),
            members,
            tip,
            serving: role == Role::Leading,
            frozen: false,
            changing: false,
            candidate: Some(view.1),
            held: Vec::new(),
            impaired: false,
            released: false,
        }
    }
}

/// Writes that a machine, or a disk, accounts for.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    pub applied: crate::interval::WriteSet,
    /// Revoked and kept in the journal.
    pub journaled: crate::interval::WriteSet,
    /// Executed again by a merge.
    pub reapplied: crate::interval::WriteSet,
    /// Applications of a (client, number) that had been applied before.
    pub duplicated: u64,
}

/// A protocol.
pub trait Machine: Sized {
    type Message: Clone + std::fmt::Debug;
    type Timer: Copy + Ord + std::fmt::Debug;
    /// An entry of the write-ahead log.
    type Record: Clone + std::fmt::Debug;
    /// Validated; no `Default`: the scenario chooses every value.
    type Config;

    const LINKS: LinkKind;
    const VIEWS: Views;

    /// What whoever installs the service writes on the disk before the first start of all: nothing, or a mark
    /// by which a later start tells an empty service from a disk that was lost.
    fn format(_config: &Self::Config) -> Vec<Self::Record> {
        Vec::new()
    }
    /// Starts from what the disk holds, in order of writing.
    fn boot(config: &Self::Config, log: &[Self::Record], cx: &mut Context<'_, Self>) -> Result<Self, BootError>;
    fn step(&mut self, input: Input<Self>, cx: &mut Context<'_, Self>);

    fn status(&self) -> Status;
    /// As `status().serving`; asked after every step, so it should be cheap.
    fn serving(&self) -> bool {
        self.status().serving
    }
    /// Whether these live replicas, each connected with each, must come to serve by the protocol's own rule.
    fn can_serve(live: &[&Status]) -> bool {
        match Self::VIEWS {
            Views::Coexist => true,
            Views::Succeed => majority(live),
        }
    }
    /// Whether this replica answers requests itself (perhaps reads only) instead of redirecting them.
    fn answers(&self, request: &Request) -> bool;
    /// Whether `tip` is in this replica's history, as an entry of its chain or of a branch merged into it.
    fn covers(&self, tip: Tip) -> bool;
    /// Whether `tip` is in the chain itself, not only in a branch merged into it.
    fn chain_holds(&self, tip: Tip) -> bool {
        self.covers(tip)
    }
    /// As `covers`, counting only what would survive a crash now.
    fn holds_durably(&self, tip: Tip) -> bool {
        self.covers(tip)
    }
    /// As `status().tip`, but cheap.
    fn tip(&self) -> Tip {
        self.status().tip
    }
    /// As `status().view`, but cheap.
    fn view(&self) -> Option<(u64, NodeId, u64)> {
        self.status().view
    }
    /// Whether a write is in the live state.
    fn applied(&self, write: WriteKey) -> bool;
    /// Whether a write was revoked, and is in the journal. Protocols of one history revoke nothing.
    fn journaled(&self, _write: WriteKey) -> bool {
        false
    }
    fn inventory(&self) -> Inventory;
    /// What a disk accounts for whose process does not run.
    fn inventory_of(config: &Self::Config, log: &[Self::Record]) -> Inventory;

    fn wire_bytes(message: &Self::Message) -> u32;
    fn record_bytes(record: &Self::Record) -> u32;
    /// A short name of the message's kind, for traces and the fingerprint.
    fn message_name(message: &Self::Message) -> &'static str;

    /// Overwrites state with arbitrary values. False: not supported, and reports say so.
    fn corrupt(&mut self, _what: Corrupt, _rng: &mut Stream) -> bool {
        false
    }
    /// Overwrites a message in flight. False: not supported.
    fn corrupt_message(_message: &mut Self::Message, _rng: &mut Stream) -> bool {
        false
    }
}

/// Whether these replicas are a majority of the replica set that the most advanced of them knows.
pub fn majority(live: &[&Status]) -> bool {
    let newest = live.iter().max_by_key(|status| status.tip.length);
    let is_same =
        |one: &[NodeId], other: &[NodeId]| one.len() == other.len() && one.iter().all(|node| other.contains(node));
    newest.is_some_and(|status| {
        let present = live.iter().filter(|one| is_same(&one.replica_set, &status.replica_set)).count();
        present > status.replica_set.len() / 2
    })
}

/// What a step may use.
pub struct Context<'a, M: Machine> {
    /// This node's monotonic clock: it drifts, and never jumps. There is no way to [`crate::time::SimTime`].
    pub now: LocalTime,
    /// This node's wall clock: it drifts and jumps. Only for timestamps that order writes.
    pub wall: LocalTime,
    pub rng: &'a mut Stream,
    pub effects: &'a mut Vec<Effect<M>>,
}

impl<M: Machine> Context<'_, M> {
    pub fn send(&mut self, to: NodeId, message: M::Message) {
        self.effects.push(Effect::Send { to, message, after: None });
    }
    pub fn set_timer(&mut self, timer: M::Timer, after: Duration) {
        self.effects.push(Effect::SetTimer { timer, after });
    }
    pub fn reply(&mut self, id: RequestId, outcome: Outcome) {
        self.effects.push(Effect::Reply { id, outcome });
    }
    pub fn cancel_timer(&mut self, timer: M::Timer) {
        self.effects.push(Effect::CancelTimer(timer));
    }
    pub fn note(&mut self, note: Note) {
        self.effects.push(Effect::Note(note));
    }
    pub fn tell(&mut self, client: ClientId, number: u32) {
        self.effects.push(Effect::Tell { write: WriteKey { client, number } });
    }
}
