//! The four guarantees of sessions (Terry, Demers, Petersen, Spreitzer, Theimer and Welch 1994), as far as the
//! answers that clients got can show them.
//!
//! Each guarantee says of an observation which writes must be visible to it:
//! - *read your writes*: those of its own session before it;
//! - *monotonic reads*: those that its session saw before;
//! - *monotonic writes*: those that came, in their session, before a write that this session has seen;
//! - *writes follow reads*: those that a session saw before it made a write that this session has seen.
//!
//! A read of a thread must have seen them. A read of a cell saw one write, and that must be the newest of
//! those visible; which of two is the newer is open, so a guarantee is violated if no order of the writes
//! of a key does for all reads together (as in Viotti and Vukolic 2016: some arbitration for all). For the
//! last two, that order must also have the writes of a session in order, or what a session saw before what it
//! wrote; they are judged with monotonic reads together, since nobody could see them broken otherwise, and
//! not on keys whose reads are not monotonic in the first place.
//!
//! Operations of a session that overlap in time have no order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::account::{Finding, as_far_as_resolved, story};
use super::seen::{Saw, Service, Span};
use crate::id::ClientId;
use crate::time::SimTime;

/// Words of sets, and pairs of writes, that are kept at most.
const LARGEST: usize = 64 << 20;
const MOST_PAIRS: usize = 4_000_000;

const YOURS: usize = 0;
const READS: usize = 1;
const WRITES: usize = 2;
const FOLLOWS: usize = 3;

const DIRECT: [&str; 4] = [
    "it did not see an earlier write of its own session",
    "it did not see what its session had seen before",
    "it did not see a write, and its session has seen a later one of the same writer",
    "it did not see a write that the writer of something its session has seen had seen",
];
const IN_A_CIRCLE: [&str; 4] = [
    "no order of these writes lets each session see its own or newer ones",
    "no order of these writes lets the reads of each session go forward only",
    "no order of these writes has those of a session in order and lets reads go forward only",
    "no order of these writes has each after what its session had seen, and lets reads go forward only",
];

/// Writes of one key, a bit each.
#[derive(Clone, Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn insert(&mut self, place: usize) {
        if self.0.len() <= place / 64 {
            self.0.resize(place / 64 + 1, 0);
        }
        self.0[place / 64] |= 1 << (place % 64);
    }
    fn contains(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }
    fn join(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine |= theirs;
        }
    }
    fn places(&self) -> impl Iterator<Item = usize> + '_ {
        let bits = |word: u64| (0..64).filter(move |bit| word >> bit & 1 == 1);
        self.0.iter().enumerate().flat_map(move |(index, &word)| bits(word).map(move |bit| index * 64 + bit))
    }
}

/// What a session must see, by key.
type Required = BTreeMap<u32, Bits>;

/// Pairs of writes of which the first must be the older one, and who says so.
type Older = BTreeMap<(usize, usize), usize>;

/// One session's operations with an answer, by their end.
#[derive(Debug, Default)]
struct Line {
    all: Vec<usize>,
    writes: Vec<usize>,
    observations: Vec<usize>,
}

struct Judge<'a> {
    service: &'a Service,
    lines: BTreeMap<ClientId, Line>,
    /// The place of each write among those of its key.
    places: BTreeMap<usize, usize>,
    /// What each observation saw.
    sights: BTreeMap<usize, Bits>,
    /// Of each guarantee, by key.
    older: [BTreeMap<u32, Older>; 4],
    pairs: usize,
    found: [Option<Finding>; 4],
}

