//! The agent of one machine.

use std::rc::Rc;

use super::map::Map;
use super::message::Message;
use super::policy::Policy;
use crate::id::NodeId;
use crate::machine::{BootError, Context, Effect, Input, Inventory, LinkKind, Machine, Order, Role, Status, Views};
use crate::op::{Outcome, Request, Tip, WriteKey};

type Cx<'a> = Context<'a, Agent>;

/// What an agent is told once and cannot be corrupted.
#[derive(Clone, Debug)]
pub struct Config {
    pub me: NodeId,
    pub map: Rc<Map>,
    pub policy: Rc<Policy>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    Round,
}

/// The agent of one machine.
#[derive(Debug)]
pub struct Agent {
    config: Rc<Config>,
}

impl Machine for Agent {
    type Message = Message;
    type Timer = Timer;
    /// Nothing: all that an agent knows it hears again.
    type Record = ();
    type Config = Rc<Config>;

    const LINKS: LinkKind = LinkKind::Datagram;
    const VIEWS: Views = Views::Coexist;

    fn boot(config: &Self::Config, _log: &[()], cx: &mut Cx<'_>) -> Result<Self, BootError> {
        let phase = config.policy.advertise.scale(cx.rng.below(1_000), 1_000);
        cx.set_timer(Timer::Round, phase);
        Ok(Self { config: config.clone() })
    }

    fn step(&mut self, input: Input<Self>, cx: &mut Cx<'_>) {
        match input {
            Input::Timeout(Timer::Round) => {
                cx.set_timer(Timer::Round, self.config.policy.advertise);
                cx.effects.push(Effect::Order(Order::Survey));
            }
            Input::Stray { id, .. } => cx.reply(id, Outcome::Redirect { hint: None }),
            _ => {}
        }
    }

    fn status(&self) -> Status {
        Status::at_rest(Role::Following, (0, self.config.me, 0), &[self.config.me], Tip::default())
    }

    fn serving(&self) -> bool {
        false
    }

    fn answers(&self, _request: &Request) -> bool {
        false
    }

    fn covers(&self, _tip: Tip) -> bool {
        true
    }

    fn applied(&self, _write: WriteKey) -> bool {
        false
    }

    fn inventory(&self) -> Inventory {
        Inventory::default()
    }

    fn inventory_of(_config: &Self::Config, _log: &[()]) -> Inventory {
        Inventory::default()
    }

    fn wire_bytes(message: &Message) -> u32 {
        message.bytes()
    }

    fn record_bytes(_record: &()) -> u32 {
        0
    }

    fn message_name(message: &Message) -> &'static str {
        message.name()
    }
}
