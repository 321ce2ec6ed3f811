//! Threads of a board: sets that only grow, and reads that answer the sum of what is in the set.
//!
//! A sum tells which set it was. Once the set that each read saw is known, no search is left: an order
//! exists if the sets form a chain, and if no operation that ended before another began stands behind it
//! in the only order that the chain allows.

use std::collections::BTreeMap;

use super::blocks::torn;
use super::{Operation, Verdict};
use crate::op::Answer;
use crate::time::SimTime;

/// Among at most this many uncertain posts every subset is tried: two halves of a million sums.
const EXHAUSTIVE: usize = 40;
/// Among more, every subset of this many consecutive ones is tried, in overlapping windows.
const WINDOW: usize = 32;
/// More uncertain posts than this are not even searched for small subsets.
const SEARCHABLE: usize = 1_000;
/// Of the posts that a read must have seen, this many of the last are considered as missed.
const MISSABLE: usize = 40;

struct Post {
    invoked: SimTime,
    returned: SimTime,
    /// What it adds to the sum.
    term: u64,
}

struct Read {
    invoked: SimTime,
    returned: SimTime,
    digest: u64,
}

/// A set of posts, a bit each, in the order of their invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Set(Vec<u64>);

impl Set {
    fn new(posts: usize) -> Self {
        Self(vec![0; posts.div_ceil(64)])
    }
    fn insert(&mut self, post: usize) {
        self.0[post / 64] |= 1 << (post % 64);
    }
    fn contains(&self, post: usize) -> bool {
        self.0[post / 64] >> (post % 64) & 1 == 1
    }
    fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
    fn within(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(mine, theirs)| mine & !theirs == 0)
    }
    fn join(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine |= theirs;
        }
    }
}

/// Which uncertain posts make up a difference of sums.
pub(in crate::check) enum Found {
    Subset(Vec<usize>),
    /// There is no such subset.
    Impossible,
    GaveUp,
}

/// Judges one thread.
pub(super) fn decide(operations: &[Operation], budget: &mut u64) -> Verdict {
    let mut posts = Vec::new();
    let mut reads = Vec::new();
    for operation in operations {
        let (invoked, returned) = (operation.invoked, operation.returned());
        match operation.answered {
            Some((_, Answer::Read { digest, .. })) => reads.push(Read { invoked, returned, digest }),
            _ => posts.push(Post { invoked, returned, term: operation.op.apply(0, 0).0 }),
        }
    }
    if torn(operations) {
        return Verdict::Violated;
    }
    posts.sort_by_key(|post| post.invoked);
    reads.sort_by_key(|read| read.returned);
    let Some((sets, all)) = identify(&posts, &reads, budget) else { return Verdict::Violated };
    match order(&posts, &reads, sets) {
        Verdict::Valid if !all => Verdict::Unknown,
        verdict => verdict,
    }
}

/// Judges one thread of which it is known what each read saw: `seen` tells the posts of a read, both as places
/// among the operations.
pub(in crate::check) fn decide_known(operations: &[Operation], seen: &dyn Fn(usize) -> Vec<usize>) -> Verdict {
    let is_read = |&index: &usize| operations[index].op.is_read();
    let mut posting: Vec<usize> = (0..operations.len()).filter(|index| !is_read(index)).collect();
    posting.sort_by_key(|&index| operations[index].invoked);
    let place: BTreeMap<usize, usize> = posting.iter().enumerate().map(|(place, &index)| (index, place)).collect();
    let post = |&index: &usize| {
        let operation = &operations[index];
        Post { invoked: operation.invoked, returned: operation.returned(), term: operation.op.apply(0, 0).0 }
    };
    let posts: Vec<Post> = posting.iter().map(post).collect();
    let (mut reads, mut sets) = (Vec::new(), BTreeMap::new());
    for index in (0..operations.len()).filter(is_read) {
        let Some((returned, Answer::Read { digest, .. })) = operations[index].answered else { continue };
        reads.push(Read { invoked: operations[index].invoked, returned, digest });
        sets.entry(digest).or_insert_with(|| {
            let mut set = Set::new(posts.len());
            seen(index).iter().filter_map(|post| place.get(post)).for_each(|&place| set.insert(place));
            set
        });
    }
    order(&posts, &reads, sets)
}

