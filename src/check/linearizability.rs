//! Linearizability: whether one order of all operations explains every answer, and keeps every
//! operation between its start and its end (Herlihy and Wing 1990).
//!
//! Keys are independent, and a history is linearizable if each key's part of it is (locality). A key
//! whose writes only post is a thread, judged by the sets that its reads saw; any other key is a cell,
//! judged by a search in the manner of Wing and Gong, with the memo of Lowe.
//!
//! Digests are taken to be free of collisions: two equal ones mean the same value, or the same set of
//! messages.

mod blocks;
mod cell;
mod evidence;
mod start;
#[cfg(test)]
mod tests;
pub(super) mod thread;

use std::collections::BTreeMap;

use crate::history::{Event, What};
use crate::id::{ClientId, ServiceId};
use crate::op::{Answer, Op};
use crate::time::SimTime;

pub(super) use start::Start;
use start::Trial;

/// Steps that each undecided key gets in the first round; they double with every round, so that one
/// hard key does not keep the others from being decided.
const FIRST_TURN: u64 = 20_000;

/// The judgement of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An order was found for every key.
    Valid,
    /// The budget ended first, and no violation was found.
    Unknown,
    /// No order exists.
    Violated {
        service: ServiceId,
        key: u32,
        /// A few operations, as short a list as was found, that have no order.
        evidence: String,
    },
}

/// What is known of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Valid,
    Unknown,
    Violated,
}

/// One operation on a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub client: ClientId,
    pub number: u32,
    pub op: Op,
    pub invoked: SimTime,
    /// When the answer came, and which. None: it is pending for ever, and may or may not have happened.
    pub answered: Option<(SimTime, Answer)>,
}

impl Operation {
    /// The end of the interval in which it took place, if it did.
    pub(super) fn returned(&self) -> SimTime {
        self.answered.map_or(SimTime::MAX, |(at, _)| at)
    }
}

/// Judges a history, of any number of services and keys.
///
/// `until`: operations invoked later are ignored, and those that returned later are pending. `budget`
/// is the number of steps, over all keys, after which the outcome is [`Outcome::Unknown`]; a step costs
/// about a microsecond.
pub fn check(events: &[Event], until: Option<SimTime>, budget: u64) -> Outcome {
    let keys = operations(events, until.unwrap_or(SimTime::MAX));
    check_keys(keys.into_iter().map(|(name, operations)| (name, operations, Start::Absent)).collect(), budget)
}

/// Judges the operations of each key, and from what each begins.
pub(super) fn check_keys(keys: Vec<((ServiceId, u32), Vec<Operation>, Start)>, budget: u64) -> Outcome {
    let mut budget = budget;
    let mut unknown = false;
    let mut trials = Vec::new();
    for (name, operations, start) in &keys {
        if is_thread(operations) && !matches!(start, Start::Unknown { .. }) {
            match decide(operations, *start, &mut budget) {
                Verdict::Valid => {}
                Verdict::Unknown => unknown = true,
                Verdict::Violated => return violated(*name, operations, *start),
            }
        } else {
            trials.push((*name, operations, *start, Trial::new(operations, *start)));
        }
    }
    let mut turn = FIRST_TURN;
    while !trials.is_empty() && budget > 0 {
        let mut undecided = Vec::new();
        for (name, operations, start, mut trial) in trials {
            let mut steps = turn.min(budget);
            budget -= steps;
            let verdict = trial.run(&mut steps);
            budget += steps;
            match verdict {
                Verdict::Valid => {}
                Verdict::Unknown if trial.is_over() => unknown = true,
                Verdict::Unknown => undecided.push((name, operations, start, trial)),
                Verdict::Violated => return violated(name, operations, start),
            }
        }
        trials = undecided;
        turn = turn.saturating_mul(2);
    }
    if unknown || !trials.is_empty() { Outcome::Unknown } else { Outcome::Valid }
}

fn violated((service, key): (ServiceId, u32), operations: &[Operation], start: Start) -> Outcome {
    Outcome::Violated { service, key, evidence: evidence::describe(operations, start) }
}

pub(super) fn is_thread(operations: &[Operation]) -> bool {
    operations.iter().all(|operation| matches!(operation.op, Op::Read { .. } | Op::Post { .. }))
}

/// Judges the operations of one key, with steps from `budget`.
pub(super) fn decide(operations: &[Operation], start: Start, budget: &mut u64) -> Verdict {
    match start {
        Start::Absent if is_thread(operations) => thread::decide(operations, budget),
        Start::Set(base) if is_thread(operations) => thread::decide(&start::above(operations, base), budget),
        _ => Trial::new(operations, start).run(budget),
    }
}

/// What the history tells of one operation.
struct Told {
    op: Op,
    invoked: SimTime,
    answered: Option<(SimTime, Answer)>,
    failed: bool,
    revoked: bool,
}

/// The operations of each key that constrain or explain anything, by the time of their invocation.
///
/// A failed operation did not happen. A read without an answer tells nothing. A revoked write was
/// executed, even if its request failed: it stays, pending if it was never acknowledged.
pub(super) fn operations(events: &[Event], until: SimTime) -> BTreeMap<(ServiceId, u32), Vec<Operation>> {
    let mut told: BTreeMap<(ServiceId, ClientId, bool, u32), Told> = BTreeMap::new();
    for event in events.iter().filter(|event| event.invoked <= until) {
        let name = (event.service, event.client, event.op.is_read(), event.number);
        let told = told.entry(name).or_insert(Told {
            op: event.op,
            invoked: event.invoked,
            answered: None,
            failed: false,
            revoked: false,
        });
        match event.what {
            What::Ok { answer, .. } if event.at <= until => told.answered = Some((event.at, answer)),
            What::Fail => told.failed = true,
            What::Revoked { .. } => told.revoked = true,
            What::Ok { .. } | What::Invoke | What::Info | What::Regressed { .. } => {}
        }
    }
    let mut keys: BTreeMap<(ServiceId, u32), Vec<Operation>> = BTreeMap::new();
    for ((service, client, is_read, number), Told { op, invoked, answered, failed, revoked }) in told {
        let happened = answered.is_some() || (!is_read && (revoked || !failed));
        if happened {
            let operation = Operation { client, number, op, invoked, answered };
            keys.entry((service, op.key())).or_default().push(operation);
        }
    }
    for operations in keys.values_mut() {
        operations.sort_by_key(|operation| operation.invoked);
    }
    keys
}
