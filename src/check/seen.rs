//! The operations of one service, and which write each observation saw.
//!
//! No value of a simulated client occurs twice, so the value that a read answered names the write that it
//! saw (of a thread: the sum names the set). Where a history writes one value twice, an observation of it
//! has no certain origin, and judges that need one say so instead of guessing.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::linearizability::{Operation, is_thread, operations};
use super::sets::{self, Post, Read, Told};
use crate::history::{Event, What};
use crate::id::{ClientId, ServiceId};
use crate::op::{Answer, Op};
use crate::time::SimTime;

/// Pairs of a value and an append of one key that are tried, and appends in a row whose values nobody met.
const MOST_APPENDS: u64 = 20_000_000;
const MOST_UNSEEN: usize = 2;

/// What an operation tells of the writes before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Saw {
    /// It does not tell anything.
    Nothing,
    /// What was there before any write.
    Initial,
    /// The value of this write.
    Write(usize),
    /// Exactly these posts of the thread, in the order of invocation.
    Set(Rc<[usize]>),
    /// A value that nobody wrote.
    ThinAir,
    /// It saw something, and it is not known whose it is.
    Unresolved,
}

/// A part of a history in time: what began in it, half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: SimTime,
    pub to: SimTime,
}

impl Span {
    /// All of it.
    pub const WHOLE: Self = Self { from: SimTime::ZERO, to: SimTime::MAX };

    pub(super) fn contains(self, at: SimTime) -> bool {
        self.from <= at && (at < self.to || self.to == SimTime::MAX)
    }
}

/// All that is known of a service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// By invocation. What certainly did not happen, and reads without an answer, are not among them.
    pub operations: Vec<Operation>,
    pub saw: Vec<Saw>,
    /// Writes of each key, by invocation.
    pub writes: BTreeMap<u32, Vec<usize>>,
    /// When the client was told that its write was revoked.
    pub revoked: BTreeMap<usize, SimTime>,
    /// The value that a cell had before an append, where that is known.
    pub appended_to: BTreeMap<usize, u64>,
    /// Reads that saw posts twice, with the posts.
    pub twice: Vec<(usize, Vec<usize>)>,
    /// No two writes of a key have one value, and none has the value of absence.
    pub unique: bool,
    /// Cells begin with any value.
    pub initial_unknown: bool,
}

impl Service {
    pub(super) fn is_write(&self, index: usize) -> bool {
        match (self.operations[index].op, self.operations[index].answered) {
            (Op::Read { .. }, _) | (_, Some((_, Answer::Swapped(false)))) => false,
            (op, _) => op.value().is_some(),
        }
    }

    pub(super) fn key(&self, index: usize) -> u32 {
        self.operations[index].op.key()
    }

    pub(super) fn is_thread(&self, key: u32) -> bool {
        self.writes
            .get(&key)
            .is_none_or(|writes| writes.iter().all(|&index| matches!(self.operations[index].op, Op::Post { .. })))
    }

    /// The writes that an operation saw.
    pub(super) fn sources(&self, index: usize) -> &[usize] {
        match &self.saw[index] {
            Saw::Write(write) => std::slice::from_ref(write),
            Saw::Set(posts) => posts,
            _ => &[],
        }
    }

    /// Whether one operation ended before another of its client began.
    pub(super) fn in_session_order(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.operations[one], &self.operations[other]);
        one.client == other.client && one.returned() < other.invoked
    }
}

/// Sorts the events of a history by service, and finds out what each observation saw.
pub(super) fn services(events: &[Event], initial_unknown: bool, budget: &mut u64) -> BTreeMap<ServiceId, Service> {
    let mut all: BTreeMap<ServiceId, Vec<Operation>> = BTreeMap::new();
    for ((service, _), operations) in operations(events, SimTime::MAX) {
        all.entry(service).or_default().extend(operations);
    }
    let mut told: BTreeMap<(ServiceId, ClientId, u32), SimTime> = BTreeMap::new();
    for event in events.iter().filter(|event| matches!(event.what, What::Revoked { .. })) {
        told.entry((event.service, event.client, event.number)).or_insert(event.at);
    }
    let service = |(id, operations): (ServiceId, Vec<Operation>)| {
        let mut service = resolve(operations, initial_unknown, budget);
        for (index, operation) in service.operations.iter().enumerate() {
            let name = (id, operation.client, operation.number);
            if let (false, Some(&at)) = (operation.op.is_read(), told.get(&name)) {
                service.revoked.insert(index, at);
            }
        }
        (id, service)
    };
    all.into_iter().map(service).collect()
}

