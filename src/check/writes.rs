//! What became of acknowledged writes, as far as the answers of clients can show it.
//!
//! - *lost*: an acknowledged post is not in what the last read of its thread saw, though that read began
//!   after the acknowledgement; or the last observation of a cell saw a write that had ended before an
//!   acknowledged one began, which itself had ended before the observation began; or two compare-and-swaps
//!   replaced the same write, so that one of them is lost. A write that was overwritten is not lost, and what
//!   nobody looked at later is not judged.
//! - *revoked*: the client was told that a write is revoked that was acknowledged before.
//! - *duplicated*: a read of a thread saw a post twice. A put that was applied twice only shows as an old value
//!   that comes back, which is for the other judges.

use std::collections::BTreeMap;

use super::account::{Finding, as_far_as_resolved, story};
use super::seen::{Saw, Service, Span};
use crate::op::{Answer, Op};
use crate::time::SimTime;

/// Judges lost, revoked and duplicated writes that began in a span.
pub(super) fn judge(service: &Service, span: Span) -> [Finding; 3] {
    [lost(service, span), revoked(service, span), duplicated(service, span)]
}

fn is_acknowledged(service: &Service, index: usize, span: Span) -> bool {
    let operation = &service.operations[index];
    span.contains(operation.invoked) && service.is_write(index) && operation.answered.is_some()
}

fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

fn lost(service: &Service, span: Span) -> Finding {
    let mut lost = Vec::new();
    let mut unresolved = false;
    for (&key, last) in &last_observations(service, span) {
        let Some(writes) = service.writes.get(&key) else { continue };
        let began = service.operations[*last].invoked;
        let gone = |&&index: &&usize| {
            let ended = service.operations[index].returned();
            is_acknowledged(service, index, span)
                && ended < began
                && !service.revoked.contains_key(&index)
                && match &service.saw[*last] {
                    Saw::Set(posts) => posts.binary_search(&index).is_err(),
                    Saw::Initial => true,
                    Saw::Write(source) => service.operations[*source].returned() < service.operations[index].invoked,
                    _ => false,
                }
        };
        unresolved |= service.saw[*last] == Saw::Unresolved;
        lost.extend(writes.iter().filter(gone).map(|&index| (index, *last)));
    }
    if let Some(&(index, last)) = lost.first() {
        let sentence = counted(lost.len(), "acknowledged write was", "acknowledged writes were");
        let sentence = format!("{sentence} gone when their key was last read; the first of them");
        return Finding::Violated(story(service, &sentence, &[index, last]));
    }
    if let Some(pair) = lost_update(service, span) {
        return Finding::Violated(story(service, "both replaced the same write, so one of them is lost", &pair));
    }
    if unresolved { as_far_as_resolved(service, span) } else { Finding::Valid }
}

/// The observation of each key that began last.
fn last_observations(service: &Service, span: Span) -> BTreeMap<u32, usize> {
    let mut last = BTreeMap::new();
    for (index, operation) in service.operations.iter().enumerate() {
        if span.contains(operation.invoked) && service.saw[index] != Saw::Nothing {
            last.insert(operation.op.key(), index);
        }
    }
    last
}

fn lost_update(service: &Service, span: Span) -> Option<Vec<usize>> {
    if !service.unique {
        return None;
    }
    let mut replaced: BTreeMap<(u32, u64), usize> = BTreeMap::new();
    for (index, operation) in service.operations.iter().enumerate().filter(|(_, one)| span.contains(one.invoked)) {
        if let (Op::CompareAndSwap { key, expect, .. }, Some((_, Answer::Swapped(true)))) =
            (operation.op, operation.answered)
            && let Some(other) = replaced.insert((key, expect), index)
        {
            return Some(vec![other, index]);
        }
    }
    None
}

fn revoked(service: &Service, span: Span) -> Finding {
    let after_ack = |(index, at): &(&usize, &SimTime)| {
        is_acknowledged(service, **index, span) && service.operations[**index].returned() <= **at
    };
    let revoked: Vec<usize> = service.revoked.iter().filter(after_ack).map(|(&index, _)| index).collect();
    match revoked.first() {
        None => Finding::Valid,
        Some(&first) => {
            let sentence = counted(revoked.len(), "acknowledged write was revoked", "acknowledged writes were revoked");
            Finding::Violated(story(service, &format!("{sentence}; the first of them"), &[first]))
        }
    }
}

fn duplicated(service: &Service, span: Span) -> Finding {
    let inside = |(read, _): &&(usize, Vec<usize>)| span.contains(service.operations[*read].invoked);
    match service.twice.iter().find(inside) {
        Some((read, posts)) => {
            let about: Vec<usize> = posts.iter().copied().chain([*read]).collect();
            Finding::Violated(story(service, "a read saw a post twice", &about))
        }
        None => as_far_as_resolved(service, span),
    }
}
