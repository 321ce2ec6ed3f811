//! A quick test that no number of pending writes makes harder.
//!
//! If no value occurs twice, everything that met one value stands together in any order: a block. A
//! block must precede another if one of its operations ended before one of the other's began. Two blocks
//! that must precede each other have no order (Gibbons and Korach 1997, with the zones of their clusters).
//! A stale read is the common case: what it saw was seen before, and something newer in between.

use std::collections::BTreeMap;

use super::Operation;
use crate::op::{Answer, Op};
use crate::time::SimTime;

/// The earliest end and the latest start of the operations of a block. If it ended before another one's
/// latest start, it must precede that one.
#[derive(Clone, Copy, Debug)]
struct Block {
    first_end: SimTime,
    last_start: SimTime,
}

/// Whether some blocks cannot be ordered. No value may occur twice among the writes.
pub(super) fn torn(operations: &[Operation]) -> bool {
    let mut blocks: BTreeMap<u64, Block> = BTreeMap::new();
    // What was there first ended before everything else began.
    blocks.insert(0, Block { first_end: SimTime::ZERO, last_start: SimTime::ZERO });
    let mut others: Vec<Block> = Vec::new();
    for operation in operations {
        for value in [met(operation), left(operation)].into_iter().flatten() {
            let block = blocks.entry(value).or_insert(whole(operation));
            block.first_end = block.first_end.min(operation.returned());
            block.last_start = block.last_start.max(operation.invoked);
        }
        if left(operation).is_none() && changed(operation) {
            others.push(whole(operation));
        }
    }
    for operation in operations {
        let Some(block) = operation.op.value().and_then(|value| blocks.get_mut(&value.digest)) else { continue };
        if matches!(operation.op, Op::Put { .. } | Op::CompareAndSwap { .. }) {
            // Its value was met, so even a pending one happened.
            if block.first_end < operation.invoked {
                return true;
            }
            block.last_start = block.last_start.max(operation.invoked);
        }
    }
    others.extend(blocks.into_values());
    crossed(others)
}

/// Whether two blocks must precede each other.
fn crossed(mut blocks: Vec<Block>) -> bool {
    blocks.sort_by_key(|block| block.first_end);
    // Of the blocks up to each one, the two latest starts, and whose the latest is.
    let mut latest: Vec<(SimTime, usize, SimTime)> = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let (first, owner, second) = latest.last().copied().unwrap_or((SimTime::ZERO, index, SimTime::ZERO));
        latest.push(if latest.is_empty() || block.last_start > first {
            (block.last_start, index, first)
        } else {
            (first, owner, second.max(block.last_start))
        });
    }
    blocks.iter().enumerate().any(|(index, block)| {
        let preceding = blocks.partition_point(|other| other.first_end < block.last_start);
        let Some(&(first, owner, second)) = preceding.checked_sub(1).map(|last| &latest[last]) else { return false };
        let start = if owner == index { second } else { first };
        start > block.first_end
    })
}

fn whole(operation: &Operation) -> Block {
    Block { first_end: operation.returned(), last_start: operation.invoked }
}

/// The value that an operation's answer says it met.
pub(super) fn met(operation: &Operation) -> Option<u64> {
    match (operation.op, operation.answered) {
        (_, Some((_, Answer::Read { digest, .. }))) => Some(digest),
        (Op::CompareAndSwap { expect, .. }, Some((_, Answer::Swapped(true)))) => Some(expect),
        _ => None,
    }
}

/// The value that an operation left, if it is known which, and if it did happen.
fn left(operation: &Operation) -> Option<u64> {
    match (operation.op, operation.answered) {
        (Op::Put { value, .. }, Some(_)) | (Op::CompareAndSwap { value, .. }, Some((_, Answer::Swapped(true)))) => {
            Some(value.digest)
        }
        _ => None,
    }
}

/// Whether it certainly left another value than it met.
fn changed(operation: &Operation) -> bool {
    matches!((operation.op, operation.answered), (Op::Append { .. } | Op::Post { .. }, Some(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn crossed_blocks_are_found_as_by_trying_all_pairs() {
        let mut stream = Stream::new(1, "blocks", &[]);
        let mut counts = [0; 2];
        for _ in 0..20_000 {
            let mut instant = || SimTime::from_nanos(stream.below(20));
            let blocks: Vec<Block> = (0..5).map(|_| Block { first_end: instant(), last_start: instant() }).collect();
            let precedes = |one: usize, other: usize| blocks[one].first_end < blocks[other].last_start;
            let expected = (0..5).any(|one| (0..one).any(|other| precedes(one, other) && precedes(other, one)));
            assert_eq!(crossed(blocks.clone()), expected, "{blocks:?}");
            counts[usize::from(expected)] += 1;
        }
        assert!(counts.iter().all(|&count| count > 1_000), "{counts:?}");
    }
}