/// Judges the four guarantees in a span.
pub(super) fn judge(service: &Service, span: Span, budget: &mut u64) -> [Finding; 4] {
    let Some(mut judge) = Judge::new(service, span) else {
        return std::array::from_fn(|_| Finding::Unknown("it has too many operations".to_owned()));
    };
    let ended = judge.sessions(span, budget).is_none();
    judge.orders_of_sessions(span);
    let too_much = ended || judge.pairs >= MOST_PAIRS;
    let open = as_far_as_resolved(service, span);
    let broken: BTreeSet<u32> =
        judge.older[READS].iter().filter(|(_, older)| circle(older).is_some()).map(|(&key, _)| key).collect();
    std::array::from_fn(|guarantee| {
        if let Some(finding) = judge.found[guarantee].take() {
            return finding;
        }
        let spared = |key: &u32| guarantee >= WRITES && broken.contains(key);
        let circles =
            judge.older[guarantee].iter().filter(|(key, _)| !spared(key)).filter_map(|(_, older)| circle(older));
        match circles.min_by_key(Vec::len) {
            Some(operations) => Finding::Violated(story(service, IN_A_CIRCLE[guarantee], &operations)),
            None if too_much => Finding::Unknown("the budget ended first".to_owned()),
            None => open.clone(),
        }
    })
}

impl<'a> Judge<'a> {
    fn new(service: &'a Service, span: Span) -> Option<Self> {
        let mut lines: BTreeMap<ClientId, Line> = BTreeMap::new();
        let places: BTreeMap<usize, usize> = service
            .writes
            .values()
            .flat_map(|writes| writes.iter().enumerate().map(|(place, &write)| (write, place)))
            .collect();
        let mut sights = BTreeMap::new();
        let mut words = 0;
        let inside = |&index: &usize| span.contains(service.operations[index].invoked);
        let mut by_end: Vec<usize> = (0..service.operations.len()).filter(inside).collect();
        by_end.retain(|&index| service.operations[index].answered.is_some());
        by_end.sort_by_key(|&index| service.operations[index].returned());
        for index in by_end {
            let line = lines.entry(service.operations[index].client).or_default();
            line.all.push(index);
            if service.is_write(index) {
                line.writes.push(index);
            }
            if matches!(service.saw[index], Saw::Write(_) | Saw::Set(_) | Saw::Initial) {
                line.observations.push(index);
                let mut bits = Bits::default();
                for source in service.sources(index) {
                    bits.insert(places[source]);
                }
                words += bits.0.len();
                if words > LARGEST {
                    return None;
                }
                sights.insert(index, bits);
            }
        }
        let (older, found) = (Default::default(), Default::default());
        Some(Self { service, lines, places, sights, older, pairs: 0, found })
    }

    fn invoked(&self, index: usize) -> SimTime {
        self.service.operations[index].invoked
    }

    /// Of a session: how many of these ended before an instant.
    fn ended(&self, operations: &[usize], before: SimTime) -> usize {
        operations.partition_point(|&index| self.service.operations[index].returned() < before)
    }

    /// Goes through every session. None: the budget ended.
    fn sessions(&mut self, span: Span, budget: &mut u64) -> Option<()> {
        let lines = std::mem::take(&mut self.lines);
        for line in lines.values() {
            let mut own = line.observations.clone();
            own.sort_unstable();
            let mut required: [Required; 4] = Default::default();
            // How much of every other session's writes and observations this one has taken in.
            let mut taken: BTreeMap<ClientId, (usize, usize)> = BTreeMap::new();
            let mut absorbed = 0;
            for &observation in &own {
                let ended = self.ended(&line.all, self.invoked(observation));
                for &earlier in &line.all[absorbed..ended] {
                    self.absorb(&lines, earlier, span, &mut required, &mut taken, budget)?;
                }
                absorbed = ended.max(absorbed);
                self.observe(&lines, observation, span, &required, budget)?;
            }
        }
        self.lines = lines;
        Some(())
    }

    /// The newest write of each session among those that an observation saw, by its invocation.
    fn newest(&self, observation: usize, span: Span) -> BTreeMap<ClientId, SimTime> {
        let mut newest: BTreeMap<ClientId, SimTime> = BTreeMap::new();
        for &source in self.service.sources(observation) {
            let operation = &self.service.operations[source];
            if span.contains(operation.invoked) {
                let at = newest.entry(operation.client).or_insert(operation.invoked);
                *at = (*at).max(operation.invoked);
            }
        }
        newest
    }

