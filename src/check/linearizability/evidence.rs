//! Why a key has no order: as few of its operations as still have none.

use std::fmt::Write;

use super::{Operation, Start, Verdict, decide};
use crate::op::Answer;
use crate::time::SimTime;

/// Steps for each question, and for all of them.
const STEPS_EACH: u64 = 20_000;
const STEPS: u64 = 1_000_000;
/// Operations that are listed.
const LINES: usize = 12;

/// Describes a violation in a few lines. `operations` have no order.
pub(super) fn describe(operations: &[Operation], start: Start) -> String {
    let mut budget = STEPS;
    let mut core = shortest_prefix(operations, start, &mut budget);
    weaken(&mut core, start, &mut budget);
    let (answered, pending): (Vec<&Operation>, Vec<&Operation>) =
        core.iter().partition(|operation| operation.answered.is_some());
    let mut text = String::from("no order explains these answers:");
    for operation in answered.iter().take(LINES) {
        text.push('\n');
        text.push_str(&line(operation, operations));
    }
    if answered.len() > LINES {
        write!(text, "\nand {} more", answered.len() - LINES).expect("a string takes text");
    }
    if !pending.is_empty() {
        write!(text, "\nwhatever became of {} other writes", pending.len()).expect("a string takes text");
    }
    text
}

fn still_violated(operations: &[Operation], start: Start, budget: &mut u64) -> bool {
    // Setting the question up costs as well.
    *budget = budget.saturating_sub(operations.len() as u64 / 8);
    let mut steps = STEPS_EACH.min(*budget);
    *budget -= steps;
    let verdict = decide(operations, start, &mut steps);
    *budget += steps;
    verdict == Verdict::Violated
}

/// What happened up to the first answer that leaves no order. (Every prefix of a history that has an
/// order has one.)
fn shortest_prefix(operations: &[Operation], start: Start, budget: &mut u64) -> Vec<Operation> {
    let mut ends: Vec<SimTime> = operations.iter().filter_map(|operation| Some(operation.answered?.0)).collect();
    ends.sort_unstable();
    ends.dedup();
    let (mut valid, mut violated) = (0, ends.len());
    while valid + 1 < violated {
        let middle = valid.midpoint(violated);
        if still_violated(&prefix(operations, ends[middle - 1]), start, budget) {
            violated = middle;
        } else {
            valid = middle;
        }
    }
    prefix(operations, ends[violated - 1])
}

fn prefix(operations: &[Operation], until: SimTime) -> Vec<Operation> {
    let begun = operations.iter().filter(|operation| operation.invoked <= until);
    begun
        .filter_map(|operation| if operation.returned() <= until { Some(*operation) } else { loosen(operation) })
        .collect()
}

/// The operation without its answer; none if nothing is left of it.
fn loosen(operation: &Operation) -> Option<Operation> {
    (!operation.op.is_read()).then_some(Operation { answered: None, ..*operation })
}

/// Takes away answers, many at once and then fewer, as long as there is still no order. A write whose
/// answer is taken away is pending: leaving it out would make its readers look wrong.
fn weaken(core: &mut Vec<Operation>, start: Start, budget: &mut u64) {
    let mut chunk = core.len().div_ceil(2);
    while chunk > 0 {
        let mut from = 0;
        while from < core.len() {
            let to = core.len().min(from + chunk);
            let (before, rest) = core.split_at(from);
            let (middle, after) = rest.split_at(to - from);
            let loosened = middle.iter().filter_map(loosen);
            let trial: Vec<Operation> = before.iter().copied().chain(loosened).chain(after.iter().copied()).collect();
            if middle.iter().any(|operation| operation.answered.is_some()) && still_violated(&trial, start, budget) {
                from = to - (core.len() - trial.len());
                *core = trial;
            } else {
                from = to;
            }
        }
        chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
    }
}

fn line(operation: &Operation, all: &[Operation]) -> String {
    let Operation { client, number, op, invoked, answered } = operation;
    let (at, answer) = answered.expect("only answered operations are listed");
    let span = format!("{:.6} s to {:.6} s", invoked.as_secs_f64(), at.as_secs_f64());
    let what = match answer {
        Answer::Read { digest, .. } => format!("saw {}", name(digest, all)),
        Answer::Done => "was done".to_owned(),
        Answer::Swapped(swapped) => format!("answered {swapped}"),
    };
    let value = op.value().map_or(String::new(), |value| format!(" of {:016x}", value.digest));
    format!("{span}: {} {number} of client {}{value} {what}", op.name(), client.0)
}

/// A digest, and whose value it is.
fn name(digest: u64, all: &[Operation]) -> String {
    if digest == 0 {
        return "nothing".to_owned();
    }
    let writer = all.iter().find(|operation| operation.op.value().is_some_and(|value| value.digest == digest));
    let whose = writer.map_or(String::new(), |writer| {
        format!(", the value of {} {} of client {}", writer.op.name(), writer.number, writer.client.0)
    });
    format!("{digest:016x}{whose}")
}
