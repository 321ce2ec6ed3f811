//! Replicas and agents as one kind of machine: what lives on the machines of a world that reorganises itself.

use std::rc::Rc;

use super::agent::{self, Agent};
use super::message;
use crate::machine::{BootError, Context, Corrupt, Effect, Input, Inventory, LinkKind, Machine, Role, Status, Views};
use crate::op::{Request, Tip, WriteKey};
use crate::rng::Stream;

/// A replica of a protocol, or an agent.
#[derive(Debug)]
pub enum Resident<M: Machine> {
    Replica { machine: M, effects: Vec<Effect<M>> },
    Agent { agent: Box<Agent>, effects: Vec<Effect<Agent>> },
}

#[derive(Clone, Debug)]
pub enum ResidentConfig<M: Machine> {
    Replica(M::Config),
    Agent(Rc<agent::Config>),
}

#[derive(Clone, Debug)]
pub enum Message<M> {
    Replica(M),
    Agent(message::Message),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer<T> {
    Replica(T),
    Agent(agent::Timer),
}

/// Agents write nothing, so a record is always a replica's.
type Cx<'a, M> = Context<'a, Resident<M>>;

impl<M: Machine> Resident<M> {
    fn replica(&self) -> Option<&M> {
        match self {
            Self::Replica { machine, .. } => Some(machine),
            Self::Agent { .. } => None,
        }
    }
}

/// Passes on what an inner machine wants done.
fn pass<I, M>(
    inner: &mut Vec<Effect<I>>,
    cx: &mut Cx<'_, M>,
    message: impl Fn(I::Message) -> Message<M::Message>,
    timer: impl Fn(I::Timer) -> Timer<M::Timer>,
    record: impl Fn(I::Record) -> M::Record,
) where
    I: Machine,
    M: Machine,
{
    cx.effects.extend(inner.drain(..).map(|effect| match effect {
        Effect::Send { to, message: inside, after } => Effect::Send { to, message: message(inside), after },
        Effect::SetTimer { timer: inside, after } => Effect::SetTimer { timer: timer(inside), after },
        Effect::CancelTimer(inside) => Effect::CancelTimer(timer(inside)),
        Effect::Write { id, record: inside } => Effect::Write { id, record: record(inside) },
        Effect::Checkpoint { id, record: inside } => Effect::Checkpoint { id, record: record(inside) },
        Effect::Reply { id, outcome } => Effect::Reply { id, outcome },
        Effect::Tell { write } => Effect::Tell { write },
        Effect::Note(note) => Effect::Note(note),
        Effect::Order(order) => Effect::Order(order),
    }));
}

fn pass_replica<M: Machine>(inner: &mut Vec<Effect<M>>, cx: &mut Cx<'_, M>) {
    pass(inner, cx, Message::Replica, Timer::Replica, |record| record);
}

fn pass_agent<M: Machine>(inner: &mut Vec<Effect<Agent>>, cx: &mut Cx<'_, M>) {
    pass(inner, cx, Message::Agent, Timer::Agent, |()| unreachable!("agents write nothing"));
}

/// The same input for an inner machine; `None`: it is for the other kind.
fn inside<I: Machine, M: Machine>(
    input: Input<Resident<M>>,
    message: impl Fn(Message<M::Message>) -> Option<I::Message>,
    timer: impl Fn(Timer<M::Timer>) -> Option<I::Timer>,
) -> Option<Input<I>> {
    Some(match input {
        Input::Message { from, message: outer } => Input::Message { from, message: message(outer)? },
        Input::Timeout(outer) => Input::Timeout(timer(outer)?),
        Input::Request { id, request } => Input::Request { id, request },
        Input::Acknowledged { write } => Input::Acknowledged { write },
        Input::Written(id) => Input::Written(id),
        Input::LinkUp(node) => Input::LinkUp(node),
        Input::LinkDown(node) => Input::LinkDown(node),
        Input::Reconfigure(nodes) => Input::Reconfigure(nodes),
        Input::Survey(survey) => Input::Survey(survey),
        Input::Stray { id, service, from } => Input::Stray { id, service, from },
    })
}

impl<M: Machine> Machine for Resident<M> {
    type Message = Message<M::Message>;
    type Timer = Timer<M::Timer>;
    type Record = M::Record;
    type Config = ResidentConfig<M>;

    const LINKS: LinkKind = M::LINKS;
    const VIEWS: Views = M::VIEWS;

    fn format(config: &Self::Config) -> Vec<M::Record> {
        match config {
            ResidentConfig::Replica(config) => M::format(config),
            ResidentConfig::Agent(_) => Vec::new(),
        }
    }

