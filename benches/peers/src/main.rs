//! The kernel's bench (see `benches/kernel/main.rs`) with a peer in the table: simcore, the core of DSLab.
//!
//! Run `cargo run --release --manifest-path benches/peers/Cargo.toml`, with `-- --quick` for a few seconds.
//!
//! simcore counts time in `f64`; here its unit is a nanosecond, so that every sum is a whole number below
//! 2^53 and exact. Among equal times it keeps the order of creation, as the others do, so its trace hash is
//! the same. A timer is an event that is cancelled by its id. All nodes share one component, which hands
//! the event to the common handler: less than what a user of simcore would pay.

#[path = "../../kernel/engines.rs"]
mod engines;
#[path = "../../kernel/harness.rs"]
mod harness;
#[path = "../../kernel/workload.rs"]
mod workload;

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use engines::{Firedrill, KeyHeap, VecWheel};
use harness::{YARDSTICK, measure};
use serde::{Serialize, Serializer};
use workload::{Engine, Event};

/// What simcore carries: the event, and the number of its timer, if it has one.
#[derive(Clone, Copy)]
struct Carried {
    event: Event,
    timer: Option<u32>,
}

/// simcore writes events to its log only, which is off.
impl Serialize for Carried {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

/// Holds the event that was delivered last.
#[derive(Default)]
struct Component {
    delivered: Option<(f64, Carried)>,
}

impl simcore::EventHandler for Component {
    fn on(&mut self, event: simcore::Event) {
        if let Ok(carried) = event.data.downcast::<Carried>() {
            self.delivered = Some((event.time, *carried));
        }
    }
}

struct Simcore {
    simulation: simcore::Simulation,
    context: simcore::SimulationContext,
    component: Rc<RefCell<Component>>,
    id: simcore::Id,
    /// For each timer its event, and the id of the pending one.
    timers: Vec<(Event, Option<simcore::EventId>)>,
    now: u64,
}

impl Simcore {
    #[inline]
    fn emit(&self, at: u64, carried: Carried) -> simcore::EventId {
        self.context.emit(carried, self.id, (at - self.now) as f64)
    }
}

impl Engine for Simcore {
    fn new() -> Self {
        let mut simulation = simcore::Simulation::new(1);
        let context = simulation.create_context("driver");
        let component = Rc::new(RefCell::new(Component::default()));
        let id = simulation.add_handler("nodes", component.clone());
        Self { simulation, context, component, id, timers: Vec::new(), now: 0 }
    }
    #[inline]
    fn schedule(&mut self, at: u64, event: Event) {
        self.emit(at, Carried { event, timer: None });
    }
    fn timer(&mut self, event: Event) {
        self.timers.push((event, None));
    }
    #[inline]
    fn arm(&mut self, timer: u32, at: u64) {
        self.disarm(timer);
        let event = self.timers[timer as usize].0;
        let id = self.emit(at, Carried { event, timer: Some(timer) });
        self.timers[timer as usize].1 = Some(id);
    }
    #[inline]
    fn disarm(&mut self, timer: u32) {
        if let Some(id) = self.timers[timer as usize].1.take() {
            self.context.cancel_event(id);
        }
    }
    #[inline]
    fn pop(&mut self) -> Option<(u64, Event)> {
        self.simulation.step();
        let (time, carried) = self.component.borrow_mut().delivered.take()?;
        if let Some(timer) = carried.timer {
            self.timers[timer as usize].1 = None;
        }
        self.now = time as u64;
        Some((self.now, carried.event))
    }
}

fn main() -> ExitCode {
    harness::main(&[
        ("firedrill", measure::<Firedrill>),
        (YARDSTICK, measure::<VecWheel>),
        ("bare loop, heap of 16-byte keys", measure::<KeyHeap>),
        ("simcore 0.1", measure::<Simcore>),
    ])
}