/// Finds out what each of these operations saw.
pub(super) fn resolve(mut operations: Vec<Operation>, initial_unknown: bool, budget: &mut u64) -> Service {
    operations.sort_by_key(|operation| (operation.invoked, operation.returned(), operation.client, operation.number));
    let saw = vec![Saw::Nothing; operations.len()];
    let mut service = Service {
        operations,
        saw,
        writes: BTreeMap::new(),
        revoked: BTreeMap::new(),
        appended_to: BTreeMap::new(),
        twice: Vec::new(),
        unique: true,
        initial_unknown,
    };
    let mut keys: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for index in 0..service.operations.len() {
        keys.entry(service.key(index)).or_default().push(index);
        if service.is_write(index) {
            service.writes.entry(service.key(index)).or_default().push(index);
        }
    }
    for indices in keys.values() {
        let operations: Vec<Operation> = indices.iter().map(|&index| service.operations[index]).collect();
        let posts = operations.iter().any(|operation| matches!(operation.op, Op::Post { .. }));
        if posts && is_thread(&operations) {
            resolve_thread(&mut service, indices, budget);
        } else {
            resolve_cell(&mut service, indices);
        }
    }
    service
}

/// The value that an answer says was met.
pub(super) fn met(operation: &Operation) -> Option<u64> {
    match (operation.op, operation.answered) {
        (_, Some((_, Answer::Read { digest, .. }))) => Some(digest),
        (Op::CompareAndSwap { expect, .. }, Some((_, Answer::Swapped(true)))) => Some(expect),
        _ => None,
    }
}

fn resolve_cell(service: &mut Service, indices: &[usize]) {
    let mut writers: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    let mut appends: Vec<usize> = Vec::new();
    for &index in indices.iter().filter(|&&index| service.is_write(index)) {
        match service.operations[index].op {
            Op::Append { .. } | Op::Post { .. } => appends.push(index),
            op => writers.entry(op.value().map_or(0, |value| value.digest)).or_default().push(index),
        }
    }
    service.unique &= writers.values().all(|writers| writers.len() == 1) && !writers.contains_key(&0);
    let before = follow_appends(service, indices, &appends, &mut writers);
    let mut first = if service.initial_unknown { None } else { Some(0) };
    for &index in indices {
        let value = met(&service.operations[index]).or_else(|| before.get(&index).copied());
        let Some(value) = value else { continue };
        // What was there first may be anything, and then written again; but what is read before any write of
        // it began was there first.
        let begun = |&&writer: &&usize| {
            !service.initial_unknown || service.operations[writer].invoked <= service.operations[index].returned()
        };
        let writers: Vec<usize> = writers.get(&value).into_iter().flatten().filter(begun).copied().collect();
        service.saw[index] = match writers.as_slice() {
            [_, ..] if value == 0 || first == Some(value) => Saw::Unresolved,
            &[writer] => Saw::Write(writer),
            [_, ..] => Saw::Unresolved,
            // It may be the end of a chain whose links nobody saw.
            [] if value != 0 && !appends.is_empty() => Saw::Unresolved,
            [] if *first.get_or_insert(value) == value => Saw::Initial,
            [] => Saw::ThinAir,
        };
    }
    service.appended_to.extend(before);
}