    fn boot(config: &Self::Config, log: &[M::Record], cx: &mut Cx<'_, M>) -> Result<Self, BootError> {
        let Context { now, wall, .. } = *cx;
        match config {
            ResidentConfig::Replica(config) => {
                let mut effects = Vec::new();
                let machine = M::boot(config, log, &mut Context { now, wall, rng: cx.rng, effects: &mut effects })?;
                pass_replica(&mut effects, cx);
                Ok(Self::Replica { machine, effects })
            }
            ResidentConfig::Agent(config) => {
                let mut effects = Vec::new();
                let agent = Agent::boot(config, &[], &mut Context { now, wall, rng: cx.rng, effects: &mut effects })?;
                pass_agent(&mut effects, cx);
                Ok(Self::Agent { agent: Box::new(agent), effects })
            }
        }
    }

    fn step(&mut self, input: Input<Self>, cx: &mut Cx<'_, M>) {
        let Context { now, wall, .. } = *cx;
        match self {
            Self::Replica { machine, effects } => {
                let message = |outer| if let Message::Replica(inner) = outer { Some(inner) } else { None };
                let timer = |outer| if let Timer::Replica(inner) = outer { Some(inner) } else { None };
                if let Some(input) = inside(input, message, timer) {
                    machine.step(input, &mut Context { now, wall, rng: cx.rng, effects });
                    pass_replica(effects, cx);
                }
            }
            Self::Agent { agent, effects } => {
                let message = |outer| if let Message::Agent(inner) = outer { Some(inner) } else { None };
                let timer = |outer| if let Timer::Agent(inner) = outer { Some(inner) } else { None };
                if let Some(input) = inside(input, message, timer) {
                    agent.step(input, &mut Context { now, wall, rng: cx.rng, effects });
                    pass_agent(effects, cx);
                }
            }
        }
    }

    fn status(&self) -> Status {
        match self {
            Self::Replica { machine, .. } => machine.status(),
            Self::Agent { .. } => Status {
                view: None,
                serving: false,
                ..Status::at_rest(Role::Listening, (0, crate::id::NodeId(0), 0), &[], Tip::default())
            },
        }
    }

    fn serving(&self) -> bool {
        self.replica().is_some_and(M::serving)
    }
    fn can_serve(live: &[&Status]) -> bool {
        M::can_serve(live)
    }
    fn answers(&self, request: &Request) -> bool {
        self.replica().is_some_and(|machine| machine.answers(request))
    }
    fn covers(&self, tip: Tip) -> bool {
        self.replica().is_some_and(|machine| machine.covers(tip))
    }
    fn chain_holds(&self, tip: Tip) -> bool {
        self.replica().is_some_and(|machine| machine.chain_holds(tip))
    }
    fn holds_durably(&self, tip: Tip) -> bool {
        self.replica().is_some_and(|machine| machine.holds_durably(tip))
    }
    fn tip(&self) -> Tip {
        self.replica().map_or_else(Tip::default, M::tip)
    }
    fn view(&self) -> Option<(u64, crate::id::NodeId, u64)> {
        self.replica()?.view()
    }
    fn applied(&self, write: WriteKey) -> bool {
        self.replica().is_some_and(|machine| machine.applied(write))
    }
    fn journaled(&self, write: WriteKey) -> bool {
        self.replica().is_some_and(|machine| machine.journaled(write))
    }
    fn inventory(&self) -> Inventory {
        self.replica().map_or_else(Inventory::default, M::inventory)
    }
    fn inventory_of(config: &Self::Config, log: &[M::Record]) -> Inventory {
        match config {
            ResidentConfig::Replica(config) => M::inventory_of(config, log),
            ResidentConfig::Agent(_) => Inventory::default(),
        }
    }

    fn wire_bytes(message: &Self::Message) -> u32 {
        match message {
            Message::Replica(inner) => M::wire_bytes(inner),
            Message::Agent(inner) => inner.bytes(),
        }
    }
    fn record_bytes(record: &M::Record) -> u32 {
        M::record_bytes(record)
    }
    fn message_name(message: &Self::Message) -> &'static str {
        match message {
            Message::Replica(inner) => M::message_name(inner),
            Message::Agent(inner) => inner.name(),
        }
    }

    fn corrupt(&mut self, what: Corrupt, rng: &mut Stream) -> bool {
        match self {
            Self::Replica { machine, .. } => machine.corrupt(what, rng),
            Self::Agent { agent, .. } => agent.corrupt(what, rng),
        }
    }
    fn corrupt_message(message: &mut Self::Message, rng: &mut Stream) -> bool {
        match message {
            Message::Replica(inner) => M::corrupt_message(inner, rng),
            Message::Agent(inner) => Agent::corrupt_message(inner, rng),
        }
    }
}
