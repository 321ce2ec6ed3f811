//! What happened in a run, as values in the order of events: what stories, diagrams and traces are made of.
//! It is kept only if asked for, and changes nothing.

use std::collections::BTreeMap;

use crate::history::Event;
use crate::id::{ClientId, DcId, NodeId, ServiceId};
use crate::machine::{Note, Role, Status, Views};
use crate::op::{Outcome, Request, WriteKey};
use crate::time::SimTime;
use crate::world::fault::{Action, Endpoint};
use crate::world::{ClientRequest, DropReason, FaultNews, Passage, TraceEvent};

/// Which of the many things to keep. Faults, notes, states, messages between replicas and the history are
/// kept in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Keep what passes between clients and servers for this client's read and write of this number.
    pub request: Option<(ClientId, u32)>,
    /// Keep the timers that run out from the first instant up to the second.
    pub timers: Option<(SimTime, SimTime)>,
}

/// Names a client's request: reads and writes are numbered apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestName {
    pub client: ClientId,
    pub number: u32,
    pub read: bool,
}

impl RequestName {
    /// Of an event of the history.
    pub const fn of(event: &Event) -> Self {
        Self { client: event.client, number: event.number, read: event.op.is_read() }
    }
}

/// A thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    pub at: SimTime,
    pub what: Happened,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Happened {
    Fault(Box<FaultTold>),
    Booted(NodeId),
    Crashed(NodeId),
    Paused(NodeId),
    Resumed(NodeId),
    Note(Box<Noted>),
    /// These replicas accept writes as primary from now on; where views succeed each other, the newest alone.
    Serving(Box<(ServiceId, Vec<NodeId>)>),
    /// The state of a replica changed; `None`: no process runs there.
    State(Box<(ServiceId, NodeId, Option<Condition>)>),
    /// A message between two replicas.
    Message(Carried),
    /// What passes between a client and a server, of an attempt in [`Tape::attempts`].
    Letter {
        attempt: u32,
        answer: bool,
        step: Step,
    },
    /// An answer reached the client.
    Answered {
        attempt: u32,
        outcome: Box<Outcome>,
    },
    /// A timer ran out.
    Timer(Box<(ServiceId, NodeId, String)>),
}

/// A fault begins or ends.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultTold {
    /// Place in the timeline; `None`: a failure at random.
    pub index: Option<usize>,
    pub label: String,
    pub begins: bool,
    pub unsupported: bool,
    pub nodes: Vec<NodeId>,
    pub action: Action,
}

/// A replica told of a decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Noted {
    pub service: ServiceId,
    pub node: NodeId,
    pub note: Note,
}

/// What an observer sees of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub role: Role,
    /// (epoch, coordinator) of the installed view.
    pub view: Option<(u64, NodeId)>,
    pub members: Vec<NodeId>,
    pub serving: bool,
    pub frozen: bool,
    pub changing: bool,
    pub candidate: Option<NodeId>,
}

impl From<Status> for Condition {
    fn from(status: Status) -> Self {
        Self {
            role: status.role,
            view: status.view.map(|(epoch, coordinator, _)| (epoch, coordinator)),
            members: status.members,
            serving: status.serving,
            frozen: status.frozen,
            changing: status.changing,
            candidate: status.candidate,
        }
    }
}

/// A message between two replicas of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    pub service: ServiceId,
    pub from: NodeId,
    pub to: NodeId,
    pub name: &'static str,
    pub step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Sent { arrives: SimTime },
    Dropped(DropReason),
    Delivered,
}

/// An attempt of a client's request at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub at: SimTime,
    pub service: ServiceId,
    pub place: DcId,
    pub request: RequestName,
    pub server: NodeId,
}

/// What became of attempts, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    pub sent: u32,
    pub done: u32,
    pub refused: u32,
    pub redirected: u32,
    pub unfinished: u32,
    /// The request or its answer did not pass a cut.
    pub cut: u32,
    /// It found no process, and nobody who would have said so.
    pub silent: u32,
}

/// What became of an acknowledged write that is not simply in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Reapplied,
    Revoked {
        told: bool,
    },
    /// Only on these disks.
    Stranded(Vec<NodeId>),
    Lost,
}

/// All that was kept.
#[derive(Debug)]
pub struct Tape {
    /// Whether several primaries may serve at once.
    pub views: Views,
    pub moments: Vec<Moment>,
    pub history: Vec<Event>,
    pub attempts: Vec<Attempt>,
    /// By service and second.
    pub outcomes: Vec<Vec<Outcomes>>,
    pub fates: BTreeMap<(ServiceId, WriteKey), Fate>,
    wanted: Wanted,
    /// The attempts under way that are wanted.
    numbers: BTreeMap<(u64, u16), u32>,
    conditions: BTreeMap<(ServiceId, NodeId), Option<Condition>>,
    serving: BTreeMap<ServiceId, Vec<NodeId>>,
}

impl Tape {
    pub fn new(wanted: Wanted, services: usize, views: Views) -> Self {
        Self {
            views,
            moments: Vec::new(),
            history: Vec::new(),
            attempts: Vec::new(),
            outcomes: vec![Vec::new(); services],
            fates: BTreeMap::new(),
            wanted,
            numbers: BTreeMap::new(),
            conditions: BTreeMap::new(),
            serving: BTreeMap::new(),
        }
    }

    fn push(&mut self, at: SimTime, what: Happened) {
        self.moments.push(Moment { at, what });
    }