    /// What follows for a session from an operation that it has finished.
    fn absorb(
        &self,
        lines: &BTreeMap<ClientId, Line>,
        earlier: usize,
        span: Span,
        required: &mut [Required; 4],
        taken: &mut BTreeMap<ClientId, (usize, usize)>,
        budget: &mut u64,
    ) -> Option<()> {
        let key = self.service.key(earlier);
        if self.service.is_write(earlier) {
            required[YOURS].entry(key).or_default().insert(self.places[&earlier]);
        }
        let Some(sight) = self.sights.get(&earlier) else { return Some(()) };
        required[READS].entry(key).or_default().join(sight);
        for (client, at) in self.newest(earlier, span) {
            let Some(line) = lines.get(&client) else { continue };
            let (writes, observations) = taken.entry(client).or_default();
            let until = self.ended(&line.writes, at).max(*writes);
            for &write in &line.writes[*writes..until] {
                required[WRITES].entry(self.service.key(write)).or_default().insert(self.places[&write]);
            }
            let seen = self.ended(&line.observations, at).max(*observations);
            for &observation in &line.observations[*observations..seen] {
                required[FOLLOWS].entry(self.service.key(observation)).or_default().join(&self.sights[&observation]);
            }
            *budget = budget.checked_sub((until - *writes + seen - *observations) as u64)?;
            (*writes, *observations) = (until, seen);
        }
        Some(())
    }

    /// Compares what an observation saw with what it must have seen.
    fn observe(
        &mut self,
        lines: &BTreeMap<ClientId, Line>,
        observation: usize,
        span: Span,
        required: &[Required; 4],
        budget: &mut u64,
    ) -> Option<()> {
        let key = self.service.key(observation);
        let mut musts: [Bits; 4] =
            std::array::from_fn(|guarantee| required[guarantee].get(&key).cloned().unwrap_or_default());
        // What it saw itself counts as well.
        for (client, at) in self.newest(observation, span) {
            let Some(line) = lines.get(&client) else { continue };
            let (writes, seen) = (
                &line.writes[..self.ended(&line.writes, at)],
                &line.observations[..self.ended(&line.observations, at)],
            );
            *budget = budget.checked_sub((writes.len() + seen.len()) as u64 / 16 + 1)?;
            for write in writes.iter().filter(|&&write| self.service.key(write) == key) {
                musts[WRITES].insert(self.places[write]);
            }
            for other in seen.iter().filter(|&&other| self.service.key(other) == key) {
                musts[FOLLOWS].join(&self.sights[other]);
            }
        }
        for (guarantee, must) in musts.iter().enumerate() {
            *budget = budget.checked_sub(1 + must.0.len() as u64)?;
            self.compare(guarantee, observation, must);
        }
        Some(())
    }

    fn compare(&mut self, guarantee: usize, observation: usize, must: &Bits) {
        let key = self.service.key(observation);
        let Some(writes) = self.service.writes.get(&key) else { return };
        let sight = &self.sights[&observation];
        match self.service.saw[observation] {
            Saw::Initial | Saw::Set(_) => {
                let Some(missed) = must.places().find(|&place| !sight.contains(place)) else { return };
                let missed = writes[missed];
                let mut about = vec![missed];
                if guarantee != YOURS {
                    about.extend(self.witness(guarantee, missed, observation));
                }
                about.push(observation);
                let finding = Finding::Violated(story(self.service, DIRECT[guarantee], &about));
                self.found[guarantee].get_or_insert(finding);
            }
            Saw::Write(source) => {
                let missing =
                    must.places().map(|place| writes[place]).filter(|&write| write != source && write != observation);
                for write in missing.collect::<Vec<_>>() {
                    self.note(guarantee, key, write, source, observation);
                    if guarantee == READS {
                        self.note(WRITES, key, write, source, observation);
                        self.note(FOLLOWS, key, write, source, observation);
                    }
                }
            }
            _ => {}
        }
    }

