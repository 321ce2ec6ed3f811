//! What the engines are given to do.

use firedrill::hash::Hasher;
use firedrill::rng::Draws;

const MILLISECOND: u64 = 1_000_000;
/// One-way delays spread evenly over this range, half of a heartbeat's interval on average.
const DELAY_FROM: u64 = 5 * MILLISECOND;
const DELAY_TO: u64 = 95 * MILLISECOND;
const HEARTBEAT: u64 = 100 * MILLISECOND;
const ANSWER_WITHIN: u64 = 200 * MILLISECOND;
const SUSPECT_AFTER: u64 = 500 * MILLISECOND;

/// What happens. Every engine carries this one type of 12 bytes.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    Ping { from: u32, to: u32 },
    Answer { from: u32, to: u32 },
    Heartbeat { from: u32, to: u32 },
    HeartbeatDue { node: u32 },
    AnswerMissing { node: u32 },
    Suspect { node: u32 },
}

impl Event {
    fn code(self) -> u64 {
        let (kind, from, to) = match self {
            Self::Ping { from, to } => (0, from, to),
            Self::Answer { from, to } => (1, from, to),
            Self::Heartbeat { from, to } => (2, from, to),
            Self::HeartbeatDue { node } => (3, node, 0),
            Self::AnswerMissing { node } => (4, node, 0),
            Self::Suspect { node } => (5, node, 0),
        };
        kind << 60 | u64::from(from) << 30 | u64::from(to)
    }
}

/// An event queue under test. Times are nanoseconds; a timer's number counts from 0 in the order of creation.
pub trait Engine {
    fn new() -> Self;
    fn schedule(&mut self, at: u64, event: Event);
    fn timer(&mut self, event: Event);
    fn arm(&mut self, timer: u32, at: u64);
    fn disarm(&mut self, timer: u32);
    fn pop(&mut self) -> Option<(u64, Event)>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One ping outstanding a node, with a timeout that the answer cancels; a heartbeat to one neighbour
    /// that re-arms its suspicion timer.
    W1,
    /// Heartbeats from all to all.
    W2,
}

/// The state of a run: nearly none, so that what is measured is the engine.
pub struct World {
    kind: Kind,
    nodes: u32,
    draws: Draws,
    trace: Hasher,
    /// Events scheduled and timers armed that have neither come out nor been cancelled.
    pub pending: u64,
}

/// Timers of a node, in blocks of `nodes`.
const HEARTBEAT_TIMER: u32 = 0;
const ANSWER_TIMER: u32 = 1;
const SUSPECT_TIMER: u32 = 2;

impl World {
    /// Fills an engine with the first events, spread over one interval.
    pub fn start<E: Engine>(kind: Kind, nodes: u32, engine: &mut E) -> Self {
        let draws = Draws::new(1, "kernel bench", &[]);
        let mut world = Self { kind, nodes, draws, trace: Hasher::new(), pending: 0 };
        (0..nodes).for_each(|node| engine.timer(Event::HeartbeatDue { node }));
        if kind == Kind::W1 {
            (0..nodes).for_each(|node| engine.timer(Event::AnswerMissing { node }));
            (0..nodes).for_each(|node| engine.timer(Event::Suspect { node }));
        }
        for node in 0..nodes {
            let start = draws.bits(u64::MAX, u64::from(node)) % HEARTBEAT;
            engine.arm(world.timer(HEARTBEAT_TIMER, node), start);
            world.pending += 1;
            if kind == Kind::W1 {
                engine.arm(world.timer(SUSPECT_TIMER, node), SUSPECT_AFTER);
                world.pending += 1;
                world.ping(engine, start, node);
            }
        }
        world
    }

    /// A hash over the time and content of every event so far.
    pub fn trace(&self) -> u64 {
        self.trace.finish()
    }

    /// Handles the next `events` events.
    pub fn run<E: Engine>(&mut self, engine: &mut E, events: u64) {
        for _ in 0..events {
            let (now, event) = engine.pop().expect("heartbeats never end");
            self.trace.word(now);
            self.trace.word(event.code());
            self.handle(engine, now, event);
        }
    }

    #[inline]
    fn handle<E: Engine>(&mut self, engine: &mut E, now: u64, event: Event) {
        self.pending -= 1;
        match event {
            Event::Ping { from, to } => self.send(engine, now, Event::Answer { from: to, to: from }),
            Event::Answer { to, .. } => {
                engine.disarm(self.timer(ANSWER_TIMER, to));
                self.pending -= 1;
                self.ping(engine, now, to);
            }
            Event::HeartbeatDue { node } => {
                engine.arm(self.timer(HEARTBEAT_TIMER, node), now + HEARTBEAT);
                self.pending += 1;
                if self.kind == Kind::W1 {
                    self.send(engine, now, Event::Heartbeat { from: node, to: (node + 1) % self.nodes });
                } else {
                    for to in (0..self.nodes).filter(|&to| to != node) {
                        self.send(engine, now, Event::Heartbeat { from: node, to });
                    }
                }
            }
            Event::Heartbeat { to, .. } => {
                if self.kind == Kind::W1 {
                    engine.arm(self.timer(SUSPECT_TIMER, to), now + SUSPECT_AFTER);
                }
            }
            Event::AnswerMissing { node } | Event::Suspect { node } => {
                unreachable!("nothing is lost, yet node {node} missed something")
            }
        }
    }

    fn timer(&self, which: u32, node: u32) -> u32 {
        which * self.nodes + node
    }

    fn ping<E: Engine>(&mut self, engine: &mut E, now: u64, from: u32) {
        let to = ((self.draws.bits(now, u64::from(from)) >> 32) * u64::from(self.nodes)) >> 32;
        engine.arm(self.timer(ANSWER_TIMER, from), now + ANSWER_WITHIN);
        self.pending += 1;
        self.send(engine, now, Event::Ping { from, to: to as u32 });
    }

    #[inline]
    fn send<E: Engine>(&mut self, engine: &mut E, now: u64, event: Event) {
        let bits = self.draws.bits(now, event.code());
        let delay = DELAY_FROM + (((bits >> 32) * (DELAY_TO - DELAY_FROM)) >> 32);
        engine.schedule(now + delay, event);
        self.pending += 1;
    }
}