    fn in_span(&self, at: SimTime) -> bool {
        self.wanted.timers.is_some_and(|(from, to)| from <= at && at < to)
    }

    fn count(&mut self, at: SimTime, service: ServiceId, count: impl FnOnce(&mut Outcomes)) {
        let second = (at.as_nanos() / 1_000_000_000) as usize;
        let seconds = &mut self.outcomes[service.index()];
        if second >= seconds.len() {
            seconds.resize(second + 1, Outcomes::default());
        }
        count(&mut seconds[second]);
    }

    /// A client sends an attempt to a server.
    pub fn attempt(&mut self, at: SimTime, who: ClientRequest, server: NodeId, request: &Request) {
        self.count(at, who.service, |all| all.sent += 1);
        let name = RequestName { client: request.client, number: request.number, read: request.op.is_read() };
        if self.wanted.request == Some((name.client, name.number)) {
            self.numbers.insert((who.ticket, who.attempt), self.attempts.len() as u32);
            let ClientRequest { service, place, .. } = who;
            self.attempts.push(Attempt { at, service, place, request: name, server });
        }
    }

    /// An answer reached the client.
    pub fn answered(&mut self, at: SimTime, to: ClientRequest, outcome: &Outcome) {
        self.count(at, to.service, |all| match outcome {
            Outcome::Done(_) => all.done += 1,
            Outcome::Refused => all.refused += 1,
            Outcome::Redirect { .. } => all.redirected += 1,
            Outcome::Unfinished { .. } => all.unfinished += 1,
            Outcome::Revoked | Outcome::NumberTaken | Outcome::SessionUnknown | Outcome::Regressed => {}
        });
        if let Some(&attempt) = self.numbers.get(&(to.ticket, to.attempt)) {
            self.push(at, Happened::Answered { attempt, outcome: Box::new(*outcome) });
        }
    }

    pub fn note(&mut self, at: SimTime, service: ServiceId, node: NodeId, note: &Note) {
        self.push(at, Happened::Note(Box::new(Noted { service, node, note: note.clone() })));
    }

    pub fn fault(&mut self, at: SimTime, news: &FaultNews<'_>) {
        let told = FaultTold {
            index: news.index,
            label: news.label.to_owned(),
            begins: news.begins,
            unsupported: news.unsupported,
            nodes: news.nodes.to_vec(),
            action: news.action.clone(),
        };
        self.push(at, Happened::Fault(Box::new(told)));
    }

    /// A replica finished a step: its state is kept if it is another one.
    pub fn stepped(&mut self, at: SimTime, service: ServiceId, node: NodeId, status: Option<Status>) {
        let condition = status.map(Condition::from);
        if self.conditions.get(&(service, node)) != Some(&condition) {
            self.conditions.insert((service, node), condition.clone());
            self.push(at, Happened::State(Box::new((service, node, condition))));
        }
    }

    /// These replicas serve now.
    pub fn serving(&mut self, at: SimTime, service: ServiceId, nodes: Vec<NodeId>) {
        if self.serving.get(&service).map_or(!nodes.is_empty(), |before| *before != nodes) {
            self.serving.insert(service, nodes.clone());
            self.push(at, Happened::Serving(Box::new((service, nodes))));
        }
    }

    pub fn trace(&mut self, at: SimTime, event: &TraceEvent<'_>) {
        match *event {
            TraceEvent::Sent { passage, arrives, .. } => self.passes(at, passage, Step::Sent { arrives }),
            TraceEvent::Dropped { passage, why } => self.passes(at, passage, Step::Dropped(why)),
            TraceEvent::Delivered { passage } => self.passes(at, passage, Step::Delivered),
            TraceEvent::Timeout { service, node, timer } if self.in_span(at) => {
                self.push(at, Happened::Timer(Box::new((service, node, format!("{timer:?}")))));
            }
            TraceEvent::Booted { node, .. } => self.push(at, Happened::Booted(node)),
            TraceEvent::Crashed { node } => self.push(at, Happened::Crashed(node)),
            TraceEvent::Paused { node } => self.push(at, Happened::Paused(node)),
            TraceEvent::Resumed { node } => self.push(at, Happened::Resumed(node)),
            TraceEvent::Timeout { .. }
            | TraceEvent::Wrote { .. }
            | TraceEvent::Durable { .. }
            | TraceEvent::LinkUp { .. }
            | TraceEvent::LinkDown { .. }
            | TraceEvent::BootFailed { .. }
            | TraceEvent::Slept { .. }
            | TraceEvent::Started { .. }
            | TraceEvent::Stopped { .. } => {}
        }
    }

    fn passes(&mut self, at: SimTime, passage: Passage, step: Step) {
        let Passage { service, from, to, name, attempt } = passage;
        if let (Endpoint::Node(from), Endpoint::Node(to)) = (from, to) {
            if from != to {
                self.push(at, Happened::Message(Carried { service, from, to, name, step }));
            }
            return;
        }
        let Some(who) = attempt else { return };
        match step {
            Step::Dropped(DropReason::Cut) => self.count(at, service, |all| all.cut += 1),
            Step::Dropped(DropReason::Down) => self.count(at, service, |all| all.silent += 1),
            _ => {}
        }
        if let Some(&attempt) = self.numbers.get(&(who.ticket, who.attempt)) {
            let answer = matches!(from, Endpoint::Node(_));
            self.push(at, Happened::Letter { attempt, answer, step });
        }
    }
}