/// The set that each digest stands for, and whether all were found. None: a read saw a set that it
/// cannot have seen.
fn identify(posts: &[Post], reads: &[Read], budget: &mut u64) -> Option<(BTreeMap<u64, Set>, bool)> {
    let mut sets: BTreeMap<u64, Option<Set>> = BTreeMap::new();
    // (end of a read, union of the sets seen by it and by those that ended before)
    let mut seen: Vec<(SimTime, Set)> = Vec::new();
    for read in reads {
        if sets.contains_key(&read.digest) {
            continue;
        }
        let ended = seen.partition_point(|&(at, _)| at < read.invoked);
        let mut set = if ended == 0 { Set::new(posts.len()) } else { seen[ended - 1].1.clone() };
        let begun = &posts[..posts.partition_point(|post| post.invoked <= read.returned)];
        for (index, post) in begun.iter().enumerate() {
            if post.returned < read.invoked {
                set.insert(index);
            }
        }
        let (known, uncertain): (Vec<usize>, Vec<usize>) = (0..begun.len()).partition(|&index| set.contains(index));
        let sum = known.iter().fold(0u64, |sum, &index| sum.wrapping_add(posts[index].term));
        let terms: Vec<u64> = uncertain.iter().map(|&index| posts[index].term).collect();
        let target = read.digest.wrapping_sub(sum);
        *budget = budget.saturating_sub(1 + begun.len() as u64 / 16);
        match subset(&terms, target, budget) {
            Found::Subset(chosen) => {
                for index in chosen {
                    set.insert(uncertain[index]);
                }
                let mut union = set.clone();
                if let Some((_, before)) = seen.last() {
                    union.join(before);
                }
                seen.push((read.returned, union));
                sets.insert(read.digest, Some(set));
            }
            Found::Impossible => return None,
            Found::GaveUp => {
                let known: Vec<u64> = known.iter().map(|&index| posts[index].term).collect();
                if missed(&known, &terms, target, budget) {
                    return None;
                }
                sets.insert(read.digest, None);
            }
        }
    }
    let all = sets.values().all(Option::is_some);
    Some((sets.into_iter().filter_map(|(digest, set)| Some((digest, set?))).collect(), all))
}

/// Whether an order exists in which each read sees its set.
fn order(posts: &[Post], reads: &[Read], sets: BTreeMap<u64, Set>) -> Verdict {
    let mut chain: Vec<(u32, Set, u64)> = sets.into_iter().map(|(digest, set)| (set.len(), set, digest)).collect();
    chain.sort_by_key(|&(len, _, digest)| (len, digest));
    if !chain.windows(2).all(|pair| pair[0].1.within(&pair[1].1)) {
        return Verdict::Violated;
    }
    // The chain allows one order of ranks: what the first set holds, its reads, what the second adds ...
    let ranks: BTreeMap<u64, usize> = chain.iter().enumerate().map(|(rank, link)| (link.2, 2 * rank + 1)).collect();
    let mut ranked: Vec<(SimTime, SimTime, usize)> = Vec::new();
    for (index, post) in posts.iter().enumerate() {
        let first = chain.partition_point(|(_, set, _)| !set.contains(index));
        ranked.push((post.invoked, post.returned, 2 * first));
    }
    for read in reads {
        if let Some(&rank) = ranks.get(&read.digest) {
            ranked.push((read.invoked, read.returned, rank));
        }
    }
    let mut ends: Vec<(SimTime, usize)> = ranked.iter().map(|&(_, returned, rank)| (returned, rank)).collect();
    ends.sort_unstable();
    ranked.sort_unstable();
    let mut ended = ends.into_iter().peekable();
    let mut highest = 0;
    for (invoked, _, rank) in ranked {
        while let Some((_, before)) = ended.next_if(|&(returned, _)| returned < invoked) {
            highest = highest.max(before);
        }
        if highest > rank {
            return Verdict::Violated;
        }
    }
    Verdict::Valid
}

/// Finds the terms that sum to `target`: first few, then all but a few, then a run of consecutive ones,
/// then any, or if there are too many, any that are close together.
pub(in crate::check) fn subset(terms: &[u64], target: u64, budget: &mut u64) -> Found {
    if target == 0 {
        return Found::Subset(Vec::new());
    }
    if terms.len() > SEARCHABLE {
        return Found::GaveUp;
    }
    let total = terms.iter().fold(0u64, |sum, &term| sum.wrapping_add(term));
    if let Some(few) = few(terms, target, budget) {
        return Found::Subset(few);
    }
    if let Some(left_out) = few(terms, total.wrapping_sub(target), budget) {
        return Found::Subset((0..terms.len()).filter(|index| !left_out.contains(index)).collect());
    }
    if let Some(run) = run(terms, target) {
        return Found::Subset(run);
    }
    if terms.len() <= EXHAUSTIVE {
        return any(terms, target, budget);
    }
    // What a failing server still executed are posts of one time.
    for from in (0..terms.len() - WINDOW / 2).step_by(WINDOW / 2) {
        let window = &terms[from..terms.len().min(from + WINDOW)];
        if let Found::Subset(found) = any(window, target, budget) {
            return Found::Subset(found.into_iter().map(|index| index + from).collect());
        }
    }
    Found::GaveUp
}