    /// An earlier observation of the same session that saw the write, for monotonic reads.
    fn witness(&self, guarantee: usize, missed: usize, observation: usize) -> Option<usize> {
        let key = self.service.key(observation);
        let saw = |&&index: &&usize| {
            guarantee == READS
                && self.service.key(index) == key
                && self.service.in_session_order(index, observation)
                && self.sights[&index].contains(self.places[&missed])
        };
        self.sights.keys().find(saw).copied()
    }

    fn note(&mut self, guarantee: usize, key: u32, older: usize, newer: usize, why: usize) {
        if self.pairs < MOST_PAIRS {
            let pairs = self.older[guarantee].entry(key).or_default();
            if let std::collections::btree_map::Entry::Vacant(entry) = pairs.entry((older, newer)) {
                entry.insert(why);
                self.pairs += 1;
            }
        }
    }

    /// The order that sessions give to writes of one cell, those without an answer included.
    fn orders_of_sessions(&mut self, span: Span) {
        let lines = std::mem::take(&mut self.lines);
        let service = self.service;
        for (&key, writes) in service.writes.iter().filter(|(key, _)| !service.is_thread(**key)) {
            for &write in writes {
                let at = self.invoked(write);
                let Some(line) = lines.get(&service.operations[write].client).filter(|_| span.contains(at)) else {
                    continue;
                };
                for &earlier in &line.writes[..self.ended(&line.writes, at)] {
                    if service.key(earlier) == key {
                        self.note(WRITES, key, earlier, write, write);
                    }
                }
                for &earlier in &line.observations[..self.ended(&line.observations, at)] {
                    if let (true, Saw::Write(source)) = (service.key(earlier) == key, &service.saw[earlier])
                        && *source != write
                    {
                        self.note(FOLLOWS, key, *source, write, earlier);
                    }
                }
                if self.pairs >= MOST_PAIRS {
                    return;
                }
            }
        }
    }
}

/// The operations of a shortest circle: its writes, and those that make it one.
fn circle(older: &Older) -> Option<Vec<usize>> {
    let mut after: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut waits: BTreeMap<usize, usize> = BTreeMap::new();
    for &(one, other) in older.keys() {
        after.entry(one).or_default().push(other);
        *waits.entry(other).or_default() += 1;
        waits.entry(one).or_default();
    }
    let mut ready: Vec<usize> = waits.iter().filter(|(_, waits)| **waits == 0).map(|(&write, _)| write).collect();
    while let Some(write) = ready.pop() {
        waits.remove(&write);
        for other in after.get(&write).into_iter().flatten() {
            if let Some(left) = waits.get_mut(other) {
                *left -= 1;
                if *left == 0 {
                    ready.push(*other);
                }
            }
        }
    }
    let step = waits.len().div_ceil(100).max(1);
    let circles = waits.keys().step_by(step).filter_map(|&write| way_back(write, &after, &waits));
    // If none of those that were tried is on a circle, any will do that is.
    let shortest =
        circles.min_by_key(Vec::len).or_else(|| waits.keys().find_map(|&write| way_back(write, &after, &waits)))?;
    let pairs = shortest.iter().zip(shortest.iter().cycle().skip(1));
    let reasons: Vec<usize> = pairs.filter_map(|(&one, &other)| older.get(&(one, other)).copied()).collect();
    let mut all: Vec<usize> = shortest.iter().copied().chain(reasons).collect();
    all.sort_unstable();
    all.dedup();
    Some(all)
}

/// The shortest way from a write back to itself, through writes that are left.
fn way_back(write: usize, after: &BTreeMap<usize, Vec<usize>>, left: &BTreeMap<usize, usize>) -> Option<Vec<usize>> {
    let mut from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut queue = VecDeque::from([write]);
    while let Some(at) = queue.pop_front() {
        for &next in after.get(&at).into_iter().flatten().filter(|next| left.contains_key(next)) {
            if next == write {
                let mut way = vec![at];
                while way[way.len() - 1] != write {
                    way.push(from[&way[way.len() - 1]]);
                }
                way.reverse();
                return Some(way);
            }
            from.entry(next).or_insert_with(|| {
                queue.push_back(next);
                at
            });
        }
    }
    None
}
