//! What a key holds before the operations that are judged.

use std::collections::BTreeSet;

use super::cell::Search;
use super::{Operation, Verdict};
use crate::hash;
use crate::id::ClientId;
use crate::op::{Answer, Op, Value};
use crate::time::SimTime;

/// What a key holds at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::check) enum Start {
    /// Nothing.
    Absent,
    /// Any one value, if it is a cell. With `since`, no value occurs twice in the whole history, and it was
    /// there at that time: whatever began later did not write it.
    Unknown {
        since: Option<SimTime>,
        /// A value that it may be, besides those that somebody met.
        also: Option<u64>,
    },
    /// A set with this sum, if it is a thread.
    Set(u64),
}

/// The search of one cell from each value that it may hold at first.
///
/// Such a value was met by somebody, or by nobody: then it makes no difference which it was.
pub(super) struct Trial {
    searches: Vec<Search>,
    /// An append to an unknown value gives a value that is not among those tried.
    partial: bool,
}

impl Trial {
    pub(super) fn new(operations: &[Operation], start: Start) -> Self {
        let Start::Unknown { since, also } = start else {
            return Self { searches: vec![Search::new(operations)], partial: false };
        };
        let firsts = candidates(operations, since, also).into_iter();
        let searches = firsts.map(|first| Search::new(&after(operations, first, since)));
        let partial = operations.iter().any(|operation| matches!(operation.op, Op::Append { .. }));
        Self { searches: searches.collect(), partial }
    }

    /// Nothing is left to try.
    pub(super) fn is_over(&self) -> bool {
        self.searches.is_empty()
    }

    /// Continues, with equal shares of the steps.
    pub(super) fn run(&mut self, steps: &mut u64) -> Verdict {
        let share = (*steps / self.searches.len().max(1) as u64).max(1);
        let mut undecided = Vec::new();
        for mut search in std::mem::take(&mut self.searches) {
            let mut own = share.min(*steps);
            *steps -= own;
            let verdict = search.run(&mut own);
            *steps += own;
            match verdict {
                Verdict::Valid => return Verdict::Valid,
                Verdict::Unknown => undecided.push(search),
                Verdict::Violated => {}
            }
        }
        self.searches = undecided;
        if self.searches.is_empty() && !self.partial { Verdict::Violated } else { Verdict::Unknown }
    }
}

/// Values that somebody met or expected; absence; and one that nobody knows.
fn candidates(operations: &[Operation], since: Option<SimTime>, also: Option<u64>) -> Vec<u64> {
    let mut met: BTreeSet<u64> = also.into_iter().chain([0]).collect();
    for operation in operations {
        match (operation.op, operation.answered) {
            (_, Some((_, Answer::Read { digest, .. }))) => _ = met.insert(digest),
            (Op::CompareAndSwap { expect, .. }, _) => _ = met.insert(expect),
            _ => {}
        }
    }
    if let Some(since) = since {
        for operation in operations.iter().filter(|operation| operation.invoked >= since) {
            if let Some(value) = operation.op.value() {
                met.remove(&value.digest);
            }
        }
    }
    met.into_iter().chain([hash::of([u64::MAX, 1])]).collect()
}

/// The operations after a write of the first value. Where no value occurs twice, a write of that value
/// took place before.
fn after(operations: &[Operation], first: u64, since: Option<SimTime>) -> Vec<Operation> {
    if first == 0 {
        return operations.to_vec();
    }
    let write = Operation {
        client: ClientId(u32::MAX),
        number: 0,
        op: Op::Put { key: 0, value: Value { digest: first, bytes: 0 } },
        invoked: SimTime::ZERO,
        answered: Some((SimTime::ZERO, Answer::Done)),
    };
    let spent =
        |operation: &&Operation| since.is_some() && operation.op.value().is_some_and(|value| value.digest == first);
    std::iter::once(write).chain(operations.iter().filter(|operation| !spent(operation)).copied()).collect()
}

/// Reads of a thread without what was in it at first.
pub(super) fn above(operations: &[Operation], base: u64) -> Vec<Operation> {
    let lower = |operation: &Operation| match operation.answered {
        Some((at, Answer::Read { digest, bytes })) => {
            let digest = digest.wrapping_sub(base);
            Operation { answered: Some((at, Answer::Read { digest, bytes })), ..*operation }
        }
        _ => *operation,
    };
    operations.iter().map(lower).collect()
}