/// At most four terms that sum to `target`: two disjoint choices of at most two.
pub(in crate::check) fn few(terms: &[u64], target: u64, budget: &mut u64) -> Option<Vec<usize>> {
    const NONE: u32 = u32::MAX;
    let mut halves: Vec<(u64, [u32; 2])> = vec![(0, [NONE; 2])];
    for (index, &term) in terms.iter().enumerate() {
        halves.push((term, [index as u32, NONE]));
        halves.extend((0..index).map(|other| (term.wrapping_add(terms[other]), [index as u32, other as u32])));
    }
    *budget = budget.checked_sub(halves.len() as u64 / 4)?;
    halves.sort_unstable();
    halves.iter().find_map(|(sum, half)| {
        let rest = target.wrapping_sub(*sum);
        let from = halves.partition_point(|other| other.0 < rest);
        let matching = halves[from..].iter().take_while(|other| other.0 == rest);
        let disjoint = |other: &[u32; 2]| other.iter().all(|&index| index == NONE || !half.contains(&index));
        let other = matching.map(|other| other.1).find(disjoint)?;
        Some(half.iter().chain(&other).filter(|&&index| index != NONE).map(|&index| index as usize).collect())
    })
}

/// Consecutive terms that sum to `target`.
pub(in crate::check) fn run(terms: &[u64], target: u64) -> Option<Vec<usize>> {
    let mut sum = 0u64;
    let mut prefixes: BTreeMap<u64, usize> = BTreeMap::from([(0, 0)]);
    for (index, &term) in terms.iter().enumerate() {
        sum = sum.wrapping_add(term);
        if let Some(&from) = prefixes.get(&sum.wrapping_sub(target)) {
            return Some((from..=index).collect());
        }
        prefixes.insert(sum, index + 1);
    }
    None
}

/// Any terms that sum to `target`: the sums of all subsets of each half, matched.
fn any(terms: &[u64], target: u64, budget: &mut u64) -> Found {
    let (low, high) = terms.split_at(terms.len() / 2);
    let cost = (1u64 << high.len()) / 4;
    let Some(left) = budget.checked_sub(cost) else { return Found::GaveUp };
    *budget = left;
    let mut lows: Vec<(u64, u32)> = sums(low);
    lows.sort_unstable();
    for (sum, mask) in sums(high) {
        let rest = target.wrapping_sub(sum);
        if let Ok(found) = lows.binary_search_by_key(&rest, |&(sum, _)| sum) {
            let bits = u64::from(lows[found].1) | u64::from(mask) << low.len();
            return Found::Subset((0..terms.len()).filter(|index| bits >> index & 1 == 1).collect());
        }
    }
    Found::Impossible
}

/// The sum of every subset, with the subset as bits.
fn sums(terms: &[u64]) -> Vec<(u64, u32)> {
    let mut sums = vec![(0u64, 0u32)];
    for (index, &term) in terms.iter().enumerate() {
        for from in 0..sums.len() {
            let (sum, mask) = sums[from];
            sums.push((sum.wrapping_add(term), mask | 1 << index));
        }
    }
    sums
}

/// Whether the sum is that of a set which lacks posts that the read must have seen: the last few or
/// many of them, or one or two, with a few of the uncertain ones.
fn missed(known: &[u64], terms: &[u64], target: u64, budget: &mut u64) -> bool {
    let mut without = 0u64;
    for &term in known.iter().rev() {
        without = without.wrapping_sub(term);
        if without == target {
            return true;
        }
    }
    if terms.len() > SEARCHABLE {
        return false;
    }
    let last = &known[known.len().saturating_sub(MISSABLE)..];
    let both: Vec<u64> = last.iter().map(|term| term.wrapping_neg()).chain(terms.iter().copied()).collect();
    few(&both, target, budget).is_some_and(|found| found.iter().any(|&index| index < last.len()))
}