/// Finds which append gave which of the values that were met, if the value before it is known as well, or
/// that before a few appends that nobody saw the values of. Returns the value before each such append.
fn follow_appends(
    service: &Service,
    indices: &[usize],
    appends: &[usize],
    writers: &mut BTreeMap<u64, Vec<usize>>,
) -> BTreeMap<usize, u64> {
    let mut before: BTreeMap<usize, u64> = BTreeMap::new();
    let mut sought: BTreeSet<u64> = indices.iter().filter_map(|&index| met(&service.operations[index])).collect();
    sought.retain(|value| !writers.contains_key(value));
    let mut known: BTreeSet<u64> = writers.keys().copied().chain([0]).collect();
    let mut fresh: Vec<u64> = known.iter().copied().collect();
    let mut steps = MOST_APPENDS;
    let mut assign = |value: u64, append: usize, before: &mut BTreeMap<usize, u64>| {
        let after = service.operations[append].op.apply(value, 0).0;
        before.insert(append, value);
        writers.entry(after).or_default().push(append);
        after
    };
    loop {
        while let Some(value) = fresh.pop() {
            for &append in appends.iter().filter(|append| !before.contains_key(append)).collect::<Vec<_>>() {
                let after = service.operations[append].op.apply(value, 0).0;
                if sought.remove(&after) {
                    fresh.push(assign(value, append, &mut before));
                    known.insert(after);
                }
            }
            steps = steps.saturating_sub(appends.len() as u64);
            if steps == 0 {
                return before;
            }
        }
        let free: Vec<usize> = appends.iter().copied().filter(|append| !before.contains_key(append)).collect();
        let mut chain = Vec::new();
        let mut find = |unseen: usize| {
            known
                .iter()
                .copied()
                .find(|&value| append_to(service, value, unseen, &free, &sought, &mut chain, &mut steps))
        };
        let Some(mut value) = (1..=MOST_UNSEEN).find_map(&mut find).filter(|_| !sought.is_empty()) else {
            return before;
        };
        for append in chain {
            value = assign(value, append, &mut before);
            sought.remove(&value);
            known.insert(value);
            fresh.push(value);
        }
    }
}

/// Looks for appends to a value, so many with values that nobody met and then one with a value that is sought.
fn append_to(
    service: &Service,
    value: u64,
    unseen: usize,
    free: &[usize],
    sought: &BTreeSet<u64>,
    chain: &mut Vec<usize>,
    steps: &mut u64,
) -> bool {
    for &append in free.iter().filter(|append| !chain.contains(append)).collect::<Vec<_>>() {
        if *steps == 0 {
            return false;
        }
        *steps -= 1;
        let after = service.operations[append].op.apply(value, 0).0;
        chain.push(append);
        let found = match unseen {
            0 => sought.contains(&after),
            _ => append_to(service, after, unseen - 1, free, sought, chain, steps),
        };
        if found {
            return true;
        }
        chain.pop();
    }
    false
}

fn resolve_thread(service: &mut Service, indices: &[usize], budget: &mut u64) {
    let (mut posts, mut reads) = (Vec::new(), Vec::new());
    for &index in indices {
        match service.operations[index].answered {
            Some((_, Answer::Read { digest, .. })) => reads.push((index, digest)),
            _ => posts.push(index),
        }
    }
    let digests: BTreeSet<Option<u64>> =
        posts.iter().map(|&index| service.operations[index].op.value().map(|value| value.digest)).collect();
    service.unique &= digests.len() == posts.len();
    let post = |&index: &usize| {
        let operation = &service.operations[index];
        Post { invoked: operation.invoked, returned: operation.returned(), term: operation.op.apply(0, 0).0 }
    };
    let read = |&(index, sum): &(usize, u64)| {
        let operation = &service.operations[index];
        Read { invoked: operation.invoked, returned: operation.returned(), sum }
    };
    let seen = sets::identify(
        &posts.iter().map(post).collect::<Vec<_>>(),
        &reads.iter().map(read).collect::<Vec<_>>(),
        budget,
    );
    let named = |numbers: &[u32]| numbers.iter().map(|&number| posts[number as usize]).collect::<Vec<_>>();
    let mut shared: BTreeMap<u64, Rc<[usize]>> = BTreeMap::new();
    for ((index, sum), seen) in reads.into_iter().zip(seen) {
        service.saw[index] = match seen {
            _ if digests.len() < posts.len() => Saw::Unresolved,
            Told::Set(seen) => {
                if !seen.twice.is_empty() {
                    service.twice.push((index, named(&seen.twice)));
                }
                // Most reads see what others saw; the sets are shared.
                Saw::Set(Rc::clone(shared.entry(sum).or_insert_with(|| named(&seen.posts).into())))
            }
            Told::Impossible => Saw::ThinAir,
            Told::Unknown => Saw::Unresolved,
        };
    }
}
